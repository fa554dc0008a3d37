// SPDX-License-Identifier: GPL-2.0-or-later
/* The incidents on disk. Read for each request, so that they need no agent. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "exporters/advice/incident_view.h"
#include "exporters/http/routes/api.h"
#include "exporters/http/routes/routes.h"
#include "exporters/render/incidents.h"

/* A missing directory means no incidents; false after any other problem. */
static bool read_list(const struct app *app, int *ret_fd, struct incident_list *list,
		      struct response *response)
{
	int fd = incident_dir_open(app->options.state_dir, app->source.netns);
	int err = 0;

	memset(list, 0, sizeof(*list));
	*ret_fd = fd < 0 ? -1 : fd;
	if (fd >= 0)
		err = incident_list_read(list, fd);
	else if (fd != -ENOENT && fd != -ENOTDIR)
		err = fd;
	if (!err)
		return true;
	if (fd >= 0)
		close(fd);
	response_problem(response, 503, NULL,
			 "Cannot read %.150s/%.60s" INCIDENT_DIR_SUFFIX
			 ": %s; the exporter must be in the group of the agent's files, and "
			 "--state-dir the same as the agent's.",
			 app->options.state_dir, app->source.netns, strerror(-err));
	return false;
}

void route_incidents(struct app *app, const struct request *request,
		     const struct route_match *match, struct response *response)
{
	const char *patterns[INCIDENT_PATTERNS];
	struct incident_list list;
	struct incident_view_files files;
	struct api api;
	int fd;

	(void)match;
	if (!api_take_params(request, &api, response) || !read_list(app, &fd, &list, response))
		return;
	response_type(response, 200, rows_format_media_type(api.format));
	files = (struct incident_view_files){incident_load, fd};
	incident_view_patterns(&files, &list, api.select.limit, patterns);
	render_incidents(&list, app->source.reader.boot_id, patterns, api.select.limit, api.format,
			 &response->body);
	response_header(response, "Conntide-Total-Rows", "%zu", list.count);
	if (list.bad_count)
		response_header(response, "Conntide-Unreadable-Files", "%zu", list.bad_count);
	incident_list_free(&list);
	if (fd >= 0)
		close(fd);
}

struct question {
	const struct incident_item *item;
	int fd; /* of the directory */
	int stage;
	size_t limit;
	bool text;
	bool hosts;
};

static void answer(const struct app *app, const struct question *question,
		   struct response *response)
{
	struct incident_view_files files = {incident_load, question->fd};
	struct incident_view view = {.item = question->item,
				     .boot_id = app->source.reader.boot_id,
				     .shown = &question->item->worst,
				     .pattern = incident_view_pattern(&files, question->item),
				     .services = app->services,
				     .problem = "",
				     .limit = question->limit};
	struct incident_image image;
	int err = incident_load(&image, question->fd, question->item->last.id,
				(enum incident_stage)question->stage);

	if (err == -ENOMEM) {
		response->body.failed = true;
		return;
	}
	response_type(response, 200,
		      rows_format_media_type(question->text ? ROWS_TEXT : ROWS_JSON));
	if (err)
		view.problem = incident_explain(err);
	else
		view.shown = &image.head;
	incident_view_incident(&view, err ? NULL : &image, question->hosts, question->text,
			       &response->body);
	if (!err)
		incident_image_close(&image);
}

void route_incident(struct app *app, const struct request *request, const struct route_match *match,
		    struct response *response)
{
	const char *id = match->segments[0], *name = query_value(request->query, "stage");
	const struct incident_item *item = NULL;
	struct incident_list list;
	enum rows_format format;
	struct api api;
	int fd, stage;

	if (!api_take_document(request, "An incident", &format, response) ||
	    !api_take_params(request, &api, response) || !read_list(app, &fd, &list, response))
		return;
	if (!query_value(request->query, "limit"))
		api.select.limit = 0;
	if (incident_id_good(id))
		item = incident_find(&list, id);
	stage = name ? incident_stage_by_name(name) : item ? item->worst.stage : -1;
	if (!item)
		response_problem(response, 404, NULL,
				 "There is no such incident; /api/v1/incidents lists them.");
	else if (stage < 0 || !(item->stages & 1u << stage))
		response_problem(response, 404, "stage",
				 "That incident has no snapshot of this stage.");
	else
		answer(app,
		       &(struct question){.item = item,
					  .fd = fd,
					  .stage = stage,
					  .limit = api.select.limit,
					  .text = format == ROWS_TEXT,
					  .hosts = request->sees_hosts},
		       response);
	incident_list_free(&list);
	if (fd >= 0)
		close(fd);
}
