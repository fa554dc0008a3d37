# SPDX-License-Identifier: GPL-2.0-or-later
"""What README, docs and man pages tell people to type is run, on the demo, or at least understood
by the program it is for; what they name exists."""
import re
import subprocess

import pytest

import harness
from commands import (MANUALS, ROOT, TEXTS, filled, is_form, lines_of, programs_of, targets_of,
                      text_of)
from test_demo import Demo

# Names of the kernel's, which are no metrics of ours.
KERNELS = {"nf_conntrack_" + name for name in ("max", "count", "buckets", "events", "expect_max")}
# Not run here but only held to their options, and why.
ELSEWHERE = {
    "run": "runs until it is stopped: tests/netns/test_user.py",
    "demo": "likewise: test_demo.py",
    "top": "needs a terminal: tests/terminal",
    "record": "needs the kernel's table: tests/netns/test_record.py",
    "flow": "likewise: tests/netns/test_flow.py",
    "replay": "needs a trace: tests/replay",
}
CALLS = sorted({(name, tuple(words)) for name in TEXTS + MANUALS for line in lines_of(name)
                for words in programs_of(line) if not is_form(words)})
COMMANDS = sorted({words for _, words in CALLS
                   if words[0] == "conntide" and (words[1:] + ("",))[0] not in ELSEWHERE
                   and "--watch=5" not in words})
CURLS = sorted({re.sub(r"\s+#.*", "", line) for name in TEXTS for line in lines_of(name)
                if line.startswith("curl ") and "10371" in line})


@pytest.fixture(scope="module", name="demo")
def _demo():
    made = Demo(harness.BUILD, "--at", "150")
    end = harness.wait_for(lambda: harness.json.loads(made.get("/api/v1/incidents")), 60, "an incident")
    made.incident = end[0]["id"]
    yield made
    made.close()


def test_there_is_something_to_run():
    assert {("conntide", "status"), ("conntide", "why"), ("conntide", "advice")} <= set(COMMANDS)
    assert "curl localhost:10371" in CURLS and len(COMMANDS) > 30
    assert {name for name, _ in CALLS} >= {
        "README.md", "docs/tour.md", "docs/man/conntide.1", "docs/man/conntide-record.1",
        "docs/man/conntide-replay.1", "docs/man/conntide-flow.1", "docs/man/conntide-demo.1"}
    assert {words[0] for _, words in CALLS} >= {"conntide-agent", "conntide-exporter"}
    assert {words[1] for _, words in CALLS if len(words) > 1} >= set(ELSEWHERE)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command(demo, command):
    words = [word.replace("$DIR", demo.directory) for word in command[1:]]
    words = filled(words, ID=demo.incident,
                   NAME="TIME_WAIT" if words[:1] == ["explain"] else "tcp_time_wait")
    if words[:1] == ["incidents"] and "--state-dir" not in words:
        words += ["--state-dir", demo.directory + "/state"]
    done = demo.conntide(*words)
    if words[:1] == ["check"]:
        assert done.returncode in (0, 1, 2) and done.stdout, done
    else:
        assert done.returncode == 0 and done.stdout, done


@pytest.mark.parametrize("line", CURLS)
def test_every_curl(demo, line):
    line = re.sub(r"(?:http://)?(?i:localhost|host|127\.0\.0\.1):10371", f"127.0.0.1:{demo.port}",
                  line).replace("curl", "curl -sf", 1)
    done = subprocess.run(["sh", "-c", line], text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stdout, done


def help_of(*words):
    done = subprocess.run([f"{harness.BUILD}/{words[0]}", *words[1:], "--help"], text=True,
                          capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return done.stdout


def options_in(text):
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w.-]*", text))


@pytest.mark.parametrize("call", sorted({words for _, words in CALLS}), ids=" ".join)
def test_every_option(call):
    """Options are looked at one after the other, --help among them: it comes last, and is reached
    only where all before it are known."""
    if call[1:2] in (("run",), ("demo",)):
        # They hand on what they do not know.
        known = options_in(help_of("conntide", call[1]) + help_of("conntide-exporter"))
        known |= options_in(help_of("conntide-agent")) if call[1] == "run" else set()
        assert options_in(" ".join(call)) <= known
        return
    words = filled(call)
    done = subprocess.run([f"{harness.BUILD}/{words[0]}", *words[1:], "--help"], text=True,
                          capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 0 and done.stdout, done


def test_an_unknown_option_is_found():
    for line in ("conntide ports --bogus", "ip netns exec blue conntide record --bogus --out x",
                 "podman run IMAGE /usr/bin/conntide-agent --bogus", "conntide replay x --bogus | jq"):
        [call] = programs_of(line)
        with pytest.raises(AssertionError):
            test_every_option(tuple(call))
    for line in ("conntide run --bogus 1", "sudo conntide demo --bogus"):
        [call] = programs_of(line)
        with pytest.raises(AssertionError):
            test_every_option(tuple(call))


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_named_exists(name):
    text = text_of(name)
    known = set(re.findall(r'^FAMILY\(\w+, "(\w+)"',
                           text_of("lib/shm/metrics.def"), re.MULTILINE))
    used = set(re.findall(r"`((?:conntide|nf_conntrack|node_nf)_[a-z_]+)`", text))
    assert used - KERNELS <= known, used - known
    alerts = set(re.findall(r"alert: (\w+)", text_of("dashboards/rules.yml")))
    assert set(re.findall(r"`(Conntide\w+)`", text)) <= alerts
    for path in re.findall(r"(?<![\w/.-])((?:docs|dashboards|packaging|tests|tools)/[\w./*-]*\w)",
                           text):
        assert list(ROOT.glob(path)), path
    for path in re.findall(r"!\[[^]]*\]\(([^)]*)\)", text):
        assert (ROOT / path).exists(), path
    makefiles = text_of("Makefile") + "".join(
        path.read_text(encoding="utf-8") for path in ROOT.glob("*/**/*.mk"))
    for target in (target for line in lines_of(name) for target in targets_of(line)):
        assert re.search(rf"^(?:\S+ )*{target}(?: \S+)*:(?!=)", makefiles, re.M), f"make {target}"
