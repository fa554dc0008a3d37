# SPDX-License-Identifier: GPL-2.0-or-later
"""The tool itself: can its numbers be trusted, and what does watching cost?"""
from grafana.panels import (OWN, SELECT, Grid, dashboard, panel, rate, row, series)


def trust_row(grid):
    return [
        series(grid, "Kernel minus mirror", "Around 0 at rest; entries in flight otherwise.",
               "short", [(f"conntide_mirror_residual_entries{{{SELECT}}}",
                          "residual {{instance}} {{netns}}"),
                         (f"conntide_silent_entries{{{SELECT}}}", "silent {{instance}} {{netns}}"),
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


def cost():
    grid = Grid()
    panels = row(grid, "Can it be trusted?", False, trust_row)
    panels += row(grid, "What does watching cost?", False, cost_row)
    return dashboard("conntide-cost", "conntide / Own cost",
                     "How far the numbers can be trusted, and what agent and exporter cost.", panels)
