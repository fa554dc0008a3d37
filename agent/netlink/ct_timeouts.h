// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The timeouts in force in this namespace, from /proc/sys/net/netfilter. They are
 * per network namespace, and those of the namespace in which the files were opened:
 * kept open and read again, since anybody may change them at any time. A file that
 * is missing (an older kernel, /proc hidden) leaves the default of timeouts.def.
 *
 * Threads: one. No errors: what cannot be read is at its default.
 */
#ifndef CONNTIDE_AGENT_NETLINK_CT_TIMEOUTS_H
#define CONNTIDE_AGENT_NETLINK_CT_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/kernel/timeouts.h"

struct ct_timeouts {
	int fds[TIMEOUT_COUNT];
	uint32_t values_s[TIMEOUT_COUNT];
};

void ct_timeouts_open(struct ct_timeouts *timeouts); /* and reads them */
/* Reads them all; true when one has changed. */
bool ct_timeouts_read(struct ct_timeouts *timeouts);
void ct_timeouts_close(struct ct_timeouts *timeouts);

#endif
