// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/systemd.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/num.h"

static int notify_fd = -1;
static uint64_t watchdog_ns;

void notify_open(void)
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
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes)) < 0) {
		close(notify_fd);
		notify_fd = -1;
	}
	if (num_u64(usec, 1, UINT64_MAX / 1000, &usec_value) == 0)
		watchdog_ns = usec_value * 1000 / 2;
}

void notify_send(const char *state)
{
	if (notify_fd >= 0)
		send(notify_fd, state, strlen(state), MSG_NOSIGNAL);
}

uint64_t notify_watchdog_ns(void)
{
	return notify_fd >= 0 ? watchdog_ns : 0;
}
