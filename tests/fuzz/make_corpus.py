#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Seeds for the fuzz targets: messages of the golden recording, changes to a segment.

    tests/fuzz/make_corpus.py DIRECTORY
"""
import hashlib
import os
import struct
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "replay"))

import recording  # noqa: E402  pylint: disable=wrong-import-position

PER_KIND = 12


def messages():
    """Netlink messages of each kind of frame, with what stands before them cut off."""
    heads = {recording.EVENT: 0, recording.RECORD: 8}
    left = dict.fromkeys(heads, PER_KIND)
    for name in sorted(os.listdir(recording.GOLDEN)):
        if not name.endswith(".feed"):
            continue
        with open(os.path.join(recording.GOLDEN, name), "rb") as file:
            blob = file.read()
        for _, _, kind, data in recording.frames(blob):
            if left.get(kind):
                left[kind] -= 1
                yield data[heads[kind]:]


def attr(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def message(kind, body):
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def events():
    for data in messages():
        yield b"\x00" + data
    stats = struct.pack("=BBH", 0, 0, 256) + b"".join(
        attr(i, struct.pack(">I", i)) for i in range(1, 16))
    yield b"\x01" + message(1 << 8 | 4, stats)
    yield b"\x01" + message(1 << 8 | 5, struct.pack("=BBH", 0, 0, 0)
                            + attr(1, struct.pack(">I", 5)) + attr(2, struct.pack(">I", 9)))
    address = struct.pack("=BBBBI", 2, 24, 0, 0, 2)
    yield b"\x02" + message(20, address + attr(1, b"\x0a\0\0\1") + attr(2, b"\x0a\0\0\1")
                            + attr(4, b"\x0a\0\0\xff"))
    yield b"\x02" + message(20, struct.pack("=BBBBI", 10, 64, 0, 0, 2) + attr(1, bytes(16)))


def change(section, offset, value):
    return struct.pack(">I", section << 24 | offset) + struct.pack("=Q", value & (1 << 64) - 1)


def segments():
    header = 9
    yield b""
    for offset in (0, 8, 16, 24, 92, *range(192, 408, 8)):
        yield change(header, offset, 0)
        yield change(header, offset, -1)
    yield change(0, 0, 1)
    yield change(2, 0, -1) + change(1, 0, -1) + change(3, 0, -1) + change(4, 0, -1)
    yield change(7, 0, -1) + change(8, 0, 5000)
    yield change(5, 8, 1) + change(5, 0, 2) + b"\x01"


def main():
    for target, inputs in (("fuzz_ct_event", events()), ("fuzz_shm_reader", segments())):
        directory = os.path.join(sys.argv[1], target)
        os.makedirs(directory, exist_ok=True)
        for data in inputs:
            with open(os.path.join(directory, hashlib.sha1(data).hexdigest()), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()
