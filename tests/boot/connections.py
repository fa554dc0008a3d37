# SPDX-License-Identifier: GPL-2.0-or-later
"""connections.py COUNT PORT: opens connections to itself over loopback and holds them until
SIGTERM; says "held" once they are there."""
import signal
import socket
import sys

count, port = int(sys.argv[1]), int(sys.argv[2])
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port))
server.listen(64)
held = []
for _ in range(count):
    client = socket.socket()
    client.settimeout(1)
    try:
        client.connect(("127.0.0.1", port))
        held += [client, server.accept()[0]]
    except OSError:
        client.close()
print("held", len(held) // 2, flush=True)
signal.sigwait({signal.SIGTERM})
