# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shipped: dashboard, rules, units, manual pages, make install."""
import json
import os
import re
import subprocess
import sys

import pytest
from harness import AGENT, BUILD, CLI, EXPORTER, ROOT

DASHBOARD = os.path.join(ROOT, "dashboards", "conntide-host.json")
MAN = os.path.join(ROOT, "docs", "man")


def run(*argv, **kwargs):
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT, **kwargs)


def output(*argv, **kwargs):
    done = run(*argv, **kwargs)
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


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    path = tmp_path_factory.mktemp("dest")
    output("make", "install", f"DESTDIR={path}", "PREFIX=/usr", f"BUILD={BUILD}")
    return path


def test_install(installed):
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    for name in ("bin/conntide", "bin/conntide-agent", "bin/conntide-exporter",
                 "share/man/man1/conntide.1", "share/man/man8/conntide-agent.8",
                 "share/man/man8/conntide-exporter.8",
                 "lib/systemd/system/conntide-agent.service",
                 "lib/systemd/system/conntide-exporter.service",
                 "lib/sysusers.d/conntide.conf", "lib/tmpfiles.d/conntide.conf",
                 "share/conntide/grafana/conntide-host.json",
                 "share/conntide/prometheus/rules.yml"):
        assert f"usr/{name}" in files
    assert "conntide" in output(installed / "usr/bin/conntide", "--version")
    for unit in (installed / "usr/lib/systemd/system").iterdir():
        assert "@" not in re.sub(r"(?m)^(SystemCallFilter=.*|#.*)$", "", unit.read_text())


@pytest.mark.parametrize("unit", ["conntide-agent", "conntide-exporter"])
def test_units_are_hardened(installed, unit):
    text = output("systemd-analyze", "security", "--offline=true", "--threshold=15",
                  f"{installed}/usr/lib/systemd/system/{unit}.service")
    score = float(re.search(r"exposure level for \S+: ([\d.]+)", text).group(1))
    print(unit, score)
    assert score <= 1.5


def test_sysusers_and_tmpfiles_agree(installed):
    done = run("systemd-sysusers", "--dry-run", installed / "usr/lib/sysusers.d/conntide.conf")
    assert done.returncode == 0, done.stderr
    users = set(re.findall(r"^[ug] (\S+)",
                           (installed / "usr/lib/sysusers.d/conntide.conf").read_text(), re.M))
    named = set(re.findall(r"^d \S+ \d+ (\S+) (\S+)",
                           (installed / "usr/lib/tmpfiles.d/conntide.conf").read_text(), re.M))
    assert {name for pair in named for name in pair} <= users


@pytest.mark.parametrize("program, page", [(CLI, "conntide.1"), (AGENT, "conntide-agent.8"),
                                           (EXPORTER, "conntide-exporter.8")])
def test_manual_pages_have_every_option(program, page):
    with open(os.path.join(MAN, page), encoding="utf-8") as file:
        text = file.read()
    helped = set(re.findall(r"^\s+(--[a-z][a-z0-9.-]+)", output(program, "--help"), re.MULTILINE))
    described = {name.replace("\\-", "-") for name in
                 re.findall(r"^\.B (\\-\\-[a-z0-9.\\-]+)", text, re.MULTILINE)}
    assert described - {"--help", "--version"} == helped - {"--help", "--version"}
    assert output("man", "-l", "--warnings=all", os.path.join(MAN, page)).count("warning") == 0


def test_manual_page_of_the_exporter_names_every_address():
    with open(os.path.join(MAN, "conntide-exporter.8"), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(ROOT, "exporters", "http", "routes.c"), encoding="utf-8") as file:
        routes = re.findall(r'^\t\{(?:API )?"([^"{]+)', file.read(), re.MULTILINE)
    for route in set(routes) - {"/style.css"}:
        assert route.strip("/") in text, route
