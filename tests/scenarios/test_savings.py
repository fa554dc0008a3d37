# SPDX-License-Identifier: GPL-2.0-or-later
"""Why did nginx fill the table that Squid did not, what would help, and does it?"""
import pytest

import savings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def experiment():
    made = savings.Experiment()
    try:
        made.run()
        yield made
    finally:
        made.close()


def named(why):
    return {one["pattern"]: one for one in why["patterns"]}


def test_nginx_is_explained(experiment):
    """Both sides by name: half the table is TIME_WAIT of connections to port 8080."""
    why = experiment.why["nginx"]
    found = named(why)["upstream-without-keepalive"]
    row = found["rows"][0]
    assert (row["l4proto"], row["direction"], row["port"], row["state"]) == (
        "tcp", "outbound", 8080, "TIME_WAIT")
    front = found["other_side"]
    assert (front["l4proto"], front["direction"], front["port"]) == ("tcp", "inbound", 80)
    assert found["confidence"] == "sure" and not found["unsure"]
    assert found["share"] == pytest.approx(0.5, abs=0.03)
    figures = found["figures"]
    assert figures["upstream_per_inbound"] == pytest.approx(1, abs=0.05)
    assert figures["upstream_new_per_second"] == pytest.approx(savings.PER_S, rel=0.1)
    assert figures["upstream_time_wait_entries"] > 0.95 * figures["upstream_entries"]
    # Half of the pile each: it is one matter, and is told once.
    assert "time-wait-pile" not in {
        name for name, one in named(why).items() if one["rows"] and one["rows"][0]["port"] == 8080}


def test_squid_is_not_accused(experiment):
    """The same load: one entry for each request, and a few open connections behind it."""
    why = experiment.why["squid"]
    assert "upstream-without-keepalive" not in named(why)
    found = named(why)["time-wait-pile"]
    assert [(row["port"], row["direction"]) for row in found["rows"]] == [(81, "inbound")]
    assert found["share"] > 0.95


@pytest.mark.parametrize("name", ["keepalive", "notrack", "timeout"])
def test_what_is_promised_is_what_comes(experiment, name):
    saving = experiment.savings[name]
    assert saving.predicted() == pytest.approx(saving.measured(), rel=0.1)
    assert saving.said["settles_at_entries"] == pytest.approx(saving.before, rel=0.1)
    # Of the table as it was: a small rest is moved by a round of the collector more or less.
    assert saving.said["settles_at_entries_then"] == pytest.approx(saving.after,
                                                               abs=0.1 * saving.before)


@pytest.mark.parametrize("name, remedy", [("keepalive", "keepalive-tcp-8080"),
                                          ("notrack", "notrack-tcp-80-inbound")])
def test_advice_promises_the_same(experiment, name, remedy):
    saving = experiment.savings[name]
    item = savings.advised(saving, remedy)
    share = saving.measured() / saving.before
    assert item["settles_fewer_entries"] == pytest.approx(saving.measured(), rel=0.1)
    # Of that moment: between two rounds of the collector expired entries pile up.
    assert item["saves_entries"] == pytest.approx(share * saving.count, rel=0.1)
    assert item["saves_ratio"] == pytest.approx(share, rel=0.1)
    assert item["whatif"] and item["warnings"] is not None
