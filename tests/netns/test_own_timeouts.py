# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries whose timeout a policy sets, not the sysctl: the forecast takes it from the entries."""
import json
import time

import agent as agent_module
import traffic

PORT, OWN_SECONDS = 5353, 3600
POLICY = f"""table ip own {{
  ct timeout long {{ protocol udp; l3proto ip; policy = {{ unreplied : {OWN_SECONDS} }}; }}
  chain forward {{ type filter hook forward priority 0; udp dport {PORT} ct timeout set "long"; }}
}}"""


def test_forecast_takes_the_timeout_of_a_policy(agent, pair):
    """The sysctl says 30 s: by that it would settle at a hundredth of what the kernel comes to."""
    agent.namespace.nft(POLICY)
    flow, began, sent = pair.flow(), time.monotonic(), 0
    while time.monotonic() - began < 40:
        for _ in range(10):
            flow.forth(17, traffic.udp(flow.src, flow.dst, 10000 + sent, PORT))
            sent += 1
        time.sleep(0.1)
    per_second = sent / (time.monotonic() - began)
    # The kernel has let none of them go.
    assert agent.namespace.count() == sent
    agent.wait_equal()
    forecast = json.loads(agent_module.cli(agent.runtime, "forecast", "--json").stdout)
    assert forecast["settles_at_entries"] > per_second * OWN_SECONDS / 3, forecast
    assert forecast["horizons"][-1]["p50"] > per_second * OWN_SECONDS / 3, forecast
