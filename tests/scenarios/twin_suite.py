# SPDX-License-Identifier: GPL-2.0-or-later
"""make test-twins: every promise of a saving beside the twin that has the remedy; a table.

A scene is a load, timeouts, a program and a remedy. Those of a round go on side by side; the
rounds come one after the other, for they differ in what is the machine's: how soon expired
entries are collected. Nobody else may track connections meanwhile.

	twin_suite.py [--only WORD] [--write FILE]	the table goes between its marks in FILE
"""
import argparse
import collections
import contextlib
import math
import os
import platform
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "netns")]

# pylint: disable=wrong-import-position
import netns
import programs
import sysctls
import twins
from twin_load import CHANGES_AFTER_S

BUCKETS = 8192  # so few that packets remove what has expired; enough for chains of a few
LAG_MOST_S = 62
PROMPT_S = 12
WINDOW_S = 40
MARKS = "<!-- twins -->", "<!-- end of twins -->"

# --- programs: twin, remedy, is it in force from the beginning, when the load begins ---------


class Proxy:
    """Knows how to take lines of advice into its configuration."""

    def __init__(self, twin):
        self.twin, self.server = twin, twin.lab.SERVER4
        self.program = None
        twin.proxy = self
        twin.stack.callback(lambda: self.program and self.program.close())

    def filled(self, lines):
        return "\n".join(lines).replace("BACKEND", "pages").replace("ADDRESS", self.server)


class NginxProxy(Proxy):
    PLAIN = programs.PROXY

    def start(self, lines):
        http = self.http(lines) if lines else self.PLAIN.format(backend=self.server)
        self.program = programs.Nginx(self.twin.middle, http, self.twin.lab.MIDDLE4C, 80)

    def http(self, lines):
        upstream, location = self.filled(lines).split("location", 1)
        return f"{upstream}\nserver {{ listen 80; location{location} }}"

    def kept(self, lines):
        self.program.reload(self.http(lines))


class HaproxyProxy(Proxy):
    HEAD = """
global
	maxconn 1000
defaults
	mode http
	timeout connect 5s
	timeout client 10s
	timeout server 30s
frontend front
	bind :80
	default_backend pages
"""

    def start(self, lines):
        text = self.filled(lines or ["backend BACKEND", "    server NAME ADDRESS:8080"])
        self.program = programs.Haproxy(self.twin.middle, self.HEAD + text + "\n",
                                        self.twin.lab.MIDDLE4C, 80)

    def kept(self, lines):
        self.program.close()
        self.start(lines)


class SquidProxy(Proxy):
    def text(self, lines):
        kept = "\n".join(lines) if lines else "server_persistent_connections off"
        return programs.SQUID.replace("server_persistent_connections on", kept)

    def start(self, lines):
        self.program = programs.Squid(self.twin.middle, self.server, self.twin.lab.MIDDLE4C,
                                      self.text(lines))

    def kept(self, lines):
        self.program.close()
        self.start(lines)


PROXIES = {"nginx": NginxProxy, "haproxy": HaproxyProxy, "squid": SquidProxy}


def proxied(name, slow=False):
    def start(twin, remedy, in_force, begin):
        if slow:
            twin.generate(twin.lab.server, "serve", twin.lab.SERVER4, 8080,
                          begin + CHANGES_AFTER_S, 1.5)
        else:
            twin.keep(programs.Nginx(twin.lab.server, programs.BACKEND, twin.lab.SERVER4, 8080))
        keepalive = isinstance(remedy, twins.Keepalive)
        PROXIES[name](twin).start(remedy.lines if keepalive and in_force else None)
    return start


def redis(twin, _remedy, _in_force, _begin):
    address = twin.lab.MIDDLE4C
    twin.keep(twins.Server(twin.middle, "redis", "", [
        "redis-server", "--port", "6379", "--bind", address, "--save", "", "--protected-mode",
        "no", "--dir", "{directory}"], (address, 6379)))


DNSMASQ = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv",
           "--user=root", "--pid-file=", "--bind-interfaces"]


def names(twin):
    """Who knows every name: behind the host in question."""
    address = twin.lab.SERVER4
    twin.keep(twins.Server(twin.lab.server, "names", "", [
        *DNSMASQ, f"--listen-address={address}", "--address=/#/192.0.2.1"], (address, 53)))


def dnsmasq(twin, _remedy, _in_force, _begin):
    address = twin.lab.MIDDLE4C
    names(twin)
    twin.keep(twins.Server(twin.middle, "dnsmasq", "", [
        *DNSMASQ, f"--listen-address={address}", f"--server={twin.lab.SERVER4}", "--cache-size=0",
        "--dns-forward-max=1000"], (address, 53)))


UNBOUND = """
server:
	interface: {address}
	access-control: 0.0.0.0/0 allow
	do-daemonize: no
	username: ""
	chroot: ""
	directory: "{{directory}}"
	pidfile: ""
	use-syslog: no
	num-threads: 1
	module-config: "iterator"
	local-zone: "test." nodefault
	outgoing-range: 500
	do-not-query-localhost: no
forward-zone:
	name: "."
	forward-addr: {server}
remote-control:
	control-enable: no
"""


def unbound(twin, _remedy, _in_force, _begin):
    address = twin.lab.MIDDLE4C
    names(twin)
    twin.keep(twins.Server(twin.middle, "unbound", UNBOUND.format(
        address=address, server=twin.lab.SERVER4), ["unbound", "-d", "-c", "{config}"],
                           (address, 53)))


def nobody(_twin, _remedy, _in_force, _begin):
    """Raw packets, and none comes back."""


# --- scenes ------------------------------------------------------------------------------

KEPT = {
    "nginx": ["upstream BACKEND {", "    server ADDRESS:8080;", "    keepalive 32;", "}",
              "location / {", "    proxy_pass http://BACKEND;", "    proxy_http_version 1.1;",
              "    proxy_set_header Connection \"\";", "}"],
    "haproxy": ["backend BACKEND", "    mode http", "    option http-keep-alive",
                "    http-reuse always", "    server NAME ADDRESS:8080 pool-max-conn 32"],
    "squid": ["server_persistent_connections on", "pconn_timeout 1 minute"],
}

Program = collections.namedtuple("Program", "start kind port")
PROGRAMS = {
    "nginx": Program(proxied("nginx"), "http", 80),
    "slow backend": Program(proxied("nginx", slow=True), "http", 80),
    "haproxy": Program(proxied("haproxy"), "http", 80),
    "squid": Program(proxied("squid"), "http", 81),
    "redis": Program(redis, "redis", 6379),
    "dnsmasq": Program(dnsmasq, "dns", 53),
    "unbound": Program(unbound, "dns", 53),
    "raw UDP": Program(nobody, "udp", 7000),
    "raw SYN": Program(nobody, "syn", 7000),
}
# What is lowered before the load begins, and the longest that an entry then waits.
TIMEOUTS = {
    "default": ({}, {"tcp": 120, "udp": 30, "syn": 120}),
    "shortened": ({"tcp_timeout_time_wait": 50, "udp_timeout": 20, "tcp_timeout_syn_sent": 40},
                  {"tcp": 50, "udp": 20, "syn": 40}),
}


class Scene:
    """When what is asked follows from how long entries wait."""

    def __init__(self, load, timeouts, program, remedy, per_s=30, prompt=False):
        self.load, self.timeouts_name, self.program_name = load, timeouts, program
        self.remedy, self.per_s, self.prompt = remedy, per_s, prompt
        self.program, self.kind, self.port = PROGRAMS[program]
        self.shape = load if load in ("bursty", "burst", "regime-changed") else "steady"
        self.timeouts, waits = TIMEOUTS[timeouts]
        waits_s = waits[{"udp": "udp", "dns": "udp", "syn": "syn"}.get(self.kind, "tcp")]
        full_s = waits_s + (PROMPT_S if prompt else LAG_MOST_S)
        # Whole rounds of the collector, or nearly.
        self.settled_for_s = WINDOW_S if prompt else LAG_MOST_S
        self.asked_for_s, self.asked_from_s = self.settled_for_s, full_s
        if load in ("just-started", "burst"):
            self.asked_from_s, self.asked_for_s = 25, 15
        elif load in ("regime-changed", "slow, then quick"):
            # Of a changed rate a minute tells; of a changed stay the same.
            full_s += CHANGES_AFTER_S
            self.asked_from_s = CHANGES_AFTER_S + 80
        self.settled_from_s = 0 if load == "burst" else full_s
        # With the kernel's timeouts and collector that is three minutes more.
        self.relief = (load in ("even", "prompt collection")
                       and (prompt or timeouts == "shortened"))
        self.name = f"{load}, {timeouts}, {program}, {' '.join(remedy.words)}"


def time_wait(seconds=30):
    return twins.Timeout("tcp_time_wait", seconds)


def catalogue():
    """[(round, prompt, [scenes])]"""
    udp, syn = twins.Timeout("udp", 10), twins.Timeout("tcp_syn_sent", 20)
    keep = {name: twins.Keepalive(name, lines) for name, lines in KEPT.items()}
    rounds = []
    for timeouts in ("shortened", "default"):
        rounds.append((timeouts, False, [
            Scene("even", timeouts, "nginx", keep["nginx"]),
            Scene("even", timeouts, "haproxy", keep["haproxy"]),
            Scene("even", timeouts, "squid", keep["squid"]),
            Scene("even", timeouts, "redis", twins.Notrack("tcp", 6379, "inbound")),
            Scene("bursty", timeouts, "nginx", keep["nginx"]),
            Scene("bursty", timeouts, "dnsmasq", twins.Notrack("udp", 53, "inbound")),
            Scene("just-started", timeouts, "haproxy", keep["haproxy"]),
            Scene("just-started", timeouts, "unbound", twins.Notrack("udp", 53, "outbound")),
            Scene("burst", timeouts, "nginx", keep["nginx"]),
            Scene("regime-changed", timeouts, "redis", twins.Notrack("tcp", 6379, "inbound")),
            Scene("slow, then quick", timeouts, "slow backend", keep["nginx"]),
        ]))
    for timeouts in ("shortened", "default"):
        rounds.append((timeouts + ", prompt", True, [
            Scene("prompt collection", timeouts, "raw UDP", udp, 60, True),
            Scene("prompt collection", timeouts, "raw SYN", syn, 40, True),
            Scene("prompt collection", timeouts, "redis", time_wait(), 30, True),
            Scene("prompt collection", timeouts, "nginx", keep["nginx"], 30, True),
            Scene("bursty", timeouts, "raw UDP", udp, 60, True),
            Scene("bursty", timeouts, "nginx", time_wait(), 30, True),
            Scene("just-started", timeouts, "dnsmasq", udp, 40, True),
            Scene("just-started", timeouts, "raw SYN", syn, 40, True),
            Scene("regime-changed", timeouts, "unbound", udp, 30, True),
            Scene("regime-changed", timeouts, "redis", time_wait(), 30, True),
        ]))
    return rounds


# --- the table ---------------------------------------------------------------------------


def figure(value):
    if value is None:
        return "–"
    return "never" if math.isinf(value) else f"{value:.0f}"


def pair(said_true, entries):
    """"said (true)", and whether it holds: what has no number promises nothing."""
    said, true = said_true
    holds = said is None or true is None or abs(said - true) <= twins.allowed(true, entries)
    return f"{figure(said)} ({figure(true)})" + ("" if holds else " ✗"), holds


def soon(said_measured):
    if said_measured is None:
        return "", True
    said, measured = said_measured
    holds = measured <= 1.1 * said + 10
    return f"{figure(said)} ({figure(measured)})" + ("" if holds else " ✗"), holds


def row(scene, result):
    words = " ".join(scene.remedy.words)
    collected = "prompt" if scene.prompt else "kernel"
    begin = f"| {scene.load} | {scene.timeouts_name} | {collected} | {scene.program_name} | `{words}` |"
    if isinstance(result, BaseException):
        return f"{begin} not measured: {result!r:.80} | | | | | |", False
    cells = [*(pair(result[name], result["table"][1]) for name in ("now", "peak", "settled")),
             soon(result["relief"])]
    printed = {None: "", True: "yes", False: "other"}[result["printed"]]
    good = all(holds for _, holds in cells)
    return (begin + " " + " | ".join(text for text, _ in cells) + f" | {printed} | "
            + ("yes |" if good else "**no** |")), good


HEAD = """| load | timeouts | collection | program | change | now | peak | settled | relief, s | printed | holds |
|---|---|---|---|---|--:|--:|--:|--:|---|---|"""


def perform(scenes, lines):
    """Side by side; failures are told in the table."""
    def one(scene):
        try:
            return twins.Play(scene).run()
        except Exception as error:  # pylint: disable=broad-exception-caught
            return error
    good = 0
    with ThreadPoolExecutor(max(len(scenes), 1)) as pool:
        for scene, result in zip(scenes, pool.map(one, scenes)):
            line, holds = row(scene, result)
            good += holds
            lines.append(line)
            print(line, flush=True)
            if not isinstance(result, BaseException):
                print(f"    {result}", file=sys.stderr, flush=True)
    return good


def write(path, text):
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(MARKS[0] + "\n", 1)
    after = rest.split(MARKS[1], 1)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="rounds and scenes with this in their name")
    parser.add_argument("--write", help="Markdown file with the marks")
    args = parser.parse_args()
    lines, good = [], 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    netns.sweep()
    sysctls.restore_leftovers()
    for name, prompt, scenes in catalogue():
        chosen = [scene for scene in scenes if args.only in f"{name}: {scene.name}"]
        if not chosen:
            continue
        print(f"{name}: {len(chosen)} scenes", file=sys.stderr, flush=True)
        with contextlib.ExitStack() as stack:
            if prompt:
                stack.enter_context(sysctls.changed(buckets=BUCKETS))
            good += perform(chosen, lines)
    text = (f"{HEAD}\n" + "\n".join(lines) + f"\n\n{good} of {len(lines)} hold, "
            f"Linux {platform.release().split('-')[0]}.")
    print(text)
    if args.write:
        write(args.write, text)


if __name__ == "__main__":
    main()
