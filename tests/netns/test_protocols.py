# SPDX-License-Identifier: GPL-2.0-or-later
"""Every protocol, every state, both families: each cell equals the kernel's."""
import collections
import re
import socket

import pytest

import agent as agent_module
import oracle
import traffic
from oracle import Cell

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])


@FAMILIES
@pytest.mark.each_kernel
def test_tcp_holds_every_state(agent, pair, family):
    """One connection held in each state."""
    for index, state in enumerate(traffic.TCP_STATES):
        traffic.Tcp(pair.flow(family), 40000, 2000 + index).drive(state)
    agent.wait_equal(expect={Cell("tcp", "forwarded", 2000 + index, state): 1
                             for index, state in enumerate(traffic.TCP_STATES)}, exact=True)


def test_top_in_batch_mode(agent, pair):
    """Its rows, by protocol, port and state, are those that conntrack -L lists."""
    for index, state in enumerate(traffic.TCP_STATES):
        traffic.Tcp(pair.flow(), 40000, 2100 + index).drive(state)
        flow = pair.flow()
        flow.forth(17, traffic.udp(flow.src, flow.dst, 5000 + index, 2100 + index % 3))
    agent.wait_equal(exact=True)

    def shown():
        text = agent_module.cli(agent.runtime, "top", "--batch").stdout
        rows = re.findall(r"^(\w+) +(\w+) +(\d+) .*?((?:\w+=\d+ *)+)$", text, re.M)
        return collections.Counter({Cell(l4proto, direction, int(port), state): int(entries)
                                    for l4proto, direction, port, states in rows
                                    for state, entries in re.findall(r"(\w+)=(\d+)", states)})
    agent_module.poll(lambda: sum(shown().values()) >= len(traffic.TCP_STATES)
                      and shown() == oracle.cells(agent.namespace), 10,
                      lambda: oracle.difference(oracle.cells(agent.namespace), shown()))


@FAMILIES
@pytest.mark.each_kernel
def test_tcp_walks_through_every_state(agent, pair, family):
    """One connection, looked at after each packet: the cell moves, none is left behind."""
    connection = traffic.Tcp(pair.flow(family), 40001, 80)
    for state, _, _ in traffic.Tcp.STEPS:
        connection.step(state)
        agent.wait_equal(expect={Cell("tcp", "forwarded", 80, state): 1}, label=state)


@FAMILIES
def test_tcp_simultaneous_open_and_reset(agent, pair, family):
    connection = traffic.Tcp(pair.flow(family), 40002, 81)
    connection.drive("SYN_SENT2")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 81, "SYN_SENT2"): 1}, label="both SYN")
    connection.server(traffic.RST | traffic.ACK)
    agent.wait_equal(expect={Cell("tcp", "forwarded", 81, "CLOSE"): 1}, label="reset")


@FAMILIES
def test_tcp_refused_dies_at_once(agent, pair, family):
    """A RST as the only answer: no UPDATE, DESTROY at once, naming a state never reported."""
    connection = traffic.Tcp(pair.flow(family), 40003, 82)
    connection.drive("SYN_SENT")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 82, "SYN_SENT"): 1}, label="SYN")
    connection.server(traffic.RST | traffic.ACK)
    agent.wait_equal(expect={Cell("tcp", "forwarded", 82, "SYN_SENT"): 0,
                             Cell("tcp", "forwarded", 82, "CLOSE"): 0}, label="refused")
    assert agent.cells() == {}


def test_tcp_picked_up_in_mid_stream(agent, pair):
    """NEW whose first state is ESTABLISHED, without an answer seen."""
    connection = traffic.Tcp(pair.flow(), 40004, 83)
    connection.client(traffic.ACK, b"in the middle")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 83, "ESTABLISHED"): 1})


@pytest.mark.each_kernel
def test_many_connections_at_once(agent, pair):
    """800 connections left in eight states on eight ports: sums, not only ones."""
    held = [state for state in traffic.TCP_STATES if state != "SYN_SENT2"]
    for index, state in enumerate(held):
        for sport in range(100):
            traffic.Tcp(pair.flow(), 20000 + sport, 8000 + index).drive(state)
    agent.wait_equal(expect={Cell("tcp", "forwarded", 8000 + index, state): 100
                             for index, state in enumerate(held)}, exact=True)


def udp_packet(proto):
    return traffic.udp if proto == 17 else traffic.udplite


@FAMILIES
@pytest.mark.parametrize("proto", [17, traffic.IPPROTO_UDPLITE], ids=["udp", "udplite"])
@pytest.mark.each_kernel
def test_udp_unreplied_replied_assured(lab, agent, pair, family, proto):
    """UDP and UDP-Lite: the three states. Assured takes a packet 2 s after the first. Of
    UDP-Lite the protocol's number stands for the port."""
    # The kernel verifies UDP-Lite with UDP's number in the pseudo header, so it takes
    # right packets for wrong ones unless told not to look.
    lab.middle.conntrack_sysctl("checksum", 0)
    flow = pair.flow(family)
    packet = udp_packet(proto)
    for dport in (53, 54, 55):
        flow.forth(proto, packet(flow.src, flow.dst, 5000, dport))

    def cells(**states):
        return collections.Counter(
            Cell("udp", "forwarded", dport, state) if proto == 17 else
            Cell("other", "forwarded", proto, state)
            for state, dports in states.items() for dport in dports)

    agent.wait_equal(expect=cells(unreplied=(53, 54, 55)), label="unreplied")
    for dport in (54, 55):
        flow.back(proto, packet(flow.dst, flow.src, dport, 5000))
    agent.wait_equal(expect=cells(unreplied=(53,), replied=(54, 55)), label="replied")

    def assured():
        flow.forth(proto, packet(flow.src, flow.dst, 5000, 55))
        flow.back(proto, packet(flow.dst, flow.src, 55, 5000))
        return all(agent.cells()[cell] == 1 for cell in cells(assured=(55,)))
    agent_module.poll(assured, 9, "no assured entry", interval=0.25)
    agent.wait_equal(expect=cells(unreplied=(53,), replied=(54,), assured=(55,)),
                     exact=True, label="assured")


@FAMILIES
def test_echo(agent, pair, family):
    flow = pair.flow(family)
    proto, name = (1, "icmp") if family == 4 else (58, "icmpv6")
    ask, answer = (8, 0) if family == 4 else (128, 129)
    for ident in (1, 2):
        flow.forth(proto, traffic.echo(flow.src, flow.dst, ask, ident))
    agent.wait_equal(expect={Cell(name, "forwarded", 0, "unreplied"): 2}, label="asked")
    flow.back(proto, traffic.echo(flow.dst, flow.src, answer, 2))
    agent.wait_equal(expect={Cell(name, "forwarded", 0, "unreplied"): 1,
                             Cell(name, "forwarded", 0, "replied"): 1}, exact=True)


@FAMILIES
@pytest.mark.each_kernel
def test_sctp_every_state(agent, pair, family):
    for index, (_, step) in enumerate(traffic.Sctp.STEPS):
        traffic.Sctp(pair.flow(family), 40000, 3000 + index).drive(step)
    closing = traffic.Sctp(pair.flow(family), 40000, 3010)
    closing.drive("cookie_ack")
    closing.shutdown_by_server()
    aborted = traffic.Sctp(pair.flow(family), 40000, 3011)
    aborted.drive("cookie_ack")
    aborted.abort()
    heartbeat = traffic.Sctp(pair.flow(family), 40000, 3012)
    heartbeat.heartbeat()
    expect = {Cell("sctp", "forwarded", 3000 + index, state): 1
              for index, (state, _) in enumerate(traffic.Sctp.STEPS)}
    expect[Cell("sctp", "forwarded", 3010, "SHUTDOWN_RECD")] = 1
    expect[Cell("sctp", "forwarded", 3011, "CLOSED")] = 1
    expect[Cell("sctp", "forwarded", 3012, "HEARTBEAT_SENT")] = 1
    agent.wait_equal(expect=expect, exact=True)


@FAMILIES
def test_sctp_walks(agent, pair, family):
    association = traffic.Sctp(pair.flow(family), 40001, 3020)
    for state, step in traffic.Sctp.STEPS:
        getattr(association, step)()
        agent.wait_equal(expect={Cell("sctp", "forwarded", 3020, state): 1}, label=step)


@FAMILIES
def test_gre_and_unknown_protocols(agent, pair, family):
    """GRE keys are not ports; of protocol 253 its number stands for one."""
    for host in (1, 2):
        flow = pair.flow(family, host)
        flow.forth(47, traffic.gre())
        flow.forth(253, b"conntide")
    agent.wait_equal(expect={Cell("gre", "forwarded", 0, "unreplied"): 2,
                             Cell("other", "forwarded", 253, "unreplied"): 2}, label="asked")
    flow.back(47, traffic.gre())
    flow.back(253, b"conntide")
    agent.wait_equal(expect={Cell("gre", "forwarded", 0, "replied"): 1,
                             Cell("other", "forwarded", 253, "replied"): 1}, label="answered")
    flow.forth(47, traffic.gre())
    agent.wait_equal(expect={Cell("gre", "forwarded", 0, "assured"): 1,
                             Cell("gre", "forwarded", 0, "unreplied"): 1}, exact=True,
                     label="assured")


@FAMILIES
@pytest.mark.each_kernel
def test_real_connections(lab, agent, family):
    """Real TCP stacks through the router: open, half-closed, closed, refused."""
    inet = socket.AF_INET if family == 4 else socket.AF_INET6
    address = lab.SERVER4 if family == 4 else lab.SERVER6
    with lab.server.socket(inet) as listener:
        listener.bind((address, 9000))
        listener.listen(64)
        pairs = []
        for _ in range(30):
            client = lab.client.socket(inet)
            client.connect((address, 9000))
            pairs.append((client, listener.accept()[0]))
        agent.wait_equal(expect={Cell("tcp", "forwarded", 9000, "ESTABLISHED"): 30},
                         label="open")
        for client, _ in pairs[:20]:
            client.shutdown(socket.SHUT_WR)
        agent.wait_equal(expect={Cell("tcp", "forwarded", 9000, "CLOSE_WAIT"): 20,
                                 Cell("tcp", "forwarded", 9000, "ESTABLISHED"): 10},
                         label="half-closed")
        for _, server in pairs[:10]:
            server.close()
        agent.wait_equal(expect={Cell("tcp", "forwarded", 9000, "TIME_WAIT"): 10,
                                 Cell("tcp", "forwarded", 9000, "CLOSE_WAIT"): 10,
                                 Cell("tcp", "forwarded", 9000, "ESTABLISHED"): 10},
                         exact=True, label="closed")
        for client, server in pairs:
            client.close()
            server.close()
    with lab.client.socket(inet) as client, pytest.raises(ConnectionRefusedError):
        client.connect((address, 9001))
    agent.wait_equal(exact=True, label="refused")


@pytest.mark.each_kernel
def test_port_reused_in_time_wait(agent, pair):
    """DESTROY and NEW in the same microseconds, with the same tuple and the same id."""
    flow = pair.flow()
    for _ in range(20):
        connection = traffic.Tcp(flow, 40010, 84)
        connection.seq = 900000
        connection.drive("TIME_WAIT")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 84, "TIME_WAIT"): 1}, label="20 times")
    again = traffic.Tcp(flow, 40010, 84)
    again.seq = 2000000
    again.drive("ESTABLISHED")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 84, "ESTABLISHED"): 1,
                             Cell("tcp", "forwarded", 84, "TIME_WAIT"): 0},
                     exact=True, label="open again")
    agent.wait_sums(1)
