// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * May the mirror be called exact? Only while nothing is known that could make a
 * cell differ from the kernel's table; otherwise the reasons are published.
 * Pure.
 */
#ifndef CONNTIDE_MIRROR_TRUST_H
#define CONNTIDE_MIRROR_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/shm/layout.h"

/* After a silent change was confirmed, others are to be expected for so long. */
#define TRUST_SILENT_NS UINT64_C(300000000000)

struct trust_inputs {
	enum shm_mode mode;
	uint64_t now_ns;
	uint64_t last_loss_ns;	      /* 0: never */
	uint64_t last_valid_begin_ns; /* when the last valid resync began; 0: none yet */
	bool last_resync_valid;
	uint64_t last_silent_ns; /* 0: never */
	int64_t kernel_entries;	 /* -1: not known */
	uint32_t mirror_entries;
	uint32_t in_flight; /* events between reading the count and now */
	uint32_t mute_entries;
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

#endif
