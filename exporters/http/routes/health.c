// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "exporters/http/routes/routes.h"
#include "exporters/render/age.h"
#include "exporters/render/rows.h"
#include "exporters/render/table.h"
#include "lib/base/clock.h"
#include "lib/health/health.h"

static bool wants_checks(const struct request *request)
{
	const char *value = query_value(request->query, "verbose");

	return value && strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

static void check(struct response *response, bool good, const char *name, const char *what)
{
	text_add_format(&response->body, "[%c]%s %s\n", good ? '+' : '-', name, what);
}

static void add_checks(struct app *app, const struct snapshot *snap, struct response *response)
{
	char age[32];

	check(response, snap != NULL, "table", snap ? "ok" : app->source.why);
	if (snap) {
		check(response, health_up(snap), "agent",
		      health_up(snap) ? "ok" : health_reason(snap));
		check(response, health_fresh(snap), "age", format_age(snap->age_ns, age));
		check(response, health_quality(snap) != SHM_QUALITY_NOT_EXACT, "quality",
		      health_exact(snap) ? "ok" : health_quality_reason(snap));
	}
	check(response, app->stats->config_ok, "web-config",
	      app->stats->config_ok ? "ok" : "the file is broken; an older one is in force");
}

void route_healthy(struct app *app, const struct request *request, const struct route_match *match,
		   struct response *response)
{
	(void)match;
	response_type(response, 200, rows_format_media_type(ROWS_TEXT));
	response->changeless = true;
	if (wants_checks(request)) {
		check(response, true, "http", "ok");
		check(response, app->stats->config_ok, "web-config",
		      app->stats->config_ok ? "ok"
					    : "the file is broken; an older one is in force");
	}
	text_add(&response->body, "conntide-exporter is healthy.\n");
}

void route_ready(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response)
{
	const struct snapshot *snap =
		source_snapshot(&app->source, clock_boot_ns(), clock_real_ns());
	bool ready = snap && snap->agent == SNAP_AGENT_UP;

	(void)match;
	response_type(response, ready ? 200 : 503, rows_format_media_type(ROWS_TEXT));
	response->changeless = true;
	if (!ready)
		response_header(response, "Retry-After", "5");
	if (wants_checks(request))
		add_checks(app, snap, response);
	if (ready)
		text_add(&response->body, "conntide-exporter is ready.\n");
	else
		text_add_format(&response->body, "conntide-exporter is not ready: %s\n",
				snap ? health_reason(snap) : app->source.why);
}
