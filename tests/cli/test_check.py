# SPDX-License-Identifier: GPL-2.0-or-later
"""conntide check, as a monitoring system calls it: word, exit status, performance data."""
import json
import re
import subprocess

import pytest
from harness import CLI

WORDS = ["OK", "WARNING", "CRITICAL", "UNKNOWN"]
# Of monitoring-plugins.org: 'label'=value[UOM];[warn];[crit];[min];[max]
DATUM = re.compile(r"^([a-z_]+)=(-?[\d.]+(?:%|s)?|U)(?:;([\d.:]*))?(?:;([\d.:]*))?"
                   r"(?:;([\d.]*))?(?:;([\d.]*))?$")


def check(table, *words):
    """Exit status, text, performance data by label; and JSON says the same."""
    done = table.run("check", *words)
    assert not done.stderr, done
    assert done.stdout.count("\n") == 1 and done.stdout.count("|") <= 1, done
    text, _, data = done.stdout.rstrip("\n").partition(" | ")
    assert text.split(" - ")[0] == WORDS[done.returncode], done
    found = {}
    for one in data.split():
        match = DATUM.match(one)
        assert match, one
        found[match.group(1)] = match.groups()[1:]
    told = json.loads(table.run("check", "--json", *words).stdout)
    assert (told["check"], told["exit_status"]) == (WORDS[done.returncode], done.returncode)
    return done.returncode, text, found


def test_ok(nginx):
    status, text, data = check(nginx)
    assert status == 0 and "7512 of 262144 entries, 2.9 % full" in text, text
    assert data["entries"] == ("7512", "209716", "249037", "0", "262144")
    assert data["fill"] == ("2.87%", "80", "95", "0", "100")
    assert data["evictable"][0] == "0" and data["losses"][0] == "0"
    assert data["time_to_full"][0] == "U"


@pytest.mark.parametrize("entries, words, status", [
    (7512, [], 0), (209715, [], 0), (209716, [], 1), (249036, [], 1), (249037, [], 2),
    (262144, [], 2),
    (7512, ["-w", "2%"], 1), (7512, ["-w", "2"], 1), (7512, ["-w", "3%"], 0),
    (7512, ["-c", "2%"], 2), (7512, ["-w", "1%", "-c", "3%"], 1),
    # Instead of the level, not besides it.
    (249037, ["-w", "97%", "-c", "99%"], 0), (249037, ["-c", "99%"], 1),
    (209716, ["-w", "90%"], 0), (209716, ["-w", "30m"], 0),
    # Losses are no matter of thresholds.
    (262144, ["-w", "200%", "-c", "200%"], 2),
], ids=str)
def test_by_fill(nginx, entries, words, status):
    nginx.do(f"live count_entries {entries}", f"live max_entries {262144}")
    assert check(nginx, *words)[0] == status


@pytest.mark.parametrize("words, status", [
    ([], 1), (["-w", "30m"], 1), (["-w", "10m"], 0), (["-w", "80%,30m"], 1),
    (["-w", "30m", "-c", "25m"], 2), (["-c", "19m,90%"], 1), (["-c", "20m,90%"], 2), (["-w", "1500s"], 1),
    (["-w", "1199s"], 0),
], ids=str)
def test_by_forecast(nginx, words, status):
    nginx.do("forecast verdict 3", "forecast full_early_ms 600000",
             "forecast full_likely_ms 1200000", "forecast full_late_ms 2400000",
             "live level 2", "live level_reason 9", "live level_value 1200000")
    found, text, data = check(nginx, *words)
    assert found == status, text
    assert data["time_to_full"][0] == "1200s"
    if words[:2] == ["-w", "30m"]:
        assert data["time_to_full"][1] == "1800:"


def test_a_nat_pool_keeps_its_level(nginx):
    """Thresholds cannot say anything about it."""
    nginx.do("live level 3", "live level_reason 10", "live level_value 960000")
    status, text, _ = check(nginx, "-w", "90%,1m", "-c", "95%,1m")
    assert status == 2 and "pool" in text


def test_losses_are_said(nginx):
    nginx.do("live count_entries 262144", "live dropped_milli_per_s 12500",
             "live evicted_milli_per_s 500")
    status, text, data = check(nginx)
    assert status == 2 and "FULL" in text and "loses 13/s" in text
    assert data["losses"][0] == "13"


def test_evictable_entries_are_told_apart(nginx):
    nginx.do("live unassured_entries 7000")
    _, text, data = check(nginx)
    assert "7000 evictable" in text and data["evictable"][0] == "7000"


def test_rehearsal_is_said_first(nginx):
    nginx.do("live assumed_max_entries 10000", "live limit_kind 3", "live max_entries 10000",
             "live limit_entries 10000")
    status, text, _ = check(nginx)
    assert text.split(" - ")[1].startswith("REHEARSAL"), (status, text)


def test_unknown(nginx, tmp_path):
    nginx.do("silent", "age 60")
    status, text, data = check(nginx)
    assert status == 3 and "no current numbers" in text and not data
    done = subprocess.run([CLI, "check", "--runtime-dir", str(tmp_path / "none")], text=True,
                          capture_output=True, check=False, timeout=60)
    assert done.returncode == 3 and done.stdout.startswith("UNKNOWN - no agent"), done


@pytest.mark.parametrize("words", [["-w", "soon"], ["-c", ""], ["-w", "80%,90%"], ["-w", "1m,2m"],
                                   ["--wrong"], ["extra"], ["-w"], ["-c", "80%,"], ["-w", "1e3"]],
                         ids=str)
def test_wrong_usage_is_unknown(nginx, words):
    """Exit status 2 would be CRITICAL."""
    done = nginx.run("check", *words)
    assert done.returncode == 3 and done.stdout.startswith("UNKNOWN - "), done


def test_host(nginx, tmp_path):
    """The real host; what it is like is tests/unit/advice_host.c's."""
    done = nginx.run("check", "--host")
    assert done.returncode in (0, 1, 2) and not done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split(" - ")[0] == WORDS[done.returncode]
    assert len(lines) <= 24 and all(len(line) <= 80 for line in lines), done.stdout
    told = json.loads(nginx.run("check", "--host", "--json").stdout)
    assert told["check"] == WORDS[done.returncode] and told["facts"]["agent_up"] is True
    names = [item["item"] for item in told["items"]]
    assert {"kernel", "module", "rights", "events", "hash", "namespace", "listeners",
            "memory"} <= set(names)
    # Without an agent there is something to say, too.
    other = subprocess.run([CLI, "check", "--host", "--json", "--runtime-dir", str(tmp_path / "x")],
                           text=True, capture_output=True, check=False, timeout=60)
    assert json.loads(other.stdout)["facts"]["agent_up"] is False
