// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The level of the table: OK, HIGH, CRITICAL or FULL, with the reason. Made once a second
 * by the agent; everybody else reads what it published (lib/health/health.h).
 *
 *	FULL	  at the limit; an entry evicted early; a packet dropped while the table is
 *		  more than half full (the kernel counts clashes as dropped packets, too)
 *	CRITICAL  95 % of the limit; the forecast's alarm (full within ten minutes); a NAT
 *		  pool at 94 %; chains too long; as many expectations as may be, so that new
 *		  ones are refused; one new connection in ten fails to become an entry
 *	HIGH	  80 % of the limit; full within the hour more likely than not; a NAT pool or
 *		  the table of expectations at 85 %; one new connection in a hundred fails
 *	UNKNOWN	  no count; or nothing of the above and no events
 *
 * The worst wins. A level is held until its causes have been gone for a while, and gone
 * means by a margin: FULL 30 s; CRITICAL below 93 % (pool 92 %) for 30 s; HIGH below 78 %
 * (pool and expectations 83 %) for 60 s; connections that fail below half of their share. A
 * counter rises if it did within LEVEL_RISE_S. While a level is only held, its reason is the
 * last that was seen.
 *
 * New connections that fail leave neither an entry nor an event: the ports of a NAT pool are
 * out (perhaps one whose range is not known here), or packets of one flow clash. They are the
 * failed insertions (insert_failed) less those that chains refused, LEVEL_FAILED_MIN at least
 * within LEVEL_RISE_S, as a share of themselves and the new entries. Where events are lost or
 * not listened to, new entries are not known, nor is the share.
 *
 * Pure: time and counters are given. Counters are differences from the first that was
 * seen; one that goes back begins anew. Times are ns of one clock, the caller's. Ratios
 * are millionths (ppm). One thread.
 */
#ifndef CONNTIDE_HEALTH_LEVEL_H
#define CONNTIDE_HEALTH_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/shm/snapshot.h"

#define LEVEL_HIGH_RATIO     0.80
#define LEVEL_CRITICAL_RATIO 0.95

/* A counter counts as rising for this long after it rose; rates are over this long, too. */
#define LEVEL_RISE_S 10u

/* Fewer failed insertions within LEVEL_RISE_S are chance. */
#define LEVEL_FAILED_MIN 10u

enum level_counter {
	LEVEL_DROPS,
	LEVEL_EARLY_DROPS,
	LEVEL_CHAIN_DROPS,
	LEVEL_INSERT_FAILED,
	LEVEL_NEW_ENTRIES, /* by events */
	LEVEL_FOUND,	   /* no cause of a level: evidence for why insertions fail */
	LEVEL_LOST_EVENTS, /* or losses: how many does not matter */
	LEVEL_COUNTERS
};

struct level_input {
	uint64_t now_ns;
	uint64_t now_real_ns;
	int64_t count_entries; /* -1: not known */
	int64_t limit_entries; /* the lowest limit; 0 or less: none */
	bool no_events;	       /* nf_conntrack_events=0 */
	bool counters_known;   /* false before the kernel has reported them */
	bool new_unknown;      /* nobody listens to events now, or none are sent */
	uint64_t counters[LEVEL_COUNTERS];
	bool forecast_alarm;
	bool forecast_filling;	   /* full within the hour, more likely than not */
	uint64_t forecast_full_ms; /* when, most likely; SHM_NEVER_MS: it cannot say */
	int64_t nat_pool_ppm;	   /* of the fullest pool; 0: none or not known */
	int64_t expectations_ppm;  /* of their limit; 0: none or not known */
};

/* One level's memory. */
struct level_hold {
	bool on;
	uint64_t until_ns;
	enum shm_level_reason reason;
	int64_t value;
};

struct level {
	bool seen;
	uint64_t last[LEVEL_COUNTERS];
	uint32_t rose[LEVEL_COUNTERS][LEVEL_RISE_S]; /* by second, a ring */
	uint32_t at;
	struct level_hold holds[SHM_LEVEL_COUNT];
	/* What was found last. */
	enum shm_level level;
	enum shm_level_reason reason;
	int64_t value;		/* in the unit of the reason, see level_reasons.def */
	uint64_t since_real_ns; /* since when it is at this level; 0: never looked */
};

void level_init(struct level *level);
void level_second(struct level *level, const struct level_input *in);

/* Over the last LEVEL_RISE_S seconds, in thousandths a second. */
int64_t level_milli_per_s(const struct level *level, enum level_counter counter);

#endif
