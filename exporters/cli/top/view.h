// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Draws what conntide top shows: the two lines of state, then the content of the screen,
 * then the keys. Pure: numbers and state in, a canvas out.
 *
 * The content is the table of ports, drawn here, or a text that the other renderers made
 * (why, advice, talkers, incidents), of which the visible lines are shown. Columns that have
 * no room are left out, the least important first.
 */
#ifndef CONNTIDE_CLI_TOP_VIEW_H
#define CONNTIDE_CLI_TOP_VIEW_H

#include "exporters/cli/top/canvas.h"
#include "exporters/cli/top/state.h"
#include "exporters/render/services.h"
#include "lib/shm/snap_detail.h"
#include "lib/shm/snapshot.h"

/* All that is shown; borrowed while it is drawn. */
struct top_data {
	const char *host;	     /* the machine's name */
	const struct snapshot *snap; /* NULL: there is no table, `content` says why */
	const struct snap_detail *details;
	const struct services *services;
	const struct text *content; /* of the screens that are text; broken into lines */
	bool ascii;		    /* no sparklines and bars of Unicode */
};

/* Fills the canvas, and state->lines and state->page. */
void top_draw(struct canvas *canvas, struct top_state *state, const struct top_data *data);

/* The keys, as lines of text. */
extern const char top_help_text[];

#endif
