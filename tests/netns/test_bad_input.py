# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent cannot do, it says in one line that helps, and its exit status tells."""
import os
import subprocess

import pytest

import agent as agent_module
import traffic
from oracle import Cell

NOBODY = "65534"

# Enough to start, not enough for cells of 1600 ports.
TIGHT_KIB = 4096


def refuse(namespace, *args, before=(), within=10):
    """Runs the agent where it must give up at once; returns its one line."""
    argv = [*before, agent_module.PROGRAM, *agent_module.EXTRA_ARGS, *args]
    done = agent_module.run_to_end(namespace, argv, timeout=within * agent_module.patience())
    assert done.returncode > 0, f"exit status {done.returncode}: {done.stderr}"
    for word in agent_module.SANITIZER_WORDS:
        assert word not in done.stderr, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, f"one line expected:\n{done.stderr}"
    assert not done.stdout.strip(), done.stdout
    return lines[0], done.returncode


@pytest.mark.parametrize("args, words", [
    (["--no-such-flag"], "--no-such-flag"),
    (["--event-buffer", "many"], "--event-buffer"),
    (["--event-buffer", "-1"], "--event-buffer"),
    (["--event-buffer", "99999999999999999999"], "--event-buffer"),
    (["--resync-interval", "0"], "--resync-interval"),
    (["--audit-rate", "1e3"], "--audit-rate"),
    (["--max-entries", ""], "--max-entries"),
    (["--top-ports", "65"], "--top-ports"),
    (["--log.level", "loud"], "loud"),
    (["--netns", "../host"], "../host"),
    (["--name", "blue"], "use --netns"),
    (["--runtime-dir"], "--runtime-dir"),
    (["--event-buffer", "65536", "--event-buffer-max", "8192"], "--event-buffer"),
    (["surplus"], "surplus"),
], ids=lambda value: "_".join(value) if isinstance(value, list) else "")
def test_wrong_usage(host, runtime, args, words):
    if args != ["--runtime-dir"]:
        args = ["--runtime-dir", runtime, *args]
    line, status = refuse(host, *args)
    assert words in line, line
    assert status == 2
    assert not os.listdir(runtime), "a refused start left files"


def test_help_and_version(host):
    for flag in ("--help", "--version"):
        done = agent_module.run_to_end(host, [agent_module.PROGRAM, flag])
        assert done.returncode == 0 and done.stdout and not done.stderr


@pytest.mark.parametrize("directory", ["/proc/conntide", "/dev/null", "/dev/null/conntide",
                                       "/sys/kernel/conntide"])
def test_runtime_dir_that_cannot_be(host, directory):
    line, _ = refuse(host, "--runtime-dir", directory)
    assert directory in line, line


def test_runtime_dir_not_ours(host, runtime):
    """Not root, with CAP_NET_ADMIN, and a directory of root's."""
    os.chmod(runtime, 0o755)
    line, _ = refuse(host, "--runtime-dir", runtime, before=[
        "setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups",
        "--inh-caps", "+net_admin", "--ambient-caps", "+net_admin"])
    assert runtime in line and "ermission denied" in line, line
    assert not os.listdir(runtime)


def test_runtime_dir_full(host, runtime):
    """No room for the table: said at the start, not by dying in the middle."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", runtime], check=True)
    try:
        line, _ = refuse(host, "--runtime-dir", runtime)
        assert runtime in line or "space" in line.lower(), line
    finally:
        subprocess.run(["umount", "-l", runtime], check=True)


def test_runtime_dir_fills_up_later(lab, pair, start_agent, runtime):
    """Little room: ports share an overflow row, sums stay right, and it is no longer exact."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TIGHT_KIB}k", "none", runtime],
                   check=True)
    try:
        agent = start_agent(lab.middle, runtime=runtime)
        dports = range(1, 60000, 37)
        for dport in dports:
            flow = pair.flow()
            flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, dport))
        agent_module.poll(lambda: lab.middle.count() == len(dports), 3, "traffic did not pass")
        agent_module.poll(lambda: sum(agent.cells().values()) == len(dports), 10,
                          lambda: f"{sum(agent.cells().values())} of {len(dports)} entries")
        status = agent.wait_status(lambda status: not status["exact"], 3,
                                   "ports without a row, and exact")
        assert "memory" in agent.doubts(status), agent.doubts(status)
        lab.middle.conntrack("-F")
        agent_module.poll(lambda: not agent.cells(), 10, "the overflow row does not empty")
        agent.close()
    finally:
        subprocess.run(["umount", "-l", runtime], check=True)


def test_second_agent(lab, agent, pair):
    """The second gives up and does not harm the first."""
    line, _ = refuse(lab.middle, "--runtime-dir", agent.runtime)
    assert "already" in line or "another" in line, line
    traffic.Tcp(pair.flow(), 40000, 801).drive("ESTABLISHED")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 801, "ESTABLISHED"): 1}, exact=True)
    assert agent.status()["agent"] == "up"


def test_two_names_in_one_directory(lab, agent, pair, start_agent):
    """Two agents under two names do not hinder each other."""
    other = agent_module.Agent(lab.middle, "--netns", "other", runtime=agent.runtime, wait=False)
    try:
        traffic.Tcp(pair.flow(), 40000, 802).drive("ESTABLISHED")
        agent.wait_equal(expect={Cell("tcp", "forwarded", 802, "ESTABLISHED"): 1})
        agent_module.poll(lambda: agent_module.cells_of(
            agent_module.ask(agent.runtime, "cells", "--netns", "other") or []) == agent.cells(),
                          10, "the other table differs")
    finally:
        other.close()


def test_without_cap_net_admin_as_nobody(host, runtime):
    os.chown(runtime, int(NOBODY), int(NOBODY))
    line, _ = refuse(host, "--runtime-dir", runtime, before=[
        "setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups",
        "--bounding-set", "-all"])
    assert "CAP_NET_ADMIN" in line, line


def test_without_cap_net_admin_as_root(host, runtime):
    line, _ = refuse(host, "--runtime-dir", runtime, before=[
        "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"])
    assert "CAP_NET_ADMIN" in line, line


def test_in_a_foreign_user_namespace(host, runtime):
    """CAP_NET_ADMIN in a user namespace that does not own the network namespace."""
    line, _ = refuse(host, "--runtime-dir", runtime, before=["unshare", "--user",
                                                             "--map-root-user"])
    assert "CAP_NET_ADMIN" in line, line


@pytest.mark.skipif("--no-sandbox" in agent_module.EXTRA_ARGS, reason="the sandbox is off")
def test_only_cap_net_admin_is_enough(lab, pair, runtime):
    """An unprivileged user with the one capability: works as root does."""
    os.chown(runtime, int(NOBODY), int(NOBODY))
    argv = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups",
            "--inh-caps", "-all,+net_admin", "--ambient-caps", "-all,+net_admin",
            "--bounding-set", "-all,+net_admin", agent_module.PROGRAM, "--runtime-dir", runtime,
            "--state-dir", ""]
    process = lab.middle.popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        agent_module.poll(lambda: (agent_module.ask(runtime, "status") or {}).get("mode") == "full"
                          or process.poll() is not None, 15, "not ready")
        assert process.poll() is None, process.stderr.read()
        traffic.Tcp(pair.flow(), 40000, 803).drive("ESTABLISHED")
        agent_module.poll(lambda: agent_module.cells_of(
            agent_module.ask(runtime, "cells"))[Cell("tcp", "forwarded", 803,
                                                     "ESTABLISHED")] == 1, 3, "no entry")
    finally:
        process.terminate()
        assert process.wait(10) == 0, process.stderr.read()
        process.stderr.close()


def test_kernel_without_nfnetlink(host, runtime):
    """nf_conntrack not there: the kernel has no NETLINK_NETFILTER. Simulated by strace."""
    done = agent_module.run_to_end(host, [
        "strace", "-f", "-o", "/dev/null", "-e", "trace=socket",
        "-e", "inject=socket:error=EPROTONOSUPPORT", agent_module.PROGRAM,
        "--runtime-dir", runtime, *agent_module.EXTRA_ARGS],
        env=agent_module.without_leak_check())
    lines = done.stderr.strip().splitlines()
    assert done.returncode > 0 and len(lines) == 1, done
    assert "nf_conntrack" in lines[0] or "nfnetlink" in lines[0], lines[0]


def test_kernel_without_ctnetlink(host, runtime):
    """nfnetlink is there, nf_conntrack_netlink is not: groups cannot be joined."""
    done = agent_module.run_to_end(host, [
        "strace", "-f", "-o", "/dev/null", "-e", "trace=sendto,sendmsg",
        "-e", "inject=sendto,sendmsg:error=EINVAL", agent_module.PROGRAM,
        "--runtime-dir", runtime, *agent_module.EXTRA_ARGS], timeout=40,
        env=agent_module.without_leak_check())
    lines = done.stderr.strip().splitlines()
    assert done.returncode > 0, done
    assert len(lines) == 1, done.stderr


def test_count_unreadable_in_proc(lab, pair, runtime):
    """ProcSubset=pid hides /proc/sys: the count comes by netlink, and all goes on."""
    process = lab.middle.popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c",
         "mount -t tmpfs none /proc/sys/net && exec \"$@\"", "sh", agent_module.PROGRAM,
         "--runtime-dir", runtime, *agent_module.EXTRA_ARGS],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        agent_module.poll(lambda: (agent_module.ask(runtime, "status") or {}).get("mode") == "full"
                          or process.poll() is not None, 15, "not ready")
        assert process.poll() is None, process.stderr.read()
        traffic.Tcp(pair.flow(), 40000, 804).drive("ESTABLISHED")
        agent_module.poll(lambda: agent_module.ask(runtime, "status")["entries"] == 1, 6,
                          lambda: f"count by netlink: {agent_module.ask(runtime, 'status')}")
        assert agent_module.ask(runtime, "status")["max"] > 0
    finally:
        process.terminate()
        assert process.wait(10) == 0, process.stderr.read()
        process.stderr.close()
