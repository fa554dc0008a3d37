# SPDX-License-Identifier: GPL-2.0-or-later
"""The share of new connections that find no port is known before it is measured, whatever ports
clients draw: within a factor of two, for three mixes. The kernel's insert_failed is the oracle.
`make nat-curve` has more points."""
import random

import pytest

import nat_mixes
import sysctls

pytestmark = pytest.mark.global_sysctl
PROBES = 1000


@pytest.fixture
def room():
    """A table that no chain of which refuses anything."""
    with sysctls.changed(max=262144, buckets=262144):
        yield


def check(expected, measured):
    if max(expected, measured) * PROBES < 10:
        return  # so few that it is chance
    assert measured / 2 <= expected <= measured * 2, (expected, measured)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linux-clients", "any-port", "counters"])
def test_expected_is_measured(room, lab, start_agent, name):
    """At two fills; one mix again by an agent that finds the pool as it starts."""
    assert room is None
    agent = start_agent(lab.middle)
    pool = nat_mixes.Pool(lab, name, random.Random(2))
    try:
        pool.fill(int(0.6 * nat_mixes.SIZE))
        agent.wait_status(lambda status: status["counters"]["resyncs_valid"] > 1, 15,
                          "a dump for the ports of before the pool was looked at")
        for fill in (0.90, 0.96):
            pool.fill(int(fill * nat_mixes.SIZE))
            expected = nat_mixes.expected(agent)
            check(expected, pool.probe(PROBES))
        if name == "linux-clients":
            agent.stop()
            agent.start()
            pool.probe(nat_mixes.BATCH)
            expected = nat_mixes.expected(agent)
            check(expected, pool.probe(PROBES))
    finally:
        pool.close()
