// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/ct_settings.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/netlink/ct_stats.h"
#include "lib/base/num.h"

void ct_settings_open(struct ct_settings *settings)
{
	for (unsigned int i = 0; i < SETTINGS; i++)
		settings->values[i] = -1;
	for (unsigned int i = 0; i < SETTINGS_NAMED; i++) {
		struct setting_info info;
		char path[128];

		setting_info(i, &info);
		snprintf(path, sizeof(path), "/proc/sys/net/%s", info.path);
		settings->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
	}
}

static int64_t read_range(int fd)
{
	char text[32];
	const char *at = text;
	uint64_t first, last;
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	if (num_take_range(&at, '\t', UINT16_MAX, &first, &last) < 0)
		return -1;
	return (int64_t)(first | last << 16);
}

void ct_settings_read(struct ct_settings *settings)
{
	for (unsigned int i = 0; i < SETTINGS_NAMED; i++) {
		struct setting_info info;
		uint64_t value;

		setting_info(i, &info);
		if (info.kind == SETTING_RANGE)
			settings->values[i] = read_range(settings->fds[i]);
		else if (ct_sysctl_read(settings->fds[i], UINT32_MAX, &value) < 0)
			settings->values[i] = -1;
		else
			settings->values[i] = (int64_t)value;
	}
}

void ct_settings_close(struct ct_settings *settings)
{
	for (unsigned int i = 0; i < SETTINGS_NAMED; i++) {
		if (settings->fds[i] >= 0)
			close(settings->fds[i]);
		settings->fds[i] = -1;
	}
}
