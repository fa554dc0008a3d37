# SPDX-License-Identifier: GPL-2.0-or-later
"""Started as root the agent becomes another user, who owns what it goes on writing."""
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time

import pytest

import agent as agent_module

NET_ADMIN = f"{1 << 12:016x}"
NOBODYS = 61183  # the first that agent/base/confine.h tries
FILES = ("host.table", "host.hosts", "host.lock")


def agents_uid():
    try:
        return pwd.getpwnam("conntide-agent").pw_uid
    except KeyError:
        return NOBODYS


def process_status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def check_user(pid):
    status = process_status(pid)
    assert status["Uid"].split() == [str(agents_uid())] * 4
    assert "0" not in status["Gid"].split() + status["Groups"].split()
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert status[name] == NET_ADMIN, name
    for name in ("CapInh", "CapAmb"):
        assert int(status[name], 16) == 0, name


def start_in(start_agent, host, runtime, directory):
    """Logs and state below `runtime`, the table in `directory`, which need not be there."""
    agent = start_agent(host, "--runtime-dir", directory, runtime=runtime, wait=False)
    agent.runtime = directory
    agent.wait_ready()
    return agent


def test_becomes_its_user(host, runtime, start_agent):
    """In a directory made here, which is the user's, and in one that stays root's."""
    own = os.path.join(runtime, "own")
    for directory in (own, runtime):
        agent = start_in(start_agent, host, runtime, directory)
        check_user(agent.process.pid)
        for name in FILES:
            assert os.stat(os.path.join(directory, name)).st_uid == agents_uid(), name
        agent.wait_equal(exact=True)
        agent.stop()
    assert os.stat(own).st_uid == agents_uid()
    assert os.stat(runtime).st_uid == 0, "a directory that was there is not given away"


def test_below_a_directory_of_roots_alone(host, runtime, start_agent):
    """The path may not be followed once the user has changed: it need not be."""
    closed = os.path.join(runtime, "closed")
    os.mkdir(closed, 0o700)
    agent = start_in(start_agent, host, runtime, os.path.join(closed, "own"))
    check_user(agent.process.pid)
    last = agent.status()["age_seconds"]
    time.sleep(3)  # it looks for its files once a second
    assert agent.process.poll() is None, agent.log()
    assert agent.status()["age_seconds"] < last + 2


def test_without_the_right_to_change(host):
    """A container's root with this one capability stays who it is, and says so."""
    argv = ["setpriv", "--bounding-set", "-all,+net_admin", "--inh-caps", "-all",
            agent_module.PROGRAM]
    directory = agent_module.runtime_dir()
    try:
        process = host.popen([*argv, "--runtime-dir", directory, "--state-dir", ""],
                             stderr=subprocess.PIPE, text=True)
        agent_module.poll(lambda: os.path.exists(os.path.join(directory, "host.table")), 10,
                          "published")
        agent_module.poll(lambda: agent_module.ask(directory, "status"), 10, "readable")
        status = process_status(process.pid)
        assert status["Uid"].split() == ["0"] * 4 and status["CapEff"] == NET_ADMIN
        process.terminate()
        assert "stays user 0" in process.communicate(timeout=10)[1]
    finally:
        shutil.rmtree(directory)


def test_removed_while_it_runs(host, runtime, start_agent):
    """Files and directory are made again, with what the agent knew, while it may."""
    directory = os.path.join(runtime, "own")
    os.chmod(runtime, 0o777)
    agent = start_in(start_agent, host, runtime, directory)
    pid = agent.status()["agent_pid"]
    for name in FILES:
        os.unlink(os.path.join(directory, name))
        agent_module.poll(lambda: os.path.exists(os.path.join(directory, name)),  # pylint: disable=cell-var-from-loop
                          10, name)
        agent.wait_status(lambda status: status["agent_pid"] == pid and status["exact"], 10, name)
    shutil.rmtree(directory)
    agent.wait_status(lambda status: status["agent_pid"] == pid and status["exact"], 10,
                      "the directory is there again")


def test_removed_for_good(host, runtime, start_agent):
    """Where it may not, it says what to do and ends, for a supervisor to start it again."""
    directory = os.path.join(runtime, "own")
    agent = start_in(start_agent, host, runtime, directory)
    shutil.rmtree(directory)
    done = agent_module.cli(directory, "status")
    assert done.returncode != 0 and "start conntide-agent" in done.stderr
    assert agent.process.wait(20) == 1
    assert "cannot be made again" in agent.log()
    agent.process = None


def test_lock_of_any_local_user(host, runtime, start_agent):
    """flock on a file that anybody may read keeps no agent from starting."""
    path = os.path.join(runtime, "host.lock")
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    code = ("import fcntl, os, sys, time; os.setuid(65534);"
            f" file = open({path!r}); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True);"
            " time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as stranger:
        try:
            stranger.stdout.readline()
            agent = start_agent(host, runtime=runtime)
            assert os.stat(path).st_mode & 0o7777 == 0o600
            agent.stop()
        finally:
            stranger.kill()
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_run_killed_outright(host, runtime):
    """`conntide run` is gone: agent and exporter, users of their own by then, end as well."""
    run = host.popen([agent_module.CLI, "run", "--runtime-dir", runtime, "--state-dir", "",
                      "--web.listen-address", f"unix:{runtime}/http.sock"],
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    agent_module.poll(lambda: (agent_module.ask(runtime, "status") or {}).get("agent_up"), 15,
                      "the agent is up")
    agent_module.poll(lambda: os.path.exists(f"{runtime}/http.sock"), 15, "the exporter is up")
    children = agent_module.children_of(run.pid)
    assert len(children) == 2
    time.sleep(0.5)  # each has changed its user: that is before it serves
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    agent_module.poll(lambda: not any(os.path.exists(f"/proc/{pid}/exe") and
                                      "Z" not in process_status(pid)["State"]
                                      for pid in children), 15, "both have ended")


# As the units start them: ordinary users, with what they need and no more.
AS_SERVICE = ["setpriv", "--reuid", str(NOBODYS), "--regid", str(NOBODYS), "--clear-groups"]
AGENTS_CAPS = ["--bounding-set", "-all,+net_admin", "--inh-caps", "-all,+net_admin",
               "--ambient-caps", "-all,+net_admin"]
# More than they need: nothing but the right to give it away.
SETPCAP = ["--bounding-set", "-all,+net_admin,+setpcap,+sys_time", "--inh-caps",
           "-all,+net_admin,+setpcap", "--ambient-caps", "-all,+net_admin,+setpcap"]


@pytest.mark.parametrize("program,prefix", [
    ("agent", []), ("agent", [*AS_SERVICE, *AGENTS_CAPS]), ("agent", [*AS_SERVICE, *SETPCAP]),
    ("exporter", []), ("exporter", [*AS_SERVICE, "--bounding-set", "-all"]),
    ("exporter", [*AS_SERVICE, *SETPCAP]),
], ids=["agent, root", "agent, service", "agent, setpcap", "exporter, root", "exporter, service",
        "exporter, setpcap"])
def test_gives_up_capabilities_in_silence(host, runtime, program, prefix):
    """No other one in any set that can be reached; and libcap-ng, which writes to syslog what it
    could not drop, is not asked to drop what cannot be dropped."""
    os.chmod(runtime, 0o777)
    trace = os.path.join(runtime, "strace")
    argv, sign = {
        "agent": ([agent_module.PROGRAM, *agent_module.EXTRA_ARGS], "host.table"),
        "exporter": ([agent_module.EXPORTER, "--web.listen-address", f"unix:{runtime}/http"],
                     "http"),
    }[program]
    process = host.popen(
        ["strace", "-f", "-o", trace, "-e", "trace=connect,seccomp", *prefix, *argv,
         "--runtime-dir", runtime], env=agent_module.without_leak_check(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        agent_module.poll(lambda: os.path.exists(os.path.join(runtime, sign)), 20, "started")
        [child] = agent_module.children_of(process.pid)
        agent_module.poll(lambda: process_status(child)["NoNewPrivs"] == "1", 20, "confined")
        status = process_status(child)
    finally:
        for child in agent_module.children_of(process.pid):
            os.kill(child, signal.SIGTERM)
        assert process.wait(20) == 0
    wanted = NET_ADMIN if program == "agent" else f"{0:016x}"
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert status[name] == wanted, name
    for name in ("CapInh", "CapAmb"):
        assert int(status[name], 16) == 0, name
    with open(trace, encoding="utf-8", errors="replace") as file:
        text = file.read()
    assert "exited with 0" in text and "/dev/log" not in text, text
