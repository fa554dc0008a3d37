// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "exporters/http/routes/api.h"
#include "exporters/http/message/negotiate.h"
#include "exporters/http/routes/routes.h"
#include "exporters/render/age.h"
#include "exporters/render/head.h"
#include "exporters/render/json.h"
#include "exporters/render/table.h"
#include "exporters/render/zones.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/health/health.h"
#include "lib/kernel/states.h"

#define API_LIMIT_DEFAULT 50000u
#define API_LIMIT_MAX	  500000u
#define STATUS_PORTS	  3u

static bool take_format(const struct request *request, struct api *api, struct response *response)
{
	static const struct offer offers[] = {[ROWS_JSON] = {"application", "json", NULL},
					      [ROWS_NDJSON] = {"application", "x-ndjson", NULL},
					      [ROWS_CSV] = {"text", "csv", NULL},
					      [ROWS_TEXT] = {"text", "plain", NULL}};
	const char *name = query_value(request->query, "format");
	int chosen = name ? rows_format_by_name(name)
			  : negotiate(request->accept, offers, ROWS_FORMAT_COUNT);

	if (chosen < 0) {
		response_problem(response, 406, NULL,
				 "Ask for application/json, application/x-ndjson, text/csv or "
				 "text/plain, or say format=json.");
		return false;
	}
	api->format = (enum rows_format)chosen;
	return true;
}

static bool take_zone(const struct query *query, struct api *api, struct response *response)
{
	const char *value = query_value(query, "zone");
	uint32_t number = 0;

	if (value && num_u32(value, 0, UINT16_MAX, &number) < 0) {
		response_problem(response, 400, "zone", "zone is a number from 0 to 65535.");
		return false;
	}
	api->select.zone = value ? (int)number : SELECT_ANY;
	return true;
}

bool api_wants_stale(const struct request *request)
{
	const char *value = query_value(request->query, "stale");

	return value && (!strcmp(value, "1") || !strcmp(value, "true"));
}

/* RFC 3339 in UTC, seconds since 1970, or a duration: that long ago. */
static bool take_since(const char *value, uint64_t now_real_ns, uint64_t *ret_real_ns)
{
	struct tm tm = {0};
	const char *end = strptime(value, "%Y-%m-%dT%H:%M:%S", &tm);
	uint64_t number;

	if (end) {
		if (*end == '.')
			end += 1 + strspn(end + 1, "0123456789");
		*ret_real_ns = (uint64_t)timegm(&tm) * NS_PER_S;
		return tm.tm_year >= 70 && !strcmp(end, "Z");
	}
	if (num_u64(value, 0, UINT64_MAX / NS_PER_S, &number) == 0)
		*ret_real_ns = number * NS_PER_S;
	else if (num_duration_ns(value, 0, UINT64_MAX, &number) == 0)
		*ret_real_ns = now_real_ns - (number < now_real_ns ? number : now_real_ns);
	else
		return false;
	return true;
}

bool api_take_params(const struct request *request, struct api *api, struct response *response)
{
	const struct query *query = request->query;
	const char *value;
	uint32_t number;

	memset(api, 0, sizeof(*api));
	select_init(&api->select);
	api->select.limit = API_LIMIT_DEFAULT;
	if ((value = query_value(query, "l4proto")))
		api->select.l4proto = l4proto_by_name(value);
	if ((value = query_value(query, "direction")))
		api->select.direction = direction_by_name(value);
	if ((value = query_value(query, "port"))) {
		if (num_u32(value, 0, 65535, &number) < 0) {
			response_problem(response, 400, "port",
					 "port is a number from 0 to 65535.");
			return false;
		}
		api->select.port = (int)number;
	}
	if ((value = query_value(query, "state"))) {
		if (!state_name_exists(value) || strlen(value) >= sizeof(api->select.state)) {
			response_problem(response, 400, "state",
					 "No protocol has a state of that name; conntide explain "
					 "TIME_WAIT, for example, tells what one means.");
			return false;
		}
		strcpy(api->select.state, value);
	}
	if ((value = query_value(query, "limit"))) {
		if (num_u32(value, 1, API_LIMIT_MAX, &number) < 0) {
			response_problem(response, 400, "limit", "limit is a number from 1 to %u.",
					 API_LIMIT_MAX);
			return false;
		}
		api->select.limit = number;
	}
	if ((value = query_value(query, "since")) &&
	    !take_since(value, clock_real_ns(), &api->since_real_ns)) {
		response_problem(response, 400, "since",
				 "since is a time like 2026-01-02T03:04:05Z, seconds since 1970, "
				 "or a time ago like 5m.");
		return false;
	}
	if ((value = query_value(query, "sort"))) {
		bool down = value[0] == '-';
		enum sort_key key = (enum sort_key)sort_key_by_name(value + down);

		api->select.sort = key;
		api->select.ascending = !down && key != SORT_ENTRIES && key != SORT_NEW &&
					key != SORT_DESTROYED && key != SORT_LIFETIME;
	}
	api->stale = api_wants_stale(request);
	if ((value = query_value(query, "horizon")))
		num_u32(value, 0, UINT32_MAX, &api->horizon_s);
	value = query_value(query, "resolution");
	api->minutes = value && !strcmp(value, "1m");
	return take_zone(query, api, response) && take_format(request, api, response);
}

static void add_freshness(const struct snapshot *snap, struct response *response)
{
	response_header(response, "Conntide-Agent", "%s", health_state(snap));
	response_header(response, "Conntide-Level", "%s", snap_level_name(health_level(snap)));
	response_header(response, "Conntide-Quality", "%s",
			snap_quality_name(health_quality(snap)));
	if (health_rehearsal(snap))
		response_header(response, "Conntide-Rehearsal", "%s", health_rehearsal_words());
	if (snap->age_ns != UINT64_MAX)
		response_header(response, "Conntide-Age-Seconds", "%.3f",
				(double)snap->age_ns / 1e9);
}

const struct snapshot *api_snapshot(struct app *app, bool stale, struct response *response)
{
	const struct snapshot *snap =
		source_snapshot(&app->source, clock_boot_ns(), clock_real_ns());
	char age[32];

	if (!snap) {
		response_problem(response, 503, NULL, "%s.", app->source.why);
		response_header(response, "Retry-After", API_RETRY_AFTER_S);
		return NULL;
	}
	if (!health_fresh(snap) && !stale) {
		response_problem(response, 503, NULL,
				 "%s. The numbers are %s%s; stale=1 asks for them all the same.",
				 health_reason(snap), format_age(snap->age_ns, age),
				 snap->age_ns == UINT64_MAX ? "" : " old");
		response_header(response, "Retry-After", API_RETRY_AFTER_S);
		add_freshness(snap, response);
		return NULL;
	}
	add_freshness(snap, response);
	return snap;
}

void api_begin_rows(const struct snapshot *snap, enum rows_format format, struct response *response)
{
	response_type(response, 200, rows_format_media_type(format));
	if (format == ROWS_TEXT)
		head_banner(snap, &response->body);
}

static void add_counts(const struct snapshot *snap, const struct selection *selection,
		       struct response *response)
{
	uint32_t unlisted =
		selection->zone < 0 ? 0 : zone_unlisted(snap, (uint16_t)selection->zone);

	if (unlisted)
		response_header(response, "Conntide-Zone-Unlisted-Entries", "%" PRIu32, unlisted);
	response_header(response, "Conntide-Total-Rows", "%zu", selection->matches);
	if (selection->matches > selection->count)
		response_header(response, "Conntide-Truncated", "true");
}

bool api_take_document(const struct request *request, const char *what,
		       enum rows_format *ret_format, struct response *response)
{
	static const struct offer offers[] = {{"application", "json", NULL},
					      {"text", "plain", NULL}};
	const char *format = query_value(request->query, "format");
	/* json or text: the route's table has no other. */
	int chosen = format ? !strcmp(format, "text") : negotiate(request->accept, offers, 2);

	if (chosen < 0) {
		response_problem(response, 406, NULL,
				 "%s is served as application/json and as text/plain.", what);
		return false;
	}
	*ret_format = chosen ? ROWS_TEXT : ROWS_JSON;
	return true;
}

static void add_status(struct app *app, const struct snapshot *snap, struct text *out)
{
	uint64_t now_ns = clock_real_ns();
	struct table_wanted wanted = {.services = app->services, .top = STATUS_PORTS};

	wanted.hour = table_peak_of(source_history(&app->source, false), now_ns, 3600);
	wanted.day = table_peak_of(source_history(&app->source, true), now_ns, 86400);
	table_status(snap, &wanted, out);
}

void api_status(struct app *app, enum rows_format format, struct response *response)
{
	const struct snapshot *snap =
		source_snapshot(&app->source, clock_boot_ns(), clock_real_ns());

	response_type(response, snap ? 200 : 503, rows_format_media_type(format));
	if (snap)
		add_freshness(snap, response);
	else
		response_header(response, "Retry-After", API_RETRY_AFTER_S);
	if (snap && format == ROWS_TEXT)
		add_status(app, snap, &response->body);
	else if (snap)
		json_status(snap, &response->body);
	else if (format == ROWS_TEXT)
		text_add_format(&response->body, "%s\n", app->source.why);
	else
		json_status_missing(app->source.netns, app->source.why, &response->body);
}

void route_status(struct app *app, const struct request *request, const struct route_match *match,
		  struct response *response)
{
	enum rows_format format;

	(void)match;
	if (api_take_document(request, "The status", &format, response))
		api_status(app, format, response);
}

static void answer_rows(struct app *app, const struct request *request, struct response *response,
			bool cells)
{
	const struct snapshot *snap;
	struct selection selection;
	struct api api;
	int err;

	if (!api_take_params(request, &api, response))
		return;
	snap = api_snapshot(app, api.stale, response);
	if (!snap)
		return;
	api_begin_rows(snap, api.format, response);
	err = cells ? select_cells(snap, &api.select, &selection)
		    : select_ports(snap, &api.select, &selection);
	if (err)
		response->body.failed = true;
	if (cells)
		render_cells(snap, &selection, api.format, &response->body);
	else
		render_ports(snap, &selection, app->services, api.format, &response->body);
	if (api.format == ROWS_TEXT)
		zone_note(snap, selection.zone, &response->body);
	add_counts(snap, &selection, response);
	selection_free(&selection);
}

void route_cells(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response)
{
	(void)match;
	answer_rows(app, request, response, true);
}

void route_ports(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response)
{
	(void)match;
	answer_rows(app, request, response, false);
}

static void wrap_port(const struct snapshot *snap, const struct selection *selection,
		      const struct app *app, const struct select *select, struct text *out)
{
	unsigned int l4proto = (unsigned int)select->l4proto;
	uint64_t entries = 0;
	double all = (double)snap->live.mirror_entries;

	for (size_t i = 0; i < selection->count; i++)
		entries += selection->picks[i].entries;
	text_add_format(out,
			"{\"l4proto\":\"%s\",\"port\":%d,\"service\":", l4proto_info(l4proto)->name,
			select->port);
	text_add_json_string(out, services_name(app->services, l4proto, (uint16_t)select->port));
	text_add(out, ",\"entries\":");
	text_add_u64(out, entries);
	text_add_format(out,
			",\"share\":%.6g,\"directions\":", all > 0 ? (double)entries / all : 0);
	render_ports(snap, selection, app->services, ROWS_JSON, out);
	text_add(out, "}\n");
}

void route_port(struct app *app, const struct request *request, const struct route_match *match,
		struct response *response)
{
	int l4proto = l4proto_by_name(match->segments[0]);
	const struct snapshot *snap;
	struct selection selection;
	struct api api;
	uint32_t port;

	if (l4proto < 0) {
		response_problem(response, 404, NULL,
				 "There is no such protocol; there are tcp, udp, sctp, icmp, "
				 "icmpv6, gre and other.");
		return;
	}
	if (num_u32(match->segments[1], 0, 65535, &port) < 0) {
		response_problem(response, 404, NULL, "A port is a number from 0 to 65535.");
		return;
	}
	if (!api_take_params(request, &api, response))
		return;
	api.select.l4proto = l4proto;
	api.select.port = (int)port;
	snap = api_snapshot(app, api.stale, response);
	if (!snap)
		return;
	api_begin_rows(snap, api.format, response);
	if (select_ports(snap, &api.select, &selection) < 0)
		response->body.failed = true;
	if (api.format == ROWS_JSON)
		wrap_port(snap, &selection, app, &api.select, &response->body);
	else
		render_ports(snap, &selection, app->services, api.format, &response->body);
	selection_free(&selection);
}

void route_history(struct app *app, const struct request *request, const struct route_match *match,
		   struct response *response)
{
	const struct snap_history *history;
	const struct snapshot *snap;
	struct api api;

	(void)match;
	if (!api_take_params(request, &api, response))
		return;
	snap = api_snapshot(app, api.stale, response);
	if (!snap)
		return;
	history = source_history(&app->source, api.minutes);
	if (!history) {
		response_problem(response, 503, NULL, "%s.", app->source.why);
		return;
	}
	api_begin_rows(snap, api.format, response);
	render_history(history, &snap->settings, api.since_real_ns, api.select.limit, api.format,
		       &response->body);
}

const struct snap_detail *api_details(struct app *app, struct response *response)
{
	const struct snap_detail *details = source_detail(&app->source);

	if (!details) {
		response_problem(response, 503, NULL, "%s.", app->source.why);
		response_header(response, "Retry-After", API_RETRY_AFTER_S);
	}
	return details;
}

bool api_hosts(const struct snap_detail *details, struct response *response)
{
	if (!details->hosts_error)
		return true;
	response_problem(response, 503, NULL, "%s.", details->hosts_why);
	response_header(response, "Retry-After", API_RETRY_AFTER_S);
	return false;
}
