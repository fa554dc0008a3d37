// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many entries of each cell are in which zone, for all zones but 0: of zone 0 is what a cell
 * has beyond these, so a host without zones counts nothing here.
 *
 * Counts for up to SHM_ZONE_CELLS pairs of zone and cell (topk.h), exact up to that number.
 * Beyond it the pairs that hold most stay, and the rest is known by its sum: how many entries of
 * each zone, and of all, are in no listed pair, from the counts of zones.h, which has room for
 * all of them.
 *
 * The mirror keeps no zone, so what a resync finds gone is dealt with as in zones.h: each dump
 * rebuilds a second count, and up to `unsubtracted` entries are counted too many until it is
 * complete.
 *
 * O(1) a change. 768 KiB, of which only what is used is touched. No allocation after creation.
 * One thread. Errors: -ENOMEM.
 */
#ifndef CONNTIDE_STATS_ZONE_CELLS_H
#define CONNTIDE_STATS_ZONE_CELLS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/shm/layout.h"
#include "lib/stats/topk.h"
#include "lib/stats/zones.h"

struct zone_cells {
	struct topk cells;
	uint32_t *listed; /* by zone: entries in pairs that are counted, as of the last second */
	uint32_t unsubtracted[2];
	unsigned int shown;
	bool building; /* the other count is being rebuilt */
};

int zone_cells_create(struct zone_cells *cells);
void zone_cells_destroy(struct zone_cells *cells);

/* An entry of a zone other than 0 went from a cell to another; CELL_INVALID: it appeared, or went.
 * `built`: it is in the count that is being rebuilt, if any; of one that appeared true. */
void zone_cells_moved(struct zone_cells *cells, uint16_t zone, uint32_t from, uint32_t to,
		      bool built);
/* As above, of one that went and whose zone is not known. */
void zone_cells_lost(struct zone_cells *cells, bool built);
/* Adds an entry to the count that is being rebuilt. */
void zone_cells_shown(struct zone_cells *cells, uint16_t zone, uint32_t cell);

/* A dump begins; it failed, its count is discarded; it is complete and takes over. */
void zone_cells_begin(struct zone_cells *cells);
void zone_cells_drop(struct zone_cells *cells);
void zone_cells_complete(struct zone_cells *cells);

/* Pairs that hold entries: as many cells of the section must be there for zone_cells_second(). */
uint32_t zone_cells_count(const struct zone_cells *cells);

/* Once a second: `count` of them, all if that many, to `to`. `zones` has seen the same changes. */
void zone_cells_second(struct zone_cells *cells, const struct zones *zones, uint32_t count,
		       struct shm_zone_cells *to);

#endif
