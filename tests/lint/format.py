# SPDX-License-Identifier: GPL-2.0-or-later
"""Every C file is as clang-format leaves it; `make format` makes it so."""
import os
import subprocess

import source

# One version for all: what a later one does differently is no reason to change a file.
FORMATTER = "clang-format-14"


def unformatted(paths):
    done = subprocess.run([FORMATTER, "--dry-run", "-Werror", "-ferror-limit=1", *paths],
                          cwd=source.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    return done.stdout if done.returncode else ""


def test_format():
    wrong = unformatted(list(source.files("lib", "agent", "exporters", "tests")))
    assert not wrong, "make format:\n" + wrong


def test_an_unformatted_file_is_found(tmp_path):
    path = os.path.join(tmp_path, "odd.c")
    with open(path, "w", encoding="ascii") as file:
        file.write("int  odd( void ) {return 0;}\n")
    with open(os.path.join(source.ROOT, ".clang-format"), encoding="utf-8") as style, \
            open(os.path.join(tmp_path, ".clang-format"), "w", encoding="utf-8") as copy:
        copy.write(style.read())
    assert unformatted([path])
