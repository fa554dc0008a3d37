// SPDX-License-Identifier: GPL-2.0-or-later
/* /api/v1/history/states: what the table was made of, from the frames of the table's log. */
#include <inttypes.h>

#include "exporters/http/routes/api.h"
#include "exporters/http/routes/routes.h"
#include "lib/base/clock.h"
#include "lib/kernel/states.h"

const struct column states_columns[] = {
	{"time", 21, "TIME", "string", "end of the interval, RFC 3339, UTC"},
	{"timestamp_seconds", 15, "TIMESTAMP", "number", "the same, seconds since 1970"},
	{"entries", 9, "ENTRIES", "integer", "the kernel's count at the end"},
	{"states", 0, "STATES", "object",
	 "entries by protocol and state, of the largest ports at the end"},
};
const size_t states_column_count = sizeof(states_columns) / sizeof(states_columns[0]);

/* As JSON, and as words. */
static void add_states(struct rows *rows, const struct snap_frame *frame)
{
	uint32_t sums[L4_COUNT][STATE_SLOTS_MAX] = {{0}};
	const char *separator = "", *gap = "";
	struct text json, plain;

	text_init(&json);
	text_init(&plain);
	for (uint32_t i = 0; i < frame->cell_count; i++)
		sums[frame->cells[i].key.l4proto][frame->cells[i].state] += frame->cells[i].entries;
	text_add_char(&json, '{');
	for (unsigned int l4proto = 0; l4proto < L4_COUNT; l4proto++) {
		for (unsigned int s = 0; s < STATE_SLOTS_MAX; s++) {
			const char *proto = l4proto_info(l4proto)->name;
			const char *state = state_name(l4proto, s);

			if (!sums[l4proto][s] || !state)
				continue;
			text_add_format(&json, "%s\"%s %s\":%" PRIu32, separator, proto, state,
					sums[l4proto][s]);
			text_add_format(&plain, "%s%s/%s=%" PRIu32, gap, proto, state,
					sums[l4proto][s]);
			separator = ",";
			gap = " ";
		}
	}
	text_add_char(&json, '}');
	if (text_failed(&json) || text_failed(&plain))
		rows->out->failed = true;
	else
		rows_value(rows, json.data, plain.data ? plain.data : "-");
	text_free(&json);
	text_free(&plain);
}

void route_states(struct app *app, const struct request *request, const struct route_match *match,
		  struct response *response)
{
	const struct snap_detail *details;
	const struct snap_table_log *log;
	const struct snapshot *snap;
	struct rows rows;
	struct api api;
	size_t first;

	(void)match;
	if (!api_take_params(request, &api, response))
		return;
	snap = api_snapshot(app, api.stale, response);
	details = snap ? api_details(app, response) : NULL;
	if (!details)
		return;
	log = api.minutes ? &details->hour : &details->minutes;
	first = log->count > api.select.limit ? log->count - api.select.limit : 0;
	api_begin_rows(snap, api.format, response);
	rows_begin(&rows, &response->body, api.format, states_columns, states_column_count);
	for (size_t i = first; i < log->count; i++) {
		const struct snap_frame *frame = &log->frames[i];

		if (frame->real_ns / NS_PER_S <= api.since_real_ns / NS_PER_S)
			continue;
		rows_time(&rows, frame->real_ns);
		rows_u64(&rows, frame->real_ns / NS_PER_S);
		rows_u64(&rows, frame->count_entries);
		add_states(&rows, frame);
	}
	rows_end(&rows);
}
