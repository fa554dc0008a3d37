# SPDX-License-Identifier: GPL-2.0-or-later
"""What curl, scripts and browsers get."""
import csv
import gzip
import io
import json
import os
import re
import subprocess
import time

import jsonschema
import pytest

STATUS_FIELDS = ("netns entries max fill_ratio mirror_entries residual_entries silent_entries "
                 "exact mode agent_up age_seconds").split()
PORT_FIELDS = ("l4proto direction port service entries share new_per_second "
               "destroyed_per_second mean_lifetime_seconds zones states").split()


def test_status(exporter):
    reply = exporter.get("/api/v1/status")
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/json"
    status = reply.json()
    assert set(STATUS_FIELDS) <= set(status)
    assert status["entries"] == 1240 and status["max"] == 4096
    assert status["fill_ratio"] == pytest.approx(1240 / 4096)
    assert status["mirror_entries"] == 1239 and status["residual_entries"] == 1
    assert status["exact"] is True and status["mode"] == "full" and status["agent_up"] is True
    assert 0 <= status["age_seconds"] < 2


def test_status_says_how_old_it_is(exporter, segment):
    segment.do("age 100")
    time.sleep(0.4)
    status = exporter.get("/api/v1/status").json()
    assert status["agent_up"] is False and status["exact"] is False
    assert 100 <= status["age_seconds"] < 105 and "restart conntide-agent" in status["reason"]
    text = exporter.get("/api/v1/status", {"Accept": "text/plain"})
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "100 s old" in text.text and "silent" in text.text
    page = exporter.get("/").text
    assert "100 s old" in page and "UNKNOWN" in page and "%" not in page.split("</title>")[0]


def test_doubts_are_named(exporter, segment):
    segment.do("live exact 0", "live doubts 6")
    time.sleep(0.3)
    status = exporter.get("/api/v1/status").json()
    assert status["exact"] is False
    assert [doubt["name"] for doubt in status["doubts"]] == ["events-lost", "silent-entries"]


def test_cells(exporter):
    cells = exporter.get("/api/v1/cells").json()
    assert all(set(cell) == {"l4proto", "direction", "port", "state", "entries", "zones"}
               for cell in cells)
    assert sum(cell["entries"] for cell in cells) == 1239
    assert cells[0] == {"l4proto": "tcp", "direction": "outbound", "port": 8080,
                        "state": "TIME_WAIT", "entries": 600, "zones": {}}


@pytest.mark.parametrize("query, expected", [
    ("l4proto=udp", 11), ("direction=loopback", 4), ("port=80", 600), ("state=TIME_WAIT", 1160),
    ("state=time_wait", 1160), ("state=established&l4proto=sctp", 1), ("port=1", 0),
    ("l4proto=tcp&direction=inbound&port=443&state=SYN_RECV", 3), ("limit=2", 1160),
])
def test_filters(exporter, query, expected):
    cells = exporter.get(f"/api/v1/cells?{query}").json()
    assert sum(cell["entries"] for cell in cells) == expected
    ports = exporter.get(f"/api/v1/ports?{query}").json()
    if "limit" not in query:
        assert sum(port["entries"] for port in ports) == expected


def test_ports(exporter):
    ports = exporter.get("/api/v1/ports").json()
    assert all(list(port) == PORT_FIELDS for port in ports)
    https = next(port for port in ports if port["port"] == 443)
    assert https["service"] == "https" and https["entries"] == 15
    assert https["states"] == {"SYN_RECV": 3, "ESTABLISHED": 12}
    assert https["share"] == pytest.approx(15 / 1239, rel=1e-4)
    assert https["mean_lifetime_seconds"] == pytest.approx(20)
    assert [port["entries"] for port in ports] == sorted(
        (port["entries"] for port in ports), reverse=True)
    assert [port["port"] for port in exporter.get("/api/v1/ports?sort=port").json()] == sorted(
        port["port"] for port in ports)
    assert [port["port"] for port in exporter.get("/api/v1/ports?sort=-port").json()] == sorted(
        (port["port"] for port in ports), reverse=True)


def test_one_port(exporter):
    one = exporter.get("/api/v1/ports/udp/53").json()
    assert one["service"] == "domain" and one["entries"] == 11
    assert {row["direction"] for row in one["directions"]} == {"outbound", "loopback"}
    assert exporter.get("/api/v1/ports/tcp/9").json()["entries"] == 0
    assert exporter.get("/api/v1/ports/udp/53?direction=loopback").json()["entries"] == 4
    for path in ("/api/v1/ports/tpc/53", "/api/v1/ports/tcp/65536", "/api/v1/ports/tcp/x",
                 "/api/v1/ports/tcp", "/api/v1/ports/tcp/1/2"):
        assert exporter.get(path).status == 404, path


def test_truncation_is_announced(exporter):
    reply = exporter.get("/api/v1/cells?limit=3")
    assert len(reply.json()) == 3
    assert reply.headers["Conntide-Truncated"] == "true"
    assert int(reply.headers["Conntide-Total-Rows"]) == len(
        exporter.get("/api/v1/cells").json()) > 3


@pytest.mark.parametrize("path", ["/api/v1/cells", "/api/v1/ports", "/api/v1/history"])
def test_all_formats_carry_the_same_rows(exporter, path):
    rows = exporter.get(path).json()
    for headers, query in (({}, "?format=csv"), ({"Accept": "text/csv"}, "")):
        reply = exporter.get(path + query, headers)
        assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
        table = list(csv.DictReader(io.StringIO(reply.text, newline="")))
        assert len(table) == len(rows) and list(table[0]) == list(rows[0])
        assert [row["entries"] for row in table] == [str(row["entries"]) for row in rows]
    reply = exporter.get(path + "?format=ndjson")
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in reply.text.splitlines()] == rows
    text = exporter.get(path, {"Accept": "text/plain"}).text.splitlines()
    assert len(text) == len(rows) + 1 and "ENTRIES" in text[0]


def test_history(exporter):
    seconds = exporter.get("/api/v1/history").json()
    assert [sample["entries"] for sample in seconds] == [1238, 1240]
    assert seconds[1]["dropped"] == 1 and seconds[1]["new_entries"] == 31
    assert seconds[1]["top_ports"] == [{"l4proto": "tcp", "direction": "inbound", "port": 443,
                                        "entries": 1239}]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", seconds[0]["time"])
    minutes = exporter.get("/api/v1/history?resolution=1m").json()
    assert [sample["entries"] for sample in minutes] == [1200]
    assert len(exporter.get("/api/v1/history?limit=1").json()) == 1


def test_history_of_an_hour_and_a_day(exporter, segment):
    for kind, count in (("seconds", 3900), ("minutes", 1600)):
        segment.do(*[f"sample {kind} {n} {n} 4096 1 1 0" for n in range(count)])
    seconds = exporter.get("/api/v1/history").json()
    assert len(seconds) >= 3600 and seconds[-1]["entries"] == 3899
    assert len(exporter.get("/api/v1/history?resolution=1m").json()) >= 1440
    entries = [sample["entries"] for sample in seconds]
    assert entries == list(range(entries[0], entries[0] + len(entries)))


def test_history_since(exporter, segment):
    """What a chart asks for: the samples after the last it has."""
    segment.do(*[f"sample seconds {n} {n} 4096 1 1 0 {20 - n}" for n in range(20)])
    rows = exporter.get("/api/v1/history").json()[2:]
    assert [row["entries"] for row in rows] == list(range(20))
    last = rows[15]
    for since in (last["time"], str(last["timestamp_seconds"])):
        got = exporter.get(f"/api/v1/history?since={since}").json()[2:]
        assert [row["entries"] for row in got] == [16, 17, 18, 19], since
    assert len(exporter.get("/api/v1/history?since=1h").json()) == 22
    assert exporter.get("/api/v1/history?since=2099-01-01T00:00:00Z").json() == []


def test_a_list_of_what_there_is(exporter):
    rows = exporter.get("/api/v1").json()
    paths = {row["path"] for row in rows}
    assert {"/metrics", "/api/v1/status", "/api/v1/ports/{l4proto}/{port}", "/"} <= paths
    assert paths == set(exporter.get("/api/v1/openapi.json").json()["paths"])
    assert "since" in next(row for row in rows if row["path"] == "/api/v1/history")["parameters"]
    assert exporter.get("/api/v1/").json() == rows
    assert "/api/v1/status" in exporter.get("/api/v1?format=text").text


@pytest.mark.parametrize("accept, media_type", [
    (None, "text/html"), ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
    ("*/*", "text/plain"), ("text/plain", "text/plain"), ("text/html;q=0.1,text/plain",
                                                          "text/plain")])
def test_a_terminal_gets_the_status(exporter, accept, media_type):
    reply = exporter.get("/", {"Accept": accept} if accept else {})
    assert reply.status == 200 and reply.headers["Content-Type"].startswith(media_type)
    assert "Accept" in reply.headers["Vary"]
    if media_type == "text/plain":
        assert "1240 of 4096 entries" in reply.text and "<" not in reply.text


def test_a_bare_curl_gets_the_status(exporter):
    done = subprocess.run(["curl", "-s", f"http://127.0.0.1:{exporter.port}"], text=True,
                          capture_output=True, check=True)
    assert "1240 of 4096 entries" in done.stdout and "<html" not in done.stdout


def test_a_bare_curl_without_an_agent(start):
    reply = start().get("/", {"Accept": "*/*"})
    assert reply.status == 503 and "agent" in reply.text


def test_the_icon(exporter):
    icon = exporter.get("/favicon.ico")
    assert icon.headers["Content-Type"] == "image/svg+xml" and icon.text.startswith("<svg")


@pytest.mark.parametrize("target, parameter", [
    ("/api/v1/cells?foo=1", "foo"), ("/api/v1/cells?l4proto=tpc", "l4proto"),
    ("/api/v1/cells?direction=in", "direction"), ("/api/v1/cells?port=65536", "port"),
    ("/api/v1/cells?port=-1", "port"), ("/api/v1/cells?port=", "port"),
    ("/api/v1/cells?state=LISTEN", "state"), ("/api/v1/cells?limit=0", "limit"),
    ("/api/v1/cells?limit=1e9", "limit"), ("/api/v1/cells?sort=size", "sort"),
    ("/api/v1/cells?limit=99999999999999999999", "limit"),
    ("/api/v1/cells?format=xml", "format"), ("/api/v1/history?resolution=1h", "resolution"),
    ("/api/v1/history?since=now", "since"), ("/api/v1/history?since=2026-01-02", "since"),
    ("/api/v1/history?since=-5", "since"),
    ("/api/v1/status?limit=3", "limit"), ("/metrics?x", "x"), ("/?refresh=99999", "refresh"),
    ("/api/v1/status?format=csv", "format"), ("/api/v1/forecast?format=csv", "format"),
    ("/api/v1/forecast?limit=3", "limit"), ("/api/v1/forecast/history?horizon=60", "horizon"),
    ("/api/v1/forecast/history?limit=0", "limit"), ("/api/v1/forecast?history=1", "history"),
])
def test_bad_parameters_are_named(exporter, target, parameter):
    reply = exporter.get(target)
    assert reply.status == 400
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == 400 and problem["title"] and len(problem["detail"]) > 20
    assert problem["errors"][0]["parameter"] == parameter


@pytest.mark.parametrize("target, status", [
    ("/nope", 404), ("/api/v2/status", 404), ("/metrics/x", 404),
    ("/%zz", 400), ("/%", 400), ("/a%00b", 400), ("/%ff", 400), ("/../etc/passwd", 400),
    ("/%2e%2e/%2e%2e/etc/passwd", 400), ("/x?a=1&a=2", 400), ("/?=1", 400),
    ("/" + "a" * 3000, 414), ("/?" + "&".join(f"p{n}" for n in range(40)), 400),
])
def test_bad_targets(exporter, target, status):
    connection_reply = exporter.request("GET", target)
    assert connection_reply.status == status
    assert connection_reply.headers["Content-Type"] == "application/problem+json"


def test_not_acceptable(exporter):
    assert exporter.get("/api/v1/cells", {"Accept": "image/png"}).status == 406
    assert exporter.get("/api/v1/status", {"Accept": "application/json;q=0"}).status == 406


@pytest.mark.parametrize("target", ["/metrics", "/api/v1/status", "/api/v1/cells", "/",
                                    "/-/healthy", "/-/ready", "/api/v1/openapi.json",
                                    "/api/v1/forecast", "/api/v1/forecast/history"])
def test_head(exporter, target):
    get = exporter.get(target)
    head = exporter.request("HEAD", target)
    assert head.status == get.status and head.body == b""
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FOO"])
def test_other_methods(exporter, method):
    reply = exporter.request(method, "/api/v1/status")
    # A client library may announce an empty body on its own.
    assert reply.status in (405, 413)
    assert exporter.raw(f"{method} / HTTP/1.1\r\nHost: x\r\n\r\n".encode()).startswith(
        b"HTTP/1.1 405 ")


def test_etag(exporter, segment):
    segment.do("silent")  # nothing moves
    time.sleep(0.3)
    first = exporter.get("/api/v1/cells")
    tag = first.headers["ETag"]
    again = exporter.get("/api/v1/cells", {"If-None-Match": f'"x", W/{tag}'})
    assert again.status == 304 and again.body == b"" and again.headers["ETag"] == tag
    packed = exporter.get("/api/v1/cells", {"Accept-Encoding": "gzip"})
    assert packed.headers["ETag"] != tag and gzip.decompress(packed.body) == first.body
    assert exporter.get("/api/v1/cells?format=csv").headers["ETag"] != tag
    segment.do("beat", "cell tcp inbound 80 CLOSE 1")
    time.sleep(0.3)
    assert exporter.get("/api/v1/cells", {"If-None-Match": tag}).status == 200


def test_old_rows_only_for_those_who_ask(exporter, segment):
    segment.do("age 60")
    time.sleep(0.4)
    reply = exporter.get("/api/v1/cells")
    assert reply.status == 503 and "60 s old" in reply.json()["detail"]
    assert reply.headers["Conntide-Agent"] == "silent"
    reply = exporter.get("/api/v1/cells?stale=1")
    assert reply.status == 200 and float(reply.headers["Conntide-Age-Seconds"]) >= 60
    assert reply.headers["Conntide-Quality"] == "not_exact"


INCIDENT = "20260102T000000Z-00000001"


def placeholder(path):
    return path.replace("{l4proto}", "tcp").replace("{port}", "80").replace("{id}", INCIDENT)


def test_openapi_describes_what_is_served(segment, start, directory):
    """All it promises exists, and nothing else does."""
    where = os.path.join(directory, "state", "host.incidents")
    os.makedirs(where)
    segment.do(*(f"incident {where} {INCIDENT} {stage} 1767312000 9000 10000 1"
                 for stage in ("high", "critical", "drops", "recovered")))
    exporter = start("--state-dir", os.path.join(directory, "state"), "--web.show-hosts=loopback")
    document = exporter.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, item in document["paths"].items():
        operation = item["get"]
        target = placeholder(path)
        assert exporter.get(target).status == 200, path
        for media_type, content in operation["responses"]["200"]["content"].items():
            reply = exporter.get(target, {"Accept": media_type})
            assert reply.headers["Content-Type"].startswith(media_type), (path, media_type)
            if media_type == "application/json":
                jsonschema.validate(reply.json(), content["schema"])
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                continue
            schema = parameter["schema"]
            if schema["type"] == "object":  # names of its own: see test_advice.py
                continue
            values = schema.get("enum") or ({"port": ["80"], "limit": ["5"], "refresh": ["7"],
                                          "notrack": ["tcp/80"], "keepalive": ["tcp/8080"]}.get(
                parameter["name"], ["ESTABLISHED" if parameter["name"] == "state" else "1"]))
            for value in values:
                reply = exporter.get(f"{target}?{parameter['name']}={value}")
                assert reply.status == 200, (path, parameter["name"], value)
        assert exporter.get(f"{target}?nonsense=1").status == 400


def test_page(exporter):
    page = exporter.get("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "style=" not in page.text and " on" not in re.sub(">[^<]*<", "><", page.text)
    assert not re.search(r'(?:href|src)="(?:https?:)?//', page.text)
    assert "<title>30 %" in page.text and "OK" in page.text and "8080" in page.text
    assert '<noscript><meta http-equiv="refresh" content="5">' in page.text
    assert "http-equiv" not in exporter.get("/?refresh=0").text
    style = exporter.get("/style.css")
    assert style.headers["Content-Type"].startswith("text/css")
    assert "prefers-color-scheme:dark" in style.text
    for target in re.findall(r'href="([^"#]*)"', page.text):
        if not target.startswith("data:"):
            assert exporter.get("/" + target.replace("&amp;", "&")).status == 200, target


@pytest.mark.parametrize("entries, level", [(1000, "OK"), (3500, "HIGH"), (4000, "CRITICAL"),
                                            (4096, "FULL")])
def test_level_is_said_in_words(exporter, segment, entries, level):
    segment.do(f"live count_entries {entries}")
    time.sleep(0.3)
    assert f'>{level}<' in exporter.get("/").text
    assert exporter.get("/api/v1/status").json()["level"] == level


def test_names_in_the_segment_are_data(exporter, segment):
    """The segment is outside input, also for HTML."""
    segment.do("live max_entries -5", "live count_entries -9223372036854775808",
               "live mode 99", "live doubts -1", "live exact 7")
    time.sleep(0.3)
    with open(segment.path, "r+b") as file:
        file.seek(128)  # netns_name
        file.write(b"\x1b[31m\xff<script>\0")
    time.sleep(0.3)
    assert exporter.get("/").status == 200
    status = exporter.get("/api/v1/status").json()
    assert status["mode"] == "unknown" and status["netns"] == "?[31m?<script>"
    assert exporter.get("/metrics").status == 200
