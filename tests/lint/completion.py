#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is written from the table of options: packaging/completion, and the options in
docs/man/conntide.1. Stale after the table has changed: `make completion` writes them anew."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import source  # noqa: E402  pylint: disable=wrong-import-position

FILES = {"bash": "packaging/completion/conntide.bash", "zsh": "packaging/completion/_conntide",
         "fish": "packaging/completion/conntide.fish"}
MANUAL = "docs/man/conntide.1"
BEGIN, END = '.\\" make completion: begin\n', '.\\" make completion: end\n'


def printed(shell):
    build = os.environ.get("CONNTIDE_BUILD", os.path.join(source.ROOT, "build"))
    return subprocess.run([os.path.join(build, "conntide"), "completion", shell], check=True,
                          text=True, stdout=subprocess.PIPE).stdout


def wanted():
    """Path -> what should be in it."""
    files = {path: printed(shell) for shell, path in FILES.items()}
    text = source.read(MANUAL)
    files[MANUAL] = text[:text.index(BEGIN)] + BEGIN + printed("man") + text[text.index(END):]
    return files


def test_completions_and_manual_are_those_of_the_program():
    stale = [path for path, text in wanted().items() if source.read(path) != text]
    assert not stale, f"make completion: {stale}"


def test_every_command_is_in_the_manual():
    described = set(re.findall(r"^\.BR? (?:\" ?)?([a-z]+)", source.read(MANUAL).split(
        ".SH COMMANDS")[1].split(".SH OPTIONS")[0], re.M))
    commands = set(re.findall(r"^\t\{\"([a-z]+)\", cmd_", source.read(
        "exporters/cli/commands.c"), re.M))
    assert len(commands) > 15 and commands <= described, commands - described


if __name__ == "__main__":
    for name, content in wanted().items():
        with open(os.path.join(source.ROOT, name), "w", encoding="utf-8") as file:
            file.write(content)
