# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces for tests: made with names of our own, removed whatever happens.

Everything runs in one Python process: a thread enters a namespace for the moment it
needs to make a socket, to read a file of /proc or to start a child, and comes back.
"""
import contextlib
import ctypes
import glob
import itertools
import os
import socket
import subprocess
import time

# How many times slower than usual this machine is: one that is emulated, or runs all stages
# side by side, says so.
SLOWNESS = int(os.environ.get("CONNTIDE_SLOWNESS", "1"))

CLONE_NEWNET = 0x40000000
RUN_NETNS = "/run/netns"
PREFIX = "cntd"

_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count(1)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def sh(argv, check=True, **kwargs):
    """Runs a command in the present namespace and returns its standard output."""
    done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60, **kwargs)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class Namespace:
    """One network namespace, with lo up."""

    def __init__(self, role):
        self.name = f"{PREFIX}{os.getpid()}-{next(_serial)}{role}"
        sh(["ip", "netns", "add", self.name])
        self.path = os.path.join(RUN_NETNS, self.name)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        # What a test does not ask for must not make entries: no probing, no filters.
        self.sysctl("net/ipv4/conf/all/rp_filter", 0)
        self.sysctl("net/ipv4/conf/default/rp_filter", 0)
        self.sysctl("net/ipv6/conf/default/accept_dad", 0)
        self.sysctl("net/ipv6/conf/all/accept_dad", 0)
        self.ip("link set lo up")

    @contextlib.contextmanager
    def inside(self):
        """The calling thread, and children it starts, are in this namespace."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self.fd)
            try:
                yield self
            finally:
                _setns(home)
        finally:
            os.close(home)

    def sysctl(self, key, value=None):
        """Reads, or writes and reads back, /proc/sys/<key> of this namespace."""
        with self.inside():
            if value is not None:
                with open(f"/proc/sys/{key}", "w", encoding="ascii") as file:
                    file.write(str(value))
            with open(f"/proc/sys/{key}", encoding="ascii") as file:
                return file.read().strip()

    def conntrack_sysctl(self, key, value=None):
        return self.sysctl(f"net/netfilter/nf_conntrack_{key}", value)

    def count(self):
        """The kernel's own count of entries: what the limit applies to."""
        return int(self.conntrack_sysctl("count"))

    def run(self, *argv, check=True, **kwargs):
        with self.inside():
            return sh(list(argv), check=check, **kwargs)

    def popen(self, argv, **kwargs):
        with self.inside():
            return subprocess.Popen(argv, **kwargs)

    def ip(self, *lines):
        """ip(8) commands, without the word ip."""
        sh(["ip", "-n", self.name, "-batch", "-"], input="\n".join(lines) + "\n")

    def wait_links(self, *names, seconds=10):
        """Until IPv6 has taken notice of the carrier of these links: what is sent before is
        lost on a busy machine. It gives each an address of its own then, fe80::."""
        deadline = time.monotonic() + seconds * SLOWNESS
        while time.monotonic() < deadline:
            with self.inside(), open("/proc/thread-self/net/if_inet6", encoding="ascii") as file:
                rows = [line.split() for line in file]
            # address, index, prefix, scope, flags (0x40: tentative), name
            if set(names) <= {row[5] for row in rows
                              if row[0].startswith("fe80") and not int(row[4], 16) & 0x40}:
                return
            time.sleep(0.005)
        raise AssertionError(f"{names} of {self.name} are not up: {rows}")

    def nft(self, rules):
        self.run("nft", "-f", "-", input=rules)

    def conntrack(self, *argv, check=True):
        return self.run("conntrack", *argv, check=check)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
        """A socket stays in the namespace it was made in."""
        with self.inside():
            return socket.socket(family, kind, proto)

    def add_sink(self):
        """An interface that swallows what it gets, for floods: see Host."""
        self.ip("link add sink type ifb",
                "link set sink up",
                "addr add 10.81.0.1/16 dev sink",
                "addr add fd81::1/64 dev sink nodad",
                "route add 10.80.0.0/16 via 10.81.0.2 dev sink")
        sh(["tc", "-n", self.name, "qdisc", "replace", "dev", "sink", "root", "noqueue"])

    def delete_name(self):
        """Removes the name; the namespace lives on while anybody is in it."""
        sh(["ip", "netns", "del", self.name], check=False)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self.delete_name()


TRACK = """
table inet track {
	chain pre { type filter hook prerouting priority 0; ct state new; }
	chain out { type filter hook output priority 0; ct state new; }
}
"""


class Host(Namespace):
    """One namespace with addresses on an interface that swallows what it gets.

    10.80.0.0/16 is routed there: a flood into it makes entries and nothing else. Through
    a gateway, because one neighbour entry for each destination would cost more than
    conntrack does.
    """

    SINK = "10.80.0.0"

    def __init__(self, role="h", track=True):
        super().__init__(role)
        self.add_sink()
        if track:
            self.nft(TRACK)


class Lab:
    """client -- middle -- server. The agent under test runs in the middle, a router.

    Only the middle tracks connections. 10.78.0.0/16 and fd78::/64 are routed to the
    client, 10.79.0.0/16 and fd79::/64 to the server, without being anybody's addresses:
    packets crafted between them pass the middle, and nobody answers by himself.
    """

    CLIENT4, MIDDLE4C, MIDDLE4S, SERVER4 = "10.77.1.2", "10.77.1.1", "10.77.2.1", "10.77.2.2"
    CLIENT6, MIDDLE6C, MIDDLE6S, SERVER6 = "fd77:1::2", "fd77:1::1", "fd77:2::1", "fd77:2::2"

    def __init__(self, track=True):
        self.client = self.middle = self.server = None
        try:
            self._build(track)
        except BaseException:
            self.close()
            raise

    def _build(self, track):
        self.client, self.middle, self.server = Namespace("c"), Namespace("m"), Namespace("s")
        middle = self.middle.name
        self.client.ip(f"link add edge type veth peer name client netns {middle}",
                       "link set edge up",
                       f"addr add {self.CLIENT4}/24 dev edge",
                       f"addr add {self.CLIENT6}/64 dev edge nodad")
        self.server.ip(f"link add edge type veth peer name server netns {middle}",
                       "link set edge up",
                       f"addr add {self.SERVER4}/24 dev edge",
                       f"addr add {self.SERVER6}/64 dev edge nodad")
        # A new namespace has what the machine has: a host that forwarded would send back what
        # is for the addresses behind it, round and round.
        for host in (self.client, self.server):
            host.sysctl("net/ipv4/ip_forward", 0)
        self.middle.sysctl("net/ipv4/ip_forward", 1)
        self.middle.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.middle.ip("link set client up",
                       "link set server up",
                       f"addr add {self.MIDDLE4C}/24 broadcast + dev client",
                       f"addr add {self.MIDDLE6C}/64 dev client nodad",
                       f"addr add {self.MIDDLE4S}/24 broadcast + dev server",
                       f"addr add {self.MIDDLE6S}/64 dev server nodad",
                       f"route add 10.78.0.0/16 via {self.CLIENT4}",
                       f"route add 10.79.0.0/16 via {self.SERVER4}",
                       f"route add fd78::/64 via {self.CLIENT6}",
                       f"route add fd79::/64 via {self.SERVER6}")
        for host, gate4, gate6 in ((self.client, self.MIDDLE4C, self.MIDDLE6C),
                                   (self.server, self.MIDDLE4S, self.MIDDLE6S)):
            host.ip(f"route add default via {gate4}", f"route add default via {gate6}")
        # By default these live for 3 s: too short to look at them on a busy machine.
        for state in ("closed", "cookie_wait", "cookie_echoed", "shutdown_sent",
                      "shutdown_recd", "shutdown_ack_sent"):
            self.middle.conntrack_sysctl(f"sctp_timeout_{state}", 60)
        self.middle.conntrack_sysctl("tcp_timeout_close", 60)
        self.client.wait_links("edge")
        self.server.wait_links("edge")
        self.middle.wait_links("client", "server")
        if track:
            self.middle.nft(TRACK)

    def close(self):
        for namespace in (self.client, self.middle, self.server):
            if namespace:
                namespace.close()


def tracked():
    """How many connections each network namespace tracks, by its inode: those with a name
    in /run/netns, and those that a process is in. Nobody can list any others."""
    names = glob.glob(os.path.join(RUN_NETNS, "*")) + glob.glob("/proc/[0-9]*/ns/net")
    counts = {}
    for path in names:
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                inode = os.fstat(fd).st_ino
                if inode not in counts:
                    counts[inode] = _tracked_in(fd)
            finally:
                os.close(fd)
    return counts


def _tracked_in(fd):
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(fd)
        try:
            with open("/proc/sys/net/netfilter/nf_conntrack_count", encoding="ascii") as file:
                return int(file.read())
        finally:
            _setns(home)
    finally:
        os.close(home)


def _alive(pid):
    return os.path.exists(f"/proc/{pid}")


def sweep():
    """Removes what a killed run left behind: namespaces whose maker is gone."""
    if not os.path.isdir(RUN_NETNS):
        return
    for name in os.listdir(RUN_NETNS):
        pid = name[len(PREFIX):].split("-")[0]
        if not name.startswith(PREFIX) or not pid.isdigit() or _alive(pid):
            continue
        for straggler in sh(["ip", "netns", "pids", name], check=False).split():
            with contextlib.suppress(OSError):
                os.kill(int(straggler), 9)
        sh(["ip", "netns", "del", name], check=False)
