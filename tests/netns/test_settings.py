# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of the kernel changed under a running agent: noticed, dated, said by every voice."""
import os
import time

import pytest

import agent as agent_module
import sysctls


def changes(agent):
    return agent.status()["setting_changes"]


def wait_change(agent, setting, new):
    """The newest change, and how long it took to see it."""
    began = time.monotonic()

    def newest():
        found = changes(agent)
        return found[0] if found and (found[0]["setting"], found[0]["new"]) == (setting, new) else None
    return agent_module.poll(newest, 10, f"{setting} is {new}"), time.monotonic() - began


@pytest.mark.global_sysctl
def test_a_limit_lowered_is_said_everywhere(agent):
    """old, new and time, in status, history, metrics; what every namespace shares, too."""
    before = sysctls.read("max")
    with sysctls.changed(max=before // 2):
        done = time.time()
        change, took = wait_change(agent, "nf_conntrack_max", before // 2)
        assert took < 3.5, "a second, with slack"
        assert change["old"] == before and not change["back_and_forth"]
        words = f"nf_conntrack_max lowered from {before} to {before // 2}"
        assert change["words"] == f"{words} at {change['changed_at']}"
        at = time.mktime(time.strptime(change["changed_at"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        assert abs(at - done) < 3.5
        assert f"settings    {words} at " in agent_module.cli(agent.runtime, "status").stdout
    wait_change(agent, "nf_conntrack_max", before)
    assert [one["new"] for one in changes(agent)] == [before, before // 2]


def test_of_this_namespace(lab, agent):
    """Events, accounting, timeouts, local ports; of other namespaces nothing."""
    lab.middle.conntrack_sysctl("udp_timeout", 47)
    change, _ = wait_change(agent, "nf_conntrack_udp_timeout", 47)
    assert change["words"].startswith("nf_conntrack_udp_timeout raised from 30 s to 47 s at ")
    lab.middle.conntrack_sysctl("acct", 1)
    change, _ = wait_change(agent, "nf_conntrack_acct", 1)
    assert change["words"].startswith("nf_conntrack_acct changed from 0 to 1 at ")
    lab.middle.sysctl("net/ipv4/ip_local_port_range", "20000 29999")
    change, _ = wait_change(agent, "ip_local_port_range", "20000-29999")
    assert " to 20000-29999 at " in change["words"]
    lab.client.sysctl("net/ipv4/ip_local_port_range", "30000 39999")
    lab.middle.conntrack_sysctl("events", 1)
    wait_change(agent, "nf_conntrack_events", 1)
    assert {one["setting"] for one in changes(agent)} == {
        "nf_conntrack_udp_timeout", "nf_conntrack_acct", "ip_local_port_range",
        "nf_conntrack_events"}


def test_two_that_fight(lab, agent):
    """There and back is what an operator may do; once more, and two programs write it."""
    for value, fight in ((60, False), (30, False), (60, True), (30, True)):
        lab.middle.conntrack_sysctl("udp_timeout", value)
        change, _ = wait_change(agent, "nf_conntrack_udp_timeout", value)
        assert change["back_and_forth"] is fight
    assert "back and forth 4 times: two programs write it" in agent_module.cli(agent.runtime, "status").stdout


def incident(agent):
    """The newest one, whole; None before there is one."""
    state = os.path.join(agent.runtime, "state")
    rows = agent_module.ask(agent.runtime, "incidents", "--state-dir", state)
    return rows and agent_module.ask(agent.runtime, "incidents", "--state-dir", state,
                                     rows[0]["id"])


@pytest.mark.global_sysctl
def test_an_incident_tells_what_made_it(host, start_agent, flood):
    """The table did not grow, the limit fell: the incident says so, and its history when."""
    before = sysctls.read("max")
    host.conntrack_sysctl("udp_timeout", 600)
    agent = start_agent(host)
    flood(host, rate=20000, flows=1800, first=1, port=5300).wait()
    agent_module.poll(lambda: agent.status()["entries"] >= 1800, 10, "1,800 entries")
    with sysctls.changed(max=2000):
        found = agent_module.poll(lambda: incident(agent), 15, "an incident")
    words = f"nf_conntrack_max lowered from {before} to 2000"
    assert found["status"]["setting_changes"][0]["words"].startswith(f"{words} at ")
    told = [row["settings"] for row in found["history"] if row["settings"]]
    assert [[one["new"] for one in second] for second in told] == [[2000]]
