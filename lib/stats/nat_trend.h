// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fullest NAT pools, second by second: how many ports are taken, how many new connections
 * come, when the pool is full, and what share of new ones fails; written
 * to the segment, rows (struct shm_nat) and the summary (struct nat_trend_summary).
 *
 * *Held* ports are not available: those used, minus the closing ones where the kernel reclaims
 * them (lib/kernel/nat_ports.h).
 *
 * The share of new connections expected to fail is computed from which ports are used, where the
 * pool has a map of them (nat_maps.h), else from how many (nat_failing_share()). A local pool fails
 * when its last port is taken.
 *
 * *Full* is a slope; the moment given is when one new connection in ten fails, by
 * nat_failing_share(), which in small ranges is the last port; or now, where that share is
 * expected.
 *
 * The time is the pool's own history, cut into six windows: in each, new connections per
 * second and what left, as a share of what was there, lead to a level at which the pool
 * settles; if that is below full the window says never, else when. Likely is the median
 * of the last three windows, early and late are the extremes of all six. Windows are of
 * 1, 2, 5 or 10 s, the shortest whose answer is no further ahead than twenty times what was
 * looked at. Nothing is said before six seconds.
 *
 * The kernel does not say which connection failed to be inserted: failures count as NAT failures
 * while a translated pool is at least 85 % full, minus those that chains refused, and are
 * attributed to the fullest pool when it is the only one that full.
 *
 * One thread; time is an argument; no allocation. Cost: that of nat_pools_largest(), and some
 * 50 microseconds for each of up to NAT_MAPS pools that are half full.
 */
#ifndef CONNTIDE_STATS_NAT_TREND_H
#define CONNTIDE_STATS_NAT_TREND_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/shm/layout.h"
#include "lib/stats/nat_pools.h"

#define NAT_TREND_SECONDS 61u
#define NAT_FULL_RATIO	  0.85

struct nat_trend_sample {
	uint32_t held;
	uint32_t born; /* nat_pool.born then */
};

struct nat_followed {
	uint64_t hash; /* of the pool; 0: free */
	uint32_t at;
	uint32_t count; /* of samples, ever */
	struct nat_trend_sample samples[NAT_TREND_SECONDS];
};

struct nat_trend_second {
	uint64_t now_boot_ns;
	uint64_t insert_failed; /* the kernel's counters */
	uint64_t chaintoolong;
	bool counters_known;
	bool reclaims; /* the kernel reclaims ports of closing entries */
};

/* Of the translated pools; may be shown without addresses. */
struct nat_trend_summary {
	uint32_t pools;
	int64_t ratio_ppm; /* held / size of the fullest; -1: there is none */
	uint32_t l4num;	   /* of the fullest, as are the next four */
	uint32_t remote_port;
	uint32_t held;
	uint32_t size;
	uint32_t failing_ppm;
	uint64_t failures; /* ever */
	int64_t early_ms;  /* of the pool that fills first; -1: none foreseeable */
	int64_t likely_ms;
	int64_t late_ms;
	int64_t local_ratio_ppm; /* of the fullest local pool, an estimate; -1: none */
};

struct nat_trend {
	struct nat_followed followed[NAT_POOLS_TOP];
	struct nat_pool list[NAT_POOLS_TOP];
	uint32_t count;
	struct nat_trend_summary summary;
	uint64_t failures[NAT_TREND_SECONDS]; /* as of each second */
	uint64_t failed_before; /* insert_failed minus chaintoolong, at the last second */
	bool counters_seen;
	bool needs_dump; /* to know which ports a pool uses; once for each that is half full */
	uint32_t seconds;
};

struct nat_trend_time {
	double early_s; /* INFINITY: never */
	double likely_s;
	double late_s;
	double new_per_s;
	bool known;
};

void nat_trend_init(struct nat_trend *trend);
/* Once a second. */
void nat_trend_second(struct nat_trend *trend, struct nat_pools *pools, struct shm_nat *to,
		      const struct nat_trend_second *second);

/* Ports held at which one new connection in ten fails. */
uint32_t nat_trend_full(uint32_t size);
/* Pure; samples are a second apart, oldest first. */
struct nat_trend_time nat_trend_time(const struct nat_trend_sample *samples, uint32_t count,
				     uint32_t size);

#endif
