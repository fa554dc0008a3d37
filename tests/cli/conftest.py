# SPDX-License-Identifier: GPL-2.0-or-later
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "http"))

import harness  # noqa: E402  pylint: disable=wrong-import-position


class Table:
    """A segment of tests/golden, kept alive, and conntide on it."""

    def __init__(self, directory, name):
        lines = (TESTS / "golden" / f"{name}.segment").read_text().splitlines()
        self.directory = str(directory)
        self.segment = harness.Segment(self.directory, "\n".join(
            line for line in lines if line and not line.startswith("#")))
        self.do = self.segment.do

    def run(self, *words, **environment):
        """conntide, and all it says."""
        return subprocess.run([harness.CLI, "--runtime-dir", self.directory, *words], text=True,
                              capture_output=True, check=False, timeout=60,
                              stdin=subprocess.DEVNULL,
                              env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environment})

    def text(self, *words, **environment):
        done = self.run(*words, **environment)
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture
def table(tmp_path):
    made = []

    def make(name):
        made.append(Table(tmp_path, name))
        return made[-1]
    yield make
    for one in made:
        one.segment.close()


@pytest.fixture
def nginx(table):  # pylint: disable=redefined-outer-name
    return table("nginx")
