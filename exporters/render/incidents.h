// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Incidents for people and programs: the list, and one of them whole. Pure: the caller reads the
 * files.
 */
#ifndef CONNTIDE_RENDER_INCIDENTS_H
#define CONNTIDE_RENDER_INCIDENTS_H

#include "exporters/render/rows.h"
#include "lib/incident/incident_dir.h"
#include "lib/shm/snap_detail.h"
#include "lib/shm/snapshot.h"

/* The default of what one incident shows of its table. */
#define INCIDENT_CELLS_SHOWN 4096u
#define INCIDENT_PORTS_SHOWN 20u /* as text */
#define INCIDENT_HOSTS_SHOWN 10u /* of each kind of talkers, as text */
#define INCIDENT_PATTERNS    8u	 /* incidents of a list that tell their pattern: the newest */
#define INCIDENT_LINES_SHOWN 60u /* of history, as text */

extern const struct column incidents_columns[];
extern const size_t incidents_column_count;

/* Fields of one of them, for openapi.json. */
extern const struct column incident_columns[];
extern const size_t incident_column_count;

/* One row an incident, newest first, at most `limit` (0: all); then one for each file
 * that could not be read, with the reason. `boot_id`: of this machine, now. `patterns`: of the
 * newest, or NULL. */
void render_incidents(const struct incident_list *list, const uint8_t boot_id[16],
		      const char *const patterns[INCIDENT_PATTERNS], size_t limit,
		      enum rows_format format, struct text *out);

/* One incident and the stage of it that was read; `history` are the seconds before. */
struct incident_view {
	const struct incident_item *item;
	const uint8_t *boot_id;
	const struct incident_head *shown;
	const struct snapshot *snap;	    /* NULL: only the summary, for `problem` */
	const struct snap_history *history; /* with snap */
	const struct snap_detail *talkers;  /* NULL: hosts must not be shown */
	const struct text *why;		    /* with snap: as JSON or as text, as it is written */
	const char *pattern;		    /* of the worst stage; NULL: none */
	const struct services *services;
	const char *problem; /* "" with snap */
	size_t limit;	     /* of ports and cells; 0: the default */
};

/* incident, shown, stages, and as of then status, forecast, why, talkers, ports, cells, history:
 * null where only the summary is known. */
void json_incident(const struct incident_view *view, struct text *out);
void text_incident(const struct incident_view *view, struct text *out);

#endif
