# SPDX-License-Identifier: GPL-2.0-or-later
"""One host in depth: how full, what fills it, who, when it is full, NAT pools."""
from grafana.panels import (ANY_IS_BAD, FILL_STEPS, GAUGE, SELECT, STAT, Grid, dashboard, panel, rate, row,
                            series, steps, words)


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


def who_row(grid):
    """Shares are always there; names only from exporters that may show them."""
    return [
        series(grid, "Largest source", "Share of the entries that one address opened; "
               "above a half it is the cause.", "percentunit",
               [(f"conntide_largest_talker_ratio{{{SELECT}}}", "{{instance}} {{netns}}")],
               thresholds=steps(("green", None), ("orange", 0.5))),
        series(grid, "Sources", "The addresses that opened most entries. Empty where the exporter does "
               "not show addresses (--web.show-hosts).", "short",
               [(f"conntide_talker_entries{{{SELECT}}}", "{{address}}")], stack=True),
    ]


def nat_row(grid):
    ratio = steps(("green", None), ("orange", 0.85), ("red", 0.94))
    return [
        series(grid, "Fullest NAT pool", "Share of the ports of one outside address towards one "
               "destination that cannot be had. From 90 % on new connections fail, and a larger "
               "table does nothing.", "percentunit",
               [(f"conntide_nat_pool_used_ratio{{{SELECT}}}",
                 "{{l4proto}}/{{remote_port}} {{instance}} {{netns}}")], thresholds=ratio, width=8),
        series(grid, "NAT pools by ports in use", "The fullest. Empty where the exporter does not show "
               "addresses.", "short",
               [(f"conntide_nat_pool_ports{{{SELECT}}}",
                 "{{address}} to {{remote}} {{l4proto}}/{{remote_port}}")], width=8),
        series(grid, "NAT failures", "Connections that found no port.", "cps",
               [(rate("conntide_nat_failures_total", "instance, netns"),
                 "{{instance}} {{netns}}")], thresholds=ANY_IS_BAD, width=8),
        series(grid, "Expectations", "Connections that helpers (SIP, FTP, TFTP) announced and that have not "
               "come, and how many may be announced.", "short",
               [(f"conntide_expectations{{{SELECT}}}", "{{instance}} {{netns}}"),
                (f"conntide_expectations_limit{{{SELECT}}}", "limit {{instance}} {{netns}}")], width=12),
        series(grid, "Since a setting of the kernel changed", "By setting, of those that changed since the agent "
               "started. conntide status has old and new values.", "s",
               [(f"time() - conntide_setting_changed_timestamp_seconds{{{SELECT}}}",
                 "{{setting}} {{instance}} {{netns}}")], width=12),
    ]


def host():
    grid = Grid()
    panels = top_row(grid)
    panels += row(grid, "What fills it", False, table_row)
    panels += row(grid, "Who", False, who_row)
    panels += row(grid, "Forecast", False, forecast_row)
    panels += row(grid, "NAT ports", True, nat_row)
    return dashboard("conntide-host", "conntide / Host",
                     "The connection-tracking table of one host: how full, what fills it, who, "
                     "and when it will be full.", panels, one_host=True)
