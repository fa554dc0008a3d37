# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows by conntrack zone: what is asked for by zone=, and the field zones of all rows."""
import csv
import io
import os
import subprocess
import time

import pytest

from harness import BUILD

CELLS = ("zone-cell 7 tcp outbound 8080 TIME_WAIT 400", "zone-cell 9 tcp outbound 8080 TIME_WAIT 50",
         "zone-cell 7 tcp inbound 443 ESTABLISHED 10", "zone-cell 9 tcp inbound 443 SYN_RECV 2")


@pytest.fixture(name="zoned")
def _zoned(exporter, segment):
    segment.do(*CELLS)
    time.sleep(0.3)  # what it has shown may be shown again for a tenth
    return exporter


def rows(exporter, what):
    return {(row["l4proto"], row["direction"], row["port"], row.get("state")): row
            for row in exporter.get(f"/api/v1/{what}").json()}


def test_rows_of_one_zone(zoned):
    seven = rows(zoned, "ports?zone=7")
    assert set(seven) == {("tcp", "outbound", 8080, None), ("tcp", "inbound", 443, None)}
    assert seven["tcp", "outbound", 8080, None]["entries"] == 400
    assert seven["tcp", "inbound", 443, None]["states"] == {"ESTABLISHED": 10}
    assert all(row["zones"] == {"7": row["entries"]} for row in seven.values())
    assert all(row[name] is None for row in seven.values()
               for name in ("new_per_second", "destroyed_per_second", "mean_lifetime_seconds"))
    assert rows(zoned, "ports?zone=8") == {}
    cells = rows(zoned, "cells?zone=9")
    assert {key: row["entries"] for key, row in cells.items()} == {
        ("tcp", "outbound", 8080, "TIME_WAIT"): 50, ("tcp", "inbound", 443, "SYN_RECV"): 2}
    one = zoned.get("/api/v1/ports/tcp/443?zone=7").json()
    assert one["entries"] == 10 and len(one["directions"]) == 1


def test_zones_add_up(zoned):
    """Over all zones, of each row and cell."""
    for what in ("ports", "cells"):
        whole = rows(zoned, what)
        parts = [rows(zoned, f"{what}?zone={zone}") for zone in (0, 7, 9)]
        for key, row in whole.items():
            assert row["entries"] == sum(part[key]["entries"] for part in parts if key in part), key
            assert sum(row["zones"].values()) == row["entries"], row


@pytest.mark.parametrize("query, zones", [
    ("", {"7": 10, "9": 2, "0": 3}), ("&state=established", {"7": 10, "0": 2}),
    ("&state=SYN_RECV", {"9": 2, "0": 1})])
def test_zones_are_of_the_entries_beside_them(zoned, query, zones):
    row, = zoned.get(f"/api/v1/ports?port=443{query}").json()
    assert row["zones"] == zones and row["entries"] == sum(zones.values())


def test_formats(zoned):
    reply = zoned.get("/api/v1/ports?port=8080&format=csv").text
    assert next(csv.DictReader(io.StringIO(reply, newline="")))["zones"].startswith("7=400;9=50")
    text = zoned.get("/api/v1/ports", {"Accept": "text/plain"}).text
    assert "ZONES" in text and "7=400  9=50" in text


def test_no_zones_no_column(exporter):
    assert "ZONES" not in exporter.get("/api/v1/ports", {"Accept": "text/plain"}).text
    assert all(row["zones"] == {} for row in exporter.get("/api/v1/ports").json())


@pytest.mark.parametrize("word", ["", "x", "-1", "65536", "7,9", "0x7", "7 "])
def test_odd_zones(zoned, word):
    reply = zoned.get(f"/api/v1/ports?zone={word.replace(' ', '%20')}")
    assert reply.status == 400 and "zone" in reply.text


def test_what_has_no_room_is_said(zoned, segment, directory):
    segment.do("zones-unlisted 7 33")
    time.sleep(0.3)
    reply = zoned.get("/api/v1/ports?zone=7")
    assert reply.headers["Conntide-Zone-Unlisted-Entries"] == "33"
    assert "Conntide-Zone-Unlisted-Entries" not in zoned.get("/api/v1/ports").headers
    row, = zoned.get("/api/v1/ports?port=443").json()
    assert row["zones"] == {"7": 10, "9": 2, "other": 3}
    done = subprocess.run([os.path.join(BUILD, "conntide"), "ports", "--zone", "7",
                           "--runtime-dir", directory], text=True, capture_output=True,
                          check=False, timeout=60)
    assert done.returncode == 0 and "Up to 33 entries of zone 7 are in none of these rows" in \
        " ".join(done.stdout.split())
