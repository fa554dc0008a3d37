# SPDX-License-Identifier: GPL-2.0-or-later
"""Timeouts that a policy or a helper sets: seen in the entries, named, and used by the forecast."""
import contextlib
import re
import time

import pytest

import agent as agent_module
import sysctls
import traffic
from test_expectations import HELPERS, Registrar

POLICY_S = 600
POLICY = f"""
table inet longer {{
    ct timeout longer {{ protocol udp; policy = {{ unreplied : {POLICY_S}, replied : {POLICY_S} }}; }}
    chain new {{
        type filter hook prerouting priority -150;
        udp dport 5000 ct timeout set "longer"
    }}
}}
"""


def send(pair, number, dport):
    src, dst = pair.addresses(4, 1 + number % 5)[0], pair.addresses(4, 1)[1]
    traffic.Flow(pair, src, dst).forth(17, traffic.udp(src, dst, 10000 + number, dport))


def findings(agent, pattern):
    return [one for one in agent_module.ask(agent.runtime, "why")["patterns"]
            if one["pattern"] == pattern]


def left_s(namespace, dport):
    """The kernel's own: the longest that an entry of the port has left."""
    lines = namespace.conntrack("-L", "-p", "udp", "--dport", str(dport)).splitlines()
    return max(int(re.match(r"udp +17 (\d+) ", line).group(1)) for line in lines)


@pytest.mark.slow
def test_a_policy(lab, agent, pair):
    """Half the ports under a policy: the forecast knows which stay, advice does not promise."""
    lab.middle.nft(POLICY)
    began, count = time.monotonic(), 0
    # Beyond half a minute those without a policy go; and the forecast says something at 40 s.
    while time.monotonic() - began < 60 or count < 600:
        send(pair, count, 5000)
        time.sleep(0.09)
        count += 1
    per_s = count / (time.monotonic() - began)
    assert POLICY_S - 5 <= left_s(lab.middle, 5000) <= POLICY_S
    finding, = agent_module.poll(lambda: findings(agent, "long-timeout"), 25,
                                 lambda: agent_module.ask(agent.runtime, "why"), interval=0.5)
    assert finding["confidence"] == "sure"
    assert finding["figures"]["own_timeout_seconds"] == POLICY_S
    assert "not for the 30 s of nf_conntrack_udp_timeout: a timeout policy" in finding["summary"]
    # 6000 or so, where the setting would hold 300.
    settles = agent_module.ask(agent.runtime, "forecast")["settles_at_entries"]
    assert 0.5 * per_s * POLICY_S < settles < 1.5 * per_s * POLICY_S
    # The setting has no hold on them.
    then = agent_module.ask(agent.runtime, "whatif", "timeout.udp=10")
    assert then["saves_entries"] == 0 and then["settles_fewer_entries"] < settles / 20, then
    items = {item["id"] for item in agent_module.ask(agent.runtime, "advice")}
    assert "long-timeout-udp-5000" in items and "timeout-udp" not in items, items


@pytest.mark.global_sysctl
def test_a_helper(lab, agent):
    """Telephones that register: SIP's helper keeps their entries for an hour, not for UDP's 30 s."""
    lab.middle.nft(HELPERS)
    with contextlib.ExitStack() as stack:
        stack.enter_context(sysctls.changed(max=1000))
        registrar = Registrar(lab, stack)
        for _ in range(150):
            registrar.register()
            assert registrar.heard()
        kernel_s = left_s(lab.middle, 5060)
        assert kernel_s > 3000
        finding, = agent_module.poll(lambda: findings(agent, "long-timeout"), 25,
                                     lambda: agent_module.ask(agent.runtime, "why"), interval=0.5)
        assert kernel_s <= finding["figures"]["own_timeout_seconds"] <= 3600
        assert "their connection-tracking helper sets it" in finding["summary"]
        items = {item["id"] for item in agent_module.ask(agent.runtime, "advice")}
        assert "long-timeout-udp-5060" in items and "timeout-udp" not in items, items
