// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cells by zone as a reader sees them: a checked copy of struct shm_zone_cells, in order. Pure.
 */
#ifndef CONNTIDE_SHM_SNAP_ZONE_CELLS_H
#define CONNTIDE_SHM_SNAP_ZONE_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/shm/layout.h"

struct snap_zone_cell {
	uint32_t cell;
	uint32_t entries;
	uint32_t unlisted_entries; /* of this zone, in no cell of the list */
	uint16_t zone;		   /* not 0 */
};

struct snap_zone_cells {
	struct snap_zone_cell *cells; /* by cell, then zone */
	uint32_t count;
	uint32_t room;
	uint32_t unlisted_entries; /* of all zones but 0, in no cell of the list */
	uint32_t unsubtracted;	   /* up to so many in the list are gone */
};

/*
 * From a mapped section, under shm_guarded(), in no order yet. False: `room` is less than the list
 * needs, which is in `count`, and nothing was copied. After a copy that failed the list is empty.
 */
bool snap_zone_cells_copy(const struct shm_zone_cells *from, struct snap_zone_cells *to);
/* Outside of the guard: room for `count` cells. 0 or -ENOMEM. */
int snap_zone_cells_grow(struct snap_zone_cells *to);
/* Puts a copy in order. */
void snap_zone_cells_sort(struct snap_zone_cells *to);
void snap_zone_cells_free(struct snap_zone_cells *cells);

/* Those of cells `first` to `end` - 1, as one cell or a row: the first, and how many. */
const struct snap_zone_cell *snap_zone_cells_of(const struct snap_zone_cells *cells, uint32_t first,
						uint32_t end, size_t *ret_count);

#endif
