// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/snap_zone_cells.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shm/seq_retry.h"
#include "lib/shm/seqlock.h"

static uint32_t count_of(const struct shm_zone_cells *from)
{
	uint32_t count = peek_u32(&from->count);

	return count < SHM_ZONE_CELLS ? count : SHM_ZONE_CELLS;
}

/* The file is outside input: zone 0 and cells that cannot be are left out. */
static void copy_all(const struct shm_zone_cells *from, struct snap_zone_cells *to)
{
	uint32_t count = count_of(from);

	to->count = 0;
	to->unlisted_entries = peek_u32(&from->unlisted_entries);
	to->unsubtracted = peek_u32(&from->unsubtracted);
	for (uint32_t i = 0; i < count && i < to->room; i++) {
		const struct shm_zone_cell *cell = &from->cell[i];
		const struct snap_zone_cell one = {.cell = peek_u32(&cell->cell),
						   .entries = peek_u32(&cell->entries),
						   .unlisted_entries =
							   peek_u32(&cell->unlisted_entries),
						   .zone = (uint16_t)peek_u32(&cell->zone)};

		if (one.zone && one.cell < CELL_COUNT)
			to->cells[to->count++] = one;
	}
}

bool snap_zone_cells_copy(const struct shm_zone_cells *from, struct snap_zone_cells *to)
{
	for (int attempt = 0; attempt < SEQ_ATTEMPTS; attempt++, seq_nap_if_due(attempt)) {
		uint64_t at;

		if (!seq_read_begin(&from->seq, &at))
			continue;
		if (count_of(from) > to->room) {
			to->count = count_of(from);
			return false;
		}
		copy_all(from, to);
		if (seq_read_valid(&from->seq, at))
			return true;
	}
	to->count = to->unlisted_entries = to->unsubtracted = 0;
	return true;
}

int snap_zone_cells_grow(struct snap_zone_cells *to)
{
	struct snap_zone_cell *cells;
	uint32_t room = 64;

	while (room < to->count)
		room *= 2;
	cells = realloc(to->cells, room * sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	to->cells = cells;
	to->room = room;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct snap_zone_cell *a = left, *b = right;

	if (a->cell != b->cell)
		return a->cell < b->cell ? -1 : 1;
	return (a->zone > b->zone) - (a->zone < b->zone);
}

void snap_zone_cells_sort(struct snap_zone_cells *to)
{
	if (to->count)
		qsort(to->cells, to->count, sizeof(*to->cells), compare);
}

void snap_zone_cells_free(struct snap_zone_cells *cells)
{
	free(cells->cells);
	memset(cells, 0, sizeof(*cells));
}

/* The first that is not before `cell`. */
static size_t lower(const struct snap_zone_cells *cells, uint32_t cell)
{
	size_t low = 0, high = cells->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cells->cells[middle].cell < cell)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct snap_zone_cell *snap_zone_cells_of(const struct snap_zone_cells *cells, uint32_t first,
						uint32_t end, size_t *ret_count)
{
	size_t from = lower(cells, first);

	*ret_count = lower(cells, end) - from;
	return *ret_count ? &cells->cells[from] : NULL;
}
