# SPDX-License-Identifier: GPL-2.0-or-later
"""What a table of a given size costs: memory, a scrape, a comparison, a forecast."""
import contextlib
import http.client
import os
import re
import signal
import subprocess
import tempfile
import time

import agent as agent_module
import figures
import lab

FORECAST_GEN = os.path.join(agent_module.BUILD, "forecast", "forecast-gen")
REPLAY = os.path.join(agent_module.BUILD, "conntide-replay")
KINDS = ("steady", "step_fill", "syn_flood", "leak", "flash")
EXPORTER_PORT, NODE_PORT = 10371, 9100
# One takes so long with a large table that nobody would scrape it.
DUMP_PATIENCE_S = 60


class Plan:
    def __init__(self, quick):
        self.rounds = 1 if quick else 3
        self.sizes = [1000, 10000, 100000] if quick else [1000, 10000, 100000, 1000000]
        self.whole = self.sizes[-1]  # where memory and comparison are looked at
        # 4 million: 1.6 GB of the kernel, and as much again for what looks at it.
        if not quick and lab.available_bytes() > 6 << 30:
            self.sizes.append(4000000)
        self.scrapes = 100 if quick else 500
        self.kinds = KINDS[:1] if quick else KINDS
        self.rest_s = 3 if quick else 10


def memory_bytes(pid):
    """Anonymous and shared memory resident: not the program itself."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        text = file.read()
    return sum(int(re.search(rf"{key}:\s+(\d+) kB", text).group(1)) * 1024
               for key in ("RssAnon", "RssShmem"))


def slab_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"^Slab:\s+(\d+)", file.read(), re.M).group(1)) * 1024


def fill(place, have, want):
    place.flood("-f", have, "-P", 50, "-r", 100000, "-n", want - have)


# Scrapes

class Server:
    """An exporter inside the watched namespace, asked over one connection."""

    def __init__(self, place, argv, port):
        self.place, self.port = place, port
        self.process = place.watched.popen(argv, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.connection = None
        lab.wait_for(self.answers, 20, f"{argv[0]} answers")

    def answers(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.sock = self.place.watched.socket()
        try:
            connection.sock.connect(("127.0.0.1", self.port))
        except ConnectionRefusedError:
            return False
        self.connection = connection
        return True

    def scrape(self):
        """(seconds, bytes)"""
        began = time.perf_counter()
        self.connection.request("GET", "/metrics")
        response = self.connection.getresponse()
        body = response.read()
        assert response.status == 200
        return time.perf_counter() - began, len(body)

    def scrapes(self, count):
        """(median ms, p99 ms, bytes)"""
        done = sorted(self.scrape() for _ in range(count))
        return (1e3 * done[count // 2][0], 1e3 * done[min(count - 1, count * 99 // 100)][0],
                done[-1][1])

    def close(self):
        if self.connection:
            self.connection.close()
        self.process.terminate()
        self.process.wait()


def dumping(place, command):
    """The same for what an exporter that dumps has to do each time: nothing but the dump."""
    began = time.perf_counter()
    with place.watched.inside():
        try:
            done = subprocess.run(["sh", "-c", f"{command} 2>/dev/null | wc -c"], text=True,
                                  stdout=subprocess.PIPE, timeout=DUMP_PATIENCE_S, check=True)
        except subprocess.TimeoutExpired:
            return None
    return 1e3 * (time.perf_counter() - began), int(done.stdout)


DUMPS = {"conntrack -L": "conntrack -L", "/proc/net/nf_conntrack": "cat /proc/thread-self/net/nf_conntrack"}


def scrape_row(place, plan, exporter, node, entries):
    ours, theirs = exporter.scrapes(plan.scrapes), node.scrapes(100)
    cells = [f"{entries:,}", figures.number(ours[0]), figures.number(ours[1]), f"{ours[2]:,}",
             figures.number(theirs[0]), figures.number(theirs[1])]
    for command in DUMPS.values():
        done = dumping(place, command)
        cells += [figures.number(done[0]), f"{done[1]:,}"] if done else [
            f"over {DUMP_PATIENCE_S:,} s", ""]
    return ours, cells


# Comparison with the kernel's table

def dump_seconds(place):
    text = place.watched.run("taskset", "-c", str(lab.LISTENER_CPU), lab.READER, "dump")
    return float(re.search(r"seconds ([\d.]+)", text).group(1))


def resync_seconds(agent):
    before = agent.status()
    agent.process.send_signal(signal.SIGHUP)
    after = {}

    def done():
        after.update(agent.status())
        return after["resyncs"] > before["resyncs"]
    lab.wait_for(done, 60, "a resync")
    return after["resync_seconds"] - before["resync_seconds"]


def start_seconds(place):
    """From exec to the first comparison that was valid."""
    began = time.monotonic()
    agent = lab.Conntide(place, "--netns", "second")
    try:
        lab.wait_for(lambda: (agent_module.ask(agent.runtime, "status", "--netns", "second")
                              or {"mode": "starting"})["mode"] != "starting", 60,
                     "the second agent is ready", 0.005)
        return time.monotonic() - began
    finally:
        agent.close()


def comparison(place, agent, rounds, say):
    dumps, resyncs, starts = [], [], []
    for _ in range(rounds):
        dumps.append(dump_seconds(place))
        resyncs.append(resync_seconds(agent))
        starts.append(start_seconds(place))
        say(f"dump {dumps[-1]:.2f} s, resync {resyncs[-1]:.2f} s, start {starts[-1]:.2f} s")
    return dumps, resyncs, starts


# Memory

def ulogd_bytes(entries, say):
    """An entry, after as many NEWs as entries."""
    with lab.road() as place:
        ulogd = lab.Ulogd(place, entries, pinned=False)
        try:
            ulogd.ready()
            before = memory_bytes(ulogd.process.pid)
            fill(place, 0, entries)
            ulogd.cpu_begin()
            ulogd.cpu_end()
            held = entries - place.lost()
            value = (memory_bytes(ulogd.process.pid) - before) / held
            say(f"ulogd2: {value:.0f} bytes an entry, {held} entries")
            return value
        finally:
            ulogd.close()


# Forecast

def forecast_ms(kind):
    """(mean, worst) ms of CPU for one forecast over a made trace."""
    with tempfile.TemporaryDirectory(prefix="conntide-bench-") as directory:
        prefix = os.path.join(directory, kind)
        subprocess.run([FORECAST_GEN, kind, "11", prefix], check=True,
                       stdout=subprocess.DEVNULL)
        done = subprocess.run([REPLAY, "--cost", prefix + ".trace.csv"], check=True, text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    mean, worst = re.search(r"mean ([\d.]+) ms, worst ([\d.]+) ms", done.stderr).groups()
    return float(mean), float(worst)


def rest_ms(agent, seconds):
    """CPU a second when nothing happens."""
    agent.cpu_begin()
    time.sleep(seconds)
    return 1e3 * (lab.cpu_seconds(agent.process.pid) - agent.began) / seconds


# All of it

class Findings:
    def __init__(self):
        self.scrapes, self.rows = {}, []
        self.kernel = self.mirror = self.resident = self.rest = None
        self.comparison = None


def look_at_whole(place, agent, plan, found, empty, say):
    """Where the table has plan.whole entries: memory, comparison, rest."""
    slab, memory = empty
    found.kernel = (slab_bytes() - slab) / plan.whole
    found.mirror = agent.status()["counters"]["mirror_bytes"] / plan.whole
    found.resident = (memory_bytes(agent.process.pid) - memory) / plan.whole
    say(f"bytes an entry: kernel {found.kernel:.0f}, mirror {found.mirror:.1f}")
    found.rest = rest_ms(agent, plan.rest_s)
    found.comparison = comparison(place, agent, plan.rounds + 2, say)


def measure(plan, say):
    found = Findings()
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(lab.road())
        agent = lab.Conntide(place, pinned=False)
        stack.callback(agent.close)
        agent.ready()
        exporter = Server(place, [agent_module.EXPORTER, "--runtime-dir", agent.runtime,
                                  "--web.listen-address", f"127.0.0.1:{EXPORTER_PORT}"],
                          EXPORTER_PORT)
        stack.callback(exporter.close)
        node = Server(place, ["prometheus-node-exporter", "--collector.disable-defaults",
                              "--collector.conntrack",
                              f"--web.listen-address=127.0.0.1:{NODE_PORT}"], NODE_PORT)
        stack.callback(node.close)
        empty = slab_bytes(), memory_bytes(agent.process.pid)
        have = 0
        for entries in plan.sizes:
            fill(place, have, entries)
            have = entries
            lab.wait_for(lambda: agent.status()["mirror_entries"] >= have, 60,  # pylint: disable=cell-var-from-loop
                         "the mirror is complete")
            if entries == plan.whole:
                look_at_whole(place, agent, plan, found, empty, say)
            found.scrapes[entries], cells = scrape_row(place, plan, exporter, node, entries)
            found.rows.append(cells)
            say(f"scrape at {entries}: median {found.scrapes[entries][0]:.2f} ms, "
                f"p99 {found.scrapes[entries][1]:.2f} ms")
    return found


def goals_of(plan, found):
    dumps, resyncs, starts = found.comparison
    flat = found.scrapes[plan.sizes[-1]][0] / found.scrapes[plan.sizes[0]][0]
    return [
        figures.Goal("c. bytes an entry, mirror", [found.mirror], 32),
        figures.Goal(f"d. scrape at {plan.whole:,} entries, p99, ms",
                     [found.scrapes[plan.whole][1]], 5),
        figures.Goal(f"d. scrape, median at {plan.sizes[-1]:,} of that at {plan.sizes[0]:,}",
                     [flat], 1.5, note="\"flat\""),
        figures.Goal(f"e. resync at {plan.whole:,}, of a bare dump",
                     figures.ratios(resyncs, dumps), 1.5),
        figures.Goal(f"e. start at {plan.whole:,}, of a bare dump",
                     figures.ratios(starts, dumps), 1.5),
    ]


def sections(plan, found, ulogd, forecasts):
    dumps, resyncs, starts = found.comparison
    number, median, spread = figures.number, figures.median, figures.spread
    yield (f"### Bytes an entry, {plan.whole:,} entries\n\n" + figures.table(
        ["", "bytes"],
        [["kernel: slab, the 128 bytes for events included, without the hash's buckets",
          number(found.kernel)],
         ["conntide-agent: the mirror", number(found.mirror)],
         ["conntide-agent: all memory that grew, the shared segment included",
          number(found.resident)],
         ["ulogd2, NFCT with its hash", number(ulogd)]]))
    yield ("### A scrape, ms and bytes\n\nconntide-exporter and node_exporter (its conntrack "
           "collector alone) over HTTP on one connection; the other two are what an exporter that "
           "dumps has to do at least.\n\n" + figures.table(
               ["entries", "conntide, median", "p99", "bytes", "node_exporter, median", "p99",
                "conntrack -L", "bytes", "/proc/net/nf_conntrack", "bytes"], found.rows))
    yield (f"### Comparison with the kernel's table, {plan.whole:,} entries, seconds\n\n"
           + figures.table(["", "seconds", "spread"],
                           [[name, number(median(values)), spread(values)] for name, values in
                            (("dump that nobody looks at", dumps), ("resync", resyncs),
                             ("start, from exec to exact", starts))]))
    yield ("### Forecast and rest, CPU\n\n" + figures.table(
        ["", "ms of CPU", "worst"],
        [*([f"one forecast, trace \"{kind}\"", number(mean), number(worst)]
           for kind, (mean, worst) in forecasts.items()),
         [f"conntide-agent at rest with {plan.whole:,} entries, each second",
          number(found.rest), ""]]))


def run(plan, say):
    """(goals, text) of c, d, e and f."""
    say("scrapes, memory, comparison")
    found = measure(plan, say)
    ulogd = ulogd_bytes(plan.whole, say)
    say("forecast")
    forecasts = {kind: forecast_ms(kind) for kind in plan.kinds}
    return goals_of(plan, found), list(sections(plan, found, ulogd, forecasts))
