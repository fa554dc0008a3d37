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


def piece(section, offset, *words):
    data = b"".join(struct.pack("=Q", word & (1 << 64) - 1) for word in words)
    return struct.pack("=IIQ", section, len(data), offset) + data


def incidents():
    """A body behind a good head; fuzz_incident.c makes the checksums."""
    plain = b"\x01" + bytes(10)
    yield b"\x00"
    yield b"\x00" + struct.pack("=Q", 0x4449434e49544e43) + bytes(504)
    yield plain
    row = piece(2, 0, 3) + piece(1, 0, 7, 8, 9) + piece(3, 0, 1, 2, 3, 4) + piece(4, 0, 5, 6)
    yield plain + piece(0, 0, *range(0, 160, 2)[:60]) + row
    yield plain + piece(7, 0, 3, 10 ** 9) + piece(7, 16, *range(1, 30))
    yield plain + piece(8, 0, -1, -1) + piece(7, 0, -1, 0)
    yield plain + piece(2, 0, *[-1] * 31) + piece(12, 0, 1, -1) + piece(5, 8, -1)
    yield plain + piece(15, 8, 1) + piece(16, 0, 1) + piece(9, 0, 1)
    for offset in range(16, 504, 8):
        yield b"\x01" + struct.pack("<H", offset - 16) + b"\xff" * 8 + row


def main():
    for target, inputs in (("fuzz_parser", events()), ("fuzz_shm_reader", segments()),
                           ("fuzz_incident", incidents())):
        directory = os.path.join(sys.argv[1], target)
        os.makedirs(directory, exist_ok=True)
        for data in inputs:
            with open(os.path.join(directory, hashlib.sha1(data).hexdigest()), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()
