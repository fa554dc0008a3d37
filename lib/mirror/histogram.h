// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes the histogram and the counters of its rows, wherever they are: in the
 * segment (lib/shm/writer.c maps them) or in private memory (tests, replay).
 *
 * A cell is decremented only here, and never below zero: a refusal is counted,
 * not wrapped. A row is *activated*, once, before anything of it is touched;
 * activation makes sure that its memory is there (`back_row`), and sets its bit
 * in the row map last, so that readers never touch a page that is not backed.
 * When the memory cannot be had, the entry is counted in the row of port 0 of
 * its protocol and direction, for as long as the agent runs, and `overflow_rows`
 * says how many rows that befell.
 *
 * Threads: one writer; readers see relaxed values at any moment. O(1), no
 * allocation, no system call but in back_row, once per row.
 */
#ifndef CONNTIDE_MIRROR_HISTOGRAM_H
#define CONNTIDE_MIRROR_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/shm/layout.h"

struct segment;

struct histogram {
	_Atomic uint32_t *cells;
	_Atomic uint64_t *rowmap;
	struct shm_row *rows;
	struct shm_slots *slots; /* other[][] only */
	struct shm_lifetime *lifetimes;
	/* Backs the pages of a row; false when there is no room. NULL: always there. */
	bool (*back_row)(void *arg, uint32_t row);
	void *back_arg;
	uint64_t has_slot[(ROW_COUNT + 63u) / 64u]; /* rows not part of "other" */
	uint64_t refused[(ROW_COUNT + 63u) / 64u];  /* rows counted in an overflow row */
	uint64_t refused_decrements;
	uint64_t overflow_rows;
};

/* Points its arrays into a segment, which must outlive it. */
void histogram_attach(struct histogram *hist, struct segment *segment);

/* Where an entry of this key and state is counted: its cell, or that of the
 * overflow row. `state` must be a slot of the protocol. */
uint32_t histogram_place(struct histogram *hist, struct row_key key, unsigned int state);

void histogram_enter(struct histogram *hist, uint32_t cell);
void histogram_leave(struct histogram *hist, uint32_t cell);

/* Counters of the row of `cell`: an entry was created; was destroyed, having lived
 * `lifetime_ms` (UINT64_MAX: not known). */
void histogram_count_new(struct histogram *hist, uint32_t cell);
void histogram_count_destroyed(struct histogram *hist, uint32_t cell, uint64_t lifetime_ms);

uint32_t histogram_row_entries(const struct histogram *hist, uint32_t row);
bool histogram_row_active(const struct histogram *hist, uint32_t row);
/* Takes an empty row off the map; its counters stay. */
void histogram_retire(struct histogram *hist, uint32_t row);

#endif
