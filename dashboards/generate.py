#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes dashboards/conntide-host.json: classic Grafana JSON, schema version 41.

python3 dashboards/generate.py          writes it
python3 dashboards/generate.py --check  exits 1 when the file is not what would be written
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "conntide-host.json")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SELECT = 'job=~"$job",instance=~"$instance",netns=~"$netns"'
OWN = 'job=~"$job",instance=~"$instance"'


class Grid:
    """Places panels from left to right on 24 columns, row by row."""

    def __init__(self):
        self.x = self.y = self.row = 0
        self.next_id = 1

    def place(self, width, height):
        if self.x + width > 24:
            self.x, self.y, self.row = 0, self.y + self.row, 0
        at = {"x": self.x, "y": self.y, "w": width, "h": height}
        self.x += width
        self.row = max(self.row, height)
        return at

    def line(self):
        if self.x:
            self.x, self.y, self.row = 0, self.y + self.row, 0

    def take_id(self):
        self.next_id += 1
        return self.next_id - 1


def steps(*pairs):
    return {"mode": "absolute", "steps": [{"color": color, "value": value}
                                          for color, value in pairs]}


FILL_STEPS = steps(("green", None), ("orange", 0.80), ("red", 0.95))
ANY_IS_BAD = steps(("green", None), ("red", 0.000001))
NEUTRAL = steps(("green", None))


def targets(queries, instant=False):
    made = []
    for number, (expr, legend) in enumerate(queries):
        made.append({"datasource": SOURCE, "editorMode": "code", "expr": expr,
                     "legendFormat": legend, "range": not instant, "instant": instant,
                     "refId": chr(ord("A") + number)})
    return made


def panel(grid, kind, title, description, unit, queries, width, height, thresholds=NEUTRAL,
          options=None, custom=None, mappings=None, extra=None):
    defaults = {"unit": unit, "min": 0, "thresholds": thresholds, "mappings": mappings or [],
                "color": {"mode": "palette-classic" if kind == "timeseries" else "thresholds"}}
    if custom:
        defaults["custom"] = custom
    defaults.update(extra or {})
    return {"id": grid.take_id(), "type": kind, "title": title, "description": description,
            "datasource": SOURCE, "gridPos": grid.place(width, height),
            "targets": targets(queries, kind in ("stat", "gauge")),
            "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options or {}}


def series(grid, title, description, unit, queries, stack=False, thresholds=NEUTRAL, width=12,
           signed=False):
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stack else 8,
              "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stack else "none", "group": "A"}}
    made = panel(grid, "timeseries", title, description, unit, queries, width, 8, thresholds,
                 {"legend": {"displayMode": "table", "placement": "right",
                             "calcs": ["lastNotNull", "max"], "showLegend": True},
                  "tooltip": {"mode": "multi", "sort": "desc"}}, custom)
    if signed:
        del made["fieldConfig"]["defaults"]["min"]
    return made


STAT = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value", "graphMode": "none", "justifyMode": "auto",
        "orientation": "auto", "textMode": "auto"}
GAUGE = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
         "showThresholdLabels": False, "showThresholdMarkers": True, "orientation": "auto"}


def words(*pairs):
    return [{"type": "value", "options": {str(value): {"text": text, "color": color, "index": n}
                                          for n, (value, text, color) in enumerate(pairs)}}]


def rate(metric, by="", **more):
    labels = SELECT + "".join(f',{name}="{value}"' for name, value in more.items())
    inner = f"rate({metric}{{{labels}}}[$__rate_interval])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def top_row(grid):
    legend = "{{instance}} {{netns}}"
    yes = words((1, "yes", "green"), (0, "no", "red"))
    return [
        panel(grid, "gauge", "Fill", "Entries as a part of the limit; alerts at 80 % and 95 %.",
              "percentunit",
              [(f"nf_conntrack_count{{{SELECT}}} / ignoring(limit) conntide_limit_entries{{{SELECT}}}", legend)],
              6, 6, FILL_STEPS, GAUGE, extra={"max": 1}),
        panel(grid, "stat", "Entries", "The kernel's count.", "short",
              [(f"nf_conntrack_count{{{SELECT}}}", legend)], 4, 6, options=STAT),
        panel(grid, "stat", "Limit", "What ends the table: nf_conntrack_max, or what comes first.", "short",
              [(f"conntide_limit_entries{{{SELECT}}}", legend)], 4, 6, options=STAT),
        panel(grid, "stat", "Packets dropped",
              "Because the table was full or a hash chain too long, per second.", "pps",
              [(f'{rate("conntide_drop_total", "instance, netns")} + '
                f'{rate("conntide_chaintoolong_total", "instance, netns")}', legend)],
              4, 6, ANY_IS_BAD, STAT),
        panel(grid, "stat", "Agent up", "Alive, with fresh numbers and all events.", "short",
              [(f"conntide_up{{{SELECT}}}", legend)], 3, 6,
              steps(("red", None), ("green", 1)), STAT, mappings=yes),
        panel(grid, "stat", "Exact", "The data quality is exact; no: verified or not exact, see status.", "short",
              [(f'conntide_quality{{{SELECT},quality="exact"}}', legend)], 3, 6,
              steps(("orange", None), ("green", 1)), STAT, mappings=yes),
    ]


def table_row(grid):
    ports = "l4proto, direction, port"
    return [
        series(grid, "Entries against the limits",
               "The chain limit is where inserts begin to fail although the table is not full; "
               "it counts all namespaces.", "short",
               [(f"nf_conntrack_count{{{SELECT}}}", "entries {{instance}} {{netns}}"),
                (f"nf_conntrack_max{{{SELECT}}}", "limit {{instance}} {{netns}}"),
                (f"conntide_chain_limit_entries{{{SELECT}}}", "chains {{instance}} {{netns}}")]),
        series(grid, "Entries by port", "What fills the table; small ports are in \"other\".",
               "short",
               [(f"sum by ({ports}) (conntide_entries{{{SELECT}}})",
                 "{{l4proto}} {{port}} {{direction}}")], stack=True),
        series(grid, "Entries by state", "Many TIME_WAIT: short connections; many SYN_SENT or "
               "unreplied: nobody answers.", "short",
               [(f"sum by (l4proto, state) (conntide_entries{{{SELECT}}})",
                 "{{l4proto}} {{state}}")], stack=True),
        series(grid, "New and destroyed entries", "A lasting gap between the two fills the "
               "table.", "cps",
               [(rate("conntide_new_entries_total"), "new"),
                (rate("conntide_destroyed_entries_total"), "destroyed")]),
        series(grid, "New entries by port", "Who opens connections.", "cps",
               [(rate("conntide_new_entries_total", ports),
                 "{{l4proto}} {{port}} {{direction}}")], stack=True),
        series(grid, "Lifetime of entries", "Of those seen from birth to end: half are below the "
               "median, one in twenty above the 95th percentile.", "s",
               [("histogram_quantile(0.5, "
                 + rate("conntide_entry_lifetime_seconds_bucket", "le, l4proto") + ")",
                 "median {{l4proto}}"),
                ("histogram_quantile(0.95, "
                 + rate("conntide_entry_lifetime_seconds_bucket", "le, l4proto") + ")",
                 "95 % {{l4proto}}")]),
        series(grid, "What is lost", "Each of these is traffic or connections lost.", "pps",
               [(rate("conntide_drop_total"), "drops, table full"),
                (rate("conntide_early_drop_total"), "evicted early"),
                (rate("conntide_chaintoolong_total"), "drops, chain too long"),
                (rate("conntide_insert_failed_total"), "failed inserts")],
               thresholds=ANY_IS_BAD),
        series(grid, "Packets that fit nowhere", "Invalid ones point to asymmetric routing or "
               "resets behind a proxy; NAT ports in use to one destination that runs out of "
               "them.", "pps",
               [(rate("conntide_invalid_total"), "invalid"),
                (rate("conntide_error_total"), "malformed"),
                (rate("conntide_found_total"), "NAT port in use"),
                (rate("conntide_clash_resolve_total"), "clashes resolved"),
                (rate("conntide_search_restart_total"), "look-ups restarted")]),
    ]


def forecast_row(grid):
    legend = "{{instance}} {{netns}}"
    ten = f'{SELECT},horizon="600"'
    yes = words((0, "no", "green"), (1, "FULL SOON", "red"))
    return [
        panel(grid, "stat", "Alarm", "Full within ten minutes is likely. It goes on and off at "
              "different probabilities.", "short",
              [(f"conntide_forecast_alarm{{{SELECT}}}", legend)], 4, 6,
              steps(("green", None), ("red", 1)), STAT, mappings=yes),
        panel(grid, "stat", "Likely full in", "One hour: not within the hour.", "s",
              [(f'clamp_max(conntide_forecast_time_to_full_seconds{{{SELECT},bound="likely"}}, '
                '3600)', legend)], 4, 6,
              steps(("red", None), ("orange", 600), ("green", 3600)), STAT),
        panel(grid, "stat", "Settles at", "As a part of the limit, if demand stays as it is.", "percentunit",
              [(f"conntide_forecast_settles_at_entries{{{SELECT}}} / ignoring(limit) "
                f"conntide_limit_entries{{{SELECT}}}", legend)], 4, 6, FILL_STEPS, STAT),
        panel(grid, "stat", "Forecasts that held", "Of those over ten minutes, in the last six "
              "hours: 80 % is right, far less means that its intervals are too narrow.",
              "percentunit",
              [(f"increase(conntide_forecast_held_total{{{ten}}}[6h]) / "
                f"increase(conntide_forecast_compared_total{{{ten}}}[6h])", legend)], 6, 6,
              steps(("red", None), ("orange", 0.6), ("green", 0.7)), STAT),
        panel(grid, "stat", "Cost of a forecast", "CPU time; one is made each second.", "s",
              [(f"conntide_forecast_cpu_seconds{{{SELECT}}}", legend)], 6, 6, options=STAT),
        series(grid, "Expected in ten minutes", "The 80 % interval around the most likely number "
               "of entries, and the limit it is about. Gaps: it cannot say.", "short",
               [(f"nf_conntrack_count{{{SELECT}}}", "entries {{instance}} {{netns}}"),
                (f"conntide_forecast_entries{{{ten}}}", "{{bound}} {{instance}} {{netns}}"),
                (f"conntide_limit_entries{{{SELECT}}}",
                 "limit ({{limit}}) {{instance}} {{netns}}")]),
        series(grid, "What was expected, and what came", "Entries now, and what the forecasts of "
               "ten minutes ago said of now.", "short",
               [(f"nf_conntrack_count{{{SELECT}}}", "came {{instance}} {{netns}}"),
                (f'conntide_forecast_entries{{{ten},bound!="likely"}} offset 10m',
                 "{{bound}} {{instance}} {{netns}}")]),
        series(grid, "Time to full", "Early: 10 %, likely: 50 %, late: 90 % quantile. One hour "
               "means not within the hour.", "s",
               [(f"clamp_max(conntide_forecast_time_to_full_seconds{{{SELECT}}}, 3600)",
                 "{{bound}} {{instance}} {{netns}}")]),
        series(grid, "Probabilities", "Of being full, and of a packet dropped, within ten minutes "
               "and within an hour.", "percentunit",
               [(f"conntide_forecast_full_probability{{{SELECT}}}",
                 "full in {{horizon}} s {{instance}} {{netns}}"),
                (f"conntide_forecast_drop_probability{{{SELECT}}}",
                 "drop in {{horizon}} s {{instance}} {{netns}}")]),
    ]


def trust_row(grid):
    return [
        series(grid, "Kernel minus mirror", "Around 0 at rest; entries in flight otherwise.",
               "short", [(f"conntide_mirror_residual_entries{{{SELECT}}}",
                          "residual {{instance}} {{netns}}"),
                         (f"conntide_mute_entries{{{SELECT}}}", "mute {{instance}} {{netns}}"),
                         (f"conntide_unassured_entries{{{SELECT}}}",
                          "unassured {{instance}} {{netns}}")], signed=True),
        series(grid, "Events", "What the agent hears, and what it does not.", "cps",
               [(rate("conntide_events_total", "type"), "{{type}}"),
                (rate("conntide_events_lost_total"), "lost"),
                (rate("conntide_clash_events_total"), "clashes")]),
        series(grid, "Comparisons with the kernel's table", "Resyncs and corrections; an hour "
               "each.", "short",
               [(f"sum by (result) (increase(conntide_resyncs_total{{{SELECT}}}[1h]))",
                 "resyncs {{result}}"),
                (f"sum by (kind) (increase(conntide_mirror_repairs_total{{{SELECT}}}[1h]))",
                 "repairs {{kind}}"),
                (f"sum by (result) (increase(conntide_audits_total{{{SELECT}}}[1h]))",
                 "audits {{result}}")]),
        series(grid, "Age of the numbers", "Since the agent's last sign of life, and since the "
               "last full comparison.", "s",
               [(f"time() - conntide_agent_heartbeat_timestamp_seconds{{{SELECT}}}",
                 "heartbeat {{instance}}"),
                (f"time() - (conntide_last_resync_timestamp_seconds{{{SELECT}}} > 0)",
                 "resync {{instance}}")]),
        series(grid, "State of the agent", "Why it is not up.", "short",
               [(f"conntide_agent_state{{{SELECT}}} == 1", "{{instance}} {{state}}")]),
    ]


def cost_row(grid):
    return [
        series(grid, "CPU", "Of agent and exporter; 1 is one core.", "percentunit",
               [(rate("conntide_agent_cpu_seconds_total", "instance"), "agent {{instance}}"),
                (f"rate(process_cpu_seconds_total{{{OWN}}}[$__rate_interval])",
                 "exporter {{instance}}"),
                (rate("conntide_resync_seconds_total", "instance"), "in dumps {{instance}}")]),
        series(grid, "Memory", "Resident, shared memory included.", "bytes",
               [(f"conntide_agent_resident_memory_bytes{{{SELECT}}}", "agent {{instance}}"),
                (f"conntide_mirror_bytes{{{SELECT}}}", "mirror {{instance}}"),
                (f"process_resident_memory_bytes{{{OWN}}}", "exporter {{instance}}")]),
        series(grid, "Event buffer", "When the queue reaches the buffer, events get lost.",
               "bytes",
               [(f"conntide_event_queue_bytes{{{SELECT}}}", "queue {{instance}}"),
                (f"conntide_event_buffer_bytes{{{SELECT}}}", "buffer {{instance}}")]),
        series(grid, "Exporter", "Time to write a scrape.", "s",
               [(f"conntide_scrape_duration_seconds{{{OWN}}}", "scrape {{instance}}")]),
        series(grid, "Refused requests and connections", "By reason.", "reqps",
               [(f"sum by (reason) (rate(conntide_http_refused_total{{{OWN}}}"
                 "[$__rate_interval]))", "{{reason}}")]),
        series(grid, "Open connections", "Of clients of the exporter, and its descriptors.",
               "short", [(f"conntide_http_connections{{{OWN}}}", "connections {{instance}}"),
                         (f"process_open_fds{{{OWN}}}", "descriptors {{instance}}")]),
    ]


def row(grid, title, collapsed, make):
    grid.line()
    head = {"id": grid.take_id(), "type": "row", "title": title, "collapsed": collapsed,
            "gridPos": {"x": 0, "y": grid.y, "w": 24, "h": 1}, "panels": []}
    grid.y += 1
    panels = make(grid)
    if not collapsed:
        return [head, *panels]
    head["panels"] = panels
    grid.x, grid.y, grid.row = 0, head["gridPos"]["y"] + 1, 0
    return [head]


def query_variable(name, label, expr):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE,
            "definition": expr, "query": {"query": expr, "refId": "PrometheusVariableQuery"},
            "refresh": 2, "regex": "", "sort": 1, "multi": True, "includeAll": True,
            "allValue": ".+", "hide": 0, "skipUrlSync": False,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "options": []}


def dashboard():
    grid = Grid()
    panels = top_row(grid)
    panels += row(grid, "What fills it", False, table_row)
    panels += row(grid, "Forecast", False, forecast_row)
    panels += row(grid, "Can it be trusted?", True, trust_row)
    panels += row(grid, "What does watching cost?", True, cost_row)
    return {
        "id": None, "uid": "conntide-host", "title": "conntide / Host",
        "description": "The connection-tracking table: how full, what fills it, and how far "
                       "the numbers can be trusted.",
        "tags": ["conntide", "conntrack", "network"], "schemaVersion": 41, "version": 1,
        "editable": False, "graphTooltip": 1, "refresh": "30s", "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"}, "timepicker": {}, "fiscalYearStartMonth": 0,
        "liveNow": False, "weekStart": "", "annotations": {"list": []},
        "links": [{"type": "dashboards", "title": "conntide", "tags": ["conntide"],
                   "asDropdown": True, "includeVars": True, "keepTime": True, "icon": "",
                   "targetBlank": False, "tooltip": "", "url": ""}],
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource",
             "query": "prometheus", "hide": 0,
             "current": {"selected": False, "text": "default", "value": "default"}, "includeAll": False,
             "multi": False, "options": [], "refresh": 1, "regex": "", "skipUrlSync": False},
            query_variable("job", "Job", "label_values(conntide_build_info, job)"),
            query_variable("instance", "Instance",
                           'label_values(conntide_build_info{job=~"$job"}, instance)'),
            query_variable("netns", "Namespace",
                           'label_values(conntide_build_info{job=~"$job",'
                           'instance=~"$instance"}, netns)'),
        ]},
        "panels": panels,
    }


def main():
    text = json.dumps(dashboard(), indent=2) + "\n"
    if "--check" in sys.argv:
        with open(OUT, encoding="utf-8") as file:
            if file.read() != text:
                sys.exit(f"{OUT} is not what dashboards/generate.py writes; run it")
        return
    with open(OUT, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
