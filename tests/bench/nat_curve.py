#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What share of new connections finds no port, by how full a pool of 64,512 is: measured, beside
what conntide expects (lib/kernel/nat_ports.c). As root; a minute or two a mix.

    tests/bench/nat_curve.py [--probes N] [MIX...]

Three mixes of clients fill one masqueraded address towards one destination as they would in
life; at each step probes of the same mix are sent, counted by the kernel's insert_failed, and
deleted again, so that the pool stays as full as it is. A port that is free and the client's own
is taken as it is, any other is searched for: where clients draw their ports decides where free
ones are left.
"""
import argparse
import ctypes
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, os.pardir, os.pardir)
sys.path.insert(0, os.path.join(HERE, os.pardir, "netns"))

# pylint: disable=wrong-import-position
import netns

SIZE = 64512
FILLS = (0.90, 0.94, 0.96, 0.976, 0.982, 0.993)
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


def expected():
    """The function of the product."""
    with tempfile.TemporaryDirectory() as directory:
        library = os.path.join(directory, "nat_ports.so")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-std=gnu11", "-I", ROOT, "-o", library,
                        os.path.join(ROOT, "lib", "kernel", "nat_ports.c"), "-lm"], check=True)
        share = ctypes.CDLL(library).nat_failing_share
    share.restype = ctypes.c_double
    share.argtypes = (ctypes.c_uint32, ctypes.c_uint32)
    return share


class Pool:
    def __init__(self, lab, mix, rule, rng):
        self.lab = lab
        lab.middle.conntrack_sysctl("udp_timeout", 86400)
        lab.middle.nft(RULE.format(rule=rule))
        self.raw = lab.client.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.flows = mix(rng)
        self.seen = set()

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
        for _ in range(probes // BATCH):
            for port in {next(self.flows)[1] for _ in range(BATCH)}:
                self.send(PROBE_HOST, port)
            self.lab.middle.run("conntrack", "-D", "-s", "10.78.255.254", check=False)
        return (self.failed() - before) / probes


def measure(name, probes, share):
    mix, rule = MIXES[name]
    lab = netns.Lab(track=False)
    rows = []
    try:
        pool = Pool(lab, mix, rule, random.Random(1))
        for fill in FILLS:
            pool.fill(int(fill * SIZE))
            held = lab.middle.count()
            rows.append((fill, share(held, SIZE), pool.probe(probes)))
    finally:
        lab.close()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--probes", type=int, default=4000)
    parser.add_argument("mix", nargs="*", default=list(MIXES))
    options = parser.parse_args()
    share = expected()
    far = 0
    for name in options.mix:
        print(f"{name} ({MIXES[name][1]})\n  held   expected  measured  factor")
        for fill, wanted, found in measure(name, options.probes, share):
            factor = max(wanted, 1e-9) / max(found, 1 / options.probes)
            far += not 0.5 <= factor <= 2
            print(f"  {100 * fill:5.1f} %  {100 * wanted:6.2f} %  {100 * found:6.2f} %  {factor:5.2f}",
                  flush=True)
    print(f"{far} points are further than a factor of 2 apart")


if __name__ == "__main__":
    main()
