# SPDX-License-Identifier: GPL-2.0-or-later
"""An exporter, somebody who plays the agent for it, and a Prometheus."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CONNTIDE_BUILD", os.path.join(ROOT, "build"))
EXPORTER = os.path.join(BUILD, "conntide-exporter")
CLI = os.path.join(BUILD, "conntide")
AGENT = os.path.join(BUILD, "conntide-agent")
SEGMENT_FIXTURE = os.path.join(BUILD, "tests", "segment-fixture")
SMALL = os.path.join(ROOT, "tests", "golden", "small.segment")


def sanitized():
    """True when built with a sanitizer: slower, larger, and without a system call filter."""
    with open(EXPORTER, "rb") as file:
        data = file.read()
    return b"__asan_init" in data or b"__tsan_init" in data


# How many times slower than usual this machine is, as in tests/netns/netns.py.
SLOWNESS = int(os.environ.get("CONNTIDE_SLOWNESS", "1"))


def wait_for(condition, seconds=5, what="condition"):
    """Polls until condition() is true; its value. Only a look after the end proves that it
    is not: on a busy machine one may take longer than all of `seconds`."""
    end = time.monotonic() + seconds * SLOWNESS
    while True:
        late = time.monotonic() > end
        value = condition()
        if value:
            return value
        assert not late, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Segment:
    """tests/unit/segment_fixture.c: writes a segment and changes it on command."""

    def __init__(self, directory, description=None, beat=True):
        self.path = os.path.join(directory, "host.table")
        self.hosts_path = os.path.join(directory, "host.hosts")
        argv = [SEGMENT_FIXTURE, self.path] + (["--beat"] if beat else [])
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        if description:
            self.do(*description.splitlines())
        self.do("publish")

    def do(self, *commands):
        self.process.stdin.write("".join(command + "\n" for command in commands))
        self.process.stdin.flush()
        for command in commands:
            answer = self.process.stdout.readline()
            assert answer == "ok\n", f"{command}: {answer!r}"

    def close(self):
        self.process.stdin.close()
        self.process.wait(5)
        self.process.stdout.close()


class Reply:
    def __init__(self, raw):
        self.status = raw.status
        self.headers = raw.headers
        self.body = raw.read()
        self.text = self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)


class Exporter:
    """conntide-exporter on a port of its own; close() demands a clean end."""

    def __init__(self, directory, *options, listen=None, env=None, pass_fds=(), prefix=()):
        self.port = free_port()
        self.directory = directory
        self.log_path = tempfile.mktemp(prefix="exporter-", suffix=".log", dir="/tmp")
        if listen is None:
            listen = [f"127.0.0.1:{self.port}"]
        argv = [*prefix, EXPORTER, "--runtime-dir", directory]
        for address in listen:
            argv += ["--web.listen-address", address]
        with open(self.log_path, "wb") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(argv + list(options), stdout=log, stderr=log,
                                            env=env, pass_fds=pass_fds)
        wait_for(lambda: "listening on" in self.log() or self.process.poll() is not None,
                 what="exporter listens")
        assert self.process.poll() is None, self.log()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read()

    def request(self, method, target, headers=None, timeout=5, connection=None):
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port,
                                                              timeout=timeout)
        connection.request(method, target, headers=headers or {})
        return Reply(connection.getresponse())

    def get(self, target, headers=None, **kwargs):
        return self.request("GET", target, headers, **kwargs)

    def raw(self, data, seconds=3):
        """Sends bytes, returns all that comes until the other side closes or nothing does."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as sock:
            sock.settimeout(seconds)
            try:
                sock.sendall(data)
            except OSError:
                pass
            answer = b""
            try:
                while chunk := sock.recv(65536):
                    answer += chunk
            except OSError:
                pass
            return answer

    def metrics(self, **kwargs):
        return parse_metrics(self.get("/metrics", **kwargs).text)

    def cpu_seconds(self):
        """What it has computed so far: says how quick it is on a busy machine, too."""
        total_ns = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/schedstat", encoding="ascii") as stat:
                total_ns += int(stat.read().split()[0])
        return total_ns / 1e9

    def open_fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"RssAnon:\s+(\d+)", status.read()).group(1))

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        log = self.log()
        os.unlink(self.log_path)
        assert code == 0, f"exporter ended with {code}\n{log}"
        assert "Sanitizer" not in log and "runtime error" not in log, log


def parse_metrics(text):
    """{(name, frozenset of labels): value}"""
    samples = {}
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        match = re.fullmatch(r'([a-z_0-9]+)(?:\{(.*)\})? (\S+)', line)
        assert match, line
        labels = frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(2) or ""))
        key = (match.group(1), labels)
        assert key not in samples, f"twice: {line}"
        samples[key] = float(match.group(3))
    return samples


def total(samples, name, **labels):
    """Sum over all series of a name that have these labels."""
    wanted = set(labels.items())
    return sum(value for (have, own), value in samples.items()
               if have == name and wanted <= own)


class Prometheus:
    """Debian's Prometheus, scraping one exporter, or a list of them, every second."""

    def __init__(self, directory, exporter, rules=None, alertmanager=None):
        exporters = exporter if isinstance(exporter, list) else [exporter]
        self.port = free_port()
        self.directory = os.path.join(directory, "prometheus")
        os.mkdir(self.directory)
        config = os.path.join(self.directory, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({  # which is YAML, too
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [rules] if rules else [],
                "alerting": {"alertmanagers": [{"static_configs": [
                    {"targets": [f"127.0.0.1:{alertmanager.port}"]}]}] if alertmanager else []},
                "scrape_configs": [{"job_name": "conntide", "static_configs": [
                    {"targets": [f"127.0.0.1:{each.port}" for each in exporters]}]}]}, file)
        self.log_path = os.path.join(self.directory, "log")
        with open(self.log_path, "wb") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}",
                 f"--storage.tsdb.path={self.directory}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)
        wait_for(lambda: self.up() or self.process.poll() is not None, 20, "Prometheus scrapes")
        assert self.process.poll() is None, open(self.log_path, encoding="utf-8").read()

    def api(self, path, **params):
        from urllib.parse import urlencode
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", f"/api/v1/{path}?{urlencode(params)}")
        answer = json.loads(connection.getresponse().read())
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expr):
        """[(labels, value)] of an instant query."""
        result = self.api("query", query=expr)
        if result["resultType"] == "scalar":
            return [({}, float(result["result"][1]))]
        return [(sample["metric"], float(sample["value"][1])) for sample in result["result"]]

    def value(self, expr):
        result = self.query(expr)
        assert len(result) == 1, (expr, result)
        return result[0][1]

    def samples(self, selector, seconds):
        """{(name, frozenset of labels): [(time, value), ...]}, as they were scraped."""
        found = {}
        for one in self.api("query", query=f"{selector}[{seconds}s]")["result"]:
            name = one["metric"].pop("__name__")
            found[name, frozenset(one["metric"].items())] = [(at, float(value))
                                                             for at, value in one["values"]]
        return found

    def up(self):
        try:
            return self.query("up == 1")
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def close(self):
        self.process.terminate()
        self.process.wait(20)
