// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/incident_view.h"

#include <errno.h>
#include <string.h>

#include "exporters/advice/patterns.h"
#include "exporters/advice/why.h"

struct incident_snapshot {
	struct snapshot snap;
	struct snap_history history;
	struct snap_detail details;
	struct model model;
	struct why why;
};

/* To be freed in any case. */
static int incident_view_take(struct incident_snapshot *past, struct incident_image *image)
{
	int err;

	memset(past, 0, sizeof(*past));
	snapshot_init(&past->snap);
	snap_history_init(&past->history);
	snap_detail_init(&past->details);
	err = incident_snapshot(image, &past->snap);
	if (!err)
		err = snapshot_take_history(&image->reader, false, &past->history);
	if (!err)
		err = snapshot_take_detail(&image->reader, &past->details);
	if (!err)
		err = model_build(&past->snap, &past->details, &past->model);
	if (!err)
		why_look(&past->snap, &past->details, &past->model, &past->why);
	return err;
}

static void incident_view_free(struct incident_snapshot *past)
{
	model_free(&past->model);
	snap_detail_free(&past->details);
	snap_history_free(&past->history);
	snapshot_free(&past->snap);
}

/* That it was full is what makes it an incident; what filled it tells more. */
static const char *best_pattern(const struct why *why)
{
	const struct finding *best = NULL;

	for (uint32_t i = 0; i < why->finding_count; i++) {
		const struct finding *finding = &why->findings[i];

		if (finding->confidence == CONFIDENCE_NOT_SURE)
			continue;
		if (!best || best->pattern == PATTERN_TABLE_FULL)
			best = finding;
	}
	return best ? pattern_info(best->pattern)->id : NULL;
}

const char *incident_view_pattern(const struct incident_view_files *files,
				  const struct incident_item *item)
{
	const char *pattern = NULL;
	struct incident_image image;
	struct incident_snapshot past;

	if (files->load(&image, files->dir_fd, item->last.id,
			(enum incident_stage)item->worst.stage))
		return NULL;
	if (!incident_view_take(&past, &image))
		pattern = best_pattern(&past.why);
	incident_view_free(&past);
	incident_image_close(&image);
	return pattern;
}

void incident_view_patterns(const struct incident_view_files *files,
			    const struct incident_list *list, size_t limit,
			    const char *patterns[INCIDENT_PATTERNS])
{
	for (size_t i = 0; i < INCIDENT_PATTERNS; i++)
		patterns[i] = i < list->count && (!limit || i < limit)
				      ? incident_view_pattern(files, &list->items[i])
				      : NULL;
}

int incident_view_incident(struct incident_view *view, struct incident_image *image, bool hosts,
			   bool text, struct text *out)
{
	struct text why;
	struct incident_snapshot past;
	int err = 0;

	if (!image) {
		if (text)
			text_incident(view, out);
		else
			json_incident(view, out);
		return 0;
	}
	text_init(&why);
	why.columns = out->columns;
	err = incident_view_take(&past, image);
	if (err == -ENOMEM)
		out->failed = true;
	if (err) {
		view->problem = incident_explain(err);
	} else {
		view->snap = &past.snap;
		view->history = &past.history;
		view->talkers = hosts ? &past.details : NULL;
		view->why = &why;
		if (text)
			why_text(&past.why, view->services, hosts, &why);
		else
			why_json(&past.why, view->services, hosts, &why);
	}
	if (text)
		text_incident(view, out);
	else
		json_incident(view, out);
	view->snap = NULL;
	view->history = NULL;
	view->talkers = NULL;
	view->why = NULL;
	text_free(&why);
	incident_view_free(&past);
	return err;
}
