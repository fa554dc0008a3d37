# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic of a host of its own, at random moments, at a rate that may change."""
import math
import random
import socket
import threading
import time

LIVE_BEHIND_S = 1  # a busy machine delays arrivals; more than this is not made up for
PORT = 7000
TCP_PORT = 8080


class Load(threading.Thread):
    """Opens flows until stop(). `rate`: flows/s, or a function of the seconds since the start.

    `kind`: "udp", which nobody answers; "syn", likewise; "leak", TCP connections that stay
    open; "short", TCP connections that are closed at once and stay in TIME_WAIT.
    """

    def __init__(self, host, rate, kind="udp", ports=3, seed=0):
        super().__init__(daemon=True)
        self.host = host
        self.rate = rate
        self.ports = ports
        self.open_one = getattr(self, f"_{kind}")
        self.listener = self._listen() if kind in ("leak", "short") else None
        self.kept = []
        self.ending = False
        self.error = None
        self.random = random.Random(20_000 + seed)
        self.began = time.monotonic()
        self.start()

    def rate_now(self):
        rate = self.rate(time.monotonic() - self.began) if callable(self.rate) else self.rate
        return max(rate, 0.05)

    def run(self):
        try:
            due = time.monotonic()
            while not self.ending:
                due = max(due + self.random.expovariate(self.rate_now()),
                          time.monotonic() - LIVE_BEHIND_S)
                while not self.ending and due > time.monotonic():
                    time.sleep(min(0.5, max(0, due - time.monotonic())))
                if not self.ending:
                    self.open_one()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = error

    def _nobody(self):
        return f"10.80.{self.random.randrange(256)}.{self.random.randrange(256)}"

    def _port(self):
        return PORT + self.random.randrange(self.ports)

    def _udp(self):
        with self.host.socket(kind=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"?", (self._nobody(), self._port()))

    def _syn(self):
        with self.host.socket(kind=socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            sock.connect_ex((self._nobody(), self._port()))

    def _listen(self):
        listener = self.host.socket(kind=socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", TCP_PORT))
        listener.listen(64)
        return listener

    def _connect(self):
        client = self.host.socket(kind=socket.SOCK_STREAM)
        client.connect(("127.0.0.1", TCP_PORT))
        return client, self.listener.accept()[0]

    def _leak(self):
        self.kept.append(self._connect())

    def _short(self):
        client, server = self._connect()
        client.close()
        server.close()

    def stop(self):
        self.ending = True
        self.join()
        for pair in self.kept:
            for sock in pair:
                sock.close()
        if self.listener:
            self.listener.close()
        assert self.error is None, self.error


# Shapes: rates as functions of time. What fills does so in `fill_s` from 20 to 80 % of `limit`.


def steady(rate):
    return lambda _: rate


def step(before, after, at_s):
    return lambda t: before if t < at_s else after


def ramp(before, per_s, from_s, until_s=math.inf):
    return lambda t: before + per_s * max(0, min(t, until_s) - from_s)


def doubling(before, every_s, from_s, most=math.inf):
    return lambda t: min(most, before * 2 ** (max(0, t - from_s) / every_s))


def wave(mean, amplitude, period_s):
    return lambda t: mean + amplitude * math.sin(2 * math.pi * t / period_s)


def bursts(between, within, every_s, long_s, from_s=0):
    return lambda t: within if t >= from_s and (t - from_s) % every_s < long_s else between


def wander(shape, spread, every_s, seed):
    """The shape, times a random factor that changes every so often."""
    noise = random.Random(seed)
    factors = [noise.uniform(1 - spread, 1 + spread) for _ in range(1000)]
    return lambda t: shape(t) * factors[int(t / every_s) % len(factors)]
