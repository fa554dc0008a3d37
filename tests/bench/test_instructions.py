# SPDX-License-Identifier: GPL-2.0-or-later
"""Instructions an event takes, counted by callgrind: they repeat, whatever the machine does.

mirror_replay drives the agent's own code from a recording; counted are only the parts named
in WHAT, whole with all they call, not the reading of the file. Events are counted without and
with the statistics that are kept of them. instructions.json keeps what
they were, by compiler. More or less by over TOLERANCE fails: who makes it slower is to know,
and who makes it faster is to keep it. `make instructions-update` writes the file.
"""
import json
import lzma
import os
import re
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("CONNTIDE_BUILD", os.path.join(ROOT, "build"))
PROGRAM = os.path.join(BUILD, "tests", "replay", "mirror_replay")
FEED = os.path.join(HERE, "lives.feed.xz")
KEPT = os.path.join(HERE, "instructions.json")
# Versions of one compiler, and of the C library's memcpy, differ by 1 or 2 %.
TOLERANCE = 0.03
# What NAT pools may add to an event.
POOLS_MOST = 0.05

EVENT = ("on_event", "apply_batch*", "mirror_purge_tombstones")
# What is counted: functions, the kind of frame it is divided by (agent/record/feed.h), options.
WHAT = {
    "event": (EVENT, 1, ()),
    "event, all statistics": (EVENT, 1, ("--statistics",)),
    # Behind a router that masquerades all of them: what NAT pools cost, the most they can.
    "event, translated": (EVENT, 1, ("--statistics", "--translated")),
    "event, translated, no pools": (EVENT, 1, ("--statistics", "--translated", "--no-pools")),
    "record of a dump": (("on_record",), 4, ()),
}


def compiler():
    """gcc or clang: what the program itself says it was built by."""
    done = subprocess.run(["readelf", "-p", ".comment", PROGRAM], text=True, check=True,
                          stdout=subprocess.PIPE)
    return "clang" if "clang" in done.stdout else "gcc"


def frames(feed, kind):
    """How many frames of a kind: 16 bytes of magic, then time, kind and length of each."""
    at, count = 16, 0
    while at < len(feed):
        count += int.from_bytes(feed[at + 8:at + 12], sys.byteorder) == kind
        at += 16 + (int.from_bytes(feed[at + 12:at + 16], sys.byteorder) + 7) // 8 * 8
    return count


def instructions(name, directory):
    """Of one event, or record."""
    functions, kind, options = WHAT[name]
    path = os.path.join(directory, "feed")
    with lzma.open(FEED) as file:
        feed = file.read()
    with open(path, "wb") as file:
        file.write(feed)
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={path}.out",
         *(f"--toggle-collect={function}" for function in functions), PROGRAM, *options, path],
        text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300, check=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    assert collected and int(collected.group(1)), f"nothing counted: {done.stderr[-500:]}"
    return int(collected.group(1)) / frames(feed, kind)


@pytest.mark.parametrize("name", list(WHAT))
def test_instructions(name, tmp_path):
    with open(KEPT, encoding="ascii") as file:
        kept = json.load(file)[compiler()][name]
    counted = instructions(name, str(tmp_path))
    change = counted / kept - 1
    assert abs(change) <= TOLERANCE, (
        f"{counted:.1f} instructions an {name}, {kept:.1f} before: {100 * change:+.1f} %. If "
        "that is meant, say so in the commit and run: make instructions-update")


def test_pools_cost_little(tmp_path):
    """Where every connection is translated: of all that an event takes, NAT pools add this much."""
    without, with_pools = (instructions(name, str(tmp_path)) for name in
                           ("event, translated, no pools", "event, translated"))
    more = with_pools / without - 1
    assert 0 < more <= POOLS_MOST, f"{100 * more:.2f} % more instructions an event"


def test_they_repeat(tmp_path):
    """Otherwise there is nothing to hold them against."""
    one, two = (instructions("record of a dump", str(tmp_path)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("part, least", [("lib/stats/batch", 3), ("lib/mirror/flow_table", 2),
                                         ("lib/stats/talkers", 2), ("lib/stats/nat_pools", 2)])
def test_prefetches_are_there(part, least):
    """gcc has left out all of one file, then all of another: see lib/base/prefetch.h."""
    done = subprocess.run(["objdump", "-d", os.path.join(BUILD, part + ".o")], text=True,
                          check=True, stdout=subprocess.PIPE)
    assert len(re.findall(r"\tpref(?:etch|m)|\tprfm", done.stdout)) >= least


def update(directory):
    try:
        with open(KEPT, encoding="ascii") as file:
            kept = json.load(file)
    except FileNotFoundError:
        kept = {}
    kept[compiler()] = {name: round(instructions(name, directory), 1) for name in WHAT}
    with open(KEPT, "w", encoding="ascii") as file:
        json.dump(kept, file, indent=2, sort_keys=True)
        file.write("\n")
    print(compiler(), kept[compiler()])


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        raise SystemExit("usage: test_instructions.py --update")
    with tempfile.TemporaryDirectory(prefix="conntide-bench-") as scratch:
        update(scratch)
