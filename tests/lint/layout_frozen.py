#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The offsets of the shared segment, frozen: whoever moves a field raises SHM_VERSION_MAJOR,
whoever appends one SHM_VERSION_MINOR.

    tests/lint/layout_frozen.py --update                 after the version was raised
    tests/lint/layout_frozen.py --update --unreleased    nobody has this version yet
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import source  # noqa: E402  pylint: disable=wrong-import-position

GOLDEN = os.path.join("tests", "lint", "layout.golden")
HEADER = "lib/shm/layout.h"


def structs():
    """Each struct of the layout and its fields, after the tables were expanded."""
    done = subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-E", "-P", "-std=gnu11", "-D_GNU_SOURCE",
                           "-I", source.ROOT, os.path.join(source.ROOT, HEADER)],
                          check=True, text=True, stdout=subprocess.PIPE)
    for name, body in re.findall(r"struct (shm_\w+)\s*\{(.*?)\n\};", done.stdout, re.S):
        yield name, re.findall(r"(\w+)(?:\s*\[[^\]]*\])*\s*;", body)


def lines_now():
    text = ['#include <stdio.h>', f'#include "{HEADER}"', "int main(void)", "{",
            'printf("version %d.%d\\n", SHM_VERSION_MAJOR, SHM_VERSION_MINOR);']
    for name, fields in structs():
        text.append(f'printf("{name} size %zu\\n", sizeof(struct {name}));')
        text += [f'printf("{name} {field} %zu\\n", offsetof(struct {name}, {field}));'
                 for field in fields]
    text.append("return 0;\n}\n")
    with tempfile.TemporaryDirectory() as directory:
        return source.compile_and_run("\n".join(text), directory).splitlines()


def table(lines):
    return {line.rsplit(" ", 1)[0]: line.rsplit(" ", 1)[1] for line in lines}


def golden():
    return source.read(GOLDEN).splitlines()


def verdict(before, now):
    """None, or what to do."""
    before, now = table(before), table(now)
    if before == now:
        return None
    moved = sorted(name for name in before
                   if name != "version" and now.get(name) != before[name]
                   and not name.endswith(" size"))
    (old_major, old_minor), (major, minor) = (map(int, lines["version"].split("."))
                                              for lines in (before, now))
    if moved and major <= old_major:
        return f"moved or gone: {', '.join(moved[:5])}: raise SHM_VERSION_MAJOR"
    if not moved and (major, minor) <= (old_major, old_minor):
        return "the layout grew: raise SHM_VERSION_MINOR"
    return "the version was raised: tests/lint/layout_frozen.py --update"


def test_layout_is_frozen():
    wrong = verdict(golden(), lines_now())
    assert wrong is None, wrong


def test_every_struct_is_seen():
    names = {name for name, _ in structs()}
    text = "".join(source.read(path) for path in source.files("lib/shm", suffixes=(".h",))
                   if path.startswith("lib/shm/layout"))
    assert names == set(re.findall(r"^struct (shm_\w+) \{", text, re.M))
    assert len(table(lines_now())) > 100


def test_verdicts():
    old = ["version 1.0", "a size 8", "a x 0", "a y 4"]
    assert verdict(old, old) is None
    assert "MAJOR" in verdict(old, ["version 1.0", "a size 8", "a x 4", "a y 0"])
    assert "MAJOR" in verdict(old, ["version 1.1", "a size 4", "a x 0"])
    assert "MINOR" in verdict(old, old[:1] + ["a size 12"] + old[2:] + ["a z 8"])
    assert "--update" in verdict(old, ["version 1.1", "a size 12"] + old[2:] + ["a z 8"])
    assert "--update" in verdict(old, ["version 2.0", "a size 4", "a y 0"])


def main():
    now = lines_now()
    path = os.path.join(source.ROOT, GOLDEN)
    wrong = verdict(golden(), now) if os.path.exists(path) else None
    if "--update" not in sys.argv:
        sys.exit(wrong)
    if wrong and "--update" not in wrong and "--unreleased" not in sys.argv:
        sys.exit(wrong)
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(now) + "\n")


if __name__ == "__main__":
    main()
