# SPDX-License-Identifier: GPL-2.0-or-later
"""A seeded load of one twin, and a backend whose answers take long: a process each, so that many
twins go on side by side.

twin_load.py BEGIN SEED SHAPE KIND ADDRESS PORT PER_S SOURCE...
	requests at the moments that SEED gives from BEGIN (CLOCK_MONOTONIC) on: both twins get the
	same. Ends on SIGTERM and prints how many there were, how many failed.
twin_load.py serve ADDRESS PORT SLOW_UNTIL SLOW_S
	an HTTP server that keeps connections open if the client does; until SLOW_UNTIL each answer
	takes SLOW_S.
"""
import asyncio
import contextlib
import itertools
import json
import random
import signal
import socket
import sys
import time

PERIOD_S = 20  # of `bursty`: a third of it is loud
CHANGES_AFTER_S = 90  # the regime of `regime-changed`
BURST_S = 6  # of `burst`, which is all there is
REQUEST = b"GET / HTTP/1.0\r\nHost: site\r\nConnection: close\r\n\r\n"
PING = b"PING\r\n"


def rate(shape, per_s, at_s):
    """Requests a second so long after the beginning; None: no more to come."""
    if shape == "bursty":
        return 2.2 * per_s if at_s % PERIOD_S < PERIOD_S / 3 else 0.4 * per_s
    if shape == "burst":
        return 10 * per_s if at_s < BURST_S else None
    if shape == "regime-changed":
        return per_s if at_s < CHANGES_AFTER_S else 2.5 * per_s
    return per_s


def moments(seed, shape, per_s):
    """Poisson's, by thinning."""
    dice = random.Random(seed)
    most, at_s = 10 * per_s, 0.0
    while True:
        at_s += dice.expovariate(most)
        now = rate(shape, per_s, at_s)
        if now is None:
            return
        if dice.random() < now / most:
            yield at_s


async def tcp(request, address, port, source):
    reader, writer = await asyncio.wait_for(
        asyncio.open_connection(address, port, local_addr=(source, 0)), 20)
    try:
        writer.write(request)
        if request is PING:
            if not (await asyncio.wait_for(reader.readline(), 20)).startswith(b"+PONG"):
                raise OSError("no pong")
        elif b" 200 " not in (await asyncio.wait_for(reader.read(), 20))[:16]:
            raise OSError("not a good answer")
    finally:
        writer.close()


async def dns(number, address, port, source):
    """A name that nobody asked for before, from a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((source, 0))
        sock.connect((address, port))
        label = f"n{number}".encode()
        sock.send(number.to_bytes(4, "big")[2:] + b"\1\0\0\1\0\0\0\0\0\0" + bytes([len(label)]) +
                  label + b"\4test\0\0\1\0\1")
        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 512), 20)


def void(number, kind, port, sender):
    """Towards addresses that nobody has: each makes an entry, none is answered."""
    to = (f"10.79.{number // 200 % 200 + 1}.{number % 200 + 1}", port)
    if kind == "udp":
        sender.sendto(b"x", to)
        return
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(to)


class Load:
    """`done` and `failed` so far."""

    def __init__(self, kind, address, port, sources):
        self.kind, self.address, self.port = kind, address, port
        self.sources = itertools.cycle(sources or ["0.0.0.0"])
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.done = self.failed = 0

    async def one(self, number):
        source = next(self.sources)
        try:
            if self.kind == "dns":
                await dns(number, self.address, self.port, source)
            else:
                await tcp(PING if self.kind == "redis" else REQUEST, self.address, self.port,
                          source)
        except (OSError, EOFError, asyncio.TimeoutError):
            self.failed += 1

    async def run(self, begin, when):
        running = set()
        for number, at_s in enumerate(when):
            await asyncio.sleep(max(0, begin + at_s - time.monotonic()))
            self.done += 1
            if self.kind in ("udp", "syn"):
                try:
                    void(number, self.kind, self.port, self.sender)
                except OSError:
                    self.failed += 1
                continue
            task = asyncio.ensure_future(self.one(number))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.Event().wait()


async def drive(begin, seed, shape, kind, address, port, per_s, *sources):
    load = Load(kind, address, int(port), sources)
    task = asyncio.ensure_future(load.run(float(begin), moments(seed, shape, float(per_s))))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    print(json.dumps({"done": load.done, "failed": load.failed}))


async def answer(reader, writer, until, slow_s):
    with contextlib.suppress(OSError, EOFError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if time.monotonic() < until:
                await asyncio.sleep(slow_s)
            keep = b" HTTP/1.1" in head and b"onnection: close" not in head
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: " +
                         (b"keep-alive" if keep else b"close") + b"\r\n\r\na page\n")
            await writer.drain()
            if not keep:
                break
    writer.close()


async def serve(address, port, until, slow_s):
    server = await asyncio.start_server(
        lambda reader, writer: answer(reader, writer, float(until), float(slow_s)), address,
        int(port), backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[2:]) if sys.argv[1] == "serve" else drive(*sys.argv[1:]))
