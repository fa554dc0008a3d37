# SPDX-License-Identifier: GPL-2.0-or-later
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "http"))

import harness  # noqa: E402  pylint: disable=wrong-import-position

HERE = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture
def nginx(tmp_path):
    """The table of tests/golden/nginx.segment, kept alive."""
    lines = (HERE / "golden" / "nginx.segment").read_text().splitlines()
    segment = harness.Segment(str(tmp_path), "\n".join(
        line for line in lines if line and not line.startswith("#")))
    segment.directory = str(tmp_path)
    yield segment
    segment.close()


@pytest.fixture
def build():
    return pathlib.Path(os.environ["CONNTIDE_BUILD"])
