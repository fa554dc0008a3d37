// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/num.h"

#define LISTEN_BACKLOG	 1024
#define LISTEN_FDS_START 3

const char *listen_peer_name(const struct sockaddr *address, char *out, size_t out_bytes)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		snprintf(out, out_bytes, "%s:%u", ip, ntohs(in->sin_port));
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;

		inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		snprintf(out, out_bytes, "[%s]:%u", ip, ntohs(in6->sin6_port));
	} else {
		snprintf(out, out_bytes, "unix");
	}
	return out;
}

void listen_peer_bytes(const struct sockaddr *address, uint8_t ret_bytes[16])
{
	memset(ret_bytes, 0, 16);
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;

		memcpy(ret_bytes, &in6->sin6_addr, 16);
	} else if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		ret_bytes[10] = ret_bytes[11] = 0xff;
		memcpy(ret_bytes + 12, &in->sin_addr, 4);
	}
}

bool listen_is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;

		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
	}
	return false;
}

static int keep(struct listeners *listeners, int fd, const char *path)
{
	struct sockaddr_storage name;
	socklen_t bytes = sizeof(name);
	struct listener *to = &listeners->list[listeners->count];

	if (getsockname(fd, (struct sockaddr *)&name, &bytes) < 0)
		return -errno;
	memset(to, 0, sizeof(*to));
	to->fd = fd;
	to->is_unix = name.ss_family == AF_UNIX;
	if (path) {
		to->owns_path = true;
		snprintf(to->path, sizeof(to->path), "%s", path);
		snprintf(to->name, sizeof(to->name), "unix:%s", path);
	} else {
		listen_peer_name((struct sockaddr *)&name, to->name, sizeof(to->name));
	}
	listeners->count++;
	return 0;
}

/* Leftovers of a process that was killed are removed; a living one is not. */
static int remove_stale(const struct sockaddr_un *name)
{
	struct stat st;
	int fd, err;

	if (lstat(name->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 ? -errno : 0;
	close(fd);
	if (err != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(name->sun_path) < 0 ? -errno : 0;
}

static int add_unix(struct listeners *listeners, const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd, err;

	if (strlen(path) >= sizeof(name.sun_path) || path[0] != '/')
		return -ENAMETOOLONG;
	strcpy(name.sun_path, path);
	err = remove_stale(&name);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 || chmod(path, 0666) < 0 ||
	    listen(fd, LISTEN_BACKLOG) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	err = keep(listeners, fd, path);
	if (err)
		close(fd);
	return err;
}

static int add_socket(struct listeners *listeners, const struct addrinfo *info, bool dual)
{
	int one = 1, v6only = dual ? 0 : 1;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	err = keep(listeners, fd, NULL);
	if (err)
		close(fd);
	return err;
}

/* No host: one IPv6 socket that takes IPv4 as well, or IPv4 where there is no IPv6. */
static int add_any(struct listeners *listeners, const char *port)
{
	static const int families[] = {AF_INET6, AF_INET};
	int err = -EAFNOSUPPORT;

	for (int i = 0; i < 2 && err == -EAFNOSUPPORT; i++) {
		struct addrinfo hints = {.ai_family = families[i],
					 .ai_socktype = SOCK_STREAM,
					 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
		struct addrinfo *info;

		if (getaddrinfo(NULL, port, &hints, &info) != 0)
			continue;
		err = add_socket(listeners, info, true);
		freeaddrinfo(info);
		if (err == -EADDRNOTAVAIL)
			err = -EAFNOSUPPORT;
	}
	return err;
}

static int add_host(struct listeners *listeners, const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list;
	int failed = getaddrinfo(host, port, &hints, &list);
	int err = 0;

	if (failed)
		return failed == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL;
	for (struct addrinfo *at = list; at && !err; at = at->ai_next)
		err = listeners->count < LISTEN_MAX ? add_socket(listeners, at, false) : -ENFILE;
	freeaddrinfo(list);
	return err;
}

static bool is_port(const char *text)
{
	uint32_t port;

	return num_u32(text, 0, 65535, &port) == 0;
}

static int add_tcp(struct listeners *listeners, const char *address)
{
	char host[128];
	const char *colon = strrchr(address, ':');
	size_t bytes;

	if (!colon || !is_port(colon + 1))
		return -EINVAL;
	bytes = (size_t)(colon - address);
	if (bytes == 0)
		return add_any(listeners, colon + 1);
	if (address[0] == '[') {
		if (bytes < 3 || address[bytes - 1] != ']')
			return -EINVAL;
		address++;
		bytes -= 2;
	} else if (memchr(address, ':', bytes)) {
		return -EINVAL;
	}
	if (bytes >= sizeof(host))
		return -ENAMETOOLONG;
	memcpy(host, address, bytes);
	host[bytes] = '\0';
	return add_host(listeners, host, colon + 1);
}

int listen_add(struct listeners *listeners, const char *address)
{
	bool is_unix = !strncmp(address, "unix:", 5);
	int err;

	if (listeners->count == LISTEN_MAX)
		err = -ENFILE;
	else
		err = is_unix ? add_unix(listeners, address + 5) : add_tcp(listeners, address);
	if (err == -EINVAL)
		snprintf(listeners->why, sizeof(listeners->why),
			 "\"%s\" is not an address; write :10371, 127.0.0.1:10371, [::1]:10371 or "
			 "unix:/path",
			 address);
	else if (err == -EADDRINUSE)
		snprintf(listeners->why, sizeof(listeners->why),
			 "%s is in use; stop the program that listens there or choose another "
			 "--web.listen-address",
			 address);
	else if (err)
		snprintf(listeners->why, sizeof(listeners->why), "cannot listen on %s: %s", address,
			 strerror(-err));
	return err;
}

int listen_add_passed(struct listeners *listeners)
{
	const char *pid = getenv("LISTEN_PID");
	const char *fds = getenv("LISTEN_FDS");
	uint32_t listen_pid = 0, count = 0;
	bool ours = num_u32(pid, 1, INT_MAX, &listen_pid) == 0 && (pid_t)listen_pid == getpid() &&
		    num_u32(fds, 1, LISTEN_MAX, &count) == 0;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (!ours)
		return -ENOENT;
	for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + (int)count; fd++) {
		int listening = 0, flags = fcntl(fd, F_GETFL);
		socklen_t bytes = sizeof(listening);
		int err;

		if (listeners->count == LISTEN_MAX)
			return -ENFILE;
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) < 0 ||
		    !listening || flags < 0) {
			snprintf(listeners->why, sizeof(listeners->why),
				 "descriptor %d from the service manager is not a listening "
				 "socket",
				 fd);
			return -ENOTSOCK;
		}
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		err = keep(listeners, fd, NULL);
		if (err)
			return err;
	}
	return 0;
}

void listen_close(struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++) {
		close(listeners->list[i].fd);
		/* Fails where the directory is root's; the next start removes it. */
		if (listeners->list[i].owns_path)
			unlink(listeners->list[i].path);
	}
	listeners->count = 0;
}
