#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Records the feed whose instructions test_instructions.py counts. Needs root.

TCP lives twice round a ring, some of it over each port of fifty, then UDP flows, then a
comparison with the kernel's table: what the agent meets on a router. Only needed again
when the format of recordings changes; the instructions have to be counted anew then.
"""
import lzma
import os
import signal
import sys
import tempfile

import lab
import test_instructions

RING, FLOWS = 1500, 2000


def record(path):
    with lab.road() as place:
        agent = lab.Conntide(place, "--record", path, "--no-sandbox", "--audit-rate", "0")
        try:
            agent.ready()
            place.flood("-L", "-N", RING, "-M", 4 * RING, "-D", RING // 8, "-P", 50, "-r", 3000,
                        "-n", 2 * RING)
            place.flood("-f", 1 << 24, "-P", 50, "-r", 10000, "-n", FLOWS)
            agent.process.send_signal(signal.SIGHUP)
            lab.wait_for(lambda: agent.status()["resyncs"] > 1, 20, "a resync")
        finally:
            agent.close()


def main():
    with tempfile.TemporaryDirectory(prefix="conntide-bench-") as directory:
        path = os.path.join(directory, "feed")
        record(path)
        with open(path, "rb") as file:
            feed = file.read()
    with lzma.open(test_instructions.FEED, "wb", preset=9 | lzma.PRESET_EXTREME) as file:
        file.write(feed)
    print(f"{len(feed)} bytes, {os.path.getsize(test_instructions.FEED)} compressed",
          file=sys.stderr)


if __name__ == "__main__":
    main()
