# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may include whom. base -> shm -> leaves -> tracker/resync/segment -> agent -> main;
render -> http, cli. A new file of the agent must be entered here, which is the moment to
ask where it belongs."""
import os

import pytest

import source

# Files that are parts of one module share its place.
PART_OF = {"entry": "tracker", "answers": "tracker", "drain": "agent", "setup": "agent",
           "requests": "agent", "publish": "agent", "flight": "agent",
           "capture_lines": "capture",
           **{f"forecast_{part}": "forecast" for part in (
               "balance", "classes", "collector", "full", "joint", "lines", "paths", "population", "priv", "project", "pulses",
               "quantiles", "rates", "regimes", "season", "stays", "trends")}}

# Module of agent/ -> modules of agent/ it may include.
AGENT = {
    "incidents": set(), "incident_write": {"incidents", "worker"},
    "config": set(), "confine": set(), "event": set(), "parser": {"event"}, "addresses": {"local_addr"},
    "change": {"event", "flow_table"}, "ct_stats": set(),
    "flow_table": set(), "histogram": set(), "local_addr": set(), "nlsock": set(),
    "pace": set(), "schedule": set(), "worker": set(), "trust": set(),
    "ports": {"histogram"},
    "segment": {"histogram"},
    "verify": {"event"},
    "query": {"event", "parser", "addresses", "local_addr", "nlsock", "worker"},
    "recorder": {"local_addr", "verify"},
    "ct_timeouts": set(),
    "outlook": {"forecast", "witness"},
    "tally": {"event"},
    "talkers": {"event", "tally"},
    "stays": {"histogram"},
    "scenes": {"histogram", "stays"},
    "witness": {"change", "event", "flow_table", "forecast", "stays", "talkers"},
    "tracker": {"change", "event", "flow_table", "histogram", "local_addr", "verify"},
    "resync": {"event", "tracker"},
    "agent": {"parser", "config", "confine", "event", "ct_stats", "flow_table", "histogram",
              "incidents", "incident_write", "local_addr",
              "nlsock", "pace", "ports", "query", "recorder", "resync", "schedule", "segment", "tracker",
              "trust", "verify", "witness", "outlook", "ct_timeouts", "forecast", "stays", "talkers",
              "scenes"},
    "main": {"agent", "config"},
    "forecast": set(), "trace": set(),
    "trace_event": {"event", "trace"},
    "world": {"histogram", "local_addr", "resync", "tracker", "verify"},
    "replay": {"forecast", "trace", "trace_event", "witness", "world"},
    "replay_print": {"forecast", "replay"},
    "replay_main": {"replay", "replay_print", "trace"},
    "roster": {"event"},
    "pseudonym": {"event"},
    "capture": {"parser", "confine", "event", "ct_stats", "ct_timeouts", "nlsock", "pseudonym", "query",
                "roster", "trace", "trace_event"},
    "record_main": {"capture"},
}

FOLDERS = {
    "lib/base": {"lib/base"},
    "lib/shm": {"lib/base", "lib/kernel", "lib/shm"},
    # Rules of the kernel that agent and exporters both reckon with: figures in, figures out.
    "lib/kernel": {"lib/kernel"},
    "agent": {"lib/base", "lib/kernel", "lib/shm", "agent"},
    "exporters/render": {"lib/base", "lib/kernel", "lib/shm", "exporters/render"},
    "exporters/advice": {"lib/base", "lib/kernel", "lib/shm", "exporters/render",
                         "exporters/advice"},
    "exporters/http": {"lib/base", "lib/kernel", "lib/shm", "exporters/render", "exporters/advice",
                       "exporters/http"},
    "exporters/cli": {"lib/base", "lib/kernel", "lib/shm", "exporters/render", "exporters/advice",
                      "exporters/cli"},
}

# The layout is for those who read or write the segment; others take a snapshot.
LAYOUT = {"lib/shm/incident.c", "lib/shm/incident_pack.c", "lib/shm/layout.c", "lib/shm/reader.c",
          "lib/shm/snap_forecast.h", "lib/shm/snap_story.h", "lib/shm/snapshot.h",
          "agent/histogram.h", "agent/ports.h", "agent/scenes.h", "agent/schedule.h",
          "agent/segment.h", "agent/stays.h", "agent/talkers.h", "agent/trust.h",
          "agent/witness.h", "agent/outlook.h"}

# Only these tell people: everything below returns -errno.
LOG = {"agent/agent.c", "agent/drain.c", "agent/flight.c", "agent/main.c", "agent/publish.c",
       "agent/requests.c", "agent/setup.c", "exporters/http/main.c", "exporters/http/serve.c",
       "exporters/http/server.c", "lib/base/log.c"}

# A library enters through one file; libmnl's macros are for those who read messages.
LIBRARIES = {
    "microhttpd.h": {"exporters/http/server.c"},
    "cjson/": {"exporters/render/json.c"},
    "libnetfilter_conntrack/": {"agent/parser.c"},
    "xxhash.h": {"agent/event.c"},
    "seccomp.h": {"lib/base/sandbox.c"},
    "cap-ng.h": {"lib/base/sandbox.c"},
    "yaml.h": {"exporters/http/web_config.c"},
    "gnutls/": {"exporters/http/tls.c"},
    "crypt.h": {"exporters/http/auth.c"},
    "zlib.h": {"exporters/http/gzip.c"},
    "curses": {"exporters/cli/term.c"},
    "libmnl/": {"agent/capture.c", "agent/parser.c", "agent/ct_stats.c", "agent/addresses.c", "agent/query.c"},
    "systemd/": set(),
}

SOURCES = list(source.files("lib", "agent", "exporters"))


def module(path):
    stem = os.path.splitext(os.path.basename(path))[0]
    return PART_OF.get(stem, stem)


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_folders(folder):
    wrong = [f"{path} includes {own}"
             for path in SOURCES if os.path.dirname(path) == folder
             for own in source.includes(path)[0] if os.path.dirname(own) not in FOLDERS[folder]]
    assert not wrong, "\n".join(wrong)


def test_every_folder_has_its_place():
    assert {os.path.dirname(path) for path in SOURCES} <= set(FOLDERS)


def test_modules_of_the_agent():
    wrong = []
    for path in source.files("agent"):
        if module(path) not in AGENT:
            wrong.append(f"{path}: not in the table of tests/lint/layers.py")
            continue
        allowed = AGENT[module(path)] | {module(path)}
        wrong += [f"{path} includes {own}" for own in source.includes(path)[0]
                  if own.startswith("agent/") and module(own) not in allowed]
    assert not wrong, "\n".join(wrong)


def test_no_cycles():
    """Between headers; and in the table above."""
    graph = {path: [own for own in source.includes(path)[0] if own.endswith(".h")]
             for path in SOURCES if path.endswith(".h")}
    graph.update({f"agent module {name}": [f"agent module {other}" for other in others]
                  for name, others in AGENT.items()})
    done, path = set(), []

    def visit(node):
        assert node not in path, " -> ".join(path[path.index(node):] + [node])
        if node in done:
            return
        path.append(node)
        for other in graph.get(node, ()):
            visit(other)
        done.add(path.pop())
    for node in graph:
        visit(node)


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_libraries(library):
    users = {path for path in SOURCES
             for system in source.includes(path)[1] if system.startswith(library)}
    assert users <= LIBRARIES[library]


def test_layout_is_included_by_few():
    assert {path for path in SOURCES if "lib/shm/layout.h" in source.includes(path)[0]} <= LAYOUT


def test_only_the_top_layer_logs():
    assert {path for path in SOURCES if "lib/base/log.h" in source.includes(path)[0]} <= LOG
