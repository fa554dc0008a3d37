# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of tests/netns on Debian's own kernel, those that are marked each_kernel: cells, loss,
resync, quality, NAT pools. The machine is as test_boot.py leaves it: nothing is installed."""
import re

import pytest

from conftest import ROOT
from machine import SUITE_BUILD, SUITE_ROOT

MODULES = sorted(path.name for path in (ROOT / "tests/netns").glob("test_*.py")
                 if "mark.each_kernel" in path.read_text())
# How much longer each may take than on a machine that is not emulated.
SLOWNESS = 10
MODULE_S = 3600


@pytest.fixture(scope="module")
def ready(machine):
    """A limit that the floods do not reach."""
    machine.run("modprobe nf_conntrack; sysctl -q -w net.netfilter.nf_conntrack_max=131072; "
                "echo 131072 >/sys/module/nf_conntrack/parameters/hashsize")
    return machine


@pytest.mark.parametrize("module", MODULES)
def test_in_namespaces(ready, module):  # pylint: disable=redefined-outer-name
    """Passed, all of them: what is skipped was not shown."""
    text = ready.run(f"cd {SUITE_ROOT} && CONNTIDE_BUILD={SUITE_BUILD} "
                     f"CONNTIDE_SLOWNESS={SLOWNESS} python3 -m pytest -q -p no:cacheprovider "
                     f"--color=no -m each_kernel tests/netns/{module}", within=MODULE_S,
                     check=False)
    print(text)
    assert re.search(r"^\d+ passed(, \d+ deselected)? in ", text, re.M), text[-8000:]
