// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How late expired entries go, as the kernel's rule has it (lib/kernel/gc.h): what the forecast
 * begins with, before any has been seen to expire.
 *
 * From the largest cells of the last walk (ages.h), each with the timeout its entries come in
 * with, or else the setting's; what is in smaller cells is left out.
 *
 * Pure. No memory but the structs. Threads: one.
 */
#ifndef CONNTIDE_STATS_COLLECTOR_H
#define CONNTIDE_STATS_COLLECTOR_H

#include <stdint.h>

#include "lib/forecast/forecast.h"
#include "lib/kernel/gc.h"
#include "lib/kernel/timeouts.h"
#include "lib/shm/layout.h"

struct collector {
	uint64_t walked_real_ns; /* of the walk that `interval_s` is from; 0: none yet */
	double interval_s;
	bool translates; /* NAT is in use */
};

/* What is so in this second. */
struct collector_second {
	uint32_t tick_hz; /* CONFIG_HZ; 0: not known */
	int64_t buckets;  /* 0 or negative: not known */
	double new_per_s;
	struct gc_packets packets;
	double audits_per_s; /* entries that the agent asks for, one after the other */
	double entries;
};

/* `set`: of now. All 0 before the first walk. */
struct fc_collector collector_second(struct collector *collector, const struct shm_ages_set *set,
				     const uint32_t timeouts_s[TIMEOUT_COUNT],
				     const struct collector_second *second);

#endif
