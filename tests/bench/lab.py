# SPDX-License-Identifier: GPL-2.0-or-later
"""The place where everything is measured: two namespaces, traffic, and who listens.

outside --veth--> watched --> a device that swallows everything. Packets are made outside
and are forwarded by the watched namespace, the only one that tracks them: what costs is
the kernel's path of a router, and no real stack stands in the way of the rate.
"""
import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "netns"))

# pylint: disable=wrong-import-position
import agent as agent_module
import netns

READER = os.path.join(agent_module.BUILD, "tests", "reader")
CPUS = sorted(os.sched_getaffinity(0))
LISTENER_CPU, TRAFFIC_CPU = CPUS[0], CPUS[-1]
# Both the agent's default and what the others are given: nobody is to lose anything.
BUFFER_BYTES = 64 << 20
EVENTS_A_LIFE = 7
NETLINK_NETFILTER = 12
CONNTRACK_GROUPS = 0x7


def cpu_seconds(pid):
    """User and system time of a process and all its threads, to the nanosecond.

    The clock's number is clock_getcpuclockid(3)'s, which Python has not.
    """
    return time.clock_gettime((~pid << 3) | 2)


def wait_for(question, within, what, interval=0.05):
    return agent_module.poll(question, within, what, interval)


class Road:
    """The two namespaces. `entries` in tuples far enough apart for any test here."""

    LONG_S = 7200

    def __init__(self):
        self.watched = self.outside = None
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        self.watched = netns.Host("w")
        self.outside = netns.Namespace("o")
        self.watched.ip(f"link add edge type veth peer name edge netns {self.outside.name}",
                        "link set edge up",
                        "addr add 10.83.0.2/24 dev edge",
                        "route add 10.82.0.0/16 via 10.81.0.2 dev sink")
        self.outside.ip("link set edge up",
                        "addr add 10.83.0.1/24 dev edge",
                        "route add 10.80.0.0/16 via 10.83.0.2 dev edge",
                        "route add 10.82.0.0/16 via 10.83.0.2 dev edge")
        self.watched.sysctl("net/ipv4/ip_forward", 1)
        # Nothing is to expire while it is looked at.
        for key in ("udp_timeout", "tcp_timeout_syn_sent", "tcp_timeout_time_wait"):
            self.watched.conntrack_sysctl(key, self.LONG_S)

    def close(self):
        for namespace in (self.watched, self.outside):
            if namespace:
                namespace.close()

    def flood(self, *argv):
        """Runs to its end; returns what was sent (flows or lives) and the seconds."""
        return self.flood_end(self.flood_begin(*argv))

    def flood_begin(self, *argv, cpu=TRAFFIC_CPU):
        return self.outside.popen(
            ["taskset", "-c", str(cpu), agent_module.FLOOD, "-a", "10.82.0.0",
             *(str(arg) for arg in argv), netns.Host.SINK], stdout=subprocess.PIPE, text=True)

    @staticmethod
    def flood_end(process):
        text = process.communicate()[0]
        sent, refused, seconds = re.search(r"sent (\d+) refused (\d+) seconds ([\d.]+)",
                                           text).groups()
        assert process.returncode == 0 and refused == "0", text
        return int(sent), float(seconds)

    def lost(self):
        """Events that did not fit into the queue of whoever listens here."""
        with self.watched.inside(), open("/proc/thread-self/net/netlink",
                                         encoding="ascii") as file:
            return sum(int(row[8]) for row in map(str.split, list(file)[1:])
                       if int(row[1]) == NETLINK_NETFILTER
                       and int(row[3], 16) & CONNTRACK_GROUPS)


@contextlib.contextmanager
def road():
    """A fresh one; at the end it waits until the kernel has freed the entries."""
    place = Road()
    try:
        yield place
    finally:
        place.close()
        settle()


def live_objects():
    with open("/proc/slabinfo", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("nf_conntrack "))


def settle(within=120):
    """Until entries of namespaces that are gone are freed: that takes CPU time too."""
    deadline = time.monotonic() + within
    before = live_objects()
    while time.monotonic() < deadline:
        time.sleep(0.2)
        now = live_objects()
        if now >= before:
            return
        before = now


# Listeners

class Listener:
    """A process that follows the events of the watched namespace."""

    def __init__(self, place, argv, pinned=True, output=subprocess.DEVNULL):
        self.place = place
        self.process = place.watched.popen(
            [*(["taskset", "-c", str(LISTENER_CPU)] if pinned else []), *argv],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL, text=True)
        self.began = 0.0

    def ready(self):
        time.sleep(0.5)
        assert self.process.poll() is None, f"{self.process.args} ended"

    def cpu_begin(self):
        self.began = cpu_seconds(self.process.pid)

    def cpu_end(self):
        """Seconds since cpu_begin(); when it has read all there was to read."""
        while True:
            before = cpu_seconds(self.process.pid)
            time.sleep(0.1)
            # At rest: what is left are its timers.
            if cpu_seconds(self.process.pid) - before < 0.002:
                return before - self.began

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Reader(Listener):
    """tests/bench/reader.c"""

    def __init__(self, place, *argv, pinned=True):
        super().__init__(place, [READER, *argv], pinned, subprocess.PIPE)

    def messages(self):
        """Ends it; what it has received."""
        self.process.send_signal(signal.SIGTERM)
        return int(re.match(r"messages (\d+)", self.process.communicate()[0]).group(1))


class Conntide(Listener):
    def __init__(self, place, *argv, pinned=True):
        self.runtime = agent_module.runtime_dir()
        super().__init__(place, [agent_module.PROGRAM, "--runtime-dir", self.runtime, *argv],
                         pinned)

    def status(self):
        return agent_module.ask(self.runtime, "status")

    def ready(self):
        wait_for(lambda: (self.status() or {"mode": "starting"})["mode"] != "starting", 60,
                 "the agent is ready", 0.005)

    def close(self):
        super().close()
        shutil.rmtree(self.runtime, ignore_errors=True)


class ConntrackE(Listener):
    def __init__(self, place, pinned=True):
        super().__init__(place, ["conntrack", "-E", "-b", str(BUFFER_BYTES)], pinned)


ULOGD_CONF = """
[global]
logfile="/dev/null"
{plugins}
stack=ct1:NFCT,ip2str1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU
[ct1]
netlink_socket_buffer_size={buffer}
netlink_socket_buffer_maxsize={buffer}
hash_enable=1
hash_buckets={entries}
hash_max_entries={most}
[emu1]
file="/dev/null"
sync=0
"""


class Ulogd(Listener):
    """ulogd2 with NFCT and its hash: a mirror too, written out when an entry ends."""

    PLUGINS = ("inpflow_NFCT", "filter_IP2STR", "filter_PRINTFLOW", "output_LOGEMU")

    def __init__(self, place, entries=1000000, pinned=True):
        self.directory = tempfile.mkdtemp(prefix="conntide-bench-")
        config = os.path.join(self.directory, "ulogd.conf")
        plugins = "\n".join(
            f'plugin="{glob.glob(f"/usr/lib/*/ulogd/ulogd_{name}.so")[0]}"'
            for name in self.PLUGINS)
        with open(config, "w", encoding="ascii") as file:
            file.write(ULOGD_CONF.format(plugins=plugins, buffer=BUFFER_BYTES, entries=entries,
                                         most=2 * entries))
        super().__init__(place, ["ulogd", "-c", config], pinned)

    def close(self):
        super().close()
        shutil.rmtree(self.directory, ignore_errors=True)


def in_turn(rounds, listeners, measure, say):
    """{name: [measure(place, listener, name), round by round]}, each in a fresh place.

    listeners: {name: what makes it in a place}; it may make none.
    """
    values = {}
    for turn in range(rounds):
        for name, make in listeners.items():
            with road() as place:
                listener = make(place)
                try:
                    if listener:
                        listener.ready()
                    value = measure(place, listener, name)
                    say(f"round {turn + 1}: {name}: {value:.{0 if value >= 100 else 2}f}")
                finally:
                    if listener:
                        listener.close()
            values.setdefault(name, []).append(value)
    return values


# The machine

def other_listeners():
    """Processes elsewhere that listen to conntrack events: then there is no "no listener"."""
    found, seen = [], set()
    for path in glob.glob("/proc/[0-9]*/ns/net"):
        with contextlib.suppress(OSError):
            space = os.readlink(path)
            if space in seen:
                continue
            seen.add(space)
            pid = path.split("/")[2]
            with open(f"/proc/{pid}/net/netlink", encoding="ascii") as file:
                found += [space for row in map(str.split, list(file)[1:])
                          if int(row[1]) == NETLINK_NETFILTER
                          and int(row[3], 16) & CONNTRACK_GROUPS]
    return found


def idle_share(seconds=2.0):
    """Of all CPUs, before anything is started here."""
    def read():
        with open("/proc/stat", encoding="ascii") as file:
            fields = [int(field) for field in file.readline().split()[1:9]]
        return fields[3] + fields[4], sum(fields)
    idle, total = read()
    time.sleep(seconds)
    idle_then, total_then = read()
    return (idle_then - idle) / max(1, total_then - total)


def machine():
    """(what, value) rows that describe where the figures come from."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"^model name\s*: (.*)", file.read(), re.M)
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(re.search(r"MemTotal:\s+(\d+)", file.read()).group(1)) / 2 ** 20
    virtual = subprocess.run(["systemd-detect-virt"], capture_output=True, text=True,
                             check=False).stdout.strip()
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True,
                              check=False).stdout.split("\n", maxsplit=1)[0]
    return [("processor", f"{model.group(1) if model else 'unknown'}, {len(CPUS)} CPUs"),
            ("virtual machine", virtual or "unknown"),
            ("memory", f"{memory:.0f} GiB"),
            ("kernel", os.uname().release),
            ("compiler", compiler),
            ("idle before the run", f"{100 * idle_share():.0f} %")]


def available_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"MemAvailable:\s+(\d+)", file.read()).group(1)) * 1024
