# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads and writes the frames of agent/record/feed.h; runs mirror_replay."""
import json
import os
import struct
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CONNTIDE_BUILD", os.path.join(ROOT, "build"))
PROGRAM = os.path.join(BUILD, "tests", "replay", "mirror_replay")
ASAN_PROGRAM = os.path.join(BUILD, "asan", "tests", "replay", "mirror_replay")
GOLDEN = os.path.join(ROOT, "tests", "replay", "recordings")

MAGIC = b"conntide-feed-1\n"
(EVENT, RESYNC_BEGIN, RESYNC_NEXT, RECORD, DUMP_DONE, ASK, ANSWER, ADDRESSES, SECOND, LIMIT,
 SWEEP) = range(1, 12)
FRAME = struct.Struct("=QII")


def frame(kind, data=b"", boot_ns=0):
    return FRAME.pack(boot_ns, kind, len(data)) + data + bytes(-len(data) % 8)


def frames(blob):
    """(offset, boot_ns, kind, data) of each frame."""
    assert blob.startswith(MAGIC)
    at = len(MAGIC)
    while at < len(blob):
        boot_ns, kind, length = FRAME.unpack_from(blob, at)
        yield at, boot_ns, kind, blob[at + FRAME.size:at + FRAME.size + length]
        at += FRAME.size + (length + 7) // 8 * 8


def replay(path, *options, program=PROGRAM):
    """Exit status, parsed output (None if there is none), standard error."""
    done = subprocess.run([program, *options, path], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def sorted_cells(cells):
    return sorted(cells, key=lambda cell: (cell["l4proto"], cell["direction"], cell["port"],
                                           cell["state"]))
