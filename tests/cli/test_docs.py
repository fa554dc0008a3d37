# SPDX-License-Identifier: GPL-2.0-or-later
"""What README and docs tell people to type is run, on the demo; what they name exists."""
import pathlib
import re
import subprocess

import pytest

import harness
from test_demo import Demo

ROOT = pathlib.Path(harness.ROOT)
PAGES = ["README.md", "docs/tour.md", "docs/coming-from.md"]
# Need the kernel's table, run until they are stopped, or are run by a test of their own.
ELSEWHERE = {"run", "record", "replay", "flow", "top", "demo"}


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def typed(name):
    """Lines of code that begin with a command, without the comment behind it."""
    for line in text_of(name).splitlines():
        match = re.match(r"    (?:\$ )?((?:conntide|build/conntide|curl) ?.*)", line)
        if match and not match.group(1).startswith("conntide-"):
            yield re.sub(r"\s+#.*", "", match.group(1)).strip()
    for words in re.findall(r"`(conntide [a-z][^`]*)`", text_of(name)):
        yield words


COMMANDS = sorted({command for name in PAGES for command in typed(name)
                   if not re.search(r"[A-Z]{4}|\.\.\.", command)})


@pytest.fixture(scope="module", name="demo")
def _demo():
    made = Demo(harness.BUILD, "--at", "150")
    end = harness.wait_for(lambda: harness.json.loads(made.get("/api/v1/incidents")), 60, "an incident")
    made.incident = end[0]["id"]
    yield made
    made.close()


def test_there_is_something_to_run():
    assert len(COMMANDS) > 20
    assert {"conntide status", "conntide why", "conntide advice", "curl localhost:10371"} <= set(
        COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command(demo, command):
    words = command.replace("$DIR", demo.directory).split()
    if words[0] == "curl":
        line = command.replace("localhost:10371", f"127.0.0.1:{demo.port}")
        done = subprocess.run(["sh", "-c", line.replace("curl", "curl -sf", 1)], text=True,
                              capture_output=True, check=False, timeout=60)
        assert done.returncode == 0 and done.stdout, done
        return
    if len(words) > 1 and words[1] in ELSEWHERE:
        assert subprocess.run([harness.CLI, "help", words[1]], capture_output=True,
                              check=False).returncode == 0
        return
    words = [demo.incident if word == "ID" else word for word in words[1:]]
    if words[0] == "incidents" and "--state-dir" not in words:
        words += ["--state-dir", demo.directory + "/state"]
    done = demo.conntide(*words)
    if words[0] == "check":
        assert done.returncode in (0, 1, 2) and done.stdout, done
    else:
        assert done.returncode == 0 and done.stdout, done


@pytest.mark.parametrize("name", PAGES)
def test_what_is_named_exists(name):
    text = text_of(name)
    known = set(re.findall(r'^FAMILY\(\w+, "(\w+)"',
                           text_of("lib/shm/metrics.def"), re.MULTILINE))
    used = set(re.findall(r"`((?:conntide|nf_conntrack|node_nf)_[a-z_]+)`", text))
    assert used - {"nf_conntrack_max", "nf_conntrack_count"} <= known, used - known
    alerts = set(re.findall(r"alert: (\w+)", text_of("dashboards/rules.yml")))
    assert set(re.findall(r"`(Conntide\w+)`", text)) <= alerts
    for path in re.findall(r"\b((?:docs|dashboards|packaging|tests|tools)/[\w./-]*\w)", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"!\[[^]]*\]\(([^)]*)\)", text):
        assert (ROOT / path).exists(), path
