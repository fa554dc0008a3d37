# SPDX-License-Identifier: GPL-2.0-or-later
"""A steady load, and the kernel's count while it goes on."""
import itertools
import math
import socket
import threading
import time

IP_BIND_ADDRESS_NO_PORT = 24  # of linux/in.h: the port is chosen when it connects
REQUEST = b"GET / HTTP/1.0\r\nHost: site\r\nConnection: close\r\n\r\n"


class Load:
    """So many requests a second, each on a connection of its own, until told to stop.

    By the clock: who is late catches up, so that the mean rate holds on a busy machine. It
    rises and falls by a seventh, as what people do, so that one can see what follows it.
    From each of `sources` in turn: one address alone takes a port again while the entry
    of before still waits, and ends it early.
    """

    WORKERS = 4
    WAVE_S = 35  # from one rise to the next: no multiple of the ten seconds that are counted
    AHEAD_S = 0.8  # and behind, at most

    def __init__(self, namespace, address, port, per_s, sources=("0.0.0.0",)):
        self.namespace = namespace
        self.address = (address, port)
        self.per_s = per_s
        self.sources = sources
        self.done = [0] * self.WORKERS
        self.failed = []
        self.stopped = threading.Event()
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                        for number in range(self.WORKERS)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        step = self.WORKERS / self.per_s
        evenly = self.began + number / self.per_s
        sources = itertools.cycle(self.sources[number::self.WORKERS] or self.sources)
        with self.namespace.inside():
            while not self.stopped.wait(max(0, self._due(evenly) - time.monotonic())):
                try:
                    fetch(self.address, next(sources))
                except OSError as error:
                    self.failed.append(repr(error))
                self.done[number] += 1
                evenly += step

    def _due(self, evenly):
        return evenly + self.AHEAD_S * math.sin(2 * math.pi * (evenly - self.began) / self.WAVE_S)

    def requests(self):
        return sum(self.done)

    def check(self):
        """It was what it should be: otherwise nothing measured under it means anything."""
        wanted = (time.monotonic() - self.began) * self.per_s
        assert len(self.failed) <= 0.01 * self.requests(), self.failed[:5]
        assert self.requests() >= 0.97 * wanted - 2 * self.per_s, \
            f"the load fell behind: {self.requests()} of {wanted:.0f} requests"

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(20)


def fetch(address, source="0.0.0.0"):
    """One request on a connection of its own, from where the thread is; what came."""
    with socket.socket() as sock:
        sock.settimeout(10)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
        sock.connect(address)
        sock.sendall(REQUEST)
        reply = b""
        while True:
            part = sock.recv(65536)
            if not part:
                break
            reply += part
    if b" 200 " not in reply[:16]:
        raise OSError(f"not a good answer: {reply[:60]!r}")
    return reply


class Counts:
    """The kernel's count, ten times a second, without touching the table: a dump would
    free expired entries, which count until the collector comes by."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.samples = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopped.wait(0.1):
            self.samples.append((time.monotonic(), self.namespace.count()))

    def mean(self, first, last):
        """Between two moments, weighted by time: a busy machine takes samples unevenly."""
        inside = [sample for sample in self.samples if first <= sample[0] <= last]
        assert len(inside) > 20, f"{len(inside)} samples in {last - first:.0f} s"
        area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(inside, inside[1:]))
        return area / (inside[-1][0] - inside[0][0])

    def collections(self, least):
        """Moments at which the collector took at least so many within half a second."""
        found = []
        samples = list(self.samples)
        for (_, before), (when, after) in zip(samples, samples[5:]):
            if before - after >= least and (not found or when - found[-1] > 1.5):
                found.append(when)
        return found

    def stop(self):
        self.stopped.set()
        self.thread.join(10)
