// SPDX-License-Identifier: GPL-2.0-or-later
/* /api/v1: the list of what is served, for people who start with the address alone. */
#include <string.h>

#include "exporters/http/routes/api.h"
#include "exporters/http/routes/routes.h"

const struct column index_columns[] = {
	{"path", 30, "PATH", "string", "address; words in braces stand for one of their kind"},
	{"summary", 72, "SUMMARY", "string", "what it tells"},
	{"parameters", 0, "PARAMETERS", "array", "names of its parameters"},
};
const size_t index_column_count = sizeof(index_columns) / sizeof(index_columns[0]);

/* As a list of JSON, and as words. */
static void add_words(struct rows *rows, const char *words)
{
	struct text json;

	text_init(&json);
	text_add_char(&json, '[');
	for (const char *at = words; *at;) {
		size_t bytes = strcspn(at, " ");

		text_add_format(&json, "%s\"%.*s\"", at == words ? "" : ",", (int)bytes, at);
		at += bytes;
		at += strspn(at, " ");
	}
	text_add_char(&json, ']');
	if (text_failed(&json))
		rows->out->failed = true;
	else
		rows_value(rows, json.data, *words ? words : "-");
	text_free(&json);
}

void route_index(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response)
{
	struct rows rows;
	struct api api;

	(void)match;
	if (!api_take_params(request, &api, response))
		return;
	response_type(response, 200, rows_format_media_type(api.format));
	rows_begin(&rows, &response->body, api.format, index_columns, index_column_count);
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];

		if (route->flags & ROUTE_HIDDEN)
			continue;
		rows_string(&rows, route->flags & ROUTE_PREFIX ? app->options.telemetry_path
							       : route->path);
		rows_string(&rows, route->summary);
		add_words(&rows, route->params);
	}
	rows_end(&rows);
}
