// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * JSON documents that are not rows: status, errors after RFC 9457, and a builder for
 * those that are put together elsewhere. The only user of cJSON. Pure; `out`
 * remembers running out of memory.
 */
#ifndef CONNTIDE_RENDER_JSON_H
#define CONNTIDE_RENDER_JSON_H

#include <stdbool.h>

#include "exporters/render/rows.h"
#include "exporters/render/text.h"
#include "lib/shm/snapshot.h"

/* The fixed fields, then everything about their quality. */
void json_status(const struct snapshot *snap, struct text *out);

/* Its fixed fields; "null" means not known. */
extern const struct column status_columns[];
extern const size_t status_column_count;

/* The same, when there is no snapshot at all; `reason` says what to do. */
/* The agent does not run: says so, with no number but the age of the last ones. */
void json_stale(const struct snapshot *snap, struct text *out);

void json_status_missing(const char *netns, const char *reason, struct text *out);

/* application/problem+json; `parameter` (may be NULL) names the query parameter at fault. */
void json_problem(unsigned int status, const char *title, const char *detail, const char *instance,
		  const char *parameter, struct text *out);

/*
 * A document under construction: json_begin(), members in order, json_end(). Within an array
 * names are NULL. Whoever opens, closes. Running out of memory is remembered, and reported
 * through `out` at the end.
 */
struct cJSON;

#define JSON_DEPTH_MAX 8u

struct json {
	struct cJSON *at[JSON_DEPTH_MAX]; /* from the root to what is open */
	unsigned int depth;
	bool failed;
};

void json_begin(struct json *json);	  /* an object */
void json_begin_array(struct json *json); /* an array */
void json_open_object(struct json *json, const char *name);
void json_open_array(struct json *json, const char *name);
void json_close(struct json *json);
void json_string(struct json *json, const char *name, const char *value); /* NULL: null */
void json_number(struct json *json, const char *name, double value);	  /* not finite: null */
void json_bool(struct json *json, const char *name, bool value);
/* Prints, frees. */
void json_end(struct json *json, struct text *out);

#endif
