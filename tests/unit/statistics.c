// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/statistics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/forecast/forecast.h"
#include "lib/shm/seqlock.h"

static int create_all(struct statistics *statistics, struct mirror_offline *offline)
{
	struct observer *observer = &statistics->observer;

	statistics->details = calloc(SHM_DETAILS + SHM_DETAIL_POOLS, sizeof(*statistics->details));
	observer->forecast = forecast_create((int64_t)offline->mirror.now_ns);
	if (!statistics->details || !observer->forecast ||
	    durations_create(&statistics->durations, &offline->hist) < 0 ||
	    talkers_create(&statistics->talkers, TALKERS_KEYS) < 0 ||
	    nat_pools_create(&statistics->pools, NAT_POOLS_KEYS) < 0 ||
	    zones_create(&statistics->zones) < 0 || zone_cells_create(&statistics->zone_cells) < 0)
		return -ENOMEM;
	return 0;
}

int statistics_create(struct statistics *statistics, struct mirror_offline *offline)
{
	struct observer *observer = &statistics->observer;
	int err;

	memset(statistics, 0, sizeof(*statistics));
	observer_init(observer);
	err = create_all(statistics, offline);
	if (err) {
		statistics_destroy(statistics);
		return err;
	}
	for (unsigned int i = 0; i < SHM_DETAILS; i++)
		poke_u32(&statistics->details[i].row, ROW_INVALID);
	statistics->durations.details = statistics->details;
	observer->durations = &statistics->durations;
	observer->talkers = &statistics->talkers;
	observer->nat_pools = &statistics->pools;
	observer->zones = &statistics->zones;
	observer->zone_cells = &statistics->zone_cells;
	offline->mirror.hook = &observer->hook;
	return 0;
}

void statistics_destroy(struct statistics *statistics)
{
	forecast_destroy(statistics->observer.forecast);
	if (statistics->durations.of_row)
		durations_destroy(&statistics->durations);
	if (statistics->talkers.kinds[0].records)
		talkers_destroy(&statistics->talkers);
	if (statistics->pools.used.records)
		nat_pools_destroy(&statistics->pools);
	zones_destroy(&statistics->zones);
	zone_cells_destroy(&statistics->zone_cells);
	free(statistics->details);
	memset(statistics, 0, sizeof(*statistics));
}
