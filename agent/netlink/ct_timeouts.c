// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/ct_timeouts.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/netlink/ct_stats.h"

/* The kernel keeps them in jiffies; a larger value is a mistake. */
#define TIMEOUT_MAX_S 2147483647u

void ct_timeouts_open(struct ct_timeouts *timeouts)
{
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++) {
		const struct timeout_info *info = timeout_info(i);
		char path[128];

		snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", info->sysctl);
		timeouts->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		timeouts->values_s[i] = info->default_s;
	}
	ct_timeouts_read(timeouts);
}

static bool read_seconds(int fd, uint32_t *ret_s)
{
	uint64_t value;

	if (ct_sysctl_read(fd, TIMEOUT_MAX_S, &value) < 0)
		return false;
	*ret_s = (uint32_t)value;
	return true;
}

bool ct_timeouts_read(struct ct_timeouts *timeouts)
{
	bool changed = false;

	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++) {
		uint32_t value_s;

		if (!read_seconds(timeouts->fds[i], &value_s))
			continue;
		changed |= value_s != timeouts->values_s[i];
		timeouts->values_s[i] = value_s;
	}
	return changed;
}

void ct_timeouts_close(struct ct_timeouts *timeouts)
{
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++) {
		if (timeouts->fds[i] >= 0)
			close(timeouts->fds[i]);
		timeouts->fds[i] = -1;
	}
}
