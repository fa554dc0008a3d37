#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes what this folder ships from what it is made of.

    mixin/*.libsonnet    -> rules.yml (needs jsonnet)
    tests/alert_cases.py -> tests/rules_test.yml
    grafana/*.py         -> conntide-{fleet,host,cost}.json, classic Grafana JSON, schema version 41

python3 dashboards/generate.py          writes them
python3 dashboards/generate.py --check  exits 1 when a file is not what would be written
"""
import json
import os
import subprocess
import sys

from grafana.cost import cost
from grafana.fleet import fleet
from grafana.host import host
from tests.alert_cases import promtool_tests
from write_yaml import to_yaml

HERE = os.path.dirname(os.path.abspath(__file__))
LICENCE = "# SPDX-License-Identifier: GPL-2.0-or-later\n"
MADE = "# Made by dashboards/generate.py from {}: change that, and run make dashboards.\n"
KEYS = ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"]
NOTES = ["summary", "description", "resolved", "runbook_url", "dashboard_url"]


def mixin(expression):
    text = subprocess.run(["jsonnet", "-J", os.path.join(HERE, "mixin"), "-e", expression],
                          check=True, capture_output=True, text=True).stdout
    return json.loads(text)


def rule_groups():
    return mixin('local m = import "mixin.libsonnet"; '
                 "m.prometheusRules.groups + m.prometheusAlerts.groups")


def ordered(rule):
    made = {key: rule[key] for key in KEYS if key in rule}
    if "annotations" in made:
        made["annotations"] = {key: made["annotations"][key] for key in NOTES}
    return made


def files():
    groups = [{"name": group["name"], "rules": [ordered(rule) for rule in group["rules"]]}
              for group in rule_groups()]
    yield "rules.yml", to_yaml({"groups": groups}, LICENCE + MADE.format("mixin/"))
    yield "tests/rules_test.yml", to_yaml(
        promtool_tests(groups, mixin('import "inhibition.libsonnet"')), LICENCE + MADE.format("tests/alert_cases.py"))
    for dashboard in fleet(), host(), cost():
        yield dashboard["uid"] + ".json", json.dumps(dashboard, indent=2) + "\n"


def main():
    stale = []
    for name, text in files():
        path = os.path.join(HERE, name)
        if "--check" not in sys.argv:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            continue
        with open(path, encoding="utf-8") as file:
            if file.read() != text:
                stale.append(name)
    if stale:
        sys.exit(f"not what dashboards/generate.py writes: {' '.join(stale)}; run make dashboards")


if __name__ == "__main__":
    main()
