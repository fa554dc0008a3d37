# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the tests of the page: an exporter on a segment of the fixture, and the packages
from npm that package-lock.json names."""
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "http"))

# pylint: disable=wrong-import-position
from harness import BUILD, SMALL, Exporter, Segment


@pytest.fixture(scope="session")
def node():
    """The folder with node_modules/, made anew when the lock says something else."""
    folder = os.path.join(BUILD, "tests", "page-node")
    with open(os.path.join(HERE, "package-lock.json"), encoding="utf-8") as file:
        lock = file.read()
    stamp = os.path.join(folder, "installed")
    if not os.path.exists(stamp) or open(stamp, encoding="utf-8").read() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, name), folder)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                              cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(lock)
    return folder


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="conntide-page-", dir="/dev/shm")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def segment(directory):  # pylint: disable=redefined-outer-name
    with open(SMALL, encoding="ascii") as file:
        made = Segment(directory, file.read())
    yield made
    made.close()


@pytest.fixture
def exporter(segment, directory):  # pylint: disable=redefined-outer-name,unused-argument
    made = Exporter(directory, "--web.show-hosts=loopback", "--state-dir", directory)
    yield made
    made.close()
