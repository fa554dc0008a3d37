# SPDX-License-Identifier: GPL-2.0-or-later
"""New connections that never become entries: no event tells of them, the level does."""
import os

import pytest

import agent as agent_module
import nat_oracle
import nfqueue
import traffic

FIRST, LAST = 20000, 20099
QUEUE, DNS = 5, 53


@pytest.fixture
def one_cpu(agent):
    """Two CPUs that translate at once may choose one port: a failure of its own. The agent has all."""
    assert agent
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    yield
    os.sched_setaffinity(0, cpus)


def send(pair, host, sport):
    flow = traffic.Flow(pair, pair.addresses(4, host)[0], pair.addresses(4, 1)[1])
    flow.forth(17, traffic.udp(flow.src, flow.dst, sport, DNS))


def wait_failed(agent, count):
    agent.wait_status(lambda status: status["counters"]["stat_insert_failed"] == count, 6,
                      f"{count} failed")


def wait_level(agent, level):
    return agent.wait_status(lambda status: status["level"] == level
                             and "of new connections fail" in status["level_reason"], 6, level)


def patterns(agent):
    return [(finding["pattern"], finding["confidence"])
            for finding in agent_module.ask(agent.runtime, "why")["patterns"]]


@pytest.mark.slow
@pytest.mark.usefixtures("one_cpu")
def test_a_pool_that_is_not_known(lab, agent, pair):
    """Rules narrow the range and nobody told the agent: to it the pool is nearly empty."""
    lab.middle.conntrack_sysctl("udp_timeout", 600)
    nat_oracle.rules(lab.middle, post=f'meta l4proto udp oifname "server" masquerade to :{FIRST}-{LAST};')
    for number in range(100):
        send(pair, 1 + number % 3, 50000 + number)
    nat_oracle.wait_equal(agent, expect=[100])
    status = agent.status()
    assert status["level"] == "OK" and status["nat"]["ratio"] < 0.01
    for number in range(150):
        send(pair, 4, 51000 + number)
    wait_failed(agent, 150)
    status = wait_level(agent, "CRITICAL")
    # What is refused fills no table: the forecast does not expect it there.
    assert status["entries"] == 100
    told = agent_module.ask(agent.runtime, "forecast")
    assert told["verdict"] != "filling" and not told["alarm"], told
    # It is no clash, not even before the agent's first ten seconds have been added up.
    assert patterns(agent) == [("nat-collisions", "sure")]
    # Told of the range, it says which pool.
    agent.stop()
    agent.args += ["--nat-ports", f"{FIRST}-{LAST}"]
    agent.start()
    agent.wait_status(lambda status: status["level_reason"] ==
                      "a NAT pool has 100.0 % of its ports in use", 10, "the pool by its size")


@pytest.fixture
def queue(lab):
    """Packets held after NAT has chosen a port, before they are entries."""
    nat_oracle.rules(lab.middle, post='oifname "server" masquerade;')
    # nft has no queue on every kernel, iptables no chain behind NAT.
    lab.middle.run("iptables", "-t", "mangle", "-N", "HOLD")
    lab.middle.run("iptables", "-t", "mangle", "-A", "HOLD", "-p", "udp", "--dport", str(DNS),
                   "-j", "NFQUEUE", "--queue-num", str(QUEUE))
    lab.middle.nft("""
table ip mangle {
    chain hold { type filter hook postrouting priority 110; jump HOLD; }
}
""")
    held = nfqueue.Queue(lab.middle, QUEUE)
    yield held
    held.close()


@pytest.mark.slow
def test_clashes(lab, agent, pair, queue):
    """Clients that ask from the same port at the same time get the same one: one of two fails."""
    lab.middle.conntrack_sysctl("udp_timeout", 600)
    ports = iter(range(40000, 50000))

    def clash():
        port = next(ports)
        for host in (1, 2):
            send(pair, host, port)
        queue.wait_held(2)
        queue.release()
        queue.release()
    for _ in range(20):
        clash()
    wait_failed(agent, 20)
    nat_oracle.wait_equal(agent, expect=[20])
    wait_level(agent, "CRITICAL")

    def named():
        clash()
        return patterns(agent) == [("insert-clash", "likely")]
    agent_module.poll(named, 25, lambda: patterns(agent), interval=0.5)
    # Neither for want of ports, nor of room.
    counters = agent.status()["counters"]
    assert counters["nat_failures"] == counters["stat_chaintoolong"] == 0
