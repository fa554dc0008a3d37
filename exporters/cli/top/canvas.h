// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A screen as an array of characters, each with a style: what conntide top draws on. A
 * terminal shows it (screen.h), batch mode prints it, a test reads it.
 *
 * What lies outside is cut off, so that the caller need not know how small a terminal is. One
 * character takes one column; characters that would take none or two become '?'.
 *
 * Pure, but for the character set of the locale (LC_CTYPE), which the caller has set.
 * Threads: one per canvas. Running out of memory leaves a canvas of no size.
 */
#ifndef CONNTIDE_CLI_TOP_CANVAS_H
#define CONNTIDE_CLI_TOP_CANVAS_H

#include <stdint.h>
#include <wchar.h>

#include "exporters/render/text.h"

enum canvas_style {
	STYLE_PLAIN,
	STYLE_STRONG,
	STYLE_DIM,
	STYLE_HEADING, /* of a table */
	STYLE_SELECTED,
	STYLE_OK,
	STYLE_HIGH,
	STYLE_CRITICAL,
	STYLE_FULL,
	STYLE_UNKNOWN,
	STYLE_COUNT
};

struct canvas_cell {
	wchar_t c;
	uint8_t style; /* enum canvas_style */
};

struct canvas {
	int width;
	int height;
	struct canvas_cell *cells; /* rows of `width`, from the top */
};

/* Blank, of that size. Free with canvas_free(). */
void canvas_init(struct canvas *canvas, int width, int height);
void canvas_free(struct canvas *canvas);

/* Writes text in the locale's encoding at column x of row y; returns the column after it. */
int canvas_put(struct canvas *canvas, int y, int x, enum canvas_style style, const char *text);
/* The same in `width` columns, filled with blanks, cut where it is longer. */
int canvas_put_left(struct canvas *canvas, int y, int x, int width, enum canvas_style style,
		    const char *text);
int canvas_put_right(struct canvas *canvas, int y, int x, int width, enum canvas_style style,
		     const char *text);
/* Gives a whole row another style. */
void canvas_style_row(struct canvas *canvas, int y, enum canvas_style style);

/* All rows as text, without the blanks at their ends. */
void canvas_print(const struct canvas *canvas, struct text *out);

#endif
