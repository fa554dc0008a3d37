# SPDX-License-Identifier: GPL-2.0-or-later
"""What reaches the person on call: loads that fill the table are announced before it is full,
with the port that fills it, and resolved afterwards; loads that do not are not mentioned.

    make test-live      one of each, with short waits
    make test-alerts    ten of each, with the rules as shipped, in about twenty minutes; writes
                        a table and the messages to build/alerts.md

The kernel's count is the judge of when the table was how full.
"""
import contextlib
import os
import resource
import time

import pytest

import agent as agent_module
from live import loads
from live.alert_chain import Chain, Scene

pytestmark = pytest.mark.slow

WHOLE = bool(os.environ.get("ALERTS_ALL"))
FORECAST, FULL = "ConntideTableFillsSoon", "ConntideTableCritical"
FOREVER_S = 900
# Waits of the rules that a short run cannot wait for.
SHORT = {"forecastAlarmFor": "5s", "criticalFor": "10s", "highFor": "30s", "keepFiringFor": "15s"}

UDP = {"udp_timeout": FOREVER_S}
MINUTE = {"udp_timeout": 60}
TIME_WAIT = {"tcp_timeout_time_wait": 120}
# nf_conntrack_tcp_packet() gives what nobody acknowledges the smallest of these.
SYN_SENT = {f"tcp_timeout_{name}": FOREVER_S
            for name in ("syn_sent", "unacknowledged", "max_retrans")}

# name: limit, timeouts, rate, more options of Load.
FILLING = {
    "a constant rate, flows that stay": (4000, UDP, loads.steady(7), {}),
    "a ramp": (4000, MINUTE, loads.ramp(8, 0.1, 30), {}),
    "twice as many from one moment on": (4000, UDP, loads.step(4, 7.5, 120), {}),
    "doubling every 190 s": (4000, MINUTE, loads.doubling(6, 190, 0), {}),
    "a leak of TCP connections": (1000, {}, loads.steady(1.9), {"kind": "leak"}),
    "more and more short TCP connections": (2000, TIME_WAIT, loads.ramp(2.5, 0.031, 30),
                                            {"kind": "short"}),
    "an uneven rate": (4000, UDP, loads.wander(loads.steady(7), 0.5, 10, 7), {}),
    "bursts every minute": (4000, UDP, loads.bursts(4, 20, 60, 12), {}),
    "unanswered SYNs": (4000, SYN_SENT, loads.wander(loads.steady(7), 0.2, 10, 9), {"kind": "syn"}),
    "a ramp with waves": (6000, {"udp_timeout": 300},
                          lambda t: loads.ramp(3, 0.036, 0)(t) + loads.wave(0, 1.5, 60)(t), {}),
}
LEVELLING = {
    "a constant rate": (4000, MINUTE, loads.steady(33), {}),
    "a step up": (4000, MINUTE, loads.step(10, 36, 120), {}),
    "a step down": (4000, MINUTE, loads.step(36, 12, 200), {}),
    "bursts every two minutes": (4000, MINUTE, loads.bursts(8, 30, 120, 20), {}),
    "a wave of five minutes": (4000, MINUTE, loads.wave(25, 10, 300), {}),
    "a slow ramp that ends": (4000, MINUTE, loads.ramp(10, 0.03, 0, 500), {}),
    "an uneven rate": (4000, MINUTE, loads.wander(loads.steady(25), 0.4, 20, 3), {}),
    "short TCP connections": (2000, TIME_WAIT, loads.steady(8), {"kind": "short"}),
    "nearly idle": (4000, MINUTE, loads.bursts(1, 20, 90, 10), {}),
    "busy from the start": (4000, {"udp_timeout": 30}, loads.steady(60), {}),
}
ONE_OF_EACH = ({"a constant rate, flows that stay": (1500, UDP, loads.steady(8), {})},
               {"a step up": (4000, {"udp_timeout": 40}, loads.step(10, 50, 70), {})})


def scenes_of(table, stack):
    scenes = []
    for name, (limit, timeouts, rate, more) in table.items():
        scenes.append(Scene(name, limit, timeouts, rate, **more))
        stack.callback(scenes[-1].close)
    return scenes


def names_the_port(scene, text):
    kind = scene.load_options.get("kind", "udp")
    if kind in ("leak", "short"):
        return f"tcp/{loads.TCP_PORT}" in text
    return any(f"{'tcp' if kind == 'syn' else 'udp'}/{loads.PORT + i}" in text for i in range(3))


def since(scene, message):
    return message[0] - scene.load_began if message else None


class Play:
    """All loads at once, until each that fills was full, was relieved and is resolved."""

    def __init__(self, chain, filling, levelling, seconds):
        self.chain, self.filling, self.levelling = chain, filling, levelling
        self.seconds = seconds

    def first(self, scene, name, status="firing"):
        return next(iter(self.chain.hook.of(scene.instance, name, status)), None)

    def done(self, scene):
        """Looks, and relieves the table once it was full and somebody was told."""
        if scene.load:
            scene.look()
        if scene.load and 1.0 in scene.passed and self.first(scene, FULL):
            scene.relieve()
        return not scene.load and self.first(scene, FORECAST, "resolved")

    def run(self):
        for scene in [*self.filling, *self.levelling]:
            scene.load_began = time.monotonic()
            scene.begin()
        began = told = time.monotonic()
        while time.monotonic() < began + self.seconds:
            for scene in self.levelling:
                scene.look()
            if all([self.done(scene) for scene in self.filling]):
                break
            if WHOLE and time.monotonic() > told + 60:
                told = time.monotonic()
                self.tell(told - began)
            time.sleep(1)

    def tell(self, seconds):
        """How far each load is, for the person who waits."""
        print(f"\n{seconds:.0f} s", flush=True)
        for scene in self.filling:
            messages = [f"{message[2]['alertname'][len('Conntide'):]} {message[1]}"
                        for message in self.chain.hook.of(scene.instance)]
            error = scene.load and scene.load.error
            print(f"  {scene.name}: {scene.host.count()} of {scene.limit} entries"
                  f"{'' if scene.load else ', relieved'}; {', '.join(messages) or 'no message'}"
                  f"{f'; the load failed: {error}' if error else ''}", flush=True)

    def rows(self):
        for scene in self.filling:
            times = [scene.passed.get(share) for share in (0.2, 0.8, 1.0)]
            yield [scene.name] + [at and at - scene.load_began for at in times] + [
                since(scene, self.first(scene, name, status)) for name, status in
                ((FORECAST, "firing"), (FULL, "firing"), (FORECAST, "resolved"))]


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """The whole of it, once; the tests look at what came."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    with contextlib.ExitStack() as stack:
        filling = scenes_of(FILLING if WHOLE else ONE_OF_EACH[0], stack)
        levelling = scenes_of(LEVELLING if WHOLE else ONE_OF_EACH[1], stack)
        chain = Chain(str(tmp_path_factory.mktemp("alerts")), filling + levelling,
                      **({} if WHOLE else SHORT))
        stack.callback(chain.close)
        made = Play(chain, filling, levelling, 1800 if WHOLE else 420)
        made.run()
        if WHOLE:
            report(made)
        yield made


def shown(seconds):
    return "-" if seconds is None else f"{seconds:.0f} s"


def report(made):
    path = os.path.join(agent_module.BUILD, "alerts.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write("Seconds since the load began.\n\n| load | 20 % | 80 % | full | "
                   "FillsSoon arrives | Critical arrives | FillsSoon resolved |\n"
                   "|---|---|---|---|---|---|---|\n")
        for row in made.rows():
            file.write(f"| {row[0]} | {' | '.join(shown(value) for value in row[1:])} |\n")
        file.write("\n| load that does not fill | most | messages |\n|---|---|---|\n")
        for scene in made.levelling:
            names = {message[2]["alertname"] for message in made.chain.hook.of(scene.instance)}
            file.write(f"| {scene.name} | {scene.most / scene.limit:.0%} | "
                       f"{', '.join(sorted(names)) or 'none'} |\n")
        for scene in made.filling:
            file.write(f"\n## {scene.name}\n\n")
            for message in made.chain.hook.of(scene.instance):
                text = message[3]["description" if message[1] == "firing" else "resolved"]
                file.write(f"- {message[0] - scene.load_began:.0f} s, {message[1]}, "
                           f"{message[2]['alertname']}: {text}\n")
    with open(path, encoding="utf-8") as file:
        print(file.read())


def test_it_is_announced_before_it_is_full(play):  # pylint: disable=redefined-outer-name
    for scene in play.filling:
        forecast, full = play.first(scene, FORECAST), play.first(scene, FULL)
        assert 1.0 in scene.passed, f"{scene.name}: {scene.most} entries of {scene.limit}"
        if WHOLE:
            assert scene.passed[0.8] - scene.passed[0.2] > 300, scene.name
        assert forecast and full, (scene.name, play.chain.hook.of(scene.instance))
        assert forecast[0] < full[0], f"{scene.name}: before the alert that it is nearly full"
        assert forecast[0] < scene.passed[1.0], f"{scene.name}: before it is full"


def test_it_names_the_port(play):  # pylint: disable=redefined-outer-name
    for scene in play.filling:
        for name in (FORECAST, FULL):
            text = play.first(scene, name)[3]["description"]
            assert names_the_port(scene, text), (scene.name, text)


def test_it_is_resolved_in_words_that_are_true(play):  # pylint: disable=redefined-outer-name
    for scene in play.filling:
        resolved = play.first(scene, FORECAST, "resolved")
        assert resolved, (scene.name, play.chain.hook.of(scene.instance))
        assert "no longer expected to fill" in resolved[3]["resolved"]
        assert "{{" not in str(resolved), resolved


def test_what_levels_off_raises_nothing(play):  # pylint: disable=redefined-outer-name
    for scene in play.levelling:
        assert 0.02 < scene.most / scene.limit < 0.7, (scene.name, scene.most)
        assert not play.chain.hook.of(scene.instance), scene.name


def test_nothing_else_is_said(play):  # pylint: disable=redefined-outer-name
    """Of a table that fills, a person hears no more than what it is about."""
    for scene in play.filling:
        names = {message[2]["alertname"] for message in play.chain.hook.of(scene.instance)}
        assert names <= {FORECAST, FULL, "ConntideTableHigh"}, (scene.name, names)
