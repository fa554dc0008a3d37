// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/top/canvas.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

void canvas_init(struct canvas *canvas, int width, int height)
{
	size_t count = width > 0 && height > 0 ? (size_t)width * (size_t)height : 0;

	canvas->cells = count ? malloc(count * sizeof(*canvas->cells)) : NULL;
	canvas->width = canvas->cells ? width : 0;
	canvas->height = canvas->cells ? height : 0;
	for (size_t i = 0; canvas->cells && i < count; i++)
		canvas->cells[i] = (struct canvas_cell){L' ', STYLE_PLAIN};
}

void canvas_free(struct canvas *canvas)
{
	free(canvas->cells);
	memset(canvas, 0, sizeof(*canvas));
}

static void put_char(struct canvas *canvas, int y, int x, enum canvas_style style, wchar_t c)
{
	if (y < 0 || y >= canvas->height || x < 0 || x >= canvas->width)
		return;
	canvas->cells[y * canvas->width + x] = (struct canvas_cell){c, (uint8_t)style};
}

/* The next character of *text; what is not one column wide, or no character, becomes '?'. */
static wchar_t next_char(const char **text, mbstate_t *state)
{
	wchar_t c;
	size_t n = mbrtowc(&c, *text, MB_LEN_MAX, state);

	if (n == (size_t)-1 || n == (size_t)-2) {
		memset(state, 0, sizeof(*state));
		(*text)++;
		return L'?';
	}
	*text += n;
	return wcwidth(c) == 1 ? c : L'?';
}

/* At most `width` columns. */
static int put_cut(struct canvas *canvas, int y, int x, int width, enum canvas_style style,
		   const char *text)
{
	mbstate_t state = {0};

	for (int i = 0; i < width && *text; i++)
		put_char(canvas, y, x++, style, next_char(&text, &state));
	return x;
}

static int columns_of(const char *text)
{
	mbstate_t state = {0};
	int columns = 0;

	while (*text) {
		next_char(&text, &state);
		columns++;
	}
	return columns;
}

int canvas_put(struct canvas *canvas, int y, int x, enum canvas_style style, const char *text)
{
	return put_cut(canvas, y, x, INT_MAX, style, text);
}

int canvas_put_left(struct canvas *canvas, int y, int x, int width, enum canvas_style style,
		    const char *text)
{
	int end = x + width;

	x = put_cut(canvas, y, x, width, style, text);
	while (x < end)
		put_char(canvas, y, x++, style, L' ');
	return end;
}

int canvas_put_right(struct canvas *canvas, int y, int x, int width, enum canvas_style style,
		     const char *text)
{
	int blanks = width - columns_of(text);

	for (int i = 0; i < blanks; i++)
		put_char(canvas, y, x + i, style, L' ');
	put_cut(canvas, y, x + (blanks > 0 ? blanks : 0), width, style, text);
	return x + width;
}

void canvas_style_row(struct canvas *canvas, int y, enum canvas_style style)
{
	for (int x = 0; y >= 0 && y < canvas->height && x < canvas->width; x++)
		canvas->cells[y * canvas->width + x].style = (uint8_t)style;
}

static void print_row(const struct canvas *canvas, int y, struct text *out)
{
	const struct canvas_cell *row = canvas->cells + (size_t)y * (size_t)canvas->width;
	int end = canvas->width;
	mbstate_t state = {0};

	while (end > 0 && row[end - 1].c == L' ')
		end--;
	for (int x = 0; x < end; x++) {
		char bytes[MB_LEN_MAX];
		size_t n = wcrtomb(bytes, row[x].c, &state);

		text_add_bytes(out, n == (size_t)-1 ? "?" : bytes, n == (size_t)-1 ? 1 : n);
	}
	text_add_char(out, '\n');
}

void canvas_print(const struct canvas *canvas, struct text *out)
{
	for (int y = 0; y < canvas->height; y++)
		print_row(canvas, y, out);
}
