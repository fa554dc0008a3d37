// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A table fit to a terminal: columns as wide as what stands in them. Where that is too wide,
 * columns without any value are left out, then those that matter least, until a row fits in one
 * line; then the widest are shortened in the middle ("2001:db8:aa:bb..dd:ee:ff"), and the last
 * column is cut. Pure.
 */
#ifndef CONNTIDE_RENDER_FIT_H
#define CONNTIDE_RENDER_FIT_H

#include "exporters/render/column.h"
#include "exporters/render/text.h"

#define FIT_COLUMNS_MAX 32u

/* Ends each field of `cells`; the first fields are the titles. */
#define FIT_FIELD_END '\x1f'

/*
 * Adds to `out`, which knows its width, the table that `cells` holds, row by row. `spare` names
 * columns that may be left out, separated by spaces, the first to go first; NULL: none may.
 */
void fit_table(const struct text *cells, const struct column *columns, size_t column_count,
	       const char *spare, struct text *out);

#endif
