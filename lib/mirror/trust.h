// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * May the mirror be called exact? Only while it was compared with the kernel's table
 * recently and nothing is known that could have made a cell differ since; otherwise the
 * reasons are published. docs/exactness.md says how they are found out.
 *
 * A residual (the kernel's count is not the mirror's) is a doubt of its own, unless silent
 * entries explain it: the mirror has more, by no more than the number of silent ones, which end
 * without telling. Such a host is well; they are removed by the next comparison.
 * Pure.
 */
#ifndef CONNTIDE_MIRROR_TRUST_H
#define CONNTIDE_MIRROR_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/shm/layout.h"

/* For how long after a confirmed silent change others are to be expected. */
#define TRUST_SILENT_NS UINT64_C(300000000000)

/* How late a comparison may be, beyond an interval. */
#define TRUST_LATE_NS UINT64_C(60000000000)

struct trust_inputs {
	enum shm_mode mode;
	uint64_t now_ns;
	uint64_t last_loss_ns;	      /* 0: never */
	uint64_t last_valid_begin_ns; /* when the last valid resync began; 0: none yet */
	bool last_resync_valid;
	uint64_t last_silent_ns; /* 0: never */
	uint64_t last_ghost_ns;	 /* an entry was found gone unheard; 0: never */
	uint64_t events_off_ns;	 /* nf_conntrack_events was last seen to be 0; 0: never */
	uint64_t verified_ns;	 /* when the last comparison of all entries began */
	uint64_t interval_ns;	 /* between two of them, as planned; 0: not known */
	int64_t kernel_entries;	 /* -1: not known */
	uint32_t mirror_entries;
	uint32_t in_flight;   /* events between reading the count and now */
	bool residual_is_new; /* the difference may be entries whose event is still queued */
	uint32_t silent_entries;
	uint32_t unknown_entries;
	uint32_t verify_pending;
	bool out_of_memory;	 /* entries or rows had to be refused */
	bool not_subscribed;	 /* to events that are wanted */
	bool addresses_doubtful; /* the set of local addresses is old, or not whole */
};

/* enum shm_doubt bits; 0: exact. */
uint32_t trust_doubts(const struct trust_inputs *in);

/*
 * Data quality and the reason for it, from the doubts and the sysctl
 * nf_conntrack_events (0: no events at all; -1: not known).
 */
enum shm_quality trust_quality(uint32_t doubts, int64_t events_mode,
			       enum shm_quality_reason *ret_reason);

/* What finds wrong cells: dumps, and audits of a random sample of the whole table. */
struct trust_reach {
	uint64_t dump_interval_ns;
	uint64_t dump_ns; /* what a dump takes */
	uint32_t table_entries;
	uint32_t sample_entries; /* that are asked for in turn... */
	uint32_t audits_per_s;	 /* ...this many a second */
};

/* Share of the entries that become wrong without an event, at a random moment and place, which is
 * found within a minute, in millionths. An entry is found by the next dump or by its turn in the
 * sample, whichever comes first. */
uint32_t trust_found_share_ppm(const struct trust_reach *reach);

#endif
