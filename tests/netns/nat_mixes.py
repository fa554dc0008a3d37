# SPDX-License-Identifier: GPL-2.0-or-later
"""Three mixes of clients that fill one masqueraded address towards one destination as they would
in life, and probes of the same mix: counted by the kernel's insert_failed, and deleted again, so
that the pool stays as full as it is.

A port that is free and the client's own is taken as it is, any other is searched for: where
clients draw their ports decides where free ones are left.
"""
import socket
import struct

import agent as agent_module

SIZE = 64512
BATCH = 100  # probes before they are deleted: a sixth of a per cent of the pool
DESTINATION = "10.79.0.1"
PROBE_HOST = 0xfffe
RULE = """
table ip nat {{
    chain postrouting {{ type nat hook postrouting priority srcnat; oifname "server" {rule}; }}
}}
"""


def linux_clients(rng):
    """A thousand Linux hosts: a port of 32768 to 60999, drawn."""
    while True:
        yield rng.randrange(1000), rng.randrange(32768, 61000)


def any_port(rng):
    """A thousand hosts that draw from all ports: containers with a wide range, resolvers."""
    while True:
        yield rng.randrange(1000), rng.randrange(1024, 65536)


def counters(rng):
    """Sixteen hosts that count their ports up, each from another one on."""
    ports = [rng.randrange(1024, 65536) for _ in range(16)]
    while True:
        host = rng.randrange(len(ports))
        yield host, ports[host]
        ports[host] = ports[host] + 1 if ports[host] < 65535 else 1024


MIXES = {"linux-clients": (linux_clients, "masquerade"),
         "any-port": (any_port, "masquerade"),
         "counters": (counters, "masquerade"),
         "linux-clients, fully-random": (linux_clients, "masquerade fully-random")}


class Pool:
    def __init__(self, lab, name, rng):
        mix, rule = MIXES[name]
        self.lab = lab
        lab.middle.conntrack_sysctl("udp_timeout", 86400)
        lab.middle.nft(RULE.format(rule=rule))
        self.raw = lab.client.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.flows = mix(rng)
        self.seen = set()

    def close(self):
        self.raw.close()

    def send(self, host, port):
        packet = struct.pack(">BBHHHBBH4s4sHHHH", 0x45, 0, 36, 0, 0, 64, 17, 0,
                             struct.pack(">BBH", 10, 78, host), socket.inet_aton(DESTINATION),
                             port, 53, 16, 0) + b"conntide"
        self.raw.sendto(packet, (DESTINATION, 0))

    def failed(self):
        with self.lab.middle.inside(), open("/proc/net/stat/nf_conntrack", encoding="ascii") as file:
            column = file.readline().split().index("insert_failed")
            return sum(int(line.split()[column], 16) for line in file)

    def fill(self, held):
        """As many of the mix as it takes, each flow once."""
        while (missing := held - self.lab.middle.count()) > 0:
            for _ in range(min(missing, 2000)):
                flow = next(self.flows)
                while flow in self.seen:
                    flow = next(self.flows)
                self.seen.add(flow)
                self.send(1 + flow[0], flow[1])

    def probe(self, probes):
        """Share of new flows, by a host of their own, that find no port."""
        before = self.failed()
        sent = 0
        while sent < probes:
            ports = {next(self.flows)[1] for _ in range(BATCH)}
            for port in ports:
                self.send(PROBE_HOST, port)
            sent += len(ports)
            self.lab.middle.run("conntrack", "-D", "-s", "10.78.255.254", check=False)
        return (self.failed() - before) / sent


def expected(agent, within=10):
    """What conntide says of the pool, once it has heard of all of it."""
    last = {}

    def question():
        rows = agent_module.ask(agent.runtime, "nat", "--limit", "1") or [{}]
        last.update(rows[0])
        return last.get("used") == agent.namespace.count() and last
    return agent_module.poll(question, within * agent_module.patience(), lambda: last,
                             interval=0.5)["failing_expected"]
