# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries that others make, change and delete through ctnetlink; related connections."""
import socket

import pytest

import agent as agent_module
import traffic
from oracle import Cell

TUPLE = ["-p", "tcp", "-s", "10.78.0.1", "-d", "10.79.0.1", "--sport", "1234"]


def test_insert_update_delete(lab, agent):
    """conntrack -I, -U, -D, one by one: NEW in any state, UPDATE, DESTROY with a port id."""
    middle = lab.middle
    for index, state in enumerate(("SYN_SENT", "ESTABLISHED", "TIME_WAIT", "NONE")):
        middle.conntrack("-I", *TUPLE, "--dport", str(100 + index), "--state", state, "-t", "300")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 100, "SYN_SENT"): 1,
                             Cell("tcp", "forwarded", 101, "ESTABLISHED"): 1,
                             Cell("tcp", "forwarded", 102, "TIME_WAIT"): 1,
                             Cell("tcp", "forwarded", 103, "NONE"): 1}, exact=True, label="-I")
    middle.conntrack("-U", *TUPLE, "--dport", "100", "--state", "ESTABLISHED", "-t", "300",
                     "-u", "SEEN_REPLY,ASSURED")
    middle.conntrack("-U", *TUPLE, "--dport", "101", "-m", "7")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 100, "ESTABLISHED"): 1,
                             Cell("tcp", "forwarded", 101, "ESTABLISHED"): 1}, exact=True,
                     label="-U")
    middle.conntrack("-D", *TUPLE, "--dport", "102")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 102, "TIME_WAIT"): 0}, exact=True,
                     label="-D")


def test_flush(lab, agent, pair):
    for index, state in enumerate(traffic.TCP_STATES):
        for sport in range(20):
            traffic.Tcp(pair.flow(), 40000 + sport, 2000 + index).drive(state)
    agent.wait_equal(expect={Cell("tcp", "forwarded", 2000, "SYN_SENT"): 20}, label="made")
    lab.middle.conntrack("-F")
    agent.wait_equal(exact=True, label="-F")
    agent.wait_sums(0)


def test_reinserted_again_and_again(lab, agent):
    """Same tuple, same id, dead and alive in turns: the number must not drift."""
    for _ in range(25):
        lab.middle.conntrack("-I", *TUPLE, "--dport", "105", "--state", "SYN_SENT", "-t", "300")
        lab.middle.conntrack("-D", *TUPLE, "--dport", "105")
    lab.middle.conntrack("-I", *TUPLE, "--dport", "105", "--state", "LAST_ACK", "-t", "300")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 105, "LAST_ACK"): 1}, exact=True)


def test_mark_updates_keep_the_state(lab, agent, pair):
    """An UPDATE for a mark carries no protocol state: the cell must not move."""
    lab.middle.nft("""
table inet marks {
	chain pre { type filter hook prerouting priority 10; ct mark set meta length; }
}
""")
    connection = traffic.Tcp(pair.flow(), 40020, 106)
    connection.drive("ESTABLISHED")
    for size in range(10):
        connection.client(traffic.ACK | traffic.PSH, b"x" * size)
    agent.wait_equal(expect={Cell("tcp", "forwarded", 106, "ESTABLISHED"): 1}, exact=True)


def test_events_with_all_extras(lab, pair, start_agent):
    """Counters, timestamps and marks make longer messages, which say the same."""
    lab.middle.conntrack_sysctl("acct", 1)
    lab.middle.conntrack_sysctl("timestamp", 1)
    lab.middle.nft("""
table inet marks {
	chain pre { type filter hook prerouting priority 10; ct mark set meta length; }
}
""")
    before = traffic.Tcp(pair.flow(6), 40030, 108)
    before.drive("ESTABLISHED")
    agent = start_agent(lab.middle)
    agent.wait_equal(10, expect={Cell("tcp", "forwarded", 108, "ESTABLISHED"): 1}, label="dump")
    for index, state in enumerate(traffic.TCP_STATES):
        traffic.Tcp(pair.flow(6), 40031, 2000 + index).drive(state)
    agent.wait_equal(expect={Cell("tcp", "forwarded", 2000 + index, state): 1
                             for index, state in enumerate(traffic.TCP_STATES)}, label="events")
    lab.middle.conntrack("-F")
    agent.wait_equal(exact=True, label="flushed")
    agent.wait_sums(0)


@pytest.fixture
def ftp_helper(lab):
    lab.middle.nft("""
table inet ftp {
	ct helper ftp-standard { type "ftp" protocol tcp; l3proto ip; }
	chain pre {
		type filter hook prerouting priority 0;
		tcp dport 21 ct helper set "ftp-standard"
	}
}
""")


def converse(client, server, *lines):
    """Lines of an FTP dialogue, each read by the other side before the next is sent.

    The helper judges a line only if it saw the end of the line before it.
    """
    for index, line in enumerate((b"220 ready\r\n", b"USER anonymous\r\n", *lines)):
        sender, reader = (client, server) if index % 2 else (server, client)
        sender.sendall(line)
        assert reader.recv(200) == line


def test_related_connection(lab, agent, ftp_helper):  # pylint: disable=unused-argument
    """FTP: the data connection is RELATED, expected by a helper; here with real sockets."""
    with lab.server.socket() as control, lab.server.socket() as data:
        for listener, port in ((control, 21), (data, 2121)):
            listener.bind((lab.SERVER4, port))
            listener.listen()
            listener.settimeout(5)
        with lab.client.socket() as client:
            client.settimeout(5)
            client.connect((lab.SERVER4, 21))
            server = control.accept()[0]
            where = f"{lab.SERVER4.replace('.', ',')},{2121 >> 8},{2121 & 255}"
            converse(client, server, b"331 go on\r\n", b"PASV\r\n",
                     f"227 Entering Passive Mode ({where}).\r\n".encode())
            agent_module.poll(lambda: "2121" in lab.middle.conntrack("-L", "expect"), 3,
                              "the helper expects nothing")
            with lab.client.socket() as transfer:
                transfer.connect((lab.SERVER4, 2121))
                accepted = data.accept()[0]
                agent_module.poll(lambda: not lab.middle.conntrack("-L", "expect").strip(), 3,
                                  "the data connection was not the expected one")
                agent.wait_equal(expect={Cell("tcp", "forwarded", 21, "ESTABLISHED"): 1,
                                         Cell("tcp", "forwarded", 2121, "ESTABLISHED"): 1},
                                 exact=True, label="transfer")
                accepted.shutdown(socket.SHUT_RDWR)
                accepted.close()
            server.close()
    agent.wait_equal(exact=True, label="closed")


def test_expectation_alone_is_no_entry(lab, agent, ftp_helper):  # pylint: disable=unused-argument
    """Expectations have a table of their own and must not be counted."""
    with lab.server.socket() as control:
        control.bind((lab.SERVER4, 21))
        control.listen()
        with lab.client.socket() as client:
            client.connect((lab.SERVER4, 21))
            server = control.accept()[0]
            converse(client, server, b"331 go on\r\n", b"EPRT |1|10.77.1.2|4444|\r\n")
            agent_module.poll(lambda: "4444" in lab.middle.conntrack("-L", "expect"), 3,
                              "the helper expects nothing")
            agent.wait_equal(exact=True, expect={Cell("tcp", "forwarded", 21, "ESTABLISHED"): 1})
            agent.wait_sums(1)
            server.close()


def test_icmp_error_makes_no_entry(agent, pair):
    """A "port unreachable" belongs to the flow it quotes: no entry, no change of state."""
    flow = pair.flow()
    packet = traffic.udp(flow.src, flow.dst, 5001, 107)
    flow.forth(17, packet)
    quoted = traffic.ip4(flow.src, flow.dst, 17, packet)
    # The header checksum is filled by the kernel only for the outer header.
    quoted = quoted[:10] + traffic.inet_checksum(quoted[:20]).to_bytes(2, "big") + quoted[12:]
    body = bytes([3, 3, 0, 0]) + bytes(4) + quoted
    body = body[:2] + traffic.inet_checksum(body).to_bytes(2, "big") + body[4:]
    flow.back(1, body)
    agent.wait_equal(expect={Cell("udp", "forwarded", 107, "unreplied"): 1}, exact=True)
    assert sum(agent.cells().values()) == 1
