# SPDX-License-Identifier: GPL-2.0-or-later
"""The flight recorder's files, served and shown: good ones, old ones, and what is none."""
import csv
import io
import json
import os
import re
import subprocess

import pytest

from harness import CLI, ROOT, Segment, total, wait_for

OLD, NEW = "20260101T000000Z-00000001", "20260102T000000Z-0000000a"
BEGAN = 1767312000
NGINX = os.path.join(ROOT, "tests", "golden", "nginx.segment")
STRANGER = {"X-Forwarded-For": "192.0.2.99"}  # through a proxy: not trusted
ADDRESS = re.compile(r"\b(?:192\.0\.2|198\.51\.100)\.\d+|2001:db8")


@pytest.fixture
def state(directory):
    path = os.path.join(directory, "state")
    os.makedirs(os.path.join(path, "host.incidents"))
    return path


@pytest.fixture
def kept(segment, state):
    """Two incidents: an old one that only passed 80 %, a new one with all stages."""
    where = os.path.join(state, "host.incidents")
    segment.do(f"incident {where} {OLD} high {BEGAN - 86400} 8500 10000 0",
               f"incident {where} {NEW} high {BEGAN} 8100 10000 0",
               f"incident {where} {NEW} critical {BEGAN} 9600 10000 0",
               f"incident {where} {NEW} drops {BEGAN} 10000 10000 42",
               f"incident {where} {NEW} recovered {BEGAN} 100 10000 43")
    return where


@pytest.fixture
def exporter(state, start):
    return start("--state-dir", state, "--web.show-hosts=loopback")


def cli(state, *argv):
    return subprocess.run([CLI, "incidents", "--state-dir", state, *argv], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)


def damage(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def test_list(kept, exporter, state):  # pylint: disable=unused-argument
    reply = exporter.get("/api/v1/incidents")
    rows = reply.json()
    assert [row["id"] for row in rows] == [NEW, OLD]
    new, old = rows
    assert reply.headers["Conntide-Total-Rows"] == "2"
    assert new["state"] == "over" and old["state"] == "cut-off"
    assert new["stages"] == ["high", "critical", "drops", "recovered"] and old["stages"] == ["high"]
    assert new["worst"] == "drops" and old["worst"] == "high"
    assert new["began"] == "2026-01-02T00:00:00Z" and new["ended"] == "2026-01-02T00:00:03Z"
    assert old["ended"] is None and old["peak_fill_ratio"] == 0.85 and new["dropped"] == 43
    assert new["top_cell"]["entries"] >= new["top_cell"]["state_entries"] > 0
    assert new["bytes"] == sum(os.path.getsize(os.path.join(kept, name))
                               for name in os.listdir(kept) if name.startswith(NEW))
    assert json.loads(cli(state, "--json").stdout) == rows
    assert len(exporter.get("/api/v1/incidents?limit=1").json()) == 1


def test_formats(kept, exporter, state):  # pylint: disable=unused-argument
    rows = exporter.get("/api/v1/incidents").json()
    lines = exporter.get("/api/v1/incidents?format=ndjson").text.splitlines()
    assert [json.loads(line) for line in lines] == rows
    table = list(csv.DictReader(io.StringIO(exporter.get("/api/v1/incidents?format=csv").text)))
    assert [row["id"] for row in table] == [NEW, OLD]
    assert table[1]["ended"] == "" and table[0]["stages"] == "high critical drops recovered"
    text = exporter.get("/api/v1/incidents", {"Accept": "text/plain"}).text
    assert text == cli(state).stdout and NEW in text
    schema = exporter.get("/api/v1/openapi.json").json()["paths"]
    columns = schema["/api/v1/incidents"]["get"]["responses"]["200"]["content"][
        "application/json"]["schema"]["items"]["properties"]
    assert list(columns) == list(rows[0])
    one = schema["/api/v1/incidents/{id}"]["get"]["parameters"]
    assert {(param["name"], param["in"]) for param in one} == {
        ("id", "path"), ("stage", "query"), ("limit", "query"), ("format", "query")}


def test_one_is_the_table_as_it_was(kept, exporter, segment, state):
    """As the live table was when it was kept, and still after the table has changed."""
    live_ports = exporter.get("/api/v1/ports").json()
    live_cells = exporter.get("/api/v1/cells").json()
    live = exporter.get("/api/v1/status").json()
    segment.do("cell tcp inbound 9 ESTABLISHED 123456")
    whole = exporter.get(f"/api/v1/incidents/{NEW}").json()
    assert whole["shown"]["stage"] == "drops" and whole["shown"]["problem"] == ""
    assert whole["shown"]["complete"] is True
    assert whole["incident"] == exporter.get("/api/v1/incidents").json()[0]
    assert [stage["stage"] for stage in whole["stages"]] == [
        "high", "critical", "drops", "recovered"]
    assert all(stage["snapshot"] for stage in whole["stages"])
    for row in (*whole["ports"], *live_ports):
        # Over a heartbeat that goes on meanwhile.
        row.pop("new_per_second"), row.pop("destroyed_per_second")
    assert whole["ports"] == live_ports and whole["cells"] == live_cells
    for name in ("entries", "max", "losses", "doubts", "netns", "mode"):
        assert whole["status"][name] == live[name]
    assert whole["history"], "the seconds before"
    assert whole["forecast"]["entries"] == live["entries"]
    text = exporter.get(f"/api/v1/incidents/{NEW}?format=text").text
    assert text == cli(state, NEW).stdout
    assert "passed 95 % of the limit" in text and "The seconds before" in text
    assert json.loads(cli(state, NEW, "--json").stdout)["cells"] == live_cells
    stage = exporter.get(f"/api/v1/incidents/{NEW}?stage=critical&limit=1").json()
    assert stage["shown"]["entries"] == 9600 and len(stage["cells"]) == len(stage["ports"]) == 1
    assert exporter.get(f"/api/v1/incidents/{OLD}").json()["shown"]["stage"] == "high"
    assert kept


@pytest.mark.parametrize("target, status", [
    ("incidents/nonsense", 404), ("incidents/20260101T000000Z-00000009", 404),
    ("incidents/..%2f..%2fhost.table", 400), ("incidents/%2e%2e", 400),
    (f"incidents/{OLD}?stage=drops", 404), (f"incidents/{OLD}?stage=worst", 400),
    (f"incidents/{OLD}?format=csv", 400), (f"incidents/{OLD}?limit=0", 400),
    ("incidents?limit=x", 400), ("incidents?stage=high", 400), ("incidents?limit=", 400),
    (f"incidents/{OLD}.high.incident", 404),
])
def test_wrong_questions(kept, exporter, target, status):  # pylint: disable=unused-argument
    reply = exporter.get(f"/api/v1/{target}")
    assert reply.status == status, reply.text
    assert reply.json()["detail"]


def test_no_agent_and_no_incident(exporter, state):
    assert exporter.get("/api/v1/incidents").json() == []
    os.rmdir(os.path.join(state, "host.incidents"))
    assert exporter.get("/api/v1/incidents").json() == []
    done = cli(state)
    assert done.returncode == 0 and "no incident has been kept in" in done.stdout
    assert cli(state, "--json").stdout.strip() == "[]"


def test_needs_no_agent(kept, exporter, segment, directory):  # pylint: disable=unused-argument
    os.unlink(os.path.join(directory, "host.table"))
    assert len(exporter.get("/api/v1/incidents").json()) == 2
    assert exporter.get(f"/api/v1/incidents/{NEW}").json()["status"]["agent_up"] is True


DAMAGES = {
    "empty": lambda path: os.truncate(path, 0),
    "head cut": lambda path: os.truncate(path, 100),
    "body cut": lambda path: os.truncate(path, os.path.getsize(path) - 1),
    "longer": lambda path: damage(path, os.path.getsize(path), b"\0"),
    "another magic": lambda path: damage(path, 0, b"x"),
    "another format": lambda path: damage(path, 16, b"\xff"),
    "a bit of the head": lambda path: damage(path, 200, b"\xff"),
    "the id": lambda path: damage(path, 248, b"9"),
}


@pytest.mark.parametrize("what", sorted(DAMAGES))
def test_damaged_files_are_named(kept, exporter, state, what):
    """With a reason; the others are served."""
    name = f"{OLD}.high.incident"
    DAMAGES[what](os.path.join(kept, name))
    reply = exporter.get("/api/v1/incidents")
    new, bad = reply.json()
    assert new["id"] == NEW and bad["id"] == name and bad["state"] == "unreadable"
    assert len(bad["problem"]) > 10 and bad["began"] is None
    assert reply.headers["Conntide-Unreadable-Files"] == "1"
    assert exporter.get(f"/api/v1/incidents/{OLD}").status == 404
    assert exporter.get(f"/api/v1/incidents/{NEW}").status == 200
    done = cli(state)
    assert done.returncode == 0 and bad["problem"] in done.stdout
    assert cli(state, OLD).returncode == 1


def test_damaged_body(kept, exporter, state):
    """The head tells what happened; the rest is not made up."""
    damage(os.path.join(kept, f"{NEW}.drops.incident"), 700, b"\xff\xff")
    whole = exporter.get(f"/api/v1/incidents/{NEW}").json()
    assert "damaged" in whole["shown"]["problem"] and whole["incident"]["dropped"] == 43
    assert whole["status"] is None and whole["cells"] is None
    assert "damaged" in exporter.get(f"/api/v1/incidents/{NEW}?format=text").text
    assert exporter.get(f"/api/v1/incidents/{NEW}?stage=critical").json()["cells"]
    done = cli(state, NEW)
    assert done.returncode == 1 and "damaged" in done.stderr and "largest" in done.stdout


def test_strangers_in_the_directory(kept, exporter):
    os.mkfifo(os.path.join(kept, "20260103T000000Z-00000001.high.incident"))
    os.symlink("/etc/passwd", os.path.join(kept, "20260103T000000Z-00000002.high.incident"))
    os.mkdir(os.path.join(kept, "20260103T000000Z-00000003.high.incident"))
    with open(os.path.join(kept, "<b>\x1b[2J.incident"), "wb"), \
            open(os.path.join(kept, "writing.new"), "wb"):
        pass
    rows = exporter.get("/api/v1/incidents").json()
    assert [row["id"] for row in rows[:2]] == [NEW, OLD]
    assert len(rows) == 6 and all(row["state"] == "unreadable" for row in rows[2:])
    assert not any("\x1b" in row["id"] for row in rows)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the exporter becomes another user")
def test_forbidden_directory(kept, exporter):
    os.chmod(kept, 0o700)
    reply = exporter.get("/api/v1/incidents")
    assert reply.status == 503 and "group" in reply.json()["detail"]
    os.chmod(kept, 0o755)
    assert len(exporter.get("/api/v1/incidents").json()) == 2


def test_many_are_served_without_growing(kept, exporter, segment):
    """Each request maps what it shows, and lets go of it."""
    for day in range(100, 164):
        segment.do(f"incident {kept} 20250101T000{day}Z-00000001 drops {BEGAN} 10000 10000 1")
    for _ in range(20):
        exporter.get(f"/api/v1/incidents/{NEW}")
        exporter.get("/api/v1/incidents")
    before, fds = exporter.resident_kib(), exporter.open_fds()
    for _ in range(100):
        assert exporter.get(f"/api/v1/incidents/{NEW}").status == 200
        assert len(exporter.get("/api/v1/incidents").json()) == 66
    assert exporter.resident_kib() < before + 4096
    # Connections that are being closed count, too; a leak would be 200 and more.
    assert exporter.open_fds() <= fds + 20


def test_usage(state):
    assert cli(state, "x", "y").returncode == 2
    assert cli(state, NEW, "--format", "csv").returncode == 2
    assert cli(state, NEW).returncode == 1
    assert cli(state, "../../etc").returncode == 1
    assert cli(state, "--stage", "worst").returncode == 2
    assert cli(state, "--netns", "../x").returncode == 2


def test_metrics(segment, exporter):
    segment.do("live incidents_recorded 3", "live incident_writes_failed 2",
               "live incident_active 1")
    wait_for(lambda: total(exporter.metrics(), "conntide_incidents_total",
                           result="recorded") == 3, 5, "the new numbers")
    samples = exporter.metrics()
    assert total(samples, "conntide_incidents_total", result="suppressed") == 0
    assert total(samples, "conntide_incident_writes_total", result="failed") == 2
    assert total(samples, "conntide_incident_active") == 1


def test_why_and_talkers_as_of_then(directory, state, start):
    """What the live table said when it was kept; addresses only for trusted clients."""
    with open(NGINX, encoding="ascii") as file:
        made = Segment(directory, file.read())
    where = os.path.join(state, "host.incidents")
    made.do(f"incident {where} {NEW} high {BEGAN} 8100 10000 0")
    served = start("--state-dir", state, "--web.show-hosts=loopback")
    live = served.get("/api/v1/why").json()
    target = f"/api/v1/incidents/{NEW}"
    whole = served.get(target).json()
    assert [(found["pattern"], found["confidence"]) for found in whole["why"]["patterns"]] == [
        (found["pattern"], found["confidence"]) for found in live["patterns"]]
    assert whole["talkers"] == served.get("/api/v1/talkers").json() and whole["talkers"]
    assert whole["incident"]["pattern"] == "upstream-without-keepalive"
    assert served.get("/api/v1/incidents").json()[0] == whole["incident"]
    text = cli(state, NEW).stdout
    assert "upstream-without-keepalive" in text and ADDRESS.search(text)
    for query in ("", "?format=text"):
        shown, hidden = served.get(target + query), served.get(target + query, STRANGER)
        assert hidden.status == 200 and "upstream-without-keepalive" in hidden.text
        assert ADDRESS.search(shown.text) and not ADDRESS.search(hidden.text)
    hidden = served.get(target, STRANGER).json()
    assert hidden["talkers"] is None and "authenticated" in hidden["why"]["hosts_hidden"]
    made.close()
