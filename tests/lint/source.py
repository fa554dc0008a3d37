# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources of lib/, agent/ and exporters/, as the lints look at them."""
import os
import re
import shlex
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
INCLUDE = re.compile(r'^#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def files(*folders, suffixes=(".c", ".h")):
    """Paths from the root, as git would list them or, without git, as they lie there."""
    for folder in folders:
        for where, names, found in os.walk(os.path.join(ROOT, folder)):
            names[:] = sorted(name for name in names if name not in ("build", "__pycache__"))
            for name in sorted(found):
                if name.endswith(suffixes):
                    yield os.path.relpath(os.path.join(where, name), ROOT)


def blank_comments(text):
    """The text with comments blanked, lines kept; strings stay."""
    def blank(match):
        found = match.group(0)
        return re.sub(r"[^\n]", " ", found) if found.startswith(("/*", "//")) else found
    return COMMENT.sub(blank, text)


def code(path):
    return blank_comments(read(path))


def includes(path):
    """(own headers, system headers)"""
    found = INCLUDE.findall(code(path))
    return [own for own, _ in found if own], [system for _, system in found if system]


def lines_with(path, pattern):
    """path:line: text of each line of code that matches."""
    return [f"{path}:{number}: {line.strip()}"
            for number, line in enumerate(code(path).split("\n"), 1) if re.search(pattern, line)]


def compile_and_run(program, directory):
    """Output of a small C program that may include from the root."""
    source = os.path.join(directory, "program.c")
    with open(source, "w", encoding="ascii") as file:
        file.write(program)
    subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-std=gnu11", "-D_GNU_SOURCE", "-I", ROOT, "-o",
                    source[:-2], source], check=True)
    return subprocess.run([source[:-2]], check=True, text=True, stdout=subprocess.PIPE).stdout
