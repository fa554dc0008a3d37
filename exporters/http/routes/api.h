// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Shared by the routes under /api/v1/: checked parameters; a snapshot that is fresh unless an old
 * one was asked for; headers with its age. A function that returns false or NULL has made the
 * response an error. One thread.
 */
#ifndef CONNTIDE_HTTP_ROUTES_API_H
#define CONNTIDE_HTTP_ROUTES_API_H

#include "exporters/http/message/message.h"
#include "exporters/http/routes/app.h"
#include "exporters/render/rows.h"

#define API_RETRY_AFTER_S "5"

struct api {
	struct select select;
	enum rows_format format;
	bool stale;
	bool minutes;	    /* resolution=1m */
	uint32_t horizon_s; /* 0: all */
	uint64_t since_real_ns;
};

/* Words were checked against the route's table already; numbers are checked here. */
bool api_take_params(const struct request *request, struct api *api, struct response *response);

/* For documents: ROWS_JSON or ROWS_TEXT, after `format` and the Accept header. `what`
 * is "The status", for the message. */
bool api_take_document(const struct request *request, const char *what,
		       enum rows_format *ret_format, struct response *response);

/* Rows carry no age, so old ones are only given on request (stale=1). */
const struct snapshot *api_snapshot(struct app *app, bool stale, struct response *response);

/* The type of a reply with rows and, for people, the warnings that come before them. */
void api_begin_rows(const struct snapshot *snap, enum rows_format format,
		    struct response *response);

/* What the segment tells beside the numbers; NULL after an answer that says why not. */
const struct snap_detail *api_details(struct app *app, struct response *response);
/* It holds addresses; false after an answer that says why not. */
bool api_hosts(const struct snap_detail *details, struct response *response);

/* The status as JSON or text, also of a table that is not there: route_status(), and a terminal
 * at "/". */
void api_status(struct app *app, enum rows_format format, struct response *response);

/* stale=1 was given. */
bool api_wants_stale(const struct request *request);

#endif
