# SPDX-License-Identifier: GPL-2.0-or-later
"""Each pattern that `conntide why` knows, made with real packets, and named; and a healthy
mixed load, in which none is. docs/patterns.md has the thresholds.

Every scene has hosts of its own, and most last for the time that an agent takes to look
at the table twice: they are made at the same time. What needs the machine's own sysctls
comes after them.
"""
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import programs
import traffic
from agent import Agent, ask, patience, poll
from scene import WITHIN_S, Scene, send_on

pytestmark = pytest.mark.slow

ENTRIES = 800  # more than `why` needs of any pattern


def dead_backend(scene):
    """Nobody is at that address; the SYNs go into the void."""
    scene.middle.ip("route add 10.90.0.0/16 via " + scene.lab.SERVER4)
    scene.lab.server.sysctl("net/ipv4/ip_forward", 0)
    scene.sockets(scene.middle, "10.90.0.5", 5432, ENTRIES, wait=False)


def syn_flood(scene):
    """SYNs of addresses that never answer, to a port that does."""
    scene.keep(programs.Listener(scene.middle, "0.0.0.0", 443))
    wire = scene.wire(scene.lab.client)
    for number in range(ENTRIES):
        src = f"10.78.{number >> 8}.{number & 255}"
        wire.send(src, scene.lab.MIDDLE4C, 6,
                  traffic.tcp(src, scene.lab.MIDDLE4C, 1024 + number, 443, traffic.SYN, number, 0))


def udp_query_storm(scene):
    """A query a port, answered by nobody, and it goes on."""
    wire = scene.wire(scene.lab.client)

    def query(number):
        src = f"10.78.7.{number % 200 + 1}"
        wire.send(src, "10.79.0.53", 17,
                  traffic.udp(src, "10.79.0.53", 1024 + number % 60000, 53))
    send_on(scene, query)


def connected(scene, port):
    """Both ends of ENTRIES connections from the client to the middle."""
    listener = scene.keep(programs.Listener(scene.middle, "0.0.0.0", port))
    accepting = threading.Thread(target=listener.accept, args=(ENTRIES,), daemon=True)
    accepting.start()
    ours = scene.sockets(scene.lab.client, scene.lab.MIDDLE4C, port, ENTRIES)
    accepting.join(30)
    assert len(listener.accepted) == ENTRIES
    return ours, listener.accepted


def idle_established(scene):
    connected(scene, 3306)


def close_wait_leak(scene):
    """The clients go; the program never closes."""
    for one in connected(scene, 8000)[0]:
        one.close()


def time_wait_pile(scene):
    ours, theirs = connected(scene, 80)
    for one, other in zip(ours, theirs):
        one.close()
        other.close()


def one_host(scene):
    """Twelve hosts behind the gateway, of which one holds most; nobody answers slowly:
    every flow is answered twice, as streams are, so that it is no storm."""
    client, server = scene.wire(scene.lab.client), scene.wire(scene.lab.server)
    for host, flows in [(1, ENTRIES)] + [(number, 20) for number in range(2, 13)]:
        src = f"10.78.9.{host}"
        for number in range(flows):
            dst = f"10.79.{number % 200}.{host}"
            client.send(src, dst, 6, traffic.tcp(src, dst, 2000 + number, 993, traffic.ACK, 1, 1))
            server.send(dst, src, 6, traffic.tcp(dst, src, 993, 2000 + number, traffic.ACK, 1, 1))


def port_scan(scene):
    """One address knocks at each port of another."""
    wire = scene.wire(scene.lab.client)
    for port in range(1, ENTRIES + 1):
        wire.send("10.78.1.1", "10.79.1.1", 6,
                  traffic.tcp("10.78.1.1", "10.79.1.1", 40000, port, traffic.SYN, 1, 0))


def nat_collisions(scene):
    """Many hosts share one address and a handful of ports towards one server."""
    scene.middle.nft(f"""table ip nat {{
        chain post {{
            type nat hook postrouting priority 100
            ip daddr 10.79.1.1 udp dport 4500 snat to {scene.lab.MIDDLE4S}:2000-2399
        }}
    }}
    """)
    wire = scene.wire(scene.lab.client)

    def knock(number):
        src = f"10.78.{3 + number // 200 % 200}.{number % 200 + 1}"
        wire.send(src, "10.79.1.1", 17, traffic.udp(src, "10.79.1.1", 2000 + number % 7, 4500))
    send_on(scene, knock)


def other_protocol(scene):
    """ESP through the gateway, each between two addresses of its own."""
    wire = scene.wire(scene.lab.client)
    for number in range(ENTRIES):
        src, dst = f"10.78.30.{number % 200 + 1}", f"10.79.{number // 200}.{number % 199 + 1}"
        wire.send(src, dst, 50, bytes(16))


def udp_streams(scene):
    """Answered, and still there after the two seconds that make a stream."""
    client, server = scene.wire(scene.lab.client), scene.wire(scene.lab.server)
    for wait_s in (2.5, 0):
        for number in range(ENTRIES):
            src, port = f"10.78.40.{number % 200 + 1}", 20000 + number
            client.send(src, "10.79.1.1", 17, traffic.udp(src, "10.79.1.1", port, 443))
            server.send("10.79.1.1", src, 17, traffic.udp("10.79.1.1", src, 443, port))
        time.sleep(wait_s)


MADE = {"dead-backend": dead_backend, "syn-flood": syn_flood, "udp-query-storm": udp_query_storm,
        "udp-streams": udp_streams,
        "idle-established": idle_established, "close-wait-leak": close_wait_leak,
        "time-wait-pile": time_wait_pile, "one-host": one_host, "port-scan": port_scan,
        "nat-collisions": nat_collisions, "other-protocol": other_protocol}

# They must have been silent for half a minute, and the kernel have been asked of many.
WITHIN = {"udp-streams": 110}

# What another pattern may be besides, because that is there as well.
BESIDES = {"dead-backend": {"one-host"}, "one-host": {"idle-established"},
           "port-scan": {"one-host"}, "nat-collisions": {"udp-query-storm"}}

# Where it is: protocol, direction, port.
WHERE = {"dead-backend": ("tcp", "outbound", 5432), "syn-flood": ("tcp", "inbound", 443),
         "udp-query-storm": ("udp", "forwarded", 53), "idle-established": ("tcp", "inbound", 3306),
         "close-wait-leak": ("tcp", "inbound", 8000), "time-wait-pile": ("tcp", "inbound", 80),
         "udp-streams": ("udp", "forwarded", 443), "other-protocol": ("other", "forwarded", 50)}


def play(name):
    scene = Scene()
    try:
        MADE[name](scene)
        found = scene.shows(name, within_s=WITHIN.get(name, WITHIN_S))
        return found, set(scene.patterns())
    finally:
        scene.close()


@pytest.fixture(scope="module")
def played():
    with ThreadPoolExecutor(5) as pool:
        running = {name: pool.submit(play, name) for name in MADE}
        return {name: future.exception() or future.result() for name, future in running.items()}


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_pattern_is_named(played, name):  # pylint: disable=redefined-outer-name
    if isinstance(played[name], BaseException):
        raise played[name]
    found, names = played[name]
    assert names - BESIDES.get(name, set()) == {name}
    assert found["figures"], "the figures it rests on"
    assert found["confidence"] in ("sure", "likely") or found["unsure"], "why it is not sure"
    if name in WHERE:
        row = found["rows"][0]
        assert (row["l4proto"], row["direction"], row["port"]) == WHERE[name]


def mixed(scene, ending):
    """Requests over connections that are kept, some that are not, names looked up and
    answered, a few long sessions, pings."""
    client, server = scene.wire(scene.lab.client), scene.wire(scene.lab.server)
    for number in range(250):
        port = (443, 22, 5432, 6379, 8443)[number % 5]
        traffic.Tcp(traffic.Flow(traffic_pair(client, server), f"10.78.20.{number % 40 + 1}",
                                 f"10.79.20.{number % 30 + 1}"), 30000 + number,
                    port).drive("ESTABLISHED")
    number = 0
    while not ending.wait(0.05):
        number += 1
        src, dst = f"10.78.21.{number % 40 + 1}", f"10.79.21.{number % 3 + 1}"
        if number % 3 == 0:
            traffic.Tcp(traffic.Flow(traffic_pair(client, server), src, dst),
                        20000 + number % 40000, (80, 443)[number % 2]).drive("TIME_WAIT")
        if number % 5 == 0:
            client.send(src, dst, 17, traffic.udp(src, dst, 1024 + number % 60000, 53))
            server.send(dst, src, 17, traffic.udp(dst, src, 53, 1024 + number % 60000))
        if number % 10 == 0:
            client.send(src, dst, 1, traffic.echo(src, dst, 8, number % 65000))


class traffic_pair:  # pylint: disable=invalid-name,too-few-public-methods
    """What traffic.Flow wants of a pair: its two wires."""

    def __init__(self, client, server):
        self.client, self.server = client, server


def test_a_healthy_load_shows_none():
    scene = Scene()
    ending = threading.Event()
    thread = threading.Thread(target=mixed, args=(scene, ending), daemon=True)
    try:
        assert not scene.patterns(), "an empty table"
        thread.start()
        poll(lambda: scene.middle.count() > 500, WITHIN_S * patience(),
             lambda: f"{scene.middle.count()} entries")
        end = time.monotonic() + 25
        while time.monotonic() < end:
            assert not scene.patterns()
            time.sleep(1)
        advice = ask(scene.agent.runtime, "advice")
        assert [item["id"] for item in advice] == ["nothing-to-do"]
    finally:
        ending.set()
        thread.join()
        scene.close()


@pytest.mark.global_sysctl
def test_long_chains_are_named(host, machine_sysctls, flood):
    """Few buckets: packets are dropped far below the limit, and without a line in the log."""
    machine_sysctls(max=100000, buckets=512)
    agent = Agent(host)
    try:
        flood(host, rate=20000, flows=30000).communicate(timeout=60)
        assert host.count() < 30000
        flood(host, rate=1000, seconds=WITHIN_S, first=40000)
        found = poll(lambda: {one["pattern"]: one for one in ask(agent.runtime, "why")["patterns"]}
                     .get("chain-drops"), WITHIN_S * patience(),
                     lambda: ask(agent.runtime, "why")["patterns"], interval=1)
        assert found["confidence"] == "sure" and found["figures"]
        ids = [item["id"] for item in ask(agent.runtime, "advice")]
        assert "size" in ids, ids
    finally:
        agent.close()
