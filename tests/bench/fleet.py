#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What many hosts cost one Prometheus: a real one scrapes what a real exporter said, once for
each of the hosts, with conntide's rules; writes docs/fleet.md between its marks.

    make fleet-simulation                        500 hosts, ten minutes
    FLEET='--hosts 20 --seconds 30' make ...     small, printed only

The scrapes are recorded first, one a second, from an agent and an exporter at work on a table
whose load changes; each host then plays them from a moment of its own, so that counters only
rise. Needs root for the namespace of that load.
"""
import argparse
import gzip
import http.client
import http.server
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "netns"), os.path.join(ROOT, "tests", "http"), HERE]

# pylint: disable=wrong-import-position
import agent as agent_module
import figures
import netns
from harness import Exporter, free_port, wait_for
from live.loads import Load, wander, steady

DOCUMENT = os.path.join(ROOT, "docs", "fleet.md")
BEGIN, END = "<!-- fleet.py writes from here -->\n", "<!-- to here -->\n"
SAMPLE = re.compile(r"^[a-z_:]+[{ ]", re.M | re.I)
# A series that stands for one port and state; dashboards of one host need them, the fleet's do not.
DETAIL = "conntide_(entries|new_entries_total|destroyed_entries_total|entry_lifetime_seconds_.*)"


def record(count):
    """Bodies of /metrics, a second apart, of a host with traffic to 120 ports."""
    host = netns.Host()
    agent = exporter = flood = load = None
    try:
        host.conntrack_sysctl("udp_timeout", 30)
        agent = agent_module.Agent(host)
        os.chmod(agent.runtime, 0o755)
        exporter = Exporter(agent.runtime)
        load = Load(host, wander(steady(80), 0.7, 5, 1), ports=3)
        flood = host.popen([agent_module.FLOOD, "-r", "300", "-P", "120", "-s", str(count + 300),
                            netns.Host.SINK], stdout=subprocess.DEVNULL)
        time.sleep(60)
        bodies = []
        for step in range(count):
            bodies.append(exporter.get("/metrics").text.encode())
            if step % 20 == 0:
                print(f"recorded {step} of {count} scrapes", flush=True)
            time.sleep(1)
        return bodies
    finally:
        if load:
            load.stop()
        if flood:
            flood.kill()
            flood.wait()
        for one in (exporter, agent, host):
            if one:
                one.close()


class Hosts:
    """Answers for all hosts on one port: /NAME."""

    def __init__(self, bodies):
        packed = [gzip.compress(body, 5) for body in bodies]
        chance = random.Random(1)
        # Each begins somewhere in the first third: by the end nobody has come to the last.
        first = {}
        steps = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # pylint: disable=invalid-name
                step = steps.setdefault(self.path, itertools.count(
                    first.setdefault(self.path, chance.randrange(len(packed) // 3))))
                body = packed[min(next(step), len(packed) - 1)]
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 512
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.bytes_packed = figures.median([len(body) for body in packed])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()


class Server:
    """Prometheus with so many targets; 0 to see what it takes alone."""

    def __init__(self, directory, hosts, port, interval_s):
        self.port = free_port()
        self.directory = os.path.join(directory, f"prometheus-{hosts}")
        os.mkdir(self.directory)
        config = {
            "global": {"scrape_interval": f"{interval_s}s", "evaluation_interval": f"{interval_s}s"},
            "rule_files": [os.path.join(ROOT, "dashboards", "rules.yml")],
            "scrape_configs": [{"job_name": "conntide", "static_configs": [
                {"targets": [f"host{number:05}" for number in range(hosts)]}] if hosts else [],
                "relabel_configs": [
                    {"source_labels": ["__address__"], "target_label": "instance"},
                    {"source_labels": ["__address__"], "target_label": "__metrics_path__",
                     "replacement": "/$1"},
                    {"target_label": "__address__", "replacement": f"127.0.0.1:{port}"}]}]}
        path = os.path.join(self.directory, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        with open(os.path.join(self.directory, "log"), "wb") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={path}", "--web.enable-admin-api",
                 f"--storage.tsdb.path={self.directory}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)
        wait_for(self.ready, 60, "Prometheus is ready")

    def ask(self, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()

    def ready(self):
        try:
            return self.ask("GET", "/-/ready")[0] == 200
        except OSError:
            return False

    def own(self):
        """Its own metrics, those without labels and the slowest of the rule groups."""
        text = self.ask("GET", "/metrics")[1]
        found = {name: float(value) for name, value in
                 re.findall(r"^(\w+) (\S+)$", text, re.M)}
        found["samples"] = sum(float(value) for value in re.findall(
            r"^prometheus_tsdb_head_samples_appended_total\S* (\S+)$", text, re.M))
        found["rules_s"] = max([float(value) for value in re.findall(
            r"^prometheus_rule_group_last_duration_seconds\S* (\S+)$", text, re.M)], default=0)
        return found

    def query(self, expr):
        """Seconds, and how many series it returned."""
        began = time.monotonic()
        status, text = self.ask("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": expr}))
        assert status == 200, (expr, text)
        return time.monotonic() - began, len(json.loads(text)["data"]["result"])

    def sample_bytes(self, head_series, samples, interval_s):
        """What a sample takes on disk once it is compacted, from a snapshot's blocks: its part of
        the chunks, and of the index, which comes once for each series and block of two hours."""
        status, text = self.ask("POST", "/api/v1/admin/tsdb/snapshot")
        assert status == 200, text
        root = os.path.join(self.directory, "data", "snapshots", json.loads(text)["data"]["name"])
        files = [(name, os.path.getsize(os.path.join(at, name)))
                 for at, _, names in os.walk(root) for name in names]
        index = sum(size for name, size in files if name == "index")
        chunks = sum(size for name, size in files if name.isdigit())
        return chunks / samples + index / head_series / (7200 / interval_s)

    def close(self):
        self.process.terminate()
        self.process.wait(60)


def fleet_queries():
    with open(os.path.join(ROOT, "dashboards", "conntide-fleet.json"), encoding="utf-8") as file:
        stack = [json.load(file)]
    while stack:
        panel = stack.pop()
        stack += panel.get("panels", [])
        for target in panel.get("targets", []):
            expr = target["expr"].replace("$__rate_interval", "1m").replace("$__range", "1h")
            yield re.sub(r'=~"\$\w+"', '=~".+"', expr)


def series_of(body):
    """(all, those of DETAIL) of a scrape."""
    names = [name[:-1] for name in SAMPLE.findall(body.decode())]
    return len(names), sum(bool(re.fullmatch(DETAIL, name)) for name in names)


def measure(options, bodies, directory):
    hosts = Hosts(bodies)
    try:
        empty = Server(directory, 0, hosts.port, options.interval)
        time.sleep(min(20, options.seconds))
        base = empty.own()["process_resident_memory_bytes"]
        empty.close()
        full = Server(directory, options.hosts, hosts.port, options.interval)
        try:
            return observe(options, full, base, hosts, bodies)
        finally:
            full.close()
    finally:
        hosts.close()


def observe(options, server, base, hosts, bodies):
    warm_s = options.seconds / 5
    time.sleep(warm_s)
    before, began, most = server.own(), time.monotonic(), 0
    while time.monotonic() < began + options.seconds - warm_s:
        time.sleep(min(15, options.seconds / 10))
        now = server.own()
        most = max(most, now["process_resident_memory_bytes"])
        print(f"{time.monotonic() - began:4.0f} s: {now['prometheus_tsdb_head_series']:.0f} series, "
              f"{now['process_resident_memory_bytes'] / 2**20:.0f} MiB", flush=True)
    seconds = time.monotonic() - began
    up = server.query("up{job='conntide'} == 1")[1]
    assert up == options.hosts, f"{up} of {options.hosts} were scraped"
    queries = [server.query(expr) for expr in fleet_queries()]
    after = server.own()
    series, detail = series_of(bodies[-1])
    return {
        "hosts": options.hosts, "interval": options.interval, "seconds": options.seconds,
        "series": series, "detail": detail, "plain": len(bodies[-1]), "packed": hosts.bytes_packed,
        "head": after["prometheus_tsdb_head_series"],
        "samples": (now["samples"] - before["samples"]) / seconds,
        "cpu": (now["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]) / seconds,
        "base": base, "rss": most, "rules_s": now["rules_s"],
        "queries": len(queries), "queries_s": sum(took for took, _ in queries),
        "slowest_s": max(took for took, _ in queries),
        "sample_bytes": server.sample_bytes(after["prometheus_tsdb_head_series"],
                                            after["samples"], options.interval),
    }


def size(value):
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{figures.number(value)} {unit}"
        value /= 1024
    return ""


def document(got):
    many = 10_000
    times = many / got["hosts"]
    rate = got["samples"] / got["hosts"]
    month = rate * 86400 * 30 * got["sample_bytes"]
    per_host = figures.table(["one host", ""], [
        ["series of a scrape", f"{got['series']}, {got['detail']} of them by port"],
        ["series in Prometheus, with rules and `up`", figures.number(got["head"] / got["hosts"])],
        ["samples a second, scraped every " + f"{got['interval']} s", figures.number(rate)],
        ["bytes of a scrape, packed", f"{size(got['packed'])} of {size(got['plain'])}"],
        ["bytes on disk a sample, with its part of the index", figures.number(got["sample_bytes"])],
        ["bytes on disk in 30 days", size(month)]])
    memory = got["base"] + (got["rss"] - got["base"]) * times
    whole = figures.table(["Prometheus", f"{got['hosts']} hosts, measured",
                           f"{many:,} hosts, extrapolated"], [
        ["series", figures.number(got["head"]), figures.number(got["head"] * times)],
        ["samples a second", figures.number(got["samples"]), figures.number(got["samples"] * times)],
        ["CPUs", figures.number(got["cpu"]), figures.number(got["cpu"] * times)],
        ["memory, at most", size(got["rss"]), size(memory)],
        ["rules, each time", f"{got['rules_s'] * 1000:.0f} ms",
         f"{figures.number(got['rules_s'] * times)} s"],
        [f"the fleet dashboard's {got['queries']} queries, one after the other",
         f"{got['queries_s'] * 1000:.0f} ms", f"{figures.number(got['queries_s'] * times)} s"],
        ["received a second", size(got["packed"] * got["hosts"] / got["interval"]),
         size(got["packed"] * many / got["interval"])],
        ["disk for 30 days", size(month * got["hosts"]), size(month * many)]])
    return (f"{got['hosts']} hosts for {got['seconds']} s, scraped every {got['interval']} s, on "
            f"{os.cpu_count()} CPUs; memory of Prometheus alone {size(got['base'])}.\n\n"
            f"{per_host}\n{whole}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--interval", type=int, default=15, help="between two scrapes, s")
    parser.add_argument("--print", action="store_true", help="do not write docs/fleet.md")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="conntide-fleet-")
    try:
        scrapes = options.seconds // options.interval + 3
        text = document(measure(options, record(scrapes * 3 // 2 + 3), directory))
    finally:
        shutil.rmtree(directory)
    print(text)
    if options.print or (options.hosts, options.seconds) != (500, 600):
        return
    with open(DOCUMENT, encoding="utf-8") as file:
        before, rest = file.read().split(BEGIN)
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n" + text + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
