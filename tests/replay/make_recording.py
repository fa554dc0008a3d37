#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a recording: an agent with --record in a namespace of its own, and traffic.

    tests/replay/make_recording.py NAME     as root; writes recordings/NAME.feed and
                                            recordings/NAME.cells.json

The traffic has every TCP state, UDP, ICMP, both families, entries born before the
agent, deletions, a flush of one protocol, a port used again, and resyncs in between.
"""
import json
import os
import re
import shutil
import signal
import sys
import tempfile

import conftest  # noqa: F401  pylint: disable=unused-import

# pylint: disable=wrong-import-position
import agent as agent_module
import netns
import recording
import traffic


def states(pair, family, sport, first_port):
    for index, state in enumerate(traffic.TCP_STATES):
        traffic.Tcp(pair.flow(family), sport, first_port + index).drive(state)


def udp(pair, family, ports):
    for port in ports:
        flow = pair.flow(family)
        flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, port))
        if port % 2:
            flow.back(17, traffic.udp(flow.dst, flow.src, port, 5000))


def make_traffic(lab, pair, agent):
    states(pair, 4, 40000, 2000)
    states(pair, 6, 40000, 3000)
    udp(pair, 4, range(300, 320))
    udp(pair, 6, range(300, 310))
    agent.wait_equal()
    agent.signal(signal.SIGHUP)
    lab.middle.conntrack("-D", "-p", "tcp", "--dport", "2002", check=False)
    lab.middle.conntrack("-D", "-p", "udp", "--dport", "301", check=False)
    states(pair, 4, 40001, 2000)
    lab.middle.run("ping", "-c", "1", "-W", "1", lab.CLIENT4, check=False)
    agent.wait_equal()
    agent.signal(signal.SIGHUP)
    lab.middle.conntrack("-D", "-p", "udp", check=False)
    udp(pair, 4, range(400, 410))
    resyncs = agent.status()["resyncs"]
    agent.signal(signal.SIGHUP)
    agent.wait_status(lambda status: status["resyncs"] > resyncs, 10, "a resync")
    agent.wait_equal()


def old_cells(runtime):
    """Of an agent that has ended. Programs are not given old numbers, people are."""
    text = agent_module.cli(runtime, "cells", "--limit", "0").stdout
    found = re.findall(r"^(\S+) +(\w+) +(\d+|-) +(\w+) +(\d+)$", text, re.MULTILINE)
    return [{"l4proto": l4proto, "direction": direction, "port": int(port.replace("-", "0")),
             "state": state, "entries": int(entries)}
            for l4proto, direction, port, state, entries in found]


def record(path):
    """Runs the agent; returns the live cells at the end, a list as of the API."""
    lab = netns.Lab()
    agent = pair = None
    try:
        pair = traffic.Pair(lab)
        states(pair, 4, 41000, 2500)
        agent = agent_module.Agent(lab.middle, "--record", path, "--silent-interval", "1")
        make_traffic(lab, pair, agent)
        # What it held when it ended: the segment stays.
        agent.stop()
        return recording.sorted_cells(old_cells(agent.runtime))
    finally:
        if agent:
            agent.close()
        if pair:
            pair.close()
        lab.close()


def main():
    name = sys.argv[1]
    os.makedirs(recording.GOLDEN, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "feed")
        cells = record(path)
        shutil.copy(path, os.path.join(recording.GOLDEN, name + ".feed"))
    with open(os.path.join(recording.GOLDEN, name + ".cells.json"), "w", encoding="ascii") as file:
        json.dump(cells, file, indent=0)
        file.write("\n")


if __name__ == "__main__":
    main()
