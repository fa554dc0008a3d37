#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Score forecasts against the truth, beside reference forecasters.

score.py PREFIX...       PREFIX.{trace,truth,full}.csv (or .csv.xz) and, where there are,
                         PREFIX.shocks.csv or PREFIX.meta.json with a list "shocks",
                         and PREFIX.answers.json (one JSON line for each EVAL line)
  --table                the table of scores (default: all that follow)
  --per-trace            one line a trace
  --detail               one line a kind, conntide beside the oracles where there are any
  --oracle               score everybody at the instants PREFIX.causal.json answers only, and what
                         it and PREFIX.clairvoyant.json say
  --check-traces FILE    likewise for single traces, "trace score op value # what for" a line
  --answers DIR          PREFIX.answers.json lies there, under the last part of its name
  --check FILE           compare with thresholds, "score op value" a line; exit status 1 when one fails

Definitions. An instant is an EVAL line. T is the time from it to the next start of a spell at the
limit; instants inside a spell are not scored for time to full. An instant is *known* for a target
at time x when no shock of the scenario lies between it and x.
  rel_h     geometric mean over traces of MAE(count at +h) / MAE(last value)
  crps      mean over traces of the mean over instants of the integral over [0, 3600 s] of
            (F(x) - 1{T <= x})^2, F linear between the horizons of p_full; crps_pool: mean over
            all known instants of all traces
  false     alarms among instants with T > 1200 s;  recall: alarms among those with T <= 600 s
  missed    spells with a known instant in the 600 s before them, none of which alarmed
  cover     share of targets inside the 80 % interval at +10 min
  drop_*    skill of p_drop at known instants, see drop_score.py
Traces without a list of shocks: there every instant counts as known.
A recording ends, and what comes after is not known. Where that is less than an hour after its last
question, it is scored for ten minutes ahead instead of an hour: the integral over [0, 600 s], false
alarms among instants with T > 600 s, and only instants and targets whose truth is there.
"""
import bisect
import json
import lzma
import math
import os
import sys

import drop_score

HORIZONS = (30, 120, 600)
GRID = (30, 60, 120, 300, 600, 1200, 1800, 3600)
TARGETS = {"crps_known": "<= 120", "rel_30": "<= 0.55", "rel_600_known": "<= 0.48",
           "false": "<= 1.2", "recall_known": ">= 87", "missed": "<= 1", "cover_known": "76..84"}


def text(path):
    """A file, packed by xz or not."""
    if os.path.exists(path):
        return open(path)
    return lzma.open(path + ".xz", "rt")


class Trace:
    def __init__(self, prefix):
        self.prefix = prefix
        self.name = os.path.basename(prefix)
        with text(prefix + ".truth.csv") as f:
            next(f)
            rows = [line.split(",") for line in f]
        self.count = [int(row[1]) for row in rows]
        self.drops = [int(row[2]) for row in rows]
        with open(prefix + ".full.csv") as f:
            next(f)
            self.spells = [tuple(map(float, line.split(","))) for line in f if line.strip()]
        self.shocks = []
        if os.path.exists(prefix + ".shocks.csv"):
            with open(prefix + ".shocks.csv") as f:
                self.shocks = sorted(float(line) for line in f if line.strip())
        elif os.path.exists(prefix + ".meta.json"):
            with open(prefix + ".meta.json") as f:
                self.shocks = sorted(json.load(f)["shocks"])
        self.evals = []
        self.max_at = []        # (t, max)
        with text(prefix + ".trace.csv") as f:
            for line in f:
                if ",EVAL," in line:
                    t, _, k = line.split(",")[:3]
                    if int(t) // 10**9 < len(self.count):
                        self.evals.append((int(k), int(t) / 1e9))
                elif ",STAT," in line:
                    part = line.split(",")
                    if not self.max_at or self.max_at[-1][1] != int(part[3]):
                        self.max_at.append((int(part[0]) / 1e9, int(part[3])))
        self.start = [s for s, _ in self.spells]
        self.ahead_s = 3600 if not self.evals or self.seen(self.evals[-1][1], 3600) else 600

    def seen(self, t, horizon):
        """Whether the truth goes so far."""
        return int(t + horizon) < len(self.count)

    def limit(self, t):
        return self.max_at[bisect.bisect_right(self.max_at, (t, 1 << 60)) - 1][1]

    def known(self, t, until):
        i = bisect.bisect_right(self.shocks, t)
        return i == len(self.shocks) or self.shocks[i] > until

    def time_to_full(self, t):
        """None inside a spell; inf when none starts in what is known."""
        i = bisect.bisect_right(self.start, t)
        if i and self.spells[i - 1][1] >= t:
            return None
        return self.start[i] - t if i < len(self.start) else math.inf


# ---- forecasters: answer(trace) -> list of dicts as in the trace format ----

def from_answers(suffix):
    def run(trace):
        with open(getattr(trace, "answers_at", trace.prefix) + suffix) as f:
            answers = {a["k"]: a for a in map(json.loads, f)}
        for k, t in trace.evals:
            if k in answers and answers[k].get("now", trace.count[int(t)]) != trace.count[int(t)]:
                sys.exit("%s%s is about another trace" % (trace.prefix, suffix))
        return answers
    return run


def point_answer(k, t, trace, line, past):
    """Point forecast `line(x)`, its interval from its own past errors, step at its time to full."""
    ans = {"k": k, "count": {}}
    limit = trace.limit(t)
    for h in HORIZONS:
        mid = min(max(line(h), 0), limit)
        errs = sorted(trace.count[int(t0 + h)] - m for t0, m in past[h] if t0 + h <= t)[-400:]
        lo, hi = (errs[int(0.1 * len(errs))], errs[int(0.9 * (len(errs) - 1))]) if len(errs) > 4 else (-math.sqrt(mid), math.sqrt(mid))
        ans["count"][str(h)] = [mid, mid + min(lo, 0), mid + max(hi, 0)]
        past[h].append((t, mid))
    slope = (line(600) - line(0)) / 600
    now = trace.count[int(t)]
    tte = 0 if now >= limit else (limit - line(0)) / slope if slope > 0 else math.inf
    ans["tte"] = max(tte, 0)
    ans["step"] = True
    ans["alarm"] = 1 if tte <= 600 else 0
    return ans


def naive(trace):
    past = {h: [] for h in HORIZONS}
    return {k: point_answer(k, t, trace, lambda x, c=trace.count[int(t)]: c, past)
            for k, t in trace.evals}


def predict_linear(window):
    """Least squares over the window's samples, one each 15 s, as Prometheus does."""
    def run(trace):
        past = {h: [] for h in HORIZONS}
        out = {}
        for k, t in trace.evals:
            xs = [x for x in range(int(t), max(int(t) - window, -1), -15)]
            ys = [trace.count[x] for x in xs]
            mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
            sxx = sum((x - mx) ** 2 for x in xs) or 1.0
            b = sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / sxx
            out[k] = point_answer(k, t, trace, lambda x, b=b, t=t, mx=mx, my=my: my + b * (t + x - mx), past)
        return out
    return run


# ---- scores of one trace ----

def crps(ans, T, ahead=3600):
    T = min(T, float(ahead))
    if ans.get("step"):
        return abs(min(ans["tte"], float(ahead)) - T)
    xs = [0.0] + [float(g) for g in GRID if g <= ahead]
    fs = [0.0] + [ans["p_full"][str(g)] for g in GRID if g <= ahead]
    if fs[1] >= 0.999:
        fs[0] = 1.0

    def area(x0, x1, f0, f1):    # integral of the square of a line
        return (x1 - x0) * (f0 * f0 + f0 * f1 + f1 * f1) / 3.0
    total = 0.0
    for x0, x1, f0, f1 in zip(xs, xs[1:], fs, fs[1:]):
        if T <= x0:
            total += area(x0, x1, f0 - 1, f1 - 1)
        elif T >= x1:
            total += area(x0, x1, f0, f1)
        else:
            fm = f0 + (f1 - f0) * (T - x0) / (x1 - x0)
            total += area(x0, T, f0, fm) + area(T, x1, fm - 1, f1 - 1)
    return total


def mean(xs):
    return sum(xs) / len(xs) if xs else None


def score_trace(trace, answers):
    r = {"name": trace.name}
    for h in HORIZONS:
        for label, only in (("", False), ("_known", True)):
            use = [(k, t) for k, t in trace.evals if k in answers and trace.seen(t, h) and (not only or trace.known(t, t + h))]
            r["mae_%d%s" % (h, label)] = mean([abs(answers[k]["count"][str(h)][0] - trace.count[int(t + h)]) for k, t in use])
            hits = [answers[k]["count"][str(h)][1] <= trace.count[int(t + h)] <= answers[k]["count"][str(h)][2] for k, t in use]
            r["hits_%d%s" % (h, label)] = (sum(hits), len(hits))
    crps_all, crps_known = [], []
    neg = pos = pos_known = false = hit = hit_known = 0
    runs, before, lead = 0, 0, []
    for k, t in trace.evals:
        T = trace.time_to_full(t)
        a = answers.get(k)
        if T is None or a is None or not trace.seen(t, trace.ahead_s):
            continue
        known = trace.known(t, t + min(T, trace.ahead_s))
        c = crps(a, T, trace.ahead_s)
        crps_all.append(c)
        if known:
            crps_known.append(c)
        if T > min(1200, trace.ahead_s):
            neg += 1
            false += a["alarm"]
            runs += 1 if a["alarm"] and not before else 0
        elif T <= 600:
            pos += 1
            hit += a["alarm"]
            if known:
                pos_known += 1
                hit_known += a["alarm"]
        before = a["alarm"]
    spells = missed = 0
    for s in trace.start:
        use = [(k, t) for k, t in trace.evals if s - 600 <= t < s and k in answers and trace.time_to_full(t) is not None and trace.known(t, s)]
        if not use:
            continue
        spells += 1
        alarmed = [t for k, t in use if answers[k]["alarm"]]
        missed += not alarmed
        lead.append(s - min(alarmed) if alarmed else 0.0)
    r["drop"] = {h: drop_score.samples(trace, answers, h) for h in drop_score.HORIZONS}
    r.update(crps=mean(crps_all), crps_known=mean(crps_known), crps_sum=sum(crps_known), n_known=len(crps_known), neg=neg, false=false, runs=runs,
             pos=pos, hit=hit, pos_known=pos_known, hit_known=hit_known, spells=spells, missed=missed, lead=lead)
    return r


def ratio(a, b):
    return 100.0 * a / b if b else float("nan")


def summary(rows, base):
    out = {}
    for h in HORIZONS:
        for label in ("", "_known"):
            key = "mae_%d%s" % (h, label)
            logs = [math.log(max(r[key], 0.05) / max(b[key], 0.05)) for r, b in zip(rows, base) if r[key] is not None]
            out["rel_%d%s" % (h, label)] = math.exp(mean(logs)) if logs else math.nan
    for key in ("crps", "crps_known"):
        use = [r[key] for r in rows if r[key] is not None]
        out[key] = mean(use) if use else math.nan
    tot = lambda key: sum(r[key] for r in rows)
    out["crps_pool"] = tot("crps_sum") / max(tot("n_known"), 1)
    out["false"] = ratio(tot("false"), tot("neg"))
    out["runs_day"] = tot("runs") / (len(rows) * 4500 / 86400.0)
    out["recall"] = ratio(tot("hit"), tot("pos"))
    out["recall_known"] = ratio(tot("hit_known"), tot("pos_known"))
    out["missed"] = ratio(tot("missed"), tot("spells"))
    leads = [x for r in rows for x in r["lead"]]
    out["lead"] = mean(leads) or 0.0
    for h, name in ((30, "cover_30"), (120, "cover_120"), (600, "cover")):
        for label in ("", "_known"):
            out[name + label] = ratio(sum(r["hits_%d%s" % (h, label)][0] for r in rows), sum(r["hits_%d%s" % (h, label)][1] for r in rows))
    for h, found in drops(rows).items():
        out["drop_%d" % h] = drop_score.skill([s for s in found if s[2]])
    return out


def drops(rows):
    return {h: [s for r in rows for s in r["drop"][h]] for h in drop_score.HORIZONS}


COLUMNS = ("rel_30", "rel_120", "rel_600", "rel_600_known", "crps", "crps_known", "crps_pool", "false", "runs_day", "recall",
           "recall_known", "missed", "lead", "cover", "cover_known", "cover_30", "cover_120", "drop_600", "drop_3600")


def print_table(result):
    print("%-22s" % "forecaster" + "".join("%14s" % c for c in COLUMNS))
    for name, s in result.items():
        print("%-22s" % name + "".join("%14.2f" % s[c] for c in COLUMNS))
    print("%-22s" % "to reach" + "".join("%14s" % TARGETS.get(c, "") for c in COLUMNS))


def print_traces(rows, base):
    print("%-20s %7s %7s %7s %7s %7s  %5s %7s %6s %6s" % ("trace", "rel30", "rel600", "rel600k", "crps", "crpsk", "nk", "false", "recall", "cov600k"))
    for r, b in zip(rows, base):
        rel = lambda key: r[key] / max(b[key], 0.05) if r[key] is not None else float("nan")
        print("%-20s %7.2f %7.2f %7.2f %7.0f %7.0f  %5d %3d/%3d %3d/%3d %6.0f" % (
            r["name"], rel("mae_30"), rel("mae_600"), rel("mae_600_known"), r["crps"] or 0, r["crps_known"] or 0,
            r["n_known"], r["false"], r["neg"], r["hit_known"], r["pos_known"], ratio(*r["hits_600_known"])))


DETAIL = ("crps_known", "rel_30", "rel_600_known", "recall_known", "false")


def print_detail(rows):
    """A line a kind; under each score what each forecaster reaches, in the order of the title."""
    names = [n for n in ("conntide", "causal", "clairvoyant") if rows[n]]
    kinds = list(dict.fromkeys(r["name"].split(".")[0] for r in rows["conntide"]))
    print("each score of: " + " ".join(names))
    wide = max(8, 15 // len(names))
    print("%-14s" % "kind" + "".join("%*s" % (wide * len(names), c) for c in DETAIL) + "%8s%8s%8s" % ("known", "pos", "neg"))
    for kind in kinds:
        of = {n: [r for r in rows[n] if r["name"].split(".")[0] == kind] for n in names + ["last value"]}
        s = [summary(of[n], of["last value"]) for n in names]
        digits = lambda c: 2 if c.startswith("rel") else 0 if c == "crps_known" else 1
        print("%-14s" % kind + "".join("%*.*f" % (wide, digits(c), x[c]) for c in DETAIL for x in s) +
              "".join("%8d" % sum(r[c] for r in of["conntide"]) for c in ("n_known", "pos_known", "neg")))


def check(path, s):
    bad = 0
    with open(path) as f:
        for line in f:
            part = line.split("#")[0].split()
            if not part:
                continue
            name, op, value = part[0], part[1], float(part[2])
            ok = s[name] <= value if op == "<=" else s[name] >= value
            print("%-16s %8.2f %s %-8g %s" % (name, s[name], op, value, "ok" if ok else "FAILED"))
            bad += not ok
    return 1 if bad else 0


def check_traces(path, rows, base):
    """As check(), but "trace score op value" a line: what a part of the forecast is for."""
    bad = 0
    with open(path) as f:
        lines = [line.split("#") for line in f if line.split("#")[0].split()]
    for text_, what in lines:
        name, key, op, value = text_.split()
        at = [r["name"] for r in rows].index(name)
        got = summary([rows[at]], [base[at]])[key]
        ok = got <= float(value) if op == "<=" else got >= float(value)
        print("%-18s %-14s %8.2f %s %-6s %s (%s)" % (name, key, got, op, value, "ok" if ok else "FAILED", what.strip()))
        bad += not ok
    return 1 if bad else 0


def main():
    args = sys.argv[1:]
    per_trace = "--per-trace" in args
    ours_only, oracle = "--ours" in args, "--oracle" in args
    check_file = args[args.index("--check") + 1] if "--check" in args else None
    parts_file = args[args.index("--check-traces") + 1] if "--check-traces" in args else None
    answer_dir = args[args.index("--answers") + 1] if "--answers" in args else None
    prefixes = [a for a in args if not a.startswith("--") and a not in (check_file, parts_file, answer_dir)]
    if not prefixes:
        sys.exit(__doc__)
    methods = [("last value", naive)]
    if not ours_only:
        methods += [("predict_linear 5m", predict_linear(300)), ("predict_linear 15m", predict_linear(900)),
                    ("predict_linear 1h", predict_linear(3600))]
    given = [("conntide", ".answers.json")]
    if oracle:
        given += [("causal", ".causal.json"), ("clairvoyant", ".clairvoyant.json")]
    rows = {name: [] for name in [n for n, _ in methods] + ["conntide", "causal", "clairvoyant"]}
    for p in prefixes:
        t = Trace(p)
        given_at = t.answers_at = os.path.join(answer_dir, t.name) if answer_dir else p
        only = from_answers(".causal.json")(t) if oracle else None
        for name, run in methods + [(n, from_answers(f)) for n, f in given if os.path.exists(given_at + f)]:
            answers = run(t)
            rows[name].append(score_trace(t, {k: a for k, a in answers.items() if not oracle or k in only}))
    base = rows["last value"]
    result = {n: summary(r, base) for n, r in rows.items() if r}
    if per_trace and rows["conntide"]:
        print_traces(rows["conntide"], base)
    if "--detail" in args:
        print_detail(rows)
    print_table(result)
    for name in [n for n in rows if rows[n]]:
        drop_score.print_scores(name, drops(rows[name]))
    drop_score.print_reliable("conntide", drops(rows["conntide"]))
    bad = check_traces(parts_file, rows["conntide"], base) if parts_file else 0
    if check_file:
        bad |= check(check_file, result["conntide"])
    sys.exit(bad)


if __name__ == "__main__":
    main()
