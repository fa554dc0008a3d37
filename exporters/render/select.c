// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/select.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exporters/render/zones.h"
#include "lib/kernel/states.h"

static const char *const sort_names[SORT_COUNT] = {
	[SORT_ENTRIES] = "entries",
	[SORT_PORT] = "port",
	[SORT_L4PROTO] = "l4proto",
	[SORT_DIRECTION] = "direction",
	[SORT_STATE] = "state",
	[SORT_NEW] = "new_per_second",
	[SORT_DESTROYED] = "destroyed_per_second",
	[SORT_LIFETIME] = "mean_lifetime_seconds",
};

void select_init(struct select *select)
{
	memset(select, 0, sizeof(*select));
	select->l4proto = SELECT_ANY;
	select->direction = SELECT_ANY;
	select->port = SELECT_ANY;
	select->zone = SELECT_ANY;
}

int sort_key_by_name(const char *name)
{
	for (int i = 0; i < SORT_COUNT; i++)
		if (!strcmp(name, sort_names[i]))
			return i;
	return -1;
}

const char *sort_key_name(enum sort_key key)
{
	return sort_names[key];
}

bool state_name_exists(const char *name)
{
	for (unsigned int l4proto = 0; l4proto < L4_COUNT; l4proto++)
		if (state_by_name(l4proto, name) >= 0)
			return true;
	return false;
}

static bool row_wanted(const struct select *select, const struct snap_row *row)
{
	return (select->l4proto == SELECT_ANY || select->l4proto == row->key.l4proto) &&
	       (select->direction == SELECT_ANY || select->direction == row->key.direction) &&
	       (select->port == SELECT_ANY || select->port == row->key.port);
}

static int by_key(const struct pick *a, const struct pick *b)
{
	const struct row_key *x = &a->row->key;
	const struct row_key *y = &b->row->key;

	if (x->l4proto != y->l4proto)
		return x->l4proto < y->l4proto ? -1 : 1;
	if (x->direction != y->direction)
		return x->direction < y->direction ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return (a->state > b->state) - (a->state < b->state);
}

/* Unknown (NaN) is less than any number. */
static int by_double(double a, double b)
{
	if (isnan(a) || isnan(b))
		return (isnan(b) ? 1 : 0) - (isnan(a) ? 1 : 0);
	return (a > b) - (a < b);
}

static int by_sort_key(enum sort_key key, const struct pick *a, const struct pick *b)
{
	const struct snap_row *x = a->row;
	const struct snap_row *y = b->row;

	switch (key) {
	case SORT_PORT:
		return (x->key.port > y->key.port) - (x->key.port < y->key.port);
	case SORT_L4PROTO:
		return (x->key.l4proto > y->key.l4proto) - (x->key.l4proto < y->key.l4proto);
	case SORT_DIRECTION:
		return (x->key.direction > y->key.direction) -
		       (x->key.direction < y->key.direction);
	case SORT_STATE:
		return (a->state > b->state) - (a->state < b->state);
	case SORT_NEW:
		return by_double(x->new_per_s, y->new_per_s);
	case SORT_DESTROYED:
		return by_double(x->destroyed_per_s, y->destroyed_per_s);
	case SORT_LIFETIME:
		return by_double(x->mean_lifetime_s, y->mean_lifetime_s);
	case SORT_ENTRIES:
	case SORT_COUNT:
		break;
	}
	return (a->entries > b->entries) - (a->entries < b->entries);
}

static int compare_picks(const void *left, const void *right, void *arg)
{
	const struct select *select = arg;
	int order = by_sort_key(select->sort, left, right);

	if (order)
		return select->ascending ? order : -order;
	return by_key(left, right);
}

static int append(struct selection *selection, size_t *room, struct pick pick)
{
	if (selection->count == *room) {
		size_t wanted = *room ? 2 * *room : 64;
		struct pick *picks = realloc(selection->picks, wanted * sizeof(*picks));

		if (!picks)
			return -ENOMEM;
		selection->picks = picks;
		*room = wanted;
	}
	selection->picks[selection->count++] = pick;
	return 0;
}

static void finish(struct selection *selection, const struct select *select)
{
	struct select order = *select;

	selection->matches = selection->count;
	if (selection->count)
		qsort_r(selection->picks, selection->count, sizeof(*selection->picks),
			compare_picks, &order);
	if (select->limit && selection->count > select->limit)
		selection->count = select->limit;
}

/* What is selected from: the rows of the snapshot, or of a zone. */
static int rows_of(const struct snapshot *snap, const struct select *select,
		   struct selection *selection, const struct snap_row **ret_rows, size_t *ret_count)
{
	memset(selection, 0, sizeof(*selection));
	selection->zone = select->zone;
	*ret_rows = snap->rows;
	*ret_count = snap->row_count;
	if (select->zone == SELECT_ANY)
		return 0;
	if (zone_rows(snap, (uint16_t)select->zone, &selection->zone_rows, ret_count) < 0)
		return -ENOMEM;
	*ret_rows = selection->zone_rows;
	return 0;
}

int select_ports(const struct snapshot *snap, const struct select *select,
		 struct selection *selection)
{
	struct select by_row = *select;
	const struct snap_row *rows;
	size_t room = 0, count;

	if (rows_of(snap, select, selection, &rows, &count) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct pick pick = {.row = &rows[i],
				    .states = row_state_slots(row_of(rows[i].key)),
				    .entries = rows[i].entries};

		if (!row_wanted(select, pick.row))
			continue;
		if (select->state[0]) {
			int state = state_by_name(pick.row->key.l4proto, select->state);

			if (state < 0 || pick.row->states[state] == 0)
				continue;
			pick.state = (unsigned int)state;
			pick.states = 1;
			pick.entries = pick.row->states[state];
		} else if (pick.entries == 0 && !(pick.row->new_per_s > 0) &&
			   !(pick.row->destroyed_per_s > 0)) {
			continue;
		}
		if (append(selection, &room, pick) < 0)
			return -ENOMEM;
	}
	if (by_row.sort == SORT_STATE)
		by_row.sort = SORT_ENTRIES;
	finish(selection, &by_row);
	return 0;
}

int select_cells(const struct snapshot *snap, const struct select *select,
		 struct selection *selection)
{
	const struct snap_row *rows;
	size_t room = 0, count;

	if (rows_of(snap, select, selection, &rows, &count) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct snap_row *row = &rows[i];

		if (!row_wanted(select, row) || row->entries == 0)
			continue;
		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++) {
			struct pick pick = {row, state, 1, row->states[state]};
			const char *name = state_name(row->key.l4proto, state);

			if (pick.entries == 0 ||
			    (select->state[0] && (!name || strcasecmp(name, select->state) != 0)))
				continue;
			if (append(selection, &room, pick) < 0)
				return -ENOMEM;
		}
	}
	finish(selection, select);
	return 0;
}

void selection_free(struct selection *selection)
{
	free(selection->picks);
	free(selection->zone_rows);
	memset(selection, 0, sizeof(*selection));
}
