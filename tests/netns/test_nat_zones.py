# SPDX-License-Identifier: GPL-2.0-or-later
"""Address translation and conntrack zones: which direction, and which entry is which."""
import pytest

import traffic
from oracle import Cell

NAT_CHAINS = """
table inet nat {{
	chain pre {{ type nat hook prerouting priority dstnat; {pre} }}
	chain post {{ type nat hook postrouting priority srcnat; {post} }}
}}
"""


def nat(namespace, pre="", post=""):
    namespace.nft(NAT_CHAINS.format(pre=pre, post=post))


@pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])
@pytest.mark.parametrize("how", ["snat", "masquerade"])
def test_source_nat(lab, agent, pair, family, how):
    """Source NAT does not change who opened the connection or whom to: forwarded."""
    own = lab.MIDDLE4S if family == 4 else lab.MIDDLE6S
    word = "ip" if family == 4 else "ip6"
    rule = "masquerade" if how == "masquerade" else f"snat {word} to {own}"
    nat(lab.middle, post=f'oifname "server" {rule};')
    flow = pair.flow(family)
    flow.back_dst = own
    for dport, state in ((90, "SYN_SENT"), (91, "ESTABLISHED"), (92, "TIME_WAIT")):
        traffic.Tcp(flow, 41000, dport).drive(state)
    # Two clients with one source port: the second gets another port behind the NAT.
    for host in (5, 6):
        other = pair.flow(family, host)
        other.dst = flow.dst
        other.forth(17, traffic.udp(other.src, other.dst, 41000, 93))
    agent.wait_equal(expect={Cell("tcp", "forwarded", 90, "SYN_SENT"): 1,
                             Cell("tcp", "forwarded", 91, "ESTABLISHED"): 1,
                             Cell("tcp", "forwarded", 92, "TIME_WAIT"): 1,
                             Cell("udp", "forwarded", 93, "unreplied"): 2}, exact=True)


@pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])
def test_destination_nat(lab, agent, pair, family):
    """DNAT of an own address to a backend is forwarding; the port is the dialled one."""
    own = lab.MIDDLE4C if family == 4 else lab.MIDDLE6C
    target = pair.addresses(family)[1]
    shown = target if family == 4 else f"[{target}]"
    word = "ip" if family == 4 else "ip6"
    nat(lab.middle, pre=f"tcp dport 8080 dnat {word} to {shown}:80;")
    flow = traffic.Flow(pair, pair.addresses(family)[0], own, seen_dst=target)
    connection = traffic.Tcp(flow, 41001, 8080, back_sport=80)
    connection.back_ports = (80, 41001)
    # The checksum of an answer covers the addresses it is sent with.
    connection.drive("ESTABLISHED")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 8080, "ESTABLISHED"): 1}, exact=True)


def test_redirect_to_itself(lab, agent, pair):
    """A transparent proxy: what was meant for elsewhere ends here, inbound."""
    nat(lab.middle, pre="udp dport 95 redirect to :9595;")
    flow = pair.flow()
    with lab.middle.socket(kind=2) as proxy:
        proxy.bind(("0.0.0.0", 9595))
        proxy.settimeout(3)
        flow.forth(17, traffic.udp(flow.src, flow.dst, 41002, 95))
        assert proxy.recv(100) == b"conntide"
    agent.wait_equal(expect={Cell("udp", "inbound", 95, "unreplied"): 1}, exact=True)


def test_zones(lab, agent, pair):
    """One tuple in three zones is three entries; each dies alone."""
    lab.middle.nft("""
table ip zones {
	chain pre {
		type filter hook prerouting priority raw;
		ip dscp 1 ct zone set 1
		ip dscp 2 ct zone set 2
	}
}
""")
    flow = pair.flow()
    packet = traffic.udp(flow.src, flow.dst, 42000, 96)
    for dscp in (0, 1, 2):
        raw = bytearray(traffic.ip4(flow.src, flow.dst, 17, packet))
        raw[1] = dscp << 2
        pair.client.raw4.sendto(bytes(raw), (flow.dst, 0))
    agent.wait_equal(expect={Cell("udp", "forwarded", 96, "unreplied"): 3}, exact=True,
                     label="three zones")
    lab.middle.conntrack("-D", "-p", "udp", "-w", "1")
    agent.wait_equal(expect={Cell("udp", "forwarded", 96, "unreplied"): 2}, label="one deleted")
    raw = bytearray(traffic.ip4(flow.dst, flow.src, 17, traffic.udp(flow.dst, flow.src, 96, 42000)))
    raw[1] = 2 << 2
    pair.server.raw4.sendto(bytes(raw), (flow.src, 0))
    agent.wait_equal(expect={Cell("udp", "forwarded", 96, "unreplied"): 1,
                             Cell("udp", "forwarded", 96, "replied"): 1}, exact=True,
                     label="one answered")


@pytest.mark.parametrize("side", ["orig", "reply"])
def test_directional_zones(lab, agent, side):
    """Zones of one direction only: with "orig" one tuple may be there twice."""
    insert = ["-I", "-p", "tcp", "-s", "10.78.0.1", "-d", "10.79.0.1", "--state", "ESTABLISHED",
              "-t", "100", "-u", "SEEN_REPLY", "--dport", "97"]
    for zone in ("0", "3", "4"):
        # Where the zone does not tell them apart, tuples must differ: as by source NAT for
        # the answers of one original tuple in several zones.
        other = str(43000 + int(zone))
        sport, answer = ("43000", other) if side == "orig" else (other, other)
        lab.middle.conntrack(*insert, "--sport", sport, "-r", "10.79.0.1", "-q", "10.78.0.1",
                             "--reply-port-src", "97", "--reply-port-dst", answer,
                             f"--{side}-zone", zone)
    agent.wait_equal(expect={Cell("tcp", "forwarded", 97, "ESTABLISHED"): 3}, exact=True,
                     label="inserted")
    lab.middle.conntrack("-D", "-p", "tcp", f"--{side}-zone", "3")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 97, "ESTABLISHED"): 2}, exact=True,
                     label="one deleted")


def test_directional_zone_by_rule(lab, agent, pair):
    """Clients with overlapping addresses: zone in the original direction, SNAT outwards."""
    lab.middle.nft("""
table ip zones {
	chain pre {
		type filter hook prerouting priority raw;
		ip dscp 1 ct original zone set 11
		ip dscp 2 ct original zone set 12
	}
}
""")
    nat(lab.middle, post=f'oifname "server" snat ip to {lab.MIDDLE4S};')
    flow = pair.flow()
    for dscp in (1, 2):
        raw = bytearray(traffic.ip4(flow.src, flow.dst, 17,
                                    traffic.udp(flow.src, flow.dst, 44000, 98)))
        raw[1] = dscp << 2
        pair.client.raw4.sendto(bytes(raw), (flow.dst, 0))
    agent.wait_equal(expect={Cell("udp", "forwarded", 98, "unreplied"): 2}, label="two clients")
    # The answer belongs to the one that kept its port.
    flow.back_dst = lab.MIDDLE4S
    flow.back(17, traffic.udp(flow.back_src, flow.back_dst, 98, 44000))
    agent.wait_equal(expect={Cell("udp", "forwarded", 98, "unreplied"): 1,
                             Cell("udp", "forwarded", 98, "replied"): 1}, exact=True,
                     label="one answered")
