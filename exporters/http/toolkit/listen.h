// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the exporter listens: ":10371" (every address, IPv4 and IPv6),
 * "127.0.0.1:10371", "[::1]:10371", "host:port", "unix:/run/conntide/http.sock",
 * and sockets passed in by systemd (LISTEN_FDS).
 *
 * A unix socket has mode 0660 and the group conntide, where that exists, from the moment its
 * name appears: anyone who may connect to it sees addresses of hosts. listen_add() changes umask,
 * group and working directory for a moment: before there are threads.
 */
#ifndef CONNTIDE_HTTP_TOOLKIT_LISTEN_H
#define CONNTIDE_HTTP_TOOLKIT_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTEN_MAX	    16u
#define LISTEN_DEFAULT_PORT "10371"

struct listener {
	int fd;
	bool is_unix;
	int dir_fd;	/* of a unix socket that is ours to remove, else -1 */
	char name[160]; /* as bound, for the log: "127.0.0.1:10371" */
	char path[108];
};

struct listeners {
	struct listener list[LISTEN_MAX];
	size_t count;
	char why[256]; /* after a failure: a sentence */
};

/* Adds the socket or sockets of one address. 0 or -errno. */
int listen_add(struct listeners *listeners, const char *address);

/* Takes over the sockets of the service manager. 0, -ENOENT when there are none,
 * or -errno. Removes the variables from the environment. */
int listen_add_passed(struct listeners *listeners);

void listen_close(struct listeners *listeners);

/* "192.0.2.1:80", "[2001:db8::1]:80" or "unix" into out; returns out. */
struct sockaddr;
const char *listen_peer_name(const struct sockaddr *address, char *out, size_t out_bytes);

/* Who gets one share: an IPv4 address (mapped), the /64 of an IPv6 address, which one client
 * has whole; zeros for this machine (loopback, unix sockets), where a proxy is many. */
void listen_peer_bytes(const struct sockaddr *address, uint8_t ret_bytes[16]);

/* An address of this machine's own loopback, also when mapped into IPv6. */
bool listen_is_loopback(const struct sockaddr *address);

#endif
