# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules of the house that one line of code can break."""
import re

import pytest

import source

SOURCES = list(source.files("lib", "agent", "exporters"))

# Any memory order; other than relaxed: seqlock.h alone.
ORDERS = {"lib/shm/seqlock.h", "lib/shm/snapshot.c", "lib/base/check.c", "agent/publish.c"}
ORDERING = re.compile(r"memory_order_(?!relaxed)\w+|atomic_(thread|signal)_fence|__sync_|__atomic_")

CLOCK = re.compile(r"\b(clock_gettime|gettimeofday|time|ftime)\s*\(")
CLOCK_FILES = {"lib/base/clock.h", "lib/base/log.c"}


def found(pattern, paths=None):
    return [line for path in (paths or SOURCES) for line in source.lines_with(path, pattern)]


def outside(pattern, allowed):
    return [line for line in found(pattern) if line.split(":")[0] not in allowed]


def test_memory_orders():
    assert not outside(r"memory_order_", ORDERS)
    assert not outside(ORDERING, {"lib/shm/seqlock.h"})


def test_one_writable_mapping():
    """PROT_WRITE on shared memory: the segment's only writer. Calls may span lines."""
    wrong = []
    for path in SOURCES:
        for call in re.findall(r"mmap\s*\([^;]*;", source.code(path)):
            if "PROT_WRITE" in call and "MAP_PRIVATE" not in call:
                wrong.append(path)
    assert wrong in ([], ["lib/shm/writer.c"])
    # Reserved private memory made usable; elsewhere it could make a mapping writable.
    assert all(hit.startswith("lib/mirror/flow_table.c:") for hit in found(r"\bmprotect\s*\("))


def test_no_pointers_in_the_layout():
    for path in source.files("lib/shm", suffixes=(".h",)):
        if path.startswith("lib/shm/layout"):
            text = re.sub(r"^\s*#(?:[^\n]*\\\n)*[^\n]*", "", source.code(path), flags=re.M)
            assert "*" not in text, path


def test_magics_are_unique():
    seen = {}
    for path in SOURCES:
        for name, value in re.findall(r"#define\s+(\w+_MAGIC)\s+(?:UINT64_C\()?(0x[0-9a-f]+)",
                                      source.code(path)):
            assert value not in seen, f"{name} of {path} and {seen[value]}"
            seen[value] = f"{name} of {path}"
    assert seen


@pytest.mark.parametrize("word", ["NETLINK_BROADCAST_ERROR", "NETLINK_BROADCAST_SEND_ERROR",
                                  "NfReliable", "CTRZERO"])
def test_never_named(word):
    """Reliable delivery parks dead entries in the kernel; CTRZERO resets its counters."""
    assert not found(re.escape(word))


def test_kernel_is_only_asked():
    """Nothing is deleted or created there; DELETE is a message we receive."""
    assert not outside(r"IPCTNL_MSG_CT_DELETE|nfct_query|NFCT_Q_", {"agent/netlink/parser.c"})
    assert not outside(r"NLM_F_(CREATE|REPLACE|EXCL)", {"agent/netlink/parser.c"})


def test_no_sysctl_is_written():
    """Whatever of /proc or /sys is opened is opened for reading."""
    assert not found(r"\bsysctl\s*\(")
    wrong = []
    for path in SOURCES:
        for call in re.findall(r"\b(?:f?open|openat|creat|freopen)\s*\([^;]*;", source.code(path)):
            if re.search(r'"/(proc|sys)/', call) and not re.search(r'O_RDONLY|"re?b?"', call):
                wrong.append(f"{path}: {call}")
    assert not wrong, "\n".join(wrong)
    # Paths that travel through a variable: where they are opened, it is for reading.
    opened = re.findall(r"open\(path, ([^;)]*)\)", source.code("agent/netlink/ct_stats.c"))
    assert opened and all("O_RDONLY" in flags for flags in opened)


def test_time_is_read_in_one_place():
    assert not outside(CLOCK, CLOCK_FILES)


def test_rendering_does_no_io():
    paths = list(source.files("exporters/render", "exporters/advice"))
    assert not found(r"\b(open|fopen|read|write|printf|puts|fputs|socket|send|recv)\s*\(", paths)


def test_agent_listens_to_nobody():
    assert not found(r"\b(listen|accept4?)\s*\(|AF_INET6?\s*,\s*SOCK_|AF_UNIX",
                     list(source.files("agent")))
