# SPDX-License-Identifier: GPL-2.0-or-later
"""Twins: the same programs under the same seeded load, one with the remedy in force from the
beginning. The difference of the kernel's two counts is what the remedy saves.

`a` is watched, and asked what it would save; then the remedy is applied to it, as printed, and it
becomes as `b` is. What is tried of whom stands in twin_suite.py.
"""
import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import time

import agent as agent_module
import netns
import programs

HERE = os.path.dirname(os.path.abspath(__file__))
GENERATOR = os.path.join(HERE, "twin_load.py")
CATALOGUE = os.path.join(agent_module.BUILD, "tests", "remedy-catalogue")
CLIENTS = [f"10.77.1.{number}" for number in range(100, 120)]
EVERY_S = 0.5  # the kernel's counts are read
ASKED_EVERY = 4  # of these
STOP_S = 20


def allowed(true, entries):
    """Of a saving: three times what chance does to a table of so many entries, at least."""
    return max(0.1 * abs(true), 3 * math.sqrt(entries), 20)


def mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


class Server(programs.Program):
    """Any other daemon that stays in the foreground. `text`: its configuration."""

    def __init__(self, namespace, name, text, argv, ready):
        super().__init__(namespace, name)
        self.write(text.format(directory=self.directory))
        self.launch([word.format(config=self.config, directory=self.directory) for word in argv],
                    *ready)


class Twin:
    """A lab whose middle is the host in question, and what runs in it."""

    def __init__(self, timeouts):
        self.stack = contextlib.ExitStack()
        self.lab = netns.Lab()
        self.stack.callback(self.lab.close)
        self.middle = self.lab.middle
        self.lab.client.ip(*(f"addr add {address}/24 dev edge" for address in CLIENTS))
        self.middle.sysctl("net/ipv4/ip_local_port_range", "1024 65535")
        self.middle.conntrack_sysctl("events", 1)
        for name, value in timeouts.items():
            self.middle.conntrack_sysctl(name, value)
        self.proxy = None
        self.load = None

    def keep(self, thing):
        self.stack.callback(thing.close)
        return thing

    def generate(self, namespace, *argv):
        process = namespace.popen([sys.executable, GENERATOR, *map(str, argv)],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def drive(self, begin, scene):
        """`begin`: of the load, CLOCK_MONOTONIC."""
        kind, port = scene.kind, scene.port
        void = kind in ("udp", "syn")
        self.load = self.generate(self.middle if void else self.lab.client, begin, scene.name,
                                  scene.shape, kind, self.lab.MIDDLE4C, port, scene.per_s,
                                  *(() if void else CLIENTS))

    def done(self):
        """What the load came to."""
        self.load.terminate()
        return json.loads(self.load.communicate(timeout=STOP_S)[0])

    def close(self):
        self.stack.close()


class Samples:
    """(CLOCK_REALTIME, count of a, count of b)."""

    def __init__(self, one, other):
        self.pair, self.taken = (one, other), []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ended.wait(EVERY_S):
            self.taken.append((time.time(), *(twin.middle.count() for twin in self.pair)))

    def held(self, first, last):
        """What a held between two moments, in the mean."""
        return mean(one for when, one, _ in list(self.taken) if first <= when <= last)

    def saved(self, first, last):
        """By how much more that was than b's."""
        return mean(one - other for when, one, other in list(self.taken) if first <= when <= last)

    def fullest(self, first=0, last=math.inf):
        """When a held most, and by how much more that was than b's."""
        when, one, other = max((sample for sample in list(self.taken) if first <= sample[0] <= last),
                               key=lambda sample: sample[1])
        return when, one - other

    def close(self):
        self.ended.set()
        self.thread.join(STOP_S)


class Told:
    """What was said in a window, and what was so at the same moments."""

    def __init__(self):
        self.said = {"saves_entries": [], "settles_fewer_entries": [], "settles_at_entries": []}
        self.last = None
        self.began = self.ended = None

    def ask(self, runtime, words):
        answer = agent_module.ask(runtime, "whatif", *words)
        if not answer:
            return
        self.last = answer
        self.began = self.began or time.time()
        self.ended = time.time()
        for name, values in self.said.items():
            values.append(answer[name])


class Play:
    """One scene from its beginning to its end."""

    def __init__(self, scene):
        self.scene = scene
        self.stack = contextlib.ExitStack()
        self.a = self.b = self.agent = self.samples = None
        self.begin = 0.0

    def run(self):
        scene = self.scene
        with self.stack:
            self.build()
            self.until(scene.asked_from_s)
            now = self.ask(scene.asked_for_s)
            peak = self.peak(now)
            saved = self.samples.saved(now.began, now.ended)
            late = now
            if scene.settled_from_s > scene.asked_from_s:
                self.until(scene.settled_from_s)
                late = self.ask(scene.settled_for_s)
            settled = 0 if scene.shape == "burst" else self.samples.saved(late.began, late.ended)
            item = self.printed()
            relief = self.relieve(item, settled) if scene.relief else None
            loads = [twin.done() for twin in (self.a, self.b)]
            return {"now": (mean(now.said["saves_entries"]), saved),
                    "peak": peak,
                    "settled": (mean(now.said["settles_fewer_entries"]), settled),
                    "table": (mean(now.said["settles_at_entries"]),
                              self.samples.held(late.began, late.ended)),
                    "relief": relief, "printed": self.same(item), "loads": loads}

    def build(self):
        scene = self.scene
        self.a, self.b = (self.stack.enter_context(contextlib.closing(Twin(scene.timeouts)))
                          for _ in range(2))
        scene.remedy.type_in(self.b)
        self.begin = time.monotonic() + 15
        for twin in (self.a, self.b):
            scene.program(twin, scene.remedy, twin is self.b, self.begin)
        # One that nobody asks is beside b: looking at entries collects those that have expired.
        # 160 a second are few for a table that matters, but all of these within half a minute.
        looks = () if scene.prompt else ("--audit-rate", "4")
        self.agent, _ = (self.stack.enter_context(contextlib.closing(
            agent_module.Agent(twin.middle, *looks))) for twin in (self.a, self.b))
        self.samples = self.stack.enter_context(contextlib.closing(Samples(self.a, self.b)))
        assert time.monotonic() < self.begin, "a busy machine: the programs took too long"
        for twin in (self.a, self.b):
            twin.drive(self.begin, scene)

    def until(self, since_begin_s):
        time.sleep(max(0, self.begin + since_begin_s - time.monotonic()))

    def ask(self, seconds):
        told, last = Told(), time.monotonic() + seconds
        while time.monotonic() < last:
            told.ask(self.agent.runtime, self.scene.remedy.words)
            time.sleep(EVERY_S * ASKED_EVERY)
        assert told.last, "the agent did not answer"
        return told

    def peak(self, told):
        """The fullest moment is one of the walks, ten seconds apart, that the agent made."""
        items = {item["id"]: item for item in agent_module.ask(self.agent.runtime, "advice")}
        item = items.get(self.scene.remedy.id)
        when = item and item.get("saves_peak_timestamp_seconds") or self.samples.fullest()[0]
        # The collector may have come a second later.
        return told.last["saves_peak_entries"], self.samples.fullest(when - 3, when + 3)[1]

    def printed(self):
        """The item of the advice, if it is given now."""
        for item in agent_module.ask(self.agent.runtime, "advice"):
            if item["id"] == self.scene.remedy.id:
                return item
        return None

    def same(self, item):
        """Was it what b has had?"""
        return None if item is None else self.scene.remedy.is_that(item)

    def relieve(self, item, saved):
        """Types what is printed into a; (said, measured) seconds until it is as b is."""
        said = agent_module.ask(self.agent.runtime, "whatif", *self.scene.remedy.words)
        fully_s = said["helps_fully_seconds"]
        self.scene.remedy.apply(self.a, item)
        began = time.time()
        near = allowed(saved, said["entries"])
        while time.time() < began + 1.5 * fully_s + 30:
            time.sleep(1)
            now = time.time()
            left = self.samples.saved(now - 5, now)
            if left is not None and left <= near:
                return fully_s, now - began
        return fully_s, math.inf


# --- remedies ----------------------------------------------------------------------------


def catalogued(name, **words):
    """Commands of advice for nft, of the kind of row named, with another port."""
    lines = subprocess.run([CATALOGUE], capture_output=True, text=True, check=True).stdout
    found = lines.split(f"item {name}-1 1\n", 1)[1].split("item ", 1)[0].splitlines()
    text = "\n".join(line.split("\t", 1)[1] for line in found if line.startswith("nft\t"))
    for word, value in words.items():
        text = text.replace(word, str(value))
    return text.splitlines()


class Remedy:
    """`words` of the what-if, `id` of the advice, `commands` of `tool` that are typed."""

    tool = "sysctl"

    def __init__(self, name, words, commands):
        self.id, self.words, self.commands = name, words, commands

    def type_in(self, twin, commands=None):
        twin.middle.run("sh", "-e", "-c", "\n".join(commands or self.commands) or ":")

    def apply(self, twin, item):
        self.type_in(twin, item and item["commands"].get(self.tool))

    def is_that(self, item):
        return item["commands"].get(self.tool) == self.commands


class Timeout(Remedy):
    def __init__(self, name, seconds):
        sysctl = f"{name[:3]}_timeout{name[3:]}"
        super().__init__(f"timeout-{name}", [f"timeout.{name}={seconds}"],
                         [f"sysctl -w net.netfilter.nf_conntrack_{sysctl}={seconds}"])


class Notrack(Remedy):
    tool = "nft"

    def __init__(self, l4proto, port, direction):
        super().__init__(f"notrack-{l4proto}-{port}-{direction}",
                         [f"notrack={l4proto}/{port}/{direction}"],
                         catalogued(f"notrack-{l4proto}-8080-{direction}", **{"8080": port}))


class Keepalive(Remedy):
    """In the configuration of `program`: whoever runs it knows how."""

    def __init__(self, program, lines, port=8080):
        self.tool = program
        super().__init__(f"keepalive-tcp-{port}", [f"keepalive=tcp/{port}"], [])
        self.lines = lines

    def type_in(self, twin, commands=None):
        pass

    def apply(self, twin, item):
        twin.proxy.kept(item["commands"][self.tool] if item else self.lines)

    def is_that(self, item):
        def words(lines):
            return [word for line in lines for word in line.split() if not word[0].isdigit()]
        return words(item["commands"][self.tool]) == words(self.lines)
