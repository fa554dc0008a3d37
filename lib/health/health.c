// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/health/health.h"

#include <inttypes.h>
#include <stdio.h>

double health_fill_ratio(const struct snap_live *live)
{
	return live->limit_entries > 0 ? (double)live->count_entries / (double)live->limit_entries
				       : -1.0;
}

bool health_rehearsal(const struct snapshot *snap)
{
	return snap->live.assumed_max_entries > 0 &&
	       snap->live.assumed_max_entries == snap->live.max_entries;
}

const char *health_rehearsal_words(void)
{
	return "the limit is that of --assume-max, not the kernel's";
}

bool health_empty(const struct snapshot *snap)
{
	return health_fresh(snap) && snap->live.count_entries == 0;
}

const char *health_empty_words(void)
{
	return HEALTH_EMPTY;
}

bool health_fresh(const struct snapshot *snap)
{
	return snap->agent == SNAP_AGENT_UP || snap->agent == SNAP_AGENT_STARTING;
}

bool health_up(const struct snapshot *snap)
{
	return snap->agent == SNAP_AGENT_UP && snap->live.mode == SHM_MODE_FULL;
}

/* --- data quality ------------------------------------------------------------------- */

enum shm_quality health_quality(const struct snapshot *snap)
{
	int64_t quality = snap->live.quality;

	if (!health_fresh(snap) || snap->age_ns > HEALTH_QUALITY_AGE_NS || quality <= 0 ||
	    quality >= SHM_QUALITY_COUNT)
		return SHM_QUALITY_NOT_EXACT;
	return (enum shm_quality)quality;
}

bool health_exact(const struct snapshot *snap)
{
	return health_quality(snap) == SHM_QUALITY_EXACT;
}

double health_verified_seconds_ago(const struct snapshot *snap)
{
	int64_t at = snap->live.verified_real_ns;

	if (at <= 0)
		return -1;
	return snap->taken_real_ns > (uint64_t)at
		       ? (double)(snap->taken_real_ns - (uint64_t)at) / 1e9
		       : 0;
}

const char *health_quality_words(const struct snapshot *snap, char out[HEALTH_WORDS_BYTES])
{
	enum shm_quality quality = health_quality(snap);
	double ago = health_verified_seconds_ago(snap);

	if (quality == SHM_QUALITY_VERIFIED && ago >= 0)
		snprintf(out, HEALTH_WORDS_BYTES, "verified %.0f s ago", ago);
	else
		snprintf(out, HEALTH_WORDS_BYTES, "%s",
			 quality == SHM_QUALITY_NOT_EXACT ? "not exact"
							  : snap_quality_name(quality));
	return out;
}

const char *health_quality_reason(const struct snapshot *snap)
{
	if (!health_fresh(snap))
		return snap_agent_help(snap->agent);
	if (health_quality(snap) == SHM_QUALITY_NOT_EXACT &&
	    snap->live.quality_reason == SHM_QUALITY_REASON_NONE)
		return "the agent does not call its mirror exact";
	return snap_quality_reason_help(snap->live.quality_reason);
}

/* --- the forecast -------------------------------------------------------------------- */

bool health_forecast_recent(const struct snapshot *snap)
{
	uint64_t beat = (uint64_t)snap->live.heartbeat_boot_ns;
	uint64_t made = snap->forecast.computed_boot_ns;

	/* It may be slightly newer than the heartbeat: they are not written together. */
	return snap->forecast.valid && (beat > made ? beat - made : made - beat) <= SNAP_SILENT_NS;
}

static bool says_something(const struct snapshot *snap)
{
	return health_forecast_recent(snap) && snap->forecast.verdict != SHM_VERDICT_WATCHING &&
	       snap->live.mode == SHM_MODE_FULL;
}

bool health_forecast(const struct snapshot *snap)
{
	return health_up(snap) && says_something(snap);
}

bool health_forecast_shown(const struct snapshot *snap)
{
	return says_something(snap);
}

bool health_settles_at(const struct snapshot *snap, uint32_t *ret_entries)
{
	const struct snap_forecast *forecast = &snap->forecast;

	*ret_entries = forecast->settles_at_entries;
	if (!health_forecast_shown(snap) || forecast->silence != SHM_SILENCE_NONE)
		return false;
	return health_verdict(snap) != SHM_VERDICT_FILLING ||
	       forecast->settles_at_entries >= forecast->limit_entries;
}

/* --- the level ------------------------------------------------------------------------ */

enum shm_level health_level(const struct snapshot *snap)
{
	int64_t level = snap->live.level;

	if (!health_fresh(snap) || level <= 0 || level >= SHM_LEVEL_COUNT)
		return SHM_LEVEL_UNKNOWN;
	return (enum shm_level)level;
}

/* A table that stays one entry below its limit by evictions is full, not "full in 0 s". */
enum shm_verdict health_verdict(const struct snapshot *snap)
{
	if (snap->forecast.verdict == SHM_VERDICT_FILLING && snap->live.level == SHM_LEVEL_FULL)
		return SHM_VERDICT_FULL;
	return snap->forecast.verdict;
}

const char *health_level_reason_name(const struct snapshot *snap)
{
	return snap_level_reason_name(health_fresh(snap) ? snap->live.level_reason
							 : SHM_LEVEL_REASON_NO_AGENT);
}

static void say_soon(const struct snapshot *snap, char out[HEALTH_WORDS_BYTES])
{
	const struct snap_forecast *forecast = &snap->forecast;
	uint64_t ms = forecast->full_likely_ms;

	/* The forecast's own number: it is made in the same second. */
	if (!health_forecast_shown(snap) || forecast->verdict != SHM_VERDICT_FILLING ||
	    ms == SHM_NEVER_MS)
		snprintf(out, HEALTH_WORDS_BYTES, "%s",
			 snap_level_reason_help(snap->live.level_reason));
	else if (ms < 90000)
		snprintf(out, HEALTH_WORDS_BYTES, "full in about %" PRIu64 " s", (ms + 500) / 1000);
	else
		snprintf(out, HEALTH_WORDS_BYTES, "full in about %" PRIu64 " min",
			 (ms + 30000) / 60000);
}

/* The rate that is shown as a loss: level_value is the same one rounded up, for it must not be 0.
 */
static void say_rate(const struct snap_live *live, int64_t milli_per_s, const char *what,
		     const char *past, char out[HEALTH_WORDS_BYTES])
{
	double per_s = milli_per_s > 0 ? (double)milli_per_s / 1e3 : (double)live->level_value;

	if (live->level_value > 0)
		snprintf(out, HEALTH_WORDS_BYTES, "%s, about %.*f/s", what, per_s < 10 ? 1 : 0,
			 per_s);
	else
		snprintf(out, HEALTH_WORDS_BYTES, "%s less than 30 s ago", past);
}

static void say_share(const struct snap_live *live, const char *before, const char *after,
		      char out[HEALTH_WORDS_BYTES])
{
	snprintf(out, HEALTH_WORDS_BYTES, "%s%.1f %%%s", before, (double)live->level_value / 1e4,
		 after);
}

static void say_refused(const struct snap_live *live, char out[HEALTH_WORDS_BYTES])
{
	if (live->expectations < live->expectations_max)
		snprintf(out, HEALTH_WORDS_BYTES,
			 "the table of expectations was full less than 30 s ago");
	else
		snprintf(out, HEALTH_WORDS_BYTES,
			 "the table of expectations is full (%" PRId64 " of %" PRId64
			 "): new ones are refused",
			 live->expectations, live->expectations_max);
}

static void say_failing(const struct snap_live *live, char out[HEALTH_WORDS_BYTES])
{
	if (live->level_value > 0)
		say_share(live, "", " of new connections fail to become entries", out);
	else
		snprintf(out, HEALTH_WORDS_BYTES,
			 "new connections failed to become entries a short while ago");
}

const char *health_level_reason(const struct snapshot *snap, char out[HEALTH_WORDS_BYTES])
{
	const struct snap_live *live = &snap->live;

	if (!health_fresh(snap)) {
		snprintf(out, HEALTH_WORDS_BYTES, "%s", snap_agent_help(snap->agent));
		return out;
	}
	switch (live->level_reason) {
	case SHM_LEVEL_REASON_DROPPING:
		say_rate(live, live->dropped_milli_per_s, "new connections are refused",
			 "new connections were refused", out);
		break;
	case SHM_LEVEL_REASON_EVICTING:
		say_rate(live, live->evicted_milli_per_s, "entries are evicted to make room",
			 "entries were evicted", out);
		break;
	case SHM_LEVEL_REASON_CHAINS:
		say_rate(live, live->chain_milli_per_s,
			 "hash chains are too long: entries are refused",
			 "entries were refused for long hash chains", out);
		break;
	case SHM_LEVEL_REASON_FILL:
		say_share(live, "", " full", out);
		break;
	case SHM_LEVEL_REASON_NAT_POOL:
		say_share(live, "a NAT pool has ", " of its ports in use", out);
		break;
	case SHM_LEVEL_REASON_EXPECTATIONS:
		say_share(live, "the table of expectations is ", " full", out);
		break;
	case SHM_LEVEL_REASON_INSERT_FAILED:
		say_failing(live, out);
		break;
	case SHM_LEVEL_REASON_EXPECTATIONS_REFUSED:
		say_refused(live, out);
		break;
	case SHM_LEVEL_REASON_FULL_SOON:
	case SHM_LEVEL_REASON_FULL_WITHIN_HOUR:
		say_soon(snap, out);
		break;
	default:
		snprintf(out, HEALTH_WORDS_BYTES, "%s", snap_level_reason_help(live->level_reason));
	}
	return out;
}

/* --- the agent ------------------------------------------------------------------------ */

const char *health_state(const struct snapshot *snap)
{
	if (snap->agent == SNAP_AGENT_UP && !health_up(snap))
		return "degraded";
	return snap_agent_name(snap->agent);
}

const char *health_reason(const struct snapshot *snap)
{
	if (snap->agent == SNAP_AGENT_SILENT && snap->clock_ahead)
		return "the agent's clock is ahead of this program's: one of them runs in another "
		       "time namespace, or the machine was restored; restart conntide-agent in the "
		       "same one";
	if (snap->agent != SNAP_AGENT_UP)
		return snap_agent_help(snap->agent);
	if (snap->live.mode == SHM_MODE_NO_UPDATE)
		return "overload: the agent follows new and destroyed entries only; states are "
		       "those of the last dump";
	if (snap->live.mode == SHM_MODE_POLLING)
		return "overload: the agent reads the table from time to time only";
	return health_quality_reason(snap);
}
