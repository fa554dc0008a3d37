// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "exporters/render/forecast_text.h"
#include "exporters/render/head.h"
#include "exporters/render/json.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/health/health.h"
#include "lib/health/level.h"

/* --- thresholds ------------------------------------------------------------------------ */

static int parse_one(const char *item, size_t bytes, struct plugin_threshold *to)
{
	char word[32];
	uint64_t ns;
	double percent;

	if (!bytes || bytes >= sizeof(word))
		return -EINVAL;
	memcpy(word, item, bytes);
	word[bytes] = '\0';
	if (word[bytes - 1] == '%')
		word[bytes - 1] = '\0';
	if (num_double(word, 0, 1000, &percent) == 0) {
		if (isfinite(to->fill_ratio))
			return -EINVAL;
		to->fill_ratio = percent / 100;
		return 0;
	}
	if (to->full_ms || num_duration_ns(word, NS_PER_MS, UINT64_MAX, &ns) < 0)
		return -EINVAL;
	to->full_ms = ns / NS_PER_MS;
	return 0;
}

int plugin_threshold_parse(const char *list, struct plugin_threshold *ret_threshold)
{
	struct plugin_threshold parsed = {.given = true, .fill_ratio = (double)NAN};

	for (;;) {
		size_t bytes = strcspn(list, ",");
		int err = parse_one(list, bytes, &parsed);

		if (err)
			return err;
		list += bytes;
		if (!*list)
			break;
		list++;
	}
	*ret_threshold = parsed;
	return 0;
}

/* --- the word -------------------------------------------------------------------------- */

const char *plugin_word_name(enum plugin_word word)
{
	static const char *const names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

	return names[word];
}

static uint64_t full_ms(const struct snapshot *snap)
{
	return health_forecast(snap) ? snap->forecast.full_likely_ms : SHM_NEVER_MS;
}

static bool reached(const struct snapshot *snap, const struct plugin_threshold *at)
{
	return (isfinite(at->fill_ratio) && health_fill_ratio(&snap->live) >= at->fill_ratio) ||
	       (at->full_ms && full_ms(snap) <= at->full_ms);
}

/* What thresholds are asked instead of. */
static bool by_fill_or_forecast(const struct snapshot *snap)
{
	int64_t reason = snap->live.level_reason;

	return reason == SHM_LEVEL_REASON_FILL || reason == SHM_LEVEL_REASON_FULL_SOON ||
	       reason == SHM_LEVEL_REASON_FULL_WITHIN_HOUR;
}

static bool applies(const struct snapshot *snap, const struct plugin_threshold *at,
		    enum shm_level from)
{
	if (at->given && reached(snap, at))
		return true;
	if (at->given && by_fill_or_forecast(snap))
		return false;
	return health_level(snap) >= from;
}

enum plugin_word plugin_word(const struct snapshot *snap, const struct plugin_thresholds *at)
{
	enum shm_level level = health_level(snap);

	if (level == SHM_LEVEL_UNKNOWN)
		return PLUGIN_UNKNOWN;
	if (level == SHM_LEVEL_FULL || applies(snap, &at->critical, SHM_LEVEL_CRITICAL))
		return PLUGIN_CRITICAL;
	return applies(snap, &at->warning, SHM_LEVEL_HIGH) ? PLUGIN_WARNING : PLUGIN_OK;
}

/* --- the line -------------------------------------------------------------------------- */

static double losses_per_s(const struct snap_live *live)
{
	return (double)(live->dropped_milli_per_s + live->evicted_milli_per_s +
			live->chain_milli_per_s + live->insert_failed_milli_per_s) /
	       1e3;
}

static double fill_from(const struct plugin_threshold *at, double by_level)
{
	return at->given ? at->fill_ratio : by_level;
}

/* A threshold of performance data; empty where there is none. */
static void add_bound(struct text *out, double value)
{
	text_add_char(out, ';');
	if (isfinite(value))
		text_add_double(out, value);
}

static void add_data(const struct snapshot *snap, const struct plugin_thresholds *at,
		     struct text *out)
{
	const struct snap_live *live = &snap->live;
	double fill = health_fill_ratio(live);
	double limit = fill < 0 ? (double)NAN : (double)live->limit_entries;
	double warning = fill_from(&at->warning, LEVEL_HIGH_RATIO);
	double critical = fill_from(&at->critical, LEVEL_CRITICAL_RATIO);
	uint64_t ms = full_ms(snap);

	text_add_format(out, " | entries=%" PRId64, live->count_entries);
	add_bound(out, ceil(warning * limit));
	add_bound(out, ceil(critical * limit));
	text_add(out, ";0");
	add_bound(out, limit);
	text_add_format(out, " evictable=%" PRId64 ";;;0", live->unassured_entries);
	if (fill >= 0) {
		text_add_format(out, " fill=%.2f%%", 100 * fill);
		add_bound(out, 100 * warning);
		add_bound(out, 100 * critical);
		text_add(out, ";0;100");
	}
	/* Less is worse: a range that ends below, written "1800:". U: not known, or never. */
	if (ms == SHM_NEVER_MS)
		text_add(out, " time_to_full=U");
	else
		text_add_format(out, " time_to_full=%.0fs", (double)ms / 1e3);
	if (ms != SHM_NEVER_MS && at->warning.full_ms)
		text_add_format(out, ";%" PRIu64 ":", at->warning.full_ms / 1000);
	if (ms != SHM_NEVER_MS && at->critical.full_ms)
		text_add_format(out, "%s;%" PRIu64 ":", at->warning.full_ms ? "" : ";",
				at->critical.full_ms / 1000);
	text_add_format(out, " losses=%.4g;;;0", losses_per_s(live));
}

/* The sentence, without the word before it and the data behind. */
static void add_sentence(const struct snapshot *snap, struct text *out)
{
	const struct snap_live *live = &snap->live;
	enum shm_level level = health_level(snap);
	char words[FORECAST_WORDS_BYTES];
	double lost = losses_per_s(live);

	if (health_rehearsal(snap))
		text_add(out, "REHEARSAL, ");
	if (!health_fresh(snap)) {
		text_add_format(out, "no current numbers, %s", health_reason(snap));
		return;
	}
	if (level != SHM_LEVEL_OK)
		text_add_format(out, "%s, %s: ", snap_level_name(level),
				health_level_reason(snap, words));
	head_fill(snap, out);
	text_add_format(out, ", %" PRId64 " evictable", live->unassured_entries);
	if (lost > 0)
		text_add_format(out, "; loses %.4g/s", lost);
	text_add_format(out, "; %s", forecast_words(snap, words));
	text_add_format(out, "; quality %s", health_quality_words(snap, words));
}

void plugin_text(const struct snapshot *snap, const struct plugin_thresholds *at, struct text *out)
{
	text_add_format(out, "%s - ", plugin_word_name(plugin_word(snap, at)));
	add_sentence(snap, out);
	if (health_fresh(snap))
		add_data(snap, at, out);
	text_add_char(out, '\n');
}

void plugin_missing_text(const char *why, struct text *out)
{
	text_add_format(out, "%s - no agent, %s\n", plugin_word_name(PLUGIN_UNKNOWN), why);
}

/* --- JSON ------------------------------------------------------------------------------ */

static void add_threshold(struct json *json, const char *name, const struct plugin_threshold *at)
{
	if (!at->given) {
		json_string(json, name, NULL);
		return;
	}
	json_open_object(json, name);
	json_number(json, "fill_ratio", at->fill_ratio);
	json_number(json, "time_to_full_seconds",
		    at->full_ms ? (double)at->full_ms / 1e3 : (double)NAN);
	json_close(json);
}

static void add_head(struct json *json, enum plugin_word word, const char *text)
{
	json_string(json, "check", plugin_word_name(word));
	json_number(json, "exit_status", word);
	json_string(json, "text", text);
}

static void add_numbers(struct json *json, const struct snapshot *snap)
{
	const struct snap_live *live = &snap->live;
	uint64_t ms = full_ms(snap);
	uint32_t settles;

	json_number(json, "entries", (double)live->count_entries);
	json_number(json, "max", (double)live->max_entries);
	json_number(json, "fill_ratio",
		    health_fill_ratio(live) < 0 ? (double)NAN : health_fill_ratio(live));
	json_number(json, "unassured_entries", (double)live->unassured_entries);
	json_open_object(json, "losses_per_second");
	json_number(json, "dropped", (double)live->dropped_milli_per_s / 1e3);
	json_number(json, "evicted", (double)live->evicted_milli_per_s / 1e3);
	json_number(json, "chain", (double)live->chain_milli_per_s / 1e3);
	json_number(json, "insert_failed", (double)live->insert_failed_milli_per_s / 1e3);
	json_close(json);
	json_number(json, "time_to_full_seconds",
		    ms == SHM_NEVER_MS ? (double)NAN : (double)ms / 1e3);
	json_number(json, "settles_at_entries",
		    health_settles_at(snap, &settles) ? (double)settles : (double)NAN);
	json_string(json, "quality", snap_quality_name(health_quality(snap)));
}

void plugin_json(const struct snapshot *snap, const struct plugin_thresholds *at, struct text *out)
{
	struct text sentence;
	struct json json;

	text_init(&sentence);
	add_sentence(snap, &sentence);
	json_begin(&json);
	add_head(&json, plugin_word(snap, at), sentence.data);
	json_string(&json, "netns", snap->netns_name);
	json_string(&json, "level", snap_level_name(health_level(snap)));
	json_string(&json, "level_reason_code", health_level_reason_name(snap));
	json_bool(&json, "agent_up", health_fresh(snap));
	json_bool(&json, "rehearsal", health_rehearsal(snap));
	add_threshold(&json, "warning", &at->warning);
	add_threshold(&json, "critical", &at->critical);
	if (health_fresh(snap))
		add_numbers(&json, snap);
	json_end(&json, out);
	out->failed |= text_failed(&sentence);
	text_free(&sentence);
}

void plugin_missing_json(const char *netns, const char *why, struct text *out)
{
	struct json json;

	json_begin(&json);
	add_head(&json, PLUGIN_UNKNOWN, why);
	json_string(&json, "netns", netns);
	json_string(&json, "level", snap_level_name(SHM_LEVEL_UNKNOWN));
	json_bool(&json, "agent_up", false);
	json_end(&json, out);
}
