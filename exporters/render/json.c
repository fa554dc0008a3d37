// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/render/forecast_text.h"
#include "lib/base/check.h"
#include "lib/health/health.h"

const struct column status_columns[] = {
	{"netns", 0, "", "string", "name of the network namespace's table"},
	{"entries", 0, "", "integer|null", "the kernel's count"},
	{"max", 0, "", "integer|null", "the limit, 0 for none"},
	{"fill_ratio", 0, "", "number|null", "entries / max; null without a limit"},
	{"mirror_entries", 0, "", "integer|null", "entries in the mirror"},
	{"residual_entries", 0, "", "integer|null", "entries - mirror_entries"},
	{"mute_entries", 0, "", "integer|null", "entries that may change without telling"},
	{"unassured_entries", 0, "", "integer|null", "entries the kernel may drop early"},
	{"exact", 0, "", "boolean", "nothing is known that could make a number wrong"},
	{"mode", 0, "", "string", "starting, full, no-update, polling or unknown"},
	{"agent_up", 0, "", "boolean", "the agent is alive, the numbers are fresh"},
	{"agent", 0, "", "string", "up, starting, silent, stopped, rebooted or missing"},
	{"age_seconds", 0, "", "number|null", "age of the numbers; null after a reboot"},
	{"level", 0, "", "string", "OK, HIGH, CRITICAL, FULL or UNKNOWN"},
	{"reason", 0, "", "string", "why the numbers are not to be trusted fully"},
	{"verdict", 0, "", "string", "what is going to happen, in words, as in forecast"},
	{"alarm", 0, "", "boolean", "full within ten minutes is likely"},
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

	/* Nanoseconds stand elsewhere, in seconds: a JSON number holds 53 bits. */
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

void json_status(const struct snapshot *snap, struct text *out)
{
	const struct snap_live *live = &snap->live;
	cJSON *object = cJSON_CreateObject();
	double fill = health_fill_ratio(live);
	char words[FORECAST_WORDS_BYTES];

	cJSON_AddStringToObject(object, "netns", snap->netns_name);
	add_number(object, "entries", (double)live->count_entries);
	add_number(object, "max", (double)live->max_entries);
	if (fill >= 0)
		add_number(object, "fill_ratio", fill);
	else
		cJSON_AddNullToObject(object, "fill_ratio");
	add_number(object, "mirror_entries", (double)live->mirror_entries);
	add_number(object, "residual_entries", (double)live->residual_entries);
	add_number(object, "mute_entries", (double)live->mute_entries);
	add_number(object, "unassured_entries", (double)live->unassured_entries);
	cJSON_AddBoolToObject(object, "exact", health_exact(snap));
	cJSON_AddStringToObject(object, "mode", snap_mode_name(live->mode));
	cJSON_AddBoolToObject(object, "agent_up", health_fresh(snap));
	cJSON_AddStringToObject(object, "agent", snap_agent_name(snap->agent));
	if (snap->age_ns == UINT64_MAX)
		cJSON_AddNullToObject(object, "age_seconds");
	else
		add_number(object, "age_seconds", (double)(snap->age_ns / 1000000u) / 1e3);
	cJSON_AddStringToObject(object, "level", health_level_name(health_level(snap)));
	cJSON_AddStringToObject(object, "reason", health_reason(snap));
	cJSON_AddStringToObject(object, "verdict", forecast_words(snap, words));
	cJSON_AddBoolToObject(object, "alarm", health_forecast(snap) && snap->forecast.alarm);
	add_doubts(object, snap);
	add_number(object, "buckets", (double)live->buckets);
	add_number(object, "chain_limit_entries", (double)live->chain_limit_entries);
	add_number(object, "drops", (double)live->stat_drop);
	add_number(object, "early_drops", (double)live->stat_early_drop);
	add_number(object, "chain_drops", (double)live->stat_chaintoolong);
	add_number(object, "insert_failures", (double)live->stat_insert_failed);
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

void json_status_missing(const char *netns, const char *reason, struct text *out)
{
	static const char *const numbers[] = {
		"entries",	    "max",	    "fill_ratio",	"mirror_entries",
		"residual_entries", "mute_entries", "unassured_entries"};
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "netns", netns);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		cJSON_AddNullToObject(object, numbers[i]);
	cJSON_AddBoolToObject(object, "exact", 0);
	cJSON_AddStringToObject(object, "mode", "unknown");
	cJSON_AddBoolToObject(object, "agent_up", 0);
	cJSON_AddStringToObject(object, "agent", "missing");
	cJSON_AddNullToObject(object, "age_seconds");
	cJSON_AddStringToObject(object, "level", "UNKNOWN");
	cJSON_AddStringToObject(object, "reason", reason);
	cJSON_AddStringToObject(object, "verdict", "cannot say: there are no numbers");
	cJSON_AddBoolToObject(object, "alarm", 0);
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
