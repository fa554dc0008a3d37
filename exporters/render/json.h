// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * JSON documents that are not rows: status, errors after RFC 9457. The only
 * user of cJSON. Pure; `out` remembers running out of memory.
 */
#ifndef CONNTIDE_RENDER_JSON_H
#define CONNTIDE_RENDER_JSON_H

#include "exporters/render/rows.h"
#include "exporters/render/text.h"
#include "lib/shm/snapshot.h"

/* Fields of DESIGN, then everything that says how far they can be trusted. */
void json_status(const struct snapshot *snap, struct text *out);

/* Its fixed fields; "null" is for when nothing is known. */
extern const struct column status_columns[];
extern const size_t status_column_count;

/* The same, when there is no snapshot at all; `reason` says what to do. */
void json_status_missing(const char *netns, const char *reason, struct text *out);

/* application/problem+json; `parameter` (may be NULL) names the query parameter at fault. */
void json_problem(unsigned int status, const char *title, const char *detail, const char *instance,
		  const char *parameter, struct text *out);

#endif
