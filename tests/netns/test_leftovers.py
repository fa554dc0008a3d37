# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries that were open before the agent started and that nobody uses: told from those in use by
the kernel's deadlines, named, and deleted by the command as it is printed."""
import itertools
import threading

import pytest

import agent as agent_module
import traffic
from agent import poll

PORT = 6000
POOL_PORT = 5432
LEFT, BUSY, POOL, SHORT = 600, 20, 200, 150
KIND_BUSY = 30
# conntrack(8) lists the table for each: 15 ms where nobody else wants the CPU.
DELETED_S = LEFT / 8 * agent_module.SLOWNESS
ESTABLISHED_S = 432000
UNUSED_S = 100000
POOL_IDLE_S = 5000


def line(number, port, left_s):
    """As conntrack -R takes it: open, with so much of its timeout left."""
    src, dst, sport = f"10.9.{number // 200}.{number % 200 + 1}", "10.8.0.1", 10000 + number
    return (f"-A -t {left_s} -u SEEN_REPLY,ASSURED -s {src} -d {dst} -r {dst} -q {src} -p tcp "
            f"--sport {sport} --dport {port} --reply-port-src {port} --reply-port-dst {sport} "
            "--state ESTABLISHED\n")


class Busy:
    """Connections through the middle that go on, each with a packet both ways every second."""

    def __init__(self, pair):
        src, dst = pair.addresses(4, 1)
        self.flow = traffic.Flow(pair, src, dst)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._talk, daemon=True)
        self.round()

    def round(self):
        for sport in range(20000, 20000 + BUSY):
            self.forth(sport, traffic.ACK)
            self.back(sport, traffic.ACK)

    def forth(self, sport, flags, seq=1, ack=1):
        flow = self.flow
        flow.forth(6, traffic.tcp(flow.src, flow.dst, sport, PORT, flags, seq, ack))

    def back(self, sport, flags, seq=1, ack=1):
        flow = self.flow
        flow.back(6, traffic.tcp(flow.dst, flow.src, PORT, sport, flags, seq, ack))

    def short(self, sport):
        """One that is opened and reset."""
        self.forth(sport, traffic.SYN, 0, 0)
        self.back(sport, traffic.SYN | traffic.ACK, 0, 1)
        self.forth(sport, traffic.ACK)
        self.forth(sport, traffic.RST)

    def _talk(self):
        while not self.stop.wait(1):
            self.round()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.stop.set()
        self.thread.join()


def left_of(namespace, port):
    """Seconds left of each entry of the port, by the kernel."""
    lines = namespace.conntrack("-L", "-p", "tcp", "--dport", str(port)).splitlines()
    return [int(entry.split()[2]) for entry in lines]


def why(agent):
    return agent_module.ask(agent.runtime, "why")["patterns"]


def kind_line(number, left_s, port=PORT, nat="", zone="", ipv6=False):
    """A line for `conntrack -R`: an entry translated to or from an address, in a zone, or IPv6."""
    high, low, sport = number // 200, number % 200 + 1, 10000 + number
    src, dst = (f"fd00:9::{high:x}:{low:x}", "fd00:8::1") if ipv6 else \
               (f"10.9.{high}.{low}", "10.8.0.1")
    answers, answered, manip = dst, src, ""
    if nat == "snat":
        answered, manip = "192.0.2.1", " -n 192.0.2.1"
    elif nat == "dnat":
        answers, manip = "10.7.0.1", " -g 10.7.0.1"
    return (f"-A -t {left_s} -u SEEN_REPLY,ASSURED {zone} -s {src} -d {dst} -r {answers} "
            f"-q {answered} -p tcp --sport {sport} --dport {port} --reply-port-src {port} "
            f"--reply-port-dst {sport} --state ESTABLISHED{manip}\n")


# What each number is, in turn; and its twin that is in use, for some of them.
KINDS = {
    "snat": ([{"nat": "snat"}], {"nat": "snat"}),
    "dnat": ([{"nat": "dnat"}], {"nat": "dnat"}),
    "families": ([{}, {"ipv6": True}], {"ipv6": True}),
    "ports": ([{}, {"port": POOL_PORT}], {"port": POOL_PORT}),
    # The same tuple in another zone is another connection.
    "default-zone": ([{}], {"zone": "-w 5"}),
    "zone": ([{"zone": "-w 5"}], {}),
    "zones-by-direction": ([{"zone": "--orig-zone 5"}, {"zone": "--reply-zone 6"}],
                           {"zone": "-w 7"}),
}


def entries_left(namespace):
    """Seconds left of each entry, of both families, by the kernel."""
    return [int(entry.split()[2]) for family in ("ipv4", "ipv6")
            for entry in namespace.conntrack("-L", "-f", family).splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_deleted(lab, start_agent, tmp_path, kind):
    """As printed, and nothing beside it: neither what is in use nor the same tuple elsewhere."""
    turns, busy = KINDS[kind]
    ports = {turn.get("port", PORT) for turn in turns}
    idle = LEFT * len(ports)
    # Where only the zone tells them apart they have the same tuple.
    first = 0 if "zone" in kind else idle
    load = tmp_path / "load"
    load.write_text("".join(itertools.chain(
        (kind_line(number, ESTABLISHED_S - UNUSED_S - number, **turns[number % len(turns)])
         for number in range(idle)),
        (kind_line(first + number, ESTABLISHED_S - 1, **busy) for number in range(KIND_BUSY)))),
                    encoding="ascii")
    lab.middle.run("conntrack", "-R", str(load))
    assert lab.middle.count() == idle + KIND_BUSY
    agent = start_agent(lab.middle)
    agent.wait_equal(exact=False)

    def items():
        found = {item["id"]: item for item in agent_module.ask(agent.runtime, "advice")}
        wanted = [f"leftovers-tcp-{port}" for port in ports]
        return [found[name] for name in wanted] if all(map(found.get, wanted)) else None
    for item in poll(items, 30, lambda: why(agent), interval=0.5):
        assert item["saves_entries"] == LEFT
        for command in item["commands"]["shell"]:
            assert lab.middle.popen(["sh", "-ec", command]).wait(DELETED_S) == 0
    left = entries_left(lab.middle)
    assert len(left) == KIND_BUSY
    assert min(left) > ESTABLISHED_S - UNUSED_S
    agent.wait_equal(exact=False, label="deleted")


@pytest.mark.slow
def test_leftovers_are_deleted(lab, start_agent, pair, tmp_path):
    load = tmp_path / "load"
    load.write_text("".join(itertools.chain(
        (line(number, PORT, ESTABLISHED_S - UNUSED_S) for number in range(LEFT)),
        (line(number, POOL_PORT, ESTABLISHED_S - POOL_IDLE_S) for number in range(POOL)))),
                    encoding="ascii")
    lab.middle.run("conntrack", "-R", str(load))
    busy = Busy(pair)
    assert lab.middle.count() == LEFT + BUSY + POOL
    agent = start_agent(lab.middle)
    agent.wait_equal(exact=False)
    with busy:
        def named(sure):
            found = [one for one in why(agent) if one["pattern"] == "leftovers"
                     and one["confidence"] == sure]
            return found[0] if found else None
        found = poll(lambda: named("likely"), 30, lambda: why(agent), interval=0.5)
        assert found["rows"][0]["port"] == PORT and len(found["rows"]) == 1
        assert found["entries"] == found["figures"]["left_entries"] == LEFT
        assert found["figures"]["open_before_entries"] == LEFT + BUSY
        # A port whose connections end is not one where they are kept open on purpose.
        for sport in range(30000, 30000 + SHORT):
            busy.short(sport)
        # Who lists a table collects what has expired; the collector comes once a minute.
        poll(lambda: left_of(lab.middle, PORT) and named("sure"), 60, lambda: why(agent),
             interval=0.5)
        # The pool's keepalives may still come: it is none of them.
        assert [one["rows"][0]["port"] for one in why(agent)
                if one["pattern"] == "leftovers"] == [PORT]
        poll(lambda: left_of(lab.middle, PORT) and lab.middle.count() == LEFT + BUSY + POOL, 60,
             lab.middle.count, interval=0.5)
        items = {item["id"]: item for item in agent_module.ask(agent.runtime, "advice")}
        item = items[f"leftovers-tcp-{PORT}"]
        assert "timeout-tcp_established" in items
        assert item["saves_entries"] == LEFT
        for command in item["commands"]["shell"]:
            # An eighth of a second for each, where the machine is busy.
            assert lab.middle.popen(["sh", "-c", command]).wait(DELETED_S) == 0
        assert lab.middle.count() == BUSY + POOL
        assert len(left_of(lab.middle, PORT)) == BUSY
        assert len(left_of(lab.middle, POOL_PORT)) == POOL
        agent.wait_equal(exact=False, label="deleted")
        poll(lambda: not [one for one in why(agent) if one["pattern"] == "leftovers"], 30,
             lambda: why(agent), interval=0.5)
