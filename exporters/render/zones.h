// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rows by conntrack zone. The agent counts zones other than 0 (lib/stats/zone_cells.h), exactly
 * while there are no more than SHM_ZONE_CELLS pairs of zone and cell; what is beyond that is in no
 * row, and zone_unlisted() says how much. Zone 0 is what the other zones leave of a row, so that it
 * holds what is unlisted too. Counts by zone are of the last whole second, rates are not known.
 * Pure.
 */
#ifndef CONNTIDE_RENDER_ZONES_H
#define CONNTIDE_RENDER_ZONES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporters/render/text.h"
#include "lib/shm/snapshot.h"

/* Is any zone other than 0 in use? */
bool zones_used(const struct snapshot *snap);

/* The rows of one zone, to be freed; in the order of cells. 0 or -ENOMEM. */
int zone_rows(const struct snapshot *snap, uint16_t zone, struct snap_row **ret_rows,
	      size_t *ret_count);

/* Entries of this zone that are in no row; of zone 0: entries of others that are in its rows. */
uint32_t zone_unlisted(const struct snapshot *snap, uint16_t zone);

/* The same in a sentence, where there are any. */
void zone_note(const struct snapshot *snap, int zone, struct text *out);

struct zone_part {
	uint16_t zone;
	uint32_t entries;
};

/* Which zones the entries of a row or a cell are in. */
struct zone_parts {
	struct zone_part *parts; /* the largest first, without zone 0 */
	size_t count;
	uint32_t rest;	   /* in zone 0... */
	bool rest_unknown; /* ...or in zones that have no room */
};

/* Of cells `first` to `end` - 1, which hold `entries`. 0 or -ENOMEM; free with
 * zone_parts_free(). */
int zone_parts_make(const struct snapshot *snap, uint32_t first, uint32_t end, uint32_t entries,
		    struct zone_parts *parts);
void zone_parts_free(struct zone_parts *parts);

/* {"7":20,"0":3}, 7=20;0=3, or for people "7=20  0=3": the `limit` largest (0: all), then how
 * many more. What is not known stands under "other". */
void zone_parts_json(const struct zone_parts *parts, struct text *out);
void zone_parts_plain(const struct zone_parts *parts, const char *separator, size_t limit,
		      struct text *out);

#endif
