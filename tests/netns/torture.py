# SPDX-License-Identifier: GPL-2.0-or-later
"""Random mischief around an agent, and a judge that compares every cell meanwhile.

The judge knows what *exact* promises: it is never said for longer than LIE_SECONDS while
2 % of the table or more is in a wrong cell, or the sum is not the kernel's count; of less
than that all is found within the time that docs/exactness.md states.
"""
import collections
import contextlib
import random
import signal
import threading
import time

import agent as agent_module
import oracle
import records
import sysctls
import traffic

LIE_SECONDS = 5
LARGE_SHARE = 0.02
# *Verified* promises the sum; silent entries that end are found by the next comparison.
SUM_SECONDS = 15
# All cells are asked for within a minute, where the published share is 1.
MINUTE = 60
PORTS = range(700, 710)
MASKS = ("new", "destroy", "new,destroy", "protoinfo", "new,reply", "assured", "reply")


def outside(mirrors, kernels, cell):
    """How far the mirror's range is from the kernel's; 0 while they overlap."""
    low, high = min(one[cell] for one in mirrors), max(one[cell] for one in mirrors)
    least, most = min(one[cell] for one in kernels), max(one[cell] for one in kernels)
    return low - most if low > most else high - least if high < least else 0


class Judge(threading.Thread):
    """Looks again and again; a lie is what it saw wrong and called exact, all the time."""

    def __init__(self, lab, agent):
        super().__init__(daemon=True)
        self.lab, self.agent = lab, agent
        self.enough = threading.Event()
        self.lies = []
        self.looks = collections.Counter()
        self.since = {"large": None, "any": None, "sum": None}
        self.longest = {"large": 0.0, "any": 0.0, "sum": 0.0}
        self.error = None

    def run(self):
        while not self.enough.wait(0.1):
            try:
                self.look()
            except Exception as error:  # pylint: disable=broad-except
                self.error = error
                return

    def kernel(self):
        text = oracle.listing(self.lab.middle)
        return oracle.count_cells(text, oracle.LocalAddresses(self.lab.middle))

    def look(self):
        before = self.agent.status()
        start = time.monotonic()
        counts, kernels, mirrors = [self.lab.middle.count()], [self.kernel()], []
        for _ in range(2):
            mirrors.append(self.agent.cells())
            kernels.append(self.kernel())
            counts.append(self.lab.middle.count())
        after = self.agent.status()
        if not before or not after:
            return
        words = {before["quality"], after["quality"]}
        self.looks[after["quality"]] += 1
        cells = set().union(*kernels, *mirrors)
        off = [outside(mirrors, kernels, cell) for cell in cells]
        wrong = max(sum(n for n in off if n > 0), -sum(n for n in off if n < 0))
        sums = [sum(one.values()) for one in mirrors]
        miscounted = min(sums) > max(counts) or max(sums) < min(counts)
        total = max(max(sums), max(counts), 1)
        exact = words == {"exact"}
        self.note("large", exact and (wrong >= LARGE_SHARE * total or miscounted), start,
                  LIE_SECONDS, kernels, mirrors, after, counts)
        self.note("sum", "not_exact" not in words and miscounted, start, SUM_SECONDS, kernels,
                  mirrors, after, counts)
        bound = MINUTE if records.Records(self.agent).live("wrong_found_share_ppm") == 1000000 else 3600
        self.note("any", exact and (wrong > 0 or miscounted), start, bound, kernels, mirrors, after,
                  counts)

    def note(self, kind, lying, start, bound, kernels, mirrors, status, counts):
        if not lying:
            self.since[kind] = None
            return
        self.since[kind] = self.since[kind] or start
        lasted = time.monotonic() - self.since[kind]
        self.longest[kind] = max(self.longest[kind], lasted)
        if lasted > bound * agent_module.patience():
            self.lies.append(f"{status['quality']} and wrong ({kind}) for {lasted:.1f} s; count {counts}\n"
                             f"{oracle.difference(kernels[-1], mirrors[-1])}\n{status}")

    def stop(self):
        self.enough.set()
        self.join(30)
        if self.error:
            raise self.error


class Torture:
    """What can happen to a host, by dice."""

    def __init__(self, lab, pair, agent, flood, seed):
        self.lab, self.pair, self.agent, self.flood = lab, pair, agent, flood
        self.dice = random.Random(seed)
        self.middle = lab.middle
        self.flows = []
        self.sport = 20000
        self.done = []
        self.masked = False
        self.buckets = sysctls.read("buckets")
        for state in ("last_ack", "close_wait", "fin_wait", "time_wait"):
            self.middle.conntrack_sysctl(f"tcp_timeout_{state}", self.dice.choice((5, 20, 60)))
        self.middle.conntrack_sysctl("udp_timeout", 10)
        self.middle.add_sink()

    # Traffic

    def connections(self, most=60):
        port = self.dice.choice(PORTS)
        for _ in range(self.dice.randint(1, most)):
            self.sport = 20000 + (self.sport - 19999) % 30000
            flow = traffic.Tcp(self.pair.flow(self.dice.choice((4, 6))), self.sport, port)
            with contextlib.suppress(OSError):
                flow.drive(self.dice.choice(traffic.TCP_STATES))
            self.flows.append(flow)
        del self.flows[:-400]

    def progress(self):
        for flow in self.dice.sample(self.flows, min(len(self.flows), self.dice.randint(1, 80))):
            side = self.dice.choice((flow.client, flow.server))
            flags = self.dice.choice((traffic.ACK, traffic.FIN | traffic.ACK, traffic.RST,
                                      traffic.FIN | traffic.ACK, traffic.RST | traffic.ACK))
            with contextlib.suppress(OSError):
                side(flags)

    def datagrams(self):
        flow = self.pair.flow(self.dice.choice((4, 6)), self.dice.randint(1, 5))
        for sport in range(self.dice.randint(1, 60)):
            with contextlib.suppress(OSError):
                flow.forth(17, traffic.udp(flow.src, flow.dst, 4000 + sport, 600))
                if self.dice.random() < 0.5:
                    flow.back(17, traffic.udp(flow.dst, flow.src, 600, 4000 + sport))

    def short_flood(self):
        self.flood(self.middle, rate=self.dice.choice((200, 2000, 8000)),
                   seconds=self.dice.choice((1, 2))).wait()

    # Entries that cannot speak

    def mask(self):
        self.unmask()
        port = self.dice.choice(PORTS)
        what = self.dice.choice(("", f"tcp dport {port}", f"tcp sport {port}", "meta l4proto udp"))
        self.middle.nft(f"table inet mask {{\n chain pre {{ type filter hook prerouting priority 0;"
                        f" {what} ct event set {self.dice.choice(MASKS)}; }}\n}}\n")
        self.masked = True
        self.some_traffic()

    def unmask(self):
        if self.masked:
            self.middle.nft("delete table inet mask\n")
        self.masked = False

    def events_sysctl(self):
        self.middle.conntrack_sysctl("events", self.dice.choice((0, 0, 1)))
        self.some_traffic()
        time.sleep(self.dice.choice((0, 0.3, 2.5)))
        self.middle.conntrack_sysctl("events", self.dice.choice((1, 2)))

    def notrack(self):
        self.middle.nft(f"table inet skip {{\n chain pre {{ type filter hook prerouting priority"
                        f" -300; tcp dport {self.dice.choice(PORTS)} notrack; }}\n}}\n")
        self.some_traffic()
        self.middle.nft("delete table inet skip\n")

    # Packets that die after conntrack

    def no_route(self):
        self.middle.ip("route del 10.79.0.0/16")
        try:
            self.some_traffic()
        finally:
            self.middle.ip("route add 10.79.0.0/16 via 10.77.2.2")

    def dropped(self):
        what = self.dice.choice(("tcp flags rst drop", "tcp flags fin drop", "ct direction reply drop",
                                 f"tcp dport {self.dice.choice(PORTS)} drop"))
        self.middle.nft(f"table inet drops {{\n chain forward {{ type filter hook forward priority"
                        f" 0; {what}; }}\n}}\n")
        self.some_traffic()
        self.middle.nft("delete table inet drops\n")

    # Other programs

    def flush(self):
        self.middle.conntrack("-F")

    def delete(self):
        self.middle.conntrack("-D", "-p", "tcp", "--dport", str(self.dice.choice(PORTS)),
                              check=False)

    def update(self):
        self.middle.conntrack("-U", "-p", "tcp", "--dport", str(self.dice.choice(PORTS)),
                              *self.dice.choice((("-m", "7"), ("-t", "3"))), check=False)

    def resize(self):
        sysctls.write("buckets", self.dice.choice((self.buckets // 2, self.buckets)))

    # The agent

    def stopped(self):
        self.agent.signal(signal.SIGSTOP)
        try:
            for _ in range(self.dice.randint(1, 3)):
                self.mischief(self.dice.choice((self.connections, self.flush, self.short_flood,
                                                self.progress, self.events_sysctl, self.delete)))
            time.sleep(self.dice.choice((0, 1, 6)))
        finally:
            self.agent.signal(signal.SIGCONT)

    def restart(self):
        if self.dice.random() < 0.5:
            self.agent.kill()
        else:
            self.agent.stop()
        self.some_traffic()
        self.agent.args = self.dice.choice(([], ["--event-buffer", "8192", "--event-buffer-max",
                                                 "8192"], ["--silent-interval", "5"],
                                            ["--event-buffer", "65536"]))
        self.agent.start()

    def fresh(self):
        """A new agent on a table where everything speaks: exact, until the next deed."""
        self.unmask()
        self.middle.conntrack_sysctl("events", 1)
        self.middle.conntrack("-F")
        self.restart()
        self.some_traffic()

    def some_traffic(self):
        for _ in range(self.dice.randint(1, 4)):
            self.mischief(self.dice.choice((self.connections, self.progress, self.datagrams,
                                            self.delete)))

    # The game

    def mischief(self, what):
        self.done.append(f"{time.monotonic():.2f} {what.__name__}")
        what()

    def step(self):
        self.mischief(self.dice.choice(
            3 * [self.connections, self.progress, self.datagrams, self.fresh] +
            2 * [self.mask, self.unmask, self.events_sysctl, self.dropped, self.no_route,
                 self.stopped, self.short_flood] +
            [self.notrack, self.flush, self.delete, self.update, self.resize, self.restart]))
        time.sleep(self.dice.choice((0, 0.1, 0.5, 2, 7)))
