# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets made by hand, so that a flow stops exactly where a test wants it.

A real TCP stack passes through most states in microseconds. Here each side is a raw
socket in a namespace at the edge of the lab, and says one thing at a time.
"""
import socket
import struct

IPPROTO_UDPLITE = 136

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


# Checksums

def inet_checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82f63b78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _crc32c_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = (crc >> 8) ^ _CRC32C[(crc ^ byte) & 0xff]
    return crc ^ 0xffffffff


def is6(address):
    return ":" in address


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if is6(address) else socket.AF_INET, address)


def pseudo_header(src, dst, proto, length):
    if is6(src):
        return packed(src) + packed(dst) + struct.pack("!II", length, proto)
    return packed(src) + packed(dst) + struct.pack("!BBH", 0, proto, length)


# Layer 4

def tcp(src, dst, sport, dport, flags, seq, ack, payload=b"", window=65535):
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, 5 << 4,
                       flags, window, 0, 0)
    length = len(head) + len(payload)
    total = inet_checksum(pseudo_header(src, dst, socket.IPPROTO_TCP, length) + head + payload)
    return head[:16] + struct.pack("!H", total) + head[18:] + payload


def udp(src, dst, sport, dport, payload=b"conntide"):
    length = 8 + len(payload)
    head = struct.pack("!HHHH", sport, dport, length, 0)
    total = inet_checksum(pseudo_header(src, dst, socket.IPPROTO_UDP, length) + head + payload)
    return head[:6] + struct.pack("!H", total or 0xffff) + payload


def udplite(src, dst, sport, dport, payload=b"conntide"):
    """Coverage 0: the whole datagram."""
    head = struct.pack("!HHHH", sport, dport, 0, 0)
    total = inet_checksum(pseudo_header(src, dst, IPPROTO_UDPLITE, 8 + len(payload))
                          + head + payload)
    return head[:6] + struct.pack("!H", total or 0xffff) + payload


def echo(src, dst, kind, ident, seq=1, payload=b"conntide"):
    """ICMP or ICMPv6 echo; kind is the type."""
    head = struct.pack("!BBHHH", kind, 0, 0, ident, seq)
    cover = head + payload
    if is6(src):
        cover = pseudo_header(src, dst, socket.IPPROTO_ICMPV6, len(cover)) + cover
    return head[:2] + struct.pack("!H", inet_checksum(cover)) + head[4:] + payload


def gre(protocol=0x0800, payload=b"conntide"):
    return struct.pack("!HH", 0, protocol) + payload


def sctp(sport, dport, vtag, *chunks):
    body = b"".join(chunk + b"\0" * (-len(chunk) % 4) for chunk in chunks)
    head = struct.pack("!HHI", sport, dport, vtag)
    # The checksum is little-endian on the wire, unlike everything else.
    total = struct.pack("<I", crc32c(head + b"\0\0\0\0" + body))
    return head + total + body


def sctp_chunk(kind, flags=0, value=b""):
    return struct.pack("!BBH", kind, flags, 4 + len(value)) + value


def sctp_init(kind, tag):
    """INIT (1) or INIT ACK (2)."""
    return sctp_chunk(kind, 0, struct.pack("!IIHHI", tag, 65536, 1, 1, 1))


# Layer 3

def ip4(src, dst, proto, payload):
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, proto, 0,
                       packed(src), packed(dst)) + payload


def ip6(src, dst, proto, payload):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), proto, 64,
                       packed(src), packed(dst)) + payload


class Wire:
    """Sends whole IP packets from a namespace."""

    def __init__(self, namespace):
        self.raw4 = namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.raw6 = namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.raw4.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

    def send(self, src, dst, proto, payload):
        if is6(dst):
            self.raw6.sendto(ip6(src, dst, proto, payload), (dst, 0))
        else:
            self.raw4.sendto(ip4(src, dst, proto, payload), (dst, 0))

    def close(self):
        self.raw4.close()
        self.raw6.close()


class Pair:
    """Both edges of a lab, and addresses between which crafted packets pass the middle.

    Each pair of (family, host) gives other addresses, so flows do not meet by accident.
    """

    def __init__(self, lab):
        self.client = Wire(lab.client)
        self.server = Wire(lab.server)

    def close(self):
        self.client.close()
        self.server.close()

    @staticmethod
    def addresses(family, host=1):
        if family == 6:
            return f"fd78::{host:x}", f"fd79::{host:x}"
        return f"10.78.{host >> 8}.{host & 255}", f"10.79.{host >> 8}.{host & 255}"

    def flow(self, family=4, host=1):
        return Flow(self, *self.addresses(family, host))


class Flow:
    """Packets of any protocol between two crafted addresses, forth and back."""

    def __init__(self, pair, src, dst, seen_dst=None):
        self.pair = pair
        self.src = src
        self.dst = dst
        # Behind NAT the server sees other addresses than the client wrote.
        self.back_src = seen_dst or dst
        self.back_dst = src

    def forth(self, proto, payload):
        self.pair.client.send(self.src, self.dst, proto, payload)

    def back(self, proto, payload):
        self.pair.server.send(self.back_src, self.back_dst, proto, payload)


class Tcp:
    """A TCP connection of which every packet is sent by hand."""

    def __init__(self, flow, sport, dport, back_sport=None, back_dport=None):
        self.flow = flow
        self.ports = (sport, dport)
        self.back_ports = (back_sport or dport, back_dport or sport)
        self.seq = 1000
        self.back_seq = 5000

    def client(self, flags, payload=b""):
        """Sends from the client, at the present sequence number."""
        flow = self.flow
        flow.forth(6, tcp(flow.src, flow.dst, *self.ports, flags, self.seq,
                          self.back_seq if flags & ACK else 0, payload))
        self.seq += len(payload) + (1 if flags & (SYN | FIN) else 0)

    def server(self, flags, payload=b""):
        flow = self.flow
        flow.back(6, tcp(flow.back_src, flow.back_dst, *self.back_ports, flags, self.back_seq,
                         self.seq if flags & ACK else 0, payload))
        self.back_seq += len(payload) + (1 if flags & (SYN | FIN) else 0)

    # What leads to each state, each step from the one before.
    STEPS = [
        ("SYN_SENT", "client", SYN),
        ("SYN_RECV", "server", SYN | ACK),
        ("ESTABLISHED", "client", ACK),
        ("FIN_WAIT", "client", FIN | ACK),
        ("CLOSE_WAIT", "server", ACK),
        ("LAST_ACK", "server", FIN | ACK),
        ("TIME_WAIT", "client", ACK),
    ]

    def step(self, state):
        for name, side, flags in self.STEPS:
            if name == state:
                getattr(self, side)(flags)
                return
        raise ValueError(state)

    def drive(self, state):
        """From nothing to the given state."""
        if state == "SYN_SENT2":
            self.client(SYN)
            self.server(SYN)
            return
        if state == "CLOSE":
            self.drive("ESTABLISHED")
            self.client(RST | ACK)
            return
        for name, _, _ in self.STEPS:
            self.step(name)
            if name == state:
                return
        raise ValueError(state)


TCP_STATES = ["SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
              "TIME_WAIT", "CLOSE", "SYN_SENT2"]


class Sctp:
    """An SCTP association of which every packet is sent by hand."""

    CLIENT_TAG, SERVER_TAG = 0x11111111, 0x22222222

    STEPS = [
        ("CLOSED", "init"),
        ("COOKIE_WAIT", "init_ack"),
        ("COOKIE_ECHOED", "cookie_echo"),
        ("ESTABLISHED", "cookie_ack"),
        ("SHUTDOWN_SENT", "shutdown"),
        ("SHUTDOWN_ACK_SENT", "shutdown_ack"),
        ("CLOSED", "shutdown_complete"),
    ]

    def __init__(self, flow, sport, dport):
        self.flow = flow
        self.sport = sport
        self.dport = dport

    def _forth(self, tag, *chunks):
        self.flow.forth(132, sctp(self.sport, self.dport, tag, *chunks))

    def _back(self, tag, *chunks):
        self.flow.back(132, sctp(self.dport, self.sport, tag, *chunks))

    def init(self):
        self._forth(0, sctp_init(1, self.CLIENT_TAG))

    def init_ack(self):
        self._back(self.CLIENT_TAG, sctp_init(2, self.SERVER_TAG))

    def cookie_echo(self):
        self._forth(self.SERVER_TAG, sctp_chunk(10, 0, b"cookie!!"))

    def cookie_ack(self):
        self._back(self.CLIENT_TAG, sctp_chunk(11))

    def shutdown(self):
        self._forth(self.SERVER_TAG, sctp_chunk(7, 0, b"\0\0\0\1"))

    def shutdown_by_server(self):
        self._back(self.CLIENT_TAG, sctp_chunk(7, 0, b"\0\0\0\1"))

    def shutdown_ack(self):
        self._back(self.CLIENT_TAG, sctp_chunk(8))

    def shutdown_complete(self):
        self._forth(self.SERVER_TAG, sctp_chunk(14))

    def abort(self):
        self._forth(self.SERVER_TAG, sctp_chunk(6))

    def heartbeat(self):
        self._forth(self.SERVER_TAG, sctp_chunk(4, 0, struct.pack("!HHI", 1, 8, 7)))

    def heartbeat_ack(self):
        self._back(self.CLIENT_TAG, sctp_chunk(5, 0, struct.pack("!HHI", 1, 8, 7)))

    def drive(self, last):
        """From nothing to after the step of that name."""
        for _, step in self.STEPS:
            getattr(self, step)()
            if step == last:
                return
        raise ValueError(last)
