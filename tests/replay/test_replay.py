# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings run again without a kernel: the same cells; and bad ones: a clear line."""
import json
import os
import random
import shutil
import struct

import pytest

import recording
from recording import (ADDRESSES, ANSWER, ASK, DUMP_DONE, EVENT, LIMIT, RECORD, RESYNC_BEGIN,
                       RESYNC_NEXT, SECOND, SWEEP, frame)

GOLDENS = sorted(name[:-5] for name in os.listdir(recording.GOLDEN) if name.endswith(".feed"))


def golden(name="lab"):
    with open(os.path.join(recording.GOLDEN, name + ".feed"), "rb") as file:
        return file.read()


@pytest.fixture
def written(tmp_path):
    """written(bytes) -> path of a file with them."""
    def write(blob):
        path = tmp_path / "feed"
        path.write_bytes(blob)
        return str(path)
    return write


@pytest.mark.parametrize("program", [recording.PROGRAM, recording.ASAN_PROGRAM],
                         ids=["plain", "asan"])
@pytest.mark.parametrize("name", GOLDENS)
def test_golden_recording(name, program):
    path = os.path.join(recording.GOLDEN, name)
    status, cells, err = recording.replay(path + ".feed", program=program)
    assert (status, err) == (0, "")
    with open(path + ".cells.json", encoding="ascii") as file:
        assert recording.sorted_cells(cells) == json.load(file)


def test_replay_repeats(written):
    path = written(golden())
    assert recording.replay(path) == recording.replay(path)


def test_recorded_now_is_replayed(tmp_path):
    """With the kernel: the cells the live agent ended with."""
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    if not shutil.which("conntrack") or not shutil.which("nft"):
        pytest.skip("missing: conntrack or nft")
    import make_recording  # pylint: disable=import-outside-toplevel
    path = str(tmp_path / "feed")
    live = make_recording.record(path)
    assert sum(cell["entries"] for cell in live) > 30
    for program in (recording.PROGRAM, recording.ASAN_PROGRAM):
        status, cells, err = recording.replay(path, program=program)
        assert (status, err) == (0, "")
        assert recording.sorted_cells(cells) == live
    _, counters, _ = recording.replay(path, "--counters")
    assert counters["refused_decrements"] == 0
    kinds = {kind for _, _, kind, _ in recording.frames(open(path, "rb").read())}
    assert {LIMIT, ADDRESSES, EVENT, RESYNC_BEGIN, RESYNC_NEXT, RECORD, DUMP_DONE, SWEEP,
            SECOND} <= kinds


def message_type(data, offset=0):
    return struct.unpack_from("=H", data, offset + 4)[0] & 0xff


def test_doubled_and_unknown_destroy(written):
    """Every DESTROY twice, and all of them once more at the end: nothing below zero."""
    blob, destroys = recording.MAGIC, b""
    last = 0
    for _, boot_ns, kind, data in recording.frames(golden()):
        last = max(last, boot_ns)
        blob += frame(kind, data, boot_ns)
        if kind == EVENT and message_type(data) == 2:
            blob += frame(kind, data, boot_ns)
            destroys += frame(kind, data, 0)
    assert destroys
    plain = recording.replay(written(golden()))[1]
    status, cells, err = recording.replay(written(blob + destroys))
    assert (status, err) == (0, "")
    assert sum(cell["entries"] for cell in cells) <= sum(cell["entries"] for cell in plain)
    counters = recording.replay(written(blob + destroys), "--counters")[1]
    assert counters["refused_decrements"] == 0


def test_interrupted_dump_removes_nothing(written):
    """All dumps called not valid: what they show is there, nothing is swept."""
    blob = recording.MAGIC
    for _, boot_ns, kind, data in recording.frames(golden()):
        if kind == DUMP_DONE:
            data = struct.pack("=I", 0) + data[4:]
        blob += frame(kind, data, boot_ns)
    counters = recording.replay(written(blob), "--counters")[1]
    assert counters["repairs_ghost"] == 0
    assert counters["refused_decrements"] == 0


def test_lost_events_are_repaired_by_the_next_dump(written):
    """Half of the events before the last dump lost: the dump makes the cells right."""
    all_frames = list(recording.frames(golden()))
    begins = [i for i, entry in enumerate(all_frames) if entry[2] == RESYNC_BEGIN]
    rng = random.Random(1)
    blob = recording.MAGIC
    for i, (_, boot_ns, kind, data) in enumerate(all_frames):
        if kind != EVENT or i > begins[-1] or rng.random() < 0.5:
            blob += frame(kind, data, boot_ns)
    status, cells, err = recording.replay(written(blob))
    assert (status, err) == (0, "")
    expected = recording.replay(written(golden()))[1]
    assert recording.sorted_cells(cells) == recording.sorted_cells(expected)


# Bad files

HEAD = recording.MAGIC + frame(LIMIT, struct.pack("=I", 1000))


@pytest.mark.parametrize("blob, offset, words", [
    (b"", 0, "not a recording"),
    (b"conntide-feed-9\n", 0, "not a recording"),
    (b"\x7fELF" + bytes(100), 0, "not a recording"),
    (recording.MAGIC, 16, "without a mirror"),
    (recording.MAGIC + frame(SECOND), 16, "no limit"),
    (recording.MAGIC + frame(LIMIT, struct.pack("=I", 0)), 16, "limit"),
    (recording.MAGIC + frame(LIMIT, struct.pack("=I", 0xffffffff)), 16, "limit"),
    (recording.MAGIC + frame(LIMIT, b"x"), 16, "too short"),
    (HEAD + frame(LIMIT, struct.pack("=I", 0)), 40, "limit"),
    (HEAD + frame(0), 40, "unknown kind"),
    (HEAD + frame(77), 40, "unknown kind"),
    (HEAD + b"abc", 40, "inside a frame"),
    (HEAD + frame(EVENT, bytes(100))[:60], 40, "inside a frame"),
    (HEAD + recording.FRAME.pack(0, EVENT, 0xffffffff), 40, "impossible length"),
    (HEAD + frame(EVENT, bytes(100)), 40, "not a conntrack entry"),
    (HEAD + frame(EVENT, b""), 40, "too short"),
    (HEAD + frame(RECORD, bytes(8)), 40, "too short"),
    (HEAD + frame(RESYNC_NEXT), 40, "outside a dump"),
    (HEAD + frame(DUMP_DONE, bytes(16)), 40, "did not begin"),
    (HEAD + frame(SWEEP), 40, "without a dump"),
    (HEAD + 2 * frame(RESYNC_BEGIN, bytes(4)), 64, "inside another"),
    (HEAD + frame(ANSWER, bytes(20)), 40, "too short"),
    (HEAD + frame(ADDRESSES, bytes(5)), 40, "odd length"),
    (HEAD + frame(SECOND, boot_ns=50) + frame(ASK, boot_ns=49), 56, "backwards"),
])
@pytest.mark.parametrize("program", [recording.PROGRAM, recording.ASAN_PROGRAM],
                         ids=["plain", "asan"])
def test_bad_file(written, blob, offset, words, program):
    status, output, err = recording.replay(written(blob), program=program)
    assert status == 1 and output is None
    assert f"offset {offset}: " in err and words in err
    assert err.count("\n") == 1


def test_missing_file():
    status, _, err = recording.replay("/nonexistent/feed")
    assert status == 1 and "No such file" in err


def test_damaged_anywhere(written):
    """Bytes of the golden recording changed at random: cells or a line, never a crash."""
    good = golden()
    rng = random.Random(7)
    for _ in range(150):
        blob = bytearray(good)
        for _ in range(rng.randrange(1, 20)):
            blob[rng.randrange(16, len(blob))] = rng.randrange(256)
        if rng.random() < 0.3:
            del blob[rng.randrange(len(blob)):]
        status, _, err = recording.replay(written(bytes(blob)), program=recording.ASAN_PROGRAM)
        assert status in (0, 1), err
        assert status == 0 or ("offset" in err and err.count("\n") == 1), err
