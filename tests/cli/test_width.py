# SPDX-License-Identifier: GPL-2.0-or-later
"""At a terminal no line is wider than it, and no row of a table goes over two lines; in a pipe
lines stay as they are. Every command that --help lists is held to it."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

import harness

# Not asked: what they print is for other programs, or is another test's (tests/terminal,
# tests/netns/test_flow.py, tests/netns/test_record.py, tests/replay, test_demo.py).
NOT_ASKED = {"completion", "top", "flow", "record", "replay", "run", "demo"}
# What a command needs to print something, and other forms of it.
WORDS = {"status": ["", "-v"], "forecast": ["", "--history"], "help": ["", "ports", "check"],
         "whatif": ["notrack=tcp/80 timeout.tcp_time_wait=30"], "explain": ["", "TIME_WAIT"],
         "incidents": ["", "20260102T000000Z-0000000a"], "check": ["", "--host"]}
FIXTURES = {"nat": "gateway", "forecast": "small"}
BEGAN = 1767312000


def commands():
    done = subprocess.run([harness.CLI, "--help"], text=True, check=True, capture_output=True)
    names = re.findall(r"(?m)^  ([a-z]+) ", done.stdout.split("Commands:\n")[1].split("\n\n")[0])
    assert "incidents" in names and NOT_ASKED < set(names)
    return [f"{name} {words}".strip() for name in names if name not in NOT_ASKED
            for words in WORDS.get(name, [""])]


def at_terminal(columns, *words):
    """What a terminal of so many columns gets."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([harness.CLI, *words], stdin=subprocess.DEVNULL, stdout=slave,
                          stderr=slave) as process:
        os.close(slave)
        said = b""
        try:
            while chunk := os.read(master, 65536):
                said += chunk
        except OSError:
            pass  # how the other end of a terminal says that it was closed
        process.wait(60)
    os.close(master)
    return said.decode().replace("\r\n", "\n")


@pytest.fixture(name="made")
def kept_table(request, table, tmp_path):
    """(what the command is typed with, the words that make it)"""
    command = request.param
    made = table(FIXTURES.get(command.split()[0], "nginx"))
    where = tmp_path / "state" / "host.incidents"
    where.mkdir(parents=True)
    made.do(f"incident {where} 20260101T000000Z-00000001 high {BEGAN - 86400} 8500 10000 0",
            f"incident {where} 20260102T000000Z-0000000a drops {BEGAN} 10000 10000 42")
    words = command.split()
    if words[0] == "incidents":
        words += ["--state-dir", str(tmp_path / "state")]
    elif words[0] not in ("help", "explain"):
        words += ["--runtime-dir", made.directory]
    return made, words


def tables(text):
    """The tables in it: a line of titles, up to the next empty line or sentence."""
    found = []
    for block in re.split(r"\n\n", text):
        lines = block.splitlines()
        for i, line in enumerate(lines):
            if re.fullmatch(r"[A-Z][A-Z/0-9]*( +[A-Z][A-Z/0-9]*)+( +[A-Z/0-9 ]+)?", line.strip()):
                found.append(lines[i:])
                break
    return found


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("made", commands(), indirect=True)
def test_fits(made, columns):
    made, words = made
    piped = made.run(*words).stdout
    shown, wide = at_terminal(columns, *words), at_terminal(1000, *words)
    assert piped and shown
    # Commands to copy stay whole.
    keep = 5 if words[0] == "advice" else 1000
    too_wide = [line for line in shown.splitlines()
                if len(line) > columns and not line.startswith(" " * keep)]
    assert not too_wide, too_wide
    assert len(tables(wide)) == len(tables(shown)) == len(tables(piped))
    for narrow, whole in zip(tables(shown), tables(wide)) if columns >= 80 else ():
        rows = [line for line in narrow if re.match(r"\S", line)]
        assert len(rows) == len(narrow) == len(whole), ("a row goes over two lines", narrow)
    if not tables(shown):
        assert plain(shown) == plain(piped), "no word is lost"
    assert plain(wide) == plain(piped), "no word is lost where there is room"


def plain(text):
    return [word for word in text.split() if not word[0].isdigit()]


@pytest.mark.parametrize("columns", [80, 60])
def test_the_first_columns_stay(table, columns, tmp_path):
    """What a row is, and how much: never left out."""
    made = table("nginx")
    where = tmp_path / "state" / "host.incidents"
    where.mkdir(parents=True)
    made.do(f"incident {where} 20260102T000000Z-0000000a drops {BEGAN} 10000 10000 42")
    for command, titles in {
            "ports": "PROTO DIRECTION PORT ENTRIES STATES", "talkers": "KIND ADDRESS PORT ENTRIES",
            "nat": "PROTO ADDRESS REMOTE PORT USED HELD", "cells": "PROTO PORT STATE ENTRIES",
            "why": "SHARE ENTRIES PORT MOSTLY",
            f"incidents --state-dir {tmp_path}/state": "ID STATE PEAK"}.items():
        words = command.split()
        if words[0] != "incidents":
            words += ["--runtime-dir", made.directory]
        shown = tables(at_terminal(columns, *words))
        if words[0] == "nat" and not shown:
            continue
        assert set(titles.split()) <= set(shown[0][0].split()), shown[0][0]


@pytest.mark.parametrize("columns", [80, 60])
def test_long_addresses(table, columns):
    """Two IPv6 addresses side by side are wider than a terminal: both ends of each stay."""
    made = table("gateway")
    long = "2001:db8:1111:2222:3333:4444:5555:{}"
    made.do(f"nat tcp {long.format(6601)} {long.format(7702)} 8443 {long.format(8803)} 500 0 1000 0",
            f"talker source {long.format(9904)} 500 3 4")
    rows = [line for line in at_terminal(columns, "nat", "--runtime-dir", made.directory).splitlines()
            if line.startswith("tcp ")]
    assert len(rows) == 3 and all(len(line) <= columns for line in rows), rows
    assert re.search(r"2001:\S+\.\.\S*6601 +2001:\S+\.\.\S*7702 +8443 +500", "\n".join(rows)), rows
    for words in (["nat"], ["talkers"]):
        lines = at_terminal(columns, *words, "--runtime-dir", made.directory).splitlines()
        assert all(len(line) <= columns for line in lines), lines
    piped = made.text("nat", "--json") + made.text("nat", "--format", "csv")
    assert piped.count(long.format(6601)) == piped.count(long.format(7702)) == 2, "whole for programs"


def test_an_unreadable_incident_has_its_reason(tmp_path):
    where = tmp_path / "host.incidents"
    where.mkdir()
    (where / "20260103T000000Z-0000000a.high.incident").write_text("none")
    shown = at_terminal(80, "incidents", "--state-dir", str(tmp_path))
    assert "unreadable" in shown and "cut short" in shown
    assert all(len(line) <= 80 for line in shown.splitlines()), shown


def test_commands_stay_whole(nginx):
    shown = at_terminal(60, "--runtime-dir", nginx.directory, "advice")
    assert any(len(line) > 60 for line in shown.splitlines() if "nft add" in line)


def test_no_agent_is_said_once(tmp_path):
    shown = at_terminal(80, "--runtime-dir", str(tmp_path), "status")
    assert shown.count("host.table") == 1 and shown.startswith("NO AGENT")
