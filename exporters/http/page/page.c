// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The live page: written here whole, works without JavaScript, loads nothing but
 * its own style sheet. Addresses in it are relative, so that it lives under any
 * prefix of a proxy.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/http/page/forecast_html.h"
#include "exporters/http/page/nat_html.h"
#include "exporters/http/message/negotiate.h"
#include "exporters/http/routes/api.h"
#include "exporters/http/routes/routes.h"
#include "exporters/render/age.h"
#include "exporters/render/rows.h"
#include "exporters/render/head.h"
#include "exporters/render/table.h"
#include "lib/base/build_info.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/health/health.h"
#include "lib/health/level.h"
#include "lib/kernel/states.h"

#define PAGE_PORTS	 20u
#define PAGE_STATES	 6u
#define PAGE_REFRESH_S	 5u
#define PAGE_REFRESH_MAX 3600u

static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;"
	"--ok:#116329;--warn:#8a4600;--bad:#b3001b;--link:#0550ae}\n"
	"@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9aa4ae;"
	"--line:#30363d;--ok:#56d364;--warn:#e3a341;--bad:#ff8a80;--link:#79b8ff}}\n"
	"*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:1rem;background:"
	"var(--bg);color:var(--fg);font:1rem/1.5 system-ui,sans-serif}\n"
	"h1{font-size:1.3rem;margin:0}h2{font-size:1.05rem;margin:1.5rem 0 .4rem}\n"
	"a{color:var(--link)}p{margin:.3rem 0}.dim{color:var(--dim)}\n"
	".level{font-weight:700}.OK{color:var(--ok)}.HIGH{color:var(--warn)}.CRITICAL,.FULL,"
	".UNKNOWN,.bad{color:var(--bad)}\n"
	"meter{width:100%;height:1.6rem}\n"
	".verdict{font-size:1.15rem;font-weight:700}.big{font-size:1.5rem;font-variant-numeric:"
	"tabular-nums}\n"
	".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;"
	"font-variant-numeric:tabular-nums}\n"
	"th,td{padding:.2rem .6rem;border-bottom:1px solid var(--line);text-align:left;"
	"white-space:nowrap;font-weight:inherit}thead "
	"th{font-weight:700}td.n,th.n{text-align:right}\n"
	"dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:0}"
	"dt{color:var(--dim)}dd{margin:0}\n"
	"nav a{margin-right:1rem;display:inline-block}footer{margin-top:2rem;color:var(--dim);"
	"font-size:.9rem}\n"
	"@media (max-width:30rem){body{padding:.6rem}th,td{padding:.2rem .35rem}"
	"dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}\n";

void route_style(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response)
{
	(void)app;
	(void)request;
	(void)match;
	response_type(response, 200, "text/css; charset=utf-8");
	text_add(&response->body, style);
	text_add(&response->body, forecast_style);
}

/* A table that fills: seen in a tab at its smallest. */
static const char icon[] =
	"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><rect width=\"16\" "
	"height=\"16\" rx=\"3\" fill=\"#0b4f9c\"/><path d=\"M2 11l3-1 3-3 3 1 3-5v10H2z\" "
	"fill=\"#9fd0ff\"/><path d=\"M2 3h12\" stroke=\"#ff8a80\"/></svg>\n";

void route_icon(struct app *app, const struct request *request, const struct route_match *match,
		struct response *response)
{
	(void)app;
	(void)request;
	(void)match;
	response_type(response, 200, "image/svg+xml");
	text_add(&response->body, icon);
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
	text_add_html(out, netns);
	text_add(out, " \xe2\x80\x93 conntide</title>\n"
		      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
	if (refresh_s)
		text_add_format(out, "<meta http-equiv=\"refresh\" content=\"%lu\">\n", refresh_s);
	text_add(out, "<link rel=\"icon\" href=\"favicon.ico\" type=\"image/svg+xml\"><link "
		      "rel=\"stylesheet\" "
		      "href=\"style.css\"></head>\n<body><header><h1>conntide \xe2\x80\x93 ");
	text_add_html(out, netns);
	text_add(out, "</h1></header>\n<main>\n");
}

/* Before any number. */
static void add_banner(struct text *out, const struct snapshot *snap)
{
	char age[32];

	if (health_rehearsal(snap))
		text_add_format(out, "<p class=\"bad\" role=\"alert\">REHEARSAL: %s.</p>\n",
				health_rehearsal_words());
	if (!health_fresh(snap))
		text_add_format(out,
				"<p class=\"bad\" role=\"alert\">No current numbers: %s. The last "
				"ones are %s%s:</p>\n",
				health_reason(snap), format_age(snap->age_ns, age),
				snap->age_ns == UINT64_MAX ? "" : " old");
}

static void add_fill(struct text *out, const struct snapshot *snap)
{
	const struct snap_live *live = &snap->live;
	double fill = health_fill_ratio(live);
	const char *level = snap_level_name(health_level(snap));
	char words[HEALTH_WORDS_BYTES];

	add_banner(out, snap);
	text_add(out, "<p class=\"big\" aria-live=\"polite\">");
	head_fill(snap, out);
	text_add_format(out, " <span class=\"level %s\">%s</span> <span class=\"dim\">", level,
			level);
	text_add_html(out, health_level_reason(snap, words));
	text_add(out, "</span></p>\n");
	if (fill >= 0)
		text_add_format(
			out,
			"<meter min=\"0\" max=\"1\" low=\"%.2f\" high=\"%.2f\" optimum=\"0\" "
			"value=\"%.4f\">%.1f %%</meter>\n",
			LEVEL_HIGH_RATIO, LEVEL_CRITICAL_RATIO, fill > 1 ? 1 : fill, 100 * fill);
}

static void add_fact(struct text *out, const char *name, const char *value, bool bad)
{
	text_add_format(out, "<dt>%s</dt><dd%s>", name, bad ? " class=\"bad\"" : "");
	text_add_html(out, value);
	text_add(out, "</dd>\n");
}

static void add_count(struct text *out, const char *name, int64_t value, bool bad)
{
	text_add_format(out, "<dt>%s</dt><dd%s>%" PRId64 "</dd>\n", name,
			bad ? " class=\"bad\"" : "", value);
}

static void add_trust(struct text *out, const struct snapshot *snap)
{
	const struct snap_live *live = &snap->live;
	char age[32], words[HEALTH_WORDS_BYTES];

	text_add(out, "<h2>Can it be trusted?</h2>\n<dl>\n");
	add_fact(out, "Agent", health_state(snap), !health_up(snap));
	add_fact(out, "Age of the numbers", format_age(snap->age_ns, age), !health_fresh(snap));
	add_fact(out, "Quality", health_quality_words(snap, words),
		 health_quality(snap) == SHM_QUALITY_NOT_EXACT);
	add_fact(out, "Why", health_quality_reason(snap), false);
	add_count(out, "Kernel minus mirror", live->residual_entries, false);
	add_count(out, "Silent entries", live->silent_entries, false);
	add_count(out, "Events lost", live->events_lost, live->events_lost > 0);
	add_fact(out, "Last resync",
		 live->last_resync_real_ns ? format_time((uint64_t)live->last_resync_real_ns, age)
					   : "never",
		 !live->last_resync_real_ns);
	text_add(out, "</dl>\n<h2>What was lost, since the machine booted</h2>\n<dl>\n");
	add_count(out, "Drops, table full", live->stat_drop, live->stat_drop > 0);
	add_count(out, "Entries evicted early", live->stat_early_drop, live->stat_early_drop > 0);
	add_count(out, "Drops, chain too long", live->stat_chaintoolong,
		  live->stat_chaintoolong > 0);
	add_count(out, "Failed inserts", live->stat_insert_failed, false);
	add_count(out, "Chains too long from, entries", live->chain_limit_entries,
		  live->max_entries > 0 && live->chain_limit_entries < live->max_entries);
	text_add(out, "</dl>\n");
}

/* States are columns, by name, since protocols share some; the largest first. */
struct page_state {
	const char *name;
	uint64_t entries;
};

static int more_entries(const void *left, const void *right)
{
	const struct page_state *a = left;
	const struct page_state *b = right;

	return (a->entries < b->entries) - (a->entries > b->entries);
}

static size_t collect_states(const struct selection *selection, struct page_state *states,
			     size_t room)
{
	size_t count = 0;

	for (size_t i = 0; i < selection->count; i++) {
		const struct snap_row *row = selection->picks[i].row;

		for (unsigned int s = 0; s < STATE_SLOTS_MAX; s++) {
			const char *name = state_name(row->key.l4proto, s);
			size_t at = 0;

			if (!row->states[s] || !name)
				continue;
			while (at < count && strcmp(states[at].name, name) != 0)
				at++;
			if (at == room)
				continue;
			if (at == count)
				states[count++] = (struct page_state){name, 0};
			states[at].entries += row->states[s];
		}
	}
	qsort(states, count, sizeof(*states), more_entries);
	return count;
}

static void add_number_cell(struct text *out, double value)
{
	if (value >= 0)
		text_add_format(out, "<td class=\"n\">%.*f</td>", value < 10 ? 1 : 0, value);
	else
		text_add(out, "<td class=\"n\">\xe2\x80\x93</td>");
}

static void add_row(struct text *out, const struct app *app, const struct snap_row *row,
		    const struct page_state *states, size_t state_count, double all)
{
	double share = all > 0 ? 100 * row->entries / all : 0;
	uint32_t rest = row->entries;

	text_add_format(out, "<tr><th scope=\"row\">%s", l4proto_info(row->key.l4proto)->name);
	if (l4proto_info(row->key.l4proto)->has_ports)
		text_add_format(out, " %u", row->key.port);
	text_add(out, " <span class=\"dim\">");
	text_add_html(out, services_name(app->services, row->key.l4proto, row->key.port));
	text_add_format(out,
			"</span></th><td>%s</td><td class=\"n\">%" PRIu32 "</td>"
			"<td class=\"n\">%s%.0f %%</td>",
			direction_name(row->key.direction), row->entries,
			share > 0 && share < 1 ? "&lt;" : "", share > 0 && share < 1 ? 1 : share);
	add_number_cell(out, row->new_per_s);
	add_number_cell(out, row->mean_lifetime_s);
	for (size_t i = 0; i < state_count; i++) {
		int s = state_by_name(row->key.l4proto, states[i].name);
		uint32_t entries = s < 0 ? 0 : row->states[s];

		rest -= entries;
		text_add_format(out, "<td class=\"n\">%.0u</td>", entries);
	}
	text_add_format(out, "<td class=\"n\">%.0u</td></tr>\n", rest);
}

static void add_ports(struct text *out, const struct app *app, const struct snapshot *snap)
{
	struct page_state states[L4_COUNT * STATE_SLOTS_MAX];
	struct selection selection;
	struct select select;
	size_t state_count;

	select_init(&select);
	select.limit = PAGE_PORTS;
	if (select_ports(snap, &select, &selection) < 0)
		out->failed = true;
	state_count = collect_states(&selection, states, sizeof(states) / sizeof(states[0]));
	if (state_count > PAGE_STATES)
		state_count = PAGE_STATES;
	text_add(out, "<h2>What fills it</h2>\n<div class=\"scroll\"><table>\n<thead><tr>"
		      "<th scope=\"col\">Port</th><th scope=\"col\">Direction</th>"
		      "<th scope=\"col\" class=\"n\">Entries</th><th scope=\"col\" class=\"n\">"
		      "Share</th><th scope=\"col\" class=\"n\">New/s</th>"
		      "<th scope=\"col\" class=\"n\">Lives, s</th>");
	for (size_t i = 0; i < state_count; i++)
		text_add_format(out, "<th scope=\"col\" class=\"n\">%s</th>", states[i].name);
	text_add(out, "<th scope=\"col\" class=\"n\">others</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < selection.count; i++)
		add_row(out, app, selection.picks[i].row, states, state_count,
			(double)snap->live.mirror_entries);
	text_add(out, "</tbody></table></div>\n");
	if (selection.matches > selection.count)
		text_add_format(out,
				"<p class=\"dim\">and %zu more: <a "
				"href=\"api/v1/ports?format=text\">all ports</a></p>\n",
				selection.matches - selection.count);
	selection_free(&selection);
}

static void add_foot(struct text *out, const struct app *app, unsigned long refresh_s)
{
	const char *metrics = app->options.telemetry_path;

	text_add(out, "</main>\n<footer><nav aria-label=\"Data\"><a href=\"");
	text_add_html(out, metrics + strspn(metrics, "/"));
	text_add(out, "\">Metrics</a><a href=\"api/v1/status\">Status</a>"
		      "<a href=\"api/v1/ports?format=csv\">Ports (CSV)</a>"
		      "<a href=\"api/v1/cells\">Cells</a><a href=\"api/v1/history?format=text&amp;"
		      "limit=60\">Last minute</a><a href=\"api/v1/openapi.json\">API</a>"
		      "<a href=\"api/v1/why?format=text\">Why</a>"
		      "<a href=\"api/v1/advice?format=text\">Advice</a>"
		      "<a href=\"-/ready?verbose\">Checks</a></nav>\n");
	if (refresh_s)
		text_add_format(out,
				"<p>Loads itself again every %lu s. <a "
				"href=\"?refresh=0\">Stop that</a></p>\n",
				refresh_s);
	else
		text_add(out, "<p>Stands still. <a href=\"?\">Let it run</a></p>\n");
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

void route_page(struct app *app, const struct request *request, const struct route_match *match,
		struct response *response)
{
	const struct snapshot *snap =
		source_snapshot(&app->source, clock_boot_ns(), clock_real_ns());
	const char *value = query_value(request->query, "refresh");
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
		add_fill(out, snap);
		render_forecast_html(snap, source_history(&app->source, false), clock_real_ns(),
				     out);
		render_nat_html(snap, request->sees_hosts, out);
		add_ports(out, app, snap);
		add_trust(out, snap);
	} else {
		text_add(out, "<p class=\"bad\" role=\"alert\">There are no numbers: ");
		text_add_html(out, app->source.why);
		text_add(out, ".</p>\n");
	}
	add_foot(out, app, refresh_s);
}
