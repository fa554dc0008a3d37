# SPDX-License-Identifier: GPL-2.0-or-later
"""How entries end and how long they stay, with entries that the kernel really ends."""
import time

import pytest

import agent as agent_module
import oracle
import records
import traffic

# The kernel's collector comes when it likes, up to a minute late; each dump collects too.
COLLECT_SECONDS = 60


def wait_ends(agent, row, expect, within=COLLECT_SECONDS, dump=True):
    """Until entries of the row have ended so; a dump makes the kernel let go of expired ones."""
    reader = records.Records(agent)
    last = {}

    def question():
        if dump:
            oracle.listing(agent.namespace)
        last["ends"] = reader.ends(*row)
        return last["ends"] == expect
    agent_module.poll(question, within * agent_module.patience(),
                      lambda: f"ends {last['ends']}, expected {expect}", interval=0.3)
    return reader.detail(*row)


def forwarded(port, l4proto="tcp"):
    return l4proto, "forwarded", port


def test_time_wait_runs_out(lab, agent, pair):
    lab.middle.conntrack_sysctl("tcp_timeout_time_wait", 2)
    began = time.monotonic()
    for sport in range(40000, 40005):
        traffic.Tcp(pair.flow(), sport, 80).drive("TIME_WAIT")
    detail = wait_ends(agent, forwarded(80), {"closed": 5})
    took_ms = (time.monotonic() - began) * 1000
    assert detail.whole.count == detail.tail.count == detail.states["TIME_WAIT"].count == 5
    # Whole seconds are rounded down by the kernel; ticks are 17 ms.
    assert 5 * 900 < detail.tail.sum_ms <= 5 * (took_ms + 500)
    assert detail.tail.sum_ms <= detail.whole.sum_ms
    for state in ("SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK"):
        assert detail.states[state].count == 5, state


def test_nobody_answers(lab, agent, pair):
    lab.middle.conntrack_sysctl("tcp_timeout_syn_sent", 1)
    lab.middle.conntrack_sysctl("udp_timeout", 1)
    flow = pair.flow()
    traffic.Tcp(flow, 40000, 81).drive("SYN_SENT")
    flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, 53))
    wait_ends(agent, forwarded(81), {"expired": 1})
    wait_ends(agent, forwarded(53, "udp"), {"expired": 1})


def test_refused_by_a_reset(agent, pair):
    """The reset is the only answer: the kernel deletes at once, with its time left."""
    connection = traffic.Tcp(pair.flow(), 40000, 82)
    connection.drive("SYN_SENT")
    connection.server(traffic.RST | traffic.ACK)
    detail = wait_ends(agent, forwarded(82), {"closed": 1}, 5, dump=False)
    assert detail.states["SYN_SENT"].count == 1 and detail.whole.count == 1


def test_reset_then_run_out(lab, agent, pair):
    lab.middle.conntrack_sysctl("tcp_timeout_close", 1)
    traffic.Tcp(pair.flow(), 40000, 83).drive("CLOSE")
    detail = wait_ends(agent, forwarded(83), {"closed": 1})
    assert detail.states["CLOSE"].count == 1


def test_a_successor_takes_the_place(agent, pair):
    """SYN over TIME_WAIT: the kernel kills the old entry and makes a new one."""
    connection = traffic.Tcp(pair.flow(), 40000, 84)
    connection.drive("TIME_WAIT")
    agent.wait_equal(expect={oracle.Cell("tcp", "forwarded", 84, "TIME_WAIT"): 1})
    connection.seq += 100000
    connection.client(traffic.SYN)
    agent.wait_equal(expect={oracle.Cell("tcp", "forwarded", 84, "SYN_SENT"): 1})
    wait_ends(agent, forwarded(84), {"closed": 1}, 5, dump=False)


def test_deleted_by_a_program(lab, agent, pair):
    for sport, state in ((1, "SYN_SENT"), (2, "ESTABLISHED"), (3, "TIME_WAIT"), (4, "CLOSE")):
        traffic.Tcp(pair.flow(), 40000 + sport, 85).drive(state)
    agent.wait_equal()
    lab.middle.conntrack("-D", "-p", "tcp", "--dport", "85")
    wait_ends(agent, forwarded(85), {"deleted": 4}, 5, dump=False)
    traffic.Tcp(pair.flow(), 40000, 86).drive("ESTABLISHED")
    agent.wait_equal()
    lab.middle.conntrack("-F")
    detail = wait_ends(agent, forwarded(86), {"deleted": 1}, 5, dump=False)
    assert detail.whole.count == 1


def test_there_before_the_agent(lab, pair, start_agent):
    """How it ended is known, for how long it was there is not."""
    # Born before anybody listened, it would be silent otherwise.
    lab.middle.conntrack_sysctl("events", 1)
    connection = traffic.Tcp(pair.flow(), 40000, 87)
    connection.drive("ESTABLISHED")
    agent = start_agent(lab.middle)
    agent.wait_equal()
    lab.middle.conntrack("-D", "-p", "tcp", "--dport", "87")
    detail = wait_ends(agent, forwarded(87), {"deleted": 1}, 5, dump=False)
    assert detail.whole.count == detail.tail.count == detail.states["ESTABLISHED"].count == 0


def test_masquerade_goes_down(lab, agent, pair):
    """The kernel itself deletes what was masqueraded, when the interface goes."""
    lab.middle.nft("""table ip nat {
        chain post {
            type nat hook postrouting priority 100
            udp dport 88 masquerade
        }
    }
    """)
    flow = pair.flow()
    flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, 88))
    agent.wait_equal(expect={oracle.Cell("udp", "forwarded", 88, "unreplied"): 1})
    lab.middle.ip("link set server down")
    wait_ends(agent, forwarded(88, "udp"), {"deleted": 1}, 20, dump=False)


@pytest.mark.slow
@pytest.mark.global_sysctl
def test_evicted_from_a_full_table(host, start_agent, machine_sysctls, flood):
    """Early drop: the kernel counts the same, and the table was never anything but UDP."""
    host.conntrack_sysctl("udp_timeout", 600)
    # Several times more buckets than entries, and the eight that are searched find nothing.
    machine_sysctls(max=2000, buckets=1024)
    agent = start_agent(host)
    # The kernel may still be removing what floods of other tests left: with these few
    # buckets its chains are too long for anything new.
    agent_module.poll(lambda: " refused 0 " in flood(
        host, rate=1000, flows=5, first=1000000, port=9).communicate(timeout=10)[0], 60,
        "room in the chains", interval=1)
    host.conntrack("-D", "-p", "udp", "--dport", "9", check=False)
    said = flood(host, rate=2000, flows=6000).communicate(timeout=60)[0]
    assert 1900 < host.count() <= 2000, (host.count(), said)

    def dropped():
        text = host.conntrack("-S")
        return sum(int(word.split("=")[1]) for word in text.split()
                   if word.startswith("early_drop="))
    reader = records.Records(agent)
    row = ("udp", "forwarded", 7000)

    def agree():
        """What was refused while there was no room lets the collector evict down to 95 %
        once, which the kernel does not count."""
        return dropped() > 1000 and 0 <= reader.ends(*row).get("evicted", 0) - dropped() <= 110
    agent_module.poll(agree,
                      10 * agent_module.patience(),
                      lambda: f"{reader.ends(*row)}, the kernel dropped {dropped()} early")
    assert set(reader.ends(*row)) == {"evicted"}
