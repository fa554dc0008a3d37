# SPDX-License-Identifier: GPL-2.0-or-later
"""The flight recorder: a table held at its limit leaves an incident, whatever comes after."""
import grp
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "http"))

# pylint: disable=wrong-import-position
import agent as agent_module
from harness import Segment

LIMIT = 2000
BIG, SMALL = 7010, 7020


def state_dir(agent):
    return os.path.join(agent.runtime, "state")


def incidents(agent, *argv, where=None):
    return agent_module.ask(agent.runtime, "incidents", "--state-dir", where or state_dir(agent),
                            *argv)


def stages(agent, where=None):
    """Of the newest incident."""
    rows = incidents(agent, where=where)
    return set(rows[0]["stages"] or ()) if rows else set()


def wait_stage(agent, stage, where=None, within=10):
    agent_module.poll(lambda: stage in stages(agent, where), within * agent_module.patience(),
                      lambda: f"stage {stage}; there are {incidents(agent, where=where)}\n"
                              f"{agent.log()}")
    return incidents(agent, where=where)[0]


def sums(directory):
    result = {}
    for name in os.listdir(directory):
        if name.endswith(".incident"):
            with open(os.path.join(directory, name), "rb") as file:
                result[name] = hashlib.sha256(file.read()).hexdigest()
    return result


def fill_to(host, flood, entries, port, first):
    """Unreplied UDP to one port, from `first` flows up to `entries`."""
    flood(host, rate=20000, flows=entries - first, first=first, port=port).wait()


class Topped:
    """Flows up to a number, and as many more as are missing whenever they are counted again:
    above 95 % of the limit the kernel's collector takes those that nobody answered."""

    def __init__(self, host, flood, port, first):
        self.host, self.flood, self.port, self.first = host, flood, port, first

    def to(self, entries):
        missing = entries - self.host.count()
        if missing > 0:
            fill_to(self.host, self.flood, self.first + missing, self.port, self.first)
            self.first += missing


class UnixExporter:
    """In the namespace whose table is full: over TCP nobody could reach it."""

    def __init__(self, host, agent):
        # The exporter gives up root: what it reads must be open to others.
        os.chmod(agent.runtime, 0o755)
        self.path = os.path.join(agent.runtime, "http.sock")
        self.process = host.popen(
            [agent_module.EXPORTER, "--runtime-dir", agent.runtime, "--state-dir",
             state_dir(agent), "--web.listen-address", f"unix:{self.path}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        agent_module.poll(lambda: os.path.exists(self.path), 10, "the exporter's socket")

    def get(self, target):
        done = subprocess.run(["curl", "-sS", "-m", "5", "-w", "\n%{http_code}", "--unix-socket",
                               self.path, f"http://localhost{target}"], text=True, check=True,
                              stdout=subprocess.PIPE, timeout=20)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def close(self):
        self.process.terminate()
        assert self.process.wait(10) == 0


@pytest.fixture
def unix_exporter(host):
    running = []

    def start(agent):
        running.append(UnixExporter(host, agent))
        return running[-1]
    yield start
    for exporter in running:
        exporter.close()


def check_served(exporter, row):
    status, body = exporter.get("/api/v1/incidents")
    assert status == 200 and json.loads(body)[0]["id"] == row["id"]
    status, body = exporter.get(f"/api/v1/incidents/{row['id']}")
    assert status == 200
    whole = json.loads(body)
    assert whole["shown"]["stage"] == "drops" and whole["shown"]["problem"] == ""
    assert whole["status"]["max"] == LIMIT and whole["status"]["fill_ratio"] > 0.9
    assert whole["ports"][0]["port"] == BIG
    assert whole["ports"][0]["share"] > 0.5
    assert whole["cells"][0]["entries"] == whole["ports"][0]["entries"]
    assert whole["history"][-1]["entries"] > 0.9 * LIMIT
    return whole


@pytest.mark.slow
@pytest.mark.global_sysctl
def test_table_at_its_limit(host, start_agent, flood, unix_exporter, machine_sysctls):
    """80 %, 95 %, drops: one incident with the right top_cell, that outlives the agent; while
    the table is full the command line and the unix socket answer. Then it recovers."""
    machine_sysctls(max=LIMIT)
    host.conntrack_sysctl("udp_timeout", 600)
    # The exporter reads incidents as a member of the readers' group.
    agent = start_agent(host, "--group", agent_module.exporters_group())
    exporter = unix_exporter(agent)
    assert exporter.get("/api/v1/incidents") == (200, "[]\n")
    assert incidents(agent) == []
    fill_to(host, flood, 1300, BIG, 0)
    fill_to(host, flood, 1700, SMALL, 1300)
    wait_stage(agent, "high")
    topped = Topped(host, flood, SMALL, 1700)
    agent_module.poll(lambda: topped.to(1940) or "critical" in stages(agent),
                      10 * agent_module.patience(), agent.log)
    row = wait_stage(agent, "critical")
    assert row["state"] == "open" and row["ended"] is None and row["worst"] == "critical"
    fill_to(host, flood, topped.first + 460, SMALL, topped.first)
    row = wait_stage(agent, "drops")
    assert host.count() > 0.9 * LIMIT, "the table is not full: nothing is shown below"
    assert row["worst"] == "drops" and row["limit"] == "max" and row["limit_entries"] == LIMIT
    assert row["evicted"] + row["dropped"] > 0 and row["peak_fill_ratio"] > 0.95
    assert row["top_cell"]["l4proto"] == "udp" and row["top_cell"]["port"] == BIG
    assert row["top_cell"]["state"] == "unreplied"
    assert agent.counter("incidents_recorded") == 1 and agent.counter("incident_active") == 1
    check_served(exporter, row)
    text = agent_module.cli(agent.runtime, "incidents", row["id"], "--state-dir",
                            state_dir(agent))
    assert text.returncode == 0 and str(BIG) in text.stdout and "drops" in text.stdout
    assert incidents(agent, row["id"], "--stage", "high")["status"]["entries"] < 0.95 * LIMIT

    before = sums(os.path.join(state_dir(agent), "host.incidents"))
    assert len(before) == 3
    agent.kill()
    assert incidents(agent)[0]["id"] == row["id"]
    agent.start()
    assert sums(os.path.join(state_dir(agent), "host.incidents")) == before
    host.conntrack("-F")
    row = wait_stage(agent, "recovered", within=45)
    assert row["state"] == "over" and row["ended"] > row["began"]
    assert len(incidents(agent)) == 1, "the agent after it went on with the same"
    assert check_served(exporter, row)["incident"]["state"] == "over"
    after = sums(os.path.join(state_dir(agent), "host.incidents"))
    assert before.items() <= after.items() and len(after) == 4
    agent_module.poll(lambda: agent.counter("incident_active") == 0, 5, "active is 0")


@pytest.fixture
def small_disk():
    """A file system of its own, of so many bytes."""
    mounted = []

    def mount(path, size):
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", path],
                       check=True)
        mounted.append(path)
        return path
    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=False)


@pytest.mark.global_sysctl
def test_full_disk(host, start_agent, flood, runtime, small_disk, machine_sysctls):
    """Costs the new stage and nothing that was there; it is told once, counted, and tried
    again with the next stage."""
    machine_sysctls(max=LIMIT)
    host.conntrack_sysctl("udp_timeout", 600)
    os.chmod(runtime, 0o755)
    disk = small_disk(os.path.join(runtime, "disk"), 256 << 10)
    agent = start_agent(host, "--state-dir", disk)
    fill_to(host, flood, 1700, BIG, 0)
    wait_stage(agent, "high", disk)
    directory = os.path.join(disk, "host.incidents")
    before = sums(directory)
    with open(os.path.join(disk, "filler"), "wb", buffering=0) as filler:
        with pytest.raises(OSError):
            while True:
                filler.write(bytes(4096))
    topped = Topped(host, flood, BIG, 1700)

    def failed():
        topped.to(1940)
        return agent.counter("incident_writes_failed") > 0
    agent_module.poll(failed, 10 * agent_module.patience(),
                      lambda: f"a failed write, {host.count()} entries\n{agent.log()}")
    assert sums(directory) == before, "what was there is as it was"
    assert set(os.listdir(directory)) == {*before, "lock"}, "nothing half-written is left"
    agent.wait_equal()
    assert agent.log().count("No space left on device") == 1
    os.unlink(os.path.join(disk, "filler"))
    fill_to(host, flood, topped.first + 660, BIG, topped.first)
    row = wait_stage(agent, "drops", disk)
    assert row["stages"] == ["high", "drops"]
    assert before.items() <= sums(directory).items()
    agent_module.poll(lambda: "can be kept again" in agent.log(), 5 * agent_module.patience(),
                      agent.log)


@pytest.mark.parametrize("make", ["file", "missing", "read-only"])
def test_directory_that_cannot_be_used(host, pair_of_flows, start_agent, runtime, small_disk, make):
    """A warning, and the agent does everything else."""
    path = os.path.join(runtime, "there")
    if make == "file":
        with open(path, "w", encoding="ascii"):
            pass
    elif make == "read-only":
        small_disk(path, 65536)
        subprocess.run(["mount", "-o", "remount,ro", path], check=True)
    else:
        path = os.path.join(path, "not", "there")
    agent = start_agent(host, "--state-dir", path)
    pair_of_flows()
    agent.wait_equal()
    assert agent.log().count("cannot keep incidents in") == 1, agent.log()


@pytest.fixture
def pair_of_flows(host, flood):
    return lambda: flood(host, rate=100, flows=2, port=BIG).wait()


@pytest.mark.global_sysctl
def test_state_directory_replaced(host, runtime, start_agent, flood, machine_sysctls):
    """Moved away while the agent runs: what comes next is kept where the path leads."""
    machine_sysctls(max=LIMIT)
    state, away = os.path.join(runtime, "own", "state"), os.path.join(runtime, "own", "away")
    os.mkdir(os.path.join(runtime, "own"))
    os.chmod(os.path.join(runtime, "own"), 0o777)
    agent = start_agent(host, "--state-dir", state)
    fill_to(host, flood, LIMIT * 85 // 100, BIG, 0)
    wait_stage(agent, "high", state)
    os.rename(state, away)
    fill_to(host, flood, LIMIT + 200, SMALL, 0)
    agent_module.poll(lambda: stages(agent, state) - {"high"}, 10 * agent_module.patience(),
                      lambda: f"a later stage; {agent.log()}")
    assert stages(agent, away) == {"high"}, "the old directory is as it was"


@pytest.mark.global_sysctl
def test_too_many(host, start_agent, flood, runtime, machine_sysctls):
    """Within its sandbox the agent drops the mildest of too many; strangers it leaves."""
    machine_sysctls(max=LIMIT)
    directory = os.path.join(runtime, "state", "host.incidents")
    os.makedirs(directory)
    maker = tempfile.mkdtemp(dir=runtime)
    fixture = Segment(maker, beat=False)
    fixture.do(*(f"incident {directory} 2025010{day}T000000Z-00000001 "
                 f"{'high' if day == 2 else 'drops'} {1735689600 + 86400 * day} 900 1000 1"
                 for day in range(1, 6)))
    fixture.close()
    with open(os.path.join(directory, "notes"), "wb"):
        pass
    agent = start_agent(host, "--state-dir", os.path.join(runtime, "state"), "--incidents-max", "5")
    fill_to(host, flood, 1700, BIG, 0)
    where = os.path.join(runtime, "state")
    row = wait_stage(agent, "high", where)
    agent_module.poll(lambda: len(incidents(agent, where=where)) == 5, 5, "five are left")
    ids = [one["id"] for one in incidents(agent, where=where)]
    assert ids[0] == row["id"] and not any(one.startswith("20250102") for one in ids)
    assert os.path.exists(os.path.join(directory, "notes"))


@pytest.mark.global_sysctl
def test_files_belong_to_the_readers(host, start_agent, flood, machine_sysctls):
    """The group that may read the table may read them, and nobody else."""
    machine_sysctls(max=LIMIT)
    agent = start_agent(host, "--group", "daemon")
    fill_to(host, flood, 1700, BIG, 0)
    wait_stage(agent, "high")
    daemon = grp.getgrnam("daemon").gr_gid
    for path, mode in ((state_dir(agent), 0o2750),
                       (os.path.join(state_dir(agent), "host.incidents"), 0o2750)):
        assert (os.stat(path).st_gid, os.stat(path).st_mode & 0o7777) == (daemon, mode)
        for name in os.listdir(path):
            made = os.stat(os.path.join(path, name))
            if name.endswith(".incident"):
                assert (made.st_gid, made.st_mode & 0o7777) == (daemon, 0o640)


def test_switched_off(host, start_agent):
    agent = start_agent(host, "--state-dir", "")
    assert "incident" not in agent.log()
    assert not os.path.exists(os.path.join(agent.runtime, "state"))
