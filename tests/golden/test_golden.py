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
    (r"(peak .*entries, )[\dT:Z-]+", r"\1TIME"),
    (r"<dd>[\d.]+ s</dd>", "<dd>N s</dd>"),
    (r'("age_seconds":\s*)[\d.]+', r"\1N"),
    (r'("heartbeat_timestamp_seconds":\s*)[\d.]+', r"\1N"),
    (r'("computed_timestamp_seconds":\s*)[\d.]+', r"\1N"),
    (r'("saves_peak_timestamp_seconds":\s*)[\d.]+', r"\1N"),
    (r"made        \S+,", "made        TIME,"),
    (r'(<polyline class="past" points=")[^"]*"', r'\1..."'),
    (r'("level_since":\s*)"[^"]*"', r'\1"TIME"'),
    (r'("verified_seconds_ago":\s*)[\d.]+', r"\1N"),
    (r'("agent_pid":\s*)\d+', r"\1N"),
    (r"(?m)^((?:process_\w+|conntide_scrape_duration_seconds|conntide_http_connections|"
     r"conntide_agent_heartbeat_timestamp_seconds)(?:\{.*\})?) \S+$", r"\1 N"),
    (r"(?m)^conntide_build_info\{.*\}", "conntide_build_info{...}"),
    (r'("over_seconds":\s*)(?!null)[\d.]+', r"\1N"),
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


# The table of nginx without upstream keepalive: what is made of it.
NGINX_RENDERINGS = {
    "why.txt": ("cli", "why"),
    "why.json": ("cli", "why", "--json"),
    "advice.txt": ("cli", "advice"),
    "advice.json": ("http", "/api/v1/advice", {}),
    "whatif.txt": ("cli", "whatif", "notrack=tcp/80", "timeout.tcp_time_wait=30"),
    "whatif.json": ("http", "/api/v1/whatif?keepalive=tcp/8080&max=524288&rate.tcp/80=2", {}),
    "talkers.txt": ("cli", "talkers"),
    "talkers.csv": ("http", "/api/v1/talkers?kind=source&format=csv", {}),
}

# A gateway whose source NAT runs out of ports towards one destination.
GATEWAY_RENDERINGS = {
    "nat.txt": ("cli", "nat"),
    "nat.json": ("cli", "nat", "--json"),
    "nat.csv": ("http", "/api/v1/nat?limit=2&format=csv", {}),
    "why.txt": ("cli", "why"),
    "advice.txt": ("cli", "advice"),
}


def make_offline(description):
    directory = tempfile.mkdtemp(prefix="conntide-golden-", dir="/dev/shm")
    os.chmod(directory, 0o755)
    with open(description, encoding="ascii") as file:
        segment = Segment(directory, file.read())
    exporter = Exporter(directory, "--web.show-hosts=loopback", "--state-dir", directory)
    yield directory, exporter
    exporter.close()
    segment.close()
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def world():
    yield from make_offline(SMALL)


@pytest.fixture(scope="module")
def nginx():
    yield from make_offline(os.path.join(HERE, "nginx.segment"))


@pytest.fixture(scope="module")
def gateway():
    yield from make_offline(os.path.join(HERE, "gateway.segment"))


def render(where, how, what, *more):
    directory, exporter = where
    if how == "http":
        return exporter.get(what, *more).text
    return subprocess.run([CLI, what, "--runtime-dir", directory, *more], check=True,
                          capture_output=True, text=True).stdout


def compare(text, name):
    for pattern, replacement in VOLATILE:
        text = re.sub(pattern, replacement, text)
    path = os.path.join(HERE, name)
    if os.environ.get("GOLDEN_UPDATE"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(path, encoding="utf-8") as file:
        assert text == file.read(), "GOLDEN_UPDATE=1 make test-golden, then look at git diff"


@pytest.mark.parametrize("name", RENDERINGS)
def test_golden(world, name):  # pylint: disable=redefined-outer-name
    compare(render(world, *RENDERINGS[name]).replace("\r\n", "\n"), "small." + name)


@pytest.mark.parametrize("name", NGINX_RENDERINGS)
def test_golden_of_nginx(nginx, name):  # pylint: disable=redefined-outer-name
    compare(render(nginx, *NGINX_RENDERINGS[name]).replace("\r\n", "\n"), "nginx." + name)


@pytest.mark.parametrize("name", GATEWAY_RENDERINGS)
def test_golden_of_gateway(gateway, name):  # pylint: disable=redefined-outer-name
    compare(render(gateway, *GATEWAY_RENDERINGS[name]).replace("\r\n", "\n"), "gateway." + name)


def test_gateway_has_metrics(gateway):  # pylint: disable=redefined-outer-name
    """Pools by address only where hosts may be shown; what has no address always."""
    lines = gateway[1].get("/metrics").text.splitlines()
    assert ('conntide_nat_pool_ports{netns="host",l4proto="tcp",address="203.0.113.1",'
            'remote="198.51.100.20",remote_port="443"} 60700') in lines
    assert 'conntide_nat_pool_used_ratio{netns="host",l4proto="tcp",remote_port="443"} 0.940755' \
        in lines
    assert 'conntide_forecast_nat_time_to_full_seconds{netns="host",bound="late"} +Inf' in lines
    pool = "tcp 203.0.113.1 towards 198.51.100.20:443"
    assert pool in gateway[1].get("/").text
    hidden = Exporter(gateway[0])
    try:
        text, page = hidden.get("/metrics").text, hidden.get("/").text
    finally:
        hidden.close()
    assert "Ports of source NAT" in page and "203.0.113.1" not in page
    assert "conntide_nat_pool_used_ratio" in text and "203.0.113.1" not in text


def test_readme_shows_what_is_said():
    with open(os.path.join(HERE, "..", "..", "README.md"), encoding="utf-8") as file:
        shown = file.read().split("$ conntide why\n")[1].split("\n\n")[0]
    with open(os.path.join(HERE, "nginx.why.txt"), encoding="utf-8") as file:
        said = file.read().splitlines()
    lines = [line[4:] for line in shown.splitlines() if line.strip() != "..."]
    assert len(lines) == 4 and set(lines) <= set(said)


def test_every_pattern_is_described():
    root = os.path.join(HERE, "..", "..")
    with open(os.path.join(root, "exporters", "advice", "patterns.c"), encoding="utf-8") as file:
        ids = re.findall(r'\{\{"([a-z-]+)",', file.read())
    with open(os.path.join(root, "docs", "patterns.md"), encoding="utf-8") as file:
        described = re.findall(r"^\| `([a-z-]+)` \|",
                               file.read().split("## Savings")[0], re.M)
    assert len(ids) == 22 and sorted(ids) == sorted(described)


def test_the_readme_shows_what_is_printed():
    """The example of conntide forecast: all of it but the line with the time."""
    with open(os.path.join(HERE, "small.forecast.txt"), encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith("made ")]
    with open(os.path.join(os.path.dirname(os.path.dirname(HERE)), "README.md"),
              encoding="utf-8") as file:
        readme = [line[4:] for line in file.read().splitlines() if line[:4].isspace() or not line]
    start = readme.index(lines[0])
    assert readme[start:start + len(lines)] == lines
