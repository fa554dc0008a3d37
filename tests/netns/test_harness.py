# SPDX-License-Identifier: GPL-2.0-or-later
"""The instruments themselves, without an agent: a wrong oracle would prove anything."""
import collections
import os

import pytest

import agent as agent_module
import netns
import oracle
import traffic
from oracle import Cell

pytestmark = pytest.mark.no_agent


def kernel_has(namespace, expect, within=3):
    agent_module.poll(lambda: all(oracle.cells(namespace)[cell] == count
                                  for cell, count in expect.items()),
                      within, lambda: f"{expect}; kernel has {oracle.cells(namespace)}")


@pytest.mark.parametrize("line, cell", [
    ("ipv4     2 tcp      6 431999 ESTABLISHED src=10.1.0.1 dst=10.1.0.2 sport=5 dport=7"
     " src=10.9.0.2 dst=10.1.0.1 sport=7 dport=5 [ASSURED] mark=0 use=1 id=3",
     Cell("tcp", "inbound", 7, "ESTABLISHED")),
    ("ipv4     2 udp      17 9 src=10.1.0.1 dst=10.1.0.2 sport=5 dport=7 zone-orig=4 [UNREPLIED]"
     " src=10.1.0.2 dst=10.1.0.1 sport=7 dport=5 mark=0 use=1 id=3",
     Cell("udp", "forwarded", 7, "unreplied")),
    ("ipv6     10 icmpv6   58 29 src=fd00::9 dst=fd00::2 type=128 code=0 id=77 src=fd00::2"
     " dst=fd00::9 type=129 code=0 id=77 mark=0 use=1 id=3",
     Cell("icmpv6", "outbound", 0, "replied")),
    ("ipv4     2 unknown  253 599 src=10.9.0.2 dst=127.0.0.1 [UNREPLIED] src=127.0.0.1"
     " dst=10.9.0.2 mark=0 use=1 id=3", Cell("other", "loopback", 253, "unreplied")),
    ("ipv4     2 gre      47 29 src=10.1.0.1 dst=224.0.0.1 srckey=0x0 dstkey=0x5"
     " src=224.0.0.1 dst=10.1.0.1 srckey=0x5 dstkey=0x0 mark=0 use=1 id=3",
     Cell("gre", "inbound", 0, "replied")),
    ("ipv4     2 tcp      6 src=10.1.0.1 dst=10.1.0.2 sport=5 dport=7"
     " src=10.1.0.2 dst=10.1.0.1 sport=7 dport=5 [OFFLOAD] mark=0 use=2 id=3",
     Cell("tcp", "forwarded", 7, "offloaded")),
])
def test_oracle_reads_lines(line, cell):
    local = oracle.LocalAddresses.__new__(oracle.LocalAddresses)
    local.networks, local.broadcast, local.sides = [], set(), {}
    local.own = {"10.9.0.2", "fd00::9"}
    assert oracle.Entry(line).cell(local) == cell
    assert oracle.Entry(line).ident() == "3"
    assert oracle.count_cells(f"{line}\n{line}\n", local) == {cell: 2}


def test_difference_is_readable():
    kernel = collections.Counter({Cell("tcp", "inbound", 80, "TIME_WAIT"): 3})
    text = oracle.difference(kernel, collections.Counter())
    assert "TIME_WAIT" in text and "kernel       3 mirror       0" in text


def test_crc32c():
    assert traffic.crc32c(b"123456789") == 0xe3069283


@pytest.mark.parametrize("family", [4, 6])
def test_crafted_tcp_holds_every_state(lab, pair, family):
    for index, state in enumerate(traffic.TCP_STATES):
        traffic.Tcp(pair.flow(family), 40000, 2000 + index).drive(state)
    kernel_has(lab.middle, {Cell("tcp", "forwarded", 2000 + index, state): 1
                            for index, state in enumerate(traffic.TCP_STATES)})


@pytest.mark.parametrize("family", [4, 6])
def test_crafted_sctp_holds_every_state(lab, pair, family):
    for index, (state, step) in enumerate(traffic.Sctp.STEPS):
        traffic.Sctp(pair.flow(family), 40000, 3000 + index).drive(step)
    kernel_has(lab.middle, {Cell("sctp", "forwarded", 3000 + index, state): 1
                            for index, (state, _) in enumerate(traffic.Sctp.STEPS)})


def test_flood_makes_what_it_says(host, flood):
    assert "sent 5000 refused 0" in flood(host, rate=50000, flows=5000, ports=5).communicate()[0]
    assert host.count() == 5000
    assert netns.tracked()[os.stat(host.path).st_ino] == 5000
    assert oracle.cells(host) == {Cell("udp", "forwarded", 7000 + port, "unreplied"): 1000
                                  for port in range(5)}
