// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries by zone, where zones are used: the largest 32, all others as zone="other". */
#include <stdio.h>

#include "exporters/render/families.h"

#define LABELS_BYTES 256u

static bool listed_before(const struct snap_zones *zones, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (zones->zones[i].zone == zones->zones[at].zone)
			return true;
	return false;
}

void families_add_zones(struct families *families, const struct snap_zones *zones,
			const char *prefix)
{
	char labels[LABELS_BYTES];

	if (zones->count == 0 || (zones->count == 1 && zones->zones[0].zone == 0))
		return;
	for (uint32_t i = 0; i < zones->count; i++) {
		/* A segment may be damaged, but no series is there twice. */
		if (listed_before(zones, i))
			continue;
		snprintf(labels, sizeof(labels), "%s,zone=\"%u\"", prefix, zones->zones[i].zone);
		families_add_u64(families, FAMILY_ZONE_ENTRIES, labels, zones->zones[i].entries);
	}
	if (zones->used <= zones->count)
		return;
	snprintf(labels, sizeof(labels), "%s,zone=\"other\"", prefix);
	families_add_u64(families, FAMILY_ZONE_ENTRIES, labels, zones->other_entries);
}
