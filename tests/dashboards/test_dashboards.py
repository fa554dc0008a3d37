# SPDX-License-Identifier: GPL-2.0-or-later
"""Dashboards, rules and alerts, as far as no data is needed: tests/netns has the rest."""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHIPPED = os.path.join(ROOT, "dashboards")
BUILD = os.environ.get("CONNTIDE_BUILD", os.path.join(ROOT, "build"))
DASHBOARDS = ("conntide-fleet.json", "conntide-host.json", "conntide-cost.json")
# docs: what a runbook has to say.
RUNBOOK_PARTS = ("## What it means", "## What to type", "## What good looks like")


def output(*argv, cwd=ROOT):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def shipped(name):
    with open(os.path.join(SHIPPED, name), encoding="utf-8") as file:
        return file.read()


def alerts():
    return [rule for group in yaml.safe_load(shipped("rules.yml"))["groups"]
            for rule in group["rules"] if "alert" in rule]


def metric_names():
    with open(os.path.join(ROOT, "lib", "shm", "metrics.def"), encoding="utf-8") as file:
        return set(re.findall(r'^FAMILY\(\w+, "(\w+)"', file.read(), re.MULTILINE))


@pytest.mark.parametrize("script", ["dashboards/generate.py", "docs/metrics.py"])
def test_generated_files_are_up_to_date(script):
    output(sys.executable, script, "--check")


def test_rules_pass_their_unit_tests():
    output("promtool", "check", "rules", "dashboards/rules.yml")
    output("promtool", "test", "rules", "dashboards/tests/rules_test.yml")


def test_the_unit_tests_see_a_changed_text(tmp_path):
    """A test that cannot fail is none."""
    shutil.copytree(SHIPPED, tmp_path / "dashboards")
    rules = tmp_path / "dashboards" / "rules.yml"
    text = rules.read_text()
    assert "conntide forecast --history" in text
    rules.write_text(text.replace("conntide forecast --history", "conntide forecast"))
    done = subprocess.run(["promtool", "test", "rules", "tests/rules_test.yml"], cwd=rules.parent,
                          capture_output=True, check=False)
    assert done.returncode != 0


def test_every_alert_has_what_an_operator_needs():
    tested = {case["alertname"] for test in yaml.safe_load(shipped("tests/rules_test.yml"))["tests"]
              for case in test.get("alert_rule_test", []) if case["exp_alerts"]}
    for alert in alerts():
        assert alert["for"] and alert["labels"]["severity"] in ("critical", "warning", "info")
        notes = alert["annotations"]
        assert notes["summary"][0].isupper() and notes["summary"].endswith(".")
        assert "{{" not in notes["summary"]
        if alert["alert"] != "ConntideAbsent":
            assert "$labels.instance" in notes["description"] and "$labels.instance" in \
                notes["resolved"]
        assert notes["resolved"].endswith(".") and "$value" not in notes["resolved"], \
            "a resolved message has no value: it is that of the last evaluation"
        assert notes["dashboard_url"] and notes["runbook_url"]
    assert {alert["alert"] for alert in alerts()} == tested


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    folder = os.path.join(ROOT, "docs", "runbooks")
    names = {alert["alert"] for alert in alerts()}
    assert {name[:-3] for name in os.listdir(folder)} == names
    for alert in alerts():
        assert alert["annotations"]["runbook_url"].endswith(f"/runbooks/{alert['alert']}.md")
        with open(os.path.join(folder, alert["alert"] + ".md"), encoding="utf-8") as file:
            text = file.read()
        assert f"# {alert['alert']}\n" in text, alert["alert"]
        for part in RUNBOOK_PARTS:
            assert part in text, (alert["alert"], part)


def test_commands_named_to_operators_exist():
    """In alerts and runbooks: a subcommand that the CLI has."""
    known = set(re.findall(r"(?m)^  ([a-z]+) ",
                           output(os.path.join(BUILD, "conntide"), "--help")))
    texts = [shipped("rules.yml")]
    folder = os.path.join(ROOT, "docs", "runbooks")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            texts.append(file.read())
    said = {word for text in texts
            for word in re.findall(r"(?:Next: |, |`)conntide ([a-z]+)\b", text)}
    assert len(said) > 6 and said <= known, said - known


def test_names_in_dashboards_and_rules_exist():
    known = metric_names()
    text = "".join(shipped(name) for name in (*DASHBOARDS, "rules.yml"))
    used = set(re.findall(r"\b((?:conntide|nf_conntrack|process)_[a-z_]+)\s*(?:\{|\[|[/>=)]|$)",
                          text.replace("\\n", "\n")))
    used = {re.sub(r"_(bucket|count|sum)$", "", name) if name not in known else name
            for name in used}
    assert len(used) > 30
    assert used <= known, used - known


def test_alertmanager_configuration_is_accepted():
    output("amtool", "check-config", "dashboards/alertmanager/alertmanager.yml")


def test_alertmanager_silences_what_the_rules_reckon_with():
    """The rules keep alerts alive that Alertmanager could not say the end of."""
    output_of = json.loads(output("jsonnet", "dashboards/mixin/inhibition.libsonnet"))
    rules = {(source, target, tuple(pair["equal"])) for pair in output_of
             for source in pair["sources"] for target in pair["targets"]}
    configured = set()
    for pair in yaml.safe_load(shipped("alertmanager/alertmanager.yml"))["inhibit_rules"]:
        sides = [[alert["alert"] for alert in alerts() if matches(pair[key], alert["alert"])]
                 for key in ("source_matchers", "target_matchers")]
        assert all(sides), pair
        configured |= {(source, target, tuple(pair["equal"]))
                       for source in sides[0] for target in sides[1]}
    assert rules == configured


def matches(matchers, name):
    """A matcher is alertname = "..." or alertname =~ "..." here."""
    (matcher,) = matchers
    return re.fullmatch(re.fullmatch(r'alertname =~? "([^"]+)"', matcher)[1], name)


def test_the_types_of_grafana_agree(tmp_path):
    """Against @grafana/schema; and they object to a field that is none."""
    for name in ("package.json", "package-lock.json", "dashboard.d.ts"):
        shutil.copy(os.path.join(HERE, name), tmp_path)
    output("npm", "ci", "--no-audit", "--no-fund", cwd=tmp_path)
    compiler = ["npx", "--no-install", "tsc", "--strict", "--noEmit", "--module", "esnext",
                "--moduleResolution", "bundler", "--target", "es2022", "dashboard.d.ts"]
    names = []
    for name in DASHBOARDS:
        names.append(name.replace(".json", ".ts"))
        (tmp_path / names[-1]).write_text(typed(shipped(name)))
    output(*compiler, *names, cwd=tmp_path)
    for right, wrong in (('"refresh": "30s"', '"refresh": 30'), ('"graphMode"', '"grafMode"'),
                         ('"textFormat"', '"text"')):
        (tmp_path / "wrong.ts").write_text(typed(shipped(DASHBOARDS[0]).replace(right, wrong)))
        done = subprocess.run([*compiler, "wrong.ts"], cwd=tmp_path, check=False,
                              capture_output=True)
        assert done.returncode != 0, wrong


def typed(text):
    return ('import type { DashboardJson } from "./dashboard";\n'
            f"const made: DashboardJson = {text};\nexport default made;\n")


def all_panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboard_is_well_formed(name):
    """The rules of grafana/dashboard-linter that concern us, and what provisioning needs."""
    dashboard = json.loads(shipped(name))
    assert dashboard["id"] is None and 8 <= len(dashboard["uid"]) <= 40
    assert 39 <= dashboard["schemaVersion"] <= 41 and dashboard["editable"] is False
    assert dashboard["refresh"] == "30s" and "__inputs" not in dashboard
    variables = dashboard["templating"]["list"]
    assert [variable["name"] for variable in variables] == ["datasource", "job", "instance",
                                                            "netns"]
    for variable in variables[1:]:
        assert variable["multi"] and variable["allValue"] == ".+" and variable["refresh"] == 2
        # One host in depth begins with one host.
        assert variable["includeAll"] != (name == "conntide-host.json" and
                                          variable["name"] == "instance")
    assert [one["name"] for one in dashboard["annotations"]["list"]][0] == "Alert"
    panels = list(all_panels(dashboard))
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        where = panel["gridPos"]
        assert where["x"] + where["w"] <= 24
        if panel["type"] == "row":
            continue
        assert panel["type"] in ("timeseries", "stat", "gauge", "table")
        assert panel["title"] and panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"]
        for target in panel["targets"]:
            assert target["legendFormat"]
            selectors = re.findall(r"\{([^{}]*)\}", target["expr"])
            assert selectors, target["expr"]
            assert all('job=~"$job"' in one and 'instance=~"$instance"' in one
                                     for one in selectors)
            for name, rest in re.findall(r"(rate|irate)\(\w+\{[^}]*\}(\[[^]]*\])",
                                         target["expr"]):
                assert rest == "[$__rate_interval]", name
            for total in re.findall(r"(\w*)\(?(\w+_total)\{", target["expr"]):
                assert re.search(r"(rate|increase)\(" + total[1], target["expr"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_do_not_overlap(name):
    dashboard = json.loads(shipped(name))
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
