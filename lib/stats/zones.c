// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/zones.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/topn.h"
#include "lib/shm/seqlock.h"

int zones_create(struct zones *zones)
{
	memset(zones, 0, sizeof(*zones));
	zones->entries[0] = calloc(ZONES, sizeof(*zones->entries[0]));
	zones->entries[1] = calloc(ZONES, sizeof(*zones->entries[1]));
	return zones->entries[0] && zones->entries[1] ? 0 : -ENOMEM;
}

void zones_destroy(struct zones *zones)
{
	free(zones->entries[0]);
	free(zones->entries[1]);
	memset(zones, 0, sizeof(*zones));
}

static void add(struct zones *zones, uint16_t zone, unsigned int which)
{
	zones->entries[which][zone]++;
	if (zone >= zones->end)
		zones->end = zone + 1u;
}

/* What was taken for another entry may be missing here: never below 0. */
static void subtract(struct zones *zones, uint16_t zone, unsigned int which)
{
	zones->entries[which][zone] -= zones->entries[which][zone] > 0;
}

void zones_appeared(struct zones *zones, uint16_t zone)
{
	add(zones, zone, zones->shown);
	zones_shown(zones, zone);
}

void zones_shown(struct zones *zones, uint16_t zone)
{
	if (zones->building)
		add(zones, zone, zones->shown ^ 1u);
}

void zones_went(struct zones *zones, uint16_t zone, bool built)
{
	subtract(zones, zone, zones->shown);
	if (zones->building && built)
		subtract(zones, zone, zones->shown ^ 1u);
}

void zones_lost(struct zones *zones, bool built)
{
	zones->unsubtracted[zones->shown]++;
	zones->unsubtracted[zones->shown ^ 1u] += zones->building && built;
}

void zones_begin(struct zones *zones)
{
	unsigned int other = zones->shown ^ 1u;

	memset(zones->entries[other], 0, zones->end * sizeof(*zones->entries[other]));
	zones->unsubtracted[other] = 0;
	zones->building = true;
}

void zones_drop(struct zones *zones)
{
	zones->building = false;
}

void zones_complete(struct zones *zones)
{
	if (zones->building)
		zones->shown ^= 1u;
	zones->building = false;
}

struct zone_entries {
	uint32_t zone;
	uint32_t entries;
};

void zones_second(const struct zones *zones, struct shm_zones *to)
{
	struct zone_entries largest[SHM_ZONES];
	uint32_t count = 0, used = 0;
	struct topn top = TOPN(largest, count, entries);
	uint64_t all = 0, listed = 0;

	for (uint32_t i = 0; i < zones->end; i++) {
		const struct zone_entries one = {i, zones->entries[zones->shown][i]};

		if (!one.entries)
			continue;
		topn_add(&top, &one);
		all += one.entries;
		used++;
	}
	seq_write_begin(&to->seq);
	for (uint32_t i = 0; i < count; i++) {
		poke_u32(&to->zone[i].zone, largest[i].zone);
		poke_u32(&to->zone[i].entries, largest[i].entries);
		listed += largest[i].entries;
	}
	poke_u32(&to->count, count);
	poke_u32(&to->used, used);
	poke_u32(&to->other_entries, (uint32_t)(all - listed));
	poke_u32(&to->unsubtracted, zones->unsubtracted[zones->shown]);
	seq_write_end(&to->seq);
}
