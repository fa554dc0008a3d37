// SPDX-License-Identifier: GPL-2.0-or-later
/* What the page loads: its style and its scripts, made into strings by the Makefile. */
#include "exporters/http/routes/routes.h"

static const char style[] =
#include "exporters/http/page/style.css.inc"
	;
static const char page_script[] =
#include "exporters/http/page/page.js.inc"
	;
static const char chart_script[] =
#include "exporters/http/page/chart.js.inc"
	;

/* A table that fills: seen in a tab at its smallest. */
static const char icon[] =
	"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><rect width=\"16\" "
	"height=\"16\" rx=\"3\" fill=\"#0b4f9c\"/><path d=\"M2 11l3-1 3-3 3 1 3-5v10H2z\" "
	"fill=\"#9fd0ff\"/><path d=\"M2 3h12\" stroke=\"#ff8a80\"/></svg>\n";

static void answer(struct response *response, const char *type, const char *what)
{
	response_type(response, 200, type);
	text_add(&response->body, what);
}

void route_style(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response)
{
	(void)app;
	(void)request;
	(void)match;
	answer(response, "text/css; charset=utf-8", style);
}

void route_page_script(struct app *app, const struct request *request,
		       const struct route_match *match, struct response *response)
{
	(void)app;
	(void)request;
	(void)match;
	answer(response, "text/javascript; charset=utf-8", page_script);
}

void route_chart_script(struct app *app, const struct request *request,
			const struct route_match *match, struct response *response)
{
	(void)app;
	(void)request;
	(void)match;
	answer(response, "text/javascript; charset=utf-8", chart_script);
}

void route_icon(struct app *app, const struct request *request, const struct route_match *match,
		struct response *response)
{
	(void)app;
	(void)request;
	(void)match;
	answer(response, "image/svg+xml", icon);
}
