#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What each part of the forecast is worth: the scores without it, one at a time.

ablation.py OUT DOC NAME... [-- PREFIX...]
    NAME is kind.seed; OUT holds forecast-gen, replay-without-N for N = 0 (whole) and each bit of
    lib/forecast/parts.h. PREFIX is of traces that another generator made, as in score.py. Writes a
    table of each set between its marks in DOC; without a set its table stays as it is.
ablation.py --bounds FILE OUT  each bound of FILE must hold with all parts and break without its own.
"""
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys

import score

COLUMNS = ("rel_30", "rel_600_known", "crps_known", "false", "recall_known", "cover_known")
MARKS = "<!-- ablation%s -->\n", "<!-- end of ablation%s -->\n"
GENERATED, GIVEN = "", ", given"


def parts():
    with open("lib/forecast/parts.h") as f:
        found = re.findall(r"FC_PART_\w+ = (\d+),\s*/\* (.*?) \*/", f.read())
    return [(0, "everything on")] + [(int(bit), "without " + what) for bit, what in found]


def answers(program, trace):
    run = subprocess.run([program, "--forecast", trace + ".trace.csv"], stdout=subprocess.PIPE, check=True)
    return {a["k"]: a for a in map(json.loads, run.stdout.splitlines())}


def one(job):
    """A trace, made or unpacked, answered by every build, and removed."""
    out, name, bits = job
    given, prefix = "/" in name, os.path.join(out, "ablation", "%s-%d" % (os.path.basename(name), bits[-1]))
    if given:
        with score.text(name + ".trace.csv") as packed, open(prefix + ".trace.csv", "w") as trace:
            shutil.copyfileobj(packed, trace)
    else:
        kind, seed = name.rsplit(".", 1)
        subprocess.run([os.path.join(out, "forecast-gen"), kind, seed, prefix], check=True)
    trace = score.Trace(name if given else prefix)
    rows = [score.score_trace(trace, answers(os.path.join(out, "replay-without-%d" % bit), prefix)) for bit in bits]
    base = score.score_trace(trace, score.naive(trace))
    os.remove(prefix + ".trace.csv")
    return base, rows


def most_hurt(whole, without, bases, names):
    """The kind that the part is for: where its absence costs most of the count in ten minutes or of the time to full."""
    def cost(i):
        a, b = (score.summary([r[i]], [bases[i]]) for r in (whole, without))
        return max(b["rel_600_known"] / max(a["rel_600_known"], 0.05), b["rel_30"] / max(a["rel_30"], 0.05),
                   1 + (b["crps_known"] - a["crps_known"]) / 300 if a["crps_known"] == a["crps_known"] else 0)
    return names[max(range(len(names)), key=cost)]


def table(out, names):
    """Its lines; what most is lost on is named by the last part of a trace's name."""
    todo = parts()
    with concurrent.futures.ProcessPoolExecutor(int(os.environ.get("FORECAST_JOBS", 2))) as pool:
        done = list(pool.map(one, [(out, name, [bit for bit, _ in todo]) for name in names]))
    names, bases = [os.path.basename(name) for name in names], [d[0] for d in done]
    lines = ["| | count +30 s | +10 min, known | CRPS s, known | false alarms % | recall %, known | 80 % covers % | most hurt |\n",
             "|---|--:|--:|--:|--:|--:|--:|---|\n"]
    for i, (_, what) in enumerate(todo):
        rows = [d[1][i] for d in done]
        s = score.summary(rows, bases)
        hurt = most_hurt([d[1][0] for d in done], rows, bases, names) if i else ""
        lines.append("| %s | %.3f | %.3f | %.0f | %.2f | %.1f | %.0f | %s |\n" % (what, *(s[c] for c in COLUMNS), hurt))
    return "".join(lines)


def bounds(path, out):
    """A line each; exit status 1 when one does not hold, or holds without its part."""
    with open("lib/forecast/parts.h") as f:
        bit_of = {name: int(bit) for name, bit in re.findall(r"FC_PART_(\w+) = (\d+)", f.read())}
    with open(path) as f:
        lines = [line.replace("#", " ").replace(":", " ").split() for line in f if line[0] not in "#\n"]
    jobs = sorted({(line[0], bit_of[line[4]]) for line in lines})
    with concurrent.futures.ProcessPoolExecutor(int(os.environ.get("FORECAST_JOBS", 2))) as pool:
        done = dict(zip(jobs, pool.map(one, [(out, name, (0, bit)) for name, bit in jobs])))
    missing, bad = set(bit_of) - {line[4] for line in lines}, 0
    for name, key, op, value, part in (line[:5] for line in lines):
        base, rows = done[name, bit_of[part]]
        got = [score.summary([row], [base])[key] for row in rows]
        holds = [x <= float(value) if op == "<=" else x >= float(value) for x in got]
        ok = holds == [True, False]
        print("%-18s %-14s %s %-6s with %-10s %8.2f, without %8.2f  %s" % (name, key, op, value, part, *got, "ok" if ok else "FAILED"))
        bad += not ok
    if missing:
        print("without a bound:", *sorted(missing))
    return 1 if bad or missing else 0


def main():
    if sys.argv[1] == "--bounds":
        os.makedirs(os.path.join(sys.argv[3], "ablation"), exist_ok=True)
        sys.exit(bounds(sys.argv[2], sys.argv[3]))
    out, doc, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    cut = names.index("--") if "--" in names else len(names)
    os.makedirs(os.path.join(out, "ablation"), exist_ok=True)
    for which, of in ((GENERATED, names[:cut]), (GIVEN, names[cut + 1:])):
        if not of:
            continue
        begin, end = (mark % which for mark in MARKS)
        lines = table(out, of)
        print(lines, flush=True)
        with open(doc) as f:
            before, rest = f.read().split(begin)
        with open(doc, "w") as f:
            f.write(before + begin + lines + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
