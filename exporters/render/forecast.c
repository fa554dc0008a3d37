// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/forecast.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "exporters/render/forecast_text.h"
#include "lib/health/health.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

const struct column forecast_columns[] = {
	{"verdict", 0, "", "string", "what is going to happen, in words"},
	{"verdict_code", 0, "", "string",
	 "watching, steady, levels-off, filling, full, draining, unlimited, or unknown"},
	{"alarm", 0, "", "boolean", "full within ten minutes is likely; with hysteresis"},
	{"entries", 0, "", "integer", "the kernel's count"},
	{"max", 0, "", "integer", "nf_conntrack_max, 0 for none"},
	{"limit", 0, "", "object|null",
	 "what full means: entries, and kind: max, chain (hash chains too long) or assumed "
	 "(--assume-max); null without a limit"},
	{"horizons", 0, "", "array",
	 "entries expected at that horizon: p50, the 80 % interval p10 to p90, the 95 % interval "
	 "p025 "
	 "to p975, and the probability of having been full"},
	{"time_to_full_seconds", 0, "", "object|null",
	 "early, likely, late: 10 %, 50 % and 90 % quantile; null in it: not within an hour"},
	{"settles_at_entries", 0, "", "integer|null",
	 "where it settles if demand stays as it is; null: it cannot say, or it fills"},
	{"evictable_entries", 0, "", "integer|null", "entries that may be evicted when it is full"},
	{"probabilities", 0, "", "array",
	 "of having been full, and of a first dropped packet, within that horizon"},
	{"reasons", 0, "", "array", "the ports that drive it, largest change first"},
	{"hit_rate", 0, "", "array",
	 "of its own past forecasts: how many were compared, and how many came to lie in their "
	 "80 % interval"},
	{"cannot_say", 0, "", "string|null",
	 "why it cannot say: starting, no-events, losing-events, overloaded or timeouts-changed; "
	 "null: it says"},
	{"watching_seconds", 0, "", "integer|null", "how long it must watch before it can say"},
	{"computed_timestamp_seconds", 0, "", "number|null",
	 "when it was made, seconds since 1970"},
	{"cost_seconds", 0, "", "number|null", "CPU time it took the agent"},
};
const size_t forecast_column_count = COUNT(forecast_columns);

const struct column pasts_columns[] = {
	{"time", 21, "TIME", "string", "when it was made, RFC 3339, UTC"},
	{"timestamp_seconds", 15, "TIMESTAMP", "number", "the same, seconds since 1970"},
	{"seconds", 7, "AHEAD/S", "integer", "how far ahead it looked"},
	{"p10", 9, "LOW", "integer", "entries it expected, 10 % quantile"},
	{"p50", 9, "LIKELY", "integer", "entries it expected, median"},
	{"p90", 9, "HIGH", "integer", "entries it expected, 90 % quantile"},
	{"came", 9, "CAME", "integer|null", "entries there were then; null before that"},
	{"held", 5, "HELD", "boolean|null", "was that between p10 and p90"},
	{"time_to_full_seconds", 9, "FULL IN/S", "integer|null",
	 "when it expected the table to be full; null: not within an hour"},
	{"alarm", 0, "ALARM", "boolean", "it raised the alarm"},
};
const size_t pasts_column_count = COUNT(pasts_columns);

static const struct column horizon_columns[] = {
	{"seconds", 0, "", "integer", "how far ahead"},
	{"p10", 0, "", "integer", "entries, 10 % quantile"},
	{"p50", 0, "", "integer", "median"},
	{"p90", 0, "", "integer", "90 % quantile"},
	{"p025", 0, "", "integer", "2.5 % quantile"},
	{"p975", 0, "", "integer", "97.5 % quantile"},
	{"full_probability", 0, "", "number", "of having been full by then"},
};
static const struct column probability_columns[] = {
	{"seconds", 0, "", "integer", "how far ahead"},
	{"full_probability", 0, "", "number", "of having been full by then"},
	{"drop_probability", 0, "", "number", "of a packet having been dropped by then"},
};
static const struct column hit_columns[] = {
	{"seconds", 0, "", "integer", "how far ahead they looked"},
	{"compared", 0, "", "integer", "past forecasts whose moment has come"},
	{"held", 0, "", "integer", "those whose 80 % interval held what came"},
	{"ratio", 0, "", "number|null", "held / compared; 0.8 would be right"},
};
static const struct column reason_columns[] = {
	{"l4proto", 0, "", "string", "protocol"},
	{"direction", 0, "", "string", "inbound, outbound, forwarded or loopback"},
	{"port", 0, "", "integer|null", "destination port; null where pooled"},
	{"pooled", 0, "", "boolean", "several ports that have no class of their own"},
	{"entries", 0, "", "integer", "entries now"},
	{"new_per_second", 0, "", "number", "entries created, as it estimates them now"},
	{"slope_per_second_squared", 0, "", "number", "how fast that rate changes"},
	{"entries_in_600_seconds", 0, "", "integer", "entries expected in ten minutes"},
	{"settles_at_entries", 0, "", "integer", "where it settles if demand stays as it is"},
};
static const struct column limit_columns[] = {
	{"kind", 0, "", "string", "max, chain or assumed"},
	{"entries", 0, "", "integer", "entries at which it is full"},
};
static const struct column time_columns[] = {
	{"early", 0, "", "number|null", "10 % quantile; null: not within an hour"},
	{"likely", 0, "", "number|null", "median"},
	{"late", 0, "", "number|null", "90 % quantile"},
};

const struct column_part forecast_parts[] = {
	{"limit", limit_columns, COUNT(limit_columns)},
	{"horizons", horizon_columns, COUNT(horizon_columns)},
	{"time_to_full_seconds", time_columns, COUNT(time_columns)},
	{"probabilities", probability_columns, COUNT(probability_columns)},
	{"reasons", reason_columns, COUNT(reason_columns)},
	{"hit_rate", hit_columns, COUNT(hit_columns)},
	{NULL, NULL, 0},
};

static double ppm(uint32_t millionths)
{
	return millionths / (double)SNAP_PPM;
}

static double hit_ratio(const struct snap_horizon *horizon)
{
	return horizon->compared ? horizon->held / (double)horizon->compared : (double)NAN;
}

/* --- JSON -------------------------------------------------------------------------- */

static void member(struct text *out, const char *name)
{
	bool first = out->bytes && out->data[out->bytes - 1] == '{';

	/* Rows end with a line of their own. */
	if (out->bytes && out->data[out->bytes - 1] == '\n')
		out->bytes--;
	text_add_format(out, "%s\"%s\":", first ? "" : ",\n", name);
}

static void member_u64(struct text *out, const char *name, bool known, uint64_t value)
{
	member(out, name);
	if (known)
		text_add_u64(out, value);
	else
		text_add(out, "null");
}

static void member_seconds(struct text *out, const char *name, bool known, double seconds)
{
	member(out, name);
	if (known)
		text_add_double(out, seconds);
	else
		text_add(out, "null");
}

static void add_horizons(const struct snap_forecast *forecast, bool shown, struct text *out)
{
	struct rows rows;

	member(out, "horizons");
	rows_begin(&rows, out, ROWS_JSON, horizon_columns, COUNT(horizon_columns));
	for (unsigned int i = 0; i < SHM_HORIZONS && shown; i++) {
		const struct snap_horizon *horizon = &forecast->horizon[i];

		rows_u64(&rows, snap_horizons_s[i]);
		rows_u64(&rows, horizon->lo80_entries);
		rows_u64(&rows, horizon->p50_entries);
		rows_u64(&rows, horizon->hi80_entries);
		rows_u64(&rows, horizon->lo95_entries);
		rows_u64(&rows, horizon->hi95_entries);
		rows_double(&rows, ppm(snap_chance_at(forecast, snap_horizons_s[i])->full_ppm));
	}
	rows_end(&rows);
}

static void add_probabilities(const struct snap_forecast *forecast, bool shown, struct text *out)
{
	struct rows rows;

	member(out, "probabilities");
	rows_begin(&rows, out, ROWS_JSON, probability_columns, COUNT(probability_columns));
	for (unsigned int i = 0; i < SHM_FULL_HORIZONS && shown; i++) {
		rows_u64(&rows, snap_full_horizons_s[i]);
		rows_double(&rows, ppm(forecast->chance[i].full_ppm));
		rows_double(&rows, ppm(forecast->chance[i].drop_ppm));
	}
	rows_end(&rows);
}

static void add_reasons(const struct snap_forecast *forecast, bool shown, struct text *out)
{
	struct rows rows;

	member(out, "reasons");
	rows_begin(&rows, out, ROWS_JSON, reason_columns, COUNT(reason_columns));
	for (unsigned int i = 0; i < forecast->reason_count && shown; i++) {
		const struct snap_reason *reason = &forecast->reason[i];

		rows_string(&rows, l4proto_info(reason->key.l4proto)->name);
		rows_string(&rows, direction_name(reason->key.direction));
		rows_u64_or_null(&rows, !reason->pooled, reason->key.port);
		rows_boolean(&rows, true, reason->pooled);
		rows_u64(&rows, reason->entries);
		rows_double(&rows, reason->new_milli_per_s / 1e3);
		rows_double(&rows, reason->slope_micro_per_s2 / 1e6);
		rows_u64(&rows, reason->entries_600);
		rows_u64(&rows, reason->settles_at_entries);
	}
	rows_end(&rows);
}

/* Known from the first comparison on, whatever the forecast says now. */
static void add_hits(const struct snap_forecast *forecast, struct text *out)
{
	struct rows rows;

	member(out, "hit_rate");
	rows_begin(&rows, out, ROWS_JSON, hit_columns, COUNT(hit_columns));
	for (unsigned int i = 0; i < SHM_HORIZONS && forecast->valid; i++) {
		rows_u64(&rows, snap_horizons_s[i]);
		rows_u64(&rows, forecast->horizon[i].compared);
		rows_u64(&rows, forecast->horizon[i].held);
		rows_double(&rows, hit_ratio(&forecast->horizon[i]));
	}
	rows_end(&rows);
}

static void add_limit(const struct snap_forecast *forecast, struct text *out)
{
	member(out, "limit");
	if (forecast->valid && forecast->limit_kind != SHM_LIMIT_NONE)
		text_add_format(out, "{\"kind\":\"%s\",\"entries\":%" PRIu32 "}",
				snap_limit_name(forecast->limit_kind), forecast->limit_entries);
	else
		text_add(out, "null");
}

static void add_time_to_full(const struct snap_forecast *forecast, bool shown, struct text *out)
{
	const struct {
		const char *name;
		uint64_t ms;
	} bounds[] = {{"early", forecast->full_early_ms},
		      {"likely", forecast->full_likely_ms},
		      {"late", forecast->full_late_ms}};

	member(out, "time_to_full_seconds");
	if (!shown) {
		text_add(out, "null");
		return;
	}
	for (size_t i = 0; i < COUNT(bounds); i++) {
		text_add_format(out, "%s\"%s\":", i ? "," : "{", bounds[i].name);
		if (bounds[i].ms == SHM_NEVER_MS)
			text_add(out, "null");
		else
			text_add_double(out, (double)bounds[i].ms / 1e3);
	}
	text_add_char(out, '}');
}

void render_forecast_json(const struct snapshot *snap, struct text *out)
{
	const struct snap_forecast *forecast = &snap->forecast;
	uint32_t settles_at;
	bool shown = health_forecast_shown(snap), settles = health_settles_at(snap, &settles_at);
	bool watching = health_forecast_recent(snap) && forecast->verdict == SHM_VERDICT_WATCHING;
	char words[FORECAST_WORDS_BYTES];

	text_add_char(out, '{');
	if (health_rehearsal(snap)) {
		member(out, "REHEARSAL");
		text_add_json_string(out, health_rehearsal_words());
	}
	member(out, "verdict");
	text_add_json_string(out, forecast_words(snap, words));
	member(out, "verdict_code");
	text_add_json_string(out, forecast_verdict_code(snap));
	member(out, "alarm");
	text_add(out, health_forecast(snap) && forecast->alarm ? "true" : "false");
	member(out, "entries");
	text_add_format(out, "%" PRId64, snap->live.count_entries);
	member(out, "max");
	text_add_format(out, "%" PRId64, snap->live.max_entries);
	add_limit(forecast, out);
	add_horizons(forecast, shown, out);
	add_time_to_full(forecast, shown, out);
	member_u64(out, "settles_at_entries", settles, settles_at);
	member_u64(out, "evictable_entries", shown, forecast->soft_entries);
	add_probabilities(forecast, shown, out);
	add_reasons(forecast, shown, out);
	add_hits(forecast, out);
	member(out, "cannot_say");
	if (health_forecast_recent(snap) && forecast->silence != SHM_SILENCE_NONE)
		text_add_json_string(out, snap_silence_name(forecast->silence));
	else
		text_add(out, "null");
	member_u64(out, "watching_seconds", watching, forecast->watching_s);
	member_seconds(out, "computed_timestamp_seconds", forecast->valid,
		       (double)(forecast->computed_real_ns / 1000000u) / 1e3);
	member_seconds(out, "cost_seconds", forecast->valid, forecast->cost_us / 1e6);
	text_add(out, "}\n");
}

/* --- the past ---------------------------------------------------------------------- */

static void add_past(struct rows *rows, const struct snap_past *past, unsigned int horizon)
{
	uint32_t low = past->lo80_entries[horizon], high = past->hi80_entries[horizon];
	uint32_t came = past->came_entries[horizon];

	rows_time(rows, past->real_ns);
	rows_u64(rows, past->real_ns / 1000000000u);
	rows_u64(rows, snap_horizons_s[horizon]);
	rows_u64(rows, low);
	rows_u64(rows, past->p50_entries[horizon]);
	rows_u64(rows, high);
	rows_u64_or_null(rows, came != SHM_NOT_YET, came);
	rows_boolean(rows, came != SHM_NOT_YET, came >= low && came <= high);
	rows_u64_or_null(rows, past->full_likely_s != SHM_NOT_YET, past->full_likely_s);
	rows_boolean(rows, true, past->alarm);
}

static bool wanted(uint32_t horizon_s, unsigned int horizon)
{
	return horizon_s == 0 || horizon_s == snap_horizons_s[horizon];
}

void render_pasts(const struct snap_pasts *pasts, uint32_t horizon_s, size_t limit,
		  enum rows_format format, struct text *out)
{
	size_t all = 0, at = 0;
	struct rows rows;

	for (size_t i = 0; i < pasts->count; i++)
		for (unsigned int h = 0; h < SHM_HORIZONS; h++)
			all += pasts->pasts[i].real_ns != 0 && wanted(horizon_s, h);
	rows_begin(&rows, out, format, pasts_columns, pasts_column_count);
	rows_spare(&rows, "timestamp_seconds alarm time_to_full_seconds");
	for (size_t i = 0; i < pasts->count; i++)
		for (unsigned int h = 0; h < SHM_HORIZONS; h++) {
			if (pasts->pasts[i].real_ns == 0 || !wanted(horizon_s, h))
				continue;
			if (!limit || at++ + limit >= all)
				add_past(&rows, &pasts->pasts[i], h);
		}
	rows_end(&rows);
}
