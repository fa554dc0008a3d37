#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What each part of the forecast is worth: the scores without it, one at a time.

ablation.py OUT DOC NAME... [-- PREFIX...]
    NAME is kind.seed; OUT holds forecast-gen, replay-without-N for N = 0 (whole) and each bit of
    lib/forecast/parts.h. PREFIX is of traces that another generator made, as in score.py. Writes a
    table of each set between its marks in DOC; without a set its table stays as it is.
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
    given, prefix = "/" in name, os.path.join(out, "ablation", os.path.basename(name))
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


def main():
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
