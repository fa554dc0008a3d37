# SPDX-License-Identifier: GPL-2.0-or-later
"""Real proxies and their backend, each in a namespace, with a directory of its own."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from agent import poll

NGINX = """
daemon off;
master_process on;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 2048; }}
http {{
	access_log off;
	client_body_temp_path {directory}/t1;
	proxy_temp_path {directory}/t2;
	fastcgi_temp_path {directory}/t3;
	uwsgi_temp_path {directory}/t4;
	scgi_temp_path {directory}/t5;
	{http}
}}
"""

BACKEND = "server { listen 8080; location / { return 200 'a page\\n'; } }"

# As it comes: HTTP/1.0 and a connection of its own to the backend for each request.
PROXY = """
	server {{
		listen 80;
		location / {{ proxy_pass http://{backend}:8080; }}
	}}
"""

SQUID = """
http_port 81 accel no-vhost defaultsite={backend}
cache_peer {backend} parent 8080 0 no-query no-digest no-netdb-exchange originserver
cache_mem 8 MB
cache deny all
http_access allow all
server_persistent_connections on
pid_filename {directory}/squid.pid
cache_log {directory}/cache.log
access_log none
cache_store_log none
netdb_filename none
coredump_dir {directory}
pinger_enable off
icp_port 0
htcp_port 0
snmp_port 0
dns_nameservers 127.0.0.1
visible_hostname proxy
shutdown_lifetime 0 seconds
"""


class Program:
    """A daemon in the foreground, with a directory for what it writes."""

    def __init__(self, namespace, name):
        self.namespace = namespace
        self.directory = tempfile.mkdtemp(prefix=f"conntide-{name}-", dir="/dev/shm")
        # The workers are somebody else.
        os.chmod(self.directory, 0o777)
        self.config = os.path.join(self.directory, f"{name}.conf")
        self.log = os.path.join(self.directory, "stderr")
        self.process = None

    def write(self, text):
        with open(self.config, "w", encoding="ascii") as file:
            file.write(text)

    def launch(self, argv, address, port):
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = self.namespace.popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log)
        try:
            poll(lambda: self.answers(address, port), 30, self.said)
        except BaseException:
            self.close()
            raise

    def answers(self, address, port):
        assert self.process.poll() is None, f"{self.config}: ended: {self.said()}"
        with self.namespace.socket() as probe:
            probe.settimeout(2)
            return probe.connect_ex((address, port)) == 0

    def said(self):
        text = ""
        for name in ("stderr", "error.log", "cache.log"):
            path = os.path.join(self.directory, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += file.read()[-2000:]
        return text

    def close(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)


class Nginx(Program):
    """`http`: what stands in the http block."""

    def __init__(self, namespace, http, address, port):
        super().__init__(namespace, "nginx")
        self.set(http)
        self.launch(["nginx", "-p", self.directory, "-e", f"{self.directory}/error.log", "-c",
                     self.config], address, port)

    def set(self, http):
        self.write(NGINX.format(directory=self.directory, http=http))

    def reload(self, http):
        """Another configuration, without a request lost; returns when the old worker is gone."""
        before = self.workers()
        self.set(http)
        self.process.send_signal(signal.SIGHUP)
        poll(lambda: self.workers() and not self.workers() & before, 30, self.said)

    def workers(self):
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path, encoding="ascii") as file:
            return set(file.read().split())


class Squid(Program):
    """In front of the backend, as an accelerator on port 81."""

    def __init__(self, namespace, backend, address, text=SQUID):
        super().__init__(namespace, "squid")
        self.write(text.format(directory=self.directory, backend=backend))
        # Letters and digits; several may run.
        name = "".join(filter(str.isalnum, os.path.basename(self.directory)))
        self.launch(["squid", "-N", "-n", name, "-f", self.config], address, 81)


class Haproxy(Program):
    """`text`: its whole configuration but for where it runs."""

    def __init__(self, namespace, text, address, port):
        super().__init__(namespace, "haproxy")
        self.write(text)
        self.launch(["haproxy", "-db", "-f", self.config], address, port)


class Listener:
    """A TCP server made by hand: accepts all it gets and keeps it, or leaves it waiting."""

    def __init__(self, namespace, address, port, backlog=4096):
        self.socket = namespace.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.socket.listen(backlog)
        self.accepted = []

    def accept(self, connections):
        self.socket.settimeout(20)
        for _ in range(connections):
            self.accepted.append(self.socket.accept()[0])

    def close(self):
        for one in self.accepted:
            one.close()
        self.socket.close()
