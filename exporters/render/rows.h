// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rows of named fields, written as a JSON array, as one JSON object per line, as CSV, or as an
 * aligned table, which fits the terminal where the text is for one (exporters/render/fit.h).
 * Fields must be given in the order of the columns, every one of them in every row.
 */
#ifndef CONNTIDE_RENDER_ROWS_H
#define CONNTIDE_RENDER_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "exporters/render/column.h"
#include "exporters/render/select.h"
#include "exporters/render/services.h"
#include "exporters/render/text.h"

enum rows_format { ROWS_JSON, ROWS_NDJSON, ROWS_CSV, ROWS_TEXT, ROWS_FORMAT_COUNT };

/* What stands inside a column of type object or array, for openapi.json. */
struct column_part {
	const char *name; /* of the column; NULL ends a list of parts */
	const struct column *columns;
	size_t count;
};

struct rows {
	struct text *out;
	enum rows_format format;
	const struct column *columns;
	size_t column_count;
	size_t at;	/* column of the next field */
	size_t written; /* rows */
	size_t line;	/* where the line began */
	size_t field;	/* where the field began */
	const char *spare;
	struct text *fit; /* the table goes here when it is whole, fit to a terminal; NULL: no */
	struct text cells;
};

/* "json", "ndjson", "csv", "text"; -1 when there is no such format. */
int rows_format_by_name(const char *name);
const char *rows_format_name(enum rows_format format);
const char *rows_format_media_type(enum rows_format format);

void rows_begin(struct rows *rows, struct text *out, enum rows_format format,
		const struct column *columns, size_t column_count);
/* Which columns a narrow terminal may do without: their names, the first to go first. */
void rows_spare(struct rows *rows, const char *spare);
void rows_string(struct rows *rows, const char *value);
/* A value that is not a string: as JSON, and as plain text. */
void rows_value(struct rows *rows, const char *json, const char *plain);
void rows_u64(struct rows *rows, uint64_t value);
void rows_u64_or_null(struct rows *rows, bool known, uint64_t value);
void rows_boolean(struct rows *rows, bool known, bool value); /* in a table: yes, no or "-" */
void rows_double(struct rows *rows, double value);	      /* NaN: null, empty or "-" */
void rows_share(struct rows *rows, double share);	      /* 0 to 1; in a table: "72.5 %" */
void rows_port(struct rows *rows, uint16_t port);	      /* 0, none: in a table "-" */
void rows_states(struct rows *rows, const struct snap_row *row);
/* One field for a whole row: "tcp/inbound/443"; where people read it "gre/inbound" and
 * "50/inbound", for programs "gre/inbound/0" and "other/inbound/50". */
#define ROW_FIELD_BYTES 48u
const char *row_field(enum rows_format format, const struct row_key *key,
		      char out[ROW_FIELD_BYTES]);

void rows_history_top(struct rows *rows, const struct snap_sample *sample);
void rows_time(struct rows *rows, uint64_t real_ns);
void rows_end(struct rows *rows);

/* The tables of conntide. The descriptions serve openapi.json and the tests. */
extern const struct column cells_columns[];
extern const size_t cells_column_count;
extern const struct column ports_columns[];
extern const size_t ports_column_count;
extern const struct column history_columns[];
extern const size_t history_column_count;

/* With the zones of each row or cell; of a selection by zone, that zone. */
void render_cells(const struct snapshot *snap, const struct selection *selection,
		  enum rows_format format, struct text *out);
void render_ports(const struct snapshot *snap, const struct selection *selection,
		  const struct services *services, enum rows_format format, struct text *out);
/* The last `limit` samples (0: all) later than the second of `since_real_ns`, oldest first, with
 * the settings changed in each. */
void render_history(const struct snap_history *history, const struct snap_settings *settings,
		    uint64_t since_real_ns, size_t limit, enum rows_format format,
		    struct text *out);

#endif
