#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What others tell of the same table, and what a look costs: the figures behind the comparison in
README.md.

conntide, conntrack -L, iptstate, node_exporter and Netdata look at one table in a network
namespace. Each is asked as it is by its user; what it tells is found in its own output. Netdata
runs with a configuration of its own, listens on loopback in that namespace, and is stopped after.
Writes the table between the two marks of docs/coming-from.md. Needs root.

Usage: peers.py [--quick]     (make bench-peers)
"""
import argparse
import contextlib
import datetime
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import lab  # first: it makes the modules of tests/netns known
import agent as agent_module
import bench
import figures
import sysctls
import tables

DOCUMENT = os.path.join(lab.HERE, os.pardir, os.pardir, "docs", "coming-from.md")
BEGIN = "<!-- peers.py writes from here -->\n"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
NETDATA_PORT = 19999
PATIENCE_S = 120
LOOKS = 20
# What is asked of each: is it in its output? Of tools that list entries, beside the list.
QUESTIONS = {
    "how many entries": r"\b{count}\b",
    "the limit": r"\b{max}\b",
    "entries by port": r"^(?:tcp|udp) +\w+ +\d+ +\S* *\d+|port=.\d",
    "entries by state": r"(?:TIME_WAIT|unreplied)\W+\d|state=.\w",
    "rates": "NEW/S|conntrack_new",
    "when it is full": "full in|settles|levels off|time.to.full",
    "why, and what to type": "what to do|sysctl -w|nft add",
    "ports of source NAT": "HELD|NAT pool|source NAT",
    "how exact it is": r"quality|\bexact\b",
}
NETDATA_CONF = """
[global]
    run as user = nobody
    hostname = peer
[directories]
    config = {where}
    cache = {where}/cache
    lib = {where}/lib
    log = {where}/log
    home = {where}
[web]
    bind to = 127.0.0.1:{port}
[cloud]
    enabled = no
[registry]
    enabled = no
[ml]
    enabled = no
[plugins]
    apps = no
    cgroups = no
    diskspace = no
    idlejitter = no
    tc = no
    timex = no
    statsd = no
    checks = no
    enable running new plugins = no
"""


class Netdata:
    """Debian's, as it comes but for what has nothing to do with the table."""

    def __init__(self, place):
        self.place = place
        self.where = tempfile.mkdtemp(prefix="conntide-peers-", dir="/var/tmp")
        for name in ("cache", "lib", "log"):
            os.mkdir(os.path.join(self.where, name))
        # It reports to nobody.
        for name, text in {"netdata.conf": NETDATA_CONF.format(where=self.where, port=NETDATA_PORT),
                           ".opt-out-from-anonymous-statistics": ""}.items():
            with open(os.path.join(self.where, name), "w", encoding="ascii") as file:
                file.write(text)
        subprocess.run(["chown", "-R", "65534:65534", self.where], check=True)
        self.process = place.watched.popen(
            [*NOBODY, "netdata", "-D", "-c", os.path.join(self.where, "netdata.conf")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, "DO_NOT_TRACK": "1"})
        lab.wait_for(lambda: any("conntrack" in name for name in self.charts()), 60,
                     "Netdata has the table")

    def ask(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", NETDATA_PORT, timeout=30)
        connection.sock = self.place.watched.socket()
        try:
            connection.sock.connect(("127.0.0.1", NETDATA_PORT))
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        except (OSError, ValueError):
            return {}
        finally:
            connection.close()

    def charts(self):
        return {name: sorted(chart["dimensions"]) for name, chart in
                self.ask("/api/v1/charts").get("charts", {}).items() if "conntrack" in name}

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
        shutil.rmtree(self.where, ignore_errors=True)


def run(place, argv, user=False):
    """(ms, text, exit status)"""
    began = time.perf_counter()
    with place.watched.inside():
        done = subprocess.run([*(NOBODY if user else []), *argv], text=True, capture_output=True,
                              check=False, timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
                              env={**os.environ, "TERM": "xterm", "LC_ALL": "C"})
    return 1e3 * (time.perf_counter() - began), done.stdout, done.returncode


def median_ms(place, argv, times):
    return figures.median([run(place, argv)[0] for _ in range(times)])


def resident_mib(*pids):
    return sum(tables.memory_bytes(pid) for pid in pids) / 2 ** 20


def version(argv):
    done = subprocess.run(argv, text=True, capture_output=True, check=False)
    found = re.search(r"\d+\.\d+[.\d]*", done.stdout + done.stderr)
    return found.group(0) if found else "?"


def yes(told):
    return "yes" if told else "no"


class Peer:
    """A column: what was found, by row."""

    def __init__(self, name):
        self.name, self.cells = name, {"single entries listed": 0}

    def tells(self, text, count):
        for row, pattern in QUESTIONS.items():
            pattern = pattern.format(count=count, max=sysctls.read("max"))
            self.cells[row] = yes(re.search(pattern, text, re.M))


def look_at_conntide(place, agent, count):
    peer = Peer(f"conntide {version([agent_module.CLI, '--version'])}")
    cli = [agent_module.CLI]
    text = "".join(run(place, [*cli, word, "--runtime-dir", agent.runtime])[1] for word in (
        "status", "ports", "why", "advice", "nat", "forecast"))
    peer.tells(text, count)
    peer.cells["a look, ms"] = median_ms(place, [*cli, "ports", "--runtime-dir", agent.runtime], LOOKS)
    os.chmod(agent.runtime, 0o755)
    peer.cells["needs root"] = yes(run(place, [*cli, "ports", "--runtime-dir", agent.runtime], True)[2])
    peer.cells["resident, MiB"] = resident_mib(agent.process.pid)
    return peer


# Without a terminal it fills each line with blanks to a width of millions.
IPTSTATE = ["script", "-qec", "stty cols 120 rows 50; exec iptstate -1 -t", "/dev/null"]


def look_by_dumping(place, name, argv, count, total=None):
    """conntrack and iptstate: the whole table, a line an entry; `total` makes a total."""
    peer = Peer(name)
    took, text, status = run(place, argv)
    listed = [line for line in text.splitlines() if " 10.8" in line or "=10.8" in line
              or line.startswith("10.8")]
    assert status == 0 and listed, (name, status, text[-200:])
    # One may count the lines, by whatever is in them: what it says itself is meant.
    lines = set(listed)
    said = "\n".join(line for line in text.splitlines() if line not in lines)
    peer.tells(said + (run(place, total)[1] if total else ""), count)
    peer.cells["single entries listed"] = len(listed)
    peer.cells["a look, ms"] = took
    seen = run(place, argv, True)[1]
    peer.cells["needs root"] = yes(not any("10.8" in line for line in seen.splitlines()))
    peer.cells["resident, MiB"] = 0
    return peer


def is_count(told, count):
    """Our own requests are tracked, too."""
    return count <= told <= count + 100


def look_at_node_exporter(place, count):
    node = tables.Server(place, [*NOBODY, "prometheus-node-exporter",
                                 "--collector.disable-defaults", "--collector.conntrack",
                                 f"--web.listen-address=127.0.0.1:{tables.NODE_PORT}"],
                         tables.NODE_PORT)
    try:
        peer = Peer(f"node_exporter {version(['prometheus-node-exporter', '--version'])}")
        node.connection.request("GET", "/metrics")
        text = node.connection.getresponse().read().decode()
        # 1.000001e+06 is a number, too.
        text = re.sub(r"\b[\d.]+e\+\d+", lambda found: str(int(float(found.group(0)))), text)
        value = re.search(r"^node_nf_conntrack_entries (\S+)", text, re.M)
        peer.tells(text, value.group(1))
        assert is_count(float(value.group(1)), count), (value.group(1), count)
        peer.cells["rates"] = "of counters" if "conntrack_stat_" in text else "no"
        peer.cells["a look, ms"] = node.scrapes(LOOKS)[0]
        peer.cells["needs root"] = "no"
        peer.cells["resident, MiB"] = resident_mib(node.process.pid)
        return peer
    finally:
        node.close()


def look_at_netdata(place, count):
    netdata = Netdata(place)
    try:
        peer = Peer(f"Netdata {version(['netdata', '-v'])}")
        time.sleep(5)  # it asks once a second
        charts = netdata.charts()
        path = "/api/v1/data?chart=netfilter.conntrack_sockets&after=-1&points=1&format=json"
        told = netdata.ask(path)
        assert is_count(told["data"][0][1], count), (told, count)
        peer.tells("\n".join(json.dumps(one) for one in (
            told, charts, netdata.ask("/api/v1/alarms?all"),
            netdata.ask("/api/v1/alarm_variables?chart=netfilter.conntrack_sockets"))),
                   told["data"][0][1])
        began = time.perf_counter()
        for _ in range(LOOKS):
            netdata.ask(path)
        peer.cells["a look, ms"] = 1e3 * (time.perf_counter() - began) / LOOKS
        peer.cells["needs root"] = "no"
        peer.cells["resident, MiB"] = resident_mib(netdata.process.pid)
        return peer
    finally:
        netdata.close()


def compare(entries, say):
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(lab.road())
        agent = lab.Conntide(place, pinned=False)
        stack.callback(agent.close)
        agent.ready()
        tables.fill(place, 0, entries)
        lab.wait_for(lambda: agent.status()["mirror_entries"] >= entries, 60, "the mirror is complete")
        count = place.watched.count()
        peers = []
        for look in (
                lambda: look_at_conntide(place, agent, count),
                lambda: look_by_dumping(place, f"conntrack -L {version(['conntrack', '--version'])}",
                                        ["conntrack", "-L"], count, ["conntrack", "-C"]),
                lambda: look_by_dumping(place, f"iptstate {version(['iptstate', '--version'])}",
                                        IPTSTATE, count),
                lambda: look_at_node_exporter(place, count), lambda: look_at_netdata(place, count)):
            peers.append(look())
            say(f"{peers[-1].name}: {peers[-1].cells}")
        return count, peers


def report(count, peers):
    rows = []
    for row in peers[0].cells:
        cells = [peer.cells.get(row, "") for peer in peers]
        rows.append([row, *(cell if isinstance(cell, str) else "none" if cell == 0
                            else figures.number(cell) for cell in cells)])
    return (figures.table(["", *(peer.name for peer in peers)], rows) +
            f"\nOf a table of {count:,} entries, {datetime.date.today().isoformat()}, kernel "
            f"{os.uname().release}, `make bench-peers`. A look is one run of the command (`conntide "
            "ports`) or one question over HTTP. Whether something is told was looked for in the "
            "output of each; what may be counted in a list of single entries is not told.\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="10,000 entries: does it work? Prints, writes nothing")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("peers.py: needs root: network namespaces, nf_conntrack_max")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("peers.py: terminated"))
    entries = 10000 if options.quick else 1000000
    # So full that it matters why.
    with sysctls.changed(max=entries * 10 // 9, buckets=entries):
        text = report(*compare(entries, bench.say))
    if options.quick:
        print(text)
    else:
        bench.write(DOCUMENT, text, BEGIN)


if __name__ == "__main__":
    main()
