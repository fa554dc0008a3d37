// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Once a second over the rows that hold anything: which ports get series of
 * their own, which are the largest now, and the marks from which rates are
 * computed; rows that have been empty and quiet are taken off the map.
 *
 * Membership is stable: a row takes a free slot, or that of the smallest member
 * if it is half as large again and the member has had the slot for
 * PORTS_TENURE_NS. A row that gets a slot is counted there from then on; until then it
 * was counted in "other", which keeps it. What a row was counted in its slot joins
 * "other" when it loses the slot: the sum over all never falls, nor does "other".
 *
 * Bounded: PORTS_ROWS_PER_STEP rows a call; a table with more takes several
 * calls for one pass. One thread.
 */
#ifndef CONNTIDE_MIRROR_PORTS_H
#define CONNTIDE_MIRROR_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mirror/histogram.h"
#include "lib/shm/layout.h"

#define PORTS_ROWS_PER_STEP 131072u
#define PORTS_TENURE_NS	    UINT64_C(60000000000)
#define PORTS_RATE_NS	    UINT64_C(10000000000)

struct ports_top {
	uint32_t row;
	uint32_t entries;
};

struct ports {
	struct histogram *hist;
	struct shm_slots *slots;
	struct shm_rate *rates;
	uint32_t slot_limit;
	uint32_t word;				/* of the row map, where the pass stands */
	struct ports_top found[SHM_SLOT_COUNT]; /* largest of this pass, descending */
	uint32_t found_count;
	struct ports_top top[SHM_TOP_PORTS]; /* of the last finished pass */
	uint32_t top_count;
	uint64_t slot_since_ns[SHM_SLOT_COUNT];
	uint64_t rate_mark_ns[2];
	_Atomic int64_t *rate_marks[2]; /* as readers see them; 0 while being taken */
};

/* `live`: its two rate marks are written here, besides by who publishes all of it. */
void ports_init(struct ports *ports, struct histogram *hist, struct shm_slots *slots,
		struct shm_rate *rates, struct shm_live *live, uint32_t slot_limit);
void ports_second(struct ports *ports, uint64_t now_ns);

#endif
