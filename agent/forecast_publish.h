// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes the forecast once a second, publishes it, and keeps its record: each minute one forecast
 * is kept and later compared with what came.
 *
 *	forecast.h  ->  struct shm_forecast, ring of struct shm_past
 *
 * A forecast whose moment passes while the agent does not run (stopped, suspended)
 * is never compared, because the count at that moment is not known.
 *
 * Borrows the forecast and the sections. Time is given; only what a forecast costs
 * is read from the clock of CPU time.
 * One thread.
 */
#ifndef CONNTIDE_AGENT_FORECAST_PUBLISH_H
#define CONNTIDE_AGENT_FORECAST_PUBLISH_H

#include <stdint.h>

#include "lib/forecast/forecast.h"
#include "lib/kernel/timeouts.h"
#include "lib/shm/layout.h"

/* The first seconds of a step look like the beginning of a ramp: an alarm must last this long to
 * count. */
#define FORECAST_PUBLISH_ALARM_NS UINT64_C(4000000000)

/* An hour of forecasts a minute apart may wait for their moment, and a few more. */
#define FORECAST_PUBLISH_WAITING 64u

struct forecast_publish {
	struct forecast *forecast;
	struct shm_forecast *to;
	struct shm_pasts *pasts;
	uint64_t made_ns[FORECAST_PUBLISH_WAITING]; /* of the past in the same place, boot clock */
	uint64_t compared[SHM_HORIZONS];	    /* pasts compared so far, by horizon */
	uint64_t next_past_ns;
	uint64_t calm_ns; /* when a forecast last saw no reason for an alarm */
};

struct forecast_publish_second {
	uint64_t now_boot_ns;
	uint64_t now_real_ns;
	int64_t count_entries;	      /* negative: not known */
	int64_t max_entries;	      /* 0: unlimited; negative: not known */
	int64_t chain_limit_entries;  /* negative or 0: none known */
	uint32_t assumed_max_entries; /* a rehearsal; 0: none */
	uint64_t drops;		      /* counters */
	uint64_t early_drops;
	uint32_t tick_hz; /* CONFIG_HZ; 0: not known */
	struct fc_collector collector;
};

void forecast_publish_init(struct forecast_publish *publisher, struct forecast *forecast,
			   struct shm_forecast *to, struct shm_pasts *pasts, uint64_t now_boot_ns);

/* Tells the forecast the timeouts in force. */
void forecast_publish_timeouts(struct forecast_publish *publisher,
			       const uint32_t values_s[TIMEOUT_COUNT]);

/* Once a second, after its changes: learn, compute, write, compare. */
void forecast_publish_second(struct forecast_publish *publisher,
			     const struct forecast_publish_second *second);

/* The limit that comes first and what kind it is (enum shm_limit); 0: none. */
uint32_t forecast_publish_limit(const struct forecast_publish_second *second, uint32_t *ret_kind);

#endif
