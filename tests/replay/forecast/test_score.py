# SPDX-License-Identifier: GPL-2.0-or-later
"""The scorers on cases small enough to be worked out by hand."""
import lzma
import math
import os
import sys
from types import SimpleNamespace

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import drop_score  # noqa: E402
import goals  # noqa: E402
import score  # noqa: E402


def test_first_drop():
    drops = [0] * 50 + [1] * 50 + [9] * 100
    assert drop_score.first_drop(drops, 10, 40) == 40
    assert drop_score.first_drop(drops, 10, 39) == math.inf
    assert drop_score.first_drop(drops, 49, 100) == 1
    assert drop_score.first_drop(drops, 50, 100) == 50      # what was dropped before is not ahead
    assert drop_score.first_drop(drops, 100, 3600) == math.inf


def said(*pairs):
    return [(p, dropped, True) for p, dropped in pairs]


def test_brier_and_skill():
    perfect = said((1.0, True), (0.0, False), (0.0, False), (0.0, False))
    assert drop_score.brier(perfect) == 0.0
    assert drop_score.climate(perfect) == pytest.approx(0.25 * 0.75)
    assert drop_score.skill(perfect) == 100.0
    constant = [(0.25, dropped, known) for _, dropped, known in perfect]
    assert drop_score.skill(constant) == pytest.approx(0.0)
    wrong = said((0.0, True), (1.0, False), (0.0, False), (0.0, False))
    assert drop_score.brier(wrong) == pytest.approx(0.5)
    assert drop_score.skill(wrong) == pytest.approx(100 * (1 - 0.5 / 0.1875))
    assert math.isnan(drop_score.skill(said((0.1, False), (0.0, False))))
    assert math.isnan(drop_score.skill([]))


def test_reliability_buckets():
    rows = drop_score.reliable(said((0.0, False), (0.05, False), (0.06, True), (0.95, True), (1.0, False)))
    assert [row[2] for row in rows] == [1, 2, 0, 0, 0, 2]
    assert rows[1][3:] == pytest.approx((0.055, 0.5))
    assert rows[5][3:] == pytest.approx((0.975, 0.5))


def trace(spells=(), shocks=(), drops=(), evals=((0, 10.0),)):
    made = SimpleNamespace(spells=list(spells), start=[s for s, _ in spells], shocks=list(shocks),
                           drops=list(drops), evals=list(evals))
    made.known = lambda t, until: score.Trace.known(made, t, until)
    made.time_to_full = lambda t: score.Trace.time_to_full(made, t)
    made.seen = lambda t, horizon: not drops or int(t + horizon) < len(drops)
    return made


def test_which_samples_count():
    drops = [0] * 300 + [1] * 4000
    answers = {k: {"p_drop": {"600": 0.5}} for k in range(3)}
    evals = [(0, 10.0), (1, 280.0), (2, 200.0)]
    t = trace(spells=[(250, 320)], shocks=[100.0, 500.0], drops=drops, evals=evals)
    # 0: a shock at 100 s comes first; 1: inside the spell; 2: nothing between 200 and the drop
    assert drop_score.samples(t, answers, 600) == [(0.5, True, False), (0.5, True, True)]
    assert drop_score.samples(t, {0: {"count": {}}}, 600) == []


def steps(at):
    """p_full of one who is sure that the table is full at a horizon."""
    return {"p_full": {str(g): 1.0 if g >= at else 0.0 for g in score.GRID}}


def test_crps():
    # F rises from 0 at 300 to 1 at 600; the truth at 450: two triangles of squares
    assert score.crps(steps(600), 450.0) == pytest.approx(2 * 150 * 0.25 / 3)
    # never full, and so it was said
    assert score.crps(steps(math.inf), math.inf) == 0.0
    # never full, and the opposite was said: 1 from 30 s on
    assert score.crps(steps(30), math.inf) == pytest.approx(3600)
    assert score.crps({"step": True, "tte": 100.0}, 400.0) == 300.0


def test_crps_of_ten_minutes():
    assert score.crps(steps(30), math.inf, 600) == pytest.approx(score.crps(steps(30), 600.0, 600))
    assert score.crps(steps(math.inf), math.inf, 600) == score.crps(steps(1200), math.inf, 600) == 0.0
    assert score.crps({"step": True, "tte": 100.0}, math.inf, 600) == 500.0


def recorded(tmp_path, seconds, full):
    """A count that grows by one a second, a question each 100 s."""
    prefix = str(tmp_path / "r")
    (tmp_path / "r.truth.csv").write_text("t_s,count,drop,early_drop\n" + "".join(f"{t},{t},0,0\n" for t in range(seconds)))
    (tmp_path / "r.trace.csv").write_text("#meta,version=1,max=9999\n0,STAT,0,9999,0,0\n" +
                                          "".join(f"{t}000000000,EVAL,{t // 100}\n" for t in range(100, seconds + 100, 100)))
    (tmp_path / "r.full.csv").write_text("start_s,end_s\n" + (f"{full},{full}\n" if full else ""))
    return score.Trace(prefix)


def test_recordings_are_scored_as_far_as_they_go(tmp_path):
    t = recorded(tmp_path, 1000, None)
    assert t.ahead_s == 600 and [k for k, _ in t.evals] == list(range(1, 10))
    row = score.score_trace(t, {**score.naive(t), 2: {**score.naive(t)[2], "alarm": 1}})
    assert (row["mae_30"], row["mae_600"]) == (30, 600)
    assert row["hits_600"][1] == row["neg"] == row["n_known"] == 3      # at 100, 200 and 300 s
    assert row["false"] == 1 and row["crps"] == 0 and row["drop"] == {600: [], 3600: []}
    t = recorded(tmp_path, 1000, 700)
    row = score.score_trace(t, score.naive(t))
    assert (row["pos"], row["neg"], row["spells"]) == (3, 0, 1) and row["crps"] == pytest.approx((0 + 100 + 200) / 3)
    assert recorded(tmp_path, 5000, None).ahead_s == 600 and recorded(tmp_path, 4600, None).evals[-1][1] == 4500


def test_time_to_full_and_known():
    t = trace(spells=[(100.0, 150.0), (400.0, 500.0)], shocks=[200.0])
    assert t.time_to_full(50.0) == 50.0
    assert t.time_to_full(120.0) is None
    assert t.time_to_full(160.0) == 240.0
    assert t.time_to_full(501.0) == math.inf
    assert t.known(150.0, 199.0) and not t.known(150.0, 200.0) and t.known(200.0, 9e9)


def test_answers_about_another_trace(tmp_path):
    t = trace(evals=[(0, 2.0)])
    t.prefix, t.count = str(tmp_path / "t"), [5, 6, 7]
    (tmp_path / "t.json").write_text('{"k":0,"now":7}\n')
    assert score.from_answers(".json")(t)[0]["now"] == 7
    (tmp_path / "t.json").write_text('{"k":0,"now":6}\n')
    with pytest.raises(SystemExit):
        score.from_answers(".json")(t)


def test_packed_trace_with_meta(tmp_path):
    """As another generator may give it: packed by xz, its shocks in a list of its own."""
    prefix = str(tmp_path / "one.1")
    for suffix, lines in ((".truth.csv.xz", "t_s,count,drop,early_drop\n0,5,0,0\n1,6,0,0\n"),
                          (".trace.csv.xz", "#meta,version=1,max=9\n0,STAT,5,9,0,0\n1000000000,EVAL,0\n")):
        with lzma.open(prefix + suffix, "wt") as f:
            f.write(lines)
    (tmp_path / "one.1.full.csv").write_text("start_s,end_s\n7,8\n")
    (tmp_path / "one.1.meta.json").write_text('{"shocks": [4.5, 2.5]}')
    t = score.Trace(prefix)
    assert t.count == [5, 6] and t.evals == [(0, 1.0)] and t.shocks == [2.5, 4.5]
    assert t.known(1, 2) and not t.known(1, 3) and t.time_to_full(1.0) == 6


def test_the_worst_kind_is_the_one_that_lost_most():
    def row(name, mae):
        return {"name": name, **{"mae_%d%s" % (h, label): mae for h in score.HORIZONS for label in ("", "_known")}, "crps": 1, "crps_known": 1,
                "crps_sum": 1, "n_known": 1, "lead": [], "drop": {600: [], 3600: []},
                **{"hits_%d%s" % (h, label): (1, 1) for h in score.HORIZONS for label in ("", "_known")},
                **dict.fromkeys(("neg", "false", "runs", "pos", "hit", "pos_known", "hit_known", "spells", "missed"), 1)}
    bases = [row("a.1", 10), row("a.2", 10), row("b.1", 10)]
    # of one kind twice and half the error: as good as the last value
    assert goals.worst_kind([row("a.1", 20), row("a.2", 5), row("b.1", 8)], bases) == (pytest.approx(1.0), "a")
    assert goals.worst_kind([row("a.1", 20), row("a.2", 5), row("b.1", 12)], bases) == (pytest.approx(1.2), "b")
    unknown = [{**row("c.1", 1), "mae_600_known": None}]
    assert goals.worst_kind(unknown, bases[:1]) is None
