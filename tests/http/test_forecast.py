# SPDX-License-Identifier: GPL-2.0-or-later
"""The forecast, wherever it is served; and that nothing is shown in its place when it cannot say."""
import csv
import io
import json
import math
import re
import subprocess
import time

import pytest
from harness import CLI, total

FIELDS = ("verdict entries max horizons time_to_full_seconds settles_at_entries verdict_code limit "
          "alarm probabilities reasons hit_rate evictable_entries").split()
FUTURE = ["conntide_forecast_time_to_full_seconds", "conntide_forecast_entries",
          "conntide_forecast_full_probability", "conntide_forecast_drop_probability",
          "conntide_forecast_settles_at_entries",
          "conntide_forecast_alarm"]
RECORD = ["conntide_forecast_compared_total", "conntide_forecast_held_total",
          "conntide_forecast_cpu_seconds"]

# Four minutes, between two and nine; against nf_conntrack_max.
FILLING = ["forecast verdict 3", "forecast alarm 1", "forecast full_early_ms 130000",
           "forecast full_likely_ms 250000", "forecast full_late_ms 520000",
           "chance 4 930000 210000", "chance 7 990000 800000"]
NEVER = 2 ** 64 - 1


def settle(segment, *commands):
    segment.do(*commands)
    time.sleep(0.3)  # a snapshot is kept for a tenth of a second


def cli(directory, *argv):
    return subprocess.run([CLI, "forecast", *argv, "--runtime-dir", directory],
                          capture_output=True, text=True, check=False)


def names(samples):
    return {name for name, _ in samples}


def sample(samples, name, **labels):
    return samples[(name, frozenset({("netns", "host"), *labels.items()}))]


def test_document(exporter):
    reply = exporter.get("/api/v1/forecast")
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/json"
    document = reply.json()
    assert set(FIELDS) <= set(document)
    assert document["verdict"] == "levels off at 71 %"
    assert document["verdict_code"] == "levels-off" and document["alarm"] is False
    assert document["entries"] == 1240 and document["max"] == 4096
    assert document["limit"] == {"kind": "max", "entries": 4096}
    assert document["time_to_full_seconds"] == {"early": 3000, "likely": None, "late": None}
    assert document["settles_at_entries"] == 2900 and document["evictable_entries"] == 14
    assert [one["seconds"] for one in document["horizons"]] == [30, 120, 600, 3600]
    assert document["horizons"][2] == {"seconds": 600, "p10": 1710, "p50": 2105, "p90": 2490,
                                       "p025": 1500, "p975": 2800, "full_probability": 0}
    assert [one["seconds"] for one in document["probabilities"]] == [30, 60, 120, 300, 600, 1200,
                                                                     1800, 3600]
    assert document["probabilities"][-1]["drop_probability"] == pytest.approx(0.031)
    assert document["reasons"][0] == {
        "l4proto": "tcp", "direction": "inbound", "port": 80, "pooled": False, "entries": 600,
        "new_per_second": 8.4, "slope_per_second_squared": 0.0125, "entries_in_600_seconds": 1190,
        "settles_at_entries": 1700}
    assert document["reasons"][2]["pooled"] is True and document["reasons"][2]["port"] is None
    assert document["hit_rate"][2] == {"seconds": 600, "compared": 183, "held": 149,
                                       "ratio": pytest.approx(149 / 183, abs=1e-5)}
    assert document["hit_rate"][3]["ratio"] is None
    assert abs(document["computed_timestamp_seconds"] - time.time()) < 5
    assert document["watching_seconds"] is None


def test_openapi_describes_it_to_the_leaves(exporter):
    """Nothing in it that is not described, at any depth."""
    paths = exporter.get("/api/v1/openapi.json").json()["paths"]
    schema = paths["/api/v1/forecast"]["get"]["responses"]["200"]["content"][
        "application/json"]["schema"]
    document = exporter.get("/api/v1/forecast").json()
    assert list(document) == schema["required"]
    for name, value in document.items():
        described = schema["properties"][name]
        if isinstance(value, list):
            assert all(list(one) == described["items"]["required"] for one in value) and value
        elif isinstance(value, dict):
            assert list(value) == described["required"]
        inner = described.get("items", described).get("properties", {})
        assert all(one["description"] and one["type"] for one in inner.values())


def test_large_numbers_are_exact(exporter, segment):
    settle(segment, "live max_entries 2097153", "forecast limit_entries 2097153",
           "forecast settles_at_entries 1234567", "outlook 0 1048575 1048576 1048577 1048578 1048579 1 1")
    document = exporter.get("/api/v1/forecast").json()
    assert document["settles_at_entries"] == 1234567 and document["horizons"][0]["p50"] == 1048577


def test_metrics(exporter):
    samples = exporter.metrics()
    assert set(FUTURE + RECORD) <= names(samples)
    assert sample(samples, "conntide_forecast_time_to_full_seconds", bound="early") == 3000
    assert math.isinf(sample(samples, "conntide_forecast_time_to_full_seconds", bound="late"))
    assert sample(samples, "conntide_forecast_entries", horizon="600", bound="low") == 1710
    assert sample(samples, "conntide_forecast_full_probability", horizon="3600") == 0.12
    assert sample(samples, "conntide_forecast_drop_probability", horizon="3600") == 0.031
    assert sample(samples, "conntide_limit_entries", limit="max") == 4096
    assert sample(samples, "conntide_forecast_compared_total", horizon="120") == 231
    assert sample(samples, "conntide_forecast_cpu_seconds") == 0.001875
    assert len([name for name, _ in samples if name.startswith("conntide_forecast_")]) == 30


@pytest.mark.parametrize("commands, words, code", [
    (["forecast verdict 1", "forecast settles_at_entries 1229"], "steady at 30 %", "steady"),
    (["forecast verdict 5", "forecast settles_at_entries 400"], "draining to 10 %", "draining"),
    (FILLING, "full in about 4 min (2-9)", "filling"),
    (FILLING + [f"forecast full_late_ms {NEVER}"], "full in about 4 min (2 or later)", "filling"),
    (FILLING + ["forecast full_early_ms 31000", "forecast full_likely_ms 44700",
                "forecast full_late_ms 70001"], "full in about 45 s (31-71)", "filling"),
    (FILLING + ["forecast limit_kind 3", "forecast limit_entries 2000"],
     "full in about 4 min (2-9) against the assumed limit of 2000 entries", "filling"),
    (["forecast verdict 4", "forecast limit_kind 2", "forecast limit_entries 1200"],
     "full against the chain-length limit of 1200 entries", "full"),
    (["forecast verdict 4"], "full", "full"),
    (["forecast limit_kind 3", "forecast limit_entries 4000"],
     "levels off at 72 % of the assumed limit of 4000 entries", "levels-off"),
    (["forecast settles_at_entries 8192"],
     "grows towards 200 %; not full within the hour, as things stand", "levels-off"),
    (["live max_entries 0", "forecast verdict 6", "forecast limit_kind 0",
      "forecast limit_entries 0"], "no limit; settles at 2900 entries", "unlimited"),
])
def test_verdict_is_the_same_everywhere(exporter, directory, segment, commands, words, code):
    settle(segment, *commands)
    document = exporter.get("/api/v1/forecast").json()
    assert (document["verdict"], document["verdict_code"]) == (words, code)
    text = exporter.get("/api/v1/forecast", {"Accept": "text/plain"})
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert text.text.splitlines()[0] == f"forecast    {words}"
    assert exporter.get("/api/v1/status").json()["forecast"]["verdict"] == words
    assert f"forecast    {words}\n" in exporter.get("/api/v1/status?format=text").text
    assert f">{words}</p>" in exporter.get("/").text
    assert cli(directory).stdout.splitlines()[0] == f"forecast    {words}"
    assert json.loads(cli(directory, "--json").stdout)["verdict"] == words


# While it cannot say: why, in words; nothing in numbers; its own record where it has one.
@pytest.mark.parametrize("commands, words, code, record", [
    (["forecast verdict 0", "forecast watching_s 40"], "cannot say yet: watching for 40 s more",
     "watching", True),
    (["forecast verdict 0", "forecast silence 4", "forecast watching_s 40"],
     "cannot say yet: the table was full, what came since says nothing about the load; "
     "watching for 40 s more", "watching", True),
    (["forecast verdict 0", "forecast silence 2", "forecast watching_s 0"],
     "cannot say: the kernel sends no events; set net.netfilter.nf_conntrack_events=1",
     "watching", True),
    (["live mode 2"], "overloaded", "unknown", True),
    (["live mode 3"], "overloaded", "unknown", True),
    (["live mode 0"], "for the first time", "unknown", True),
    (["hang-forecast"], "made no forecast", "unknown", False),
    (["forecast verdict 99"], "made no forecast", "unknown", False),
    (["forecast silence 99"], "made no forecast", "unknown", False),
    (["forecast limit_kind 99"], "made no forecast", "unknown", False),
    (["forecast horizon_s 31"], "made no forecast", "unknown", False),
    (["forecast reason_count 4000000000"], "made no forecast", "unknown", False),
])
def test_nothing_is_shown_in_its_place(exporter, directory, segment, commands, words, code, record):
    settle(segment, "forecast alarm 1", *commands)
    document = exporter.get("/api/v1/forecast").json()
    assert words in document["verdict"] and document["verdict"].startswith("cannot say")
    assert document["verdict_code"] == code and document["alarm"] is False
    assert document["horizons"] == document["probabilities"] == document["reasons"] == []
    assert document["time_to_full_seconds"] is None and document["settles_at_entries"] is None
    assert len(document["hit_rate"]) == (4 if record else 0)
    assert document["watching_seconds"] == (
        (40 if "40 s" in words else 0) if code == "watching" else None)
    samples = exporter.metrics()
    assert not names(samples) & set(FUTURE)
    assert (names(samples) >= set(RECORD)) == record
    page = exporter.get("/").text
    assert "cannot say" in page and "<svg" not in page
    done = cli(directory)
    assert done.returncode == 0 and "AHEAD" not in done.stdout and words in done.stdout


def test_forecasts_that_stopped_coming(exporter, segment):
    """The agent beats on, and its last forecast grows old."""
    settle(segment, "silent", "forecast computed_boot_ns 1")
    document = exporter.get("/api/v1/forecast").json()
    assert document["verdict"] == "cannot say: the agent makes no forecasts any more"
    assert not names(exporter.metrics()) & set(FUTURE)


def test_agent_without_a_forecast(start, directory):
    from harness import Segment
    segment = Segment(directory, "live count_entries 5\nlive max_entries 100")
    exporter = start()
    document = exporter.get("/api/v1/forecast").json()
    assert document["verdict"] == "cannot say: the agent made no forecast"
    assert document["hit_rate"] == [] and document["limit"] is None
    assert document["computed_timestamp_seconds"] is None
    assert exporter.get("/api/v1/forecast/history").json() == []
    segment.close()


def test_old_forecasts_only_for_those_who_ask(exporter, directory, segment):
    settle(segment, *FILLING, "age 60")
    reply = exporter.get("/api/v1/forecast")
    assert reply.status == 503 and "60 s old" in reply.json()["detail"]
    assert exporter.get("/api/v1/forecast/history").status == 503
    reply = exporter.get("/api/v1/forecast?stale=1")
    assert reply.status == 200 and float(reply.headers["Conntide-Age-Seconds"]) >= 60
    document = reply.json()
    assert re.fullmatch(r"cannot say: the agent is silent; 6\d s ago it said: full in about 4 min "
                        r"\(2-9\)", document["verdict"])
    assert document["alarm"] is False and document["time_to_full_seconds"]["likely"] == 250
    assert not [name for name in names(exporter.metrics()) if "forecast" in name]
    done = cli(directory)
    assert done.returncode == 3 and "ago it said: full in about 4 min" in done.stdout
    assert cli(directory, "--history").returncode == 3
    settle(segment, "boot-id-of-another")
    assert exporter.get("/api/v1/forecast?stale=1").json()["verdict"] == (
        "cannot say: the agent is rebooted")


def test_etag(exporter, segment):
    settle(segment, "silent")
    for path in ("/api/v1/forecast", "/api/v1/forecast/history"):
        tag = exporter.get(path).headers["ETag"]
        assert exporter.get(path, {"If-None-Match": tag}).status == 304
    settle(segment, "forecast settles_at_entries 2901")
    tag = exporter.get("/api/v1/forecast").headers["ETag"]
    settle(segment, "forecast settles_at_entries 2902")
    assert exporter.get("/api/v1/forecast", {"If-None-Match": tag}).status == 200


def test_history(exporter, directory):
    rows = exporter.get("/api/v1/forecast/history?horizon=600").json()
    assert [(row["p10"], row["p50"], row["p90"]) for row in rows] == [
        (1000, 1100, 1200), (1110, 1180, 1260), (1215, 1260, 1300)]
    assert [row["came"] for row in rows] == [1150, 1290, None]
    assert [row["held"] for row in rows] == [True, False, None]
    assert [row["time_to_full_seconds"] for row in rows] == [None, 540, None]
    assert [row["alarm"] for row in rows] == [False, True, False]
    assert {row["seconds"] for row in rows} == {600}
    everything = exporter.get("/api/v1/forecast/history").json()
    assert len(everything) == 12 and {row["seconds"] for row in everything} == {30, 120, 600, 3600}
    assert exporter.get("/api/v1/forecast/history?limit=5").json() == everything[-5:]
    table = list(csv.DictReader(io.StringIO(
        exporter.get("/api/v1/forecast/history?format=csv").text, newline="")))
    assert list(table[0]) == list(everything[0]) and len(table) == 12
    assert [row["held"] for row in table[:2]] == ["true", "true"] and table[-1]["came"] == ""
    lines = exporter.get("/api/v1/forecast/history?format=ndjson").text.splitlines()
    assert [json.loads(line) for line in lines] == everything
    assert json.loads(cli(directory, "--history", "--json").stdout) == everything
    text = cli(directory, "--history").stdout.splitlines()
    assert len(text) == 4 and "CAME" in text[0]
    assert len(cli(directory, "--history", "--horizon", "30", "--limit", "1").stdout.splitlines()) == 2


def test_history_of_a_day(exporter, segment):
    segment.do(*[f"past {n + 10} {n} {n + 20} {n} - 0" for n in range(1700)])
    rows = exporter.get("/api/v1/forecast/history?horizon=30").json()
    assert len(rows) >= 1440
    came = [row["came"] for row in rows]
    assert came == list(range(came[0], 1700))


@pytest.mark.parametrize("argv, code", [
    (["--horizon", "600"], 2), (["--limit", "3"], 2), (["--format", "csv"], 2),
    (["--history", "--horizon", "60"], 2), (["--history", "--horizon", "x"], 2),
    (["nonsense"], 2), (["--netns", "other"], 3), (["--history", "--netns", "other"], 3),
])
def test_wrong_usage(segment, directory, argv, code):  # pylint: disable=unused-argument
    done = cli(directory, *argv)
    assert done.returncode == code
    assert done.stdout.startswith("NO AGENT: ") if code == 3 else done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("conntide: ")


def points(page, kind):
    found = re.findall(rf'class="{kind}" points="([^"]*)"', page)
    return [[tuple(map(float, point.split(","))) for point in one.split()] for one in found]


def test_chart(exporter, segment):
    segment.do(*[f"sample seconds {1000 + (s % 100)} 1000 4096 1 1 0 {s}"
                 for s in range(3800, -1, -1)])
    time.sleep(0.3)
    page = exporter.get("/").text
    assert 'role="img"' in page and "<title id=" in page and "style=" not in page
    past = points(page, "past")[-1]
    assert 150 < len(past) < 200 and all(0 <= x <= 360.01 for x, _ in past)
    assert [x for x, _ in past] == sorted(x for x, _ in past)
    likely, = points(page, "likely")
    assert likely[0] == past[-1] and [x for x, _ in likely] == [360, 363, 372, 420, 720]
    assert [y for _, y in likely] == sorted((y for _, y in likely), reverse=True), "it rises"
    fan, = points(page, "fan")
    assert len(fan) == 9
    assert ">limit 4096<" in page
    # A limit far away is not drawn, else all the rest would be a flat line.
    settle(segment, "live max_entries 262144", "forecast limit_entries 262144")
    assert ">limit" not in exporter.get("/").text


def test_chart_of_anything(exporter, segment):
    settle(segment, "live count_entries -9223372036854775808",
           "forecast settles_at_entries 4294967295", "forecast soft_entries 4294967295",
           *[f"outlook {i} 0 0 4294967295 4294967295 4294967295 4294967295 4294967295"
             for i in range(4)])
    page = exporter.get("/").text
    for x, y in sum(points(page, "(?:past|fan|likely)"), []):
        assert 0 <= x <= 720 and 0 <= y <= 220
    assert "nan" not in page and "inf" not in page.replace("info", "")
    assert exporter.get("/api/v1/forecast").json()["horizons"][0]["p90"] == 4294967295
    assert total(exporter.metrics(), "conntide_forecast_held_total", horizon="30") == 4294967295
