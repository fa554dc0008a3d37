# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent and a service manager: ready after the first dump, alive, how it goes; and the
event socket that the service manager keeps while no agent runs. A test plays systemd's part."""
import array
import contextlib
import os
import re
import socket
import subprocess
import time

import pytest

import agent as agent_module
import traffic
from oracle import Cell
from test_lifecycle import somebody_listens


class Manager:
    """NOTIFY_SOCKET, WATCHDOG_USEC and the store of descriptors."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.socket.settimeout(30 * agent_module.patience())
        self.stored = {}

    def receive(self):
        """The next message, as a dictionary; descriptors in it are kept."""
        data, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(4 * 8))
        fields = dict(line.split("=", 1) for line in data.decode().splitlines())
        for level, kind, content in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds = array.array("i", content)
            assert len(fds) == 1 and fields["FDSTORE"] == "1"
            self.stored[fields["FDNAME"]] = fds[0]
        return fields

    def until(self, name):
        """The next message that has this field, and all that came before it."""
        before = []
        while True:
            fields = self.receive()
            if name in fields:
                return fields, before
            before.append(fields)

    def close(self):
        self.socket.close()
        for fd in self.stored.values():
            os.close(fd)


class Service(agent_module.Agent):
    """An agent as systemd starts it, again and again."""

    def __init__(self, namespace, manager, *args, **kwargs):
        self.manager = manager
        self.passed = {}
        super().__init__(namespace, *args, **kwargs)

    def start(self, wait=True):
        self.log_path = os.path.join(self.runtime, f"stderr.{len(self.logs)}")
        self.logs.append(self.log_path)
        env = {**os.environ, "NOTIFY_SOCKET": self.manager.path, "WATCHDOG_USEC": "3000000"}
        fds = list(self.passed.values())
        # Only once it runs its process id is known, and is it in its place.
        script = "".join(f"exec {3 + i}<&{fd}; " for i, fd in enumerate(fds))
        if fds:
            script += "export LISTEN_PID=$$; "
            env.update(LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=":".join(self.passed))
        argv = ["bash", "-c", script + 'exec "$@"', "sh", agent_module.PROGRAM, "--runtime-dir",
                self.runtime, *agent_module.EXTRA_ARGS, *self.args]
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = self.namespace.popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log, env=env, pass_fds=fds)
        if wait:
            self.wait_ready()


@pytest.fixture
def manager(runtime):
    with contextlib.closing(Manager(runtime)) as made:
        yield made


@pytest.fixture
def service(lab, manager):  # pylint: disable=redefined-outer-name
    with contextlib.closing(Service(lab.middle, manager)) as made:
        yield made


def test_ready_alive_and_how_it_goes(lab, pair, manager):  # pylint: disable=redefined-outer-name
    for sport in range(7):
        traffic.Tcp(pair.flow(), 40000 + sport, 301).drive("ESTABLISHED")
    with contextlib.closing(Service(lab.middle, manager, wait=False)) as service:
        stored, before = manager.until("FDSTORE")
        assert not before and (stored["FDNAME"], stored["FDPOLL"]) == ("events", "0")
        _, before = manager.until("READY")
        # Its first dump is done, or it would not say so.
        assert service.status()["mirror_entries"] == 7, before
        status, _ = manager.until("STATUS")
        assert re.match(r"OK: 7 of \d+ entries, [\d.]+ % full; (exact|verified)",
                        status["STATUS"]), status
        # Half of three seconds, from a loop that turns once a second.
        manager.until("WATCHDOG")
        manager.until("WATCHDOG")
        service.stop()
        manager.until("STOPPING")


def test_no_service_manager(lab, start_agent, runtime):
    """A path that nobody listens on is no reason to fail."""
    os.environ["NOTIFY_SOCKET"] = os.path.join(runtime, "nobody")
    try:
        start_agent(lab.middle)
    finally:
        del os.environ["NOTIFY_SOCKET"]


def started_again(service, manager, kept):  # pylint: disable=redefined-outer-name
    """While nothing runs: one entry is made. Then the next agent."""
    pair = traffic.Pair(service.lab)
    try:
        service.kill()
        if not kept:
            os.close(manager.stored.pop("events"))
        # Asked while none of ours listens.
        service.others_listen = not kept and somebody_listens(service.lab)
        connection = traffic.Tcp(pair.flow(), 41000, 303)
        connection.drive("ESTABLISHED")
        service.passed = dict(manager.stored)
        service.start()
        service.wait_equal(expect={Cell("tcp", "forwarded", 303, "ESTABLISHED"): 1}, label="start")
        return connection, pair
    except BaseException:
        pair.close()
        raise


@pytest.mark.alone
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.each_kernel
def test_entries_made_while_no_agent_runs(lab, service, manager, kept):  # pylint: disable=redefined-outer-name
    """With the socket kept they speak, as do those from before; without it nobody knows of the
    old ones, and the new ones are silent for all their life."""
    lab.middle.conntrack_sysctl("events", 2)
    service.lab = lab
    manager.until("READY")
    before = traffic.Pair(lab)
    traffic.Tcp(before.flow(), 42000, 302).drive("ESTABLISHED")
    service.wait_equal(exact=True, label="before")
    before.close()
    connection, pair = started_again(service, manager, kept)
    try:
        if service.others_listen:
            pytest.skip("another ctnetlink listener on this machine: no entry is born silent")
        # What the first dump shows, a second one has to confirm, a few seconds later.
        service.wait_status(lambda status: status["silent_entries"] == (0 if kept else 2), 9,
                            "silent entries after the restart")
        if kept:
            assert "goes on with the socket" in service.log()
            connection.step("FIN_WAIT")
            service.wait_equal(exact=True, label="it speaks",
                               expect={Cell("tcp", "forwarded", 303, "FIN_WAIT"): 1})
            assert service.status()["counters"]["events_lost"] == 0
    finally:
        pair.close()


@pytest.mark.alone
@pytest.mark.each_kernel
def test_who_was_silent_stays_so(lab, manager, pair):  # pylint: disable=redefined-outer-name
    """What the agent before knew to be silent, the next one does not take for speaking."""
    lab.middle.conntrack_sysctl("events", 2)
    if somebody_listens(lab):
        pytest.skip("another ctnetlink listener on this machine: no entry is born silent")
    old = traffic.Tcp(pair.flow(), 43000, 302)
    old.drive("ESTABLISHED")
    with contextlib.closing(Service(lab.middle, manager)) as service:
        service.wait_status(lambda status: status["silent_entries"] == 1, 5, "one silent")
        manager.until("READY")
        service.kill()
        service.passed = dict(manager.stored)
        service.start()
        service.wait_status(lambda status: status["silent_entries"] == 1, 5, "still silent")
        assert service.status()["quality"] == "verified"


def test_an_overrun_meanwhile(lab, service, manager):  # pylint: disable=redefined-outer-name
    """The queue of the kept socket is full, and what is in it is old: the dump has it all."""
    manager.until("READY")
    service.kill()
    os.set_blocking(manager.stored["events"], False)
    kept = socket.socket(fileno=os.dup(manager.stored["events"]))
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    kept.close()
    made = traffic.Pair(lab)
    try:
        for sport in range(400):
            traffic.Tcp(made.flow(), 20000 + sport, 304).drive("ESTABLISHED")
        service.passed = dict(manager.stored)
        service.start()
        service.wait_equal(exact=True, label="after an overrun", expect={
            Cell("tcp", "forwarded", 304, "ESTABLISHED"): 400})
    finally:
        made.close()


@pytest.mark.parametrize("what", ["of another namespace", "not netlink"])
def test_a_socket_that_is_of_no_use(lab, service, manager, what):  # pylint: disable=redefined-outer-name
    """Refused, said, forgotten by the service manager, and a new one is given to it."""
    manager.until("READY")
    service.kill()
    if what == "not netlink":
        wrong = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    else:
        with lab.server.inside():
            wrong = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    with wrong:
        service.passed = {"events": wrong.fileno()}
        service.start()
        removed, _ = manager.until("FDSTOREREMOVE")
        assert removed["FDNAME"] == "events"
        manager.until("FDSTORE")
        assert "cannot go on with the socket" in service.log()
        service.wait_equal(exact=True, label="with a socket of its own")


def test_the_watchdog_is_the_loops_own(service, manager):  # pylint: disable=redefined-outer-name
    """An agent that hangs says nothing."""
    manager.until("WATCHDOG")
    service.signal(19)  # SIGSTOP
    try:
        time.sleep(0.2)
        manager.socket.settimeout(0.01)
        with contextlib.suppress(TimeoutError):
            while True:
                manager.receive()
        manager.socket.settimeout(3)
        with pytest.raises(TimeoutError):
            manager.receive()
    finally:
        service.signal(18)
    manager.socket.settimeout(30)
    manager.until("WATCHDOG")
