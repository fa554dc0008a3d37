# SPDX-License-Identifier: GPL-2.0-or-later
"""The four directions, by the namespace's own addresses, followed while they change."""
import socket

import pytest

import agent as agent_module
import traffic
from oracle import Cell

# A changed address makes the agent look at the whole table again.
REDIRECT_SECONDS = 10


@pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])
def test_four_directions(lab, agent, pair, family):
    """One UDP exchange in each direction, with real sockets where an end is local."""
    inet = socket.AF_INET if family == 4 else socket.AF_INET6
    client = lab.CLIENT4 if family == 4 else lab.CLIENT6
    own = lab.MIDDLE4C if family == 4 else lab.MIDDLE6C
    loop = "127.0.0.1" if family == 4 else "::1"
    expect = {}

    def exchange(source, target, address, dport, direction):
        with source.socket(inet, socket.SOCK_DGRAM) as asks, \
                target.socket(inet, socket.SOCK_DGRAM) as answers:
            answers.bind((address, dport))
            asks.settimeout(3)
            answers.settimeout(3)
            asks.sendto(b"?", (address, dport))
            answers.sendto(b"!", answers.recvfrom(10)[1])
            asks.recv(10)
        expect[Cell("udp", direction, dport, "replied")] = 1

    exchange(lab.client, lab.middle, own, 201, "inbound")
    exchange(lab.middle, lab.client, client, 202, "outbound")
    exchange(lab.middle, lab.middle, loop, 203, "loopback")
    exchange(lab.middle, lab.middle, own, 204, "loopback")
    flow = pair.flow(family)
    flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, 205))
    expect[Cell("udp", "forwarded", 205, "unreplied")] = 1
    agent.wait_equal(expect=expect, exact=True)


def test_broadcast_and_multicast_are_for_us(lab, agent, pair):
    """What is sent to everybody is received here: inbound, or outbound when we sent it."""
    src = lab.CLIENT4
    for dport, target in ((211, "10.77.1.255"), (212, "255.255.255.255"), (213, "224.0.0.1")):
        with lab.client.socket(kind=socket.SOCK_RAW, proto=socket.IPPROTO_RAW) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"edge")
            raw.sendto(traffic.ip4(src, target, 17, traffic.udp(src, target, 5000, dport)),
                       (target, 0))
    with lab.middle.socket(kind=socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.bind((lab.MIDDLE4C, 5001))
        sender.sendto(b"?", ("10.77.1.255", 214))
    pair.client.raw6.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"edge")
    pair.client.send(lab.CLIENT6, "ff02::1", 17,
                     traffic.udp(lab.CLIENT6, "ff02::1", 5000, 215))
    agent.wait_equal(expect={Cell("udp", "inbound", dport, "unreplied"): 1
                             for dport in (211, 212, 213, 215)}, exact=True)
    assert agent.cells()[Cell("udp", "outbound", 214, "unreplied")] == 1


def test_prefix_on_loopback_is_local(lab, agent, pair):
    """An address with a prefix on lo makes the whole prefix local (fib_add_ifaddr)."""
    lab.middle.ip("addr add 10.79.0.1/24 dev lo")
    flow = pair.flow()
    flow.dst = "10.79.0.77"
    flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, 216))
    agent.wait_equal(expect={Cell("udp", "inbound", 216, "unreplied"): 1})


def test_the_other_end_of_a_tunnel_is_not_local(lab, agent, pair):
    """A point-to-point address has a peer, and rtnetlink names the peer first."""
    lab.middle.ip("link add tunnel type ifb", "link set tunnel up",
                  "addr add 10.79.6.1 peer 10.79.6.2/32 dev tunnel")
    flow = pair.flow()
    for dst, dport in (("10.79.6.1", 217), ("10.79.6.2", 218)):
        flow.dst = dst
        flow.forth(17, traffic.udp(flow.src, dst, 5000, dport))
    agent.wait_equal(REDIRECT_SECONDS, exact=True, expect={
        Cell("udp", "inbound", 217, "unreplied"): 1,
        Cell("udp", "forwarded", 218, "unreplied"): 1})


@pytest.mark.brief
def test_no_direction_is_called_exact_while_addresses_change(lab, agent, pair):
    """An entry that is there already is sorted anew with the next comparison; until then its
    direction is wrong, and the mirror says so."""
    flow = pair.flow(4)
    flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, 230))
    agent.wait_equal(expect={Cell("udp", "forwarded", 230, "unreplied"): 1}, exact=True)
    lab.middle.run("ip", "addr", "add", f"{flow.dst}/32", "dev", "lo")
    agent.wait_status(lambda status: any(doubt["name"] == "addresses"
                                         for doubt in status["doubts"]) and not status["exact"],
                      REDIRECT_SECONDS, "the directions are in doubt")
    agent.wait_equal(expect={Cell("udp", "inbound", 230, "unreplied"): 1}, exact=True,
                     within=REDIRECT_SECONDS)
    # What is there already, told once more as a router does, changes nothing.
    lab.middle.run("ip", "addr", "change", f"{flow.dst}/32", "dev", "lo",
                   "valid_lft", "9999", "preferred_lft", "9999")
    assert "addresses" not in agent.doubts()


def test_more_addresses_than_are_held(lab, agent):
    """Directions by the rest are wrong for as long as they are there: nothing is exact."""
    links = 66  # the kernel walks all addresses of a link for each new one
    agent.wait_equal(exact=True)
    lab.middle.ip(*(line for i in range(links) for line in (
        f"link add many{i} type ifb",
        *(f"addr add 10.{100 + i}.{n // 250}.{1 + n % 250}/32 dev many{i}"
          for n in range(1000)))))
    agent.wait_status(lambda status: any(doubt["name"] == "addresses"
                                         for doubt in status["doubts"]), 30, "too many addresses")
    agent_module.poll(lambda: "more than 65536 local addresses" in agent.log(), 30, agent.log)
    lab.middle.ip(*(f"link del many{i}" for i in range(links)))
    agent.wait_status(lambda status: status["exact"] and not status["doubts"], 60,
                      "exact again")


@pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])
def test_addresses_come_and_go(lab, agent, pair, family):
    """New entries take the new direction at once, old ones after the resync it causes."""
    flow = pair.flow(family)
    bits = "32" if family == 4 else "128"

    def sends(dport):
        flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, dport))
    sends(221)
    agent.wait_equal(expect={Cell("udp", "forwarded", 221, "unreplied"): 1}, label="not ours")
    lab.middle.ip(f"addr add {flow.dst}/{bits} dev server" + (" nodad" if family == 6 else ""))
    agent_module.poll(lambda: (sends(222) or
                               agent.cells()[Cell("udp", "inbound", 222, "unreplied")] == 1),
                      agent_module.LIVE_SECONDS, lambda: f"no inbound entry: {agent.cells()}")
    agent.wait_equal(REDIRECT_SECONDS, expect={Cell("udp", "inbound", 221, "unreplied"): 1},
                     exact=True, label="added")
    lab.middle.ip(f"addr del {flow.dst}/{bits} dev server")
    agent.wait_equal(REDIRECT_SECONDS, expect={Cell("udp", "forwarded", 221, "unreplied"): 1,
                                               Cell("udp", "forwarded", 222, "unreplied"): 1},
                     exact=True, label="removed")


def test_interface_with_addresses_vanishes(lab, agent, pair):
    """A deleted link takes its addresses along."""
    lab.middle.ip("link add extra type ifb", "link set extra up", "addr add 10.79.5.5/32 dev extra")
    flow = pair.flow()
    flow.dst = "10.79.5.5"
    flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, 231))
    agent.wait_equal(REDIRECT_SECONDS, expect={Cell("udp", "inbound", 231, "unreplied"): 1},
                     label="there")
    lab.middle.ip("link del extra")
    agent.wait_equal(REDIRECT_SECONDS, expect={Cell("udp", "forwarded", 231, "unreplied"): 1},
                     exact=True, label="gone")


def test_many_addresses(lab, agent, pair):
    """3000 addresses added in one go: none is overlooked."""
    lab.middle.ip("link add many type ifb", "link set many up",
                  *(f"addr add 10.79.{16 + n // 250}.{1 + n % 250}/32 dev many"
                    for n in range(3000)))
    flow = pair.flow()
    for n in (0, 1500, 2999):
        flow.dst = f"10.79.{16 + n // 250}.{1 + n % 250}"
        flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, 232))
    agent.wait_equal(REDIRECT_SECONDS, expect={Cell("udp", "inbound", 232, "unreplied"): 3},
                     exact=True)
