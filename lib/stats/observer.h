// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Passes the mirror's changes on to the statistics: the forecast, durations of states
 * (durations.h), talkers (talkers.h) and NAT pools (nat_pools.h). It is the mirror's only hook
 * (lib/mirror/change.h).
 *
 * How an entry ended, by what the DESTROY says (nf_conntrack_core.c,
 * nf_conntrack_proto_tcp.c, nf_conntrack_netlink.c; CTA_TIMEOUT and CTA_PROTOINFO are in
 * it since 5.11):
 *
 *	somebody's port id			deleted by a program
 *	no time left				closed or expired, by its last state
 *	state CLOSE, which no event reported before	a reset killed it: closed
 *	closing, unassured, table crowded	evicted (early drop)
 *	closing, crowded, packets dropped	evicted (the collector takes them then)
 *	closing					closed: a new connection took its place
 *	open, unassured, table crowded		evicted
 *	open					deleted by the kernel: nf_ct_iterate_cleanup,
 *						when a masquerading interface goes down
 *
 * "Crowded" is nine tenths of the limit, by the mirror at that event: evictions begin at
 * 95 % and the mirror may lack some. What cannot be told apart: in a crowded table that
 * drops packets, a new connection over one in TIME_WAIT from an eviction; and
 * what is evicted in the last second of its timeout from what expired.
 *
 * Owns nothing: what it feeds is borrowed and must outlive it. NULL members are
 * left out. O(1), no allocation, no system call. One thread.
 */
#ifndef CONNTIDE_STATS_OBSERVER_H
#define CONNTIDE_STATS_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mirror/change.h"
#include "lib/shm/layout.h"

#include "lib/stats/told.h"

struct forecast;
struct durations;
struct nat_pools;
struct talkers;
struct zone_cells;
struct zones;

/* For this long after a dropped packet the kernel's collector may evict: its runs are at most a
 * minute apart (GC_SCAN_INTERVAL_MAX), and the counter is read once a second. */
#define OBSERVER_DROPPING_NS UINT64_C(120000000000)
/* Until the counters of before the start have arrived. */
#define OBSERVER_COUNTERS_NS UINT64_C(5000000000)

struct observer {
	struct entry_hook hook; /* first: the hook's functions find the observer by it */
	struct forecast *forecast;
	struct durations *durations;
	struct talkers *talkers;
	struct nat_pools *nat_pools;
	struct zones *zones;
	struct zone_cells *zone_cells; /* needs zones */
	uint32_t crowd_entries;	       /* the table is crowded from here; 0: never */
	uint64_t drops;		       /* the kernel's counter, and when it last rose; 0: never */
	uint64_t dropped_ns;
	uint64_t limit_since_ns; /* of the first observer_limit() */
	bool batching;		 /* between observer_begin_batch() and observer_end_batch() */
	uint32_t changes;	 /* not told yet */
	struct told_change told[TOLD_BATCH];
};

/* Sets the hook that the mirror calls; the rest of *observer is zero or set by the caller. */
void observer_init(struct observer *observer);

/* The events between, which stay where they are, are counted by addresses all at once; at the
 * latest at the end. */
void observer_begin_batch(struct observer *observer);
void observer_end_batch(struct observer *observer);

/* Once a second: the limit (0, negative: none known) and the kernel's count of drops. */
void observer_limit(struct observer *observer, int64_t max_entries, uint64_t drops,
		    uint64_t now_ns);

/* enum fc_stage of a protocol's state. */
uint8_t observer_stage(unsigned int l4proto, unsigned int state);

/* Tells the forecast the present value of a timeout (enum timeout_id). */
void observer_timeout(struct forecast *forecast, unsigned int id, uint32_t value_s);

/* How an entry ended, from what is known about it: enum shm_end. */
unsigned int observer_end(const struct observer *observer, const struct entry_change *seen);

#endif
