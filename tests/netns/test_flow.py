# SPDX-License-Identifier: GPL-2.0-or-later
"""One entry looked up: what conntrack -L says of it, by one question, and never the table."""
import json
import os
import re
import subprocess

import pytest

import agent as agent_module
import nat_oracle
import traffic

FLOW = os.path.join(agent_module.BUILD, "conntide-flow")


def ask(namespace, *argv):
    """As anybody would: conntide flow."""
    with namespace.inside():
        return subprocess.run([agent_module.CLI, "flow", *map(str, argv)], text=True, timeout=20,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def look_up(namespace, *argv):
    done = ask(namespace, "--json", *argv)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def end(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def kernel(namespace, *filters):
    """The one entry that matches: line, both tuples, seconds left."""
    lines = namespace.conntrack("-L", *map(str, filters)).splitlines()
    assert len(lines) == 1, lines
    tuples = re.findall(r"src=(\S+) dst=(\S+) (?:sport=(\d+) dport=(\d+)|type=\d+ code=\d+ id=(\d+))",
                        lines[0])
    return lines[0], tuples, int(re.match(r"\S+\s+\d+ (\d+)", lines[0]).group(1))


@pytest.mark.parametrize("state", ["SYN_SENT", "ESTABLISHED", "TIME_WAIT"])
def test_translated_tcp(lab, pair, state):
    """Source NAT, a mark, and the state with what is left of it."""
    nat_oracle.rules(lab.middle, post='oifname "server" meta l4proto tcp masquerade to :30000-30009;')
    lab.middle.nft("table inet marks { chain forward { type filter hook forward priority 0;"
                   " ct mark set 0x17; }\n}")
    flow = pair.flow(4)
    flow.back_dst = lab.MIDDLE4S
    connection = traffic.Tcp(flow, 41000, 443)
    connection.step("SYN_SENT")
    _, (_, back), _ = kernel(lab.middle, "-p", "tcp")
    connection.back_ports = (443, int(back[3]))
    steps = [name for name, _, _ in traffic.Tcp.STEPS]
    for name in steps[1:steps.index(state) + 1]:
        connection.step(name)
    line, (_, back), left = kernel(lab.middle, "-p", "tcp")
    found = look_up(lab.middle, "tcp", end(flow.src, 41000), end(flow.dst, 443))
    assert state in line and found["state"] == state
    assert found["source_nat"] == {"address": back[1], "port": int(back[3])}
    assert found["destination_nat"] is None
    assert abs(found["seconds_left"] - left) <= 5
    assert found["mark"] == 0x17 and found["zone"] == 0
    assert found["assured"] is ("[ASSURED]" in line)
    # By the tuple of its answers it is the same entry.
    again = look_up(lab.middle, "tcp", end(back[0], 443), end(back[1], back[3]))
    assert again["id"] == found["id"] and again["source"] == found["source"]
    text = ask(lab.middle, "tcp", end(flow.src, 41000), end(flow.dst, 443)).stdout
    assert f"entry        tcp {flow.src}:41000 -> {flow.dst}:443\n" in text
    assert f"source NAT   {flow.src}:41000 goes out as {back[1]}:{back[3]}\n" in text
    assert "mark         0x17\n" in text


@pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])
def test_dnat_udp_and_echo(lab, pair, family):
    own = lab.MIDDLE4C if family == 4 else lab.MIDDLE6C
    src, target = pair.addresses(family)
    shown = target if family == 4 else f"[{target}]"
    word = "ip" if family == 4 else "ip6"
    nat_oracle.rules(lab.middle, pre=f"udp dport 53 dnat {word} to {shown}:5353;")
    flow = traffic.Flow(pair, src, own, seen_dst=target)
    flow.forth(17, traffic.udp(src, own, 40000, 53))
    found = look_up(lab.middle, "udp", end(src, 40000), end(own, 53))
    assert found["destination_nat"] == {"address": target, "port": 5353}
    assert found["source_nat"] is None and found["state"] == "unreplied"
    assert not found["answered"] and not found["assured"]
    name, number, kind = ("icmp", 1, 8) if family == 4 else ("icmpv6", 58, 128)
    traffic.Flow(pair, src, target).forth(number, traffic.echo(src, target, kind, 4711))
    found = look_up(lab.middle, name, end(src, 4711), target)
    assert (found["l4proto"], found["state"]) == (name, "unreplied")
    assert found["source_nat"] is None and found["destination_nat"] is None


def test_zones(lab, pair):
    """The same tuple in two zones: each is found in its own."""
    lab.middle.nft("table inet zones { chain pre { type filter hook prerouting priority -300;"
                   " udp sport 40007 ct zone set 7; }\n}")
    for sport in (40000, 40007):
        flow = pair.flow(4)
        flow.forth(17, traffic.udp(flow.src, flow.dst, sport, 53))
    tuple7 = ("udp", end(flow.src, 40007), end(flow.dst, 53))
    assert look_up(lab.middle, "--zone", 7, *tuple7)["zone"] == 7
    assert look_up(lab.middle, "udp", end(flow.src, 40000), end(flow.dst, 53))["zone"] == 0
    missing = ask(lab.middle, *tuple7)
    assert missing.returncode == 4
    assert missing.stderr == "conntide-flow: no such entry in zone 0\n"
    missing = ask(lab.middle, "--json", *tuple7)
    assert (missing.returncode, json.loads(missing.stdout)) == (4, {"found": False})


def test_without_the_capability(lab):
    with lab.middle.inside():
        done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                               FLOW, "tcp", "10.0.0.5:1", "192.0.2.9:2"], text=True, timeout=20,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("conntide-flow: not allowed to ask the kernel: run it as root, or with "
                           "CAP_NET_ADMIN in this network namespace\n")


# Not with the sanitizers: LeakSanitizer cannot trace what strace traces.
@pytest.mark.slow
def test_one_question(lab, pair, tmp_path):
    """One message to the kernel, without NLM_F_DUMP, whatever else the table holds."""
    for number in range(50):
        flow = pair.flow(4)
        flow.forth(17, traffic.udp(flow.src, flow.dst, 40000 + number, 53))
    trace = tmp_path / "trace"
    with lab.middle.inside():
        subprocess.run(["strace", "-f", "-e", "trace=%network", "-o", trace, FLOW, "--no-sandbox",
                        "udp", end(flow.src, 40000), end(flow.dst, 53)], check=True, timeout=20,
                       stdout=subprocess.DEVNULL)
    sent = re.findall(r"(?m)^.*send(?:to|msg)\(.*$", trace.read_text())
    assert len(sent) == 1 and "IPCTNL_MSG_CT_GET" in sent[0] and "DUMP" not in sent[0], sent
    assert len(re.findall(r"recvmsg\(.* = [1-9]", trace.read_text())) == 1


@pytest.mark.parametrize("words, why", [
    (("tcp", "10.0.0.5", "192.0.2.9:443"), "needs a port"),
    (("tcp", "10.0.0.5:70000", "192.0.2.9:443"), "is not ADDRESS:PORT"),
    (("tcp", "10.0.0.5:1", "[::1]:443"), "is of another family"),
    (("tcp", "[::1:1", "[::1]:443"), "is not ADDRESS:PORT"),
    (("foo", "10.0.0.5:1", "192.0.2.9:443"), "is no protocol known here"),
    (("icmp", "10.0.0.5", "192.0.2.9"), "needs an echo id"),
    (("icmp", "[::1]:5", "::1"), "is not of this protocol's family"),
    (("tcp", "10.0.0.5:1"), "a protocol, a source and a destination are needed")])
def test_wrong_usage(lab, words, why):
    done = ask(lab.middle, *words)
    assert done.returncode == 2 and why in done.stderr, done
