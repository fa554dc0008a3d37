# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scenes of test_patterns and test_causes are made of."""
import contextlib
import random
import socket
import threading

import netns
import programs
import traffic
from agent import Agent, ask, patience, poll

WITHIN_S = 60


class Scene:
    """A lab whose middle is watched; what is opened in it stays open until its end."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.lab = netns.Lab()
        self.stack.callback(self.lab.close)
        self.middle = self.lab.middle
        self.middle.conntrack_sysctl("events", 1)
        self.agent = Agent(self.middle)
        self.stack.callback(self.agent.close)
        self.random = random.Random(4711)

    def keep(self, thing):
        self.stack.callback(thing.close)
        return thing

    def wire(self, namespace):
        return self.keep(traffic.Wire(namespace))

    def sockets(self, namespace, address, port, count, wait=True):
        """`count` TCP connections, or attempts at them when nobody waits."""
        made = []
        with namespace.inside():
            for _ in range(count):
                one = self.keep(socket.socket())
                one.setblocking(wait)
                one.connect_ex((address, port))
                made.append(one)
        return made

    def program(self, kind, *args):
        return self.keep(getattr(programs, kind)(*args))

    def patterns(self):
        why = ask(self.agent.runtime, "why")
        return {one["pattern"]: one for one in why["patterns"]} if why else {}

    def shows(self, name, sure=False, within_s=WITHIN_S, enough=lambda found: True):
        """Waits for the pattern, and for as much evidence as is asked for."""
        def question():
            found = self.patterns().get(name)
            shown = found and (not sure or found["confidence"] == "sure") and enough(found)
            return found if shown else None
        return poll(question, within_s * patience(),
                    lambda: f"{name} not among {self.patterns()}", interval=1)

    def advice(self):
        return {item["id"]: item for item in ask(self.agent.runtime, "advice")}

    def close(self):
        self.stack.close()


def send_on(scene, send):
    """send(1), send(2), ... a hundred times a second, to the end of the scene."""
    ending = threading.Event()

    def run():
        number = 0
        while not ending.wait(0.01):
            number += 1
            send(number)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    scene.stack.callback(thread.join)
    scene.stack.callback(ending.set)
