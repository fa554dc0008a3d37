// SPDX-License-Identifier: GPL-2.0-or-later
/* What the routes share. One thread. */
#ifndef CONNTIDE_HTTP_ROUTES_APP_H
#define CONNTIDE_HTTP_ROUTES_APP_H

#include "exporters/http/message/message.h"
#include "exporters/http/routes/source.h"
#include "exporters/render/families.h"
#include "exporters/render/services.h"

struct app_options {
	const char *telemetry_path;
	enum show_hosts show_hosts;
	bool exporter_metrics; /* process_*, conntide_http_* */
	bool compat_node_exporter;
	uint32_t series_limit;
	const char *state_dir; /* where incidents are */
};

struct app {
	struct app_options options;
	struct source source;
	struct services *services;
	struct series_memory memory;
	const struct http_stats *stats;
	uint64_t scrape_ns; /* of the last scrape */
};

#endif
