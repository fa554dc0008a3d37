// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How old entries are, how idle, and what they are (lib/stats/ages.h). Part of layout.h, whose
 * rules hold; included by it alone.
 */
#ifndef CONNTIDE_SHM_LAYOUT_AGES_H
#define CONNTIDE_SHM_LAYOUT_AGES_H

#include <stdatomic.h>
#include <stdint.h>

/* --- how old, how idle, and what they are --------------------------------------------- */

#define SHM_AGE_BUCKETS 80u
#define SHM_AGE_SETS	7u /* 0: now; then the fullest moment of each ten minutes of an hour */
#define SHM_AGES_ROWS	24u
#define SHM_AGES_CELLS	48u

/* Of a row; parts of `entries` that overlap. */
struct shm_ages_row {
	_Atomic uint32_t row; /* ROW_INVALID: none */
	_Atomic uint32_t entries;
	_Atomic uint32_t src_nat; /* the kernel chose another source, or port... */
	_Atomic uint32_t dst_nat; /* ...another destination */
	_Atomic uint32_t helper;
	_Atomic uint32_t ipv6;
	_Atomic uint32_t zoned; /* in a zone other than 0 */
	uint32_t _pad;
};

/*
 * Bucket 0 counts times below 1 s, bucket i those below 2^(i/4) s; the last all others.
 * Entries that are not in `age` have been in their state since before the agent started.
 */
struct shm_ages_cell {
	_Atomic uint32_t cell; /* CELL_INVALID: none */
	_Atomic uint32_t entries;
	/* Of them, asked for their idle time in the last minutes; none where timeout_s is not the
	 * setting's. */
	_Atomic uint32_t told;
	_Atomic uint32_t refreshed; /* of those told: packets came after it entered its state */
	_Atomic uint32_t timeout_s; /* with which entries come into it, by events; 0: not known */
	_Atomic uint32_t age[SHM_AGE_BUCKETS];	/* time in the state */
	_Atomic uint32_t idle[SHM_AGE_BUCKETS]; /* of those told: since the last packet, then */
};

struct shm_ages {
	_Atomic uint32_t count_entries; /* the kernel's count */
	_Atomic uint32_t rows_made;	/* of row[], largest first... */
	_Atomic uint32_t cells_made;	/* ...and of cell[] */
	uint32_t _pad;
	struct shm_ages_row all; /* of the whole table; its row is ROW_INVALID */
	struct shm_ages_row row[SHM_AGES_ROWS];
	struct shm_ages_cell cell[SHM_AGES_CELLS];
};

struct shm_ages_set {
	_Atomic uint64_t seq;
	_Atomic uint64_t real_ns; /* 0: never */
	struct shm_ages ages;
};

#endif
