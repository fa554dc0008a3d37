# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own counters, and a table that is full."""
import re

import pytest

import agent as agent_module
import sysctls
import traffic

# Name in `conntrack -S`: name in metrics.def.
COUNTERS = {"found": "stat_found", "invalid": "stat_invalid",
            "insert_failed": "stat_insert_failed", "drop": "stat_drop",
            "early_drop": "stat_early_drop", "error": "stat_error",
            "search_restart": "stat_search_restart", "clash_resolve": "stat_clash_resolve",
            "chaintoolong": "stat_chaintoolong"}


def kernel_counters(namespace):
    """Summed over CPUs, as conntrack(8) reads them."""
    sums = dict.fromkeys(COUNTERS, 0)
    for name, value in re.findall(r"(\w+)=(\d+)", namespace.conntrack("-S")):
        if name in sums:
            sums[name] += int(value)
    return sums


def wait_counters(agent, **at_least):
    """The published counters are the kernel's, and the traffic raised them at all."""
    seen = {}

    def equal():
        published = agent.status()["counters"]
        seen.update(kernel=kernel_counters(agent.namespace),
                    published={name: published[field] for name, field in COUNTERS.items()})
        return (seen["kernel"] == seen["published"]
                and all(seen["kernel"][name] >= value for name, value in at_least.items()))
    agent_module.poll(equal, 6, lambda: f"{at_least}: {seen}", interval=0.2)


@pytest.mark.each_kernel
def test_invalid_and_failed(lab, agent, pair):
    """A FIN out of nowhere is invalid; a broken checksum is an error or invalid too."""
    flow = pair.flow()
    for sport in range(50):
        flow.forth(6, traffic.tcp(flow.src, flow.dst, 28000 + sport, 501, traffic.FIN, 1, 0))
    wait_counters(agent, invalid=50)
    assert lab.middle.count() == 0


@pytest.mark.each_kernel
def test_counters_from_before_the_agent(lab, pair, start_agent):
    """Counters are the kernel's since boot, not the agent's since its start; nor are they 0 at
    first, or Prometheus would see them rise."""
    flow = pair.flow()
    for sport in range(20):
        flow.forth(6, traffic.tcp(flow.src, flow.dst, 28000 + sport, 502, traffic.FIN, 1, 0))
    agent = start_agent(lab.middle)
    assert agent.status()["counters"][COUNTERS["invalid"]] == 20, "as soon as there is a table"
    wait_counters(agent, invalid=20)


@pytest.mark.slow
@pytest.mark.each_kernel
def test_full_table(host, start_agent, flood):
    """At the limit: early drops counted, mirror == table, and the numbers still come."""
    limit = sysctls.read("max")
    if not 0 < limit <= 600000:
        pytest.skip(f"nf_conntrack_max is {limit}: too much to fill here")
    host.conntrack_sysctl("udp_timeout", 300)
    agent = start_agent(host)
    flood(host, rate=0, flows=limit + 5000).wait()
    assert host.count() >= limit * 0.99
    agent.wait_equal(10, label="full")
    wait_counters(agent, early_drop=1)
    status = agent.status()
    assert status["fill_ratio"] > 0.98 and status["max"] == limit
    assert status["residual_entries"] == status["entries"] - sum(agent.cells().values())
