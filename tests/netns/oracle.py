# SPDX-License-Identifier: GPL-2.0-or-later
"""The oracle: the kernel's table, read by conntrack(8), as the cells conntide must show.

Nothing here shares a line with the agent: protocols, states and directions are worked
out again from what conntrack prints and from what ip(8) says of addresses.
"""
import collections
import ipaddress
import json
import time

Cell = collections.namedtuple("Cell", "l4proto direction port state")

PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp", 1: "icmp", 58: "icmpv6", 47: "gre"}
WITHOUT_PORTS = {"icmp", "icmpv6", "gre"}
WITH_STATES = {"tcp", "sctp"}


class Entry:
    """One line of `conntrack -L -o extended,id`."""

    def __init__(self, line):
        self.line = line
        words = line.split()
        self.protonum = int(words[3])
        self.l4proto = PROTOCOLS.get(self.protonum, "other")
        self.flags = {word for word in words if word.startswith("[")}
        self.tuples = [{}, {}]
        self.fields = {}
        self.state_word = None
        at = -1
        for word in words[4:]:
            key, equals, value = word.partition("=")
            if not equals:
                if not word.startswith("[") and not word.isdigit():
                    self.state_word = word
                continue
            if key == "src":
                at += 1
            if key in ("src", "dst", "sport", "dport", "type", "code", "id", "srckey", "dstkey"):
                self._put(at, key, value)
            else:
                self.fields[key] = value

    def _put(self, at, key, value):
        # The id of an ICMP tuple comes inside the tuple, the entry's id at the very end.
        if key == "id" and (key in self.tuples[at] or self.protonum not in (1, 58)):
            self.fields["id"] = value
        else:
            self.tuples[at][key] = value

    def state(self):
        if "[OFFLOAD]" in self.flags or "[HW_OFFLOAD]" in self.flags:
            return "offloaded"
        if self.l4proto in WITH_STATES:
            return self.state_word or "unknown"
        if "[ASSURED]" in self.flags:
            return "assured"
        return "unreplied" if "[UNREPLIED]" in self.flags else "replied"

    def port(self):
        if self.l4proto in WITHOUT_PORTS:
            return 0
        return int(self.tuples[0].get("dport", 0))

    def cell(self, local):
        return Cell(self.l4proto, local.direction(self.tuples[0]["src"], self.tuples[1]["src"]),
                    self.port(), self.state())


class LocalAddresses:
    """The addresses of a namespace, from ip(8)."""

    def __init__(self, namespace):
        self.own = set()
        self.networks = []  # the kernel makes the whole prefix of an address on lo local
        self.broadcast = {"255.255.255.255"}
        for link in json.loads(namespace.run("ip", "-j", "addr")):
            for info in link["addr_info"]:
                if not info:
                    continue
                self.own.add(info["local"])
                if "LOOPBACK" in link["flags"] and info["family"] == "inet":
                    self.networks.append(ipaddress.ip_network(
                        f"{info['local']}/{info['prefixlen']}", strict=False))
                if "broadcast" in info:
                    self.broadcast.add(info["broadcast"])
        self._cache = {}

    def is_local(self, address):
        known = self._cache.get(address)
        if known is None:
            parsed = ipaddress.ip_address(address)
            known = (address in self.own or parsed.is_loopback
                     or any(parsed in network for network in self.networks))
            self._cache[address] = known
        return known

    def _is_group(self, address):
        return address in self.broadcast or ipaddress.ip_address(address).is_multicast

    def direction(self, source, destination):
        if self.is_local(source):
            return "loopback" if self.is_local(destination) else "outbound"
        if self.is_local(destination) or self._is_group(destination):
            return "inbound"
        return "forwarded"


def entries(namespace):
    """All entries, both families, one dump. It also collects expired ones."""
    text = namespace.run("conntrack", "-L", "-o", "extended,id")
    return [Entry(line) for line in text.splitlines() if line.strip()]


def cells(namespace):
    """Counter of cells, as the kernel has them now."""
    local = LocalAddresses(namespace)
    return collections.Counter(entry.cell(local) for entry in entries(namespace))


def stable_cells(namespace, seconds=5):
    """The cells once two readings in a row agree: the table is at rest."""
    deadline = time.monotonic() + seconds
    before = cells(namespace)
    while True:
        after = cells(namespace)
        if after == before or time.monotonic() > deadline:
            return after
        before = after


def difference(kernel, mirror, limit=25):
    """Lines a person can read: which cells differ, and how."""
    lines = []
    for cell in sorted(set(kernel) | set(mirror)):
        if kernel[cell] != mirror[cell]:
            lines.append(f"  {cell.l4proto:7}{cell.direction:10}{cell.port:6} {cell.state:18}"
                         f" kernel {kernel[cell]:7} mirror {mirror[cell]:7}")
    more = len(lines) - limit
    if more > 0:
        lines[limit:] = [f"  ... and {more} cells more"]
    lines.append(f"  sum: kernel {sum(kernel.values())} mirror {sum(mirror.values())}")
    return "\n".join(lines)
