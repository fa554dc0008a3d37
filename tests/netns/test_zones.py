# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries by zone, zones of both kinds: as conntrack -L lists them."""
import re
import signal

import pytest

import agent as agent_module
import nat_oracle
import oracle
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


# By port: zones of both directions, of the original one, and of the replies, which are not the
# zone of an entry here. By interface: what comes from the clients.
ROW_RULES = """
table inet zones {
    chain pre {
        type filter hook prerouting priority -300
        udp dport 5007 ct zone set 7
        udp sport 5007 ct zone set 7
        udp dport 5009 ct original zone set 9
        udp dport 5010 ct reply zone set 10
        udp sport 5010 ct reply zone set 10
        iifname "client" tcp dport { 80, 443 } ct original zone set 20
        iifname "client" ip6 nexthdr icmpv6 icmpv6 type echo-request ct original zone set 20
    }
}
"""


def kernel_cells(namespace):
    """Counter of (zone, cell): the original direction's zone."""
    local = oracle.LocalAddresses(namespace)
    counted = {}
    for entry in oracle.entries(namespace):
        zone = re.search(r" zone(?:-orig)?=(\d+)", entry.line)
        key = (int(zone.group(1)) if zone else 0, entry.cell(local))
        counted[key] = counted.get(key, 0) + 1
    return counted


def zone_rows(agent, command, zone):
    return agent_module.ask(agent.runtime, command, "--zone", str(zone))


def served_cells(agent, zones):
    return {(zone, oracle.Cell(row["l4proto"], row["direction"], row["port"], row["state"])):
            row["entries"] for zone in zones for row in zone_rows(agent, "cells", zone)}


def wait_cells(agent, zones, label):
    """Each zone asked for alone is the kernel's; the listing by conntrack's own filter agrees."""
    expect = kernel_cells(agent.namespace)
    assert {zone for zone, _ in expect} <= set(zones)
    filtered = agent.namespace.conntrack("-L", "-w", "7").splitlines()
    assert len(filtered) == sum(many for (zone, _), many in expect.items() if zone == 7)
    agent_module.poll(lambda: served_cells(agent, zones) == expect, 10 * agent_module.patience(),
                      lambda: f"{label}: {served_cells(agent, zones)} is not {expect}")
    return expect


def check_rows(agent, zones, expect):
    """ports --zone sums its states; without --zone each row says its zones."""
    for zone in zones:
        rows = zone_rows(agent, "ports", zone)
        assert sum(row["entries"] for row in rows) == sum(
            many for (where, _), many in expect.items() if where == zone)
        for row in rows:
            assert row["zones"] == {str(zone): row["entries"]}
            assert sum(row["states"].values()) == row["entries"]
    for row in agent_module.ask(agent.runtime, "ports"):
        truth = {}
        for (zone, cell), many in expect.items():
            if (cell.l4proto, cell.direction, cell.port) == (row["l4proto"], row["direction"],
                                                             row["port"]):
                truth[str(zone)] = truth.get(str(zone), 0) + many
        assert row["zones"] == truth


def row_traffic(pair, first=0):
    fill(pair, {5000: 3, 5007: 6, 5009: 4, 5010: 2})
    for number, (port, state) in enumerate(((80, "ESTABLISHED"), (80, "TIME_WAIT"), (443, "SYN_SENT"),
                                            (22, "ESTABLISHED"))):
        traffic.Tcp(pair.flow(4, 9), 30000 + first + number, port).drive(state)
    for host in range(1, 4):
        flow = pair.flow(6, host)
        flow.forth(58, traffic.echo(flow.src, flow.dst, 128, 77 + first))
    flow = pair.flow(4, 1)
    flow.back(17, traffic.udp(flow.back_src, flow.back_dst, 5007, 20000))


@pytest.mark.each_kernel
def test_rows_by_zone(lab, pair, agent):
    """conntide ports and cells --zone N: states that change, a comparison, deletions, restarts."""
    zones = (0, 7, 9, 10, 20)
    lab.middle.conntrack_sysctl("udp_timeout", 600)
    lab.middle.conntrack_sysctl("icmpv6_timeout", 600)
    lab.middle.conntrack_sysctl("tcp_timeout_syn_sent", 600)
    lab.middle.nft(ROW_RULES)
    row_traffic(pair)
    expect = wait_cells(agent, zones, "filled")
    assert {zone for zone, _ in expect} == {0, 7, 9, 20}
    assert (7, oracle.Cell("udp", "forwarded", 5007, "replied")) in expect
    assert (20, oracle.Cell("tcp", "forwarded", 80, "TIME_WAIT")) in expect
    check_rows(agent, zones, expect)
    assert zone_rows(agent, "ports", 10) == []
    for number in range(2, 4):
        agent.signal(signal.SIGHUP)
        agent.wait_status(lambda status, number=number: status["counters"]["resyncs_valid"] >= number, 10,
                          "a comparison")
        check_rows(agent, zones, wait_cells(agent, zones, "compared"))
    lab.middle.conntrack("-D", "-p", "udp", "--dport", "5009", "--orig-zone", "9")
    row_traffic(pair, 100)
    check_rows(agent, zones, wait_cells(agent, zones, "deleted and added"))
    agent.kill()
    lab.middle.conntrack("-D", "-p", "udp", "--dport", "5007", "-w", "7", "--orig-src", "10.78.0.3")
    row_traffic(pair, 200)
    agent.start()
    check_rows(agent, zones, wait_cells(agent, zones, "restarted"))
    text = agent_module.cli(agent.runtime, "ports").stdout
    assert re.search(r"^PROTO .* ZONES +STATES", text) and re.search(r" 20=\d+ ", text)
