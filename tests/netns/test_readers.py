# SPDX-License-Identifier: GPL-2.0-or-later
"""Readers against files that are not what they should be: a sentence, never a crash."""
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import urllib.error
import urllib.request

import pytest

import agent as agent_module
import traffic
from layout import LAYOUT, SECTION_NAMES

HEADER_BYTES, SECTION_BYTES = (int(LAYOUT[f"shm_{name} size"]) for name in ("header", "section"))
MAGIC, MAJOR, MINOR, READY, BOOT_ID, COUNT, SECTIONS, HOSTS = (
    int(LAYOUT[f"shm_header {name}"]) for name in (
        "magic", "version_major", "version_minor", "ready", "boot_id", "section_count", "sections",
        "hosts_offset_bytes"))
OFFSET, SIZE, ELEMENT = (int(LAYOUT[f"shm_section {name}"]) for name in (
    "offset_bytes", "size_bytes", "element_bytes"))


def read_sections(path):
    """(file, offset, size) of each section: some have a file of their own, for the group."""
    with open(path, "rb") as file:
        header = file.read(HEADER_BYTES)
    hosts_offset = struct.unpack_from("=Q", header, HOSTS)[0]
    found = []
    for number in range(struct.unpack_from("=I", header, COUNT)[0]):
        offset, size = struct.unpack_from("=QQ", header, SECTIONS + SECTION_BYTES * number)
        if offset >= hosts_offset:
            found.append((hosts_of(path), offset - hosts_offset, size))
        else:
            found.append((path, offset, size))
    return found


def hosts_of(path):
    return path.removesuffix(".table") + ".hosts"


@pytest.fixture(scope="module")
def good_segment():
    """A segment of a real agent that has ended, with some entries in it."""
    import netns  # pylint: disable=import-outside-toplevel
    lab = netns.Lab()
    pair = traffic.Pair(lab)
    runtime = agent_module.runtime_dir()
    agent = agent_module.Agent(lab.middle, runtime=runtime)
    try:
        for index, state in enumerate(traffic.TCP_STATES):
            traffic.Tcp(pair.flow(), 40000, 2000 + index).drive(state)
        agent.wait_equal()
        agent.stop()
        yield os.path.join(runtime, "host.table")
    finally:
        agent.close()
        pair.close()
        lab.close()
        shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def table(good_segment, runtime):  # pylint: disable=redefined-outer-name
    """A copy to spoil; sparse, because the segment is large and nearly empty."""
    path = os.path.join(runtime, "host.table")
    subprocess.run(["cp", "--sparse=always", good_segment, hosts_of(good_segment), runtime],
                   check=True)
    return path


def patch(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


# Together they read every section.
COMMANDS = ["status", "cells", "ports", "talkers", "why", "forecast"]


def complains(runtime, words=(), code=1, commands=COMMANDS):
    """Each command: one line on stderr, the exit status, no signal, no hang."""
    for command in commands:
        for extra in ([], ["--json"]):
            done = agent_module.cli(runtime, command, *extra, timeout=10)
            assert done.returncode == code, f"{command} {extra}: {done}"
            lines = done.stderr.strip().splitlines()
            assert len(lines) == 1, f"{command} {extra}: {done.stderr}"
            for word in words:
                assert word in lines[0], f"{command} {extra}: {lines[0]}"
            if extra and done.stdout.strip():
                json.loads(done.stdout)
            for word in agent_module.SANITIZER_WORDS:
                assert word not in done.stderr


def test_good_copy_is_read(table):
    done = agent_module.cli(os.path.dirname(table), "status", "--json")
    assert done.returncode == 3, "the agent that wrote it has stopped"
    assert json.loads(done.stdout)["mirror_entries"] == len(traffic.TCP_STATES)


def test_every_section_is_covered(table):
    """The tests below go through all of them: those of the layout, and of a real file."""
    sections = read_sections(table)
    assert len(sections) == len(SECTION_NAMES) > 8
    assert SECTIONS + SECTION_BYTES * len(sections) <= HEADER_BYTES
    assert {file for file, _, _ in sections} == {table, hosts_of(table)}
    for file in (table, hosts_of(table)):
        places = sorted(place[1:] for place in sections if place[0] == file)
        assert places[0][0] >= int(LAYOUT[
            "shm_header size" if file == table else "shm_hosts_header size"])
        assert sum(places[-1]) <= os.path.getsize(file)
        assert all(sum(one) <= other[0] for one, other in zip(places, places[1:]))


def test_missing_directory():
    complains("/nonexistent/conntide", ["conntide-agent"], 3)


def test_empty_directory(runtime):
    complains(runtime, ["conntide-agent"], 3)


@pytest.mark.parametrize("size", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, 4096, 100000, -4096, -1])
def test_truncated(table, size):
    full = os.path.getsize(table)
    os.truncate(table, size if size >= 0 else full + size)
    complains(os.path.dirname(table), ["cut short"])


def test_not_a_table(table):
    patch(table, MAGIC, b"GARBAGE!")
    complains(os.path.dirname(table), ["not a conntide table"])


@pytest.mark.parametrize("offset, value", [(MAJOR, 0), (MAJOR, 2), (MAJOR, 65535)])
def test_other_version(table, offset, value):
    patch(table, offset, struct.pack("=H", value))
    complains(os.path.dirname(table), ["format", "agent"])


def test_not_ready(table):
    patch(table, READY, bytes(8))
    complains(os.path.dirname(table))


def test_newer_minor_version_is_read(table):
    """Minor versions only append: an older reader goes on."""
    with open(table, "rb") as file:
        minor = struct.unpack("=H", file.read(12)[MINOR:MINOR + 2])[0]
    patch(table, MINOR, struct.pack("=H", minor + 1))
    done = agent_module.cli(os.path.dirname(table), "status", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["mirror_entries"] == len(traffic.TCP_STATES)


SCRIBBLES = [(OFFSET, "=Q", value) for value in (0, 1 << 63, (1 << 64) - 8, 4097)] + \
    [(SIZE, "=Q", value) for value in (0, (1 << 64) - 1)] + [(ELEMENT, "=I", 0)]


@pytest.mark.parametrize("section", SECTION_NAMES)
def test_scribbled_section_table(table, section):
    """Each field of each row of the section table, one at a time."""
    row = SECTIONS + SECTION_BYTES * SECTION_NAMES.index(section)
    with open(table, "rb") as file:
        good = file.read(HEADER_BYTES)[row:row + SECTION_BYTES]
    for field, form, value in SCRIBBLES:
        patch(table, row + field, struct.pack(form, value))
        complains(os.path.dirname(table), commands=["status"])
        patch(table, row, good)
    assert agent_module.cli(os.path.dirname(table), "status").returncode == 3, "mended"


def test_of_an_earlier_boot(table):
    patch(table, BOOT_ID, bytes(range(16)))
    done = agent_module.cli(os.path.dirname(table), "status", "--json")
    status = json.loads(done.stdout)
    assert done.returncode == 3 and status["agent"] == "rebooted" and not status["exact"]


@pytest.mark.parametrize("seed", range(12))
def test_scribbled_contents(table, seed):
    """Noise behind a good header: numbers may be nonsense, the reader lives and ends."""
    rng = random.Random(seed)
    for file, offset, size in read_sections(table):
        for _ in range(40):
            length = min(size, rng.choice((1, 8, 64, 4096)))
            patch(file, offset + rng.randrange(size - length + 1), rng.randbytes(length))
    for command in COMMANDS:
        for extra in ([], ["--json"]):
            done = agent_module.cli(os.path.dirname(table), command, *extra, timeout=15)
            assert done.returncode in (0, 1, 3), f"{command} {extra}: {done}"
            for word in agent_module.SANITIZER_WORDS:
                assert word not in done.stderr
            if extra and done.stdout.strip():
                json.loads(done.stdout)


def test_writer_died_inside_an_update(table):
    """An odd sequence for ever: said, not waited for."""
    _, live, _ = read_sections(table)[SECTION_NAMES.index("live")]
    patch(table, live, struct.pack("=Q", 7))
    complains(os.path.dirname(table), ["restart"])


def test_symbolic_link(table):
    os.rename(table, table + ".real")
    os.symlink(table + ".real", table)
    complains(os.path.dirname(table), ["symbolic link"])


def test_fifo_and_directory(runtime):
    path = os.path.join(runtime, "host.table")
    os.mkfifo(path)
    complains(runtime)
    os.unlink(path)
    os.mkdir(path)
    complains(runtime)


def test_not_allowed(table):
    os.chmod(table, 0o600)
    os.chmod(os.path.dirname(table), 0o755)
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                           agent_module.CLI, "status", "--runtime-dir", os.path.dirname(table)],
                          capture_output=True, text=True, timeout=10, check=False)
    if "setpriv" in done.stderr:
        pytest.skip(f"nobody cannot run it here: {done.stderr}")
    assert done.returncode == 1 and "not allowed" in done.stderr


def test_reading_needs_no_privilege(table):
    """0644 or the group's: an unprivileged reader, without one capability."""
    os.chmod(table, 0o644)
    os.chmod(os.path.dirname(table), 0o755)
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                           "--bounding-set", "-all", agent_module.CLI, "status", "--json",
                           "--runtime-dir", os.path.dirname(table)],
                          capture_output=True, text=True, timeout=10, check=False)
    if "setpriv" in done.stderr:
        pytest.skip(f"nobody cannot run it here: {done.stderr}")
    assert done.returncode == 3, done


# A reader that stays: the exporter.

class Exporter:
    """The exporter on a port of its own, and questions to it."""

    def __init__(self, runtime):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [agent_module.EXPORTER, "--runtime-dir", runtime,
             "--web.listen-address", f"127.0.0.1:{self.port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=agent_module.without_leak_check())
        agent_module.poll(self._answers, 10, "the exporter does not answer")

    def _answers(self):
        assert self.process.poll() is None, self.process.stderr.read()
        try:
            self.get("/-/healthy")
        except OSError:
            return False
        return True

    def get(self, path):
        """Status and body; an error answer is an answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def close(self):
        self.process.terminate()
        try:
            status = self.process.wait(10)
            log = self.process.stderr.read()
            assert status == 0, log
            for word in agent_module.SANITIZER_WORDS:
                assert word not in log, log
        finally:
            self.process.kill()
            self.process.stderr.close()


@pytest.fixture
def exporter(runtime, table):
    if not os.path.exists(agent_module.EXPORTER):
        pytest.skip("conntide-exporter is not built")
    made = Exporter(os.path.dirname(table))
    yield made
    made.close()


PATHS = ["/metrics", "/api/v1/status", "/api/v1/cells", "/api/v1/ports"]


def test_exporter_outlives_a_cut_file(exporter, table):  # pylint: disable=redefined-outer-name
    """Cut while it is mapped: SIGBUS for whoever touches it, an answer all the same."""
    assert exporter.get("/api/v1/status")[0] == 200
    os.truncate(table, 4096)
    for path in PATHS:
        status, _ = exporter.get(path)
        assert status in (200, 500, 503), f"{path}: {status}"
    status, body = exporter.get("/api/v1/status")
    assert status == 503 or not json.loads(body)["agent_up"]
    os.truncate(table, 0)
    for path in PATHS:
        assert exporter.get(path)[0] in (200, 500, 503)
    assert exporter.process.poll() is None


def test_exporter_follows_a_replaced_file(exporter, table, good_segment):
    # pylint: disable=redefined-outer-name
    """Cut, gone, and replaced by a new one: the numbers are back without a restart."""
    os.truncate(table, 4096)
    exporter.get("/api/v1/status")
    os.unlink(table)
    exporter.get("/api/v1/status")
    subprocess.run(["cp", "--sparse=always", good_segment, table + ".new"], check=True)
    os.rename(table + ".new", table)

    def back():
        status, body = exporter.get("/api/v1/status")
        return status == 200 and json.loads(body)["mirror_entries"] == len(traffic.TCP_STATES)
    agent_module.poll(back, 5, lambda: exporter.get("/api/v1/status"))


def test_exporter_while_agents_come_and_go(lab, pair, start_agent):
    """Killed, stopped, started: the exporter answers every time and says who is there."""
    if not os.path.exists(agent_module.EXPORTER):
        pytest.skip("conntide-exporter is not built")
    agent = start_agent(lab.middle)
    exporter_here = Exporter(agent.runtime)
    try:
        def state():
            return json.loads(exporter_here.get("/api/v1/status")[1])["agent"]
        agent_module.poll(lambda: state() == "up", 5, state)
        agent.kill()
        agent_module.poll(lambda: state() == "silent", 15, state)
        traffic.Tcp(pair.flow(), 40000, 901).drive("ESTABLISHED")
        agent.start()
        agent_module.poll(lambda: state() == "up", 5, state)
        assert json.loads(exporter_here.get("/api/v1/status")[1])["entries"] == 1
        agent.signal(signal.SIGTERM)
        agent.process.wait(10)
        agent.process = None
        agent_module.poll(lambda: state() == "stopped", 5, state)
    finally:
        exporter_here.close()
