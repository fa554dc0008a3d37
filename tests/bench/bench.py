#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What watching costs, side by side with others, all in one run.

Everything runs in network namespaces made for it. nf_conntrack_max and _buckets, which
belong to the machine, are raised meanwhile and put back. Prints what it measures as it
goes, and in the end writes the tables between the two marks of docs/performance.md. Needs
root, and a machine that does nothing else.

Usage: bench.py [--quick] [--only events|tables|tried] [--output FILE]
"""
import argparse
import datetime
import os
import signal
import subprocess
import sys
import time

import lab  # first: it makes the modules of tests/netns known
import events
import figures
import sysctls
import tables
import tried

DOCUMENT = os.path.join(lab.HERE, os.pardir, os.pardir, "docs", "performance.md")
BEGIN = "<!-- bench.py writes from here -->\n"
END = "<!-- to here -->\n"


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def revision():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=lab.HERE, text=True,
                          capture_output=True, check=False)
    return done.stdout.strip() or "unknown"


def warnings(rows):
    found = lab.other_listeners()
    if found:
        rows.append(("**not alone**", f"conntrack events are listened to in {len(set(found))} other "
                     "network namespaces: \"no listener\" is not true"))
    return rows


def report(rows, goals, texts, seconds):
    yield "## The machine\n\n" + figures.table(["", ""], [list(row) for row in rows])
    yield "## The goals\n\n" + figures.goal_table(goals)
    yield "## The figures\n"
    yield from texts
    yield (f"Measured {datetime.date.today().isoformat()} at revision {revision()} in "
           f"{seconds / 60:.0f} minutes.\n")


def write(path, text, begin=BEGIN, end=END):
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(begin)
        after = rest.split(end)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + begin + "\n" + text + "\n" + end + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="small and once: does it work? Prints, writes nothing")
    parser.add_argument("--only", choices=("events", "tables", "tried"),
                        help="a part; prints, writes nothing")
    parser.add_argument("--output", default=None, help="another document with the two marks")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bench.py: needs root: network namespaces, nf_conntrack_max")
    # Ended early it puts the sysctls back and takes its namespaces down all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench.py: terminated"))
    began = time.monotonic()
    rows = warnings(lab.machine())
    for row in rows:
        say(": ".join(row))
    plans = {module: module.Plan(options.quick) for module in (events, tables, tried)}
    most = max(plans[events].sizes[-1], plans[tables].sizes[-1])
    goals, texts = [], []
    # As many buckets as entries, as the kernel itself chooses them.
    with sysctls.changed(max=2 * most, buckets=most):
        for module, plan in plans.items():
            # What was tried has its figures already; it takes another third of the time.
            if options.only == module.__name__ or (not options.only and module is not tried):
                more_goals, more_texts = module.run(plan, say)
                goals += more_goals
                texts += more_texts
    text = "\n".join(report(rows, goals, texts, time.monotonic() - began))
    if options.quick or options.only:
        print(text)
    else:
        write(options.output or DOCUMENT, text)
        print(figures.goal_table(goals))


if __name__ == "__main__":
    main()
