# SPDX-License-Identifier: GPL-2.0-or-later
"""Savings now, beside a twin: the same load in two namespaces, one of them with the change in
force from the beginning. The difference of the kernel's two counts is what it saves."""
import math
import socket
import threading
import time

import pytest

import agent as agent_module
import netns

pytestmark = pytest.mark.slow

RATE = 200
BURST = 3000
CONNECTIONS = 300

NOTRACK = """
table inet conntide_notrack_udp_7000_outbound {
	chain out { type filter hook output priority raw; udp dport 7000 notrack; }
}
"""


def tolerance(true):
    return max(0.1 * abs(true), 3 * math.sqrt(abs(true)), 20)


class Talk:
    """Connections over loopback: half of them say something every second, half nothing."""

    def __init__(self, namespace):
        self.ended = threading.Event()
        self.ends = []
        server = namespace.socket()
        server.bind(("127.0.0.1", 7100))
        server.listen(2 * CONNECTIONS)
        for _ in range(2 * CONNECTIONS):
            client = namespace.socket()
            client.connect(("127.0.0.1", 7100))
            self.ends.append((client, server.accept()[0]))
        server.close()
        self.thread = threading.Thread(target=self.talk)
        self.thread.start()

    def talk(self):
        while not self.ended.wait(1):
            for client, _ in self.ends[:CONNECTIONS]:
                client.send(b"x")

    def close(self):
        self.ended.set()
        self.thread.join()
        for pair in self.ends:
            for end in pair:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                end.close()


class Twins:
    """`with_it` has the change in force, `without` has not, and is asked what it would save."""

    def __init__(self, name, change):
        self.name, self.change = name, change
        self.without, self.with_it = netns.Host("a"), netns.Host("b")
        self.agent = None
        self.said, self.true = [], []

    def ask(self):
        answer = agent_module.ask(self.agent.runtime, "whatif", self.change)
        if not answer or answer["saves_entries"] is None:
            return
        self.true.append(self.without.count() - self.with_it.count())
        self.said.append(answer["saves_entries"])

    def means(self):
        assert len(self.said) >= 5, f"{self.name}: asked {len(self.said)} times with an answer"
        return sum(self.said) / len(self.said), sum(self.true) / len(self.true)

    def close(self):
        self.without.close()
        self.with_it.close()




@pytest.mark.global_sysctl
def test_counted_savings(start_agent, flood, machine_sysctls):
    """Steady and shortened, a burst that has just been, idle beside busy connections that
    are older than the agent: what is counted is what the twin does not have."""
    # One collector serves both: with few buckets packets remove what has expired before it.
    machine_sysctls(buckets=1024)
    steady = Twins("steady", "timeout.udp=6")
    burst = Twins("burst", "notrack=udp/7000")
    idle = Twins("idle", "timeout.tcp_established=15")
    talks = []
    try:
        for host in (steady.without, steady.with_it):
            host.conntrack_sysctl("udp_timeout", 20)
        steady.with_it.conntrack_sysctl("udp_timeout", 6)
        burst.with_it.nft(NOTRACK)
        idle.with_it.conntrack_sysctl("tcp_timeout_established", 15)
        talks = [Talk(host) for host in (idle.without, idle.with_it)]
        for twins in (steady, burst):
            twins.agent = start_agent(twins.without)
            twins.agent.wait_ready()
        for host in (steady.without, steady.with_it):
            flood(host, RATE, seconds=80)
        time.sleep(20)
        # Younger than all connections.
        idle.agent = start_agent(idle.without)
        time.sleep(15)
        for host in (burst.without, burst.with_it):
            flood(host, BURST, flows=BURST).wait()
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            for twins in (steady, idle):
                twins.ask()
            if time.monotonic() < deadline - 20:
                burst.ask()
            time.sleep(0.5)
        # The kernel is asked for the idle time of a few entries at a time.
        idle.said, idle.true = idle.said[-20:], idle.true[-20:]
        for twins in (steady, burst, idle):
            said, true = twins.means()
            print(f"{twins.name}: said {said:.0f}, true {true:.0f}")
            assert abs(said - true) <= tolerance(true), f"{twins.name}: said {said}, true {true}"
    finally:
        for talk in talks:
            talk.close()
        for twins in (steady, burst, idle):
            twins.close()
