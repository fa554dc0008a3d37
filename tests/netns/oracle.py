# SPDX-License-Identifier: GPL-2.0-or-later
"""The oracle: the kernel's table, read by conntrack(8), as the cells conntide must show.

Nothing here shares a line with the agent: protocols, states and directions are worked
out again from what conntrack prints and from what ip(8) says of addresses.
"""
import collections
import ipaddress
import json
import re
import time

Cell = collections.namedtuple("Cell", "l4proto direction port state")

PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp", 1: "icmp", 58: "icmpv6", 47: "gre"}
WITHOUT_PORTS = {"icmp", "icmpv6", "gre"}
WITH_STATES = {"tcp", "sctp"}


# A line of `conntrack -L -o extended,id`: family, protocol, what is left of its time (not
# for offloaded ones), the state if the protocol has one, both tuples, flags and fields.
LINE = re.compile(r"(?P<family>ipv[46])\s+\d+ +\S+ +(?P<protonum>\d+) (?:\d+ )?"
                  r"(?:(?P<state>[A-Z]\S*) )?src=(?P<src>\S+) dst=(?P<dst>\S+) "
                  r"(?:sport=(?P<sport>\d+) dport=(?P<dport>\d+) )?(?P<middle>.*?)"
                  r"src=(?P<reply_src>\S+) (?P<tail>.*)")


class Entry:
    """One line of `conntrack -L -o extended,id`."""

    __slots__ = ("line", "match", "protonum", "l4proto", "flags")

    def __init__(self, line):
        self.line = line
        self.match = LINE.match(line)
        if not self.match:
            raise ValueError(f"conntrack prints what the oracle cannot read: {line}")
        self.protonum = int(self.match["protonum"])
        self.l4proto = PROTOCOLS.get(self.protonum, "other")
        self.flags = self.match["middle"] + self.match["tail"]

    def ident(self):
        """CTA_ID; the id of an ICMP tuple stands further to the left."""
        return self.line.rsplit(" id=", 1)[1].split()[0]

    def state(self):
        if "OFFLOAD]" in self.flags:
            return "offloaded"
        if self.l4proto in WITH_STATES:
            return self.match["state"] or "unknown"
        if "[ASSURED]" in self.flags:
            return "assured"
        return "unreplied" if "[UNREPLIED]" in self.flags else "replied"

    def port(self):
        """Of protocols without a name of their own here: their number."""
        if self.l4proto == "other":
            return self.protonum
        return 0 if self.l4proto in WITHOUT_PORTS else int(self.match["dport"] or 0)

    def cell(self, local):
        return Cell(self.l4proto, local.direction(self.match["src"], self.match["reply_src"]),
                    self.port(), self.state())


class LocalAddresses:
    """The addresses of a namespace, from ip(8)."""

    def __init__(self, namespace):
        self.sides = {}
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

    def is_local(self, address):
        if address in self.own or address.startswith("127.") or address == "::1":
            return True
        return bool(self.networks) and any(ipaddress.ip_address(address) in network
                                           for network in self.networks)

    def side(self, address):
        """All that matters of an address for directions; remembered."""
        side = self.sides.get(address)
        if side is None:
            side = self.sides[address] = (self.is_local(address), self._is_group(address))
        return side

    def _is_group(self, address):
        if ":" in address:
            return address.startswith("ff")
        return address in self.broadcast or 224 <= int(address.split(".")[0]) <= 239

    def direction(self, source, destination):
        if self.is_local(source):
            return "loopback" if self.is_local(destination) else "outbound"
        if self.is_local(destination) or self._is_group(destination):
            return "inbound"
        return "forwarded"


def listing(namespace):
    """All entries, both families, in one dump. It also collects expired ones."""
    return namespace.run("conntrack", "-L", "-o", "extended,id")


def entries(namespace):
    return [Entry(line) for line in listing(namespace).splitlines()]


def count_cells(text, local):
    """Counter of the cells of a listing. Lines that say the same are judged once."""
    kinds = {}
    counter = collections.Counter()
    for line in text.splitlines():
        match = LINE.match(line)
        if not match:
            raise ValueError(f"conntrack prints what the oracle cannot read: {line}")
        tail = match["tail"]
        kind = (match["protonum"], match["state"], match["dport"], match["middle"],
                tail[tail.find("["):tail.rfind("]")], local.side(match["src"]),
                local.side(match["reply_src"]))
        cell = kinds.get(kind)
        if cell is None:
            cell = kinds[kind] = Entry(line).cell(local)
        counter[cell] += 1
    return counter


def cells(namespace):
    """Counter of cells, as the kernel has them now."""
    return count_cells(listing(namespace), LocalAddresses(namespace))


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
