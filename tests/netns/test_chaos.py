# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything at once, by dice: what no test above thought of.

CONNTIDE_CHAOS_SEED=n plays one game of that number; CONNTIDE_CHAOS_STEPS makes it longer.
"""
import os
import random
import signal
import time

import pytest

import traffic

SEEDS = ([int(os.environ["CONNTIDE_CHAOS_SEED"])] if "CONNTIDE_CHAOS_SEED" in os.environ
         else [1, 2])
STEPS = int(os.environ.get("CONNTIDE_CHAOS_STEPS", "300"))


class Game:
    """Few tuples, so that they meet themselves again in every state."""

    def __init__(self, lab, pair, agent, dice):
        self.lab, self.pair, self.agent, self.dice = lab, pair, agent, dice
        self.connections = {}
        self.local = False

    def flow(self):
        return self.pair.flow(self.dice.choice((4, 6)), self.dice.randint(1, 3))

    def ports(self):
        return 30000 + self.dice.randrange(12), 1000 + self.dice.randrange(5)

    def whole_connection(self):
        flow, (sport, dport) = self.flow(), self.ports()
        connection = traffic.Tcp(flow, sport, dport)
        connection.seq = self.dice.randrange(1 << 32)
        connection.back_seq = self.dice.randrange(1 << 32)
        connection.drive(self.dice.choice(traffic.TCP_STATES))
        self.connections[(flow.src, sport, dport)] = connection

    def one_packet(self):
        if not self.connections:
            return
        connection = self.dice.choice(list(self.connections.values()))
        flags = self.dice.choice((traffic.SYN, traffic.SYN | traffic.ACK, traffic.ACK,
                                  traffic.FIN | traffic.ACK, traffic.RST,
                                  traffic.RST | traffic.ACK))
        self.dice.choice((connection.client, connection.server))(flags)

    def datagram(self):
        flow, (sport, dport) = self.flow(), self.ports()
        if self.dice.random() < 0.5:
            flow.forth(17, traffic.udp(flow.src, flow.dst, sport, dport))
        else:
            flow.back(17, traffic.udp(flow.dst, flow.src, dport, sport))

    def other_protocol(self):
        flow, (sport, dport) = self.flow(), self.ports()
        association = traffic.Sctp(flow, sport, dport)
        six = traffic.is6(flow.src)
        self.dice.choice((
            lambda: getattr(association, self.dice.choice(traffic.Sctp.STEPS)[1])(),
            lambda: association.drive(self.dice.choice(traffic.Sctp.STEPS)[1]),
            association.heartbeat, association.abort,
            lambda: flow.forth(47, traffic.gre()), lambda: flow.back(47, traffic.gre()),
            lambda: flow.forth(253, b"x"),
            lambda: flow.forth(58 if six else 1, traffic.echo(flow.src, flow.dst,
                                                              128 if six else 8, sport)),
        ))()

    def by_hand(self):
        """conntrack(8); what it refuses, it refuses."""
        sport, dport = self.ports()
        tuple_ = ["-p", "tcp", "-s", "10.78.0.1", "-d", "10.79.0.1",
                  "--sport", str(sport), "--dport", str(dport)]
        state = ["--state", self.dice.choice(traffic.TCP_STATES)]
        self.lab.middle.conntrack(*self.dice.choice((
            ["-I", *tuple_, *state, "-t", "300"],
            ["-I", *tuple_, *state, "-t", "300", "-u", "SEEN_REPLY,ASSURED"],
            ["-I", *tuple_, *state, "-t", "300", "-w", str(self.dice.randint(1, 2))],
            ["-U", *tuple_, *state, "-t", "300"],
            ["-U", *tuple_, "-m", str(self.dice.randrange(9))],
            ["-D", *tuple_],
            ["-D", "-p", "udp", "--dport", str(dport)],
            ["-D", "-p", "tcp", "--state", state[1]],
        )), check=False)

    def flush(self):
        self.lab.middle.conntrack("-F")

    def move_address(self):
        self.lab.middle.ip(f"addr {'del' if self.local else 'add'} 10.79.0.2/32 dev server")
        self.local = not self.local

    def disturb(self):
        self.agent.signal(signal.SIGHUP)

    def hold(self):
        self.agent.signal(signal.SIGSTOP)
        for _ in range(20):
            self.whole_connection()
            self.by_hand()
        self.agent.signal(signal.SIGCONT)

    def play(self, steps):
        moves = [(self.whole_connection, 30), (self.one_packet, 30), (self.datagram, 20),
                 (self.other_protocol, 20), (self.by_hand, 10), (self.flush, 0.3),
                 (self.move_address, 0.5), (self.disturb, 2), (self.hold, 0.4),
                 (lambda: time.sleep(0.01), 5)]
        for move in self.dice.choices([move for move, _ in moves],
                                      [weight for _, weight in moves], k=steps):
            move()


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_chaos(lab, pair, start_agent, seed):
    """Right after each of four games, with dumps in between and no event lost."""
    for state in ("syn_recv", "close_wait", "last_ack", "close", "fin_wait"):
        lab.middle.conntrack_sysctl(f"tcp_timeout_{state}", 600)
    # Receivers of spoofed RSTs and FINs change silently at times: dumps every 3 s find it.
    agent = start_agent(lab.middle, "--silent-interval", "3", "--resync-interval", "3")
    game = Game(lab, pair, agent, random.Random(seed))
    for turn in range(4):
        game.play(STEPS)
        agent.wait_equal(10, label=f"seed {seed} turn {turn}")
    assert agent.status()["events_lost"] == 0
