# SPDX-License-Identifier: GPL-2.0-or-later
"""At a terminal no line is wider than it; in a pipe lines stay as they are."""
import fcntl
import os
import pty
import struct
import subprocess
import termios

import pytest

import harness

COMMANDS = ["status", "status -v", "ports", "cells", "forecast", "forecast --history", "why",
            "advice", "talkers", "nat", "whatif notrack=tcp/80 timeout.tcp_time_wait=30"]


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


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("command", COMMANDS)
def test_fits(table, columns, command):
    made = table("gateway" if command == "nat" else "nginx")
    piped = made.run(*command.split()).stdout
    shown = at_terminal(columns, "--runtime-dir", made.directory, *command.split())
    # Commands to copy stay whole.
    keep = 5 if command == "advice" else 1000
    wide = [line for line in shown.splitlines()
            if len(line) > columns and not line.startswith(" " * keep)]
    assert not wide, wide
    assert [word for word in shown.split() if not word[0].isdigit()] == \
        [word for word in piped.split() if not word[0].isdigit()], "no word is lost"
    assert "\n\n\n" not in shown.replace(piped, "")


def test_commands_stay_whole(nginx):
    shown = at_terminal(60, "--runtime-dir", nginx.directory, "advice")
    assert any(len(line) > 60 for line in shown.splitlines() if "nft add" in line)


def test_no_agent_is_said_once(tmp_path):
    shown = at_terminal(80, "--runtime-dir", str(tmp_path), "status")
    assert shown.count("host.table") == 1 and shown.startswith("NO AGENT")
