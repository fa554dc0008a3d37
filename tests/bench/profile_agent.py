#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the agent's time goes, under the loads of bench.py; writes docs/performance.md.

perf samples the agent with its call chains. Time in the kernel is told by the system call
it was spent in, time in the agent by the file of the function; a name that several files
use for functions of theirs is "other". Sampling costs too, and more where the kernel is: proportions are meant.
Needs root and linux-perf.
"""
import os
import re
import subprocess
import tempfile
import time
from collections import Counter

import lab  # first: it makes the modules of tests/netns known
import agent as agent_module
import bench
import events
import figures
import sysctls

BEGIN, END = "<!-- profile_agent.py writes from here -->\n", "<!-- up to here -->\n"

# The first that fits: a part, and what the names of system calls or files begin with.
KERNEL = (("the kernel, receiving: recvmmsg", ("__x64_sys_recvmmsg",)),
          ("the kernel, sleeping and waking: clock_nanosleep, epoll_wait",
           ("__x64_sys_clock_nanosleep", "__x64_sys_epoll_wait")))
FILES = (("parsing and hashing events", ("agent/netlink/parser", "lib/event", "xxhash")),
         ("the forecast's statistics and the forecast itself", ("lib/forecast", "agent/forecast")),
         ("who holds entries", ("lib/stats/topk", "lib/stats/talkers")),
         ("NAT pools", ("lib/stats/nat_",)),
         ("zones, ages, how long they stay", (
             "lib/stats/durations", "lib/stats/ages", "lib/stats/zone", "lib/stats/collector",
             "lib/mirror/age")),
         ("the mirror, its cells and the batch", (
             "lib/mirror", "agent/drain", "lib/stats/observer", "lib/stats/batch", "lib/stats/told",
             "lib/shm")))
OTHER_KERNEL, OTHER = "the kernel, all else: faults, other calls, interrupts", "all else"

TRANSLATED = "new UDP flows, every one masqueraded"
# What is there before, and whether lives are made then.
LOADS = {"TCP lives, 100,000 entries": (0, True), "TCP lives, 4,000,000 entries": (4000000, True),
         "new UDP flows": (0, False), TRANSLATED: (0, False)}
LIVES, FLOWS = 120000, 600000


def files_of_functions():
    """{function: file, or None where several files have one of that name}"""
    text = subprocess.run(["nm", "-l", agent_module.PROGRAM], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    found = {}
    for name, path in re.findall(r"^[0-9a-f]+ [tT] (\S+)\t(\S+?):\d+$", text, re.M):
        name = name.split(".")[0]
        path = path.replace(os.path.join(os.path.realpath(lab.HERE), "../../"), "")
        path = re.sub(r".*/(?=(agent|lib|usr)/)", "", os.path.normpath(path))
        found[name] = path if found.get(name, path) == path else None
    return found


def part_of(frames, files):
    """frames: (function, program or library), innermost first."""
    functions = [name for name, _ in frames]
    if "kernel" in frames[0][1]:
        for part, calls in KERNEL:
            if any(call in functions for call in calls):
                return part
        return OTHER_KERNEL
    if "libm.so" in frames[0][1]:
        return FILES[1][0]  # nobody else computes
    path = files.get(functions[0].split(".")[0]) or ""
    return next((part for part, begins in FILES if any(begin in path for begin in begins)), OTHER)


def samples(path):
    """The frames of each sample."""
    text = subprocess.run(["perf", "script", "-i", path, "-F", "comm,ip,sym,dso"], check=True,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    for block in text.split("\n\n"):
        frames = re.findall(r"^\s+[0-9a-f]+ (\S+).* \((.*)\)$", block, re.M)
        if frames:
            yield frames


def fill(place, plan, entries):
    """So many entries, and a ring of lives among them; see measure_growth() of events.py."""
    if entries:
        place.flood("-L", "-k", 1, "-N", entries, "-D", 1, "-P", 50, "-r", 150000, "-n", entries)
    events.live_traffic(place, plan, plan.ring, 20000, plan.ring, entries)


def profile(plan, entries, lives, translated):
    """{part: us an event}"""
    with lab.road() as place, tempfile.TemporaryDirectory(prefix="conntide-bench-") as scratch:
        path = os.path.join(scratch, "perf.data")
        if translated:
            place.watched.nft(events.MASQUERADE)
        agent = lab.Conntide(place)
        try:
            agent.ready()
            if lives:
                fill(place, plan, entries)
                agent.cpu_end()
            with subprocess.Popen(["perf", "record", "-q", "-F", "4999", "-g", "-o", path, "-p",
                                   str(agent.process.pid)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as perf:
                time.sleep(0.5)
                agent.cpu_begin()
                if lives:
                    events.live_traffic(place, plan, LIVES, plan.lives_per_s, plan.ring, entries)
                else:
                    place.flood("-P", 50, "-r", plan.flows_per_s, "-n", FLOWS)
                seconds = agent.cpu_end()
                perf.send_signal(2)
        finally:
            agent.close()
        files = files_of_functions()
        parts = Counter(part_of(frames, files) for frames in samples(path))
    each = 1e6 * seconds / (LIVES * lab.EVENTS_A_LIFE if lives else FLOWS) / sum(parts.values())
    return {part: number * each for part, number in parts.items()}


def main():
    if os.geteuid() != 0:
        raise SystemExit("profile_agent.py: needs root: network namespaces, perf")
    plan = events.Plan(False)
    shares = {}
    with sysctls.changed(max=8000000, buckets=4000000):
        for name, (entries, lives) in LOADS.items():
            shares[name] = profile(plan, entries, lives, name == TRANSLATED)
    order = [part for part, _ in KERNEL] + [OTHER_KERNEL] + [part for part, _ in FILES] + [OTHER]
    order.append("all, sampling included")
    for share in shares.values():
        share[order[-1]] = sum(share.values())
    text = figures.table(["us an event", *LOADS], [
        [part, *(f"{shares[load].get(part, 0):.2f}" for load in LOADS)] for part in order])
    print(text)
    bench.write(bench.DOCUMENT, text, BEGIN, END)


if __name__ == "__main__":
    main()
