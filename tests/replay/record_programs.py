#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Records real programs under a load that changes, as traces with the kernel's count as truth.

    record_programs.py [NAME...]    as root; twenty minutes, all of SCENES side by side; writes
                                    recordings/NAME.{trace,truth}.csv.xz, .full.csv, .meta.json
    record_programs.py load NAME BEGIN ADDRESS PORT SOURCE...    one load (a process of its own)

nf_conntrack_max is one for all namespaces and others may be at work, so that each recording gets a
limit of its own by name only: STAT lines say it, the kernel did not hold the count below it, and
the truth stops at it. A recording in which the kernel dropped anything is refused.
"""
import asyncio
import contextlib
import json
import lzma
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

import conftest  # noqa: F401  pylint: disable=unused-import

# pylint: disable=wrong-import-position
import agent as agent_module
import recording

sys.path.insert(0, os.path.join(recording.ROOT, "tests", "scenarios"))
import programs
import twin_load
import twin_suite
import twins

SECONDS = 1200
EVERY_S = 10  # a question
P2P_PORT = 6881
PEERS = "10.79.0.0/16"

# What runs; per second at what moments, with lines between them; the limit as a share of the
# peak. Each moment but the first and the last is one that nobody could know of.
SCENES = {
    "nginx": ("tcp", 80, [(0, 3), (330, 3), (520, 9), (560, 9), (561, 1), (760, 1), (761, 4),
                          (1200, 4)], 0.85),
    "dns": ("dns", 53, [(0, 6), (210, 6), (211, 20), (250, 20), (251, 6), (400, 6), (560, 14),
                        (700, 14), (701, 3), (1200, 3)], 1.4),
    "nat": ("p2p", P2P_PORT, [(0, 4), (240, 4), (241, 8), (420, 8), (640, 16), (700, 16), (701, 2),
                              (1200, 2)], 0.85),
    "redis": ("redis", 6379, [(0, 4), (380, 4), (381, 0), (440, 0), (441, 12), (500, 12), (501, 4),
                              (680, 4), (820, 7), (1200, 7)], 1.3),
}


def rate(profile, at_s):
    for (t0, r0), (t1, r1) in zip(profile, profile[1:]):
        if t0 <= at_s < t1:
            return r0 + (r1 - r0) * (at_s - t0) / (t1 - t0)
    return profile[-1][1]


def moments(name):
    """Poisson's, by thinning; the same each time."""
    profile = SCENES[name][2]
    dice, most, at_s = random.Random(name), max(r for _, r in profile), 0.0
    while True:
        at_s += dice.expovariate(most)
        if dice.random() < rate(profile, at_s) / most:
            yield at_s


# --- loads ---------------------------------------------------------------------------------


class Swarm(asyncio.DatagramProtocol):
    """One host that meets peers at ports of their own: most never answer, half of the others talk on."""

    def __init__(self, seed):
        self.dice, self.transport = random.Random(seed), None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if data == b"first" and self.dice.random() < 0.5:
            asyncio.ensure_future(self.talk(addr))

    async def talk(self, peer):
        until = time.monotonic() + self.dice.expovariate(1 / 90)
        while time.monotonic() < until:
            await asyncio.sleep(self.dice.uniform(4, 10))
            self.transport.sendto(b"piece", peer)

    def meet(self):
        peer = f"10.79.{self.dice.randrange(1, 200)}.{self.dice.randrange(1, 250)}"
        answers = self.dice.random() < 0.4
        self.transport.sendto(b"first" if answers else b"nobody",
                              (peer, self.dice.randrange(1024, 65535)))


async def swarm(begin, name, port, sources):
    loop, hosts = asyncio.get_running_loop(), []
    for number, source in enumerate(sources):
        hosts.append((await loop.create_datagram_endpoint(
            lambda seed=number: Swarm(seed), local_addr=(source, port)))[1])
    for number, at_s in enumerate(moments(name)):
        await asyncio.sleep(max(0, begin + at_s - time.monotonic()))
        hosts[number % len(hosts)].meet()


class Peers(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport  # pylint: disable=attribute-defined-outside-init

    def datagram_received(self, data, addr):
        if data != b"nobody":
            self.transport.sendto(data, addr)


async def peers():
    await asyncio.get_running_loop().create_datagram_endpoint(
        Peers, local_addr=("0.0.0.0", P2P_PORT))
    await asyncio.Event().wait()


async def load(name, begin, address, port, *sources):
    if name == "peers":
        task = asyncio.ensure_future(peers())
    elif SCENES[name][0] == "p2p":
        task = asyncio.ensure_future(swarm(float(begin), name, int(port), sources))
    else:
        task = asyncio.ensure_future(twin_load.Load(SCENES[name][0], address, int(port), sources)
                                     .run(float(begin), moments(name)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


# --- the hosts -----------------------------------------------------------------------------


def generate(twin, namespace, *argv):
    process = namespace.popen([sys.executable, os.path.abspath(__file__), "load", *map(str, argv)],
                              stdin=subprocess.DEVNULL)
    twin.stack.callback(process.wait)
    twin.stack.callback(process.kill)


def nginx(twin):
    lab = twin.lab
    twin.keep(programs.Nginx(lab.server, programs.BACKEND, lab.SERVER4, 8080))
    twin.keep(programs.Nginx(twin.middle, programs.PROXY.format(backend=lab.SERVER4),
                             lab.MIDDLE4C, 80))


def dns(twin):
    twin_suite.dnsmasq(twin, None, None, None)


def nat(twin):
    """A router that hides its hosts; behind it everybody is a peer, at each port."""
    twin.middle.nft("table ip nat { chain post { type nat hook postrouting priority 100; "
                    "oifname \"server\" masquerade; }; }")
    twin.lab.server.nft(f"table ip nat {{ chain pre {{ type nat hook prerouting priority -100; "
                        f"ip daddr {PEERS} udp dport 1024-65535 redirect to :{P2P_PORT}; }}; }}")
    generate(twin, twin.lab.server, "peers", 0, "-", 0)


def redis(twin):
    twin_suite.redis(twin, None, None, None)


def play(name, twin, begin):
    globals()[name](twin)
    sources = twins.CLIENTS[:5] if SCENES[name][0] == "p2p" else twins.CLIENTS
    generate(twin, twin.lab.client, name, begin, twin.lab.MIDDLE4C, SCENES[name][1], *sources)


def record(twin, path):
    return twin.middle.popen([agent_module.CLI, "record", "--seconds", str(SECONDS), "--eval",
                              str(EVERY_S), "--out", path])


# --- what is kept --------------------------------------------------------------------------


def smaller(lines, limit):
    """Ids counted from 1, times in ms, the limit of the recording; (lines, counts)."""
    ids, out, counts = {}, [], []
    for line in lines:
        part = line.rstrip("\n").split(",")
        if part[0] == "#meta":
            part = [f"max={limit}" if word.startswith("max=") else word for word in part]
        else:
            part[0] = str(int(part[0]) // 1000000 * 1000000)
        if part[1] in ("DUMP", "NEW", "UPDATE", "DESTROY"):
            part[2] = str(ids.setdefault(part[2], len(ids) + 1))
        elif part[1] == "STAT":
            if int(part[4]) or int(part[5]):
                raise RuntimeError(f"the kernel dropped or evicted: {line}")
            counts.append(int(part[2]))
            part[3] = str(limit)
        elif part[1] == "LOST":
            raise RuntimeError(f"events were lost: {line}")
        out.append(",".join(part) + "\n")
    return out, counts


def spells(counts, limit):
    """(first second at the limit, last)."""
    full = [i for i, n in enumerate(counts) if n >= limit]
    begins = [i for i in full if i - 1 not in set(full)]
    ends = [i for i in full if i + 1 not in set(full)]
    return list(zip(begins, ends))


def keep(name, path):
    with open(path, encoding="ascii") as file:
        lines = file.readlines()
    peak = max(int(line.split(",")[2]) for line in lines if ",STAT," in line)
    limit = int(peak * SCENES[name][3])
    small, counts = smaller(lines, limit)
    prefix = os.path.join(recording.GOLDEN, name)
    with lzma.open(prefix + ".trace.csv.xz", "wt", preset=9 | lzma.PRESET_EXTREME) as file:
        file.writelines(small)
    with lzma.open(prefix + ".truth.csv.xz", "wt", preset=9) as file:
        file.write("t_s,count,drop,early_drop\n")
        file.writelines(f"{t},{min(n, limit)},0,0\n" for t, n in enumerate(counts))
    with open(prefix + ".full.csv", "w", encoding="ascii") as file:
        file.write("start_s,end_s\n")
        file.writelines(f"{begin},{end}\n" for begin, end in spells(counts, limit))
    with open(prefix + ".meta.json", "w", encoding="ascii") as file:
        json.dump({"shocks": [t for t, _ in SCENES[name][2][1:-1]], "max": limit}, file)
        file.write("\n")
    print(f"{name}: peak {peak}, limit {limit}, {os.path.getsize(prefix + '.trace.csv.xz')} bytes")


def main():
    names = sys.argv[1:] or list(SCENES)
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        hosts = {name: stack.enter_context(contextlib.closing(twins.Twin({}))) for name in names}
        begin = time.monotonic() + 15
        for name in names:
            play(name, hosts[name], begin)
        assert time.monotonic() < begin, "a busy machine: the programs took too long"
        time.sleep(max(0, begin - time.monotonic()))
        recorders = [record(hosts[name], os.path.join(scratch, name)) for name in names]
        assert all(recorder.wait() == 0 for recorder in recorders)
        for name in names:
            keep(name, os.path.join(scratch, name))


if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        asyncio.run(load(*sys.argv[2:]))
    else:
        main()
