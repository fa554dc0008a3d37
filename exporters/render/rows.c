// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exporters/render/age.h"
#include "exporters/render/fit.h"
#include "exporters/render/settings.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/kernel/states.h"

static const struct {
	const char *name;
	const char *media_type;
} formats[ROWS_FORMAT_COUNT] = {
	[ROWS_JSON] = {"json", "application/json"},
	[ROWS_NDJSON] = {"ndjson", "application/x-ndjson"},
	[ROWS_CSV] = {"csv", "text/csv; charset=utf-8"},
	[ROWS_TEXT] = {"text", "text/plain; charset=utf-8"},
};

int rows_format_by_name(const char *name)
{
	for (int i = 0; i < ROWS_FORMAT_COUNT; i++)
		if (!strcmp(name, formats[i].name))
			return i;
	return -1;
}

const char *rows_format_name(enum rows_format format)
{
	return formats[format].name;
}

const char *rows_format_media_type(enum rows_format format)
{
	return formats[format].media_type;
}

void rows_begin(struct rows *rows, struct text *out, enum rows_format format,
		const struct column *columns, size_t column_count)
{
	*rows = (struct rows){.out = out,
			      .format = format,
			      .columns = columns,
			      .column_count = column_count,
			      .line = out->bytes};
	if (format == ROWS_TEXT && out->columns) {
		text_init(&rows->cells);
		rows->fit = out;
		rows->out = out = &rows->cells;
	}
	if (format == ROWS_JSON)
		text_add_char(out, '[');
	for (size_t i = 0; i < column_count && (format == ROWS_CSV || format == ROWS_TEXT); i++) {
		size_t from = out->bytes;
		const char *name = format == ROWS_CSV ? columns[i].name : columns[i].title;

		text_add(out, name);
		if (rows->fit)
			text_add_char(out, FIT_FIELD_END);
		else if (i + 1 == column_count)
			text_add(out, format == ROWS_CSV ? "\r\n" : "\n");
		else if (format == ROWS_CSV)
			text_add_char(out, ',');
		else
			text_pad(out, from, columns[i].width);
	}
}

void rows_spare(struct rows *rows, const char *spare)
{
	rows->spare = spare;
}

static void begin_field(struct rows *rows)
{
	struct text *out = rows->out;
	bool json = rows->format == ROWS_JSON || rows->format == ROWS_NDJSON;

	if (rows->at == 0) {
		if (rows->format == ROWS_JSON)
			text_add(out, rows->written ? ",\n" : "\n");
		if (json)
			text_add_char(out, '{');
		rows->line = out->bytes;
	} else if (rows->format != ROWS_TEXT) {
		text_add_char(out, ',');
	}
	if (json) {
		text_add_json_string(out, rows->columns[rows->at].name);
		text_add_char(out, ':');
	}
	rows->field = out->bytes;
}

static void end_field(struct rows *rows)
{
	struct text *out = rows->out;

	BUG_ON(rows->at >= rows->column_count);
	if (rows->fit)
		text_add_char(out, FIT_FIELD_END);
	if (++rows->at < rows->column_count) {
		if (rows->format == ROWS_TEXT && !rows->fit)
			text_pad(out, rows->field, rows->columns[rows->at - 1].width);
		return;
	}
	if (rows->format == ROWS_JSON)
		text_add_char(out, '}');
	else
		text_add(out, rows->format == ROWS_NDJSON ? "}\n"
			      : rows->format == ROWS_CSV  ? "\r\n"
			      : rows->fit		  ? ""
							  : "\n");
	rows->at = 0;
	rows->written++;
}

void rows_string(struct rows *rows, const char *value)
{
	begin_field(rows);
	if (rows->format == ROWS_JSON || rows->format == ROWS_NDJSON)
		text_add_json_string(rows->out, value);
	else if (rows->format == ROWS_CSV)
		text_add_csv(rows->out, value);
	else
		text_add(rows->out, *value ? value : "-");
	end_field(rows);
}

void rows_value(struct rows *rows, const char *json, const char *plain)
{
	begin_field(rows);
	if (rows->format == ROWS_JSON || rows->format == ROWS_NDJSON)
		text_add(rows->out, json);
	else if (rows->format == ROWS_CSV)
		text_add_csv(rows->out, strcmp(plain, "-") != 0 ? plain : "");
	else
		text_add(rows->out, plain);
	end_field(rows);
}

void rows_u64(struct rows *rows, uint64_t value)
{
	begin_field(rows);
	text_add_u64(rows->out, value);
	end_field(rows);
}

static void add_null(struct rows *rows)
{
	if (rows->format == ROWS_TEXT)
		text_add_char(rows->out, '-');
	else if (rows->format != ROWS_CSV)
		text_add(rows->out, "null");
}

void rows_u64_or_null(struct rows *rows, bool known, uint64_t value)
{
	begin_field(rows);
	if (known)
		text_add_u64(rows->out, value);
	else
		add_null(rows);
	end_field(rows);
}

void rows_boolean(struct rows *rows, bool known, bool value)
{
	begin_field(rows);
	if (!known)
		add_null(rows);
	else if (rows->format == ROWS_TEXT)
		text_add(rows->out, value ? "yes" : "no");
	else
		text_add(rows->out, value ? "true" : "false");
	end_field(rows);
}

void rows_double(struct rows *rows, double value)
{
	begin_field(rows);
	if (!isfinite(value)) {
		add_null(rows);
	} else if (rows->format == ROWS_TEXT) {
		text_add_format(rows->out, fabs(value) < 10 ? "%.2f" : "%.0f", value);
	} else {
		text_add_format(rows->out, "%.6g", value);
	}
	end_field(rows);
}

void rows_share(struct rows *rows, double share)
{
	if (rows->format != ROWS_TEXT || !isfinite(share)) {
		rows_double(rows, share);
		return;
	}
	begin_field(rows);
	text_add_format(rows->out, "%.1f %%", 100 * share);
	end_field(rows);
}

void rows_port(struct rows *rows, uint16_t port)
{
	rows_u64_or_null(rows, port || rows->format != ROWS_TEXT, port);
}

void rows_time(struct rows *rows, uint64_t real_ns)
{
	char time[32];

	rows_string(rows, format_time(real_ns, time));
}

static const char *state_or_unknown(unsigned int l4proto, unsigned int state)
{
	const char *name = state_name(l4proto, state);

	return name ? name : "unknown";
}

/* Largest first where people read it, in the kernel's order elsewhere. */
void rows_states(struct rows *rows, const struct snap_row *row)
{
	bool json = rows->format == ROWS_JSON || rows->format == ROWS_NDJSON;
	uint32_t done = 0;
	const char *separator = "";

	begin_field(rows);
	if (json)
		text_add_char(rows->out, '{');
	for (unsigned int n = 0; n < STATE_SLOTS_MAX; n++) {
		unsigned int state = n;

		for (unsigned int i = 0; !json && i < STATE_SLOTS_MAX; i++)
			if (!(done & 1u << i) &&
			    (done & 1u << state || row->states[i] > row->states[state]))
				state = i;
		done |= 1u << state;
		if (row->states[state] == 0)
			continue;
		text_add(rows->out, separator);
		if (json) {
			text_add_json_string(rows->out, state_or_unknown(row->key.l4proto, state));
			text_add_format(rows->out, ":%" PRIu32, row->states[state]);
			separator = ",";
		} else {
			text_add_format(rows->out, "%s=%" PRIu32,
					state_or_unknown(row->key.l4proto, state),
					row->states[state]);
			separator = rows->format == ROWS_CSV ? ";" : "  ";
		}
	}
	if (json)
		text_add_char(rows->out, '}');
	end_field(rows);
}

const char *row_field(enum rows_format format, const struct row_key *key, char out[ROW_FIELD_BYTES])
{
	const struct l4proto_info *info = l4proto_info(key->l4proto);
	const char *name = info ? info->name : "unknown";
	const char *direction = direction_name(key->direction);

	if (format != ROWS_TEXT || (info && info->has_ports && key->l4proto != L4_OTHER))
		snprintf(out, ROW_FIELD_BYTES, "%s/%s/%u", name, direction, key->port);
	else if (key->l4proto == L4_OTHER)
		snprintf(out, ROW_FIELD_BYTES, "%u/%s", key->port, direction);
	else
		snprintf(out, ROW_FIELD_BYTES, "%s/%s", name, direction);
	return out;
}

void rows_history_top(struct rows *rows, const struct snap_sample *sample)
{
	bool json = rows->format == ROWS_JSON || rows->format == ROWS_NDJSON;
	const char *separator = "";

	begin_field(rows);
	if (json)
		text_add_char(rows->out, '[');
	for (unsigned int i = 0; i < SHM_TOP_PORTS; i++) {
		const struct snap_top *top = &sample->top[i];
		const struct l4proto_info *info = l4proto_info(top->key.l4proto);
		const char *direction = direction_name(top->key.direction);
		char row[ROW_FIELD_BYTES];

		if (top->entries == 0 || !info || !direction)
			continue;
		if (json)
			text_add_format(rows->out,
					"%s{\"l4proto\":\"%s\",\"direction\":\"%s\",\"port\":%u,"
					"\"entries\":%" PRIu32 "}",
					separator, info->name, direction, top->key.port,
					top->entries);
		else
			text_add_format(rows->out, "%s%s=%" PRIu32, separator,
					row_field(rows->format, &top->key, row), top->entries);
		separator = json ? "," : rows->format == ROWS_CSV ? ";" : " ";
	}
	if (json)
		text_add_char(rows->out, ']');
	end_field(rows);
}

void rows_end(struct rows *rows)
{
	BUG_ON(rows->at != 0);
	if (rows->format == ROWS_JSON)
		text_add(rows->out, rows->written ? "\n]\n" : "]\n");
	if (rows->fit) {
		fit_table(&rows->cells, rows->columns, rows->column_count, rows->spare, rows->fit);
		text_free(&rows->cells);
	}
}

const struct column history_columns[] = {
	{"time", 21, "TIME", "string", "end of the interval, RFC 3339, UTC"},
	{"timestamp_seconds", 15, "TIMESTAMP", "number", "the same, seconds since 1970"},
	{"entries", 9, "ENTRIES", "integer", "the kernel's count at the end"},
	{"mirror_entries", 9, "MIRROR", "integer", "entries in the mirror at the end"},
	{"max", 9, "MAX", "integer", "the limit at the end"},
	{"new_entries", 8, "NEW", "integer", "entries created in the interval"},
	{"destroyed_entries", 8, "ENDED", "integer", "entries destroyed in the interval"},
	{"dropped", 8, "DROPPED", "integer", "packets dropped in the interval"},
	{"evicted", 8, "EVICTED", "integer", "entries evicted early in the interval"},
	{"events_lost", 7, "LOST", "integer", "events lost in the interval"},
	{"top_ports", 50, "TOP PORTS", "array", "the largest ports at the end"},
	{"settings", 0, "SETTINGS", "array", "settings of the kernel changed in the interval"},
};
const size_t history_column_count = sizeof(history_columns) / sizeof(history_columns[0]);

/* Those changed after `from_real_ns`, up to and with `to_real_ns`. */
static void rows_settings(struct rows *rows, const struct snap_settings *settings,
			  uint64_t from_real_ns, uint64_t to_real_ns)
{
	struct text json, plain;

	text_init(&json);
	text_init(&plain);
	settings_json(settings, from_real_ns, to_real_ns, &json);
	settings_plain(settings, from_real_ns, to_real_ns, &plain);
	if (text_failed(&json) || text_failed(&plain))
		rows->out->failed = true;
	rows_value(rows, json.data ? json.data : "[]", plain.data ? plain.data : "");
	text_free(&json);
	text_free(&plain);
}

void render_history(const struct snap_history *history, const struct snap_settings *settings,
		    uint64_t since_real_ns, size_t limit, enum rows_format format, struct text *out)
{
	size_t first = limit && history->sample_count > limit ? history->sample_count - limit : 0;
	struct rows rows;

	rows_begin(&rows, out, format, history_columns, history_column_count);
	rows_spare(&rows, "timestamp_seconds settings max mirror_entries events_lost "
			  "destroyed_entries evicted");
	for (size_t i = first; i < history->sample_count; i++) {
		const struct snap_sample *sample = &history->samples[i];

		/* By whole seconds, as they are shown: asking since the last gives what is new. */
		if (sample->real_ns / NS_PER_S <= since_real_ns / NS_PER_S)
			continue;
		rows_time(&rows, sample->real_ns);
		rows_u64(&rows, sample->real_ns / NS_PER_S);
		rows_u64(&rows, sample->count_entries);
		rows_u64(&rows, sample->mirror_entries);
		rows_u64(&rows, sample->max_entries);
		rows_u64(&rows, sample->new_entries);
		rows_u64(&rows, sample->destroyed_entries);
		rows_u64(&rows, sample->drops);
		rows_u64(&rows, sample->early_drops);
		rows_u64(&rows, sample->lost_events);
		rows_history_top(&rows, sample);
		rows_settings(&rows, settings,
			      i ? history->samples[i - 1].real_ns
				: sample->real_ns - history->interval_ns,
			      sample->real_ns);
	}
	rows_end(&rows);
}
