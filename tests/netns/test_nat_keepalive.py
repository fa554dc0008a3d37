# SPDX-License-Identifier: GPL-2.0-or-later
"""A proxy behind NAT that opens a connection for each request: where the kernel keeps ports in
TIME_WAIT they run out, and connections that are kept open, as advised, end it."""
import http.client
import os

import pytest

import agent as agent_module
import nat_oracle
import programs
from nat_oracle import RECLAIMS

FIRST, LAST = 20000, 20099
ROOM = LAST - FIRST + 1
# A connection that gets no port is never answered. One that gets a port taken back may meet the
# server's own TIME_WAIT: its SYN is answered by an ACK, and sent again after a second.
WAIT = f"proxy_connect_timeout {10 if RECLAIMS else 1}s;"


class Client(http.client.HTTPConnection):
    """From within a namespace."""

    def __init__(self, namespace, host):
        super().__init__(host, 80, timeout=30)
        self.namespace = namespace

    def connect(self):
        self.sock = self.namespace.socket()
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.host, self.port))


def ask(namespace, requests):
    """How many of them were answered by the backend."""
    answered = 0
    for _ in range(requests):
        client = Client(namespace, "127.0.0.1")
        client.request("GET", "/")
        answered += client.getresponse().status == 200
        client.close()
    return answered


@pytest.fixture
def one_cpu():
    """Two CPUs that translate at once may choose the same port of a small range."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    yield
    os.sched_setaffinity(0, cpus)


@pytest.fixture
def behind(lab, start_agent, one_cpu):
    """The agent in the router, which translates to a hundred ports; nginx before and behind it."""
    assert one_cpu is None
    lab.middle.conntrack_sysctl("tcp_timeout_time_wait", 600)
    nat_oracle.rules(lab.middle,
                     post=f'meta l4proto tcp oifname "server" masquerade to :{FIRST}-{LAST};')
    agent = start_agent(lab.middle, "--nat-ports", f"{FIRST}-{LAST}")
    backend = programs.Nginx(lab.server, programs.BACKEND, lab.SERVER4, 8080)
    try:
        proxy = programs.Nginx(lab.client, WAIT + programs.PROXY.format(backend=lab.SERVER4),
                               "127.0.0.1", 80)
        yield agent, proxy
        proxy.close()
    finally:
        backend.close()


def used(agent):
    return sum(row["used"] for row in nat_oracle.rows(agent))


def as_advised(agent, lab):
    """nginx.conf as printed, with names and addresses filled in."""
    item, = (item for item in agent_module.ask(agent.runtime, "advice")
             if item["id"] == "nat-keepalive-tcp-8080")
    text = "\n".join(item["commands"]["nginx"]).replace("BACKEND", "backend")
    upstream, location = text.replace("ADDRESS", lab.SERVER4).split("location", 1)
    return f"{WAIT} {upstream}\nserver {{ listen 80; location{location} }}"


@pytest.mark.each_kernel
def test_keepalive_ends_it(lab, behind):
    agent, proxy = behind
    answered = ask(lab.client, ROOM)
    if RECLAIMS:
        # What is in TIME_WAIT is taken back: nothing fails, and nothing is said to.
        assert answered + ask(lab.client, 10) == ROOM + 10
        # The kernel looks at 68 ports of the hundred, then takes back, though one may be free.
        nat_oracle.wait_equal(agent)
        assert used(agent) >= 0.9 * ROOM
        assert nat_oracle.rows(agent)[0]["ratio"] < 0.1
        status = agent.status()
        assert status["counters"]["nat_failures"] == 0 and status["level"] == "OK", status
        return
    agent_module.poll(lambda: used(agent) == ROOM, 6, lambda: nat_oracle.rows(agent))
    assert answered == ROOM and ask(lab.client, 5) == 0
    agent.wait_status(lambda status: status["counters"]["nat_failures"] >= 5, 6,
                      "five that found no port")
    assert agent.status()["level"] == "CRITICAL"
    proxy.reload(as_advised(agent, lab))
    # As if those in TIME_WAIT had run out.
    lab.middle.run("conntrack", "-F")
    failed = agent.counter("nat_failures")
    assert ask(lab.client, 2 * ROOM) == 2 * ROOM
    nat_oracle.wait_equal(agent)
    assert used(agent) <= 2 and agent.counter("nat_failures") == failed
