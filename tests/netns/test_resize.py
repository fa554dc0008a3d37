# SPDX-License-Identifier: GPL-2.0-or-later
"""The hash is resized while the agent reads it: a dump that proves nothing."""
import time

import pytest

import agent as agent_module
import sysctls
from oracle import Cell

pytestmark = [pytest.mark.slow, pytest.mark.global_sysctl]

ENTRIES = 100000


def test_hash_resized_during_a_dump(host, start_agent, flood, machine_sysctls):
    """Entries are neither lost nor doubled, and such a dump is never called valid.

    Shrinking a hash in mid-dump hides entries, growing it shows them twice; nothing in the
    answer says so. nf_conntrack_buckets is put back whatever happens.
    """
    buckets = sysctls.read("buckets")
    machine_sysctls()
    host.conntrack_sysctl("udp_timeout", 600)
    flood(host, rate=0, flows=ENTRIES).wait()
    assert host.count() == ENTRIES
    hit = 0
    for attempt in range(8):
        agent = start_agent(host, wait=False)
        agent_module.poll(lambda agent=agent: agent.log() or agent.status(), 5, "no sign of life",
                          interval=0.005)
        time.sleep(0.02 * attempt)
        sysctls.write("buckets", buckets // 4 if attempt % 2 == 0 else buckets * 2)
        sysctls.write("buckets", buckets)
        agent.wait_ready(30)
        status = agent.wait_equal(30, label=f"attempt {attempt}", expect={
            Cell("udp", "forwarded", 7000, "unreplied"): ENTRIES})
        hit += status["resyncs_invalid"] > 0
        agent.stop()
        if hit >= 2:
            break
    assert hit, "no resize met a dump: the test proved nothing"
    assert sysctls.read("buckets") == buckets
