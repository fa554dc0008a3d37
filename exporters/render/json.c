// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/render/age.h"
#include "exporters/render/forecast_text.h"
#include "exporters/render/settings.h"
#include "lib/base/check.h"
#include "lib/event/event.h"
#include "lib/health/health.h"

const struct column status_columns[] = {
	{"netns", 0, "", "string", "name of the network namespace's table"},
	{"entries", 0, "", "integer|null", "the kernel's count"},
	{"max", 0, "", "integer|null",
	 "nf_conntrack_max, 0 for none; in a rehearsal the assumed limit"},
	{"rehearsal", 0, "", "boolean", "--assume-max is in force: max is not the kernel's"},
	{"limit", 0, "", "object|null",
	 "what ends the table: entries, and kind: max, chain or assumed; null without a limit"},
	{"fill_ratio", 0, "", "number|null", "entries / limit; null without a limit"},
	{"level", 0, "", "string", "OK, HIGH, CRITICAL, FULL or UNKNOWN"},
	{"level_reason", 0, "", "string", "why, in words"},
	{"level_reason_code", 0, "", "string", "why, for programs"},
	{"level_since", 0, "", "string|null", "since when, RFC 3339, UTC"},
	{"quality", 0, "", "string", "exact, verified or not_exact"},
	{"quality_reason", 0, "", "string", "why it is not exact, in words"},
	{"verified_seconds_ago", 0, "", "number|null",
	 "since the whole table was last compared with the kernel's"},
	{"losses_per_second", 0, "", "object|null",
	 "dropped, evicted, chain and insert_failed, over the last ten seconds"},
	{"losses", 0, "", "object|null", "the same four, since the machine booted"},
	{"forecast", 0, "", "object|null",
	 "verdict, verdict_code, alarm, time_to_full_seconds and settles_at_entries, as in "
	 "forecast"},
	{"nat", 0, "", "object|null",
	 "the fullest NAT pool: l4proto, remote_port, held_ports, size_ports, ratio, failing_share "
	 "and time_to_full_seconds (likely); null: nothing is translated"},
	{"zones", 0, "", "array",
	 "entries by conntrack zone, zone and entries, the largest 32 first"},
	{"expectations", 0, "", "object|null",
	 "entries (of this namespace) and max (nf_conntrack_expect_max); null: not known"},
	{"setting_changes", 0, "", "array",
	 "settings of the kernel that changed while the agent ran, the last 32, newest first: "
	 "setting, old, new, changed_at, back_and_forth and words"},
	{"mirror_entries", 0, "", "integer|null", "entries in the mirror"},
	{"residual_entries", 0, "", "integer|null", "entries - mirror_entries"},
	{"silent_entries", 0, "", "integer|null", "entries that may change without an event"},
	{"unassured_entries", 0, "", "integer|null", "entries the kernel may drop early"},
	{"exact", 0, "", "boolean", "quality is exact"},
	{"mode", 0, "", "string", "starting, full, no-update, polling or unknown"},
	{"agent_up", 0, "", "boolean", "the agent is alive, the numbers are fresh"},
	{"agent", 0, "", "string", "up, starting, silent, stopped, rebooted or missing"},
	{"age_seconds", 0, "", "number|null", "age of the numbers; null after a reboot"},
	{"reason", 0, "", "string",
	 "why the agent or its numbers are not what they should be, in words"},
};
const size_t status_column_count = sizeof(status_columns) / sizeof(status_columns[0]);

static void print(cJSON *object, struct text *out)
{
	char *printed = object ? cJSON_Print(object) : NULL;

	if (printed) {
		text_add(out, printed);
		text_add_char(out, '\n');
	} else {
		out->failed = true;
	}
	cJSON_free(printed);
	cJSON_Delete(object);
}

static void add_number(cJSON *object, const char *name, double value)
{
	cJSON_AddNumberToObject(object, name, value);
}

static void add_doubts(cJSON *object, const struct snapshot *snap)
{
	cJSON *list = cJSON_AddArrayToObject(object, "doubts");

	for (unsigned int bit = 0; list && bit < SHM_DOUBT_BITS; bit++) {
		cJSON *doubt;

		if (!(snap->live.doubts & (int64_t)1 << bit) || !snap_doubt_name(bit))
			continue;
		doubt = cJSON_CreateObject();
		cJSON_AddStringToObject(doubt, "name", snap_doubt_name(bit));
		cJSON_AddStringToObject(doubt, "reason", snap_doubt_help(bit));
		cJSON_AddItemToArray(list, doubt);
	}
}

static void add_counters(cJSON *object, const struct snap_live *live)
{
	cJSON *counters = cJSON_AddObjectToObject(object, "counters");

	/* Nanoseconds are shown elsewhere, in seconds: a JSON number holds 53 bits. */
#define ONE(field) add_number(counters, #field, (double)live->field);
#define NS(field)
#define VALUE(field, family, label, label_value, scale) scale(field)
#include "lib/shm/metrics.def"
#undef VALUE
#undef ONE
#undef NS
}

static void add_time(cJSON *object, const char *name, uint64_t real_ns)
{
	if (real_ns)
		add_number(object, name, (double)(real_ns / 1000000u) / 1e3);
	else
		cJSON_AddNullToObject(object, name);
}

static void add_or_null(cJSON *object, const char *name, bool known, double value)
{
	if (known)
		add_number(object, name, value);
	else
		cJSON_AddNullToObject(object, name);
}

static void add_limit(cJSON *object, const struct snapshot *snap)
{
	const struct snap_live *live = &snap->live;
	double fill = health_fill_ratio(live);
	cJSON *limit;

	add_number(object, "max", (double)live->max_entries);
	cJSON_AddBoolToObject(object, "rehearsal", health_rehearsal(snap));
	if (live->limit_entries > 0) {
		limit = cJSON_AddObjectToObject(object, "limit");
		cJSON_AddStringToObject(limit, "kind",
					snap_limit_name((enum shm_limit)live->limit_kind));
		add_number(limit, "entries", (double)live->limit_entries);
	} else {
		cJSON_AddNullToObject(object, "limit");
	}
	add_or_null(object, "fill_ratio", fill >= 0, fill);
}

static void add_level(cJSON *object, const struct snapshot *snap)
{
	double ago = health_verified_seconds_ago(snap);
	char words[HEALTH_WORDS_BYTES];

	cJSON_AddStringToObject(object, "level", snap_level_name(health_level(snap)));
	cJSON_AddStringToObject(object, "level_reason", health_level_reason(snap, words));
	cJSON_AddStringToObject(object, "level_reason_code", health_level_reason_name(snap));
	if (snap->live.level_since_real_ns > 0 && health_fresh(snap))
		cJSON_AddStringToObject(
			object, "level_since",
			format_time((uint64_t)snap->live.level_since_real_ns, words));
	else
		cJSON_AddNullToObject(object, "level_since");
	cJSON_AddStringToObject(object, "quality", snap_quality_name(health_quality(snap)));
	cJSON_AddStringToObject(object, "quality_reason", health_quality_reason(snap));
	add_or_null(object, "verified_seconds_ago", ago >= 0, round(ago * 1e3) / 1e3);
}

static void add_losses(cJSON *object, const struct snap_live *live)
{
	cJSON *losses = cJSON_AddObjectToObject(object, "losses_per_second");

	add_number(losses, "dropped", (double)live->dropped_milli_per_s / 1e3);
	add_number(losses, "evicted", (double)live->evicted_milli_per_s / 1e3);
	add_number(losses, "chain", (double)live->chain_milli_per_s / 1e3);
	add_number(losses, "insert_failed", (double)live->insert_failed_milli_per_s / 1e3);
}

static void add_lost(cJSON *object, const struct snap_live *live)
{
	cJSON *lost = cJSON_AddObjectToObject(object, "losses");

	add_number(lost, "dropped", (double)live->stat_drop);
	add_number(lost, "evicted", (double)live->stat_early_drop);
	add_number(lost, "chain", (double)live->stat_chaintoolong);
	add_number(lost, "insert_failed", (double)live->stat_insert_failed);
}

static void add_forecast(cJSON *object, const struct snapshot *snap)
{
	const struct snap_forecast *forecast = &snap->forecast;
	cJSON *to = cJSON_AddObjectToObject(object, "forecast"), *times;
	bool says = health_forecast(snap);
	char words[FORECAST_WORDS_BYTES];
	uint32_t settles_at;
	bool settles = health_settles_at(snap, &settles_at);

	cJSON_AddStringToObject(to, "verdict", forecast_words(snap, words));
	cJSON_AddStringToObject(to, "verdict_code", forecast_verdict_code(snap));
	cJSON_AddBoolToObject(to, "alarm", says && forecast->alarm);
	if (says) {
		times = cJSON_AddObjectToObject(to, "time_to_full_seconds");
		add_or_null(times, "early", forecast->full_early_ms != SHM_NEVER_MS,
			    (double)forecast->full_early_ms / 1e3);
		add_or_null(times, "likely", forecast->full_likely_ms != SHM_NEVER_MS,
			    (double)forecast->full_likely_ms / 1e3);
		add_or_null(times, "late", forecast->full_late_ms != SHM_NEVER_MS,
			    (double)forecast->full_late_ms / 1e3);
	} else {
		cJSON_AddNullToObject(to, "time_to_full_seconds");
	}
	add_or_null(to, "settles_at_entries", says && settles, settles_at);
}

static void add_nat(cJSON *object, const struct snap_live *live)
{
	cJSON *to;

	if (live->nat_pools <= 0 || live->nat_used_ratio_ppm < 0) {
		cJSON_AddNullToObject(object, "nat");
		return;
	}
	to = cJSON_AddObjectToObject(object, "nat");
	cJSON_AddStringToObject(to, "l4proto",
				l4proto_info(ct_l4proto((uint8_t)live->nat_l4num))->name);
	add_number(to, "remote_port", (uint16_t)live->nat_remote_port);
	add_number(to, "held_ports", (double)live->nat_held_ports);
	add_number(to, "size_ports", (double)live->nat_size_ports);
	add_number(to, "ratio", (double)live->nat_used_ratio_ppm / 1e6);
	add_number(to, "failing_share", (double)live->nat_failing_ppm / 1e6);
	add_or_null(to, "time_to_full_seconds", live->nat_full_likely_ms >= 0,
		    (double)live->nat_full_likely_ms / 1e3);
}

static void add_zones(cJSON *object, const struct snap_zones *zones)
{
	cJSON *list = cJSON_AddArrayToObject(object, "zones");

	for (uint32_t i = 0; list && i < zones->count; i++) {
		cJSON *zone = cJSON_CreateObject();

		add_number(zone, "zone", zones->zones[i].zone);
		add_number(zone, "entries", zones->zones[i].entries);
		cJSON_AddItemToArray(list, zone);
	}
}

static void add_expectations(cJSON *object, const struct snap_live *live)
{
	cJSON *to;

	if (live->expectations < 0) {
		cJSON_AddNullToObject(object, "expectations");
		return;
	}
	to = cJSON_AddObjectToObject(object, "expectations");
	add_number(to, "entries", (double)live->expectations);
	add_or_null(to, "max", live->expectations_max >= 0, (double)live->expectations_max);
}

static void add_settings(cJSON *object, const struct snapshot *snap)
{
	struct text list;

	text_init(&list);
	settings_json(&snap->settings, 0, UINT64_MAX, &list);
	cJSON_AddRawToObject(object, "setting_changes", list.data ? list.data : "[]");
	text_free(&list);
}

void json_status(const struct snapshot *snap, struct text *out)
{
	const struct snap_live *live = &snap->live;
	cJSON *object = cJSON_CreateObject();

	if (health_rehearsal(snap))
		cJSON_AddStringToObject(object, "REHEARSAL", health_rehearsal_words());
	cJSON_AddStringToObject(object, "host", snap->host_name);
	cJSON_AddStringToObject(object, "netns", snap->netns_name);
	cJSON_AddBoolToObject(object, "agent_up", health_fresh(snap));
	cJSON_AddStringToObject(object, "agent", snap_agent_name(snap->agent));
	cJSON_AddStringToObject(object, "reason", health_reason(snap));
	add_or_null(object, "age_seconds", snap->age_ns != UINT64_MAX,
		    (double)(snap->age_ns / 1000000u) / 1e3);
	add_level(object, snap);
	add_number(object, "entries", (double)live->count_entries);
	add_limit(object, snap);
	add_losses(object, live);
	add_lost(object, live);
	add_forecast(object, snap);
	add_nat(object, live);
	add_zones(object, &snap->zones);
	add_expectations(object, live);
	add_settings(object, snap);
	add_number(object, "mirror_entries", (double)live->mirror_entries);
	add_number(object, "residual_entries", (double)live->residual_entries);
	add_number(object, "silent_entries", (double)live->silent_entries);
	add_number(object, "unassured_entries", (double)live->unassured_entries);
	cJSON_AddBoolToObject(object, "exact", health_exact(snap));
	cJSON_AddStringToObject(object, "mode", snap_mode_name(live->mode));
	add_doubts(object, snap);
	add_number(object, "buckets", (double)live->buckets);
	add_number(object, "chain_limit_entries", (double)live->chain_limit_entries);
	add_number(object, "events_lost", (double)live->events_lost);
	add_number(object, "resyncs", (double)live->resyncs_valid);
	add_number(object, "resyncs_invalid", (double)live->resyncs_invalid);
	add_time(object, "last_resync_timestamp_seconds", (uint64_t)live->last_resync_real_ns);
	add_time(object, "heartbeat_timestamp_seconds", (uint64_t)live->heartbeat_real_ns);
	add_number(object, "resync_seconds", (double)(live->resync_ns / 1000000) / 1e3);
	add_number(object, "agent_cpu_seconds", (double)(live->agent_cpu_ns / 1000000) / 1e3);
	add_number(object, "agent_pid", snap->agent_pid);
	cJSON_AddStringToObject(object, "agent_version", snap->agent_version);
	add_counters(object, live);
	print(object, out);
}

void json_stale(const struct snapshot *snap, struct text *out)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "netns", snap->netns_name);
	cJSON_AddBoolToObject(object, "agent_up", health_fresh(snap));
	cJSON_AddStringToObject(object, "agent", snap_agent_name(snap->agent));
	cJSON_AddStringToObject(object, "reason", health_reason(snap));
	add_or_null(object, "age_seconds", snap->age_ns != UINT64_MAX,
		    (double)(snap->age_ns / 1000000u) / 1e3);
	add_level(object, snap);
	print(object, out);
}

void json_status_missing(const char *netns, const char *reason, struct text *out)
{
	static const char *const numbers[] = {"entries",
					      "max",
					      "limit",
					      "fill_ratio",
					      "level_since",
					      "verified_seconds_ago",
					      "losses_per_second",
					      "losses",
					      "forecast",
					      "nat",
					      "expectations",
					      "mirror_entries",
					      "residual_entries",
					      "silent_entries",
					      "unassured_entries"};
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "netns", netns);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		cJSON_AddNullToObject(object, numbers[i]);
	cJSON_AddArrayToObject(object, "setting_changes");
	cJSON_AddArrayToObject(object, "zones");
	cJSON_AddBoolToObject(object, "exact", 0);
	cJSON_AddStringToObject(object, "mode", "unknown");
	cJSON_AddBoolToObject(object, "agent_up", 0);
	cJSON_AddStringToObject(object, "agent", "missing");
	cJSON_AddNullToObject(object, "age_seconds");
	cJSON_AddStringToObject(object, "level", snap_level_name(SHM_LEVEL_UNKNOWN));
	cJSON_AddStringToObject(object, "level_reason", reason);
	cJSON_AddStringToObject(object, "level_reason_code",
				snap_level_reason_name(SHM_LEVEL_REASON_NO_AGENT));
	cJSON_AddStringToObject(object, "quality", snap_quality_name(SHM_QUALITY_NOT_EXACT));
	cJSON_AddStringToObject(object, "quality_reason", reason);
	cJSON_AddStringToObject(object, "reason", reason);
	cJSON_AddBoolToObject(object, "rehearsal", 0);
	print(object, out);
}

void json_problem(unsigned int status, const char *title, const char *detail, const char *instance,
		  const char *parameter, struct text *out)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "type", "about:blank");
	cJSON_AddStringToObject(object, "title", title);
	add_number(object, "status", status);
	cJSON_AddStringToObject(object, "detail", detail);
	if (instance)
		cJSON_AddStringToObject(object, "instance", instance);
	if (parameter) {
		cJSON *errors = cJSON_AddArrayToObject(object, "errors");
		cJSON *error = cJSON_CreateObject();

		cJSON_AddStringToObject(error, "parameter", parameter);
		cJSON_AddStringToObject(error, "detail", detail);
		cJSON_AddItemToArray(errors, error);
	}
	print(object, out);
}

static void json_start(struct json *json, cJSON *root)
{
	memset(json, 0, sizeof(*json));
	json->at[0] = root;
	json->failed = !root;
}

void json_begin(struct json *json)
{
	json_start(json, cJSON_CreateObject());
}

void json_begin_array(struct json *json)
{
	json_start(json, cJSON_CreateArray());
}

/* False: `item` was freed, and the document is a failure. */
static bool json_add(struct json *json, const char *name, cJSON *item)
{
	cJSON *to = json->at[json->depth];
	bool added =
		!json->failed && item &&
		(name ? cJSON_AddItemToObject(to, name, item) : cJSON_AddItemToArray(to, item));

	if (added)
		return true;
	cJSON_Delete(item);
	json->failed = true;
	return false;
}

static void json_open(struct json *json, const char *name, cJSON *item)
{
	BUG_ON(json->depth + 1 >= JSON_DEPTH_MAX);
	item = json_add(json, name, item) ? item : NULL;
	json->at[++json->depth] = item;
}

void json_open_object(struct json *json, const char *name)
{
	json_open(json, name, cJSON_CreateObject());
}

void json_open_array(struct json *json, const char *name)
{
	json_open(json, name, cJSON_CreateArray());
}

void json_close(struct json *json)
{
	BUG_ON(json->depth == 0);
	json->depth--;
}

void json_string(struct json *json, const char *name, const char *value)
{
	json_add(json, name, value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

void json_number(struct json *json, const char *name, double value)
{
	json_add(json, name, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

void json_bool(struct json *json, const char *name, bool value)
{
	json_add(json, name, cJSON_CreateBool(value));
}

void json_end(struct json *json, struct text *out)
{
	BUG_ON(json->depth != 0);
	if (json->failed) {
		cJSON_Delete(json->at[0]);
		json->at[0] = NULL;
	}
	print(json->at[0], out);
}
