// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "exporters/http/message/negotiate.h"
#include "exporters/http/routes/routes.h"
#include "exporters/http/toolkit/process.h"
#include "exporters/render/prom_text.h"
#include "lib/base/build_info.h"
#include "lib/base/clock.h"
#include "lib/health/health.h"

static void add_own(struct app *app, struct families *families)
{
	char labels[64];

	families_add_u64(families, FAMILY_SNAPSHOT_ERRORS, "", app->source.errors);
	families_add_double(families, FAMILY_SCRAPE_SECONDS, "", (double)app->scrape_ns / 1e9);
	if (!app->options.exporter_metrics)
		return;
	families_add_u64(families, FAMILY_HTTP_CONNECTIONS, "", app->stats->connections);
	families_add_u64(families, FAMILY_CONFIG_OK, "", app->stats->config_ok);
	families_add_double(families, FAMILY_CONFIG_TIME, "",
			    (double)app->stats->config_real_ns / 1e9);
	for (unsigned int i = 0; i < REFUSED_COUNT; i++) {
		snprintf(labels, sizeof(labels), "reason=\"%s\"", refusal_name((enum refusal)i));
		families_add_u64(families, FAMILY_HTTP_REFUSED, labels, app->stats->refused[i]);
	}
	process_families(families);
}

static void add_sources(struct app *app, const struct request *request,
			struct families_options *options)
{
	const struct snap_detail *details = source_talkers(&app->source);

	if (!details || !details->talkers_valid)
		return;
	options->sources = &details->talkers[SHM_TALKER_SOURCE];
	options->shows_hosts = request->sees_hosts;
}

void route_metrics(struct app *app, const struct request *request, const struct route_match *match,
		   struct response *response)
{
	uint64_t started_ns = clock_boot_ns();
	const struct snapshot *snap = source_snapshot(&app->source, started_ns, clock_real_ns());
	struct families_options options = {.compat_node_exporter =
						   app->options.compat_node_exporter,
					   .series_limit = app->options.series_limit,
					   .revision = build_revision,
					   .version = build_version};
	struct families families;
	enum metrics_format format;

	(void)match;
	if (snap && request->sees_hosts)
		options.nat = &snap->nat;
	if (snap)
		add_sources(app, request, &options);
	families_init(&families);
	add_own(app, &families);
	families_build(&families, snap, app->source.netns, source_missing_state(&app->source),
		       &options, &app->memory);
	families_sort(&families);
	format = negotiate_metrics(request->accept, response->content_type,
				   sizeof(response->content_type));
	/* OpenMetrics knows no comments. */
	if (snap && health_rehearsal(snap) && format != METRICS_OPENMETRICS)
		text_add_format(&response->body, "# REHEARSAL: %s\n", health_rehearsal_words());
	prom_text(&families, format == METRICS_OPENMETRICS ? PROM_OPENMETRICS_1 : PROM_TEXT_004,
		  &response->body);
	families_free(&families);
	app->scrape_ns = clock_boot_ns() - started_ns;
}
