#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What share of new connections finds no port, by how full a pool of 64,512 is: measured, beside
what an agent expects that watches (`conntide nat`), and what a pool's fill alone would tell
(lib/kernel/nat_ports.c). As root; a minute or two a mix.

    tests/bench/nat_curve.py [--probes N] [MIX...]

The mixes are those of tests/netns/nat_mixes.py.
"""
import argparse
import ctypes
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, os.pardir, os.pardir)
sys.path.insert(0, os.path.join(HERE, os.pardir, "netns"))

# pylint: disable=wrong-import-position
import agent as agent_module
import nat_mixes
import netns

FILLS = (0.90, 0.94, 0.96, 0.976, 0.982, 0.993)


def by_fill():
    """The function of the product."""
    with tempfile.TemporaryDirectory() as directory:
        library = os.path.join(directory, "nat_ports.so")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-std=gnu11", "-I", ROOT, "-o", library,
                        os.path.join(ROOT, "lib", "kernel", "nat_ports.c"), "-lm"], check=True)
        share = ctypes.CDLL(library).nat_failing_share
    share.restype = ctypes.c_double
    share.argtypes = (ctypes.c_uint32, ctypes.c_uint32)
    return share


def measure(name, probes, share):
    lab = netns.Lab(track=False)
    agent = None
    try:
        agent = agent_module.Agent(lab.middle)
        pool = nat_mixes.Pool(lab, name, random.Random(1))
        pool.fill(int(0.6 * nat_mixes.SIZE))
        agent.wait_status(lambda status: status["counters"]["resyncs_valid"] > 1, 15,
                          "a dump for the ports of before the pool was looked at")
        for fill in FILLS:
            held = int(fill * nat_mixes.SIZE)
            pool.fill(held)
            wanted = nat_mixes.expected(agent)
            yield fill, share(held, nat_mixes.SIZE), wanted, pool.probe(probes)
    finally:
        if agent:
            agent.close()
        lab.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--probes", type=int, default=4000)
    parser.add_argument("mix", nargs="*", default=list(nat_mixes.MIXES))
    options = parser.parse_args()
    share = by_fill()
    far = 0
    for name in options.mix:
        print(f"{name} ({nat_mixes.MIXES[name][1]})\n"
              "  held    by fill  expected  measured  factor")
        for fill, alone, wanted, found in measure(name, options.probes, share):
            factor = max(wanted, 1e-9) / max(found, 1 / options.probes)
            # What less than ten probes in all meet is chance.
            far += not 0.5 <= factor <= 2 and max(wanted, found) * options.probes >= 10
            print(f"  {100 * fill:5.1f} %  {100 * alone:6.2f} %  {100 * wanted:6.2f} %  "
                  f"{100 * found:6.2f} %  {factor:5.2f}", flush=True)
    print(f"{far} points are further than a factor of 2 apart")


if __name__ == "__main__":
    main()
