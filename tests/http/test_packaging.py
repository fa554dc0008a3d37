# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shipped: units, manual pages, make install."""
import os
import re
import subprocess

import pytest
from harness import AGENT, BUILD, CLI, EXPORTER, ROOT

MAN = os.path.join(ROOT, "docs", "man")
RECORD, REPLAY = os.path.join(BUILD, "conntide-record"), os.path.join(BUILD, "conntide-replay")
FLOW = os.path.join(BUILD, "conntide-flow")


def run(*argv, **kwargs):
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT, **kwargs)


def output(*argv, **kwargs):
    done = run(*argv, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    path = tmp_path_factory.mktemp("dest")
    output("make", "install", f"DESTDIR={path}", "PREFIX=/usr", f"BUILD={BUILD}")
    return path


def test_install(installed):
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    for name in ("bin/conntide", "bin/conntide-agent", "bin/conntide-exporter",
                 "bin/conntide-record", "bin/conntide-replay", "bin/conntide-flow", "bin/conntide-demo",
                 "share/man/man1/conntide-demo.1", "share/man/man1/conntide-flow.1", "share/man/man1/conntide.1",
                 "share/man/man1/conntide-record.1", "share/man/man1/conntide-replay.1", "share/man/man8/conntide-agent.8",
                 "share/man/man8/conntide-exporter.8",
                 "lib/systemd/system/conntide-agent.service",
                 "lib/systemd/system/conntide-exporter.service",
                 "lib/sysusers.d/conntide.conf", "lib/tmpfiles.d/conntide.conf",
                 "share/conntide/grafana/conntide-host.json",
                 "share/conntide/grafana/conntide-fleet.json",
                 "share/conntide/alertmanager/conntide.tmpl",
                 "share/conntide/prometheus/rules.yml"):
        assert f"usr/{name}" in files
    assert "conntide" in output(installed / "usr/bin/conntide", "--version")
    for unit in (installed / "usr/lib/systemd/system").iterdir():
        assert "@" not in re.sub(r"(?m)^(SystemCallFilter=.*|#.*)$", "", unit.read_text())


@pytest.mark.parametrize("unit", ["conntide-agent", "conntide-exporter"])
def test_units_are_hardened(installed, unit):
    text = output("systemd-analyze", "security", "--offline=true", "--threshold=15",
                  f"{installed}/usr/lib/systemd/system/{unit}.service")
    score = float(re.search(r"exposure level for \S+: ([\d.]+)", text).group(1))
    print(unit, score)
    assert score <= 1.5


def test_sysusers_and_tmpfiles_agree(installed):
    done = run("systemd-sysusers", "--dry-run", installed / "usr/lib/sysusers.d/conntide.conf")
    assert done.returncode == 0, done.stderr
    users = set(re.findall(r"^[ug] (\S+)",
                           (installed / "usr/lib/sysusers.d/conntide.conf").read_text(), re.M))
    named = set(re.findall(r"^d \S+ \d+ (\S+) (\S+)",
                           (installed / "usr/lib/tmpfiles.d/conntide.conf").read_text(), re.M))
    assert {name for pair in named for name in pair} <= users


@pytest.mark.parametrize("program, page", [(AGENT, "conntide-agent.8"),
                                           (EXPORTER, "conntide-exporter.8"),
                                           (RECORD, "conntide-record.1"),
                                           (FLOW, "conntide-flow.1"),
                                           (REPLAY, "conntide-replay.1")])
def test_manual_pages_have_every_option(program, page):
    with open(os.path.join(MAN, page), encoding="utf-8") as file:
        text = file.read()
    helped = set(re.findall(r"^\s+(--[a-z][a-z0-9.-]+)", output(program, "--help"), re.MULTILINE))
    described = {name.replace("\\-", "-") for name in
                 re.findall(r"^\.B (\\-\\-[a-z0-9.\\-]+)", text, re.MULTILINE)}
    assert described - {"--help", "--version"} == helped - {"--help", "--version"}
    assert output("man", "-l", "--warnings=all", os.path.join(MAN, page)).count("warning") == 0


@pytest.mark.parametrize("page", sorted(os.listdir(MAN)))
def test_manual_pages_read_well(page):
    path = os.path.join(MAN, page)
    done = run("mandoc", "-T", "lint", "-W", "warning", path)
    assert done.returncode == 0, done.stdout
    shown = subprocess.run(["man", "-l", path], text=True, capture_output=True, check=True,
                           env={**os.environ, "MANWIDTH": "400", "LC_ALL": "C.UTF-8"}).stdout
    # A macro that sets its words in turns in two fonts sets them without blanks between.
    joined = re.findall(r".*[a-z]{2,}\.[A-Z][a-z].*|.*[a-z]{2,},[a-z]+,[a-z]{3,}.*", shown)
    assert not [line for line in joined if not line.lstrip().startswith(("#meta", "0,"))], joined
    assert max(len(line) for line in re.sub(r".\x08", "", shown).splitlines()) <= 400


def test_manual_page_of_the_exporter_names_every_address():
    with open(os.path.join(MAN, "conntide-exporter.8"), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(ROOT, "exporters", "http", "routes", "routes.c"), encoding="utf-8") as file:
        routes = re.findall(r'^\t\{(?:API )?"([^"{]+)', file.read(), re.MULTILINE)
    for route in set(routes) - {"/style.css"}:
        assert route.strip("/") in text, route
