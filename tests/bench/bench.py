#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What watching a million entries costs: memory, losses, time to compare.

Makes 200,000 new UDP flows a second for five seconds in a network namespace of its
own, with the agent at its default settings, and prints what the agent publishes of
itself beside what the kernel says. Several rounds, medians with their spread. Needs
root; raises nf_conntrack_max meanwhile and puts it back.

Usage: bench.py [--rounds N] [--entries N] [--rate N]
"""
import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "netns"))

# pylint: disable=wrong-import-position
import agent as agent_module
import netns
import sysctls


def resident_bytes(pid):
    """(all, private): VmRSS, and what of it is not the shared segment."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        text = file.read()
    value = {key: int(re.search(rf"{key}:\s+(\d+) kB", text).group(1)) * 1024
             for key in ("VmRSS", "RssAnon")}
    return value["VmRSS"], value["RssAnon"]


def flood(host, rate, entries):
    done = host.run(agent_module.FLOOD, "-r", str(rate), "-f", "0", "-p", "7000", "-P", "1",
                    "-n", str(entries), netns.Host.SINK)
    sent, refused, seconds = re.search(
        r"sent (\d+) refused (\d+) seconds ([\d.]+)", done).groups()
    return int(sent) - int(refused), float(seconds)


def wait_complete(agent, entries, seconds):
    """Seconds until the mirror holds what the kernel holds."""
    began = time.monotonic()
    while sum(agent.cells().values()) != entries:
        if time.monotonic() - began > seconds:
            raise SystemExit(f"not complete after {seconds} s: {agent.status()}")
        time.sleep(0.05)
    return time.monotonic() - began


def resync_seconds(agent):
    """How long one comparison takes, asked for by SIGHUP at rest."""
    before = agent.status()
    agent.signal(signal.SIGHUP)
    while True:
        after = agent.status()
        if after["resyncs"] > before["resyncs"]:
            return after["resync_seconds"] - before["resync_seconds"]
        time.sleep(0.05)


def listing_seconds(host):
    """conntrack -C over a dump: conntrack -L with its output thrown away."""
    began = time.monotonic()
    subprocess.run(["ip", "netns", "exec", host.name, "conntrack", "-L"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def one_round(rate, entries):
    host = netns.Host("b")
    agent = None
    try:
        host.conntrack_sysctl("udp_timeout", 600)
        agent = agent_module.Agent(host)
        cpu_before = agent.status()["agent_cpu_seconds"]
        made, seconds = flood(host, rate, entries)
        late = wait_complete(agent, made, 60)
        time.sleep(1.2)
        status = agent.status()
        rss, private = resident_bytes(agent.process.pid)
        figures = {
            "entries": made,
            "new entries a second": made / seconds,
            "events lost": status["events_lost"],
            "seconds until complete": late,
            "agent CPU, us an event": 1e6 * (status["agent_cpu_seconds"] - cpu_before) / made,
            "mirror, bytes an entry": status["counters"]["mirror_bytes"] / made,
            "agent resident, MiB": rss / 2 ** 20,
            "agent private, MiB": private / 2 ** 20,
            "comparison with the kernel, s": resync_seconds(agent),
            "conntrack -L > /dev/null, s": listing_seconds(host),
        }
        return figures
    finally:
        if agent:
            agent.close()
        host.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--entries", type=int, default=1000000)
    parser.add_argument("--rate", type=int, default=200000)
    options = parser.parse_args()
    rounds = []
    with sysctls.changed(max=options.entries * 3 // 2):
        for i in range(options.rounds):
            print(f"round {i + 1} of {options.rounds} ...", file=sys.stderr, flush=True)
            rounds.append(one_round(options.rate, options.entries))
    print(f"{'':32} {'median':>12} {'least':>12} {'most':>12}")
    for name in rounds[0]:
        values = [figures[name] for figures in rounds]
        print(f"{name:32} {statistics.median(values):12.2f} {min(values):12.2f} "
              f"{max(values):12.2f}")


if __name__ == "__main__":
    main()
