// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of what is served. The router, the check of parameters and
 * openapi.json all read it, so they cannot differ.
 */
#ifndef CONNTIDE_HTTP_ROUTES_ROUTES_H
#define CONNTIDE_HTTP_ROUTES_ROUTES_H

#include "exporters/http/message/message.h"
#include "exporters/http/routes/app.h"
#include "exporters/render/rows.h"

/* A parameter some route takes. */
struct route_param {
	const char *name;
	const char *type;   /* of JSON Schema: string, integer, boolean */
	const char *values; /* words it may be, separated by spaces; NULL: any */
	const char *means;
};

#define ROUTE_API "/api/v1/"

#define ROUTE_PARAMS_MAX   12u
#define ROUTE_SEGMENTS_MAX 2u

enum route_flags {
	ROUTE_HOSTS = 1 << 0,	 /* names hosts: not for everybody */
	ROUTE_HIDDEN = 1 << 1,	 /* an alias or a file of the page: not in openapi.json */
	ROUTE_PREFIX = 1 << 2,	 /* its path is --web.telemetry-path */
	ROUTE_OBJECT = 1 << 3,	 /* one object with these columns, not a list of rows */
	ROUTE_DOCUMENT = 1 << 4, /* a list, but as JSON and text only */
	ROUTE_CHANGES = 1 << 5,	 /* takes the words of a what-if, which have names of their own */
};

/* Values of the {segments} of the path, in order. */
struct route_match {
	char segments[ROUTE_SEGMENTS_MAX][64];
};

struct route {
	const char *path; /* segments in braces match one segment each */
	void (*handle)(struct app *app, const struct request *request,
		       const struct route_match *match, struct response *response);
	unsigned int flags;
	const char *summary;
	const char *media_types;      /* separated by spaces, the first is the default */
	const char *params;	      /* names of route_params, separated by spaces */
	const struct column *columns; /* of its rows, or NULL */
	const size_t *column_count;
};

/* Of the list at /api/v1. */
extern const struct column index_columns[];
extern const size_t index_column_count;

/* Of what history/states serves. */
extern const struct column states_columns[];
extern const size_t states_column_count;

extern const struct route routes[];
extern const size_t route_count;
extern const struct route_param route_params[];
extern const size_t route_param_count;

/* Everything: finds the route, checks parameters and trust, handles, adds ETag
 * and compression. */
void routes_handle(struct app *app, const struct request *request, struct response *response);

/* NULL when there is none; *match is filled otherwise. */
const struct route *route_find(const struct app *app, const char *path, struct route_match *match);

/* May this client use the route: it may see hosts, or the route names none? */
bool route_allowed(const struct route *route, bool sees_hosts);

/* Words a parameter may be on this route: documents have fewer formats than rows.
 * NULL: any. */
const char *route_param_values(const struct route *route, const struct route_param *param);

/* Is `word` one of the space-separated words? */
bool word_in(const char *words, const char *word);

/* Handlers, by file. */
void route_metrics(struct app *app, const struct request *request, const struct route_match *match,
		   struct response *response);
void route_status(struct app *app, const struct request *request, const struct route_match *match,
		  struct response *response);
void route_cells(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response);
void route_ports(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response);
void route_port(struct app *app, const struct request *request, const struct route_match *match,
		struct response *response);
void route_history(struct app *app, const struct request *request, const struct route_match *match,
		   struct response *response);
void route_states(struct app *app, const struct request *request, const struct route_match *match,
		  struct response *response);
void route_forecast(struct app *app, const struct request *request, const struct route_match *match,
		    struct response *response);
void route_pasts(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response);
void route_talkers(struct app *app, const struct request *request, const struct route_match *match,
		   struct response *response);
void route_nat(struct app *app, const struct request *request, const struct route_match *match,
	       struct response *response);
void route_why(struct app *app, const struct request *request, const struct route_match *match,
	       struct response *response);
void route_advice(struct app *app, const struct request *request, const struct route_match *match,
		  struct response *response);
void route_whatif(struct app *app, const struct request *request, const struct route_match *match,
		  struct response *response);
void route_incidents(struct app *app, const struct request *request,
		     const struct route_match *match, struct response *response);
void route_incident(struct app *app, const struct request *request, const struct route_match *match,
		    struct response *response);
void route_index(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response);
void route_openapi(struct app *app, const struct request *request, const struct route_match *match,
		   struct response *response);
void route_healthy(struct app *app, const struct request *request, const struct route_match *match,
		   struct response *response);
void route_ready(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response);
void route_page(struct app *app, const struct request *request, const struct route_match *match,
		struct response *response);
void route_icon(struct app *app, const struct request *request, const struct route_match *match,
		struct response *response);
void route_page_script(struct app *app, const struct request *request,
		       const struct route_match *match, struct response *response);
void route_chart_script(struct app *app, const struct request *request,
			const struct route_match *match, struct response *response);
void route_style(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response);

#endif
