# SPDX-License-Identifier: GPL-2.0-or-later
"""The question conntide grew from, as an experiment.

Four times client -- proxy -- backend under a steady load, each request on a connection
of its own: three nginx without upstream keepalive and a Squid. conntide is started where
the load is already on, says why, and what each of three changes would save; then each
change is made in one of them and the kernel counts.

tcp_timeout_time_wait is lowered from 20 to 5 s and not from 120 to 30, to be done in
minutes. The collector follows in proportion, but for what its integers lose
(lib/kernel/gc.h), which is more the shorter the timeouts are: a harder case.
SAVINGS_TIME_WAIT="120 30" in the environment takes sixteen minutes.

What is promised is the kernel's count, which has expired entries in it until the collector
comes by; so the count is read from its sysctl, never by a dump (that would collect them),
and its mean is taken from one collection to another. conntide is asked when it has seen
ROUNDS whole ones, for the lag is what it measures itself.

The collector is one for all namespaces: the time left of all entries sets its pace. So it
begins when what earlier tests left is gone, and nobody else may fill a table meanwhile; and
the labs that are done are taken down before the timeout is lowered in the last.
"""
import os
import time

import pytest

import load
import netns
import programs
from agent import Agent, ask, patience, poll

TIME_WAIT_S, LOWERED_S = map(int, os.environ.get("SAVINGS_TIME_WAIT", "20 5").split())
ROUNDS = 3
ROUND_MOST_S = 62
PER_S = 60
PER_S_TIMEOUT = 120  # of the lab whose timeout is lowered: 5 s of it must still be many
CLIENTS = [f"10.77.1.{number}" for number in range(100, 120)]
STRANGERS = 5  # entries of others; one of five days weighs as much as forty of 5 s
LOOKS = 5  # at what is said, before a change

# Predicted and measured, for the summary.
report = []


def alone():
    """Waits until nobody else has entries; says who has, and skips, when they stay."""
    try:
        poll(lambda: sum(netns.tracked().values()) <= STRANGERS, 100, lambda: "", interval=1)
    except AssertionError:
        held = {inode: count for inode, count in netns.tracked().items() if count}
        pytest.skip(f"others track connections, by inode of their namespace: {held}")


class ProxyLab:
    """One of the four."""

    def __init__(self, per_s=PER_S):
        self.per_s = per_s
        self.lab = netns.Lab()
        self.proxy = self.lab.middle
        self.running = []
        self.closed = False
        self.load = self.counts = self.agent = None
        self.lab.client.ip(*(f"addr add {address}/24 dev edge" for address in CLIENTS))
        # The proxy has one address: by default it would be through its ports in half a minute.
        self.proxy.sysctl("net/ipv4/ip_local_port_range", "1024 65535")
        self.proxy.conntrack_sysctl("tcp_timeout_time_wait", TIME_WAIT_S)
        # Entries of before the agent can speak, as its manual advises.
        self.proxy.conntrack_sysctl("events", 1)
        self.start(programs.Nginx, self.lab.server, programs.BACKEND, self.lab.SERVER4, 8080)

    def start(self, program, *args):
        self.running.append(program(*args))
        return self.running[-1]

    def nginx(self):
        return self.start(programs.Nginx, self.proxy, programs.PROXY.format(
            backend=self.lab.SERVER4), self.lab.MIDDLE4C, 80)

    def squid(self):
        return self.start(programs.Squid, self.proxy, self.lab.SERVER4, self.lab.MIDDLE4C)

    def drive(self, port):
        self.counts = load.Counts(self.proxy)
        self.load = load.Load(self.lab.client, self.lab.MIDDLE4C, port, self.per_s, CLIENTS)

    def watch(self):
        self.agent = Agent(self.proxy)

    def ask(self, command, *argv):
        return ask(self.agent.runtime, command, *argv)

    def pattern(self, name):
        """The finding of that name, or None."""
        return next((one for one in self.ask("why")["patterns"] if one["pattern"] == name), None)

    def collections(self, since):
        """Of what: in a second the load leaves at least that many entries."""
        return [when for when in self.counts.collections(self.per_s) if when >= since]

    def collected(self, since, number=1):
        """Waits for the n-th collection after a moment; when that was."""
        poll(lambda: len(self.collections(since)) >= number,
             (TIME_WAIT_S + ROUND_MOST_S * (number + 1)) * patience(),
             lambda: f"{number} collections; there were {self.collections(since)} after {since}")
        return self.collections(since)[number - 1]

    def close(self):
        if self.closed:
            return
        self.closed = True
        if self.load:
            self.load.stop()
        if self.counts:
            self.counts.stop()
        try:
            if self.agent:
                self.agent.close()
        finally:
            for one in self.running:
                one.close()
            self.lab.close()


def mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


class Saving:
    """A change in one lab: what was said of it before, and what came.

    Where it settles follows the load, which rises and falls, and what is measured is the mean
    of some rises: what is said is asked LOOKS times in one (look_at()).
    """

    def __init__(self, lab, name, change):
        self.lab = lab
        self.name = name
        self.change = change
        self.said = self.advice = self.count = None
        self.asked = []
        self.before = self.after = self.every_s = None

    def look(self):
        self.asked.append((self.lab.ask("whatif", self.change), *self._advice()))

    def settle(self):
        """What was said last, of where it settles the mean of all looks."""
        self.said, self.advice, self.count = self.asked[-1]
        for key in ("settles_at_entries", "settles_at_entries_then"):
            self.said[key] = mean([said[key] for said, _, _ in self.asked])
        for item in self.advice:
            item["settles_fewer_entries"] = mean(
                [one["settles_fewer_entries"] for _, advice, _ in self.asked for one in advice
                 if one["id"] == item["id"]])

    def _advice(self):
        """And the kernel's count of that moment: not one in which the collector came by."""
        def asked():
            before = self.lab.proxy.count()
            time.sleep(1)
            advice, after = self.lab.ask("advice"), self.lab.proxy.count()
            return (advice, after) if after >= before else None
        return poll(asked, 20 * patience(), "a second without the collector")

    def measured(self):
        return self.before - self.after

    def predicted(self):
        return self.said["settles_at_entries"] - self.said["settles_at_entries_then"]

    def tell(self):
        report.append(
            f"{self.name:34} before {self.said['settles_at_entries']:6.0f} "
            f"{self.before:6.0f}  after {self.said['settles_at_entries_then']:6.0f} {self.after:6.0f}"
            f"  saving {self.predicted():6.0f} {self.measured():6.0f}"
            f" ({100 * (self.predicted() / self.measured() - 1):+.1f} %)"
            f"  lag {self.said['collector_lag_seconds_now']:.1f}"
            f" {self.said['collector_lag_seconds_then']:.1f} s, then every {self.every_s:.1f} s")


def look_at(*savings):
    """At all of them over one rise of the load, before any is changed."""
    began = time.monotonic()
    for number in range(1, LOOKS + 1):
        time.sleep(max(0, began + number * load.Load.WAVE_S / LOOKS - time.monotonic()))
        for saving in savings:
            saving.look()
    for saving in savings:
        saving.settle()


def commands(item, tool):
    return item["commands"][tool]


def advised(saving, remedy):
    """The item of the advice; what it holds is used as it stands."""
    for item in saving.advice:
        if item["id"] == remedy:
            return item
    raise AssertionError(f"no advice {remedy} among {[item['id'] for item in saving.advice]}")


class Experiment:
    """All of it, once; the tests look at what it found."""

    def __init__(self):
        self.labs = []
        self.why = {}
        self.savings = {}

    def run(self):
        alone()
        keep, notrack, timeout, squid = self.labs = [ProxyLab(), ProxyLab(),
                                                     ProxyLab(PER_S_TIMEOUT), ProxyLab()]
        proxy = keep.nginx()
        notrack.nginx()
        timeout.nginx()
        squid.squid()
        for lab in self.labs:
            lab.drive(81 if lab is squid else 80)
        steady = keep.collected(time.monotonic() + TIME_WAIT_S)
        for lab in self.labs:
            lab.watch()
        watched = time.monotonic()
        self.look(squid)
        # Of the first it sees a part: who was there before it has no age.
        keep.collected(watched + TIME_WAIT_S, ROUNDS + 1)
        self.savings = {
            "keepalive": Saving(keep, "upstream keepalive", "keepalive=tcp/8080"),
            "notrack": Saving(notrack, "notrack of port 80", "notrack=tcp/80/inbound"),
        }
        look_at(*self.savings.values())
        self.keep_alive(proxy)
        self.not_track()
        changed = time.monotonic()
        self.measure("keepalive", steady, changed)
        self.measure("notrack", steady, changed)
        self.lower(timeout)

    def look(self, squid):
        """Until it is sure of the three, and has had as long with the fourth."""
        for lab in self.labs:
            if lab is not squid:
                poll(lambda one=lab: (one.pattern("upstream-without-keepalive") or {}).get(
                    "confidence") == "sure", 100 * patience(),
                     lambda one=lab: f"sure of the pattern; why: {one.ask('why')['patterns']}",
                     interval=1)
            self.why[lab] = lab.ask("why")
        self.why = {"nginx": self.why[self.labs[0]], "squid": self.why[squid]}

    def keep_alive(self, proxy):
        """nginx.conf as advised, with names and addresses filled in."""
        saving = self.savings["keepalive"]
        lines = commands(advised(saving, "keepalive-tcp-8080"), "nginx")
        backend = saving.lab.lab.SERVER4
        text = "\n".join(lines).replace("BACKEND", "backend").replace("ADDRESS", backend)
        upstream, location = text.split("location", 1)
        proxy.reload(f"{upstream}\nserver {{ listen 80; location{location} }}")

    def not_track(self):
        saving = self.savings["notrack"]
        for line in commands(advised(saving, "notrack-tcp-80-inbound"), "nft"):
            saving.lab.proxy.run("sh", "-c", line)

    def lower(self, lab):
        """The others go: what they hold would keep the collector slow."""
        saving = self.savings["timeout"] = Saving(
            lab, f"tcp_timeout_time_wait {TIME_WAIT_S} -> {LOWERED_S}",
            f"timeout.tcp_time_wait={LOWERED_S}")
        look_at(saving)
        changed = time.monotonic()
        saving.before = lab.counts.mean(*ends(lab.collections(changed - 3 * TIME_WAIT_S)))
        lab.proxy.conntrack_sysctl("tcp_timeout_time_wait", LOWERED_S)
        for other in self.labs:
            if other is not lab:
                other.close()
        self.finish(saving, changed, 4)

    def measure(self, name, steady, changed):
        saving = self.savings[name]
        saving.before = saving.lab.counts.mean(
            *ends([when for when in saving.lab.collections(steady) if when < changed]))
        self.finish(saving, changed, 2)

    @staticmethod
    def finish(saving, changed, periods):
        """Once the entries of before have expired and were collected, whole periods."""
        first = saving.lab.collected(changed + TIME_WAIT_S + 1)
        last = saving.lab.collected(first + 1, periods)
        saving.after = saving.lab.counts.mean(first, last)
        saving.every_s = (last - first) / periods
        saving.lab.load.check()
        saving.tell()

    def close(self):
        for lab in self.labs:
            lab.close()


def ends(moments):
    assert len(moments) >= 2, f"collections at {moments}: no whole period"
    return moments[0], moments[-1]
