# SPDX-License-Identifier: GPL-2.0-or-later
"""What one may type: filters in every spelling, help, and what is said to a mistyped word."""
import json
import re
import subprocess
import time

import pytest
from harness import CLI


def conntide(*words):
    return subprocess.run([CLI, *words], text=True, capture_output=True, check=False, timeout=60)


PORTS = {
    ("tcp",): [80, 8080, 22], ("udp",): [53], ("-p", "tcp", "--dport", "80"): [80],
    ("--proto", "tcp", "--orig-port-dst", "80"): [80], ("--port", "http"): [80],
    ("--port", "tcp/80"): [80], ("--port=tcp/http",): [80], ("tcp/80",): [80], ("http",): [80],
    (":80",): [80], ("dport=80",): [80], ("proto=udp", "dport=domain"): [53],
    ("udp/80",): [], ("outbound",): [8080, 53], ("tcp", "outbound"): [8080],
    ("time-wait",): [80, 8080], ("TIME_WAIT", "inbound"): [80], ("--state", "time-wait"): [80, 8080],
    ("-n", "1"): [80], ("--sort", "port", "-n1"): [22],
}


@pytest.mark.parametrize("words", PORTS, ids=" ".join)
def test_filters(nginx, words):
    rows = json.loads(nginx.text("ports", "--json", *words))
    assert [row["port"] for row in rows] == PORTS[words]


TALKERS = {
    ("-s", "198.51.100.1"): {("source", "198.51.100.1")},
    ("--orig-src", "198.51.100.1"): {("source", "198.51.100.1")},
    ("-p", "tcp", "--dport", "80"): {("service", "198.51.100.1")},
    ("-d", "198.51.100.1"): {("destination", "198.51.100.1"), ("service", "198.51.100.1")},
    ("-d", "198.51.100.1", "--kind", "service"): {("service", "198.51.100.1")},
}


@pytest.mark.parametrize("words", TALKERS, ids=" ".join)
def test_addresses(nginx, words):
    rows = json.loads(nginx.text("talkers", "--json", *words))
    assert {(row["kind"], row["address"]) for row in rows} == TALKERS[words]


def test_an_address_that_is_not_listed(nginx):
    text = nginx.text("talkers", "--src", "203.0.113.99")
    assert re.search(r"holds \d+ at most", text) and "conntrack -L" in text


@pytest.mark.parametrize("words, said", [
    (["prots"], "did you mean conntide ports?"), (["stauts"], "did you mean conntide status?"),
    (["forcast"], "conntide forecast?"), (["ports", "--sotr", "port"], "did you mean --sort?"),
    (["status", "--jsno"], "did you mean --json?"),
    (["ports", "--src", "192.0.2.1"], "--src is not an option of ports, but of talkers"),
    (["ports", "--zone", "65536"], "a zone is a number from 0 to 65535, not 65536"),
    (["talkers", "--zone", "7"], "--zone is not an option of talkers, but of top, ports, cells, nat"),
    (["ports", "-s", "192.0.2.1"], "-s is not an option of ports, but of talkers"),
    (["zzzzzz"], "no such command: zzzzzz; see"), (["ports", "--zzzzzz"], "unknown option --zzzzzz"),
    (["ports", "foo"], "foo"), (["ports", "--port", "65536"], "65536"),
    (["ports", "--port", "tcp/nonsense"], "tcp/nonsense"), (["ports", "colour=red"], "colour"),
    (["talkers", "-s", "1.2.3"], "1.2.3"), (["talkers", "inbound"], "direction"),
    (["status", "extra"], "extra"), (["ports", "--limit"], "--limit"),
    (["ports", "--json=yes"], "--json=yes"), (["status", "--watch=0"], "0"),
    (["help", "prots"], "conntide ports?"), (["completion", "csh"], "csh"), (["completion"], "bash"),
], ids=str)
def test_mistyped(words, said):
    done = conntide(*words)
    assert done.returncode == 2 and not done.stdout, done
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr, done.stderr


def commands():
    return re.findall(r"(?m)^  ([a-z]+) ", conntide("--help").stdout.split("Commands:")[1]
                      .split("\n\n")[0])


def test_help_is_one_text(nginx):
    assert len(commands()) > 15
    for command in commands():
        first, second = conntide("help", command), conntide(command, "--help")
        assert first.returncode == second.returncode == 0 and not first.stderr + second.stderr
        assert first.stdout == second.stdout and f"onntide{' ' if command not in ('record', 'replay', 'flow') else '-'}{command}" in first.stdout
    assert conntide("help").stdout == conntide("-h").stdout
    assert conntide("-V").stdout == conntide("--version").stdout != ""
    assert nginx.text("--json").startswith("{")


def test_help_fits_a_terminal():
    for words in (["help"], *(["help", command] for command in commands())):
        for line in conntide(*words).stdout.splitlines():
            assert len(line) <= 80, (words, line)


def test_no_command_is_status(nginx):
    def still(text):
        return re.sub(r"[\d.]+ s", "N s", text)
    assert still(nginx.text()) == still(nginx.text("status"))


def test_without_an_agent(tmp_path):
    for command in ("status", "ports", "why", "forecast", "nat", "talkers", "advice"):
        done = conntide(command, "--runtime-dir", str(tmp_path))
        assert done.returncode == 3 and done.stdout.startswith("NO AGENT: "), done
        done = conntide(command, "--json", "--runtime-dir", str(tmp_path))
        assert done.returncode == 3 and json.loads(done.stdout)["level"] == "UNKNOWN"


def test_watch(nginx):
    with subprocess.Popen([CLI, "ports", "tcp/80", "--watch=0.1", "--runtime-dir",
                           nginx.directory], stdout=subprocess.PIPE, text=True) as process:
        seen = 0
        for line in process.stdout:
            seen += "TIME_WAIT" in line
            if seen == 3:
                nginx.do("cell tcp inbound 80 TIME_WAIT 77")
            if "TIME_WAIT=77" in line:
                break
        process.terminate()
        process.stdout.read()
        assert process.wait() < 0 and seen >= 3


def test_watch_ends_with_its_reader(nginx):
    with subprocess.Popen([CLI, "status", "--watch=0.1", "--runtime-dir", nginx.directory],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        process.stdout.close()
        end = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        assert process.poll() is not None
