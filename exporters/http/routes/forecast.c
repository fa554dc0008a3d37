// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/routes/api.h"
#include "exporters/http/routes/routes.h"
#include "exporters/render/forecast.h"

void route_forecast(struct app *app, const struct request *request, const struct route_match *match,
		    struct response *response)
{
	const struct snapshot *snap;
	enum rows_format format;

	(void)match;
	if (!api_take_document(request, "The forecast", &format, response))
		return;
	snap = api_snapshot(app, api_wants_stale(request), response);
	if (!snap)
		return;
	response_type(response, 200, rows_format_media_type(format));
	if (format == ROWS_TEXT)
		render_forecast_text(snap, app->services, &response->body);
	else
		render_forecast_json(snap, &response->body);
}

void route_pasts(struct app *app, const struct request *request, const struct route_match *match,
		 struct response *response)
{
	const struct snap_pasts *pasts;
	const struct snapshot *snap;
	struct api api;

	(void)match;
	if (!api_take_params(request, &api, response))
		return;
	snap = api_snapshot(app, api.stale, response);
	if (!snap)
		return;
	pasts = source_pasts(&app->source);
	if (!pasts) {
		response_problem(response, 503, NULL, "%s.", app->source.why);
		return;
	}
	api_begin_rows(snap, api.format, response);
	render_pasts(pasts, api.horizon_s, api.select.limit, api.format, &response->body);
}
