// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the rows are made of, and how old and idle entries are, as a reader sees it: checked
 * copies of the sets of struct shm_ages_set. Part of struct snap_detail. A row or cell that
 * does not exist is left out, no part is larger than its whole. Pure.
 */
#ifndef CONNTIDE_SHM_SNAP_AGES_H
#define CONNTIDE_SHM_SNAP_AGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/shm/layout.h"

struct snap_ages_row {
	struct row_key key;
	uint32_t entries;
	uint32_t src_nat, dst_nat, helper, ipv6, zoned;
};

struct snap_ages_cell {
	struct row_key key;
	unsigned int state;
	uint32_t entries;
	uint32_t told, refreshed;
	uint32_t timeout_s; /* that events told; 0: not known */
	uint32_t age[SHM_AGE_BUCKETS], idle[SHM_AGE_BUCKETS];
};

struct snap_ages {
	uint64_t real_ns; /* 0: there is none */
	uint32_t count_entries;
	struct snap_ages_row all;
	uint32_t row_count, cell_count;
	struct snap_ages_row rows[SHM_AGES_ROWS];
	struct snap_ages_cell cells[SHM_AGES_CELLS];
};

/* From a mapped section of SHM_AGE_SETS, under shm_guarded(), into as many. */
void snap_ages_copy(const struct shm_ages_set *from, struct snap_ages *sets);

/* Of now; and the fullest of the last hour, by `now_real_ns`. NULL: there is none. */
const struct snap_ages *snap_ages_now(const struct snap_ages *sets, uint64_t now_real_ns);
const struct snap_ages *snap_ages_peak(const struct snap_ages *sets, uint64_t now_real_ns);

/* NULL: not among the largest. */
const struct snap_ages_row *snap_ages_row(const struct snap_ages *ages, const struct row_key *key);
const struct snap_ages_cell *snap_ages_cell(const struct snap_ages *ages, const struct row_key *key,
					    unsigned int state);

/* Lower edge of a bucket, s. */
double snap_age_edge_s(unsigned int bucket);
/* Of a histogram, how many are `seconds` old or older: whole buckets, and of the one that it
 * is in a part, as if they were spread evenly in it. */
double snap_ages_older(const uint32_t buckets[SHM_AGE_BUCKETS], double seconds);

#endif
