// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything of a request that comes from outside, except what libmicrohttpd
 * parses: address, headers, parameters, credentials, through all routes.
 * Input: lines; address, Accept, Accept-Encoding, If-None-Match, Authorization.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/http/routes/routes.h"
#include "exporters/http/toolkit/auth.h"
#include "exporters/http/toolkit/gate.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

#define LINES 5u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct snap_row rows[] = {
	{.key = {L4_TCP, DIR_INBOUND, 443},
	 .slot = 0,
	 .slot_generation = 1,
	 .entries = 12,
	 .states = {0, 2, 3, 7},
	 .new_per_s = 1.5,
	 .destroyed_per_s = 0.5,
	 .mean_lifetime_s = 30},
	{.key = {L4_UDP, DIR_FORWARDED, 53}, .slot = -1, .entries = 3, .states = {1, 0, 2}},
	{.key = {L4_ICMP, DIR_LOOPBACK, 0}, .slot = -1, .entries = 1, .states = {1}},
};

static const struct snap_forecast forecast = {
	.valid = true,
	.full_early_ms = 60000,
	.full_likely_ms = 120000,
	.full_late_ms = SHM_NEVER_MS,
	.limit_kind = SHM_LIMIT_ASSUMED,
	.limit_entries = 90,
	.verdict = SHM_VERDICT_FILLING,
	.alarm = true,
	.reason_count = 1,
	.horizon = {{20, 15, 25, 10, 30, 9, 7}},
};

static struct app *make_app(void)
{
	static struct app app;
	static struct http_stats stats;

	app.options = (struct app_options){.telemetry_path = "/metrics",
					   .exporter_metrics = true,
					   .compat_node_exporter = true,
					   .series_limit = 400};
	app.stats = &stats;
	app.source.netns = "host";
	app.source.snap.agent = SNAP_AGENT_UP;
	app.source.snap.rows = rows;
	app.source.snap.row_count = sizeof(rows) / sizeof(rows[0]);
	app.source.snap.live.mirror_entries = 16;
	app.source.snap.live.max_entries = 100;
	app.source.snap.live.mode = SHM_MODE_FULL;
	app.source.snap.forecast = forecast;
	return &app;
}

static void split(char *text, const char *lines[LINES])
{
	for (size_t i = 0; i < LINES; i++) {
		lines[i] = text;
		if (!text)
			continue;
		text = strchr(text, '\n');
		if (text)
			*text++ = '\0';
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct app *app;
	static struct query query;
	struct gate_view view = {.malformed = false};
	struct request request = {.query = &query};
	struct response response;
	const char *lines[LINES];
	char credentials[256];
	char *text = malloc(bytes + 1);

	if (!text)
		return 0;
	if (!app)
		app = make_app();
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	split(text, lines);
	if (lines[4])
		tls_base64_decode(lines[4], credentials, sizeof(credentials));
	gate_see_header(&view, lines[0], lines[1] ? lines[1] : "");
	gate_is_direct(&view);
	if (query_parse(lines[0], &query) == 0) {
		request.accept = lines[1];
		request.accept_encoding = lines[2];
		request.if_none_match = lines[3];
		app->source.taken_boot_ns = clock_boot_ns();
		app->source.detail_of_boot_ns = app->source.taken_boot_ns;
		response_init(&response);
		routes_handle(app, &request, &response);
		BUG_ON(response.status < 200 || response.status > 599);
		BUG_ON(response.status == 500);
		BUG_ON(response.status != 304 && !response.content_type[0]);
		for (size_t i = 0; i < response.header_count; i++)
			BUG_ON(strpbrk(response.headers[i].value, "\r\n") != NULL);
		text_free(&response.body);
	}
	free(text);
	return 0;
}
