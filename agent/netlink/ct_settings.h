// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The settings of lib/kernel/settings.def, from /proc/sys/net. As ct_timeouts.h: of the
 * namespace in which the files were opened, kept open and read again. What is missing (an
 * older or a newer kernel, /proc hidden) is -1.
 *
 * Threads: one.
 */
#ifndef CONNTIDE_AGENT_NETLINK_CT_SETTINGS_H
#define CONNTIDE_AGENT_NETLINK_CT_SETTINGS_H

#include <stdint.h>

#include "lib/kernel/settings.h"

struct ct_settings {
	int fds[SETTINGS_NAMED];
	int64_t values[SETTINGS]; /* timeouts are the caller's to fill in */
};

void ct_settings_open(struct ct_settings *settings);
void ct_settings_read(struct ct_settings *settings);
void ct_settings_close(struct ct_settings *settings);

#endif
