// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/routes/routes.h"

#include <stdio.h>
#include <string.h>

#include "exporters/advice/advice.h"
#include "exporters/advice/whatif.h"
#include "exporters/advice/why.h"
#include "exporters/http/message/negotiate.h"
#include "exporters/http/toolkit/gzip.h"
#include "exporters/render/forecast.h"
#include "exporters/render/incidents.h"
#include "exporters/render/json.h"
#include "exporters/render/nat.h"
#include "exporters/render/talkers.h"

#define API	   ROUTE_API
#define ROWS_TYPES "application/json application/x-ndjson text/csv text/plain"
#define FILTERS	   "l4proto direction port state "

#define ETAG_BYTES 32u

const struct route_param route_params[] = {
	{"l4proto", "string", "tcp udp sctp other icmp icmpv6 gre", "only this protocol"},
	{"direction", "string", "inbound outbound forwarded loopback", "only this direction"},
	{"port", "integer", NULL, "only this destination port, 0 to 65535"},
	{"state", "string", NULL, "only this state, like ESTABLISHED or assured"},
	{"sort", "string",
	 "entries port l4proto direction state new_per_second destroyed_per_second "
	 "mean_lifetime_seconds",
	 "order; with a minus in front downwards; amounts are downwards by default"},
	{"limit", "integer", NULL, "at most this many rows, 1 to 500000"},
	{"format", "string", "json ndjson csv text", "overrides the Accept header"},
	{"stale", "boolean", "0 1 false true",
	 "1: answer also while the agent does not run, with old numbers"},
	{"since", "string", NULL,
	 "only what came after: RFC 3339 in UTC, seconds since 1970, or a time ago like 5m"},
	{"resolution", "string", "1s 1m", "samples a second or a minute apart"},
	{"horizon", "string", "30 120 600 3600", "only past forecasts of this horizon, seconds"},
	{"zone", "integer", NULL, "only this conntrack zone, 0 to 65535"},
	{"kind", "string", "source destination service source64 destination64",
	 "only this list of addresses"},
	{"notrack", "string", NULL,
	 "do not track these ports: tcp/80, tcp/80/inbound; several with commas"},
	{"keepalive", "string", NULL,
	 "connections this host opens to these ports are reused: tcp/8080; several with commas"},
	{"max", "integer", NULL, "nf_conntrack_max, 0 to 2147483647; 0: no limit"},
	{"buckets", "integer", NULL, "nf_conntrack_buckets, 1 to 536870911"},
	{"id", "string", NULL, "of an incident"},
	{"stage", "string", "high critical drops recovered",
	 "the stage of an incident to show; the worst that was kept by default"},
	{"verbose", "boolean", NULL, "list the checks"},
	{"chart", "boolean", "0 1", "0: without the chart, for a script that draws one"},
	{"refresh", "integer", NULL, "seconds until the page loads itself again, 0 for never"},
};
const size_t route_param_count = sizeof(route_params) / sizeof(route_params[0]);

const struct route routes[] = {
	{"/metrics", route_metrics, ROUTE_PREFIX, "metrics for Prometheus",
	 "text/plain application/openmetrics-text", "", NULL, NULL},
	{"/api/v1", route_index, 0, "what is served here", ROWS_TYPES, "format", index_columns,
	 &index_column_count},
	{API "status", route_status, ROUTE_OBJECT,
	 "how full the table is and how far that can be trusted", "application/json text/plain",
	 "format", status_columns, &status_column_count},
	{API "cells", route_cells, 0, "entries by protocol, direction, port and state", ROWS_TYPES,
	 FILTERS "zone sort limit format stale", cells_columns, &cells_column_count},
	{API "ports", route_ports, 0, "entries and rates by port", ROWS_TYPES,
	 FILTERS "zone sort limit format stale", ports_columns, &ports_column_count},
	{API "ports/{l4proto}/{port}", route_port, 0, "one port, by direction", ROWS_TYPES,
	 "direction state zone format stale", ports_columns, &ports_column_count},
	{API "history", route_history, 0,
	 "fill, flow and losses over the last hour or the last day, oldest first", ROWS_TYPES,
	 "resolution since limit format stale", history_columns, &history_column_count},
	{API "history/states", route_states, 0,
	 "entries by protocol and state over the last quarter of an hour or the last hour, oldest "
	 "first",
	 ROWS_TYPES, "resolution since limit format stale", states_columns, &states_column_count},
	{API "forecast", route_forecast, ROUTE_OBJECT,
	 "when the table will be full, or where it levels off, and why",
	 "application/json text/plain", "format stale", forecast_columns, &forecast_column_count},
	{API "forecast/history", route_pasts, 0,
	 "past forecasts, a minute apart over a day, and what came; oldest first", ROWS_TYPES,
	 "horizon limit format stale", pasts_columns, &pasts_column_count},
	{API "why", route_why, ROUTE_OBJECT,
	 "what holds the table, what grew, and which known pattern that is",
	 "application/json text/plain", "format stale", why_columns, &why_column_count},
	{API "advice", route_advice, ROUTE_DOCUMENT,
	 "what would help here: savings, commands, warnings; best first",
	 "application/json text/plain", "format stale", advice_columns, &advice_column_count},
	{API "whatif", route_whatif, ROUTE_OBJECT | ROUTE_CHANGES,
	 "where the table settles after a change", "application/json text/plain",
	 "notrack keepalive max buckets format stale", whatif_columns, &whatif_column_count},
	{API "talkers", route_talkers, ROUTE_HOSTS, "addresses that hold most entries", ROWS_TYPES,
	 "kind limit format stale", talkers_columns, &talkers_column_count},
	{API "nat", route_nat, ROUTE_HOSTS,
	 "ports of source NAT by outside address and destination, fullest first", ROWS_TYPES,
	 "limit zone format stale", nat_columns, &nat_column_count},
	{API "incidents", route_incidents, 0,
	 "incidents: what the table looked like when it filled, newest first", ROWS_TYPES,
	 "limit format", incidents_columns, &incidents_column_count},
	{API "incidents/{id}", route_incident, ROUTE_OBJECT,
	 "one incident whole: its stages, and the table as it was then",
	 "application/json text/plain", "stage limit format", incident_columns,
	 &incident_column_count},
	{API "openapi.json", route_openapi, 0, "this description", "application/json", "", NULL,
	 NULL},
	{"/-/healthy", route_healthy, 0, "the exporter answers", "text/plain", "verbose", NULL,
	 NULL},
	{"/-/ready", route_ready, 0, "the exporter has fresh numbers", "text/plain", "verbose",
	 NULL, NULL},
	{"/healthz", route_healthy, ROUTE_HIDDEN, "", "text/plain", "verbose", NULL, NULL},
	{"/livez", route_healthy, ROUTE_HIDDEN, "", "text/plain", "verbose", NULL, NULL},
	{"/readyz", route_ready, ROUTE_HIDDEN, "", "text/plain", "verbose", NULL, NULL},
	{"/", route_page, 0, "the table, for people", "text/html text/plain", "refresh chart", NULL,
	 NULL},
	{"/favicon.ico", route_icon, ROUTE_HIDDEN, "", "image/svg+xml", "", NULL, NULL},
	{"/page.js", route_page_script, ROUTE_HIDDEN, "", "text/javascript", "", NULL, NULL},
	{"/chart.js", route_chart_script, ROUTE_HIDDEN, "", "text/javascript", "", NULL, NULL},
	{"/style.css", route_style, ROUTE_HIDDEN, "", "text/css", "", NULL, NULL},
};
const size_t route_count = sizeof(routes) / sizeof(routes[0]);

bool word_in(const char *words, const char *word)
{
	size_t bytes = strlen(word);

	for (const char *at = words; at && *at; at = strchr(at, ' ')) {
		while (*at == ' ')
			at++;
		if (bytes && !strncmp(at, word, bytes) && (at[bytes] == ' ' || !at[bytes]))
			return true;
	}
	return false;
}

bool route_allowed(const struct route *route, bool sees_hosts)
{
	return !(route->flags & ROUTE_HOSTS) || sees_hosts;
}

static bool path_matches(const char *pattern, const char *path, struct route_match *match)
{
	size_t taken = 0;

	while (*pattern && *path) {
		if (*pattern == '{') {
			size_t bytes = strcspn(path, "/");

			if (!bytes || bytes >= sizeof(match->segments[0]) ||
			    taken == ROUTE_SEGMENTS_MAX)
				return false;
			memcpy(match->segments[taken], path, bytes);
			match->segments[taken++][bytes] = '\0';
			path += bytes;
			pattern = strchr(pattern, '}') + 1;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	/* One slash too many at the end is accepted. */
	return !*pattern && (!*path || !strcmp(path, "/"));
}

const struct route *route_find(const struct app *app, const char *path, struct route_match *match)
{
	for (size_t i = 0; i < route_count; i++) {
		const char *pattern = routes[i].flags & ROUTE_PREFIX ? app->options.telemetry_path
								     : routes[i].path;

		memset(match, 0, sizeof(*match));
		if (path_matches(pattern, path, match))
			return &routes[i];
	}
	return NULL;
}

static const struct route_param *find_param(const char *name)
{
	for (size_t i = 0; i < route_param_count; i++)
		if (!strcmp(name, route_params[i].name))
			return &route_params[i];
	return NULL;
}

const char *route_param_values(const struct route *route, const struct route_param *param)
{
	if (route->handle == route_states && !strcmp(param->name, "resolution"))
		return "10s 1m";
	if (route->flags & (ROUTE_OBJECT | ROUTE_DOCUMENT) && !strcmp(param->name, "format"))
		return "json text";
	return param->values;
}

static bool check_params(const struct route *route, const struct request *request,
			 struct response *response)
{
	const struct query *query = request->query;

	for (size_t i = 0; i < query->param_count; i++) {
		const char *name = query->params[i].name;
		const char *value = query->params[i].value;
		const struct route_param *param = find_param(name);
		const char *values;

		if (route->flags & ROUTE_CHANGES && whatif_is_key(name))
			continue;
		if (!param || !word_in(route->params, name)) {
			response_problem(response, 400, name,
					 "There is no parameter \"%.60s\" here; there %s %s.", name,
					 route->params[0] ? "are" : "is",
					 route->params[0] ? route->params : "none");
			return false;
		}
		if (!strcmp(name, "sort") && value[0] == '-')
			value++;
		values = route_param_values(route, param);
		if (values && !word_in(values, value)) {
			response_problem(response, 400, name,
					 "\"%.60s\" is no value of %s; it may be one of: %s.",
					 value, name, values);
			return false;
		}
	}
	return true;
}

static void not_found(const struct request *request, struct response *response)
{
	response_problem(response, 404, NULL,
			 "There is nothing at %.200s; /api/v1 lists what there is.",
			 request->query->path);
}

/* FNV-1a: short, and a collision only costs a client one second of freshness. */
static uint64_t hash_body(const struct text *body)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < body->bytes; i++)
		hash = (hash ^ (unsigned char)body->data[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void finish(const struct request *request, struct response *response)
{
	char etag[ETAG_BYTES];
	bool gzip = negotiate_gzip(request->accept_encoding);

	if (text_failed(&response->body)) {
		response_problem(response, 500, NULL, "Out of memory.");
		return;
	}
	if (response->changeless || response->status != 200) {
		response_header(response, "Cache-Control", "no-store");
		return;
	}
	response_header(response, "Cache-Control", "no-cache");
	response_header(response, "Vary", "Accept, Accept-Encoding");
	snprintf(etag, sizeof(etag), "\"%016llx%s\"",
		 (unsigned long long)hash_body(&response->body), gzip ? "-z" : "");
	response_header(response, "ETag", "%s", etag);
	if (etag_matches(request->if_none_match, etag)) {
		text_clear(&response->body);
		response->status = 304;
	} else if (gzip && gzip_text(&response->body)) {
		response_header(response, "Content-Encoding", "gzip");
	}
}

void routes_handle(struct app *app, const struct request *request, struct response *response)
{
	struct route_match match;
	const struct route *route = route_find(app, request->query->path, &match);

	if (!route)
		not_found(request, response);
	else if (!route_allowed(route, request->sees_hosts))
		response_problem(
			response, 403, NULL,
			"This names hosts, and is served to authenticated clients and over "
			"a unix socket only; --web.show-hosts changes that.");
	else if (check_params(route, request, response))
		route->handle(app, request, &match, response);
	finish(request, response);
}
