// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a snapshot means, decided once for every rendering: whether it is fresh, how exact it is,
 * what the limit is, the level and its reason, where the table settles. Level and data quality
 * are the agent's (lib/health/level.h, lib/mirror/trust.h); a reader adds only that the agent is
 * silent. Pure.
 */
#ifndef CONNTIDE_HEALTH_HEALTH_H
#define CONNTIDE_HEALTH_HEALTH_H

#include <stdbool.h>

#include "lib/shm/snapshot.h"

#define HEALTH_WORDS_BYTES 256u

/* The agent publishes every second. When it has been silent for longer than this, its numbers may
 * be wrong, although it does not yet count as gone (SNAP_SILENT_NS). */
#define HEALTH_QUALITY_AGE_NS (UINT64_C(3) * 1000000000u)

/* entries / limit; -1 when nothing limits the table or no limit is known. */
double health_fill_ratio(const struct snap_live *live);

/* --assume-max is in force: the limit is not the kernel's. */
bool health_rehearsal(const struct snapshot *snap);
/* What that means, in a sentence without a full stop. */
const char *health_rehearsal_words(void);

/* The table has no entry; and what that means, said alike by the log, pages and commands. */
bool health_empty(const struct snapshot *snap);
const char *health_empty_words(void);
#define HEALTH_EMPTY                                                                               \
	"nothing is tracked: no traffic, or no rule of this network namespace asks for "           \
	"connection tracking"

/* The agent is alive: the numbers are those of the last seconds. */
bool health_fresh(const struct snapshot *snap);

/* Fresh, subscribed to everything, first dump done: conntide_up. */
bool health_up(const struct snapshot *snap);

/* The agent's quality; not_exact for numbers that are not fresh. */
enum shm_quality health_quality(const struct snapshot *snap);
bool health_exact(const struct snapshot *snap);

/* "exact", "verified 12 s ago", "not exact". Returns out. */
const char *health_quality_words(const struct snapshot *snap, char out[HEALTH_WORDS_BYTES]);
/* A sentence: why it is not exact, or that it is. */
const char *health_quality_reason(const struct snapshot *snap);
/* Since the whole table was last compared with the kernel's; -1: never, or not known. */
double health_verified_seconds_ago(const struct snapshot *snap);

/* The snapshot has a forecast, made within SNAP_SILENT_NS of the last heartbeat. */
bool health_forecast_recent(const struct snapshot *snap);

/*
 * The forecast says something about the future now: the agent is up and has watched long enough.
 * Otherwise none of its numbers is served.
 */
bool health_forecast(const struct snapshot *snap);

/* As above; or it did at the last heartbeat of an agent that is silent now, for callers that want
 * old numbers. */
bool health_forecast_shown(const struct snapshot *snap);

/*
 * Where the table settles if demand stays as it is: the one value that every output shows. False
 * when the forecast cannot say, and while it expects the table to fill within the hour although
 * that value is below the limit: demand is not steady then.
 */
bool health_settles_at(const struct snapshot *snap, uint32_t *ret_entries);

/* The forecast's verdict; "fills" becomes "full" while the level is FULL. */
enum shm_verdict health_verdict(const struct snapshot *snap);

/* The level; UNKNOWN when the numbers are not fresh. */
enum shm_level health_level(const struct snapshot *snap);
/* For programs ("fill"), and for people, with its figure ("95.3 % full"). */
const char *health_level_reason_name(const struct snapshot *snap);
const char *health_level_reason(const struct snapshot *snap, char out[HEALTH_WORDS_BYTES]);

/* "up", "degraded", or the name of the agent's state. */
const char *health_state(const struct snapshot *snap);

/* A sentence: why the agent or its numbers are not what they should be, or that they are. */
const char *health_reason(const struct snapshot *snap);

#endif
