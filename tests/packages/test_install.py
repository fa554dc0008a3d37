# SPDX-License-Identifier: GPL-2.0-or-later
"""make install and make uninstall; the units as they are installed; the library for readers."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ["CONNTIDE_BUILD"]
sys.path.insert(0, str(ROOT / "tests" / "http"))

import harness  # noqa: E402  pylint: disable=wrong-import-position

# What systemd-analyze security may say at most.
EXPOSURE = {"conntide-agent.service": 1.2, "conntide-exporter.service": 1.1}
SOCKET_FED = 0.3

for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)


def run(*command, **options):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **options)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}"
    return done.stdout


def make(target, destdir, *arguments):
    return run("make", "-s", "-C", str(ROOT), target, f"BUILD={BUILD}", f"DESTDIR={destdir}",
               "PREFIX=/usr", *arguments)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    destdir = tmp_path_factory.mktemp("installed")
    make("install", destdir)
    return destdir


def test_uninstall_leaves_nothing(tmp_path):
    (tmp_path / "usr/share/man/man1").mkdir(parents=True)
    (tmp_path / "usr/share/man/man1/other.1").write_text("of somebody else\n")
    make("install", tmp_path)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) > 20
    make("uninstall", tmp_path)
    left = [path for path in tmp_path.rglob("*") if path.is_file() or "conntide" in path.name]
    assert left == [tmp_path / "usr/share/man/man1/other.1"]


def test_without_a_destdir_it_says_what_is_missing(tmp_path):
    """As an ordinary user, into a folder of his own."""
    said = run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
               "packaging/after-install", "install", cwd=ROOT)
    assert "systemd-sysusers conntide.conf" in said and "conntide check --host" in said
    assert "systemd-tmpfiles --create conntide.conf" in said
    done = subprocess.run([ROOT / "packaging/after-install"], check=False, text=True,
                          capture_output=True, cwd=tmp_path)
    assert done.returncode == 2 and "usage" in done.stderr


def exposure(unit, root):
    said = run("systemd-analyze", "security", "--no-pager", "--offline=true", f"--root={root}",
               unit)
    return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", said).group(1))


def verify(root):
    """With what the units name and Debian has, as stubs."""
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin/kill").write_text("#!/bin/sh\n")
    (root / "bin/kill").chmod(0o755)
    for unit in ("sysinit.target", "network.target", "network-pre.target", "sockets.target",
                 "basic.target", "multi-user.target", "shutdown.target"):
        (root / "usr/lib/systemd/system" / unit).write_text("[Unit]\nDescription=stub\n")
    said = run("systemd-analyze", "verify", "--man=no", f"--root={root}",
               "conntide-agent.service", "conntide-exporter.service", "conntide-exporter.socket")
    assert "conntide" not in said, said


def test_units_are_valid(tmp_path):
    make("install", tmp_path)
    verify(tmp_path)


@pytest.mark.parametrize("unit", EXPOSURE)
def test_exposure(installed, unit):
    assert exposure(unit, installed) <= EXPOSURE[unit]


def test_exposure_socket_fed(tmp_path):
    make("install", tmp_path)
    drop_in = tmp_path / "etc/systemd/system/conntide-exporter.service.d"
    drop_in.mkdir(parents=True)
    (drop_in / "private-network.conf").write_bytes(
        (tmp_path / "usr/share/conntide/systemd/private-network.conf").read_bytes())
    said = run("systemd-analyze", "cat-config", f"--root={tmp_path}",
               "systemd/system/conntide-exporter.service")
    assert "PrivateNetwork=yes" in said and "@" not in re.sub(r"~?@[a-z-]+ ?", "", said.split(
        "private-network.conf")[-1]), said
    assert exposure("conntide-exporter.service", tmp_path) <= SOCKET_FED
    verify(tmp_path)


def test_the_agent_keeps_its_socket(installed):
    """What the test of the agent plays (tests/netns/test_service.py), the unit asks for."""
    unit = (installed / "usr/lib/systemd/system/conntide-agent.service").read_text()
    for line in ("Type=notify", "WatchdogSec=30s", "FileDescriptorStoreMax=1"):
        assert f"\n{line}\n" in unit, line


# --- the library -------------------------------------------------------------------


@pytest.fixture(scope="module")
def example(installed, tmp_path_factory):
    """docs/examples/read-table.c, built as its comment says, with what was installed."""
    env = {**os.environ, "PKG_CONFIG_PATH": f"{installed}/usr/lib/pkgconfig",
           "PKG_CONFIG_SYSROOT_DIR": str(installed)}
    flags = run("pkg-config", "--cflags", "--libs", "conntide", env=env).split()
    program = tmp_path_factory.mktemp("example") / "read-table"
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", str(program),
        str(ROOT / "docs/examples/read-table.c"), *flags)
    return program


def test_the_library_reads_what_the_command_line_reads(example, tmp_path):
    text = (ROOT / "tests/golden/nginx.segment").read_text()
    segment = harness.Segment(str(tmp_path), "\n".join(
        line for line in text.splitlines() if line and not line.startswith("#")))
    try:
        first, *cells = run(str(example), str(tmp_path)).splitlines()
        rows = json.loads(run(harness.CLI, "cells", "--json", "--runtime-dir", str(tmp_path)))
        assert first == "OK: 7512 of 262144 entries, exact"
        assert sorted(cells) == sorted(
            f"{row['l4proto']} {row['direction']} {row['port']} {row['state']} {row['entries']}"
            for row in rows)
        assert len(cells) == 6
        segment.do("silent", "age 60")
        assert run(str(example), str(tmp_path)).startswith("UNKNOWN: 7512 of 262144 entries, no ag")
    finally:
        segment.close()


def test_the_library_says_what_failed(example, tmp_path):
    done = subprocess.run([example, str(tmp_path)], text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "no table is published here" in done.stderr


def test_the_library_shows_its_names_only(installed):
    names = run("nm", "-g", "--defined-only", f"{installed}/usr/lib/libconntide.a").split()
    assert {name for name in names if name.startswith(("shm_", "snapshot_", "health_"))} == set()
    assert {name for name in names if "conntide_" in name} == {
        f"conntide_{name}" for name in ("open", "read", "status", "cells", "error", "close")}


def test_the_header_is_also_cxx(installed, tmp_path):
    source = tmp_path / "a.cc"
    source.write_text("#include <conntide.h>\nint main() { conntide_close(nullptr); }\n")
    run("c++", "-Wall", "-Werror", "-fsyntax-only", f"-I{installed}/usr/include", str(source))
