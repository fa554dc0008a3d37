# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/architecture.md draws the tree as it is, and names no file that is gone."""
import os
import re
import sys

import pytest

import source

sys.path.insert(0, os.path.join(source.ROOT, "tools"))

import architecture  # pylint: disable=wrong-import-position

PATH = re.compile(r"`((?:lib|agent|exporters|tests|tools|docs|dashboards|packaging)/[\w./-]*)`")


def gone(text):
    return [path for path in PATH.findall(text)
            if not os.path.exists(os.path.join(source.ROOT, path))]


def test_the_drawing_is_fresh():
    old, new = architecture.page()
    assert old == new, "make architecture"


def test_files_it_names_exist():
    text = source.read("docs/architecture.md")
    assert len(PATH.findall(text)) > 30
    assert not gone(text)
    assert gone("see `lib/nothing.c`")


def tree(root, **files):
    for path, text in files.items():
        path = os.path.join(root, *path.split("__")) + ".h"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    return architecture.graph(str(root))


def test_an_include_is_drawn(tmp_path):
    folders = tree(tmp_path, lib__a__one="", lib__b__two='#include "lib/a/one.h"\n',
                   agent__three='#include "lib/b/two.h"\n#include "lib/a/one.h"\n')
    assert list(architecture.arrows(folders)) == [("agent", "lib/b"), ("lib/b", "lib/a")]
    assert architecture.floors(folders) == [["lib/a"], ["lib/b"], ["agent"]]


def test_a_circle_is_not_drawn(tmp_path):
    folders = tree(tmp_path, lib__a__one='#include "lib/b/two.h"\n',
                   lib__b__two='#include "lib/a/one.h"\n')
    with pytest.raises(ValueError, match="circle"):
        architecture.floors(folders)
