# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports of source NAT: as many as the kernel has, who has them, and when they run out."""
import contextlib
import errno
import os
import signal
import socket
import time

import pytest

import agent as agent_module
import nat_oracle
import traffic
from nat_oracle import RECLAIMS, Pool

FIRST, LAST = 20000, 20099


@pytest.fixture
def patient(lab):
    """Entries that outlive the test."""
    lab.middle.conntrack_sysctl("udp_timeout", 600)
    lab.middle.conntrack_sysctl("icmp_timeout", 600)
    lab.middle.conntrack_sysctl("icmpv6_timeout", 600)
    # On a slow machine those of ten seconds end before the last of them is made.
    for state in ("syn_sent", "syn_recv", "close_wait", "last_ack", "time_wait", "close"):
        lab.middle.conntrack_sysctl(f"tcp_timeout_{state}", 600)
    return lab


def udp(pair, host, dst_host, sport, dport, family=4):
    src, dst = pair.addresses(family, host)[0], pair.addresses(family, dst_host)[1]
    flow = traffic.Flow(pair, src, dst)
    flow.forth(17, traffic.udp(flow.src, flow.dst, sport, dport))


def some_of_all(lab, pair):
    """Every protocol that has ports to change, both families, a few clients and ends."""
    for host in range(1, 5):
        for dport in (53, 123):
            udp(pair, host, 1, 30000, dport)
            udp(pair, host, 2, 30000 + host, dport, family=6)
        traffic.Sctp(pair.flow(4, host), 31000, 36412).init()
        for ident in (1, 2):
            src, dst = pair.addresses(4, host)[0], pair.addresses(4, 9)[1]
            traffic.Flow(pair, src, dst).forth(1, traffic.echo(src, dst, 8, ident))
            src, dst = pair.addresses(6, host)[0], pair.addresses(6, 9)[1]
            traffic.Flow(pair, src, dst).forth(58, traffic.echo(src, dst, 128, ident))
        # A port below 512 gets one below 512, one below 1024 one from 600 on.
        udp(pair, host, 3, 111, 2049)
        udp(pair, host, 3, 900, 2049)
    for number, state in enumerate(traffic.TCP_STATES):
        flow = pair.flow(4, 1)
        flow.back_dst = lab.MIDDLE4S
        traffic.Tcp(flow, 40000 + number, 443).drive(state)


MASQUERADE = 'oifname "server" masquerade;'


@pytest.mark.each_kernel
def test_equal_to_the_kernel(patient, agent, pair):
    """Through all protocols, a comparison with the table, deletions and a restart."""
    nat_oracle.rules(patient.middle, post=MASQUERADE)
    some_of_all(patient, pair)
    kernel = nat_oracle.wait_equal(agent, label="all protocols")
    assert {pool.l4proto for pool in kernel} == {"tcp", "udp", "sctp", "icmp", "icmpv6"}
    assert kernel[Pool("tcp", patient.MIDDLE4S, "10.79.0.1", 443, 0)].closing == (
        3 if RECLAIMS else 0)
    agent.signal(signal.SIGHUP)
    agent.wait_status(lambda status: status["counters"]["resyncs_valid"] > 1, 10, "a comparison")
    nat_oracle.wait_equal(agent, label="after a comparison")
    patient.middle.conntrack("-D", "-p", "udp", "--dport", "53")
    patient.middle.conntrack("-D", "-p", "tcp", "--state", "TIME_WAIT")
    nat_oracle.wait_equal(agent, label="after deletions")
    agent.kill()
    udp(pair, 7, 1, 30007, 53)
    agent.start()
    nat_oracle.wait_equal(agent, label="after a restart")


@pytest.mark.each_kernel
def test_silent_changes_are_repaired(patient, agent, pair):
    """Entries go unheard while the agent sleeps with a tiny buffer: a comparison finds it."""
    nat_oracle.rules(patient.middle, post=MASQUERADE)
    for sport in range(40000, 40200):
        udp(pair, 1 + sport % 7, 1, sport, 53)
    nat_oracle.wait_equal(agent, expect=[200])
    agent.signal(signal.SIGSTOP)
    patient.middle.conntrack("-D", "-p", "udp", "--sport", "40000")
    patient.middle.conntrack("-F")
    for sport in range(41000, 41020):
        udp(pair, 1, 1, sport, 53)
    agent.signal(signal.SIGCONT)
    agent.signal(signal.SIGHUP)
    nat_oracle.wait_equal(agent, expect=[20], label="after a flush while it slept")


def test_several_addresses_and_destinations(patient, agent, pair):
    """Each outside address towards each destination is a pool of its own."""
    middle = patient.middle
    middle.ip(f"addr add 10.77.2.11/24 dev server", "addr add 10.77.2.12/24 dev server")
    nat_oracle.rules(middle, post='oifname "server" snat ip to 10.77.2.11-10.77.2.12;')
    for host in range(1, 21):
        for dst_host in (1, 2, 3):
            udp(pair, host, dst_host, 32000, 53)
    kernel = nat_oracle.wait_equal(agent)
    assert len(kernel) == 6 and sum(ports.used for ports in kernel.values()) == 60


def test_destination_nat_beside_it(patient, agent, pair):
    """The remote end is where packets really go; DNAT alone takes no port of ours."""
    nat_oracle.rules(patient.middle, post=MASQUERADE,
                     pre="udp dport 5353 dnat ip to 10.79.0.5:53;")
    for host in (1, 2, 3):
        udp(pair, host, 1, 33000, 5353)
    kernel = nat_oracle.wait_equal(agent)
    assert kernel == {Pool("udp", patient.MIDDLE4S, "10.79.0.5", 53, 0): (3, 0)}
    nat_oracle.rules(patient.middle, pre="udp dport 5354 dnat ip to 10.79.0.5:53;")
    patient.middle.run("nft", "flush", "chain", "inet", "nat", "post")
    udp(pair, 4, 1, 33000, 5354)
    assert nat_oracle.wait_equal(agent) == kernel


@pytest.mark.each_kernel
def test_own_connections_share_the_ports(patient, agent, pair):
    """What the router itself opens from its outside address counts in the same pool."""
    nat_oracle.rules(patient.middle, post=MASQUERADE)
    with patient.middle.socket(kind=socket.SOCK_DGRAM) as own:
        own.bind((patient.MIDDLE4S, 45000))
        own.sendto(b"conntide", ("10.79.0.1", 53))
        nat_oracle.wait_equal(agent, expect=[1])
        assert [row["kind"] for row in nat_oracle.rows(agent)] == ["local"]
        udp(pair, 1, 1, 45000, 53)
        nat_oracle.wait_equal(agent, expect=[2])
        row, = nat_oracle.rows(agent)
        assert (row["kind"], row["size"]) == ("snat", 64512)


@pytest.mark.each_kernel
def test_zones_are_apart(patient, agent, pair):
    patient.middle.nft("""
table ip zones {
	chain pre {
		type filter hook prerouting priority raw;
		ip saddr 10.78.0.2 ct zone set 7
	}
}
""")
    nat_oracle.rules(patient.middle, post=MASQUERADE)
    udp(pair, 1, 1, 34000, 53)
    udp(pair, 2, 1, 34000, 53)
    kernel = nat_oracle.wait_equal(agent)
    assert {pool.zone for pool in kernel} == {0, 7}


# --- a range that runs out -----------------------------------------------------------

@pytest.fixture
def narrow(patient, start_agent):
    """An agent that knows of a range of a hundred ports, and the rule."""
    nat_oracle.rules(patient.middle,
                     post=f'meta l4proto {{ tcp, udp }} oifname "server" masquerade to :{FIRST}-{LAST};')
    agent = start_agent(patient.middle, "--nat-ports", f"{FIRST}-{LAST}")
    # Two CPUs that translate at once may choose the same port of a small range: the kernel drops
    # the later packet (insert_failed). So this process, and all it sends, stays on one CPU.
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    yield agent
    os.sched_setaffinity(0, cpus)


def failures(agent):
    return agent.counter("stat_insert_failed")


def fullest(agent):
    found = nat_oracle.rows(agent)
    return found[0] if found else None


def test_warned_before_the_101st(patient, narrow, pair):
    """The 101st is the first that fails; destination, size and time stood there before."""
    told, began = None, time.monotonic()
    for number in range(100):
        udp(pair, 1 + number % 3, 1, 50000 + number, 53)
        time.sleep(0.1)
        row = fullest(narrow)
        if not told and row and row["time_to_full_seconds"]["likely"] is not None:
            told, per_s = row, (number + 1) / (time.monotonic() - began)
    # All hundred of them take more than ten seconds: half of it is enough.
    assert told and told["used"] < 90, told
    assert (told["remote"], told["remote_port"], told["size"]) == ("10.79.0.1", 53, 100)
    assert told["address"] == patient.MIDDLE4S and told["ports"] == f"{FIRST}-{LAST}"
    left = (100 - told["used"]) / per_s
    assert left / 3 < told["time_to_full_seconds"]["likely"] < left * 3
    nat_oracle.wait_equal(narrow, expect=[100])
    assert failures(narrow) == 0
    assert fullest(narrow)["ratio"] == 1 and fullest(narrow)["failing_share"] == 1
    udp(pair, 4, 1, 50500, 53)
    narrow.wait_status(lambda status: status["counters"]["stat_insert_failed"] == 1, 6,
                       "the 101st fails")
    narrow.wait_status(lambda status: status["counters"]["nat_failures"] == 1, 6,
                       "and is counted as NAT's")
    # Another destination has a pool of its own.
    for number in range(20):
        udp(pair, 1, 2, 50000 + number, 53)
    nat_oracle.wait_equal(narrow, expect=[20, 100])
    assert failures(narrow) == 1
    row, other = nat_oracle.rows(narrow)
    assert row["failing_measured"] and row["failing_share"] == 1
    assert other["ratio"] == 0.2 and other["failing_share"] == 0
    assert row["client"] in ("10.78.0.1", "10.78.0.2", "10.78.0.3")
    assert 33 <= row["client_ports"] <= 34


@pytest.mark.parametrize("state", ["ESTABLISHED", "CLOSE_WAIT", "TIME_WAIT", "CLOSE"])
@pytest.mark.each_kernel
def test_what_the_kernel_takes_back(patient, narrow, pair, state):
    """Ports of closing entries are not held where the kernel takes them back: measured here."""
    for number in range(100):
        flow = pair.flow(4, 1)
        flow.back_dst = patient.MIDDLE4S
        # The port that was chosen has to be answered: the client's own is in the range.
        traffic.Tcp(flow, FIRST + number, 443).drive(state)
    nat_oracle.wait_equal(narrow, expect=[100], label=state)
    taken_back = RECLAIMS and state in ("TIME_WAIT", "CLOSE")
    row, = nat_oracle.rows(narrow)
    assert row["reclaimable"] == (100 if taken_back else 0)
    assert row["ratio"] == (0 if taken_back else 1)
    for number in range(20):
        flow = pair.flow(4, 2)
        flow.dst = "10.79.0.1"
        connection = traffic.Tcp(flow, 51000 + number, 443)
        connection.seq = 900000
        connection.client(traffic.SYN)
    narrow.wait_status(lambda status: status["counters"]["stat_insert_failed"] ==
                       (0 if taken_back else 20), 6, f"what {state} makes of 20 more")
    nat_oracle.wait_equal(narrow, expect=[100], label="after 20 more")


def incident(agent):
    rows = agent_module.ask(agent.runtime, "incidents", "--state-dir",
                            os.path.join(agent.runtime, "state"))
    return rows[0] if rows else {}


def wait_level(agent, level, reason):
    agent.wait_status(lambda status: (status["level"], status["level_reason"]) == (level, reason),
                      6, f"{level}: {reason}")


def test_level_and_incident(narrow, pair):
    """OK, HIGH and CRITICAL by the ports alone; and the incident is kept, as NAT's."""
    for number in range(84):
        udp(pair, 1, 1, 50000 + number, 53)
    nat_oracle.wait_equal(narrow, expect=[84])
    assert narrow.status()["level"] == "OK" and not incident(narrow)
    udp(pair, 1, 1, 50100, 53)
    wait_level(narrow, "HIGH", "a NAT pool has 85.0 % of its ports in use")
    told = narrow.status()["nat"]
    assert (told["l4proto"], told["remote_port"]) == ("udp", 53)
    assert (told["held_ports"], told["size_ports"], told["ratio"]) == (85, 100, 0.85)
    agent_module.poll(lambda: incident(narrow).get("stages") == ["high"], 10, "an incident")
    for number in range(9):
        udp(pair, 1, 1, 50200 + number, 53)
    wait_level(narrow, "CRITICAL", "a NAT pool has 94.0 % of its ports in use")
    agent_module.poll(lambda: incident(narrow)["stages"] == ["high", "critical"], 10,
                      lambda: incident(narrow))
    for number in range(10):
        udp(pair, 1, 1, 50300 + number, 53)
    nat_oracle.wait_equal(narrow, expect=[100])
    agent_module.poll(lambda: incident(narrow)["stages"] == ["high", "critical", "drops"], 10,
                      lambda: incident(narrow))
    found = incident(narrow)
    assert (found["limit"], found["limit_entries"], found["peak_entries"]) == ("nat", 100, 100)
    assert found["peak_fill_ratio"] == 1 and found["pattern"] == "nat-pool"


# --- what helps ---------------------------------------------------------------------

def fill(narrow, pair, wanted=100):
    for number in range(100):
        udp(pair, 1 + number % 3, 1, 50000 + number, 53)
    nat_oracle.wait_equal(narrow, expect=[wanted])


def advised(agent, name):
    """The commands of an item, by tool, with the names in capitals filled in."""
    items = agent_module.ask(agent.runtime, "advice")
    item, = (item for item in items if item["id"] == name)
    return item


def run_as_printed(namespace, commands, names):
    for command in commands:
        for name, value in names.items():
            command = command.replace(name, value)
        if not command.startswith("#"):
            namespace.run("sh", "-c", command)


def translate_anew(namespace):
    """The rule that translated goes; an empty chain is there, as the commands want it."""
    namespace.run("nft", "flush", "chain", "inet", "nat", "post")
    namespace.nft("""
table ip nat {
	chain postrouting { type nat hook postrouting priority srcnat; }
}
""")


def test_what_if(narrow, pair):
    """Asked before it is done; where all that is new fails the load is taken for twice as much."""
    fill(narrow, pair)
    for change in ("nat.addresses=2", "nat.ports=20000-20199"):
        then = agent_module.ask(narrow.runtime, "whatif", change)["nat"]
        assert (then["held_ports"], then["size_ports"]) == (100, 100)
        assert then["ratio_then"] == 1
    then = agent_module.ask(narrow.runtime, "whatif", "nat.addresses=4")["nat"]
    assert then["ratio_then"] == 0.5 and then["failing_share_then"] == 0


def test_why_names_it(narrow, pair):
    fill(narrow, pair)
    finding = agent_module.ask(narrow.runtime, "why")["patterns"][0]
    assert finding["pattern"] == "nat-pool" and finding["confidence"] == "sure"
    assert finding["summary"].startswith("not the table: 100 % of the ports")
    assert finding["pool"] == "udp 10.77.2.1 towards 10.79.0.1:53"
    assert finding["host"]["address"] in ("10.78.0.1", "10.78.0.2", "10.78.0.3")


def test_more_addresses_help(patient, narrow, pair):
    """The commands, as printed: no connection fails any more."""
    fill(narrow, pair)
    item = advised(narrow, "nat-addresses-udp-53")
    translate_anew(patient.middle)
    names = {"ADDRESS1": patient.MIDDLE4S, "ADDRESS2": "10.77.2.12", "ADDRESS3": "10.77.2.13",
             "INTERFACE": "server"}
    # What keeps it over a reboot, in /etc, is not for a test; tests/netns/test_remedies.py runs it.
    now = [line for line in item["commands"]["shell"] if "/etc/" not in line]
    run_as_printed(patient.middle, now + item["commands"]["nft"], names)
    for number in range(100):
        udp(pair, 1 + number % 3, 1, 51000 + number, 53)
    nat_oracle.wait_equal(narrow)
    assert failures(narrow) == 0
    held = nat_oracle.pools(patient.middle, agent_module.oracle.LocalAddresses(patient.middle))
    assert len(held) == 3 and sum(ports.used for ports in held.values()) == 200


def test_a_wider_range_helps(patient, narrow, pair):
    fill(narrow, pair)
    item = advised(narrow, "nat-range-udp-53")
    translate_anew(patient.middle)
    run_as_printed(patient.middle, item["commands"]["nft"], {"INTERFACE": "server"})
    for number in range(100):
        udp(pair, 1 + number % 3, 1, 51000 + number, 53)
    nat_oracle.wait_equal(narrow)
    assert failures(narrow) == 0


def test_assumed_size(patient, start_agent, pair):
    """A NAT in front gives so many ports: the same arithmetic over what goes out."""
    agent = start_agent(patient.middle, "--assume-nat-ports", "64")
    with patient.middle.socket(kind=socket.SOCK_DGRAM) as own:
        own.sendto(b"conntide", ("10.79.0.1", 53))
        nat_oracle.wait_equal(agent, expect=[1])
    row, = nat_oracle.rows(agent)
    assert (row["size"], row["kind"], row["ports"]) == (64, "local", "")
    assert pair


def test_local_ports_run_out(patient, start_agent):
    """An estimate, but where one destination is all there is: exact. EADDRNOTAVAIL says when."""
    middle = patient.middle
    middle.sysctl("net/ipv4/ip_local_port_range", "30000 30099")
    middle.sysctl("net/ipv4/ip_local_reserved_ports", "30050-30059")
    agent = start_agent(middle)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(patient.server.socket()))
        listener.bind((patient.SERVER4, 8080))
        listener.listen(200)
        opened = 0
        try:
            while opened <= 100:
                own = stack.enter_context(contextlib.closing(middle.socket()))
                own.connect((patient.SERVER4, 8080))
                opened += 1
        except OSError as error:
            assert error.errno == errno.EADDRNOTAVAIL
        row = agent_module.poll(lambda: (fullest(agent) or {}).get("used") == opened and
                                fullest(agent), 10, lambda: f"{opened}: {fullest(agent)}")
        assert (row["kind"], row["remote"], row["remote_port"]) == ("local", patient.SERVER4, 8080)
        assert row["size"] == opened == 90 and row["ratio"] == 1
        sockets = middle.run("ss", "-Htn", "state", "established", f"dst {patient.SERVER4}:8080")
        assert len(sockets.splitlines()) == row["used"]
        # It is the host's own matter: no pool of NAT, and no level.
        assert agent.status()["level"] == "OK"


def test_said_in_words(narrow, pair):
    for number in range(90):
        udp(pair, 1, 1, 50000 + number, 53)
    nat_oracle.wait_equal(narrow, expect=[90])
    done = agent_module.cli(narrow.runtime, "nat")
    first = done.stdout.splitlines()[0]
    assert first.startswith("The fullest NAT pool, towards udp/53, holds 90 of 100 ports (90 %)")
    assert "a larger table does nothing" in first
    assert "10.79.0.1" in done.stdout and done.returncode == 0
