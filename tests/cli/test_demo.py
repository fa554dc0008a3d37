# SPDX-License-Identifier: GPL-2.0-or-later
"""conntide demo: what a newcomer opens, during the flood, without root."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import harness

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture(scope="module", name="programs")
def _programs():
    """Where a user may read them who may not read this tree."""
    path = tempfile.mkdtemp(prefix="conntide-demo-test-", dir="/tmp")
    os.chmod(path, 0o755)
    for name in ("conntide", "conntide-demo", "conntide-exporter"):
        shutil.copy(os.path.join(harness.BUILD, name), path)
    yield path
    shutil.rmtree(path)


class Demo:
    def __init__(self, programs, *options, prefix=()):
        self.port = harness.free_port()
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [*prefix, os.path.join(programs, "conntide"), "demo", *options,
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        first = self.process.stdout.readline()
        assert first == f"conntide: the page is at http://127.0.0.1:{self.port}/\n", first
        self.directory = self.process.stdout.readline().split()[-1]
        # The exporter may have looked just before the table was there.
        harness.wait_for(lambda: subprocess.run(
            ["curl", "-sf", f"http://127.0.0.1:{self.port}/api/v1/status"], capture_output=True,
            check=False, timeout=60).returncode == 0, 20, "the exporter has the table")

    def conntide(self, *words):
        return subprocess.run([harness.CLI, "--runtime-dir", self.directory, *words], text=True,
                              capture_output=True, check=False, timeout=60)

    def get(self, path, *options):
        return subprocess.run(["curl", "-sf", *options, f"http://127.0.0.1:{self.port}{path}"],
                              text=True, capture_output=True, check=True, timeout=60).stdout

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        said = self.process.stdout.read()
        self.process.stdout.close()
        assert code == 0 and not said, (code, said)
        assert not os.path.exists(self.directory)


@pytest.fixture(name="flood", params=[NOBODY, []], ids=["user", "root"])
def _flood(request, programs):
    if os.geteuid() != 0 and request.param:
        pytest.skip("needs root to become somebody else")
    demo = Demo(programs, "--at", "130", prefix=request.param)
    yield demo
    demo.close()


def test_three_in_the_morning(flood):
    """One look, or three commands: what is lost, who causes it, what to type, when it helps."""
    page = flood.get("/", "-H", "Accept: text/html")
    for words in ("FULL", r"evicted \d+/s", r"dropped \d+/s", "half-open connections from outside",
                  "tcp/443 inbound", "What to do", "<code>[^<]*synproxy", "relief|Saves|saves"):
        assert re.search(words, page), words
    assert flood.get("/") == flood.get("/") or "FULL" in flood.get("/")
    status = flood.conntide("status").stdout
    # Entries end between two new ones.
    assert re.search("^level +FULL", status, re.M) and re.search(r"163[78]\d of 16384 entries", status)
    why = flood.conntide("why").stdout
    assert "syn-flood" in why and "tcp/443 inbound" in why
    advice = flood.conntide("advice").stdout
    assert "synproxy" in advice.lower() and "tcp_syncookies" in advice


def test_it_is_exact_and_keeps_the_incident(flood):
    def status():
        return harness.json.loads(flood.conntide("status", "--json").stdout)
    # A look may fall between the two halves of a move.
    harness.wait_for(lambda: status()["quality"] == "exact" and not status()["residual_entries"],
                     60, "exact numbers")
    losses = status()["losses"]
    assert losses["evicted"] > 100 and losses["dropped"] > 10

    def incidents():
        found = harness.json.loads(flood.get("/api/v1/incidents"))
        return found and found[0]["worst"] == "drops"
    harness.wait_for(incidents, 60, "an incident with losses")
    assert 'id="incident-' in flood.get("/", "-H", "Accept: text/html")


def test_calm_at_first(programs):
    demo = Demo(programs)
    status = harness.json.loads(demo.conntide("status", "--json").stdout)
    assert status["level"] == "OK" and 0.4 < status["fill_ratio"] < 0.7, status
    # It has a past, so that it says where that settles: about where it is.
    assert status["forecast"]["verdict_code"] in ("steady", "levels-off", "draining")
    assert 0.8 < status["forecast"]["settles_at_entries"] / status["entries"] < 1.25, status
    assert "upstream-without-keepalive" in demo.conntide("why").stdout
    # Ten minutes, on a machine that has been up for twice as long.
    past_s = min(500, 0.4 * time.clock_gettime(time.CLOCK_BOOTTIME))
    assert len(harness.json.loads(demo.get("/api/v1/history"))) > past_s
    demo.close()


@pytest.mark.parametrize("at", ["62", "170"])
def test_whatif_without_a_change_is_the_forecast(programs, at):
    """As a flood begins and after it: to the digit, whenever both are asked of the same second."""
    demo = Demo(programs, "--at", at)

    def asked(path):
        return harness.json.loads(demo.get(f"/api/v1/{path}"))
    compared = 0
    try:
        for _ in range(25):
            before, whatif, after = asked("forecast"), asked("whatif"), asked("forecast")
            if before["computed_timestamp_seconds"] != after["computed_timestamp_seconds"]:
                continue
            compared += 1
            for name in ("settles_at_entries", "time_to_full_seconds"):
                assert whatif[name] == whatif[f"{name}_then"] == after[name], (name, whatif, after)
            assert whatif["saves_entries"] == 0 and whatif["settles_fewer_entries"] in (0, None)
            time.sleep(0.1)
    finally:
        demo.close()
    assert compared > 5


def test_wrong_words(programs):
    done = subprocess.run([os.path.join(programs, "conntide"), "demo", "--at", "x"], text=True,
                          capture_output=True, check=False, timeout=60)
    assert done.returncode == 1 and "--at is a number from 0 to 360, not x" in done.stderr


@pytest.mark.parametrize("words, said", [
    ([], "--runtime-dir DIR"), (["--runtime-dir"], "missing value after --runtime-dir"),
    (["--runtime-dir", "/nowhere", "--at", "361"], "not 361"), (["--foo"], "unknown option --foo"),
    (["--runtime-dir", "/nowhere", "more"], "unexpected argument more")])
def test_wrong_words_of_the_player(programs, words, said):
    done = subprocess.run([os.path.join(programs, "conntide-demo"), *words], text=True,
                          capture_output=True, check=False, timeout=60)
    assert done.returncode == 2 and said in done.stderr and not done.stdout
    assert done.stderr.count("\n") == 1 and "see conntide-demo --help" in done.stderr
