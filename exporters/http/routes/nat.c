// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/nat.h"

#include "exporters/http/routes/api.h"
#include "exporters/http/routes/routes.h"

void route_nat(struct app *app, const struct request *request, const struct route_match *match,
	       struct response *response)
{
	const struct snap_detail *details;
	const struct snapshot *snap;
	struct api api;

	(void)match;
	if (!api_take_params(request, &api, response))
		return;
	snap = api_snapshot(app, api.stale, response);
	details = snap ? api_details(app, response) : NULL;
	if (!details || !api_hosts(details, response))
		return;
	api_begin_rows(snap, api.format, response);
	render_nat(&snap->nat, api.select.zone, api.select.limit, api.format, &response->body);
}
