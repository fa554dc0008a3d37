# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the segment's details, talkers and frames from the file, without a line of ours:
offsets come from the header and from lib/shm/layout.h."""
import collections
import ipaddress
import os
import re
import socket
import struct

from layout import LAYOUT, SECTION_NAMES

METRICS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lib/shm/metrics.def")
DETAILS, TALKERS, TABLE_LOG_SHORT, FRAME_HOSTS_SHORT = (SECTION_NAMES.index(name) for name in (
    "details", "talkers", "frames_short", "frame_hosts_short"))
SECTIONS, HOSTS = (int(LAYOUT[f"shm_header {name}"]) for name in ("sections", "hosts_offset_bytes"))
SECTION_BYTES = int(LAYOUT["shm_section size"])
DETAIL_BYTES, OWN_DETAILS, STAY_BUCKETS = 3648, 256, 24
ENDS = ("expired", "closed", "evicted", "deleted", "unseen")
KINDS = ("source", "destination", "service", "source64", "destination64")
TALKERS_LISTED = 32
ROW_INVALID = 0xffffffff
L4 = ("tcp", "udp", "sctp", "other", "icmp", "icmpv6", "gre")
DIRECTIONS = ("inbound", "outbound", "forwarded", "loopback")
TCP_STATES = ("NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
              "TIME_WAIT", "CLOSE", "SYN_SENT2")

Talker = collections.namedtuple("Talker", "key entries less more")
Listing = collections.namedtuple("Listing", "talkers tracked missed room")
Detail = collections.namedtuple("Detail", "row ends whole tail states")
Stays = collections.namedtuple("Stays", "count sum_ms")
Frame = collections.namedtuple("Frame", "count rows_active sources new destroyed early_drops rows "
                                        "hosts")


def row_name(row):
    """(protocol, direction, port) of a row; None for none."""
    if row == ROW_INVALID:
        return None
    if row < 4 * 4 * 65536:
        return L4[row // (4 * 65536)], DIRECTIONS[row // 65536 % 4], row % 65536
    row -= 4 * 4 * 65536
    return L4[4 + row // 4], DIRECTIONS[row % 4], 0


class Records:
    def __init__(self, agent):
        self.path = os.path.join(agent.runtime, "host.table")
        self.hosts_path = os.path.join(agent.runtime, "host.hosts")

    def _section(self, number):
        with open(self.path, "rb") as file:
            file.seek(SECTIONS + SECTION_BYTES * number)
            offset, size = struct.unpack("=QQ", file.read(16))
            file.seek(HOSTS)
            hosts_at = struct.unpack("=Q", file.read(8))[0]
            if offset < hosts_at:
                file.seek(offset)
                return file.read(size)
        with open(self.hosts_path, "rb") as file:
            file.seek(offset - hosts_at)
            return file.read(size)

    def live(self, name):
        """A scalar of metrics.def; section 0 holds them in its order, after a counter."""
        with open(METRICS, encoding="utf-8") as file:
            names = re.findall(r"^(?:FIELD|VALUE)\((\w+),", file.read(), re.M)
        return struct.unpack_from("=q", self._section(0), 8 + 8 * names.index(name))[0]

    # Talkers

    def talkers(self):
        """By kind, a list of who holds most, from one moment."""
        while True:
            data = self._section(TALKERS)
            again = self._section(TALKERS)
            if data == again and not struct.unpack_from("=Q", data)[0] & 1:
                break
        return {kind: self._list(data, 16 + 1040 * index, kind)
                for index, kind in enumerate(KINDS)}

    @staticmethod
    def _talker(data, at, kind="source"):
        address, key, entries, less, more = struct.unpack_from("=16sIIII", data, at)
        family, port = key & 0xff, key >> 16
        text = socket.inet_ntop(family, address[:4 if family == socket.AF_INET else 16])
        if kind == "service":
            return Talker((text, L4[key >> 8 & 0xff], port), entries, less, more)
        return Talker(text, entries, less, more)

    def _list(self, data, at, kind):
        count, tracked, missed, room = struct.unpack_from("=IIII", data, at)
        return Listing([self._talker(data, at + 16 + 32 * i, kind) for i in range(count)], tracked,
                       missed, room)

    # Stays

    @staticmethod
    def _stays(data, at):
        words = struct.unpack_from(f"={STAY_BUCKETS + 1}Q", data, at)
        return Stays(sum(words[:-1]), words[-1])

    def detail(self, l4proto, direction, port):
        """Of a row that has its own; None."""
        data = self._section(DETAILS)
        for at in range(0, OWN_DETAILS * DETAIL_BYTES, DETAIL_BYTES):
            row, generation = struct.unpack_from("=II", data, at)
            if row_name(row) != (l4proto, direction, port) or generation & 1:
                continue
            ends = dict(zip(ENDS, struct.unpack_from("=5Q", data, at + 8)))
            states = {name: self._stays(data, at + 448 + 200 * i)
                      for i, name in enumerate(TCP_STATES)}
            return Detail((l4proto, direction, port), ends, self._stays(data, at + 48),
                          self._stays(data, at + 248), states)
        return None

    def ends(self, l4proto, direction, port):
        """How entries of a row ended: only what is not 0."""
        detail = self.detail(l4proto, direction, port)
        return {end: n for end, n in detail.ends.items() if n} if detail else {}

    # Frames

    def frame(self):
        """The last one of ten seconds; None."""
        data = self._section(TABLE_LOG_SHORT)
        head = struct.unpack_from("=Q", data)[0]
        if not head:
            return None
        at = 16 + 840 * ((head - 1) % 96)
        word = struct.unpack_from("=Q16I", data, at)
        rows = {}
        for i in range(24):
            row, entries, new, destroyed = struct.unpack_from("=IIII", data, at + 456 + 16 * i)
            if row != ROW_INVALID:
                rows[row_name(row)] = (entries, new, destroyed)
        data, at = self._section(FRAME_HOSTS_SHORT), 16 + 264 * ((head - 1) % 96)
        hosts = [self._talker(data, at + 8 + 32 * i) for i in range(8)
                 if struct.unpack_from("=I", data, at + 8 + 32 * i + 16)[0]]
        return Frame(count=word[1], rows_active=word[5], sources=word[6], new=word[7],
                     destroyed=word[8], early_drops=word[10], rows=rows, hosts=hosts)


def network64(address):
    return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address)


def held(entries):
    """By kind, who holds how many, from entries of the oracle."""
    counters = {kind: collections.Counter() for kind in KINDS}
    for entry in entries:
        src, dst = entry.match["src"], entry.match["dst"]
        counters["source"][src] += 1
        counters["destination"][dst] += 1
        counters["service"][(dst, entry.l4proto, entry.port())] += 1
        if ":" in src:
            counters["source64"][network64(src)] += 1
            counters["destination64"][network64(dst)] += 1
    return counters


def mismatch(kernel, listings, exact=True):
    """What is wrong with what is published: None, or a sentence."""
    for kind, counter in kernel.items():
        listing = listings[kind]
        shown = {talker.key: talker for talker in listing.talkers}
        for key, talker in shown.items():
            truth = counter[key]
            if exact and (talker.less or talker.more):
                return f"{kind} {key}: not exact: {talker}"
            if not talker.entries - talker.less <= truth <= talker.entries + talker.more:
                return f"{kind} {key}: {talker}, the kernel has {truth}"
        if len(listing.talkers) != min(TALKERS_LISTED, len(counter)):
            return f"{kind}: {len(listing.talkers)} shown of {len(counter)}"
        for key, truth in counter.items():
            if key not in shown and truth > listing.missed:
                return f"{kind} {key}: {truth}, more than the stated {listing.missed}"
        if exact and listing.tracked != len(counter):
            return f"{kind}: {listing.tracked} tracked, the kernel has {len(counter)}"
    return None
