# SPDX-License-Identifier: GPL-2.0-or-later
"""Watching changes nothing: no sysctl, no entry, no rule; and asks for nothing unusual."""
import os
import re
import subprocess
import time

import agent as agent_module
import oracle
import traffic

SYSCTLS = "/proc/sys/net/netfilter"


def sysctls_of(namespace):
    """All of nf_conntrack's settings, but for the count."""
    values = {}
    with namespace.inside():
        for root in (SYSCTLS, "/proc/sys/net/core", "/proc/sys/net/netfilter/nf_log"):
            for name in os.listdir(root):
                path = os.path.join(root, name)
                if name == "nf_conntrack_count" or not os.path.isfile(path):
                    continue
                try:
                    with open(path, encoding="utf-8", errors="replace") as file:
                        values[path] = file.read()
                except OSError as error:
                    values[path] = str(error)
    return values


def entries_of(namespace):
    """Every entry with everything but its remaining time, which runs."""
    lines = []
    for entry in oracle.entries(namespace):
        head, tail = entry.line.split("src=", 1)
        lines.append(re.sub(r" \d+ (?=[A-Z]\S* $|$)", " - ", head) + "src=" + tail)
    return sorted(lines)


def test_watching_changes_nothing(lab, pair, start_agent):
    """All settings, entries and rules: before, while it runs, and after."""
    lab.middle.conntrack_sysctl("events", 2)
    for index, state in enumerate(traffic.TCP_STATES):
        traffic.Tcp(pair.flow(), 40000, 2000 + index).drive(state)
    flow = pair.flow(6)
    flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, 700))

    def everything():
        return (sysctls_of(lab.middle), entries_of(lab.middle),
                lab.middle.run("nft", "list", "ruleset"), lab.middle.run("ip", "addr"),
                lab.middle.run("ip", "rule"))
    before = everything()
    assert len(before[1]) == len(traffic.TCP_STATES) + 1
    agent = start_agent(lab.middle, "--silent-interval", "1", "--resync-interval", "1",
                        "--audit-rate", "256")
    agent.wait_equal(10)
    resyncs = agent.status()["resyncs"]
    agent.wait_status(lambda status: status["resyncs"] >= resyncs + 2, 10, "no resyncs")
    assert everything() == before
    agent.stop()
    assert everything() == before


def sockets_of(pid):
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes


def test_only_netlink_sockets(agent):
    """Nothing listens, nothing can be asked; one file holds what is published."""
    pid = agent.process.pid
    inodes = sockets_of(pid)
    with open(f"/proc/{pid}/net/netlink", encoding="ascii") as file:
        netlink = {line.split()[-1] for line in file}
    assert inodes and inodes <= netlink, f"not netlink: {inodes - netlink}"
    for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "unix"):
        with open(f"/proc/{pid}/net/{kind}", encoding="ascii") as file:
            words = set(file.read().split())
        assert not inodes & words, f"a socket in /proc/net/{kind}"


def test_privileges_while_running(agent):
    """CAP_NET_ADMIN and nothing else; a system call filter; no way to gain more."""
    if "--no-sandbox" in agent.args + agent_module.EXTRA_ARGS:
        return
    with open(f"/proc/{agent.process.pid}/status", encoding="ascii") as file:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    net_admin = 1 << 12
    for name in ("CapEff", "CapPrm"):
        assert int(fields[name], 16) & ~net_admin == 0, f"{name} {fields[name]}"
    assert fields["NoNewPrivs"].strip() == "1"
    # A sanitizer's runtime makes system calls of its own, so there the filter is off.
    assert fields["Seccomp"].strip() == "2" or agent_module.sanitized()


def test_requests_are_only_questions(lab, pair, runtime):
    """Every message the agent sends: GET, dump, statistics. No option that hinders others.

    NETLINK_BROADCAST_ERROR would let a slow agent keep dead entries in the kernel.
    """
    traffic.Tcp(pair.flow(), 40000, 701).drive("TIME_WAIT")
    trace = os.path.join(runtime, "strace")
    process = lab.middle.popen(
        ["strace", "-f", "-o", trace, "-s", "64", "-e",
         "trace=setsockopt,sendto,sendmsg,sendmmsg,write,listen,bind,socket,connect",
         agent_module.PROGRAM, "--runtime-dir", runtime, "--audit-rate", "256",
         "--resync-interval", "1", *agent_module.EXTRA_ARGS],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=agent_module.without_leak_check())
    try:
        def two_resyncs():
            status = agent_module.ask(runtime, "status")
            return status and status["resyncs"] and status["resyncs"] >= 2
        agent_module.poll(two_resyncs, 30, "no resync under strace")
        traffic.Tcp(pair.flow(), 40001, 701).drive("TIME_WAIT")
        time.sleep(3)  # for audits; what is asserted below does not depend on it
    finally:
        # strace hands the signal on and ends with the agent's status.
        for child in agent_module.children_of(process.pid):
            os.kill(child, 15)
        status = process.wait(20)
    assert status == 0
    with open(trace, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    assert any("setsockopt" in line for line in lines)
    for line in lines:
        assert "BROADCAST_ERROR" not in line, line
        assert not re.search(r"NETLINK, 0x4\b|SOL_NETLINK, 4,", line), line
        assert " listen(" not in line and " connect(" not in line, line
        if re.search(r" socket\(", line):
            assert "AF_NETLINK" in line, line
        if re.search(r" send\w*\(", line):
            assert re.search(r"IPCTNL_MSG_CT_GET\b|IPCTNL_MSG_CT_GET_STATS(_CPU)?\b|RTM_GETADDR|"
                             r"IPCTNL_MSG_EXP_GET_STATS_CPU\b",
                             line), f"an unexpected request: {line}"
    assert any("CT_GET" in line for line in lines)
