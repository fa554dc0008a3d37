#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes docs/metrics.md from lib/shm/metrics.def, the only place where metrics are described.

python3 docs/metrics.py          writes it
python3 docs/metrics.py --check  exits 1 when the file is not what would be written
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, "docs", "metrics.md")
STRING = r'"((?:[^"\\]|\\.)*)"'

HEAD = """<!-- SPDX-License-Identifier: GPL-2.0-or-later; written by docs/metrics.py -->
# Metrics

What `/metrics` of conntide-exporter serves. `conntide explain NAME` prints the same. Every
series of a table carries the label `netns`; `conntide_http_*`, `conntide_config_*`,
`conntide_scrape_*`, `conntide_snapshot_*` and `process_*` are about the exporter itself.

- `conntide_entries` has the labels `l4proto`, `direction`, `port` and `state`;
  `conntide_new_entries_total` and `conntide_destroyed_entries_total` have the first three. The
  largest ports have series of their own, chosen by the agent so that membership changes
  rarely; all others are summed up in `port="other"`. In each scrape the sum over
  `conntide_entries` is `conntide_mirror_entries`. When a port gets series of its own, its
  counters begin at 0: what was counted before stays in `port="other"`.
- `conntide_forecast_*`: `horizon` is how many seconds ahead, `bound` a quantile (10 %, 50 %,
  90 %). While the agent cannot say what comes (for 40 s after it started, and while it does not
  see all changes) there is nothing of the forecast but its accuracy, the `_total`s:
  a series that is not there fires no alert. `+Inf` is an answer: not within the hour.
- There are at most 400 series (`--web.max-series`), whatever the traffic is.
- Numbers of a table whose agent does not run are left out: what remains is `conntide_up` (0),
  `conntide_agent_state` and the heartbeat.
- `nf_conntrack_count` and `nf_conntrack_max` have the kernel's names, because people look for
  these. `promtool check metrics` dislikes the suffix of the first: that is its only finding.
- `node_nf_conntrack_*` are served with `--compat.node-exporter-metrics` only, for hosts without
  a node_exporter that has them.

| metric | type | means | what to do |
|---|---|---|---|
"""


def families():
    with open(os.path.join(ROOT, "lib", "shm", "metrics.def"), encoding="utf-8") as file:
        text = file.read()
    pattern = (r"^FAMILY\((\w+),\s*" + STRING + r",\s*(\w+),\s*" + STRING + r",\s*" + STRING +
               r",\s*" + STRING + r"\)")
    for match in re.finditer(pattern, text, re.MULTILINE):
        _, name, kind, _, means, act = match.groups()
        yield name, kind.lower(), means.replace('\\"', '"'), act.replace('\\"', '"')


def document():
    rows = ["| `" + name + "` | " + kind + " | " + means.replace("|", "\\|") + " | " +
            act.replace("|", "\\|") + " |\n"
            for name, kind, means, act in families()]
    return HEAD + "".join(rows)


def main():
    text = document()
    if "--check" in sys.argv:
        with open(OUT, encoding="utf-8") as file:
            if file.read() != text:
                sys.exit(f"{OUT} is not what docs/metrics.py writes; run it")
        return
    with open(OUT, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
