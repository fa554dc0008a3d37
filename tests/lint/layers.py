# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may include whom: a folder includes what stands above it in the table below, never what
stands beside or below it. A wrong include is visible in the include line itself."""
import collections
import os
import re

import pytest

import source

# Folder -> what it may include besides itself: folders, with everything inside them.
LIB_LOW = ["lib/base", "lib/kernel", "lib/event", "lib/shm"]
FOLDERS = {
    "lib/base": [],
    "lib/kernel": ["lib/base"],
    "lib/event": ["lib/base", "lib/kernel"],
    "lib/shm": ["lib/base", "lib/kernel", "lib/event"],
    # Four rooms on one floor: none knows another.
    "lib/mirror": LIB_LOW,
    "lib/forecast": ["lib/base", "lib/kernel"],
    "lib/trace": LIB_LOW,
    "lib/incident": LIB_LOW,
    "lib/stats": LIB_LOW + ["lib/mirror", "lib/forecast"],
    "lib/health": LIB_LOW + ["lib/forecast", "lib/stats"],
    "agent/base": ["lib"],
    "agent/netlink": ["lib", "agent/base"],
    "agent/incident": ["lib", "agent/base"],
    "agent/record": ["lib", "agent/base", "agent/netlink"],
    "agent/demo": ["lib", "agent", "agent/base", "agent/netlink", "agent/incident",
                   "agent/record"],
    "agent/flow": ["lib", "agent/base", "agent/netlink"],
    "agent": ["lib", "agent"],
    "exporters/render": ["lib"],
    "exporters/advice": ["lib", "exporters/render"],
    "exporters/http/message": ["lib", "exporters/render"],
    "exporters/http/toolkit": ["lib", "exporters/render", "exporters/http/message"],
    "exporters/http/routes": ["lib", "exporters/render", "exporters/advice",
                              "exporters/http/message", "exporters/http/toolkit"],
    "exporters/http/page": ["lib", "exporters/render", "exporters/advice",
                            "exporters/http/message", "exporters/http/routes"],
    "exporters/http": ["lib", "exporters/render", "exporters/http"],
    "exporters/cli": ["lib", "exporters/render", "exporters/advice", "exporters/cli/top"],
    "exporters/cli/top": ["lib", "exporters/render", "exporters/advice"],
    "exporters/replay": ["lib"],
    "exporters/library": ["lib"],
}

# The layout is for those who read or write the segment; others take a snapshot.
LAYOUT = ["lib/shm", "lib/mirror", "lib/stats", "lib/incident", "agent"]

# Only these tell people: everything below returns -errno.
LOG = ["lib/base/log.c", "agent/agent.c", "agent/demo/main.c", "agent/drain.c", "agent/handover.c",
       "agent/incident/incident_recorder.c", "agent/main.c", "agent/publish.c",
       "agent/publish_settings.c", "agent/quality.c", "agent/requests.c", "agent/setup.c",
       "exporters/http/main.c", "exporters/http/serve.c", "exporters/http/server.c"]

# A library enters through one file; libmnl through one folder.
LIBRARIES = {
    # Its reason phrases are needed below the server, for the title of a problem.
    "microhttpd.h": ["exporters/http/server.c", "exporters/http/message/status.c"],
    "cjson/": ["exporters/render/json.c"],
    "libnetfilter_conntrack/": ["agent/netlink/parser.c"],
    "libmnl/": ["agent/netlink"],
    "xxhash.h": ["lib/event/event.c"],
    "seccomp.h": ["lib/base/sandbox.c"],
    "cap-ng.h": ["lib/base/sandbox.c"],
    "yaml.h": ["exporters/http/toolkit/web_config.c"],
    "gnutls/": ["exporters/http/toolkit/tls.c"],
    "crypt.h": ["exporters/http/toolkit/auth_worker.c"],
    "zlib.h": ["exporters/http/toolkit/gzip.c"],
    "curses": ["exporters/cli/top"],
    "systemd/": [],
}

SOURCES = list(source.files("lib", "agent", "exporters"))


def inside(path, places):
    return any(path == place or path.startswith(place + "/") for place in places)


def wrong_includes(path, includes):
    """Of what `path` includes, what its folder may not; pure, tried below."""
    folder = os.path.dirname(path)
    return [f"{path} includes {own}" for own in includes
            if os.path.dirname(own) != folder and not inside(own, FOLDERS[folder])]


def circles(graph):
    """Every path that comes back to where it began; one of each circle."""
    found, done, path = [], set(), []

    def visit(node):
        if node in path:
            found.append(" -> ".join(path[path.index(node):] + [node]))
            return
        if node in done:
            return
        path.append(node)
        for other in sorted(graph.get(node, ())):
            visit(other)
        done.add(path.pop())
    for node in sorted(graph):
        visit(node)
    return found


PRIVATE = re.compile(r"[Pp]rivate to (\w+)\.c")


def module(path):
    """A .c and its .h are one; so is a header that says "private to NAME.c", and its .c."""
    stem = os.path.splitext(path)[0]
    header = stem + ".h"
    if header in SOURCES:
        owner = PRIVATE.search(source.read(header).split("#ifndef")[0])
        if owner:
            return os.path.join(os.path.dirname(stem), owner[1])
    return stem


def modules():
    """Module -> modules it includes."""
    graph = collections.defaultdict(set)
    for path in SOURCES:
        for own in source.includes(path)[0]:
            if own.endswith(".h") and module(own) != module(path):
                graph[module(path)].add(module(own))
    return graph


def test_every_folder_has_its_place():
    assert {os.path.dirname(path) for path in SOURCES} <= set(FOLDERS)


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_folders(folder):
    wrong = [line for path in SOURCES if os.path.dirname(path) == folder
             for line in wrong_includes(path, source.includes(path)[0])]
    assert not wrong, "\n".join(wrong)


def test_the_table_goes_downwards():
    """What a folder may include may not include it."""
    assert not circles({folder: {other for other in FOLDERS
                                 if other != folder and inside(other, may) and
                                 not inside(other, [folder])}
                        for folder, may in FOLDERS.items()})


def test_an_upward_include_is_found():
    assert wrong_includes("lib/mirror/entry.c", ["lib/stats/observer.h"])
    assert wrong_includes("lib/shm/reader.c", ["agent/agent.h"])
    assert wrong_includes("agent/main.c", ["exporters/render/json.h"])
    assert wrong_includes("exporters/cli/main.c", ["agent/config.h"])
    assert not wrong_includes("lib/stats/observer.c", ["lib/mirror/change.h"])


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circles({"a": {"b", "c"}, "b": {"c"}})


# To be cut.
CIRCLES = set()


def test_no_circles_between_modules():
    assert [circle for circle in circles(modules())
            if os.path.dirname(circle.split(" ")[0]) not in CIRCLES] == []


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_libraries(library):
    users = [path for path in SOURCES
             for system in source.includes(path)[1] if system.startswith(library)]
    assert [path for path in users if not inside(path, LIBRARIES[library])] == []


def test_layout_is_included_by_few():
    assert [path for path in SOURCES for name in source.includes(path)[0]
            if name.startswith("lib/shm/layout") and not inside(path, LAYOUT)] == []


def test_only_the_top_layer_logs():
    assert [path for path in SOURCES if "lib/base/log.h" in source.includes(path)[0] and
            not inside(path, LOG)] == []
