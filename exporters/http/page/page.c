// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The live page: written here whole, works without JavaScript, loads nothing but its own
 * style and scripts. Addresses in it are relative, so that it lives under any prefix of a
 * proxy. A script asks for it again with chart=0 and changes what differs in place; it draws
 * the chart itself.
 */
#include <string.h>

#include "exporters/http/message/negotiate.h"
#include "exporters/http/page/forecast_html.h"
#include "exporters/http/page/nat_html.h"
#include "exporters/http/page/sections.h"
#include "exporters/http/routes/api.h"
#include "exporters/http/routes/routes.h"
#include "lib/base/build_info.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/health/health.h"

#define PAGE_REFRESH_S	 5u
#define PAGE_REFRESH_MAX 3600u

/* The host, and the table where it is not that of the host. */
static void add_name(struct text *out, const struct snapshot *snap, const char *netns)
{
	bool named = snap && snap->host_name[0];

	if (named)
		text_add_html(out, snap->host_name);
	if (named && strcmp(netns, "host") != 0)
		text_add(out, ", ");
	if (!named || strcmp(netns, "host") != 0)
		text_add_html(out, netns);
}

static void add_head(struct text *out, const struct snapshot *snap, const char *netns,
		     unsigned long refresh_s)
{
	double fill = snap && health_fresh(snap) ? health_fill_ratio(&snap->live) : -1;

	text_add(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>");
	if (snap && health_rehearsal(snap))
		text_add(out, "REHEARSAL \xe2\x80\x93 ");
	if (fill >= 0)
		text_add_format(out, "%.0f %% \xe2\x80\x93 ", 100 * fill);
	add_name(out, snap, netns);
	text_add(out, " \xe2\x80\x93 conntide</title>\n"
		      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
	if (refresh_s)
		text_add_format(
			out, "<noscript><meta http-equiv=\"refresh\" content=\"%lu\"></noscript>\n",
			refresh_s);
	text_add(out, "<link rel=\"icon\" href=\"favicon.ico\" type=\"image/svg+xml\">"
		      "<link rel=\"stylesheet\" href=\"style.css\">\n"
		      "<script src=\"page.js\" defer></script><script src=\"chart.js\" defer>"
		      "</script></head>\n<body><header><h1>conntide \xe2\x80\x93 ");
	add_name(out, snap, netns);
	text_add(out, "</h1><button type=\"button\" id=\"theme\" class=\"script\">Theme</button>"
		      "</header>\n<p id=\"trouble\" class=\"bad\" role=\"alert\" hidden></p>"
		      "<p id=\"said\" class=\"sr\" role=\"status\"></p>\n<main>\n");
}

static void add_foot(struct text *out, const struct app *app, unsigned long refresh_s)
{
	const char *metrics = app->options.telemetry_path;

	text_add(out, "</main>\n<footer><nav aria-label=\"Data\"><a href=\"");
	text_add_html(out, metrics + strspn(metrics, "/"));
	text_add(out, "\">Metrics</a><a href=\"api/v1/status\">Status</a>"
		      "<a href=\"api/v1/ports?format=csv\">Ports (CSV)</a>"
		      "<a href=\"api/v1/cells\">Cells</a><a href=\"api/v1/history?format=text&amp;"
		      "limit=60\">Last minute</a><a href=\"api/v1\">API</a>"
		      "<a href=\"api/v1/why?format=text\">Why</a>"
		      "<a href=\"api/v1/advice?format=text\">Advice</a>"
		      "<a href=\"-/ready?verbose\">Checks</a></nav>\n");
	if (refresh_s)
		text_add_format(out,
				"<p class=\"noscript\">Loads itself again every %lu s. <a "
				"href=\"?refresh=0\">Stop that</a></p>\n",
				refresh_s);
	else
		text_add(out,
			 "<p class=\"noscript\">Stands still. <a href=\"?\">Let it run</a></p>\n");
	text_add_format(out, "<p>conntide %s (%s), GPL-2.0-or-later</p></footer>\n</body></html>\n",
			build_version, build_revision);
}

/* What asks for anything and names no HTML is a terminal: curl, wget. */
static bool wants_text(const struct request *request)
{
	static const struct offer offers[] = {{"text", "html", NULL}, {"text", "plain", NULL}};
	const char *accept = request->accept;

	if (!accept)
		return false;
	return !strcasestr(accept, "text/html") || negotiate(accept, offers, 2) == 1;
}

static void add_sections(struct app *app, const struct page *page, bool chart, struct text *out)
{
	render_band_html(page, out);
	text_add(out, "<section id=\"chart\" aria-label=\"Entries over time\" data-keep hidden>"
		      "</section>\n");
	render_forecast_html(page->snap, chart ? source_history(&app->source, false) : NULL,
			     clock_real_ns(), out);
	render_why_html(page, out);
	render_ports_html(page, out);
	render_nat_html(page->snap, page->hosts, out);
	render_hosts_html(page, out);
	render_incidents_html(page, out);
	render_facts_html(page, out);
}

void route_page(struct app *app, const struct request *request, const struct route_match *match,
		struct response *response)
{
	const struct snapshot *snap =
		source_snapshot(&app->source, clock_boot_ns(), clock_real_ns());
	const char *value = query_value(request->query, "refresh");
	const char *chart = query_value(request->query, "chart");
	struct page page = {.app = app, .snap = snap, .hosts = request->sees_hosts};
	struct text *out = &response->body;
	uint32_t refresh_s = PAGE_REFRESH_S;

	(void)match;
	if (value && num_u32(value, 0, PAGE_REFRESH_MAX, &refresh_s) < 0) {
		response_problem(response, 400, "refresh",
				 "refresh is a number of seconds from 0 to %u.", PAGE_REFRESH_MAX);
		return;
	}
	if (wants_text(request)) {
		api_status(app, ROWS_TEXT, response);
		return;
	}
	response_type(response, 200, "text/html; charset=utf-8");
	add_head(out, snap, app->source.netns, refresh_s);
	if (snap) {
		page.details = source_detail(&app->source);
		add_sections(app, &page, !chart || strcmp(chart, "0") != 0, out);
	} else {
		text_add(out, "<section id=\"band\" class=\"band UNKNOWN\"><p class=\"bad\" "
			      "role=\"alert\" id=\"no-numbers\">There are no numbers: ");
		text_add_html(out, app->source.why);
		text_add(out,
			 ".</p></section>\n<section id=\"chart\" data-keep hidden></section>\n");
	}
	add_foot(out, app, refresh_s);
}
