#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be reached, and what is: the first table of docs/forecast.md.

goals.py OUT DOC --generated PREFIX... --given [PREFIX...] --recorded PREFIX...
    Prefixes as in score.py; OUT/traces, OUT/given and OUT/recorded hold the answers, OUT/traces the
    .cost and .causal.json files too. Prints the table; writes it between its marks in DOC when all
    sets are there. The causal forecaster of given traces stands in reference.json beside them, as
    scores of single traces: means of those.
"""
import glob
import json
import math
import os
import sys

import score

BEGIN, END = "<!-- goals -->\n", "<!-- end of goals -->\n"
HEAD = ("", "+30 s", "+10 min, known", "CRPS s, known", "false alarms %", "recall %, known", "missed %",
        "80 % covers %, +10 min, known", "worst kind, +10 min, known", "lines", "CPU ms", "MiB")
TO_REACH = ("to reach", "≤ 0.56", "≤ 0.50", "≤ 160", "≤ 2.5", "≥ 85", "≤ 3", "76–84", "≤ 1.10", "≤ 2,500", "≤ 1", "≤ 4")
DIGITS = {"rel_30": 2, "rel_600_known": 2, "crps_known": 0, "false": 1, "recall_known": 0, "missed": 0, "cover_known": 0}
# Of reference.json: which column holds which score.
GIVEN_AT = {"rel_30": 0, "rel_600_known": 3, "crps_known": 5, "false": 6, "recall_known": 7, "cover_known": 8}


def figure(value, digits):
    return "–" if value is None or math.isnan(value) else "%.*f" % (digits, value)


def cells(name, scores, worst=None, rest=("", "", "")):
    worst = "%.2f %s" % worst if worst else "–"
    return (name, *(figure(scores.get(key), digits) for key, digits in DIGITS.items()), worst, *rest)


def kind_of(row):
    return row["name"].split(".")[0]


def worst_kind(rows, bases):
    """(ratio to the last value at +10 min, known; whose)."""
    found = []
    for kind in {kind_of(row) for row in rows}:
        at = [i for i, row in enumerate(rows) if kind_of(row) == kind]
        ratio = score.summary([rows[i] for i in at], [bases[i] for i in at])["rel_600_known"]
        if not math.isnan(ratio):
            found.append((ratio, kind))
    return max(found, default=None)


def set_rows(name, prefixes, answers_in, suffix=".answers.json", only=None, rest=("", "", "")):
    """The row of one set; `only`: at the instants that this suffix answers."""
    rows, bases = [], []
    for prefix in prefixes:
        trace = score.Trace(prefix)
        trace.answers_at = os.path.join(answers_in, trace.name)
        at = score.from_answers(only)(trace) if only else None
        for out, said in ((rows, score.from_answers(suffix)(trace)), (bases, score.naive(trace))):
            out.append(score.score_trace(trace, {k: a for k, a in said.items() if not only or k in at}))
    return cells(name, score.summary(rows, bases), worst_kind(rows, bases), rest)


def given_oracle(prefixes):
    """Means of what reference.json says of each trace; geometric ones of ratios."""
    with open(os.path.join(os.path.dirname(prefixes[0]), "reference.json")) as f:
        reference = json.load(f)
    said = {os.path.basename(p): reference[os.path.basename(p)]["causal oracle"] for p in prefixes}
    out = {}
    for key, column in GIVEN_AT.items():
        values = [row[column] for row in said.values() if row[column] is not None and not math.isnan(row[column])]
        if key == "recall_known":   # 0 where there is nothing to recall
            values = [value for value in values if value]
        out[key] = math.exp(score.mean([math.log(max(v, 1e-3)) for v in values])) if key[:3] == "rel" else score.mean(values)
    return cells("causal forecaster, as above", out, max((row[3], name) for name, row in said.items()))


def lines_of_code():
    total = 0
    for path in glob.glob("lib/forecast/*.[ch]"):
        with open(path) as f:
            total += sum(1 for _ in f)
    return "{:,}".format(total)


def cost(out, prefixes):
    """(mean CPU ms, MiB), as conntide-replay --cost said."""
    ms, mib = [], []
    for prefix in prefixes:
        with open(os.path.join(out, "traces", os.path.basename(prefix) + ".cost")) as f:
            words = f.read().split()
        ms.append(float(words[3]))
        mib.append(float(words[9]))
    return "%.1f" % score.mean(ms), "%.1f" % max(mib)


def table(out, generated, given, recorded):
    traces = os.path.join(out, "traces")
    rows = [HEAD, ("---",) + ("--:",) * (len(HEAD) - 1), TO_REACH]
    rows.append(set_rows("our generator", generated, traces, rest=(lines_of_code(), *cost(out, generated))))
    if all(os.path.exists(p + ".causal.json") for p in generated):
        rows.append(set_rows("the same, fewer instants", generated, traces, only=".causal.json"))
        rows.append(set_rows("causal forecaster, as above", generated, traces, ".causal.json", ".causal.json"))
    if given:
        rows.append(set_rows("the other generator", given, os.path.join(out, "given")))
        if os.path.exists(os.path.join(os.path.dirname(given[0]), "reference.json")):
            rows.append(given_oracle(given))
    if recorded:
        rows.append(set_rows("real programs", recorded, os.path.join(out, "recorded")))
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def main():
    out, doc = sys.argv[1:3]
    words = " ".join(sys.argv[3:])
    generated, given, recorded = (words.split(mark)[1].split("--")[0].split() for mark in ("--generated", "--given", "--recorded"))
    lines = table(out, generated, given, recorded)
    print(lines)
    if not given:
        print("No traces of another generator, so that nothing is written: TRACES=dir names a folder of NAME.{trace,truth,full}.csv "
              "and NAME.meta.json in the format of conntide-trace(5).")
        return
    with open(doc) as f:
        before, rest = f.read().split(BEGIN)
    with open(doc, "w") as f:
        f.write(before + BEGIN + lines + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
