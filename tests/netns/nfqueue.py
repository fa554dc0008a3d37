# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds packets between conntrack and its confirmation, and lets them go one by one."""
import socket
import struct
import time

from netns import SLOWNESS

NETLINK_NETFILTER = 12
NFNL_SUBSYS_QUEUE = 3
MSG_PACKET, MSG_VERDICT, MSG_CONFIG = 0, 1, 2
CFG_CMD, CFG_PARAMS = 1, 2
CFG_CMD_BIND = 1
COPY_META = 1
NF_ACCEPT = 1


class Queue:
    """One NFQUEUE of a namespace."""

    def __init__(self, namespace, number):
        self.number = number
        self.held = []
        self.socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.bind((0, 0))
        self.socket.settimeout(1)
        self._send(MSG_CONFIG, CFG_CMD, struct.pack("!BBH", CFG_CMD_BIND, 0, 0))
        self._send(MSG_CONFIG, CFG_PARAMS, struct.pack("!IB", 0, COPY_META))

    def _send(self, kind, attribute, value):
        body = struct.pack("!BBH", 0, 0, self.number)
        body += struct.pack("=HH", 4 + len(value), attribute) + value + b"\0" * (-len(value) % 4)
        self.socket.send(struct.pack("=IHHII", 16 + len(body), NFNL_SUBSYS_QUEUE << 8 | kind,
                                     1, 0, 0) + body)

    def _read(self):
        data = self.socket.recv(65536)
        while len(data) >= 16:
            length, kind = struct.unpack("=IH", data[:6])
            if kind == (NFNL_SUBSYS_QUEUE << 8 | MSG_PACKET):
                # The packet header with its id is the first attribute.
                self.held.append(struct.unpack("!I", data[24:28])[0])
            data = data[(length + 3) & ~3:]

    def wait_held(self, count, seconds=3):
        """Reads until so many packets are held."""
        deadline = time.monotonic() + seconds * SLOWNESS
        while len(self.held) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(self.held)} packets held instead of {count}")
            try:
                self._read()
            except TimeoutError:
                pass

    def release(self):
        """Lets the oldest held packet go on."""
        self._send(MSG_VERDICT, 2, struct.pack("!II", NF_ACCEPT, self.held.pop(0)))

    def close(self):
        self.socket.close()
