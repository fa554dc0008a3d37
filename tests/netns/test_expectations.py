# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of expectations, filled by the kernel's FTP and SIP helpers; `conntrack -L expect` counts."""
import contextlib
import re
import socket

import pytest

import agent as agent_module
import sysctls

LIMIT = 100

HELPERS = """
table inet helpers {
    ct helper ftp { type "ftp" protocol tcp; l3proto inet; }
    ct helper sip { type "sip" protocol udp; l3proto inet; }
    chain forward {
        type filter hook forward priority 0;
        tcp dport 21 ct state new ct helper set "ftp"
        udp dport 5060 ct state new ct helper set "sip"
    }
}
"""


class Ftp:
    """Control connections that announce a data connection each."""

    def __init__(self, lab, stack):
        self.lab, self.stack = lab, stack
        self.listener = stack.enter_context(contextlib.closing(lab.server.socket()))
        self.listener.bind((lab.SERVER4, 21))
        self.listener.listen(4 * LIMIT)
        self.opened = []

    def announce(self, many):
        """Returns when the server has read what was announced; at the limit it never does."""
        for _ in range(many):
            control = self.stack.enter_context(contextlib.closing(self.lab.client.socket()))
            control.settimeout(5)
            control.connect((self.lab.SERVER4, 21))
            accepted, _ = self.listener.accept()
            accepted.settimeout(5)
            self.stack.callback(accepted.close)
            # The helper looks at lines that begin after one it has seen to the end.
            control.sendall(b"NOOP\r\n")
            assert accepted.recv(64)
            address, port = control.getsockname()
            control.sendall(f"PORT {address.replace('.', ',')},{port >> 8},{port & 255}\r\n"
                            .encode())
            self.opened.append(accepted)

    def heard(self, within):
        """The last one that was announced has reached the server."""
        self.opened[-1].settimeout(within)
        try:
            return bool(self.opened[-1].recv(64))
        except TimeoutError:
            return False


@pytest.fixture
def ftp(lab):
    lab.middle.nft(HELPERS)
    with contextlib.ExitStack() as stack:
        yield Ftp(lab, stack)


def kernel_count(namespace):
    return sum("proto=" in line for line in namespace.conntrack("-L", "expect").splitlines())


def wait_equal(agent, count):
    assert kernel_count(agent.namespace) == count
    agent.wait_status(lambda status: (status["expectations"] or {}).get("entries") == count, 10,
                      f"{count} expectations")
    return agent.status()


@pytest.mark.global_sysctl
def test_filled_by_a_helper(lab, agent, ftp):
    """OK, HIGH at 85 %, CRITICAL at the limit, where the next one is lost; and back."""
    wait_equal(agent, 0)
    with sysctls.changed(expect_max=LIMIT):
        ftp.announce(80)
        assert ftp.heard(5)
        status = wait_equal(agent, 80)
        assert status["level"] == "OK"
        agent.wait_status(lambda status: status["expectations"]["max"] == LIMIT, 10, "the limit")
        ftp.announce(10)
        wait_equal(agent, 90)
        agent.wait_status(lambda status: status["level"] == "HIGH", 10, "HIGH")
        assert agent.status()["level_reason"] == "the table of expectations is 90.0 % full"
        ftp.announce(10)
        assert ftp.heard(5)
        wait_equal(agent, 100)
        agent.wait_status(lambda status: status["level"] == "CRITICAL", 10, "CRITICAL")
        assert agent.status()["level_reason"] == (
            "the table of expectations is full (100 of 100): new ones are refused")
        ftp.announce(1)
        assert not ftp.heard(1), "the helper's packet is dropped"
        wait_equal(agent, 100)
        assert "expected    100 of 100 expectations" in agent_module.cli(
            agent.runtime, "status").stdout
        why = agent_module.ask(agent.runtime, "why")
        assert why["patterns"][0]["pattern"] == "expectations", why["patterns"]
        assert "sysctl -w net.netfilter.nf_conntrack_expect_max=400" in agent_module.cli(
            agent.runtime, "advice").stdout
        # With its connection goes what was expected of it, and what is sent again finds none.
        lab.middle.conntrack("-F")
        wait_equal(agent, 0)
        assert agent.status()["level_reason"] == (
            "the table of expectations was full less than 30 s ago")


# --- a gateway of telephones -----------------------------------------------------------

class Registrar:
    """Telephones that register: the helper expects a call for each."""

    def __init__(self, lab, stack):
        self.lab, self.stack = lab, stack
        self.server = stack.enter_context(contextlib.closing(
            lab.server.socket(kind=socket.SOCK_DGRAM)))
        self.server.bind((lab.SERVER4, 5060))
        self.server.settimeout(5)

    def register(self):
        phone = self.stack.enter_context(contextlib.closing(
            self.lab.client.socket(kind=socket.SOCK_DGRAM)))
        phone.connect((self.lab.SERVER4, 5060))
        address, port = phone.getsockname()
        lines = [f"REGISTER sip:{self.lab.SERVER4} SIP/2.0",
                 f"Via: SIP/2.0/UDP {address}:{port};branch=z9hG4bK{port}",
                 f"From: <sip:{port}@{self.lab.SERVER4}>;tag={port}",
                 f"To: <sip:{port}@{self.lab.SERVER4}>", f"Call-ID: {port}@{address}",
                 "CSeq: 1 REGISTER", f"Contact: <sip:{port}@{address}:{port}>", "Expires: 600",
                 "Content-Length: 0", "", ""]
        phone.send("\r\n".join(lines).encode())

    def heard(self):
        try:
            return self.server.recv(1500).startswith(b"REGISTER")
        except TimeoutError:
            return False


@pytest.mark.global_sysctl
def test_registrations_are_lost(lab, agent):
    """At the limit the next telephone is not registered; and an entry stays as long as the helper
    says, not as UDP does."""
    lab.middle.nft(HELPERS)
    with contextlib.ExitStack() as stack:
        registrar = Registrar(lab, stack)
        stack.enter_context(sysctls.changed(expect_max=20))
        for number in range(20):
            registrar.register()
            assert registrar.heard(), number
        wait_equal(agent, 20)
        agent.wait_status(lambda status: status["level"] == "CRITICAL", 10, "CRITICAL")
        registrar.register()
        registrar.server.settimeout(1)
        assert not registrar.heard(), "the helper's packet is dropped"
        wait_equal(agent, 20)
        left = [int(seconds) for seconds in re.findall(r"^udp +17 (\d+) ",
                                                       lab.middle.conntrack("-L"), re.M)]
        assert len(left) == 20 and min(left) > 600
