# SPDX-License-Identifier: GPL-2.0-or-later
"""Why, advice, what-if and talkers, by HTTP and on the command line."""
import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest
from harness import CLI, EXPORTER, ROOT, Exporter, Segment, free_port

NGINX = os.path.join(ROOT, "tests", "golden", "nginx.segment")
STRANGER = {"X-Forwarded-For": "192.0.2.99"}  # through a proxy: not trusted
ADDRESS = re.compile(r"\b(?:192\.0\.2|198\.51\.100)\.\d+|2001:db8")
ADVICE_FIELDS = "id title reason saves_entries saves_ratio memory_bytes_delta commands warnings"
WHATIF_FIELDS = "settles_at_entries settles_at_entries_then fill_ratio_then"


@pytest.fixture
def segment(directory):
    with open(NGINX, encoding="ascii") as file:
        made = Segment(directory, file.read())
    yield made
    made.close()

@pytest.fixture
def exporter(segment, start):  # pylint: disable=redefined-outer-name,unused-argument
    return start("--web.show-hosts=loopback")


def cli(directory, *words):
    return subprocess.run([CLI, words[0], "--runtime-dir", directory, *words[1:]],
                          capture_output=True, text=True, check=False)


def pattern(why, name):
    return next((found for found in why["patterns"] if found["pattern"] == name), None)


def test_why_answers_the_question(exporter):
    why = exporter.get("/api/v1/why").json()
    found = pattern(why, "upstream-without-keepalive")
    assert found["confidence"] == "sure" and found["share"] == pytest.approx(0.5, abs=0.01)
    assert found["rows"][0] == {"l4proto": "tcp", "direction": "outbound", "port": 8080,
                                "service": "http-alt", "state": "TIME_WAIT"}
    assert found["other_side"]["port"] == 80 and found["other_side"]["direction"] == "inbound"
    assert found["figures"]["upstream_per_inbound"] == 1
    assert why["holds"][0]["port"] == 80 and why["urgent"] is False
    assert why["grew_minutes"]["known"] and why["grew_hour"]["known"]
    assert {row["port"] for row in why["grew_minutes"]["rows"]} == {80, 8080}
    text = exporter.get("/api/v1/why", {"Accept": "text/plain"})
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "upstream-without-keepalive" in text.text and "tcp/8080 outbound" in text.text


def test_squid_has_another_answer(exporter, segment):
    segment.do("cell tcp outbound 8080 TIME_WAIT 0", "cell tcp outbound 8080 ESTABLISHED 10",
               "cell tcp inbound 80 TIME_WAIT 0", "cell tcp inbound 80 ESTABLISHED 0",
               "cell tcp inbound 81 TIME_WAIT 3000", "live count_entries 3019")
    time.sleep(0.3)
    why = exporter.get("/api/v1/why").json()
    assert pattern(why, "time-wait-pile")["rows"][0]["port"] == 81
    assert pattern(why, "upstream-without-keepalive") is None


def test_healthy(start, directory):
    made = Segment(directory, "\n".join([
        "live max_entries 65536", "live buckets 65536", "live count_entries 320",
        "cell tcp inbound 443 ESTABLISHED 200", "cell tcp inbound 443 TIME_WAIT 120"]))
    exporter = start()
    assert exporter.get("/api/v1/why").json()["patterns"] == []
    advice = exporter.get("/api/v1/advice").json()
    assert [item["id"] for item in advice] == ["nothing-to-do"]
    assert "320 of 65536" in advice[0]["reason"] and advice[0]["commands"] == {}
    assert "nothing stands out" in cli(directory, "why").stdout
    made.close()


def test_advice(exporter):
    advice = exporter.get("/api/v1/advice").json()
    for item in advice:
        assert set(ADVICE_FIELDS.split()) <= set(item)
        assert isinstance(item["commands"], dict) and isinstance(item["warnings"], list)
    best = advice[0]
    assert best["id"] == "keepalive-tcp-8080" and best["pattern"] == "upstream-without-keepalive"
    assert best["saves_ratio"] == pytest.approx(0.5, abs=0.01)
    assert best["memory_bytes_delta"] == pytest.approx(-384 * best["saves_entries"], rel=1e-3)
    assert set(best["commands"]) == {"nginx", "haproxy", "squid"}
    timeout = next(item for item in advice if item["id"] == "timeout-tcp_time_wait")
    assert "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30" \
        in timeout["commands"]["sysctl"]
    assert any("keep their deadline" in warning for warning in timeout["warnings"])


def test_advice_is_what_whatif_says(exporter):
    for item in exporter.get("/api/v1/advice").json():
        if item["whatif"]:
            whatif = exporter.get("/api/v1/whatif?" + item["whatif"].replace(" ", "&")).json()
            assert whatif["saves_entries"] == pytest.approx(item["saves_entries"], abs=1)


def test_whatif(exporter):
    now = exporter.get("/api/v1/whatif").json()
    assert set(WHATIF_FIELDS.split()) <= set(now)
    assert now["settles_at_entries"] == now["settles_at_entries_then"]
    assert now["settles_at_entries"] == pytest.approx(2 * 25 * 150 + 15, rel=0.01)
    then = exporter.get("/api/v1/whatif?notrack=tcp/80&timeout.tcp_time_wait=30"
                        "&max=524288&rate.tcp/8080=2").json()
    assert then["changes"] == ["notrack=tcp/80", "timeout.tcp_time_wait=30", "max=524288",
                               "rate.tcp/8080=2"]
    lag = then["collector_lag_seconds_then"]
    assert lag < then["collector_lag_seconds_now"]
    assert then["settles_at_entries_then"] == pytest.approx(2 * 25 * (30 + lag), rel=0.02)
    assert then["fill_ratio_then"] == pytest.approx(then["settles_at_entries_then"] / 524288, rel=1e-3)
    assert len(then["warnings"]) >= 5
    assert exporter.get("/api/v1/whatif?max=0").json()["fill_ratio_then"] is None


BAD = [
    ("timeout.tcp_timewait=30", "timeout.tcp_timewait", "no timeout"),
    ("timeout.tcp_time_wait=0", "timeout.tcp_time_wait", "not within"),
    ("timeout.tcp_time_wait=", "timeout.tcp_time_wait", "not a whole number"),
    ("timeout.udp=99999999999", "timeout.udp", "not within"),
    ("notrack=tcp/65536", "notrack", "no port"),
    ("notrack=tcp/-1", "notrack", "port"),
    ("notrack=80", "notrack", "no protocol"),
    ("notrack=tcp/80/up", "notrack", "no direction"),
    ("rate.tcp/80=-2", "rate.tcp/80", "not a number"),
    ("rate.tcp/80=nan", "rate.tcp/80", "not a number"),
    ("rate.tcp/99999=2", "rate.tcp/99999", "no port"),
    ("max=-1", "max", "not a whole number"),
    ("buckets=0", "buckets", "not within"),
    ("keepalive=udp/53", "keepalive", "Only TCP"),
    ("notrack=tcp/80&rate.tcp/80=2", "notrack", "cannot be left untracked"),
    ("keepalive=tcp/8080&notrack=tcp/8080", "notrack", "cannot be left untracked"),
    ("rate.tcp/80=2&rate.tcp/80/inbound=3", "rate.tcp/80/inbound", "twice"),
]


@pytest.mark.parametrize("query, parameter, says", BAD)
def test_bad_whatif(exporter, directory, query, parameter, says):
    reply = exporter.get("/api/v1/whatif?" + query)
    assert reply.status == 400
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem = reply.json()
    assert problem["errors"][0]["parameter"] == parameter and says in problem["detail"]
    done = cli(directory, "whatif", *query.split("&"))
    assert done.returncode == 2 and says in done.stderr and not done.stdout


def test_bad_whatif_otherwise(exporter, directory):
    assert exporter.get("/api/v1/whatif?max=1&max=2").status == 400
    assert exporter.get("/api/v1/whatif?timeout=3").status == 400
    assert exporter.get("/api/v1/why?notrack=tcp/80").status == 400
    for words in (["max=1", "max=2"], ["max"], ["=3"], ["notrack"], ["--max", "3"], ["max=nan"],
                  ["x" * 300 + "=1"]):
        done = cli(directory, "whatif", *words)
        assert done.returncode == 2 and done.stderr.startswith("conntide: "), words
    for words in (["why", "x"], ["advice", "--port", "80"], ["talkers", "--kind", "all"]):
        assert cli(directory, *words).returncode == 2, words


def test_same_words_same_answer(exporter, directory):
    words = ["keepalive=tcp/8080", "timeout.tcp_time_wait=60", "rate.udp/53=3"]
    by_http = exporter.get("/api/v1/whatif?" + "&".join(words)).json()
    by_cli = json.loads(cli(directory, "whatif", "--json", *words).stdout)
    assert by_http == by_cli
    assert json.loads(cli(directory, "advice", "--json").stdout) == \
        exporter.get("/api/v1/advice").json()
    assert cli(directory, "why", "--json").returncode == 0


def test_talkers(exporter, directory):
    rows = exporter.get("/api/v1/talkers").json()
    assert {row["kind"] for row in rows} == {"source", "destination", "service", "source64"}
    source = [row for row in rows if row["kind"] == "source"]
    assert [row["entries"] for row in source] == [3757, 3752, 3]
    assert source[2]["address"] == "2001:db8::7"
    service = next(row for row in rows if row["kind"] == "service")
    assert (service["l4proto"], service["port"], service["service"]) == ("tcp", 80, "http")
    assert next(row for row in rows if row["kind"] == "source64")["address"] == "2001:db8::/64"
    table = list(csv.DictReader(io.StringIO(
        exporter.get("/api/v1/talkers?kind=source&limit=1&format=csv").text, newline="")))
    assert len(table) == 1 and table[0]["address"] == "198.51.100.1"
    assert exporter.get("/api/v1/talkers?kind=all").status == 400
    done = cli(directory, "talkers", "--kind", "source64", "--json")
    assert len(json.loads(done.stdout)) == 1


def test_addresses_are_for_trusted_clients(exporter, start, segment):
    # One that a pattern names.
    segment.do("cell tcp outbound 3306 SYN_SENT 5000",
               "talker service 198.51.100.77 5000 0 0 tcp 3306")
    time.sleep(0.3)
    for headers in ({}, {"Accept": "text/plain"}):
        shown = exporter.get("/api/v1/why", headers)
        hidden = exporter.get("/api/v1/why", {**headers, **STRANGER})
        assert shown.status == hidden.status == 200
        assert ADDRESS.search(shown.text) and not ADDRESS.search(hidden.text)
        assert "conntide talkers" in hidden.text
        for path in ("advice", "whatif?max=3"):
            assert not ADDRESS.search(
                exporter.get("/api/v1/" + path, {**headers, **STRANGER}).text)
    refused = exporter.get("/api/v1/talkers", STRANGER)
    assert refused.status == 403 and not ADDRESS.search(refused.text)
    exposed = start("--web.show-hosts=all")
    assert exposed.get("/api/v1/talkers", STRANGER).status == 200
    assert ADDRESS.search(exposed.get("/api/v1/why", STRANGER).text)


def test_loopback_is_no_credential(start, directory, segment, small):
    """A proxy here that says nothing of itself comes from loopback, with an address as Host."""
    plain = start()
    for headers in ({}, {"Host": "127.0.0.1:10371"}, {"Host": "localhost"}):
        assert plain.get("/api/v1/talkers", headers).status == 403
        assert not ADDRESS.search(plain.get("/api/v1/why", headers).text)
    chosen = start("--web.show-hosts=loopback")
    assert chosen.get("/api/v1/talkers").status == 200
    for host in ("abc.de", "facade.cc", "bad.cafe.ee", "rebound.example.org"):
        assert chosen.get("/api/v1/talkers", {"Host": host}).status == 403
    path = os.path.join(directory, "http.sock")
    local = start(listen=["unix:" + path, f"127.0.0.1:{free_port()}"])
    assert local
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(b"GET /api/v1/talkers HTTP/1.0\r\nHost: abc.de\r\n\r\n")
        assert b" 200 " in sock.recv(64)
    done = subprocess.run([EXPORTER, "--web.show-hosts=some"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and "none, loopback or all" in done.stderr


@pytest.mark.parametrize("path", ["why", "advice", "whatif", "talkers", "nat"])
def test_old_numbers_only_for_those_who_ask(exporter, segment, directory, path):
    segment.do("age 60")
    time.sleep(0.4)
    assert exporter.get("/api/v1/" + path).status == 503
    assert exporter.get(f"/api/v1/{path}?stale=1").status == 200
    assert cli(directory, path).returncode == 3


@pytest.mark.parametrize("path", ["advice", "whatif?notrack=tcp/80", "talkers", "nat"])
def test_etag(exporter, segment, path):
    segment.do("silent")
    time.sleep(0.3)
    first = exporter.get("/api/v1/" + path)
    again = exporter.get("/api/v1/" + path, {"If-None-Match": first.headers["ETag"]})
    assert again.status == 304 and again.body == b""


def test_writer_died_in_the_talkers(exporter, segment):
    """They are left out, and nobody waits for them for long."""
    segment.do("hang-talkers")
    time.sleep(0.3)
    began = time.monotonic()
    assert exporter.get("/api/v1/talkers").json() == []
    assert pattern(exporter.get("/api/v1/why").json(), "upstream-without-keepalive")
    assert time.monotonic() - began < 3


def test_hosts_that_may_not_be_read(exporter, segment, directory):
    """Everything but addresses is answered, and where they are asked for a sentence says why."""
    assert exporter.get("/api/v1/why").status == 200
    os.chmod(segment.hosts_path, 0o600)
    if os.geteuid() == 0:  # then the exporter is another user
        other = Exporter(directory, "--web.show-hosts=all")
        try:
            refused = other.get("/api/v1/talkers")
            assert refused.status == 503 and "host.hosts: not allowed" in refused.text
            assert other.get("/api/v1/why").status == 200
            assert other.get("/api/v1/cells").status == 200
            assert not ADDRESS.search(other.get("/api/v1/why").text)
        finally:
            other.close()
    os.unlink(segment.hosts_path)
    done = cli(directory, "talkers")
    assert done.returncode == 1 and "host.hosts: is gone" in done.stderr
    assert cli(directory, "why").returncode == 0 and cli(directory, "status").returncode in (0, 1, 2)


def test_hostile_detail(exporter, segment):
    """Whatever the segment holds, the answers are JSON without nonsense."""
    with open(segment.path, "r+b") as table, open(segment.hosts_path, "r+b") as hosts:
        header = table.read(4096)
        hosts_at = int.from_bytes(header[192 + 24 * 19:][:8], "little")
        for index in (11, 12, 13, 14, 15, 16, 17, 18):
            offset = int.from_bytes(header[192 + 24 * index:200 + 24 * index], "little")
            size = int.from_bytes(header[200 + 24 * index:208 + 24 * index], "little")
            file = table if offset < hosts_at else hosts
            file.seek(offset if offset < hosts_at else offset - hosts_at)
            file.write(os.urandom(64) * (size // 64))
    time.sleep(0.3)
    for path in ("why", "advice", "whatif?timeout.tcp_time_wait=1", "talkers", "nat"):
        for form in ("json", "text"):
            reply = exporter.get(f"/api/v1/{path}{'&' if '?' in path else '?'}format={form}")
            assert reply.status == 200, path
            assert not re.search(r"\b(nan|inf)\b", reply.text, re.I), path
            if form == "json":
                reply.json()


def commands_of(advice):
    for item in advice:
        for tool in ("nft", "iptables"):
            lines = [line for line in item["commands"].get(tool, []) if not line.startswith("#")]
            if lines and not any(re.search(r"ADDRESS|INTERFACE", line) for line in lines):
                yield item["id"], tool, lines, item["commands"].get("undo", [])


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="needs root and nft")
def test_commands_are_understood(exporter, segment):
    """nft and iptables take each line, in a namespace of their own, and undo removes it."""
    segment.do("cell tcp inbound 25 SYN_RECV 3000", "cell udp outbound 53 replied 4000",
               "row udp outbound 53 900000 890000 890000 27000000000",
               "cell tcp outbound 3306 SYN_SENT 2000", "cell tcp inbound 8009 CLOSE_WAIT 3000",
               "cell tcp loopback 9000 TIME_WAIT 30000", "live count_entries 49000",
               "tracked source 5000")
    time.sleep(0.3)
    checked = set()
    for name, tool, lines, undo in commands_of(exporter.get("/api/v1/advice").json()):
        if tool == "iptables" and not shutil.which("ip6tables"):
            continue
        script = "set -e\n" + "\n".join(lines)
        if tool == "nft" and undo and undo[0].startswith("nft"):
            script += "\n" + undo[0] + "\ntest -z \"$(nft list tables)\""
        done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        checked.add((name, tool))
    assert {("notrack-tcp-9000-loopback", "nft"), ("syn-flood-tcp-25", "nft"),
            ("timeout-tcp_time_wait", "nft")} <= checked, checked


def test_cost_of_many_ports(start, directory):
    """A scan over 65,535 ports must not make why slow or large."""
    made = Segment(directory, "live max_entries 262144\nlive buckets 262144\nfill 65000\n"
                              "live count_entries 65000")
    exporter = start()
    before = exporter.resident_kib()
    began = time.monotonic()
    for path in ("why", "advice", "whatif?timeout.tcp_time_wait=30"):
        reply = exporter.get("/api/v1/" + path, timeout=30)
        assert reply.status == 200 and len(reply.body) < 100000
    assert time.monotonic() - began < 10
    assert exporter.resident_kib() - before < 150000
    made.close()
