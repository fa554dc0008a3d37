// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All that the agent feeds with the mirror's changes, for a mirror without a kernel
 * (offline.h). Included by tests only.
 */
#ifndef CONNTIDE_TESTS_STATISTICS_H
#define CONNTIDE_TESTS_STATISTICS_H

#include "lib/mirror/mirror_offline.h"
#include "lib/shm/layout.h"
#include "lib/stats/durations.h"
#include "lib/stats/nat_pools.h"
#include "lib/stats/observer.h"
#include "lib/stats/talkers.h"
#include "lib/stats/zone_cells.h"
#include "lib/stats/zones.h"

struct statistics {
	struct observer observer;
	struct durations durations;
	struct talkers talkers;
	struct nat_pools pools;
	struct zones zones;
	struct zone_cells zone_cells;
	struct shm_detail *details;
};

/* 0 or -ENOMEM. The mirror's hook is the observer then, and everything is fed; members of the
 * observer may be set to NULL, or back. */
int statistics_create(struct statistics *statistics, struct mirror_offline *offline);
/* Also one that is all zero. */
void statistics_destroy(struct statistics *statistics);

#endif
