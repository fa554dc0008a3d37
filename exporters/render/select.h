// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Selects rows or cells of a snapshot, in an order, up to a number. Pure: reads only the
 * snapshot, which must outlive the selection.
 */
#ifndef CONNTIDE_RENDER_SELECT_H
#define CONNTIDE_RENDER_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/shm/snapshot.h"

enum sort_key {
	SORT_ENTRIES,
	SORT_PORT,
	SORT_L4PROTO,
	SORT_DIRECTION,
	SORT_STATE, /* cells only; ports treat it as SORT_ENTRIES */
	SORT_NEW,
	SORT_DESTROYED,
	SORT_LIFETIME,
	SORT_COUNT
};

/* ANY (-1) in a filter lets everything through. */
#define SELECT_ANY (-1)

struct select {
	int l4proto;
	int direction;
	int port;
	int zone;	/* the rows of this conntrack zone alone (exporters/render/zones.h) */
	char state[24]; /* "": any; compared without regard to case */
	enum sort_key sort;
	bool ascending;
	size_t limit; /* 0: no limit */
};

/* A row of the table, or one state of a row. */
struct pick {
	const struct snap_row *row;
	unsigned int state;  /* of the row the first... */
	unsigned int states; /* ...and how many, whose entries these are: one, or all */
	uint32_t entries;
};

struct selection {
	struct pick *picks;
	struct snap_row *zone_rows; /* those of one zone, where one was asked for; else NULL */
	int zone;
	size_t count;	/* after the limit */
	size_t matches; /* before the limit */
};

void select_init(struct select *select);

/* "entries", "port", ... as in the API; -1 when there is no such key. */
int sort_key_by_name(const char *name);
const char *sort_key_name(enum sort_key key);

/* True when some protocol has a state of that name. */
bool state_name_exists(const char *name);

/*
 * Rows that hold entries (of the wanted state), or moved lately; cells that hold
 * entries. 0 or -ENOMEM; free with selection_free() in either case. Equal keys are
 * ordered by protocol, direction, port and state, so that output is stable.
 */
int select_ports(const struct snapshot *snap, const struct select *select,
		 struct selection *selection);
int select_cells(const struct snapshot *snap, const struct select *select,
		 struct selection *selection);
void selection_free(struct selection *selection);

#endif
