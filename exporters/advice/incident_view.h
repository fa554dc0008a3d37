// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Why, for the table of an incident: the functions of why.h over what the flight
 * recorder kept. As of then: the clock is the incident's. Only the largest INCIDENT_ROWS
 * ports and DETAIL_ROWS details were kept; smaller ones are no part of a pattern.
 *
 * Pure: who reads the files is the caller, or `load`, which is incident_load(). Threads:
 * none shared. Nothing is kept: what is built here is freed before the return.
 */
#ifndef CONNTIDE_ADVICE_INCIDENT_VIEW_H
#define CONNTIDE_ADVICE_INCIDENT_VIEW_H

#include "exporters/render/incidents.h"

struct incident_view_files {
	int (*load)(struct incident_image *image, int dir_fd, const char *id,
		    enum incident_stage stage);
	int dir_fd;
};

/* The id of the pattern that fits `item` best at its worst stage: the surest and largest,
 * table-full only where there is no other. NULL: none, only doubtful ones, or the file
 * cannot be read. */
const char *incident_view_pattern(const struct incident_view_files *files,
				  const struct incident_item *item);

/* The same for the newest of a list; at most INCIDENT_PATTERNS of `limit` (0: all). */
void incident_view_patterns(const struct incident_view_files *files,
			    const struct incident_list *list, size_t limit,
			    const char *patterns[INCIDENT_PATTERNS]);

/* json_incident() or text_incident() of `view`, with what `image` holds filled in; NULL:
 * only the summary, for view->problem. `hosts`: addresses may be shown. Returns 0, or the
 * error because of which only the summary was written; after -ENOMEM out->failed is set. */
int incident_view_incident(struct incident_view *view, struct incident_image *image, bool hosts,
			   bool text, struct text *out);

#endif
