// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/fit.h"

#include <string.h>

#include "lib/base/check.h"

#define GAP	   2u
#define LAST_WIDTH 30u /* for which the last column may displace others */
#define CUT	   " ..."
#define GAP_INSIDE ".." /* in the middle of a field that is shortened */
#define SHORTEST   14u	/* no field is shortened further */

struct fit {
	const struct column *columns;
	size_t count;
	size_t width[FIT_COLUMNS_MAX];
	bool empty[FIT_COLUMNS_MAX];
	bool out[FIT_COLUMNS_MAX]; /* left out */
};

static void measure(struct fit *fit, const struct text *cells)
{
	const char *field = cells->data;

	for (size_t at = 0; *field; at++) {
		size_t bytes = strcspn(field, "\x1f"), i = at % fit->count;

		if (bytes > fit->width[i])
			fit->width[i] = bytes;
		if (at >= fit->count)
			fit->empty[i] = (at < 2 * fit->count || fit->empty[i]) && bytes == 1 &&
					*field == '-';
		field += bytes + 1;
	}
}

static size_t last_column(const struct fit *fit)
{
	size_t last = fit->count - 1;

	while (last && fit->out[last])
		last--;
	return last;
}

/* Columns that a row takes, if the last field may take `last_most`. */
static size_t row_width(const struct fit *fit, size_t last_most)
{
	size_t last = last_column(fit), width = 0;

	for (size_t i = 0; i < last; i++)
		if (!fit->out[i])
			width += fit->width[i] + GAP;
	return width + (fit->width[last] < last_most ? fit->width[last] : last_most);
}

static size_t find_column(const struct fit *fit, const char *name, size_t bytes)
{
	for (size_t i = 0; i < fit->count; i++)
		if (strlen(fit->columns[i].name) == bytes &&
		    !memcmp(fit->columns[i].name, name, bytes))
			return i;
	BUG_ON(true);
	return 0;
}

static void leave_out(struct fit *fit, const char *spare, size_t width)
{
	for (size_t i = 0; i < fit->count; i++)
		if (fit->empty[i] && row_width(fit, LAST_WIDTH) > width)
			fit->out[i] = true;
	while (spare && *spare && row_width(fit, LAST_WIDTH) > width) {
		size_t bytes = strcspn(spare, " ");

		fit->out[find_column(fit, spare, bytes)] = true;
		spare += bytes + (spare[bytes] == ' ');
	}
}

/* When nothing more may be left out, the widest columns give way: addresses, which are shortened in
 * the middle, where two differ least. */
static void shorten(struct fit *fit, size_t width)
{
	while (row_width(fit, LAST_WIDTH) > width) {
		size_t widest = 0, last = last_column(fit);

		for (size_t i = 0; i < last; i++)
			if (!fit->out[i] &&
			    (fit->out[widest] || fit->width[i] > fit->width[widest]))
				widest = i;
		if (fit->width[widest] <= SHORTEST)
			return;
		fit->width[widest]--;
	}
}

static void add_shortened(const char *field, size_t bytes, size_t room, struct text *out)
{
	size_t left = room > sizeof(GAP_INSIDE) ? room - (sizeof(GAP_INSIDE) - 1) : 0;

	if (bytes <= room || !left) {
		text_add_bytes(out, field, bytes);
		return;
	}
	text_add_bytes(out, field, left - left / 2);
	text_add(out, GAP_INSIDE);
	text_add_bytes(out, field + bytes - left / 2, left / 2);
}

/* What does not fit goes from the last space before it. */
static void add_cut(const char *field, size_t bytes, size_t room, struct text *out)
{
	size_t fits = room > sizeof(CUT) ? room - (sizeof(CUT) - 1) : 0;

	if (bytes <= room) {
		text_add_bytes(out, field, bytes);
		return;
	}
	while (fits && field[fits] != ' ')
		fits--;
	while (fits && field[fits - 1] == ' ')
		fits--;
	if (!fits) {
		text_add_bytes(out, field, bytes);
		return;
	}
	text_add_bytes(out, field, fits);
	text_add(out, CUT);
}

void fit_table(const struct text *cells, const struct column *columns, size_t column_count,
	       const char *spare, struct text *out)
{
	struct fit fit = {.columns = columns, .count = column_count};
	const char *field = cells->data;
	size_t last, line = out->bytes;

	BUG_ON(!column_count || column_count > FIT_COLUMNS_MAX);
	if (cells->failed || !field) {
		out->failed = out->failed || cells->failed;
		return;
	}
	measure(&fit, cells);
	leave_out(&fit, spare, out->columns);
	shorten(&fit, out->columns);
	last = last_column(&fit);
	for (size_t at = 0; *field; at++) {
		size_t bytes = strcspn(field, "\x1f"), i = at % fit.count;
		size_t from = out->bytes, used = from - line;

		if (i == last) {
			add_cut(field, bytes, used < out->columns ? out->columns - used : 0, out);
			text_add_char(out, '\n');
			line = out->bytes;
		} else if (!fit.out[i]) {
			add_shortened(field, bytes, fit.width[i], out);
			text_pad(out, from, fit.width[i] + GAP);
		}
		field += bytes + 1;
	}
}
