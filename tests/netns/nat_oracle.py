# SPDX-License-Identifier: GPL-2.0-or-later
"""NAT pools as conntrack(8) has them, and the rules that make them."""
import collections
import re

import agent as agent_module
import oracle

Pool = collections.namedtuple("Pool", "l4proto address remote remote_port zone")
Ports = collections.namedtuple("Ports", "used closing")

TUPLES = re.compile(r"src=(\S+) dst=(\S+) (?:sport=(\d+) dport=(\d+) |type=\d+ code=\d+ id=\d+ )")
CHAINS = """
table inet nat {{
	chain pre {{ type nat hook prerouting priority dstnat; {pre} }}
	chain post {{ type nat hook postrouting priority srcnat; {post} }}
}}
"""
# From 6.5 on kernels take back the ports of closing entries.
with open("/proc/sys/kernel/osrelease", encoding="ascii") as release:
    RECLAIMS = tuple(int(part) for part in release.read().split(".")[:2]) >= (6, 5)
# How long a change may take to be served: pools are written once a second.
SHOWN_SECONDS = 6


def rules(namespace, post="", pre=""):
    namespace.nft(CHAINS.format(pre=pre, post=post))


def pools(namespace, local):
    """What is in use, counted from the listing alone: translated, or of the host itself."""
    counted = collections.defaultdict(lambda: [0, 0])
    for entry in oracle.entries(namespace):
        (src, dst, sport, _), (back_src, back_dst, back_sport, _) = TUPLES.findall(entry.line)[:2]
        translated = back_dst != src
        outbound = local.direction(src, back_src) == "outbound"
        if not (translated or outbound) or entry.l4proto in ("gre", "other"):
            continue
        zone = re.search(r" zone(?:-reply)?=(\d+)", entry.line)
        pool = Pool(entry.l4proto, back_dst, back_src, int(back_sport or 0),
                    int(zone.group(1)) if zone else 0)
        counted[pool][0] += 1
        counted[pool][1] += (RECLAIMS and translated and entry.l4proto == "tcp" and
                             entry.state() in ("TIME_WAIT", "CLOSE", "SYN_SENT2"))
        assert dst and sport is not None
    return {pool: Ports(*counts) for pool, counts in counted.items()}


def rows(agent):
    return agent_module.ask(agent.runtime, "nat", "--limit", "32") or []


def served(agent):
    """The same from conntide; classes of ports of one pool together."""
    counted = collections.defaultdict(lambda: [0, 0])
    for row in rows(agent):
        pool = Pool(row["l4proto"], row["address"], row["remote"], row["remote_port"], row["zone"])
        counted[pool][0] += row["used"]
        counted[pool][1] += row["reclaimable"]
    return {pool: Ports(*counts) for pool, counts in counted.items()}


def wait_equal(agent, expect=None, within=SHOWN_SECONDS, label=""):
    """Polls until conntide has the pools of the kernel; returns them."""
    last = {}

    def question():
        local = oracle.LocalAddresses(agent.namespace)
        last.update(kernel=pools(agent.namespace, local), served=served(agent))
        return last["kernel"] == last["served"] and (
            expect is None or sorted(ports.used for ports in last["kernel"].values()) == expect)
    agent_module.poll(question, within * agent_module.patience(),
                      lambda: f"pools {label}: kernel {last['kernel']}, conntide "
                              f"{last['served']}\nlog: {agent.log()[-2000:]}", interval=0.2)
    return last["kernel"]
