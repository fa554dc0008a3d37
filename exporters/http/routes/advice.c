// SPDX-License-Identifier: GPL-2.0-or-later
/* Why, advice, what-if and talkers: what is computed from a snapshot and its details. */
#include <stdlib.h>
#include <string.h>

#include "exporters/advice/advice.h"
#include "exporters/http/routes/api.h"
#include "exporters/http/routes/routes.h"
#include "exporters/render/talkers.h"

/* What an answer is made from; `model` is to be freed. */
struct context {
	const struct snapshot *snap;
	const struct snap_detail *details;
	struct model model;
	enum rows_format format;
};

static bool take_context(struct app *app, const struct request *request, const char *what,
			 struct context *context, struct response *response)
{
	if (!api_take_document(request, what, &context->format, response))
		return false;
	context->snap = api_snapshot(app, api_wants_stale(request), response);
	context->details = context->snap ? api_details(app, response) : NULL;
	if (!context->details)
		return false;
	response_type(response, 200, rows_format_media_type(context->format));
	if (!model_build(context->snap, context->details, &context->model))
		return true;
	model_free(&context->model);
	response->body.failed = true;
	return false;
}

void route_why(struct app *app, const struct request *request, const struct route_match *match,
	       struct response *response)
{
	bool hosts = request->sees_hosts;
	struct context context;
	struct why why;

	(void)match;
	if (!take_context(app, request, "Why", &context, response))
		return;
	why_look(context.snap, context.details, &context.model, &why);
	if (context.format == ROWS_TEXT)
		why_text(&why, app->services, hosts, &response->body);
	else
		why_json(&why, app->services, hosts, &response->body);
	model_free(&context.model);
}

void route_advice(struct app *app, const struct request *request, const struct route_match *match,
		  struct response *response)
{
	struct context context;
	struct advice *advice;
	struct why why;

	(void)match;
	if (!take_context(app, request, "Advice", &context, response))
		return;
	why_look(context.snap, context.details, &context.model, &why);
	advice = malloc(sizeof(*advice));
	if (!advice || advice_make(&why, advice)) {
		response->body.failed = true;
	} else {
		if (request->sees_hosts)
			advice_name_hosts(advice);
		if (context.format == ROWS_TEXT)
			advice_text(advice, &response->body);
		else
			advice_json(advice, &response->body);
	}
	free(advice);
	model_free(&context.model);
}

static bool take_changes(const struct request *request, struct whatif *whatif,
			 struct response *response)
{
	const struct query *query = request->query;
	char why[WHATIF_WHY_BYTES], key[WHATIF_KEY_BYTES];

	memset(whatif, 0, sizeof(*whatif));
	for (size_t i = 0; i < query->param_count; i++) {
		const char *name = query->params[i].name;

		if (whatif_is_key(name) &&
		    whatif_add(whatif, name, query->params[i].value, why) < 0) {
			response_problem(response, 400, name, "%s", why);
			return false;
		}
	}
	if (whatif_check(whatif, key, why) < 0) {
		response_problem(response, 400, key, "%s", why);
		return false;
	}
	return true;
}

void route_whatif(struct app *app, const struct request *request, const struct route_match *match,
		  struct response *response)
{
	struct whatif_result result;
	struct whatif whatif;
	struct context context;

	(void)match;
	if (!take_changes(request, &whatif, response) ||
	    !take_context(app, request, "What-if", &context, response))
		return;
	if (whatif_run(&whatif, &context.model, &result))
		response->body.failed = true;
	else if (context.format == ROWS_TEXT)
		whatif_text(&whatif, &result, context.snap, app->services, &response->body);
	else
		whatif_json(&whatif, &result, context.snap, app->services, &response->body);
	whatif_free(&result);
	model_free(&context.model);
}

void route_talkers(struct app *app, const struct request *request, const struct route_match *match,
		   struct response *response)
{
	const char *kind = query_value(request->query, "kind");
	const struct snapshot *snap;
	const struct snap_detail *details;
	struct talkers_wanted wanted;
	struct api api;

	(void)match;
	if (!api_take_params(request, &api, response))
		return;
	snap = api_snapshot(app, api.stale, response);
	details = snap ? api_details(app, response) : NULL;
	if (!details || !api_hosts(details, response))
		return;
	api_begin_rows(snap, api.format, response);
	wanted = (struct talkers_wanted){.kind = kind ? talker_kind_by_name(kind) : -1,
					 .limit = api.select.limit,
					 .format = api.format};
	render_talkers(snap, details, &wanted, app->services, &response->body);
}
