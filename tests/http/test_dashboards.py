# SPDX-License-Identifier: GPL-2.0-or-later
"""Dashboard, rules and alerts, as far as no data is needed: tests/netns has the rest."""
import json
import os
import re
import subprocess
import sys

import pytest
from harness import ROOT

DASHBOARD = os.path.join(ROOT, "dashboards", "conntide-host.json")


def output(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def metric_names():
    with open(os.path.join(ROOT, "lib", "shm", "metrics.def"), encoding="utf-8") as file:
        return set(re.findall(r'^FAMILY\(\w+, "(\w+)"', file.read(), re.MULTILINE))


@pytest.mark.parametrize("script", ["dashboards/generate.py", "docs/metrics.py"])
def test_generated_files_are_up_to_date(script):
    output(sys.executable, script, "--check")


def test_rules_pass_their_unit_tests():
    output("promtool", "check", "rules", "dashboards/rules.yml")
    output("promtool", "test", "rules", "dashboards/tests/rules_test.yml")


def test_every_alert_has_what_an_operator_needs():
    import yaml
    with open(os.path.join(ROOT, "dashboards", "rules.yml"), encoding="utf-8") as file:
        groups = yaml.safe_load(file)["groups"]
    with open(os.path.join(ROOT, "dashboards", "tests", "rules_test.yml"),
              encoding="utf-8") as file:
        tested = {case["alertname"] for test in yaml.safe_load(file)["tests"]
                  for case in test.get("alert_rule_test", []) if case["exp_alerts"]}
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    for alert in alerts:
        assert alert["for"] and alert["labels"]["severity"] in ("critical", "warning", "info")
        summary = alert["annotations"]["summary"]
        assert summary[0].isupper() and summary.endswith(".") and "{{" not in summary
        assert re.search(r"\$labels\.instance", alert["annotations"]["description"])
    assert {alert["alert"] for alert in alerts} == tested


def test_names_in_dashboards_and_rules_exist():
    known = metric_names()
    text = ""
    for name in ("conntide-host.json", "rules.yml"):
        with open(os.path.join(ROOT, "dashboards", name), encoding="utf-8") as file:
            text += file.read()
    used = set(re.findall(r"\b((?:conntide|nf_conntrack|process)_[a-z_]+)\s*(?:\{|\[|[/>=)]|$)",
                          text.replace("\\n", "\n")))
    used = {re.sub(r"_(bucket|count|sum)$", "", name) if name not in known else name
            for name in used}
    assert len(used) > 30
    assert used <= known, used - known


def all_panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def test_dashboard_is_well_formed():
    """The rules of grafana/dashboard-linter that concern us, and what provisioning needs."""
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)
    assert dashboard["id"] is None and 8 <= len(dashboard["uid"]) <= 40
    assert 39 <= dashboard["schemaVersion"] <= 41 and dashboard["editable"] is False
    assert dashboard["refresh"] == "30s" and "__inputs" not in dashboard
    variables = dashboard["templating"]["list"]
    assert [variable["name"] for variable in variables] == ["datasource", "job", "instance",
                                                            "netns"]
    for variable in variables[1:]:
        assert variable["multi"] and variable["includeAll"] and variable["allValue"] == ".+"
        assert variable["refresh"] == 2
    panels = list(all_panels(dashboard))
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        where = panel["gridPos"]
        assert where["x"] + where["w"] <= 24
        if panel["type"] == "row":
            continue
        assert panel["type"] in ("timeseries", "stat", "gauge")
        assert panel["title"] and panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"]
        for target in panel["targets"]:
            assert target["legendFormat"]
            selectors = re.findall(r"\{([^{}]*)\}", target["expr"])
            assert selectors and all('job=~"$job"' in one and 'instance=~"$instance"' in one
                                     for one in selectors)
            for name, rest in re.findall(r"(rate|irate)\(\w+\{[^}]*\}(\[[^]]*\])",
                                         target["expr"]):
                assert rest == "[$__rate_interval]", name
            for total in re.findall(r"(\w*)\(?(\w+_total)\{", target["expr"]):
                assert re.search(r"(rate|increase)\(" + total[1], target["expr"])


def test_panels_do_not_overlap():
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)
    groups = [dashboard["panels"]] + [panel.get("panels", []) for panel in
                                       dashboard["panels"]]
    for group in groups:
        taken = set()
        for panel in group:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                     for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells
