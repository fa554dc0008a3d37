# SPDX-License-Identifier: GPL-2.0-or-later
"""Hundreds of hosts: which are worst, which will be, and which are not watched."""
from grafana.panels import (ANY_IS_BAD, FILL_STEPS, LEVEL_COLORS, LEVELS, OWN, SELECT, SOURCE,
                            STAT, Grid, dashboard, links, panel, row, series, steps)

BY = "instance, netns"
# Level as a number: what the table is sorted by first; who is not watched stands on top.
LEVEL_NUMBER = " or ".join(
    f'(max by ({BY}) (conntide_level{{{SELECT},level="{level}"}}) == 1) * {number}'
    for number, level in enumerate(LEVELS))


def counts_row(grid):
    colors = {level: steps(("green", None)) if level == "OK" else
              steps(("green", None), (LEVEL_COLORS[level], 1)) for level in LEVELS}
    panels = [panel(grid, "stat", f"Tables {level}", f"At level {level}; UNKNOWN: not watched."
                    if level == "UNKNOWN" else f"At level {level}.", "short",
                    [(f'sum(conntide_level{{{SELECT},level="{level}"}}) or vector(0)', level)],
                    4, 4, colors[level], STAT) for level in LEVELS]
    panels.append(panel(grid, "stat", "Exporters down", "Targets that Prometheus cannot scrape.",
                        "short", [(f"count(up{{{OWN}}} == 0) or vector(0)", "down")], 4, 4,
                        steps(("green", None), ("red", 1)), STAT))
    return panels


COLUMNS = [  # name, expression, unit, thresholds
    ("Level", LEVEL_NUMBER, "short", None),
    ("Fill", f"max by ({BY}) (nf_conntrack_count{{{SELECT}}} / ignoring(limit) "
     f"conntide_limit_entries{{{SELECT}}})", "percentunit", FILL_STEPS),
    ("Full in", f"min by ({BY}) (clamp_max(conntide_forecast_time_to_full_seconds{{{SELECT},"
     'bound="likely"}, 3600))', "s", steps(("red", None), ("orange", 600), ("green", 3600))),
    ("Losses/s", f"sum by ({BY}) (rate(conntide_drop_total{{{SELECT}}}[$__rate_interval])) + "
     f"sum by ({BY}) (rate(conntide_early_drop_total{{{SELECT}}}[$__rate_interval])) + "
     f"sum by ({BY}) (rate(conntide_chaintoolong_total{{{SELECT}}}[$__rate_interval])) + "
     f"sum by ({BY}) (rate(conntide_insert_failed_total{{{SELECT}}}[$__rate_interval]))", "cps",
     ANY_IS_BAD),
    ("NAT pool", f"max by ({BY}) (conntide_nat_pool_used_ratio{{{SELECT}}})", "percentunit",
     steps(("green", None), ("orange", 0.85), ("red", 0.94))),
    ("Largest source", f"max by ({BY}) (conntide_largest_talker_ratio{{{SELECT}}})", "percentunit",
     steps(("green", None), ("orange", 0.5))),
    ("Entries", f"max by ({BY}) (nf_conntrack_count{{{SELECT}}})", "short", None),
]


def override(name, unit, thresholds):
    properties = [{"id": "displayName", "value": name}, {"id": "unit", "value": unit}]
    if name == "Level":
        mapping = {str(number): {"text": level, "color": LEVEL_COLORS[level], "index": number}
                   for number, level in enumerate(LEVELS)}
        properties += [{"id": "mappings", "value": [{"type": "value", "options": mapping}]},
                       {"id": "custom.cellOptions", "value": {"type": "color-background"}}]
    if thresholds:
        properties += [{"id": "thresholds", "value": thresholds},
                       {"id": "custom.cellOptions", "value": {"type": "color-text"}}]
    return properties


def worst_table(grid):
    targets, overrides = [], []
    for number, (name, expr, unit, thresholds) in enumerate(COLUMNS):
        ref = chr(ord("A") + number)
        targets.append({"datasource": SOURCE, "editorMode": "code", "expr": expr, "format": "table",
                        "instant": True, "range": False, "legendFormat": name, "refId": ref})
        overrides.append({"matcher": {"id": "byName", "options": f"Value #{ref}"},
                          "properties": override(name, unit, thresholds)})
    overrides.append({"matcher": {"id": "byName", "options": "instance"}, "properties": [
        {"id": "displayName", "value": "Host"},
        {"id": "links", "value": links("${__data.fields.instance}")}]})
    return [{
        "id": grid.take_id(), "type": "table", "title": "Worst first",
        "description": "A table a row, by level and fill. The host leads to its dashboard, its "
                       "live page, why and advice.",
        "datasource": SOURCE, "gridPos": grid.place(24, 14), "targets": targets,
        "transformations": [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {
                "instance": 0, "netns": 1}, "renameByName": {"netns": "Namespace"}}}],
        "fieldConfig": {"defaults": {"unit": "short", "custom": {"align": "auto", "filterable": True},
                                     "thresholds": steps(("green", None)), "mappings": []},
                        "overrides": overrides},
        "options": {"showHeader": True,
                    "sortBy": [{"displayName": "Level", "desc": True},
                               {"displayName": "Fill", "desc": True}]},
    }]


def trends_row(grid):
    legend = "{{instance}} {{netns}}"
    made = [
        series(grid, "The ten fullest", "Entries as a part of the limit.", "percentunit",
               [(f"topk(10, nf_conntrack_count{{{SELECT}}} / ignoring(limit) "
                 f"conntide_limit_entries{{{SELECT}}})", legend)], thresholds=FILL_STEPS),
        series(grid, "Soonest full", "Likely time to full; one hour means not within the hour.", "s",
               [(f"bottomk(10, clamp_max(conntide_forecast_time_to_full_seconds{{{SELECT},"
                 'bound="likely"}, 3600))', legend)]),
        series(grid, "Losses", "Dropped, evicted, refused for long chains, failed inserts.", "cps",
               [("topk(10, " + COLUMNS[3][1] + ")", legend)], thresholds=ANY_IS_BAD),
        series(grid, "Fullest NAT pools", "From 90 % on new connections fail, whatever the table's "
               "size.", "percentunit",
               [(f"topk(10, conntide_nat_pool_used_ratio{{{SELECT}}})",
                 legend + " {{l4proto}}/{{remote_port}}")],
               thresholds=steps(("green", None), ("orange", 0.85), ("red", 0.94))),
    ]
    for one in made:
        one["fieldConfig"]["defaults"]["links"] = links()
    return made


def fleet():
    grid = Grid()
    panels = counts_row(grid)
    panels += row(grid, "Hosts", False, worst_table)
    panels += row(grid, "The worst over time", False, trends_row)
    return dashboard("conntide-fleet", "conntide / Fleet",
                     "All hosts: which tables are worst, which fill soon, which lose connections, "
                     "which are not watched.", panels)
