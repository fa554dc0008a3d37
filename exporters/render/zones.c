// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/zones.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool zones_used(const struct snapshot *snap)
{
	return snap->zone_cells.count > 0 || snap->zone_cells.unlisted_entries > 0;
}

/* --- the rows of one zone --------------------------------------------------------- */

static bool same_row(const struct row_key *a, const struct row_key *b)
{
	return a->l4proto == b->l4proto && a->direction == b->direction && a->port == b->port;
}

static struct snap_row empty_row(const struct row_key *key)
{
	return (struct snap_row){.key = *key,
				 .slot = -1,
				 .new_per_s = (double)NAN,
				 .destroyed_per_s = (double)NAN,
				 .mean_lifetime_s = (double)NAN};
}

/* Cells are in order, so those of a row follow each other. */
static size_t rows_of_cells(const struct snap_zone_cells *cells, uint16_t zone,
			    struct snap_row *rows)
{
	size_t count = 0;

	for (uint32_t i = 0; i < cells->count; i++) {
		const struct snap_zone_cell *cell = &cells->cells[i];
		struct row_key key;
		unsigned int state;

		if (cell->zone != zone || !cell_key_of(cell->cell, &key, &state))
			continue;
		if (!count || !same_row(&rows[count - 1].key, &key))
			rows[count++] = empty_row(&key);
		rows[count - 1].states[state] += cell->entries;
		rows[count - 1].entries += cell->entries;
	}
	return count;
}

static uint32_t minus(uint32_t all, uint32_t part)
{
	return all > part ? all - part : 0;
}

/* What the other zones leave. Their counts are up to a second older than the row's. */
static struct snap_row rest_of_row(const struct snapshot *snap, const struct snap_row *row)
{
	struct snap_row rest = empty_row(&row->key);
	uint32_t first = row_first_cell(row_of(row->key)), end;
	const struct snap_zone_cell *cells;
	size_t count;

	memcpy(rest.states, row->states, sizeof(rest.states));
	end = first + row_state_slots(row_of(row->key));
	cells = snap_zone_cells_of(&snap->zone_cells, first, end, &count);
	for (size_t i = 0; i < count; i++)
		rest.states[cells[i].cell - first] =
			minus(rest.states[cells[i].cell - first], cells[i].entries);
	for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++)
		rest.entries += rest.states[state];
	return rest;
}

int zone_rows(const struct snapshot *snap, uint16_t zone, struct snap_row **ret_rows,
	      size_t *ret_count)
{
	size_t room = zone ? snap->zone_cells.count : snap->row_count;
	struct snap_row *rows = calloc(room ? room : 1, sizeof(*rows));

	*ret_rows = rows;
	*ret_count = 0;
	if (!rows)
		return -ENOMEM;
	if (zone) {
		*ret_count = rows_of_cells(&snap->zone_cells, zone, rows);
		return 0;
	}
	for (size_t i = 0; i < snap->row_count; i++)
		rows[i] = zones_used(snap) ? rest_of_row(snap, &snap->rows[i]) : snap->rows[i];
	*ret_count = snap->row_count;
	return 0;
}

uint32_t zone_unlisted(const struct snapshot *snap, uint16_t zone)
{
	const struct snap_zone_cells *cells = &snap->zone_cells;

	for (uint32_t i = 0; i < cells->count && cells->unlisted_entries; i++)
		if (cells->cells[i].zone == zone)
			return cells->cells[i].unlisted_entries;
	return cells->unlisted_entries;
}

void zone_note(const struct snapshot *snap, int zone, struct text *out)
{
	uint32_t unlisted = zone < 0 ? 0 : zone_unlisted(snap, (uint16_t)zone);

	if (!unlisted)
		return;
	text_add_format(out,
			zone ? "Up to %" PRIu32 " entries of zone %d are in none of these rows: "
			     : "Up to %" PRIu32 " of these entries are in zones other than %d: ",
			unlisted, zone);
	text_add_format(out, "there is room for %u pairs of zone and row's state.\n",
			SHM_ZONE_CELLS);
}

/* --- the zones of one row ------------------------------------------------------------- */

static int by_zone(const void *left, const void *right)
{
	const struct zone_part *a = left, *b = right;

	return (a->zone > b->zone) - (a->zone < b->zone);
}

static int by_entries(const void *left, const void *right)
{
	const struct zone_part *a = left, *b = right;

	if (a->entries != b->entries)
		return a->entries > b->entries ? -1 : 1;
	return by_zone(left, right);
}

static void merge(struct zone_parts *parts)
{
	size_t kept = 0;

	if (!parts->count)
		return;
	qsort(parts->parts, parts->count, sizeof(*parts->parts), by_zone);
	for (size_t i = 1; i < parts->count; i++) {
		if (parts->parts[i].zone == parts->parts[kept].zone)
			parts->parts[kept].entries += parts->parts[i].entries;
		else
			parts->parts[++kept] = parts->parts[i];
	}
	parts->count = kept + 1;
	qsort(parts->parts, parts->count, sizeof(*parts->parts), by_entries);
}

int zone_parts_make(const struct snapshot *snap, uint32_t first, uint32_t end, uint32_t entries,
		    struct zone_parts *parts)
{
	const struct snap_zone_cell *cells;

	memset(parts, 0, sizeof(*parts));
	if (!zones_used(snap))
		return 0;
	parts->rest = entries;
	parts->rest_unknown = snap->zone_cells.unlisted_entries > 0;
	cells = snap_zone_cells_of(&snap->zone_cells, first, end, &parts->count);
	if (!parts->count)
		return 0;
	parts->parts = calloc(parts->count, sizeof(*parts->parts));
	if (!parts->parts) {
		parts->count = 0;
		return -ENOMEM;
	}
	for (size_t i = 0; i < parts->count; i++) {
		parts->parts[i] = (struct zone_part){cells[i].zone, cells[i].entries};
		parts->rest = minus(parts->rest, cells[i].entries);
	}
	merge(parts);
	return 0;
}

void zone_parts_free(struct zone_parts *parts)
{
	free(parts->parts);
	memset(parts, 0, sizeof(*parts));
}

static const char *rest_name(const struct zone_parts *parts)
{
	return parts->rest_unknown ? "other" : "0";
}

void zone_parts_json(const struct zone_parts *parts, struct text *out)
{
	text_add_char(out, '{');
	for (size_t i = 0; i < parts->count; i++)
		text_add_format(out, "%s\"%u\":%" PRIu32, i ? "," : "", parts->parts[i].zone,
				parts->parts[i].entries);
	if (parts->rest)
		text_add_format(out, "%s\"%s\":%" PRIu32, parts->count ? "," : "", rest_name(parts),
				parts->rest);
	text_add_char(out, '}');
}

void zone_parts_plain(const struct zone_parts *parts, const char *separator, size_t limit,
		      struct text *out)
{
	size_t shown = limit && parts->count > limit ? limit : parts->count;

	for (size_t i = 0; i < shown; i++)
		text_add_format(out, "%s%u=%" PRIu32, i ? separator : "", parts->parts[i].zone,
				parts->parts[i].entries);
	if (shown < parts->count)
		text_add_format(out, "%s+%zu", separator, parts->count - shown);
	if (parts->rest)
		text_add_format(out, "%s%s=%" PRIu32, shown ? separator : "", rest_name(parts),
				parts->rest);
	else if (!shown)
		text_add_char(out, '-');
}
