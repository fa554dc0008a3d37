# SPDX-License-Identifier: GPL-2.0-or-later
"""Who holds the table: by source, destination and service, as conntrack -L says."""
import itertools
import random
import signal

import pytest

import agent as agent_module
import oracle
import records
import traffic

# Lists are written once a second; an agent under a sanitizer is slower.
SHOWN_SECONDS = 6
SINK_PORT = 7000


def wait_held(agent, exact=True, within=SHOWN_SECONDS):
    """Polls until what is published is what the kernel has; returns the kernel's."""
    reader = records.Records(agent)
    last = {}

    def question():
        last["kernel"] = records.held(oracle.entries(agent.namespace))
        last["wrong"] = records.mismatch(last["kernel"], reader.talkers(), exact)
        return last["wrong"] is None
    agent_module.poll(question, within * agent_module.patience(), lambda: last["wrong"],
                      interval=0.2)
    return last["kernel"]


def udp(pair, family, source, destination, sport, dport):
    """One packet, one entry."""
    if family == 6:
        flow = traffic.Flow(pair, f"fd78::{source:x}", f"fd79::{destination:x}")
    else:
        flow = traffic.Flow(pair, f"10.78.1.{source}", f"10.79.1.{destination}")
    flow.forth(17, traffic.udp(flow.src, flow.dst, sport, dport))


def some(pair, seed, count=400):
    """Few hosts, few ports, and not one like the other; fewer keys than are listed."""
    rng = random.Random(seed)
    for _ in range(count):
        udp(pair, rng.choice((4, 6)), min(rng.randint(1, 12), rng.randint(1, 12)),
            min(rng.randint(1, 5), rng.randint(1, 5)), rng.randint(1024, 1400),
            rng.choice((53, 123, 443)))


@pytest.fixture
def patient(lab):
    """Entries of UDP that outlive the test."""
    lab.middle.conntrack_sysctl("udp_timeout", 600)
    return lab


def test_counts_by_address(patient, agent, pair):
    assert patient
    some(pair, 1)
    kernel = wait_held(agent)
    assert len(kernel["source"]) > 15 and len(kernel["service"]) > 20
    assert sum(kernel["source64"].values()) > 100


def test_hosts_before_the_agent_came(patient, pair, start_agent):
    some(pair, 2)
    agent = start_agent(patient.middle)
    wait_held(agent)
    some(pair, 3)
    wait_held(agent)


def test_the_destination_is_whom_the_client_dialled(patient, agent, pair):
    """DNAT to another address and port: the service is the one before it."""
    patient.middle.nft("""table inet nat {
        chain pre {
            type nat hook prerouting priority -100
            ip daddr 10.79.1.1 udp dport 53 dnat ip to 10.79.1.9:5353
        }
    }
    """)
    for sport in range(5000, 5010):
        udp(pair, 4, 1, 1, sport, 53)
    kernel = wait_held(agent)
    assert kernel["service"] == {("10.79.1.1", "udp", 53): 10}


def test_deleted_and_flushed(patient, agent, pair):
    some(pair, 4)
    wait_held(agent)
    patient.middle.conntrack("-D", "-s", "10.78.1.1")
    patient.middle.conntrack("-D", "-f", "ipv6", "-d", "fd79::1")
    kernel = wait_held(agent)
    assert "10.78.1.1" not in kernel["source"] and "fd79::1" not in kernel["destination"]
    patient.middle.conntrack("-F")
    assert not any(wait_held(agent).values())
    some(pair, 5)
    wait_held(agent)


def test_during_resyncs(patient, agent, pair):
    """Entries come and go while one dump after another builds the counts anew."""
    before = agent.counter("resyncs_valid")
    seeds = itertools.count(10)

    def churned():
        seed = next(seeds)
        some(pair, seed, 150)
        agent.signal(signal.SIGHUP)
        some(pair, seed + 1000, 50)
        patient.middle.conntrack("-D", "-s", f"10.78.1.{seed % 12 + 1}", check=False)
        return agent.counter("resyncs_valid") > before + 2
    # Requests that come together are one comparison, and they keep a distance.
    agent_module.poll(churned, 60, "no three resyncs")
    wait_held(agent)


@pytest.mark.slow
def test_what_a_sweep_removes_is_subtracted(patient, pair, start_agent):
    """Entries vanish while nobody listens: the comparison finds them gone, without a
    tuple to subtract, and the counts by address are right again."""
    agent = start_agent(patient.middle, "--event-buffer", "8192", "--event-buffer-max", "8192")
    some(pair, 6, 300)
    wait_held(agent, within=40)
    agent.signal(signal.SIGSTOP)
    patient.middle.conntrack("-D", "-p", "udp", "--dport", "53")
    some(pair, 7, 400)
    patient.middle.conntrack("-D", "-p", "udp", "--dport", "123")
    agent.signal(signal.SIGCONT)
    wait_held(agent, within=40)
    status = agent.status()
    assert status["events_lost"] > 0, "the buffer cannot have held this"
    assert agent.counter("repairs_ghost") > 0, "nothing was swept"


@pytest.mark.slow
def test_more_keys_than_room(host, start_agent, flood):
    """150,000 services: what is stated of each and of the rest holds; hosts stay exact."""
    host.conntrack_sysctl("udp_timeout", 600)
    agent = start_agent(host)
    process = flood(host, rate=40000, flows=150000, ports=3)
    process.communicate(timeout=60)
    assert process.returncode == 0
    kernel = wait_held(agent, exact=False, within=60)
    if sum(kernel["source"].values()) < 140000:
        pytest.skip("the kernel's table has no room for 150,000 entries")
    listing = records.Records(agent).talkers()["service"]
    assert listing.tracked == listing.room == 65536
    assert any(talker.more for talker in listing.talkers)
    assert listing.missed < 200, "a bound that says nothing"
    for kind in ("source", "destination"):
        assert not any(talker.more for talker in records.Records(agent).talkers()[kind].talkers)
    # Most of it goes, and no error remains.
    host.conntrack("-D", "-p", "udp", "--dport", str(SINK_PORT))
    host.conntrack("-D", "-p", "udp", "--dport", str(SINK_PORT + 1))
    kernel = wait_held(agent, exact=False, within=60)
    agent.signal(signal.SIGHUP)
    wait_held(agent, exact=True, within=60)


def test_a_frame(patient, agent, pair):
    """Ten seconds later there is one, with the rows and hosts of the kernel's table."""
    reader = records.Records(agent)
    some(pair, 8)
    kernel = wait_held(agent)
    cells = oracle.cells(patient.middle)
    frame = agent_module.poll(lambda: (reader.frame() or None) if (
        reader.frame() and sum(row[0] for row in reader.frame().rows.values())
        == sum(cells.values())) else None, 25 * agent_module.patience(), "no frame of it",
        interval=0.5)
    for port in (53, 123, 443):
        assert frame.rows["udp", "forwarded", port][0] == sum(
            count for cell, count in cells.items() if cell.port == port)
    assert frame.rows_active == 3 and frame.sources == len(kernel["source"])
    assert {host.key: host.entries for host in frame.hosts}.items() <= kernel["source"].items()
    assert frame.count == sum(cells.values())
