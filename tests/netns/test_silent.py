# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel changes without telling, tells wrongly, or counts without listing.

In each case: the number is not called exact while it is wrong (for longer than the audits
take to find out), and it is right again within the stated time.
"""
import socket
import time

import pytest

import agent as agent_module
import nfqueue
import oracle
import traffic
from oracle import Cell

# Audits ask for a sample of entries some seconds after their last event.
AUDIT_SECONDS = 6


def kernel_has(agent, expect, within=3):
    agent_module.poll(lambda: all(oracle.cells(agent.namespace)[cell] == count
                                  for cell, count in expect.items()),
                      within, lambda: f"{expect}; kernel: {oracle.cells(agent.namespace)}")


@pytest.mark.slow
def test_event_mask(lab, pair, start_agent):
    """`ct event set new,destroy` on one port: states of that port come by dumps only."""
    lab.middle.nft("""
table inet mask {
	chain pre {
		type filter hook prerouting priority 0;
		tcp dport 401 ct event set new,destroy
	}
}
""")
    agent = start_agent(lab.middle, "--silent-interval", "3")
    masked = {Cell("tcp", "forwarded", 401, "TIME_WAIT"): 40}
    silent = [traffic.Tcp(pair.flow(), 23000 + sport, 401) for sport in range(40)]
    for sport, connection in enumerate(silent):
        connection.drive("TIME_WAIT")
        traffic.Tcp(pair.flow(), 23000 + sport, 402).drive("ESTABLISHED")
    kernel_has(agent, masked)
    agent.wait_status(lambda status: not status["exact"], AUDIT_SECONDS,
                      "40 wrong states, and still called exact")
    # Audit, then a dump within --silent-interval.
    agent.wait_equal(AUDIT_SECONDS + 2 * 3, label="by a dump", exact=False, expect={
        **masked, Cell("tcp", "forwarded", 402, "ESTABLISHED"): 40})
    # The next silent change of entries known for it: within --silent-interval, never exact.
    for connection in silent:
        connection.client(traffic.RST | traffic.ACK)
    kernel_has(agent, {Cell("tcp", "forwarded", 401, "CLOSE"): 40})
    assert not agent.status()["exact"]
    agent.wait_equal(3 * 3, label="again", exact=False,
                     expect={Cell("tcp", "forwarded", 401, "CLOSE"): 40})
    lab.middle.conntrack("-D", "-p", "tcp", "--dport", "401")
    agent.wait_equal(label="their DESTROY is heard")


def drop_resets(namespace):
    namespace.nft("""
table inet drops {
	chain forward { type filter hook forward priority 0; tcp flags rst drop; }
}
""")


@pytest.mark.slow
def test_reset_dropped_after_conntrack(lab, pair, start_agent):
    """A filter that drops RSTs: the kernel says CLOSE and tells nobody."""
    drop_resets(lab.middle)
    agent = start_agent(lab.middle, "--silent-interval", "3")
    for sport in range(40):
        traffic.Tcp(pair.flow(), 24000 + sport, 403).drive("CLOSE")
    kernel_has(agent, {Cell("tcp", "forwarded", 403, "CLOSE"): 40})
    agent.wait_status(lambda status: not status["exact"], AUDIT_SECONDS,
                      "40 wrong states, and still called exact")
    agent.wait_equal(AUDIT_SECONDS + 2 * 3, label="found by audits", exact=False,
                     expect={Cell("tcp", "forwarded", 403, "CLOSE"): 40})


@pytest.mark.slow
def test_reset_dropped_long_after_the_last_event(lab, pair, start_agent):
    """Without audits: the periodic dump finds it, and then doubts."""
    drop_resets(lab.middle)
    agent = start_agent(lab.middle, "--resync-interval", "4", "--silent-interval", "4",
                        "--audit-rate", "0")
    flows = [traffic.Tcp(pair.flow(), 24000 + sport, 404) for sport in range(40)]
    for flow in flows:
        flow.drive("ESTABLISHED")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 404, "ESTABLISHED"): 40}, exact=True,
                     label="before")
    time.sleep(AUDIT_SECONDS)
    for flow in flows:
        flow.client(traffic.RST | traffic.ACK)
    agent.wait_equal(3 * 4, label="by --resync-interval", exact=False,
                     expect={Cell("tcp", "forwarded", 404, "CLOSE"): 40})
    assert agent.counter("repairs_state") >= 40


@pytest.fixture
def clash_queue(lab):
    """DNS to two backends in turns; packets held before they are confirmed."""
    lab.middle.nft("""
table ip nat {
	chain pre {
		type nat hook prerouting priority dstnat;
		udp dport 405 dnat to numgen inc mod 2 map { 0 : 10.79.0.1, 1 : 10.79.0.2 }
	}
}
""")
    lab.middle.run("iptables", "-t", "mangle", "-A", "POSTROUTING", "-p", "udp", "--dport", "405",
                   "-j", "NFQUEUE", "--queue-num", "5")
    queue = nfqueue.Queue(lab.middle, 5)
    yield queue
    queue.close()


@pytest.mark.brief
def test_clash_entries(lab, agent, pair, clash_queue):
    """Two packets of one flow race through DNAT to different backends.

    The second becomes a clash entry: counted, never listed, no NEW, and its DESTROY bears
    the original tuple of the living one, which must survive it.
    """
    flow = pair.flow()
    flow.dst = lab.MIDDLE4C
    for sport in range(5000, 5020):
        for _ in range(2):
            flow.forth(17, traffic.udp(flow.src, flow.dst, sport, 405))
        clash_queue.wait_held(2)
        clash_queue.release()
        clash_queue.release()
    agent_module.poll(lambda: lab.middle.count() == 40, 3,
                      lambda: f"no clash entries: count {lab.middle.count()}")
    alive = {Cell("udp", "forwarded", 405, "unreplied"): 20}
    agent.wait_status(lambda status: status["residual_entries"] == 20
                      and not status["exact"], 5, "20 hidden entries are not shown as residual")

    def collected():
        oracle.cells(lab.middle)  # a listing collects expired entries it meets
        return lab.middle.count() == 20
    agent_module.poll(collected, 10, lambda: f"count stays {lab.middle.count()}")
    agent.wait_equal(expect=alive, exact=True, label="clash entries gone")
    agent.wait_sums(20)
    assert agent.counter("clash_events") == 20


@pytest.mark.slow
@pytest.mark.alone
def test_expired_entries_not_yet_collected(lab, agent, pair):
    """Expired entries are counted until somebody meets them: mirror == count throughout."""
    lab.middle.conntrack_sysctl("udp_timeout", 1)
    for _ in range(5):
        for sport in range(500):
            flow = pair.flow(4, 1 + sport % 50)
            flow.forth(17, traffic.udp(flow.src, flow.dst, 25000 + sport, 406))
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            follow_count(lab, agent)
        if lab.middle.count() > 0:
            break
    else:
        pytest.skip("the kernel's collector was at once there five times")
    expired = lab.middle.count()
    assert not oracle.entries(lab.middle), "a listing shows expired entries"
    assert lab.middle.count() == 0, f"{expired} expired entries not collected by a listing"
    agent.wait_equal(exact=True, label="collected")
    agent.wait_sums(0)


def follow_count(lab, agent):
    """The mirror's sum is the kernel's count, within the time an event may take."""
    seen = {}

    def equal():
        before = lab.middle.count()
        seen.update(mirror=sum(agent.cells().values()), count=lab.middle.count())
        return before == seen["count"] == seen["mirror"]
    agent_module.poll(equal, agent_module.LIVE_SECONDS, lambda: f"mirror against count: {seen}",
                      interval=0.1)


@pytest.mark.each_kernel
def test_expired_entries_at_start(lab, pair, start_agent):
    """Expired ones are not listed, so the first dump misses them: a residual, not an error."""
    lab.middle.conntrack_sysctl("udp_timeout", 1)
    for sport in range(200):
        flow = pair.flow()
        flow.forth(17, traffic.udp(flow.src, flow.dst, 26000 + sport, 407))
    time.sleep(1.2)
    agent = start_agent(lab.middle)
    agent.wait_equal(10, exact=True, label="start among expired entries")
    agent.wait_sums(0)


class ReliableListener:
    """Another program's listener with NETLINK_BROADCAST_ERROR, which reads too slowly.

    The kernel then keeps dead entries, counted and unlisted, until it can deliver their
    DESTROY, and sends it again to everybody.
    """

    NETLINK_NETFILTER, SOL_NETLINK, ADD_MEMBERSHIP, BROADCAST_ERROR = 12, 270, 1, 4
    GROUP_NEW, GROUP_DESTROY = 1, 3

    def __init__(self, namespace):
        self.socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, self.NETLINK_NETFILTER)
        self.socket.bind((0, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self.socket.setsockopt(self.SOL_NETLINK, self.BROADCAST_ERROR, 1)
        for group in (self.GROUP_NEW, self.GROUP_DESTROY):
            self.socket.setsockopt(self.SOL_NETLINK, self.ADD_MEMBERSHIP, group)

    def close(self):
        self.socket.close()


@pytest.mark.slow
def test_entries_kept_for_a_reliable_listener(lab, agent, pair):
    """Dead but counted: a residual, never an entry. Born again: its old DESTROY comes late."""
    listener = ReliableListener(lab.middle)
    try:
        flow = pair.flow()

        def send():
            for sport in range(27000, 27030):
                flow.forth(17, traffic.udp(flow.src, flow.dst, sport, 408))
        send()
        agent.wait_equal(expect={Cell("udp", "forwarded", 408, "unreplied"): 30}, label="made")
        lab.middle.conntrack("-F")
        parked = lab.middle.count()
        if parked == 0:
            pytest.skip("this kernel parked no entry")
        agent.wait_equal(expect={Cell("udp", "forwarded", 408, "unreplied"): 0}, label="flushed")
        agent.wait_status(lambda status: status["residual_entries"] == parked
                          and not status["exact"], 5, f"{parked} parked entries not shown")
        send()
        agent.wait_equal(expect={Cell("udp", "forwarded", 408, "unreplied"): 30},
                         label="born again beside their parked selves")
    finally:
        listener.close()
    agent_module.poll(lambda: lab.middle.count() == 30, 60,
                      lambda: f"the kernel still holds {lab.middle.count()}", interval=0.2)
    agent.wait_equal(10, expect={Cell("udp", "forwarded", 408, "unreplied"): 30}, exact=True,
                     label="redelivered")
