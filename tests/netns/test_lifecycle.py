# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries older than the agent; agents that stop, die, hang and come back."""
import os
import signal
import subprocess
import time

import pytest

import agent as agent_module
import netns
import traffic
from oracle import Cell

START_SECONDS = 10

# nf_conntrack_events: 0 makes entries without the extension that events need. They are
# what entries born with 2 and no listener are, but here no listener elsewhere on the
# machine (the flag is global) can spoil the test.
SILENT_BIRTH = 0


def tcp_in_each_state(pair, sport=40000):
    for index, state in enumerate(traffic.TCP_STATES):
        traffic.Tcp(pair.flow(), sport, 2000 + index).drive(state)
    return {Cell("tcp", "forwarded", 2000 + index, state): 1
            for index, state in enumerate(traffic.TCP_STATES)}


@pytest.mark.each_kernel
def test_entries_born_before_the_agent(lab, pair, start_agent):
    """The first dump finds them in their states; with events=1 they speak."""
    lab.middle.conntrack_sysctl("events", 1)
    expect = tcp_in_each_state(pair)
    for family in (4, 6):
        flow = pair.flow(family)
        flow.forth(17, traffic.udp(flow.src, flow.dst, 5000, 301))
    expect[Cell("udp", "forwarded", 301, "unreplied")] = 2
    agent = start_agent(lab.middle)
    agent.wait_equal(START_SECONDS, expect=expect, label="start")
    walked = traffic.Tcp(pair.flow(), 40000, 2000)
    walked.seq += 1
    walked.step("SYN_RECV")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 2000, "SYN_RECV"): 1}, label="event")


@pytest.mark.parametrize("events", [0, pytest.param(2, marks=pytest.mark.alone)])
def test_silent_entries_are_counted_and_reconciled(lab, pair, start_agent, events):
    """Entries that never speak: counted as silent, never exact, put right by dumps."""
    if events == 2 and somebody_listens(lab):
        pytest.skip("another ctnetlink listener on this machine: no entry is born silent")
    lab.middle.conntrack_sysctl("events", events)
    old = traffic.Tcp(pair.flow(), 40000, 302)
    old.drive("ESTABLISHED")
    doomed = traffic.Tcp(pair.flow(), 40000, 303)
    doomed.drive("ESTABLISHED")
    lab.middle.conntrack_sysctl("events", 2)
    agent = start_agent(lab.middle, "--silent-interval", "2")
    agent.wait_equal(START_SECONDS, label="start", exact=False, expect={
        Cell("tcp", "forwarded", port, "ESTABLISHED"): 1 for port in (302, 303)})
    status = agent.wait_status(lambda status: status["silent_entries"] == 2, 3, "two silent")
    assert "silent-entries" in agent.doubts(status)
    old.step("FIN_WAIT")
    lab.middle.conntrack("-D", "-p", "tcp", "--dport", "303")
    # --silent-interval 2, then the dump; three times that is the promise of the deadline.
    agent.wait_equal(6, exact=False, label="changed and deleted unheard", expect={
        Cell("tcp", "forwarded", 302, "FIN_WAIT"): 1,
        Cell("tcp", "forwarded", 303, "ESTABLISHED"): 0})
    agent.wait_status(lambda status: status["silent_entries"] == 1, 3, "one silent")
    # A speaking entry beside it: its events are live, and the sum is not exact for that.
    traffic.Tcp(pair.flow(), 40001, 304).drive("ESTABLISHED")
    agent.wait_equal(expect={Cell("tcp", "forwarded", 304, "ESTABLISHED"): 1}, exact=False,
                     label="a speaking one")
    lab.middle.conntrack("-D", "-p", "tcp", "--dport", "302")
    agent.wait_equal(6, exact=True, label="the last silent one died")
    agent.wait_status(lambda status: status["silent_entries"] == 0 and not agent.doubts(status), 3,
                      "none silent")


def somebody_listens(lab):
    """True when another listener anywhere makes entries speak in this namespace too."""
    probe = lab.server
    probe.nft(netns.TRACK)
    probe.conntrack_sysctl("events", 2)
    probe.conntrack("-I", "-p", "udp", "-s", "10.1.1.1", "-d", "10.1.1.2", "--sport", "1",
                    "--dport", "1", "-t", "60")
    process = probe.popen(["conntrack", "-E", "-e", "DESTROY", "-b", "65536"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        # It listens once its socket is in the list of netlink sockets.
        agent_module.poll(lambda: f" {process.pid} " in probe.run("cat", "/proc/net/netlink"),
                          3, "conntrack -E does not listen")
        probe.conntrack("-D", "-p", "udp")
        os.set_blocking(process.stdout.fileno(), False)
        time.sleep(0.3)
        return b"DESTROY" in (process.stdout.read() or b"")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        probe.run("nft", "flush", "ruleset")


def test_entries_born_silent_while_the_agent_runs(lab, pair, start_agent):
    """events=0 under a running agent: nothing is told, but the count shows it."""
    agent = start_agent(lab.middle, "--silent-interval", "2")
    agent.wait_equal(exact=True, label="empty")
    lab.middle.conntrack_sysctl("events", 0)
    for sport in range(50):
        traffic.Tcp(pair.flow(), 21000 + sport, 305).drive("ESTABLISHED")
    agent.wait_status(lambda status: not status["exact"], 6, "50 entries unheard, called exact")
    agent.wait_equal(10, exact=False, label="found", expect={
        Cell("tcp", "forwarded", 305, "ESTABLISHED"): 50})
    agent.wait_status(lambda status: status["silent_entries"] == 50, 3, "50 silent")


@pytest.mark.each_kernel
def test_restart(lab, pair, start_agent):
    """Stopped and started again, with changes in between: a new, right segment."""
    agent = start_agent(lab.middle)
    tcp_in_each_state(pair)
    first = agent.wait_equal(label="before")
    agent.stop()
    stopped = agent_module.cli(agent.runtime, "status", "--json")
    assert stopped.returncode == 3, stopped
    assert agent.status()["agent"] == "stopped" and not agent.status()["exact"]
    assert not agent.status()["agent_up"]
    lab.middle.conntrack("-D", "-p", "tcp", "--dport", "2003")
    late = traffic.Tcp(pair.flow(), 40009, 306)
    late.drive("ESTABLISHED")
    agent.start()
    second = agent.wait_equal(START_SECONDS, label="after", expect={
        Cell("tcp", "forwarded", 306, "ESTABLISHED"): 1,
        Cell("tcp", "forwarded", 2003, "LAST_ACK"): 0})
    assert second["agent_pid"] != first["agent_pid"]


@pytest.mark.each_kernel
def test_killed_agent_is_seen_and_replaced(lab, pair, start_agent):
    """SIGKILL: readers keep answering, say so within seconds, and see the next agent."""
    agent = start_agent(lab.middle)
    expect = tcp_in_each_state(pair)
    agent.wait_equal(expect=expect, label="before")
    dead = agent.process.pid
    agent.kill()
    assert agent.cells(), "the last numbers are still there"
    agent_module.poll(lambda: agent.status()["agent"] == "silent", 15,
                      lambda: f"a dead agent is called {agent.status()['agent']}")
    status = agent.status()
    assert not status["agent_up"] and not status["exact"]
    done = agent_module.cli(agent.runtime, "status")
    assert done.returncode == 3 and "no sign of life" in done.stderr + done.stdout
    lab.middle.conntrack("-F")
    traffic.Tcp(pair.flow(), 40009, 307).drive("ESTABLISHED")
    agent.start()
    status = agent.wait_equal(START_SECONDS, label="after", expect={
        Cell("tcp", "forwarded", 307, "ESTABLISHED"): 1})
    assert status["agent_pid"] != dead and status["agent_up"]
    left = sorted(name for name in os.listdir(agent.runtime) if not name.startswith("stderr"))
    assert [name for name in left if name.endswith(".table")] == ["host.table"], left


def test_killed_again_and_again(lab, pair, start_agent):
    """Ten deaths at bad moments leave nothing behind that hinders the eleventh."""
    agent = start_agent(lab.middle)
    for life in range(10):
        agent.kill()
        traffic.Tcp(pair.flow(), 22000 + life, 308).drive("ESTABLISHED")
        agent.start(wait=False)
        # From before the segment exists to well after the first dump.
        time.sleep(0.01 * life)
    agent.wait_ready()
    agent.wait_equal(START_SECONDS, expect={Cell("tcp", "forwarded", 308, "ESTABLISHED"): 10})
    left = [name for name in os.listdir(agent.runtime) if not name.startswith("stderr")]
    assert set(left) <= {"host.table", "host.hosts", "host.lock", "state"}, f"files pile up: {left}"


@pytest.mark.each_kernel
def test_sighup_compares_at_once(agent, pair):
    """SIGHUP asks for a dump; nothing else changes."""
    traffic.Tcp(pair.flow(), 40000, 311).drive("ESTABLISHED")
    before = agent.wait_equal()["resyncs"]
    agent.signal(signal.SIGHUP)
    status = agent.wait_status(lambda status: status["resyncs"] > before, 5, "no resync")
    assert status["agent_up"]
    agent.wait_equal(exact=True)


def test_stopped_process_is_called_silent(lab, pair, start_agent):
    """SIGSTOP without traffic: silent while it lasts, fresh and right afterwards."""
    agent = start_agent(lab.middle)
    traffic.Tcp(pair.flow(), 40000, 309).drive("ESTABLISHED")
    agent.wait_equal(label="before")
    agent.signal(signal.SIGSTOP)
    try:
        agent_module.poll(lambda: agent.status()["agent"] == "silent", 15,
                          "a stopped process is not called silent")
        assert not agent.status()["exact"]
        traffic.Tcp(pair.flow(), 40001, 309).drive("ESTABLISHED")
    finally:
        agent.signal(signal.SIGCONT)
    agent.wait_equal(expect={Cell("tcp", "forwarded", 309, "ESTABLISHED"): 2}, exact=True,
                     label="after")
    assert agent.status()["events_lost"] == 0


def test_sigint_and_sigterm_during_start(host, start_agent):
    """A stop at any moment of the start is a clean stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        for delay in (0.0, 0.005, 0.02, 0.1):
            agent = start_agent(host, wait=False)
            # Before the handlers are installed a signal just kills: that is clean too.
            time.sleep(delay)
            agent.signal(number)
            process, agent.process = agent.process, None
            status = process.wait(10)
            assert status in (0, -number), f"status {status}: {agent.log()}"


def test_namespace_vanishes(lab, pair, start_agent):
    """`ip netns del` under the agent: it lives on, answers, and stops cleanly.

    The agent's own sockets keep the namespace alive; its interfaces go with their peers.
    """
    agent = start_agent(lab.middle)
    expect = tcp_in_each_state(pair)
    agent.wait_equal(expect=expect, label="before")
    lab.middle.delete_name()
    lab.middle.ip = None
    lab.middle.run("ip", "link", "del", "client")
    lab.middle.run("ip", "link", "del", "server")
    lab.middle.run("ip", "link", "set", "lo", "down")
    agent.wait_status(lambda status: status["agent_up"], 5, "it does not answer")
    agent.wait_equal(10, expect=expect, label="no interfaces left")
    lab.middle.conntrack("-F")
    agent.wait_equal(label="flushed")
    assert agent.process.poll() is None


def test_namespace_not_tracking(start_agent):
    """No rule needs conntrack: the agent runs, shows zero, and says so once."""
    idle = netns.Host("i", track=False)
    try:
        agent = start_agent(idle)
        agent.wait_equal(exact=True, label="idle")
        agent.wait_sums(0)
        told = "asks for connection tracking"
        agent_module.poll(lambda: told in agent.log(), 5, lambda: f"not said:\n{agent.log()}")
        beat = agent.status()["heartbeat_timestamp_seconds"]
        agent.wait_status(lambda status: status["heartbeat_timestamp_seconds"] > beat + 1.5, 10,
                          "no heartbeat")
        assert agent.log().count(told) == 1, f"said more than once:\n{agent.log()}"
        # And it is no dead end: tracking may begin at any time.
        idle.nft(netns.TRACK)
        idle.conntrack("-I", "-p", "udp", "-s", "10.1.1.1", "-d", "10.1.1.2", "--sport", "1",
                       "--dport", "310", "-t", "60")
        agent.wait_equal(expect={Cell("udp", "forwarded", 310, "unreplied"): 1}, label="active")
    finally:
        idle.close()
