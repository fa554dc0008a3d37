// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the largest rows are made of (translated, helped, IPv6, in a zone), and how old and
 * how idle the entries of the largest cells are, counted from the mirror's records: what
 * advice counts its savings from, and what it must know to do no harm.
 *
 * One walk over the mirror, begun with each pass of table_log.h and carried on once a
 * second, AGES_STEP_BUCKETS at most a call; a mirror of more than 400,000 entries takes
 * longer than ten seconds, and the next walk begins after it. A record that moves meanwhile
 * is counted where it was met. The result is published whole: as the set of now, and where
 * it is the fullest of its ten minutes as the set of those. Sets older than an hour are
 * cleared.
 *
 * No memory but the struct; no cost per event. Threads: one.
 */
#ifndef CONNTIDE_STATS_AGES_H
#define CONNTIDE_STATS_AGES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mirror/tracker.h"
#include "lib/shm/layout.h"

#define AGES_STEP_BUCKETS 8192u
#define AGES_PLACES	  128u /* of the tables below: more than twice what is in them */
#define AGES_SPAN_NS	  UINT64_C(600000000000)

/* Where a cell or row is counted; by open addressing. */
struct ages_place {
	uint32_t key;
	uint32_t index;
};

struct forecast;

struct ages {
	struct mirror *mirror;		 /* borrowed, as what follows */
	const struct forecast *forecast; /* knows the timeouts of cells; NULL: nobody does */
	struct shm_ages_set *sets;	 /* [SHM_AGE_SETS] */
	bool walking;
	struct flow_cursor cursor;
	struct shm_ages made; /* of this walk */
	/* Idle times are reckoned from the setting's timeout: of these cells they are not. */
	bool own_timeout[SHM_AGES_CELLS];
	struct ages_place cells[AGES_PLACES];
	struct ages_place rows[AGES_PLACES];
};

void ages_init(struct ages *ages, struct mirror *mirror, struct shm_ages_set *sets);

/* Begins a walk that counts these, largest first; ignored while one goes on. */
void ages_begin(struct ages *ages, const uint32_t *cells, uint32_t cell_count, const uint32_t *rows,
		uint32_t row_count);

/* Once a second. `count_entries`: the kernel's count now. */
void ages_second(struct ages *ages, uint64_t now_real_ns, uint32_t count_entries);

#endif
