// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries by conntrack zone as a reader sees them: a checked copy of struct shm_zones. Pure. */
#ifndef CONNTIDE_SHM_SNAP_ZONES_H
#define CONNTIDE_SHM_SNAP_ZONES_H

#include <stdint.h>

#include "lib/shm/layout.h"

struct snap_zone {
	uint16_t zone;
	uint32_t entries;
};

struct snap_zones {
	uint32_t count; /* of zones[], the largest first */
	uint32_t used;	/* zones that hold entries */
	uint32_t other_entries;
	uint32_t unsubtracted; /* so many may be counted too many, until the next resync */
	struct snap_zone zones[SHM_ZONES];
};

/* From a mapped section, under shm_guarded(). *zones is zero, or a whole copy. */
void snap_zones_copy(const struct shm_zones *from, struct snap_zones *zones);

#endif
