# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries by zone, zones of both kinds: as conntrack -L lists them."""
import re
import signal

import pytest

import agent as agent_module
import nat_oracle
import traffic

# Two zones of both directions, and one of the original direction alone.
RULES = """
table inet zones {
    chain pre {
        type filter hook prerouting priority -300
        udp dport 5007 ct zone set 7
        udp dport 5008 ct zone set 8
        udp dport 5009 ct original zone set 9
    }
}
"""


def kernel(namespace):
    counted = {}
    for line in namespace.conntrack("-L").splitlines():
        zone = re.search(r" zone(?:-orig)?=(\d+)", line)
        zone = int(zone.group(1)) if zone else 0
        counted[zone] = counted.get(zone, 0) + 1
    return counted


def served(agent):
    return {row["zone"]: row["entries"] for row in agent.status()["zones"]}


def wait_equal(agent, expect):
    assert kernel(agent.namespace) == expect
    agent_module.poll(lambda: served(agent) == expect, 10 * agent_module.patience(),
                      lambda: f"{served(agent)} is not {expect}")


def fill(pair, plan):
    for dport, many in plan.items():
        for number in range(many):
            flow = pair.flow(4, 1 + number % 5)
            flow.forth(17, traffic.udp(flow.src, flow.dst, 20000 + number, dport))


@pytest.mark.each_kernel
def test_zones_of_two_kinds(lab, pair, agent):
    """Through a comparison with the table, deletions, a restart."""
    lab.middle.conntrack_sysctl("udp_timeout", 600)
    lab.middle.nft(RULES)
    fill(pair, {5000: 3, 5007: 20, 5008: 5, 5009: 11})
    wait_equal(agent, {0: 3, 7: 20, 8: 5, 9: 11})
    assert "\nzones       7: 20, 9: 11, 8: 5, 0: 3 entries\n" in agent_module.cli(
        agent.runtime, "status").stdout
    agent.signal(signal.SIGHUP)
    agent.wait_status(lambda status: status["counters"]["resyncs_valid"] > 1, 10, "a comparison")
    wait_equal(agent, {0: 3, 7: 20, 8: 5, 9: 11})
    lab.middle.conntrack("-D", "-p", "udp", "--dport", "5007", "--zone", "7")
    wait_equal(agent, {0: 3, 8: 5, 9: 11})
    agent.kill()
    fill(pair, {5007: 2})
    agent.start()
    wait_equal(agent, {0: 3, 7: 2, 8: 5, 9: 11})


def test_pools_of_one_zone(lab, pair, agent):
    """conntide nat --zone: the same address and destination, but only this zone's ports."""
    lab.middle.conntrack_sysctl("udp_timeout", 600)
    lab.middle.nft(RULES)
    nat_oracle.rules(lab.middle, post='oifname "server" masquerade;')
    fill(pair, {5000: 3, 5007: 4})
    nat_oracle.wait_equal(agent)
    rows = agent_module.ask(agent.runtime, "nat", "--zone", "7")
    assert rows and {row["zone"] for row in rows} == {7}
    assert sum(row["used"] for row in rows) == 4
    assert agent_module.ask(agent.runtime, "nat", "--zone", "8") == []
    wrong = agent_module.cli(agent.runtime, "nat", "--zone", "65536")
    assert wrong.returncode == 2 and "a zone is a number from 0 to 65535" in wrong.stderr
