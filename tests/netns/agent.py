# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts, asks, compares and stops the agent under test."""
import collections
import grp
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import oracle
from netns import SLOWNESS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CONNTIDE_BUILD", os.path.join(ROOT, "build"))
PROGRAM = os.path.join(BUILD, "conntide-agent")
CLI = os.path.join(BUILD, "conntide")
EXPORTER = os.path.join(BUILD, "conntide-exporter")
FLOOD = os.path.join(BUILD, "tests", "flood")
# Nothing of a test belongs into /var/lib.
EXTRA_ARGS = ["--state-dir", "", *os.environ.get("CONNTIDE_AGENT_ARGS", "").split()]

RUNTIME_ROOT, RUNTIME_PREFIX = "/dev/shm", "conntide-test-"

SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer",
                   "UndefinedBehaviorSanitizer", "runtime error:")

# A live event must be in the histogram after this long; measured: some milliseconds.
LIVE_SECONDS = 3

waits = []


def sanitized():
    """True when the agent was built with a sanitizer: slower, but the same promises."""
    with open(PROGRAM, "rb") as file:
        data = file.read()
    return b"__asan_init" in data or b"__tsan_init" in data


def without_leak_check():
    """Environment for programs that LeakSanitizer cannot trace: under strace, or sandboxed."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return {**os.environ, "ASAN_OPTIONS": f"{options}:detect_leaks=0".lstrip(":")}


def patience():
    return 3 if os.path.exists(PROGRAM) and sanitized() else 1


def poll(question, within, what, interval=0.05):
    """Asks until the answer is true; fails with `what` (a string or a function).

    Only a question that was put after the deadline proves that it is missed: on a busy
    machine one may take longer than all of `within`.
    """
    deadline = time.monotonic() + within * SLOWNESS
    while True:
        late = time.monotonic() > deadline
        answer = question()
        if answer:
            return answer
        if late:
            raise AssertionError(f"not within {within} s: {what() if callable(what) else what}")
        time.sleep(interval)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def runtime_dir():
    """A runtime directory on tmpfs, open to readers, as in production."""
    path = tempfile.mkdtemp(prefix=f"{RUNTIME_PREFIX}{os.getpid()}-", dir=RUNTIME_ROOT)
    os.chmod(path, 0o755)
    return path


def exporters_group():
    """Of the user it becomes: conntide, or nobody where there is none."""
    try:
        return grp.getgrgid(pwd.getpwnam("conntide").pw_gid).gr_name
    except KeyError:
        return grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name


def sweep_runtime_dirs():
    """Removes those of runs that were killed; a test may have mounted something there."""
    for name in os.listdir(RUNTIME_ROOT):
        pid = name[len(RUNTIME_PREFIX):].split("-")[0]
        if not name.startswith(RUNTIME_PREFIX) or not pid.isdigit() or os.path.exists(
                f"/proc/{pid}"):
            continue
        path = os.path.join(RUNTIME_ROOT, name)
        if os.path.ismount(path):
            subprocess.run(["umount", "-l", path], check=False)
        shutil.rmtree(path, ignore_errors=True)


def cli(runtime, command, *argv, timeout=20):
    """The command line, as anybody would run it; never raises on a bad exit."""
    return subprocess.run([CLI, command, "--runtime-dir", runtime, *argv], text=True,
                          timeout=timeout * SLOWNESS, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)


def ask(runtime, command, *argv):
    """JSON of a subcommand, or None while there is nothing to read."""
    done = cli(runtime, command, "--json", *argv)
    if not done.stdout.strip():
        return None
    answer = json.loads(done.stdout)
    missing = isinstance(answer, dict) and answer.get("agent") == "missing"
    return None if missing else answer


def cells_of(rows):
    """None of an agent that is silent: programs are not given old numbers, but an object."""
    if isinstance(rows, dict):
        rows = []
    counter = collections.Counter()
    for row in rows:
        cell = oracle.Cell(row["l4proto"], row["direction"], row["port"], row["state"])
        counter[cell] += row["entries"]
    return +counter


def run_to_end(namespace, argv, timeout=20, **kwargs):
    """Runs the agent where it is expected to give up; a hang is a failure."""
    with namespace.inside():
        return subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=timeout * SLOWNESS, check=False, **kwargs)


class Agent:
    """An agent in a namespace, with a runtime directory of its own."""

    def __init__(self, namespace, *args, runtime=None, wait=True):
        self.namespace = namespace
        self.args = list(args)
        self.own_runtime = runtime is None
        self.runtime = runtime or runtime_dir()
        self.process = None
        self.log_path = None
        self.logs = []
        self.closed = False
        self.start(wait)

    # Life

    def start(self, wait=True):
        self.log_path = os.path.join(self.runtime, f"stderr.{len(self.logs)}")
        self.logs.append(self.log_path)
        argv = [PROGRAM, "--runtime-dir", self.runtime, *EXTRA_ARGS,
                "--state-dir", os.path.join(self.runtime, "state"), *self.args]
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = self.namespace.popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log)
        if wait:
            self.wait_ready()

    def wait_ready(self, within=15):
        def ready():
            assert self.process.poll() is None, f"the agent ended: {self.log()}"
            status = self.status()
            return (status and status["mode"] != "starting" and self.is_mine(status)
                    and status.get("agent_up", True))
        poll(ready, within * patience(), lambda: f"agent not ready; log:\n{self.log()}")

    def is_mine(self, status):
        """A segment left by an earlier agent must not be taken for this one's."""
        return status.get("agent_pid", self.process.pid) == self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        """SIGKILL: no goodbye."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self, within=10):
        """SIGTERM must end it, with exit status 0."""
        if not self.process:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            status = process.wait(within * patience() * SLOWNESS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the agent did not stop on SIGTERM; log:\n{self.log()}") from None
        assert status == 0, f"exit status {status} after SIGTERM; log:\n{self.log()}"

    def check_logs(self):
        for path in self.logs:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            for word in SANITIZER_WORDS:
                assert word not in text, f"{word} in the agent's log:\n{text}"

    def close(self):
        """Stops it if need be, and judges its end and its log. May be called twice."""
        if self.closed:
            return
        self.closed = True
        try:
            if self.process and self.process.poll() is not None:
                status, self.process = self.process.returncode, None
                raise AssertionError(f"the agent died, status {status}:\n{self.log()}")
            self.stop()
            self.check_logs()
        finally:
            if self.process:
                self.process.kill()
                self.process.wait()
            if self.own_runtime:
                shutil.rmtree(self.runtime, ignore_errors=True)

    # Questions

    def status(self):
        return ask(self.runtime, "status")

    def doubts(self, status=None):
        """Names of the reasons for which the mirror does not call itself exact."""
        return {doubt["name"] for doubt in (status or self.status()).get("doubts", [])}

    def counter(self, name):
        """A scalar of metrics.def."""
        return self.status()["counters"][name]

    def cells(self):
        return cells_of(ask(self.runtime, "cells", "--limit", "0") or [])

    # Comparisons

    def wait_status(self, predicate, within, what):
        """The first status for which the predicate holds."""
        last = {}

        def question():
            last.update(now=self.status())
            return last["now"] if last["now"] and predicate(last["now"]) else None
        return poll(question, within * patience(), lambda: f"{what}; status {last['now']}")

    def wait_sums(self, entries, within=LIVE_SECONDS):
        """The scalars, which are published once a second: count, sum and residual."""
        self.wait_status(lambda status: (status["entries"], status["mirror_entries"],
                                         status["residual_entries"]) == (entries, entries, 0),
                         within, f"count and sum are {entries}")

    def wait_equal(self, within=LIVE_SECONDS, expect=None, exact=None, label=""):
        """Polls until mirror == table, the table is as `expect`, and `exact` is as told.

        `expect` maps cells to counts and keeps a test from being about an empty table;
        cells it does not name may hold anything.
        """
        start = time.monotonic()
        last = {}

        def question():
            # The mirror on both sides of the listing: if both are what the kernel lists, it
            # was right before. With 200,000 entries a listing takes seconds.
            last["at"] = time.monotonic()
            before = self.cells()
            text = oracle.listing(self.namespace)
            mirror = self.cells()
            status = self.status()
            last.update(text=text, mirror=mirror, status=status)
            if before != mirror or sum(mirror.values()) != text.count("\n"):
                return False
            if exact is not None and bool(status["exact"]) != exact:
                return False
            kernel = oracle.count_cells(text, oracle.LocalAddresses(self.namespace))
            return mirror == kernel and all(kernel[cell] == count
                                            for cell, count in (expect or {}).items())

        def report():
            last["kernel"] = oracle.count_cells(last["text"],
                                                oracle.LocalAddresses(self.namespace))
            wrong = "".join(f"\n  {tuple(cell)}: expected {count}, kernel has"
                            f" {last['kernel'][cell]}"
                            for cell, count in (expect or {}).items()
                            if last["kernel"][cell] != count)
            return (f"mirror == table {label}\n{oracle.difference(last['kernel'], last['mirror'])}"
                    + (f"\nthe table is not what the test wants:{wrong}" if wrong else "")
                    + f"\nstatus: {last['status']}\nlog:\n{self.log()[-3000:]}")
        poll(question, within * patience(), report)
        took = last["at"] - start
        waits.append((os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0], label, within, took))
        return last["status"]
