# SPDX-License-Identifier: GPL-2.0-or-later
"""One table, all renderings, compared with what they were.

GOLDEN_UPDATE=1 writes the files anew: look at the difference before it is committed.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "http"))

# pylint: disable=wrong-import-position
from harness import CLI, SMALL, Exporter, Segment

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}

# What differs from one run to the next: times, versions, this process' own use.
VOLATILE = [
    (r"numbers are [\d.]+ s old", "numbers are N s old"),
    (r"<dd>[\d.]+ s</dd>", "<dd>N s</dd>"),
    (r'("age_seconds":\s*)[\d.]+', r"\1N"),
    (r'("heartbeat_timestamp_seconds":\s*)[\d.]+', r"\1N"),
    (r'("computed_timestamp_seconds":\s*)[\d.]+', r"\1N"),
    (r"made        \S+,", "made        TIME,"),
    (r'(<polyline class="past" points=")[^"]*"', r'\1..."'),
    (r'("agent_pid":\s*)\d+', r"\1N"),
    (r"(?m)^((?:process_\w+|conntide_scrape_duration_seconds|conntide_http_connections|"
     r"conntide_agent_heartbeat_timestamp_seconds)(?:\{.*\})?) \S+$", r"\1 N"),
    (r"(?m)^conntide_build_info\{.*\}", "conntide_build_info{...}"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ(,\d+|\s+\d+)", "TIME"),
    (r"conntide [\d.]+ \(\w+\)", "conntide VERSION"),
]

RENDERINGS = {
    "status.txt": ("cli", "status"),
    "status.json": ("cli", "status", "--json"),
    "forecast.txt": ("cli", "forecast"),
    "forecast.json": ("cli", "forecast", "--json"),
    "forecast.history.txt": ("cli", "forecast", "--history"),
    "forecast.history.csv": ("http", "/api/v1/forecast/history?format=csv", {}),
    "ports.txt": ("cli", "ports"),
    "ports.json": ("cli", "ports", "--json"),
    "ports.csv": ("cli", "ports", "--format", "csv"),
    "cells.ndjson": ("cli", "cells", "--format", "ndjson"),
    "metrics.prom": ("http", "/metrics", {}),
    "metrics.openmetrics": ("http", "/metrics", OPENMETRICS),
    "history.csv": ("http", "/api/v1/history?format=csv", {}),
    "page.html": ("http", "/", {}),
}


@pytest.fixture(scope="module")
def world():
    directory = tempfile.mkdtemp(prefix="conntide-golden-", dir="/dev/shm")
    os.chmod(directory, 0o755)
    with open(SMALL, encoding="ascii") as file:
        segment = Segment(directory, file.read())
    exporter = Exporter(directory)
    yield directory, exporter
    exporter.close()
    segment.close()
    shutil.rmtree(directory)


def render(world, how, what, *more):
    directory, exporter = world
    if how == "http":
        return exporter.get(what, *more).text
    return subprocess.run([CLI, what, "--runtime-dir", directory, *more], check=True,
                          capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", RENDERINGS)
def test_golden(world, name):  # pylint: disable=redefined-outer-name
    text = render(world, *RENDERINGS[name]).replace("\r\n", "\n")
    for pattern, replacement in VOLATILE:
        text = re.sub(pattern, replacement, text)
    path = os.path.join(HERE, "small." + name)
    if os.environ.get("GOLDEN_UPDATE"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(path, encoding="utf-8") as file:
        assert text == file.read(), "GOLDEN_UPDATE=1 make test-golden, then look at git diff"
