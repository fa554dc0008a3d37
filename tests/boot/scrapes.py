# SPDX-License-Identifier: GPL-2.0-or-later
"""scrapes.py FILE: asks the exporter once a second, as Prometheus would, until SIGTERM; a line
each: the time, and what was told of these, summed over their labels. Of no answer the time."""
import re
import sys
import time
import urllib.request

NAMES = {"conntide_up", "nf_conntrack_count", "conntide_drop_total", "conntide_early_drop_total",
         "conntide_insert_failed_total", "conntide_invalid_total", "conntide_error_total"}

with open(sys.argv[1], "w", buffering=1, encoding="ascii") as file:
    while True:
        began, told = time.time(), {}
        try:
            with urllib.request.urlopen("http://localhost:10371/metrics", timeout=10) as reply:
                text = reply.read().decode()
            for name, value in re.findall(r"(?m)^(\w+)(?:\{.*\})? (\S+)$", text):
                if name in NAMES:
                    told[name] = told.get(name, 0) + float(value)
        except OSError:
            pass
        print(round(began, 1), *(f"{name}={value:g}" for name, value in told.items()), file=file)
        time.sleep(max(began + 1 - time.time(), 0))
