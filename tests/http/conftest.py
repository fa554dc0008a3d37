# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the tests of the exporter."""
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
from harness import SMALL, Exporter, Segment


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="conntide-http-", dir="/dev/shm")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def small():
    with open(SMALL, encoding="ascii") as file:
        return file.read()


@pytest.fixture
def segment(directory, small):  # pylint: disable=redefined-outer-name
    made = Segment(directory, small)
    yield made
    made.close()


@pytest.fixture
def start(directory):  # pylint: disable=redefined-outer-name
    running = []

    def start_exporter(*options, **kwargs):
        running.append(Exporter(directory, *options, **kwargs))
        return running[-1]
    yield start_exporter
    for exporter in running:
        exporter.close()


@pytest.fixture
def exporter(segment, start):  # pylint: disable=redefined-outer-name,unused-argument
    return start()
