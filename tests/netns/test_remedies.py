# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command that advice can print, for every kind of row: the real programs accept it,
and its undo leaves nothing of it."""
import collections
import itertools
import os
import re
import socket
import subprocess

import pytest

import agent as agent_module
import nat_oracle
import netns
import traffic
from agent import poll

CATALOGUE = os.path.join(agent_module.BUILD, "tests", "remedy-catalogue")
# Of the whole machine: not to be written from here, and not by this test.
GLOBAL = ("nf_conntrack_max", "nf_conntrack_buckets")

pytestmark = pytest.mark.skipif(not os.path.exists(CATALOGUE),
                                reason=f"{CATALOGUE} is not built: make {CATALOGUE}")


def catalogue():
    """{name: (families, {tool: [commands]})}"""
    items = {}
    for line in subprocess.run([CATALOGUE], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        if line.startswith("item "):
            _, name, families = line.split()
            tools = collections.defaultdict(list)
            items.setdefault(name, []).append((int(families), tools))
        else:
            tool, command = line.split("\t")
            assert tool != "full", f"{name}: more commands than there is room for"
            tools[tool].append(command)
    return items


ITEMS = catalogue() if os.path.exists(CATALOGUE) else {}
ALL = [(name, families, tools) for name, group in ITEMS.items() for families, tools in group]


@pytest.fixture(scope="module")
def place():
    namespace = netns.Namespace("remedy")
    namespace.ip("link add out0 type veth peer name out1", "link set out0 up",
                 "address add 192.0.2.1/24 dev out0", "address add 2001:db8::1/64 dev out0 nodad")
    # The tables and chains of iptables stay once they were used.
    for program in ("iptables", "ip6tables"):
        for table, chains in (("raw", ("PREROUTING", "OUTPUT")), ("mangle", ("PREROUTING",)),
                              ("nat", ("POSTROUTING",))):
            for chain in chains:
                namespace.run(program, "-t", table, "-A", chain, "-j", "ACCEPT")
            namespace.run(program, "-t", table, "-F")
    yield namespace
    namespace.close()


def filled(command, families, directory):
    """With what an operator fills in; files are in a directory of the test's own."""
    six = families == 2
    command = re.sub(r"ADDRESS([1-9])", lambda m: ("2001:db8::%s" if six else "192.0.2.%s") %
                     m.group(1), command)
    for word, value in (("SOURCE6", "2001:db8::9"), ("SOURCE", "192.0.2.9"),
                        ("ADDRESS", "192.0.2.1"), ("INTERFACE", "out0"),
                        ("/etc/", f"{directory}/")):
        command = command.replace(word, value)
    return command


def script(place, commands, families, directory):
    """Typed one after the other; the first that fails ends it."""
    lines = [filled(command, families, directory) for command in commands
             if not any(name in command and "sysctl -w" in command for name in GLOBAL)
             and not command.startswith("conntide ")]
    return place.run("sh", "-e", "-c", "\n".join(lines) or ":")


def files(directory):
    found = {}
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if os.path.isdir(path):
            found[name] = files(path)
        else:
            with open(path, encoding="ascii") as file:
                found[name] = file.read()
    return found


def state(place, directory):
    """What a remedy may have changed: rules, settings, addresses, files."""
    settings = "\n".join(line for line in place.run("sysctl", "net.netfilter",
                                                    "net.ipv4.tcp_syncookies").splitlines()
                         if "_count" not in line)
    return (place.run("nft", "list", "ruleset"), settings,
            place.run("ip", "-br", "address", "show", "dev", "out0"), files(directory))


@pytest.fixture
def etc(tmp_path):
    for name in ("sysctl.d", "modules-load.d"):
        (tmp_path / name).mkdir()
    (tmp_path / "nftables.conf").write_text("# rules of the house\n", encoding="ascii")
    return str(tmp_path)


def test_catalogue_has_all_tools():
    """An empty catalogue would pass everything."""
    tools = {tool for _, _, found in ALL for tool in found}
    assert tools == {"nft", "iptables", "sysctl", "nginx", "haproxy", "squid", "shell", "undo",
                     "undo_iptables"}
    assert len(ALL) > 150


def test_nft_and_sysctl_run_and_are_undone(place, etc):
    for name, families, tools in ALL:
        before = state(place, etc)
        commands = tools["sysctl"] + tools["nft"] + tools["shell"]
        if not tools["undo"]:
            assert not tools["nft"] and not tools["sysctl"], name
            continue
        try:
            script(place, commands, families, etc)
            if tools["nft"] or not any(word in name for word in ("size",)):
                assert state(place, etc) != before, f"{name} does nothing"
            place.run("nft", "-c", "-f", f"{etc}/nftables.conf")
            script(place, tools["undo"], families, etc)
        except RuntimeError as err:
            raise AssertionError(f"{name}: {err}") from err
        assert state(place, etc) == before, f"{name}: its undo leaves something"


def test_iptables_runs_and_is_undone(place, etc):
    for name, families, tools in ALL:
        if not tools["iptables"]:
            continue
        before = state(place, etc)
        try:
            script(place, tools["iptables"], families, etc)
            assert state(place, etc) != before, f"{name} does nothing"
            script(place, tools["undo_iptables"], families, etc)
        except RuntimeError as err:
            raise AssertionError(f"{name}: {err}") from err
        assert state(place, etc) == before, f"{name}: its undo leaves something"


def test_no_remedy_undoes_another(place, etc):
    """All in force at the same time, each taken back in the order it came."""
    chosen = {}
    for name, families, tools in ALL:
        if tools["nft"] and families == 3:
            chosen[next(line.split()[-1] for line in tools["nft"]
                        if line.startswith("nft add table"))] = (name, families, tools)
    before = place.run("nft", "list", "ruleset")
    for name, families, tools in chosen.values():
        script(place, tools["sysctl"] + tools["nft"], families, etc)
    for table, (name, families, tools) in chosen.items():
        script(place, tools["undo"], families, etc)
        left = place.run("nft", "list", "tables")
        assert f" {table}\n" not in left, name
    assert place.run("nft", "list", "ruleset") == before
    assert len(chosen) > 15


def test_families_of_the_item(place, etc):
    """Each family that holds entries has its commands; none that does not, where it matters."""
    del place, etc
    for name, families, tools in ALL:
        rules = tools["iptables"]
        if rules and not name.startswith("nat-"):
            assert any(line.startswith("iptables") for line in rules) == bool(families & 1), name
            assert any(line.startswith("ip6tables") for line in rules) == bool(families & 2), name
        limits = [line for line in tools["nft"] if " saddr " in line]
        if limits:
            assert any(" ip saddr " in line for line in limits) == bool(families & 1), name
            assert any(" ip6 saddr " in line for line in limits) == bool(families & 2), name


def test_deletions_are_understood(place, etc):
    """conntrack takes each line; with nothing to delete it says so."""
    done = set()
    for name, families, tools in ALL:
        for line in tools["shell"]:
            if line.startswith("conntrack -D") and line not in done:
                done.add(line)
                said = place.run("sh", "-c", f"{filled(line, families, etc)} 2>&1 || true")
                assert "0 flow entries have been deleted" in said, f"{name}: {line}: {said}"
    assert len(done) == 2 * (4 + 1 + 1)


@pytest.mark.parametrize("loose", [0, 1])
@pytest.mark.parametrize("first_out", [0, 1])
def test_synproxy_gives_back_what_was(place, etc, loose, first_out):
    """Settings of the whole namespace, under two ports: kept once, given back with the last."""
    place.run("sysctl", "-w", f"net.netfilter.nf_conntrack_tcp_loose={loose}")
    place.run("sysctl", "-w", f"net.ipv4.tcp_syncookies={2 * loose}")
    before = state(place, etc)
    items = [(families, tools) for name, families, tools in ALL
             if name.startswith("syn-flood") and families == 3]
    assert len(items) == 2
    for families, tools in items:
        script(place, tools["sysctl"] + tools["nft"] + tools["shell"], families, etc)
    families, tools = items[first_out]
    script(place, tools["undo"], families, etc)
    # The other is still in force.
    assert place.run("sysctl", "-n", "net.netfilter.nf_conntrack_tcp_loose").strip() == "0"
    families, tools = items[1 - first_out]
    script(place, tools["undo"], families, etc)
    assert state(place, etc) == before


def accepted(argv, name):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def test_proxies_accept_their_lines(tmp_path):
    seen = set()
    for name, families, tools in ALL:
        for tool in ("nginx", "haproxy", "squid"):
            lines = [filled(line, families, "/etc") for line in tools[tool]]
            if not lines or (tool, tuple(lines)) in seen:
                continue
            seen.add((tool, tuple(lines)))
            path = str(tmp_path / tool)
            if tool == "nginx":
                end = lines.index("}") + 1
                lines = ([f"pid {path}.pid;", f"error_log {path}.log;", "events {}", "http {",
                          "access_log off;"] + lines[:end] + ["server {", "listen 127.0.0.1:1;"]
                         + lines[end:] + ["}", "}"])
            elif tool == "haproxy":
                lines = ["defaults", "    mode http", "    timeout connect 5s", "    timeout client 5s",
                         "    timeout server 5s", "frontend f",
                         "    bind 127.0.0.1:1", "    default_backend BACKEND"] + lines
            with open(path, "w", encoding="ascii") as file:
                file.write("\n".join(lines) + "\n")
            accepted({"nginx": ["nginx", "-t", "-c", path], "haproxy": ["haproxy", "-c", "-f", path],
                      "squid": ["squid", "-k", "parse", "-f", path]}[tool], f"{name}, {tool}")
    assert {tool for tool, _ in seen} == {"nginx", "haproxy", "squid"}


def exchange(pair, host_number, sport, dport, family=4):
    src, dst = pair.addresses(family, host_number)[0], pair.addresses(family, 1)[1]
    flow = traffic.Flow(pair, src, dst)
    flow.forth(17, traffic.udp(flow.src, flow.dst, sport, dport))


@pytest.mark.slow
def test_translated_rows_are_not_untracked(lab, agent, pair):
    """Two ports through a router, one of them masqueraded: not tracking that would cut off
    its clients, and is not offered; for the other it is, for both families it has."""
    lab.middle.conntrack_sysctl("udp_timeout", 600)
    nat_oracle.rules(lab.middle, post='oifname "server" udp dport 53 masquerade;')
    sports = iter(range(20000, 60000))

    def exchanges(count):
        for sport in itertools.islice(sports, count):
            exchange(pair, 1 + sport % 5, sport, 53)
            exchange(pair, 1 + sport % 5, sport, 123)

    exchanges(600)
    exchange(pair, 1, 20000, 123, family=6)

    def advised():
        # A load that has ended leaves nothing to save.
        exchanges(20)
        return {item["id"]: item for item in agent_module.ask(agent.runtime, "advice") or []}

    # Counted with the pictures of the table, every ten seconds.
    poll(lambda: "notrack-udp-123-forwarded" in advised(), 180, lambda: f"advice: {advised()}")
    items = advised()
    assert "notrack-udp-53-forwarded" not in items
    rules = items["notrack-udp-123-forwarded"]["commands"]["iptables"]
    assert {rule.split()[0] for rule in rules} == {"iptables", "ip6tables"}
    assert any("udp-53" in name or "timeout-udp" in name for name in items)


def item_of(name, families):
    return next(tools for found, have, tools in ALL if found == name and have == families)


def udp_exchange(asker, server, address, port):
    """There and back, between sockets."""
    with server.socket(kind=socket.SOCK_DGRAM) as answers, \
            asker.socket(kind=socket.SOCK_DGRAM) as asks:
        for sock in (answers, asks):
            sock.settimeout(10)
        answers.bind((address, port))
        asks.sendto(b"?", (address, port))
        answers.sendto(b"!", answers.recvfrom(16)[1])
        assert asks.recv(16) == b"!"


def tracked(namespace, *words):
    return len(namespace.conntrack("-L", *words).splitlines())


@pytest.mark.parametrize("tool", ["nft", "iptables"])
def test_a_router_tracks_its_own_connections(lab, tool):
    """What it forwards to a port is not tracked and passes; what it opens to that port is."""
    lab.middle.run("sh", "-e", "-c", "\n".join(item_of("notrack-udp-8080-forwarded-1", 1)[tool]))
    udp_exchange(lab.client, lab.server, lab.SERVER4, 8080)
    assert tracked(lab.middle, "-p", "udp", "--dport", "8080") == 0
    udp_exchange(lab.middle, lab.server, lab.SERVER4, 8080)
    assert tracked(lab.middle, "-p", "udp", "--dport", "8080") == 1


@pytest.mark.parametrize("tool", ["nft", "iptables"])
def test_the_limit_holds_for_ipv6(lab, pair, tool):
    """One host, over IPv6: what is printed for it leaves it so many, and no more."""
    commands = item_of("one-host-2", 2)[tool]
    most = int(re.search(r"(?:over|above) (\d+)", "\n".join(commands)).group(1))
    lab.middle.conntrack_sysctl("udp_timeout", 600)
    lab.middle.run("sh", "-e", "-c", "\n".join(commands))
    for sport in range(10000, 10000 + most + 200):
        exchange(pair, 1, sport, 53, family=6)
    poll(lambda: tracked(lab.middle, "-f", "ipv6", "-p", "udp") >= most, 10,
         "as many as it may")
    assert most <= tracked(lab.middle, "-f", "ipv6", "-p", "udp") <= most + 2
