// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's timeouts by name, sysctl, protocol and state; from timeouts.def.
 * Pure and total: what is out of range gives NULL, 0 or -1.
 */
#ifndef CONNTIDE_KERNEL_TIMEOUTS_H
#define CONNTIDE_KERNEL_TIMEOUTS_H

#include <stdint.h>

enum timeout_id {
#define TIMEOUT(id, l4proto, name, sysctl, default_s) TIMEOUT_##id,
#include "lib/kernel/timeouts.def"
#undef TIMEOUT
	TIMEOUT_COUNT
};

struct timeout_info {
	const char *name;   /* "tcp_time_wait" */
	const char *sysctl; /* "nf_conntrack_tcp_timeout_time_wait" */
	uint32_t default_s;
	uint32_t l4proto; /* enum l4proto */
};

const struct timeout_info *timeout_info(unsigned int id);
/* enum timeout_id, or -1 when there is no such name. */
int timeout_by_name(const char *name);
/* The timeout of an entry in this state; -1: none is known. */
int timeout_of_state(unsigned int l4proto, unsigned int state);

#endif
