// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/num.h"
#include "lib/base/service.h"

#define LISTEN_BACKLOG 1024

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
	if (listen_is_loopback(address))
		return;
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;

		memcpy(ret_bytes, &in6->sin6_addr, IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? 16 : 8);
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

static int keep(struct listeners *listeners, int fd, const char *path, int dir_fd)
{
	struct sockaddr_storage name;
	socklen_t bytes = sizeof(name);
	struct listener *to = &listeners->list[listeners->count];

	if (getsockname(fd, (struct sockaddr *)&name, &bytes) < 0)
		return -errno;
	memset(to, 0, sizeof(*to));
	to->fd = fd;
	to->dir_fd = dir_fd;
	to->is_unix = name.ss_family == AF_UNIX;
	if (path) {
		snprintf(to->path, sizeof(to->path), "%s", path);
		snprintf(to->name, sizeof(to->name), "unix:%s", path);
	} else {
		listen_peer_name((struct sockaddr *)&name, to->name, sizeof(to->name));
	}
	listeners->count++;
	return 0;
}

/* Fills `why`, and is the error: what strerror(3) would say of it is not what happened. */
static int refuse(struct listeners *listeners, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct listeners *listeners, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(listeners->why, sizeof(listeners->why), fmt, args);
	va_end(args);
	return err;
}

/* Leftovers of a process that was killed are removed; a living one is not. `name` is
 * relative to the working directory. */
static int remove_stale(struct listeners *listeners, const char *path,
			const struct sockaddr_un *name)
{
	struct stat st;
	int fd, err;

	if (lstat(name->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return refuse(listeners, -EEXIST,
			      "cannot listen on unix:%s: the name is taken by something that is no "
			      "socket",
			      path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 ? -errno : 0;
	close(fd);
	if (err != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(name->sun_path) < 0 ? -errno : 0;
}

/*
 * The socket has its mode and group when its name appears: nothing is changed by name
 * afterwards, for in a directory others may write the name can be a link to anything by
 * then. Mode 0660; the group conntide where that exists and we are root, else ours. Who
 * may connect sees addresses of hosts.
 */
static int bind_private(int fd, const struct sockaddr_un *name)
{
	const struct group *group = geteuid() == 0 ? getgrnam("conntide") : NULL;
	gid_t own = getegid();
	mode_t mask = umask(0117);
	int err = 0;

	if (group && setegid(group->gr_gid) < 0)
		err = -errno;
	if (!err && bind(fd, (const struct sockaddr *)name, sizeof(*name)) < 0)
		err = -errno;
	if (setegid(own) < 0 && !err)
		err = -errno;
	umask(mask);
	return err;
}

/* In the directory of the socket, so that what is looked at and what is bound is in the
 * same one, wherever its name leads meanwhile. */
static int bind_here(struct listeners *listeners, const char *path, const char *name, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, err;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	err = remove_stale(listeners, path, &address);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = bind_private(fd, &address);
	if (!err && listen(fd, LISTEN_BACKLOG) < 0)
		err = -errno;
	if (err)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

static int add_unix(struct listeners *listeners, const char *path)
{
	char directory[sizeof(listeners->list[0].path)];
	const char *slash = strrchr(path, '/');
	int here, dir, fd = -1, err;

	if (path[0] != '/' || !slash[1])
		return refuse(listeners, -EINVAL,
			      "\"unix:%s\" is not the path of a socket; write unix:/path/of/socket",
			      path);
	if (strlen(path) >= sizeof(listeners->list[0].path))
		return refuse(listeners, -ENAMETOOLONG,
			      "cannot listen on unix:%.60s...: a path of at most %zu characters "
			      "fits into the address of a socket",
			      path, sizeof(listeners->list[0].path) - 1);
	snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path + 1), path);
	here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	err = here < 0 || dir < 0 || fchdir(dir) < 0 ? -errno : 0;
	if (!err) {
		err = bind_here(listeners, path, slash + 1, &fd);
		if (fchdir(here) < 0 && !err)
			err = -errno;
	}
	if (here >= 0)
		close(here);
	if (!err)
		err = keep(listeners, fd, path, dir);
	if (err && fd >= 0)
		close(fd);
	if (err && dir >= 0)
		close(dir);
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
	err = keep(listeners, fd, NULL, -1);
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

static int too_many(struct listeners *listeners)
{
	return refuse(listeners, -E2BIG, "more than %u addresses to listen on", LISTEN_MAX);
}

static int add_host(struct listeners *listeners, const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list;
	int failed = getaddrinfo(host, port, &hints, &list);
	int err = 0;

	if (failed)
		return refuse(listeners, -EADDRNOTAVAIL, "cannot listen on %.100s:%s: %s", host,
			      port,
			      failed == EAI_SYSTEM   ? strerror(errno)
			      : failed == EAI_NONAME ? "no address of this machine, and no name "
						       "that can be resolved"
						     : gai_strerror(failed));
	for (struct addrinfo *at = list; at && !err; at = at->ai_next)
		err = listeners->count < LISTEN_MAX ? add_socket(listeners, at, false)
						    : too_many(listeners);
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
		return refuse(listeners, -ENAMETOOLONG, "\"%.60s...\" is too long for a host name",
			      address);
	memcpy(host, address, bytes);
	host[bytes] = '\0';
	return add_host(listeners, host, colon + 1);
}

/* For system errors without a sentence of their own. */
static void explain(struct listeners *listeners, const char *address, int err)
{
	const char *what = strerror(-err);

	if (err == -EINVAL)
		refuse(listeners, err,
		       "\"%.100s\" is not an address; write :10371, 127.0.0.1:10371, [::1]:10371 "
		       "or unix:/path",
		       address);
	else if (err == -EADDRINUSE)
		refuse(listeners, err,
		       "%.120s is in use; stop the program that listens there or choose another "
		       "--web.listen-address",
		       address);
	else if (err == -EADDRNOTAVAIL)
		what = "this machine has no such address";
	else if (err == -EAFNOSUPPORT)
		what = "this kernel has no such address family (IPv6?)";
	else if (err == -EACCES && strncmp(address, "unix:", 5) != 0)
		what = "ports below 1024 need root or CAP_NET_BIND_SERVICE";
	else if (err == -ENOENT || err == -ENOTDIR)
		what = "its directory does not exist";
	if (!listeners->why[0])
		refuse(listeners, err, "cannot listen on %.120s: %s", address, what);
}

int listen_add(struct listeners *listeners, const char *address)
{
	bool is_unix = !strncmp(address, "unix:", 5);
	int err;

	listeners->why[0] = '\0';
	if (listeners->count == LISTEN_MAX)
		err = too_many(listeners);
	else
		err = is_unix ? add_unix(listeners, address + 5) : add_tcp(listeners, address);
	if (err && !listeners->why[0])
		explain(listeners, address, err);
	return err;
}

int listen_add_passed(struct listeners *listeners)
{
	unsigned int count = service_take_fds();

	if (!count)
		return -ENOENT;
	for (int fd = SERVICE_FDS_START; fd < SERVICE_FDS_START + (int)count; fd++) {
		int listening = 0, flags = fcntl(fd, F_GETFL);
		socklen_t bytes = sizeof(listening);
		int err;

		if (listeners->count == LISTEN_MAX)
			return too_many(listeners);
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) < 0 ||
		    !listening || flags < 0) {
			snprintf(listeners->why, sizeof(listeners->why),
				 "descriptor %d from the service manager is not a listening "
				 "socket",
				 fd);
			return -ENOTSOCK;
		}
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
		err = keep(listeners, fd, NULL, -1);
		if (err)
			return refuse(listeners, err, "descriptor %d from the service manager: %s",
				      fd, strerror(-err));
	}
	return 0;
}

void listen_close(struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++) {
		close(listeners->list[i].fd);
		/* Fails where the directory is root's; the next start removes it. */
		if (listeners->list[i].dir_fd < 0)
			continue;
		unlinkat(listeners->list[i].dir_fd, strrchr(listeners->list[i].path, '/') + 1, 0);
		close(listeners->list[i].dir_fd);
	}
	listeners->count = 0;
}
