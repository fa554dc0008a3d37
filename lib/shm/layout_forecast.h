// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The forecast in the segment, and past forecasts with what came. Part of layout.h, whose rules
 * hold; included by it alone.
 */
#ifndef CONNTIDE_SHM_LAYOUT_FORECAST_H
#define CONNTIDE_SHM_LAYOUT_FORECAST_H

#include <stdatomic.h>
#include <stdint.h>

#define SHM_HORIZONS	  4u /* 30, 120, 600, 3600 s */
#define SHM_FULL_HORIZONS 8u /* 30, 60, 120, 300, 600, 1200, 1800, 3600 s */
#define SHM_REASONS	  8u
#define SHM_PASTS	  1536u
#define SHM_NEVER_MS	  UINT64_MAX /* not within the hour */
#define SHM_NOT_YET	  UINT32_MAX /* that moment has not come */

/* Which limit the forecast is about. */
enum shm_limit {
	SHM_LIMIT_NONE,	   /* nf_conntrack_max is 0 */
	SHM_LIMIT_MAX,	   /* nf_conntrack_max */
	SHM_LIMIT_CHAIN,   /* hash chains get too long before that */
	SHM_LIMIT_ASSUMED, /* --assume-max: a rehearsal */
	SHM_LIMIT_COUNT
};

enum shm_verdict {
	SHM_VERDICT_WATCHING,	/* cannot say yet */
	SHM_VERDICT_STEADY,	/* stays where it is */
	SHM_VERDICT_LEVELS_OFF, /* changes, and stays below the limit */
	SHM_VERDICT_FILLING,	/* full within the hour, more likely than not */
	SHM_VERDICT_FULL,
	SHM_VERDICT_DRAINING,
	SHM_VERDICT_UNLIMITED,
	SHM_VERDICT_COUNT
};

/* Why it cannot say. That the table is full it says all the same, without a number. */
enum shm_silence {
#define SILENCE(id, name, words) SHM_SILENCE_##id,
#include "lib/shm/silences.def"
#undef SILENCE
	SHM_SILENCE_COUNT
};

/* Entries at one horizon, as quantiles, and the record of such forecasts. */
struct shm_horizon {
	_Atomic uint32_t horizon_s;
	_Atomic uint32_t p50_entries;
	_Atomic uint32_t lo80_entries; /* 10 % */
	_Atomic uint32_t hi80_entries; /* 90 % */
	_Atomic uint32_t lo95_entries;
	_Atomic uint32_t hi95_entries;
	_Atomic uint32_t compared; /* past forecasts whose moment has come... */
	_Atomic uint32_t held;	   /* ...and whose 80 % interval held */
};

struct shm_chance {
	_Atomic uint32_t horizon_s;
	_Atomic uint32_t full_ppm; /* probability that it was full by then, in millionths */
	_Atomic uint32_t drop_ppm; /* of a first dropped packet */
	uint32_t _pad;
};

/* A class of entries that drives the forecast. */
struct shm_reason {
	_Atomic uint32_t key;	 /* l4proto | direction << 8 | port << 16 */
	_Atomic uint32_t pooled; /* 1: all ports without a class of their own */
	_Atomic uint32_t entries;
	_Atomic uint32_t entries_600; /* expected in ten minutes */
	_Atomic uint32_t settles_at_entries;
	_Atomic uint32_t new_milli_per_s;
	_Atomic int32_t slope_micro_per_s2; /* change of that rate */
	uint32_t _pad;
};

struct shm_forecast {
	_Atomic uint64_t seq;
	_Atomic uint64_t computed_boot_ns; /* 0: never */
	_Atomic uint64_t computed_real_ns;
	_Atomic uint64_t full_early_ms; /* 10 %, 50 %, 90 % quantile of the time to full */
	_Atomic uint64_t full_likely_ms;
	_Atomic uint64_t full_late_ms;
	_Atomic uint32_t limit_entries;	     /* 0: none */
	_Atomic uint32_t limit_kind;	     /* enum shm_limit */
	_Atomic uint32_t verdict;	     /* enum shm_verdict */
	_Atomic uint32_t alarm;		     /* 1: full within ten minutes, with hysteresis */
	_Atomic uint32_t watching_s;	     /* SHM_VERDICT_WATCHING: for how much longer */
	_Atomic uint32_t count_entries;	     /* the count it started from */
	_Atomic uint32_t settles_at_entries; /* if demand stays as it is */
	_Atomic uint32_t soft_entries;	     /* the kernel may evict these when full */
	_Atomic uint32_t cost_us;	     /* CPU time of the last forecast */
	_Atomic uint32_t reason_count;
	_Atomic uint32_t silence; /* enum shm_silence: why it cannot say */
	uint32_t _pad;
	struct shm_horizon horizon[SHM_HORIZONS];
	struct shm_chance chance[SHM_FULL_HORIZONS];
	struct shm_reason reason[SHM_REASONS];
};

/* A past forecast; one is kept each minute. came[] is filled in when its moment comes. */
struct shm_past {
	_Atomic uint64_t real_ns; /* when it was made; 0: never written */
	_Atomic uint32_t p50_entries[SHM_HORIZONS];
	_Atomic uint32_t lo80_entries[SHM_HORIZONS];
	_Atomic uint32_t hi80_entries[SHM_HORIZONS];
	_Atomic uint32_t came_entries[SHM_HORIZONS]; /* SHM_NOT_YET */
	_Atomic uint32_t full_likely_s;		     /* SHM_NOT_YET: not within the hour */
	_Atomic uint32_t alarm;
};

/* As struct shm_history. */
struct shm_pasts {
	_Atomic uint64_t head;
	uint64_t interval_ns;
	struct shm_past pasts[];
};

#endif
