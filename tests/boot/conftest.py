# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine: the packages and the suite of this commit on it, nothing installed."""
import contextlib
import os
import pathlib
import re

import pytest

import machine as machine_module
from machine import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["CONNTIDE_BUILD"])
MAKE = os.environ.get("MAKE", "make")
# What tests/netns uses beside the packages' programs.
PROGRAMS = ("flood", "segment-fixture", "remedy-catalogue")
TRACK = """table inet boot {
	chain out {
		type filter hook output priority 0;
		ct state new accept
	}
}
"""

for variable in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(variable, None)


def older(package, directory):
    """The same package with a lower version: what an upgrade starts from."""
    tree = directory / package.stem
    run("dpkg-deb", "-R", str(package), str(tree))
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)(^Version: \S+)|\(= ([^)]+)\)", lambda found: (
        f"{found.group(1)}~before" if found.group(1) else f"(= {found.group(2)}~before)"),
        control.read_text()))
    run("dpkg-deb", "--root-owner-group", "-b", str(tree), str(directory))


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    directory = tmp_path_factory.mktemp("boot")
    run(MAKE, "--no-print-directory", "-C", str(ROOT), "deb",
        f"BUILD={BUILD}/packages")
    built = [path for path in (BUILD / "packages/deb").glob("conntide*.deb")
             if "dbgsym" not in path.name]
    assert len(built) == 3, built
    before = directory / "before"
    before.mkdir()
    for package in built:
        older(package, before)
    programs = [BUILD / "tests" / name for name in PROGRAMS]
    run(MAKE, "--no-print-directory", "-C", str(ROOT), *map(str, programs), f"BUILD={BUILD}")
    machine_module.make_image(directory, {"new": built, "old": sorted(before.glob("*.deb"))},
                              programs)
    with contextlib.closing(machine_module.Machine(directory)) as made:
        made.wait_up()
        made.run(f"cat >/etc/nftables.conf <<'END'\n{TRACK}END\n"
                 "systemctl enable --now nftables")
        yield made
        print(made.console.read_text(errors="replace")[-2000:])
