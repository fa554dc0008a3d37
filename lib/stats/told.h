// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What lib/stats/observer.c tells those who count entries by what is in their tuples: one small
 * record of each change that concerns them, in batches. They fetch the memory of a batch first,
 * one step for all before the next, and then count in the order of the changes.
 */
#ifndef CONNTIDE_STATS_TOLD_H
#define CONNTIDE_STATS_TOLD_H

#include <stdint.h>

#include "lib/event/event.h"

/* More are told in several calls. */
#define TOLD_BATCH 128u

enum told_flags {
	TOLD_APPEARED = 1u << 0,
	TOLD_WENT = 1u << 1,
	/* The count that is being rebuilt, if one is, has it too... */
	TOLD_BUILT = 1u << 2,
	/* ...or it alone gets it: a dump, or an event during one, showed the entry. */
	TOLD_SHOWN = 1u << 3,

	/* For nat_pools.h alone. */
	TOLD_POOL_ADDS = 1u << 4,
	TOLD_POOL_REMOVES = 1u << 5,
	TOLD_POOL_TURNS = 1u << 6, /* it begins, or ceases, to close */
	TOLD_CLOSING = 1u << 7,	   /* it closes now; of one that went: it did */
	TOLD_BORN = 1u << 8	   /* an event said that it is new */
};

#define TOLD_FOR_TALKERS (TOLD_APPEARED | TOLD_WENT)
#define TOLD_FOR_POOLS	 (TOLD_POOL_ADDS | TOLD_POOL_REMOVES | TOLD_POOL_TURNS)

struct told_change {
	const struct ct_event *event;
	uint32_t flags;
};

#endif
