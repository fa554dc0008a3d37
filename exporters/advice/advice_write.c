// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "exporters/advice/advice.h"
#include "exporters/advice/patterns.h"
#include "exporters/advice/write.h"
#include "exporters/render/age.h"
#include "exporters/render/forecast_text.h"
#include "exporters/render/head.h"
#include "lib/health/health.h"

const struct column advice_columns[] = {
	{"id", 0, "", "string", "of the remedy; the same remedy of the same port has the same"},
	{"title", 0, "", "string", "what to do"},
	{"reason", 0, "", "string", "the figures it rests on"},
	{"pattern", 0, "", "string|null", "what it is against; see why"},
	{"confidence", 0, "", "string|null", "of the pattern: sure, likely or not sure"},
	{"saves_entries", 0, "", "number|null",
	 "entries that would not be here now, had it been in force; null: cannot be counted"},
	{"saves_ratio", 0, "", "number|null", "the same, as a part of the entries"},
	{"saves_peak_entries", 0, "", "number|null",
	 "the same at the fullest moment of the last hour..."},
	{"saves_peak_timestamp_seconds", 0, "", "number|null", "...and when that was"},
	{"settles_fewer_entries", 0, "", "number|null",
	 "by how much lower the table settles; null: the forecast cannot say"},
	{"lasts_seconds", 0, "", "number|null",
	 "of what helps at once in a table that is nearly full: for how long, at the present "
	 "rate; an hour at most"},
	{"helps_from_seconds", 0, "", "number|null",
	 "after the change: until the first entries fewer can be seen"},
	{"helps_fully_seconds", 0, "", "number|null", "the same, until all of it can"},
	{"settles_at_entries_then", 0, "", "number|null",
	 "where the table settles with it; null: the forecast cannot say"},
	{"memory_bytes_delta", 0, "", "number|null",
	 "kernel memory; of a larger table: when it is full"},
	{"whatif", 0, "", "string", "the what-if that says the same, or empty"},
	{"commands", 0, "", "object", "lists of lines, by who understands them"},
	{"warnings", 0, "", "array", "what must be known before"},
};
const size_t advice_column_count = sizeof(advice_columns) / sizeof(advice_columns[0]);

static void write_commands(const struct advice_item *item, struct json *json)
{
	json_open_object(json, "commands");
	for (unsigned int tool = 0; tool < TOOL_COUNT; tool++) {
		bool open = false;

		for (uint32_t i = 0; i < item->command_count; i++) {
			if (item->commands[i].tool != tool)
				continue;
			if (!open)
				json_open_array(json, tool_name((enum tool)tool));
			open = true;
			json_string(json, NULL, item->commands[i].text);
		}
		if (open)
			json_close(json);
	}
	json_close(json);
}

void advice_json(const struct advice *advice, struct text *out)
{
	struct json json;

	json_begin_array(&json);
	for (uint32_t i = 0; i < advice->count; i++) {
		const struct advice_item *item = &advice->items[i];

		json_open_object(&json, NULL);
		json_string(&json, "id", item->id);
		json_string(&json, "title", item->title);
		json_string(&json, "reason", item->reason);
		json_string(&json, "pattern", item->pattern ? item->pattern->id : NULL);
		json_string(&json, "confidence",
			    item->pattern ? confidence_name(item->confidence) : NULL);
		json_number(&json, "saves_entries", round(item->saves_entries));
		json_number(&json, "saves_ratio", write_round(item->saves_ratio));
		json_number(&json, "saves_peak_entries", round(item->counted.peak_entries));
		json_number(&json, "saves_peak_timestamp_seconds",
			    isnan(item->counted.peak_entries)
				    ? (double)NAN
				    : (double)(item->counted.peak_real_ns / 1000000000u));
		json_number(&json, "settles_fewer_entries", round(item->settles_fewer_entries));
		json_number(&json, "lasts_seconds",
			    item->lasts_s > LASTS_MOST_S ? LASTS_MOST_S : round(item->lasts_s));
		json_number(&json, "helps_from_seconds", round(item->counted.begins_s));
		json_number(&json, "helps_fully_seconds", round(item->counted.full_s));
		json_number(&json, "settles_at_entries_then", round(item->settles_at_entries_then));
		json_number(&json, "memory_bytes_delta", round(item->memory_bytes_delta));
		json_string(&json, "whatif", item->whatif);
		write_commands(item, &json);
		write_warnings(&json, item->warnings);
		json_close(&json);
	}
	json_end(&json, out);
}

static void add_commands(const struct advice_item *item, enum tool tool, struct text *out)
{
	bool first = true;

	for (uint32_t i = 0; i < item->command_count; i++) {
		if (item->commands[i].tool != tool)
			continue;
		if (first)
			text_add_format(out, "   %s:\n", tool_name(tool));
		first = false;
		text_add_format(out, "     %s\n", item->commands[i].text);
	}
}

static const char *in_seconds(double seconds, char out[32])
{
	return format_age((uint64_t)(1e9 * seconds), out);
}

/* A memory figure, or what is saved of now. */
static void add_now(const struct advice_item *item, struct text *out)
{
	double mib = item->memory_bytes_delta / 1048576;

	if (item_enlarges(item))
		text_add_format(out, "kernel memory %+.1f MiB when the table is full", mib);
	else if (isnan(item->saves_entries))
		text_add(out, "how many entries it saves is not known yet");
	else if (item->saves_entries < 0.5)
		text_add(out, "saves none of the present entries");
	else
		text_add_format(out, "saves %.0f entries now, %.1f %%; kernel memory %+.1f MiB",
				item->saves_entries, 100 * item->saves_ratio, mib);
}

/* What lasts, and what comes later. */
static void add_later(const struct advice_item *item, const char *between, struct text *out)
{
	const struct savings *counted = &item->counted;
	char first[32], last[32];

	if (isinf(item->lasts_s))
		text_add_format(out, "%sat once; lasts at the present rate", between);
	else if (!isnan(item->lasts_s))
		text_add_format(out, "%sat once; lasts %s at the present rate", between,
				in_seconds(item->lasts_s, first));
	if (counted->peak_entries > 1.05 * item->saves_entries)
		text_add_format(out,
				"%s%.0f of %.0f entries at %s, the fullest moment of the last hour",
				between, counted->peak_entries, counted->peak_of_entries,
				format_time(counted->peak_real_ns, first));
	if (item->settles_fewer_entries >= 0.5)
		text_add_format(out, "%sthe table settles %.0f entries lower", between,
				item->settles_fewer_entries);
	if (!isnan(counted->full_s))
		text_add_format(out, "%shelps %s%s, fully after %s", between,
				counted->begins_s > 0 ? "after " : "at once",
				counted->begins_s > 0 ? in_seconds(counted->begins_s, first) : "",
				in_seconds(counted->full_s, last));
}

bool advice_has_savings(const struct advice_item *item)
{
	return item->merit != MERIT_NONE && (!item_enlarges(item) || item->memory_bytes_delta > 0);
}

void advice_savings_text(const struct advice_item *item, const char *between, struct text *out)
{
	add_now(item, out);
	add_later(item, between, out);
}

static void add_item(const struct advice_item *item, uint32_t number, struct text *out)
{
	text_add_format(out, "%s%u. %s\n   %s.\n", number > 1 ? "\n" : "", number, item->title,
			item->reason);
	if (advice_has_savings(item)) {
		text_add(out, "   ");
		advice_savings_text(item, "\n   ", out);
		text_add_char(out, '\n');
	}
	if (item->whatif[0])
		text_add_format(out, "   try other numbers: conntide whatif %s\n", item->whatif);
	for (unsigned int tool = 0; tool < TOOL_COUNT; tool++)
		add_commands(item, (enum tool)tool, out);
	for (unsigned int i = 0; i < WARN_COUNT; i++)
		if (item->warnings & UINT32_C(1) << i)
			text_add_format(out, "   - %s\n", warning_text((enum warning)i));
}

void advice_text(const struct advice *advice, struct text *out)
{
	const struct snapshot *snap = advice->why->snap;
	char words[FORECAST_WORDS_BYTES];

	head_banner(snap, out);
	text_add_format(out, "%s: %s", snap->netns_name, snap_level_name(health_level(snap)));
	text_add_format(out, ", %s; ", health_level_reason(snap, words));
	text_add_format(out, "%s\n\n", forecast_settles(snap, words));
	for (uint32_t i = 0; i < advice->count; i++)
		add_item(&advice->items[i], i + 1, out);
	text_add(out, "\nconntide changes nothing itself.\n");
}
