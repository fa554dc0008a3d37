# SPDX-License-Identifier: GPL-2.0-or-later
"""All voices together through idle, fill, flood, recovery, restart and rehearsal: at no
moment may one of them contradict another (voices.py)."""
import os
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "http"))

# pylint: disable=wrong-import-position
import agent as agent_module
import voices
from harness import Exporter, wait_for

pytestmark = pytest.mark.slow

LIMIT = 3000
TIMEOUT_S = 20
COLD_S = 40


@pytest.fixture
def serve():
    """serve(agent) starts an exporter of its table."""
    running = []

    def start(agent):
        running.append(Exporter(agent.runtime))
        return running[-1]
    yield start
    for exporter in running:
        exporter.close()


class Course:
    """Hears the voices until something is reached; fails at the first contradiction."""

    def __init__(self, agent, exporter):
        self.voices = voices.Voices(agent, exporter)
        self.levels = []

    def until(self, condition, seconds, what):
        end = time.monotonic() + seconds * agent_module.patience() * agent_module.SLOWNESS
        said = None
        while not (said and condition(said)):
            assert time.monotonic() < end, f"{what}: not within {seconds} s: {said}"
            said = self.voices.check() or said
            if said and (not self.levels or self.levels[-1] != said["level"]):
                self.levels.append(said["level"])
            time.sleep(0.3)
        return said

    def moments(self, count, seconds=120):
        goal = self.voices.samples + count
        return self.until(lambda _: self.voices.samples >= goal, seconds, f"{count} moments")


def test_no_voice_contradicts_another(host, start_agent, flood, serve):
    host.conntrack_sysctl("udp_timeout", TIMEOUT_S)
    agent = start_agent(host, "--assume-max", str(LIMIT))
    exporter = serve(agent)
    course = Course(agent, exporter)
    said = course.moments(5)
    assert said["rehearsal"] is True and said["limit"] == LIMIT and said["level"] == "OK"
    # A fill that levels off below the limit: it can say where.
    filling = flood(host, rate=60, seconds=3600)
    said = course.until(lambda said: said["settles_at_entries"] is not None, 4 * COLD_S,
                        "where it settles")
    course.moments(10)
    # A flood: full, without a flicker.
    wave = flood(host, rate=600, seconds=3600, first=1_000_000)
    course.until(lambda said: said["level"] == "FULL", 60, "FULL")
    before = len(course.levels)
    course.moments(10)
    assert course.levels[before:] == [], course.levels
    # Recovery: down through the levels, not up again.
    for process in (wave, filling):
        process.kill()
        process.wait()
    course.until(lambda said: said["level"] == "OK", 400, "OK again")
    after = course.levels[course.levels.index("FULL"):]
    ranks = [voices.LEVELS.index(level) for level in after]
    assert ranks == sorted(ranks, reverse=True), after


def test_a_restart_is_told_alike(host, start_agent, flood, serve):
    agent = start_agent(host, "--assume-max", str(LIMIT))
    exporter = serve(agent)
    flood(host, rate=2000, flows=2700).wait()
    course = Course(agent, exporter)
    said = course.until(lambda said: said["level"] in ("HIGH", "CRITICAL"), 30, "HIGH")
    assert said["entries"] >= 2700
    for end in (agent.kill, agent.stop):
        end()
        wait_for(lambda: agent_module.cli(agent.runtime, "status").returncode == 3, 30,
                 "the agent is missed")
        voices.check_silent(agent, exporter)
        agent.start()
        course.moments(3)
    agent.stop()
    # Without the rehearsal the limit is the kernel's, everywhere.
    agent.args = []
    agent.start()
    said = course.moments(3)
    assert said["rehearsal"] is False and said["level"] == "OK"
    assert said["limit"] == int(host.conntrack_sysctl("max"))


@pytest.mark.global_sysctl
def test_full_and_evicting_is_full(host, start_agent, flood, serve, machine_sysctls):
    """One entry below the limit and evicting: FULL without a flicker, and never "full in"."""
    machine_sysctls(max=2000)
    agent = start_agent(host)
    exporter = serve(agent)
    course = Course(agent, exporter)
    flood(host, rate=500, seconds=3600)
    course.until(lambda said: said["level"] == "FULL", 60, "FULL")
    before = len(course.levels)
    for _ in range(15):
        said = course.moments(1)
        assert "full in" not in said["verdict"], said
    assert course.levels[before:] == [], course.levels
    assert said["level_reason_code"] in ("evicting", "dropping", "at-limit")
