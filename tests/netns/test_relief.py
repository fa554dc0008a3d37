# SPDX-License-Identifier: GPL-2.0-or-later
"""What helps at once in a table that is nearly full, typed as it is printed: the kernel's count
falls by what was promised, and what is blocked stays out until the undo."""
import itertools

import pytest

import agent as agent_module
import traffic
from agent import poll

PORT = 7000
LIMIT = 1000
SMALL, LARGE = 20, 700


def commands(item, tool):
    """Without what only looks, and files of the machine."""
    return [line for line in item["commands"].get(tool, [])
            if not line.startswith("conntide ") and "/etc/" not in line]


def typed(place, item, *tools):
    for tool in tools:
        for line in commands(item, tool):
            # Of a family without entries there is nothing to delete, and conntrack says so.
            place.run("sh", "-c", line, check=not line.startswith("conntrack -D"))


def advised(agent, remedy):
    return {item["id"]: item for item in agent_module.ask(agent.runtime, "advice") or []}.get(remedy)


def wait_advised(agent, remedy):
    return poll(lambda: advised(agent, remedy), 30, lambda: f"{remedy} among "
                f"{[item['id'] for item in agent_module.ask(agent.runtime, 'advice') or []]}",
                interval=0.5)


def test_unanswered_udp_is_deleted(host, start_agent, flood):
    host.conntrack_sysctl("udp_timeout", 300)
    agent = start_agent(host, "--assume-max", str(LIMIT))
    flood(host, rate=5000, flows=LIMIT - 10).wait()
    agent.wait_equal()
    item = wait_advised(agent, "delete-udp-7000-unreplied")
    before = host.count()
    typed(host, item, "shell")
    assert before - host.count() == item["saves_entries"] == LIMIT - 10
    # The limit of a rehearsal is nobody's: it is neither set nor given back.
    assert "sysctl" not in (advised(agent, "size") or {"commands": {}})["commands"]


@pytest.mark.slow
def test_source_is_blocked_by_name(lab, start_agent, pair):
    """The largest of twelve, among them by name: its entries go, it makes none, others do."""
    lab.middle.conntrack_sysctl("udp_timeout", 600)
    sports = itertools.count(20000)

    def sends(number, count):
        src, dst = pair.addresses(4, number)[0], pair.addresses(4, 1)[1]
        flow = traffic.Flow(pair, src, dst)
        for sport in itertools.islice(sports, count):
            flow.forth(17, traffic.udp(flow.src, flow.dst, sport, PORT))

    agent = start_agent(lab.middle, "--assume-max", str(LARGE + 12 * SMALL))
    for number in range(2, 14):
        sends(number, SMALL)
    sends(1, LARGE)
    agent.wait_equal()
    item = wait_advised(agent, "block-source")
    source = pair.addresses(4, 1)[0]
    assert any(source in line for line in item["commands"]["nft"])
    assert not any("SOURCE" in line for lines in item["commands"].values() for line in lines)
    before = lab.middle.count()
    typed(lab.middle, item, "nft", "shell")
    assert before - lab.middle.count() == item["saves_entries"] == LARGE
    left = lab.middle.count()
    sends(1, 50)
    sends(2, 5)
    poll(lambda: lab.middle.count() == left + 5, 5, lambda: f"{left} + 5, not {lab.middle.count()}")
    typed(lab.middle, item, "undo")
    sends(1, 50)
    poll(lambda: lab.middle.count() == left + 55, 5, lambda: f"{left} + 55, not "
         f"{lab.middle.count()}")
