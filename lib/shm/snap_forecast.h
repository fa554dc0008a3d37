// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The forecast in the segment, and past ones with what came, as a private copy in which every
 * field is checked.
 *
 * Nothing in a segment is trusted. Enumerations (verdict, limit, horizons) must have known
 * values, or there is no forecast (`valid` is false). Amounts are put into order: quantiles do
 * not cross, a probability is at most 1, no more forecasts held than were compared, a time beyond
 * the hour is never. A reason without a known protocol and direction is left out.
 *
 * Units: entries, ms, s, millionths (ppm). Ownership: struct snap_forecast holds no
 * memory; struct snap_pasts is freed by snap_pasts_free(). Threads: none shared.
 */
#ifndef CONNTIDE_SHM_SNAP_FORECAST_H
#define CONNTIDE_SHM_SNAP_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/shm/layout.h"

#define SNAP_FORECAST_HOUR_MS UINT64_C(3600000)
#define SNAP_PPM	      1000000u

extern const uint32_t snap_horizons_s[SHM_HORIZONS];
extern const uint32_t snap_full_horizons_s[SHM_FULL_HORIZONS];

/* Entries at snap_horizons_s[i]: lo95 <= lo80 <= p50 <= hi80 <= hi95. */
struct snap_horizon {
	uint32_t p50_entries;
	uint32_t lo80_entries;
	uint32_t hi80_entries;
	uint32_t lo95_entries;
	uint32_t hi95_entries;
	uint32_t compared;
	uint32_t held; /* <= compared */
};

/* Within snap_full_horizons_s[i]. */
struct snap_chance {
	uint32_t full_ppm; /* <= SNAP_PPM */
	uint32_t drop_ppm; /* <= full_ppm */
};

struct snap_reason {
	struct row_key key; /* port: 0 where pooled */
	bool pooled;
	uint32_t entries;
	uint32_t entries_600;
	uint32_t settles_at_entries;
	uint32_t new_milli_per_s;
	int32_t slope_micro_per_s2;
};

struct snap_forecast {
	bool valid; /* computed at least once, and every value in it is known */
	uint64_t computed_boot_ns;
	uint64_t computed_real_ns;
	uint64_t full_early_ms; /* <= SNAP_FORECAST_HOUR_MS, or SHM_NEVER_MS; in order */
	uint64_t full_likely_ms;
	uint64_t full_late_ms;
	enum shm_limit limit_kind;
	uint32_t limit_entries; /* 0 only with SHM_LIMIT_NONE */
	enum shm_verdict verdict;
	bool alarm;
	uint32_t watching_s; /* for how much longer it cannot say, if known */
	enum shm_silence silence;
	uint32_t count_entries;
	uint32_t settles_at_entries;
	uint32_t soft_entries;
	uint32_t cost_us;
	uint32_t reason_count;
	struct snap_horizon horizon[SHM_HORIZONS];
	struct snap_chance chance[SHM_FULL_HORIZONS];
	struct snap_reason reason[SHM_REASONS];
};

/* came_entries: SHM_NOT_YET before its moment; full_likely_s: SHM_NOT_YET for never. */
struct snap_past {
	uint64_t real_ns; /* 0: never written */
	uint32_t p50_entries[SHM_HORIZONS];
	uint32_t lo80_entries[SHM_HORIZONS];
	uint32_t hi80_entries[SHM_HORIZONS];
	uint32_t came_entries[SHM_HORIZONS];
	uint32_t full_likely_s;
	bool alarm;
};

struct snap_pasts {
	struct snap_past *pasts; /* oldest first, a minute apart */
	size_t count;
	size_t room;
};

struct shm_reader;

/*
 * Reads shared memory: under shm_guarded(). A writer that holds the lock for ever, or an
 * impossible value, leaves to->valid false and all else 0.
 */
void snap_forecast_copy(const struct shm_forecast *from, struct snap_forecast *to);

/* Within `seconds`, one of snap_full_horizons_s; NULL for any other. */
const struct snap_chance *snap_chance_at(const struct snap_forecast *forecast, uint32_t seconds);

void snap_pasts_init(struct snap_pasts *pasts);
void snap_pasts_free(struct snap_pasts *pasts);

/* 0; -ENOENT when nothing is mapped; -EFAULT when the file was cut; -ENOMEM. */
int snapshot_take_pasts(struct shm_reader *reader, struct snap_pasts *pasts);

/* "watching", "steady", "levels-off", "filling", "full", "draining", "unlimited". */
const char *snap_verdict_name(enum shm_verdict verdict);
/* "none", "starting", "no-events" ...; and in words, after "cannot say: ". */
const char *snap_silence_name(enum shm_silence silence);
const char *snap_silence_words(enum shm_silence silence);
/* "none", "max", "chain", "assumed". */
const char *snap_limit_name(enum shm_limit limit);

#endif
