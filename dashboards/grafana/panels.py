# SPDX-License-Identifier: GPL-2.0-or-later
"""What panels, rows, variables and dashboards of conntide have in common."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SELECT = 'job=~"$job",instance=~"$instance",netns=~"$netns"'
OWN = 'job=~"$job",instance=~"$instance"'
LEVELS = ("OK", "HIGH", "CRITICAL", "FULL", "UNKNOWN")
LEVEL_COLORS = {"OK": "green", "HIGH": "orange", "CRITICAL": "red", "FULL": "dark-red",
                "UNKNOWN": "purple"}


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


def query_variable(name, label, expr, every=True):
    """`every`: "All" is offered, and is what one sees first; else the first value is."""
    made = {"name": name, "label": label, "type": "query", "datasource": SOURCE,
            "query": {"query": expr, "refId": "PrometheusVariableQuery"},
            "refresh": 2, "regex": "", "sort": 1, "multi": True, "includeAll": every,
            "allValue": ".+", "hide": 0, "skipUrlSync": False, "options": []}
    if every:
        made["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return made


def link(title, url):
    return {"title": title, "url": url, "targetBlank": False}


# Where a value that has the label instance leads. instance is HOST:PORT of the exporter.
def links(field="${__field.labels.instance}"):
    return [link("This host in depth", f"/d/conntide-host?var-instance={field}"
                 "&${datasource:queryparam}&${__url_time_range}"),
            link("Its live page", f"http://{field}/"),
            link("Why", f"http://{field}/api/v1/why"),
            link("Advice", f"http://{field}/api/v1/advice")]


def annotation(name, expr, text, color):
    return {"name": name, "datasource": SOURCE, "enable": True, "hide": False, "iconColor": color,
            "expr": expr, "titleFormat": name, "textFormat": text, "step": "30s"}


def annotations(select):
    return {"list": [
        annotation("Alert", f'ALERTS{{alertname=~"Conntide.+",alertstate="firing",{select}}}',
                   "{{alertname}} {{instance}} {{netns}}", "red"),
        annotation("Setting changed",
                   f"time() - conntide_setting_changed_timestamp_seconds{{{select}}} < 60",
                   "{{setting}} of {{instance}} {{netns}} changed", "blue"),
    ]}


def dashboard(uid, title, description, panels, one_host=False):
    return {
        "id": None, "uid": uid, "title": title, "description": description,
        "tags": ["conntide", "conntrack", "network"], "schemaVersion": 41, "version": 1,
        "editable": False, "graphTooltip": 1, "refresh": "30s", "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"}, "timepicker": {}, "fiscalYearStartMonth": 0,
        "liveNow": False, "weekStart": "", "annotations": annotations(SELECT),
        "links": [{"type": "dashboards", "title": "conntide", "tags": ["conntide"],
                   "asDropdown": True, "includeVars": True, "keepTime": True, "icon": "",
                   "targetBlank": False, "tooltip": "", "url": ""}],
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource",
             "query": "prometheus", "hide": 0,
             "current": {"selected": False, "text": "default", "value": "default"},
             "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": "",
             "skipUrlSync": False},
            query_variable("job", "Job", "label_values(conntide_build_info, job)"),
            query_variable("instance", "Instance",
                           'label_values(conntide_build_info{job=~"$job"}, instance)',
                           every=not one_host),
            query_variable("netns", "Namespace",
                           'label_values(conntide_build_info{job=~"$job",'
                           'instance=~"$instance"}, netns)'),
        ]},
        "panels": panels,
    }
