# SPDX-License-Identifier: GPL-2.0-or-later
"""The laboratory of tests/netns, for scenarios: hooks and fixtures are the same."""
import importlib.util
import os
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
NETNS = os.path.join(os.path.dirname(HERE), "netns")
sys.path[:0] = [HERE, NETNS]

# Both files are called conftest: this one needs another name.
_spec = importlib.util.spec_from_file_location("netns_conftest", os.path.join(NETNS, "conftest.py"))
_netns = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_netns)

pytest_configure = _netns.pytest_configure
pytest_sessionstart = _netns.pytest_sessionstart
host = _netns.host
start_agent = _netns.start_agent
flood_program = _netns.flood_program
flood = _netns.flood
machine_sysctls = _netns.machine_sysctls


def pytest_collection_modifyitems(config, items):
    _netns.pytest_collection_modifyitems(config, items)
    missing = [tool for tool in ("nginx", "squid", "curl") if not shutil.which(tool)]
    for item in items if missing else ():
        item.add_marker(pytest.mark.skip(reason="missing: " + " ".join(missing)))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    """What was promised and what came, whether it passed or not."""
    import savings  # pylint: disable=import-outside-toplevel
    if savings.report:
        terminalreporter.section("savings: predicted and measured entries")
        for line in savings.report:
            terminalreporter.write_line(line)
