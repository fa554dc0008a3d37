// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/snap_zones.h"

#include <string.h>

#include "lib/shm/seq_retry.h"
#include "lib/shm/seqlock.h"

static void copy_all(const struct shm_zones *from, struct snap_zones *to)
{
	uint32_t count = peek_u32(&from->count);

	memset(to, 0, sizeof(*to));
	to->count = count < SHM_ZONES ? count : SHM_ZONES;
	to->used = peek_u32(&from->used);
	to->other_entries = peek_u32(&from->other_entries);
	to->unsubtracted = peek_u32(&from->unsubtracted);
	for (uint32_t i = 0; i < to->count; i++)
		to->zones[i] = (struct snap_zone){(uint16_t)peek_u32(&from->zone[i].zone),
						  peek_u32(&from->zone[i].entries)};
}

void snap_zones_copy(const struct shm_zones *from, struct snap_zones *zones)
{
	for (int attempt = 0; attempt < SEQ_ATTEMPTS; attempt++, seq_nap_if_due(attempt)) {
		uint64_t at;

		if (!seq_read_begin(&from->seq, &at))
			continue;
		copy_all(from, zones);
		if (seq_read_valid(&from->seq, at))
			return;
	}
	memset(zones, 0, sizeof(*zones));
}
