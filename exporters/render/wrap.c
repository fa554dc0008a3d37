// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/wrap.h"

#include <string.h>

#define ROW_INDENT    4u
#define LABEL_COLUMNS 12u

/* Columns that `bytes` of UTF-8 take: one for each character. */
static size_t columns_of(const char *text, size_t bytes)
{
	size_t columns = 0;

	for (size_t i = 0; i < bytes; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

/* How many bytes fit: up to the last space within `width` columns, or to the first behind them. */
static size_t bytes_that_fit(const char *text, size_t bytes, size_t width)
{
	size_t last = 0, i = strspn(text, " "), columns = i;

	for (; i < bytes; i++) {
		if (text[i] == ' ' && (columns <= width || !last))
			last = i;
		if (columns > width && last)
			return last;
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	}
	return columns > width && last ? last : bytes;
}

/* "level       OK: nothing runs out" goes on below OK. */
static size_t after_label(const char *line, size_t bytes)
{
	size_t label = strcspn(line, " "), at = label + strspn(line + label, " ");

	return at >= label + 2 && at <= LABEL_COLUMNS && at < bytes ? at : ROW_INDENT;
}

static void wrap_line(const char *line, size_t bytes, size_t width, struct text *out)
{
	size_t indent = strspn(line, " ");
	size_t more = indent ? indent : after_label(line, bytes);
	size_t room = width;

	if (indent + 2 < bytes && !strncmp(line + indent, "- ", 2))
		more += 2;
	while (bytes) {
		size_t fits = bytes_that_fit(line, bytes, room), end = fits;

		while (end && line[end - 1] == ' ')
			end--;
		text_add_bytes(out, line, end);
		while (fits < bytes && line[fits] == ' ')
			fits++;
		line += fits;
		bytes -= fits;
		room = width - more;
		if (bytes)
			text_add_format(out, "\n%*s", (int)more, "");
	}
}

void text_wrap(const struct text *from, size_t width, size_t keep, struct text *out)
{
	const char *line = from->data ? from->data : "";

	while (*line) {
		size_t bytes = strcspn(line, "\n");
		size_t indent = strspn(line, " ");

		if (columns_of(line, bytes) <= width || (keep && indent >= keep) ||
		    width < 4 * ROW_INDENT)
			text_add_bytes(out, line, bytes);
		else
			wrap_line(line, bytes, width, out);
		line += bytes;
		if (*line) {
			text_add_char(out, '\n');
			line++;
		}
	}
}
