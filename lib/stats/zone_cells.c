// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/zone_cells.h"

#include <errno.h>
#include <string.h>

#include "lib/base/sparse.h"
#include "lib/kernel/states.h"
#include "lib/shm/seqlock.h"

#define LISTED_BYTES (ZONES * sizeof(uint32_t))

int zone_cells_create(struct zone_cells *cells)
{
	memset(cells, 0, sizeof(*cells));
	cells->listed = sparse_alloc(LISTED_BYTES);
	return cells->listed ? topk_create(&cells->cells, SHM_ZONE_CELLS) : -ENOMEM;
}

void zone_cells_destroy(struct zone_cells *cells)
{
	sparse_free(cells->listed, LISTED_BYTES);
	topk_destroy(&cells->cells);
	memset(cells, 0, sizeof(*cells));
}

static struct topk_key key_of(uint16_t zone, uint32_t cell)
{
	return (struct topk_key){.address = {(uint64_t)zone << 32 | cell, 0}};
}

static unsigned int bit(unsigned int index)
{
	return index ? TOPK_SECOND : TOPK_FIRST;
}

void zone_cells_moved(struct zone_cells *cells, uint16_t zone, uint32_t from, uint32_t to,
		      bool built)
{
	unsigned int which = cells->building && built ? TOPK_BOTH : bit(cells->shown);
	const struct topk_key left = key_of(zone, from), entered = key_of(zone, to);

	if (from != CELL_INVALID)
		topk_remove(&cells->cells, &left, which);
	if (to != CELL_INVALID)
		topk_add(&cells->cells, &entered, which);
}

void zone_cells_lost(struct zone_cells *cells, bool built)
{
	cells->unsubtracted[cells->shown]++;
	cells->unsubtracted[cells->shown ^ 1u] += cells->building && built;
}

void zone_cells_shown(struct zone_cells *cells, uint16_t zone, uint32_t cell)
{
	const struct topk_key key = key_of(zone, cell);

	if (cells->building)
		topk_add(&cells->cells, &key, bit(cells->shown ^ 1u));
}

static void clear(struct zone_cells *cells)
{
	/* Where nothing was counted, nothing is touched. */
	if (cells->cells.used)
		topk_clear(&cells->cells, cells->shown ^ 1u, 1, UINT32_MAX);
	cells->unsubtracted[cells->shown ^ 1u] = 0;
}

void zone_cells_begin(struct zone_cells *cells)
{
	clear(cells);
	cells->building = true;
}

void zone_cells_drop(struct zone_cells *cells)
{
	if (!cells->building)
		return;
	cells->building = false;
	clear(cells);
}

void zone_cells_complete(struct zone_cells *cells)
{
	if (!cells->building)
		return;
	cells->building = false;
	cells->shown ^= 1u;
	clear(cells);
}

uint32_t zone_cells_count(const struct zone_cells *cells)
{
	return cells->cells.keys[cells->shown];
}

/* --- once a second --------------------------------------------------------------- */

static uint32_t zone_of(const struct topk_record *record)
{
	return (uint32_t)(record->address[0] >> 32);
}

/* The records that are listed: the first `count` of those that hold entries. */
static const struct topk_record *next(const struct zone_cells *cells, uint32_t *at)
{
	while (*at < cells->cells.used) {
		const struct topk_record *record = &cells->cells.records[++*at];

		if (record->count[cells->shown])
			return record;
	}
	return NULL;
}

static void sum_listed(struct zone_cells *cells, uint32_t count)
{
	const struct topk_record *record;
	uint32_t at = 0;

	for (uint32_t i = 0; i < count && (record = next(cells, &at)); i++)
		cells->listed[zone_of(record)] = 0;
	at = 0;
	for (uint32_t i = 0; i < count && (record = next(cells, &at)); i++)
		cells->listed[zone_of(record)] += record->count[cells->shown];
}

static uint32_t minus(uint32_t all, uint32_t listed)
{
	return all > listed ? all - listed : 0;
}

static uint64_t entries_of_all(const struct zones *zones)
{
	uint64_t all = 0;

	for (uint32_t i = 1; i < zones->end; i++)
		all += zones->entries[zones->shown][i];
	return all;
}

void zone_cells_second(struct zone_cells *cells, const struct zones *zones, uint32_t count,
		       struct shm_zone_cells *to)
{
	const struct topk_record *record;
	uint64_t all = entries_of_all(zones), listed = 0;
	uint32_t at = 0, i;

	sum_listed(cells, count);
	seq_write_begin(&to->seq);
	for (i = 0; i < count && (record = next(cells, &at)); i++) {
		struct shm_zone_cell *cell = &to->cell[i];
		uint32_t zone = zone_of(record), entries = record->count[cells->shown];

		poke_u32(&cell->cell, (uint32_t)record->address[0]);
		poke_u32(&cell->zone, zone);
		poke_u32(&cell->entries, entries);
		poke_u32(&cell->unlisted_entries,
			 minus(zones->entries[zones->shown][zone], cells->listed[zone]));
		listed += entries;
	}
	poke_u32(&to->count, i);
	poke_u32(&to->unlisted_entries, all > listed ? (uint32_t)(all - listed) : 0);
	poke_u32(&to->unsubtracted, cells->unsubtracted[cells->shown]);
	seq_write_end(&to->seq);
}
