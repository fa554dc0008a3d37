// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/forecast_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exporters/render/age.h"
#include "lib/health/health.h"

/* Below this people count in seconds. */
#define SECONDS_BELOW_MS 90000u

const char *forecast_limit_words(enum shm_limit limit)
{
	static const char *const words[SHM_LIMIT_COUNT] = {
		"no limit", "nf_conntrack_max", "the chain-length limit", "the assumed limit"};

	return (size_t)limit < SHM_LIMIT_COUNT ? words[limit] : "an unknown limit";
}

/* The early bound is rounded down, the late one up, so that the interval never gets narrower. */
enum rounding { DOWN, NEAREST, UP };

static uint64_t in_units(uint64_t ms, uint64_t unit_ms, enum rounding rounding)
{
	uint64_t more = rounding == DOWN ? 0 : rounding == UP ? unit_ms - 1 : unit_ms / 2;

	return (ms + more) / unit_ms;
}

static const char *span(uint64_t ms, enum rounding rounding, char out[32])
{
	if (ms == SHM_NEVER_MS)
		snprintf(out, 32, "not within the hour");
	else if (ms < SECONDS_BELOW_MS)
		snprintf(out, 32, "%" PRIu64 " s", in_units(ms, 1000, rounding));
	else
		snprintf(out, 32, "%" PRIu64 " min", in_units(ms, 60000, rounding));
	return out;
}

const char *forecast_span(uint64_t ms, char out[32])
{
	return span(ms, NEAREST, out);
}

const char *forecast_when(const struct snapshot *snap, char out[FORECAST_WORDS_BYTES])
{
	const struct snap_forecast *forecast = &snap->forecast;
	char early[32], likely[32], late[32];
	bool never = forecast->full_likely_ms == SHM_NEVER_MS;
	int n;

	if (health_verdict(snap) == SHM_VERDICT_FULL) {
		snprintf(out, FORECAST_WORDS_BYTES, "now");
		return out;
	}
	n = snprintf(out, FORECAST_WORDS_BYTES, "likely %s%s", never ? "" : "in ",
		     span(forecast->full_likely_ms, NEAREST, likely));
	if (forecast->full_early_ms != SHM_NEVER_MS)
		n += snprintf(out + n, FORECAST_WORDS_BYTES - (size_t)n, "; 1 in 10 by %s",
			      span(forecast->full_early_ms, DOWN, early));
	if (!never)
		snprintf(out + n, FORECAST_WORDS_BYTES - (size_t)n, "; 9 in 10 %s%s",
			 forecast->full_late_ms == SHM_NEVER_MS ? "" : "by ",
			 span(forecast->full_late_ms, UP, late));
	return out;
}

/* " against the assumed limit of 1000 entries"; nothing for nf_conntrack_max. */
static const char *which_limit(const struct snap_forecast *forecast, const char *before,
			       char out[96])
{
	out[0] = '\0';
	if (forecast->limit_kind != SHM_LIMIT_MAX)
		snprintf(out, 96, " %s %s of %" PRIu32 " entries", before,
			 forecast_limit_words(forecast->limit_kind), forecast->limit_entries);
	return out;
}

static const char *percent(const struct snap_forecast *forecast, uint32_t entries, char out[32])
{
	double share = forecast->limit_entries ? 100.0 * entries / forecast->limit_entries : 0;

	snprintf(out, 32, share > 0 && share < 0.95 ? "%.1f %%" : "%.0f %%", share);
	return out;
}

static void say_filling(const struct snap_forecast *forecast, char out[FORECAST_WORDS_BYTES])
{
	uint64_t likely = forecast->full_likely_ms;
	bool in_seconds = likely < SECONDS_BELOW_MS;
	uint64_t unit = in_seconds ? 1000 : 60000;
	uint64_t early = in_units(forecast->full_early_ms, unit, DOWN);
	uint64_t late = in_units(forecast->full_late_ms, unit, UP);
	char limit[96], range[64] = "";

	which_limit(forecast, "against", limit);
	if (likely == SHM_NEVER_MS) {
		snprintf(out, FORECAST_WORDS_BYTES, "full within the hour, more likely than not%s",
			 limit);
		return;
	}
	if (likely < 500) {
		snprintf(out, FORECAST_WORDS_BYTES, "full in less than 1 s%s", limit);
		return;
	}
	if (forecast->full_late_ms == SHM_NEVER_MS)
		snprintf(range, sizeof(range), " (%" PRIu64 " or later)", early);
	else if (early != late)
		snprintf(range, sizeof(range), " (%" PRIu64 "-%" PRIu64 ")", early, late);
	snprintf(out, FORECAST_WORDS_BYTES, "full in about %" PRIu64 " %s%s%s",
		 in_units(likely, unit, NEAREST), in_seconds ? "s" : "min", range, limit);
}

static void say_level(const struct snap_forecast *forecast, char out[FORECAST_WORDS_BYTES])
{
	bool steady = forecast->verdict == SHM_VERDICT_STEADY;
	uint32_t entries = forecast->settles_at_entries;
	char share[32], limit[96];

	percent(forecast, entries, share);
	which_limit(forecast, "of", limit);
	if (steady)
		snprintf(out, FORECAST_WORDS_BYTES, "steady at %s%s", share, limit);
	else if (forecast->verdict == SHM_VERDICT_DRAINING)
		snprintf(out, FORECAST_WORDS_BYTES, "draining to %s%s", share, limit);
	else if (entries >= forecast->limit_entries)
		snprintf(out, FORECAST_WORDS_BYTES,
			 "grows towards %s%s; not full within the hour, as things stand", share,
			 limit);
	else
		snprintf(out, FORECAST_WORDS_BYTES, "levels off at %s%s", share, limit);
}

const char *forecast_verdict_code(const struct snapshot *snap)
{
	bool watching =
		health_forecast_recent(snap) && snap->forecast.verdict == SHM_VERDICT_WATCHING;

	return health_forecast_shown(snap) || watching ? snap_verdict_name(health_verdict(snap))
						       : "unknown";
}

const char *forecast_settles(const struct snapshot *snap, char out[FORECAST_WORDS_BYTES])
{
	const struct snap_forecast *forecast = &snap->forecast;
	uint32_t entries;
	char share[32];

	if (!health_settles_at(snap, &entries)) {
		snprintf(out, FORECAST_WORDS_BYTES, "%s",
			 health_forecast_shown(snap) && forecast->silence == SHM_SILENCE_NONE
				 ? "does not settle below the limit"
				 : "cannot say where it settles");
	} else if (forecast->limit_entries) {
		snprintf(out, FORECAST_WORDS_BYTES,
			 "settles at %" PRIu32 " entries, %s of the limit", entries,
			 percent(forecast, entries, share));
	} else {
		snprintf(out, FORECAST_WORDS_BYTES, "settles at %" PRIu32 " entries", entries);
	}
	return out;
}

static void say_silence(const struct snap_forecast *forecast, char out[FORECAST_WORDS_BYTES])
{
	bool known = forecast->silence > SHM_SILENCE_STARTING;

	if (!forecast->watching_s)
		snprintf(out, FORECAST_WORDS_BYTES, "cannot say: %s",
			 snap_silence_words(forecast->silence));
	else
		snprintf(out, FORECAST_WORDS_BYTES,
			 "cannot say yet: %s%swatching for %" PRIu32 " s more",
			 known ? snap_silence_words(forecast->silence) : "", known ? "; " : "",
			 forecast->watching_s);
}

/* The verdict of the numbers, whatever their age. */
static void say(const struct snapshot *snap, char out[FORECAST_WORDS_BYTES])
{
	const struct snap_forecast *forecast = &snap->forecast;
	char limit[96];

	switch (health_verdict(snap)) {
	case SHM_VERDICT_WATCHING:
		say_silence(forecast, out);
		return;
	case SHM_VERDICT_FULL:
		snprintf(out, FORECAST_WORDS_BYTES, "full%s",
			 which_limit(forecast, "against", limit));
		return;
	case SHM_VERDICT_FILLING:
		say_filling(forecast, out);
		return;
	case SHM_VERDICT_UNLIMITED:
		snprintf(out, FORECAST_WORDS_BYTES, "no limit; settles at %" PRIu32 " entries",
			 forecast->settles_at_entries);
		return;
	default:
		say_level(forecast, out);
	}
}

static void say_old(const struct snapshot *snap, char out[FORECAST_WORDS_BYTES])
{
	char said[FORECAST_WORDS_BYTES], age[32];

	snprintf(out, FORECAST_WORDS_BYTES, "cannot say: the agent is %s", health_state(snap));
	if (!snap->forecast.valid || snap->forecast.verdict == SHM_VERDICT_WATCHING ||
	    snap->age_ns == UINT64_MAX)
		return;
	say(snap, said);
	snprintf(out, FORECAST_WORDS_BYTES, "cannot say: the agent is %s; %s ago it said: %.150s",
		 health_state(snap), format_age(snap->age_ns, age), said);
}

const char *forecast_words(const struct snapshot *snap, char out[FORECAST_WORDS_BYTES])
{
	if (!health_fresh(snap))
		say_old(snap, out);
	else if (snap->live.mode == SHM_MODE_STARTING)
		snprintf(out, FORECAST_WORDS_BYTES,
			 "cannot say yet: the agent reads the table for the first time");
	else if (!health_up(snap))
		snprintf(out, FORECAST_WORDS_BYTES,
			 "cannot say: the agent is overloaded and does not see all changes");
	else if (!snap->forecast.valid)
		snprintf(out, FORECAST_WORDS_BYTES, "cannot say: the agent made no forecast");
	else if (!health_forecast_recent(snap))
		snprintf(out, FORECAST_WORDS_BYTES,
			 "cannot say: the agent makes no forecasts any more");
	else
		say(snap, out);
	return out;
}
