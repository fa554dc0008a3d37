// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/service.h"

#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/num.h"

static int notify_fd = -1;
static uint64_t watchdog_ns;

/* --- to the service manager ---------------------------------------------------------- */

void service_open(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	const char *usec = getenv("WATCHDOG_USEC");
	size_t bytes = path ? strlen(path) : 0;
	uint64_t usec_value;

	if (bytes < 2 || bytes >= sizeof(name.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(name.sun_path, path, bytes);
	if (path[0] == '@')
		name.sun_path[0] = '\0';
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify_fd >= 0 &&
	    connect(notify_fd, (struct sockaddr *)&name,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes)) < 0)
		service_close();
	if (num_u64(usec, 1, UINT64_MAX / 1000, &usec_value) == 0)
		watchdog_ns = usec_value * 1000 / 2;
}

void service_close(void)
{
	if (notify_fd >= 0)
		close(notify_fd);
	notify_fd = -1;
}

void service_notify(const char *state)
{
	if (notify_fd >= 0)
		send(notify_fd, state, strlen(state), MSG_NOSIGNAL);
}

void service_store(const char *name, int fd)
{
	char text[128];
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct iovec bytes = {.iov_base = text};
	struct msghdr message = {.msg_iov = &bytes,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control.room)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (notify_fd < 0)
		return;
	bytes.iov_len =
		(size_t)snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	sendmsg(notify_fd, &message, MSG_NOSIGNAL);
}

uint64_t service_watchdog_ns(void)
{
	return notify_fd >= 0 ? watchdog_ns : 0;
}

/* --- from it -------------------------------------------------------------------------- */

static void forget_fds(void)
{
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

static unsigned int count_fds(void)
{
	uint32_t pid, count;

	if (num_u32(getenv("LISTEN_PID"), 1, INT_MAX, &pid) < 0 || (pid_t)pid != getpid() ||
	    num_u32(getenv("LISTEN_FDS"), 1, SERVICE_FDS_MAX, &count) < 0)
		return 0;
	for (int fd = SERVICE_FDS_START; fd < SERVICE_FDS_START + (int)count; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return count;
}

unsigned int service_take_fds(void)
{
	unsigned int count = count_fds();

	forget_fds();
	return count;
}

int service_take_fd(const char *name)
{
	const char *names = getenv("LISTEN_FDNAMES");
	unsigned int count = count_fds();
	int found = -1;

	for (int fd = SERVICE_FDS_START; fd < SERVICE_FDS_START + (int)count; fd++) {
		size_t bytes = names ? strcspn(names, ":") : 0;

		if (found < 0 && bytes == strlen(name) && !strncmp(names, name, bytes))
			found = fd;
		else
			close(fd);
		if (names)
			names += bytes + (names[bytes] == ':');
	}
	forget_fds();
	return found;
}
