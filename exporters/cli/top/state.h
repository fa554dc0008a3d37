// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What conntide top shows, and how keys change it. The keys are those of htop, iftop and
 * iptstate where these agree. Pure: a key in, another state out. Threads: one.
 */
#ifndef CONNTIDE_CLI_TOP_STATE_H
#define CONNTIDE_CLI_TOP_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "exporters/render/select.h"

/* Keys that are not characters; beyond all of Unicode. */
enum top_key {
	TOP_KEY_UP = 0x110000,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_F1,
	TOP_KEY_F6,
	TOP_KEY_F10,
	TOP_KEY_BACKSPACE
};

#define TOP_KEY_ENTER  '\n'
#define TOP_KEY_ESCAPE 27

enum top_screen { TOP_PORTS, TOP_TALKERS, TOP_NAT, TOP_WHY, TOP_INCIDENTS, TOP_HELP, TOP_SCREENS };

#define TOP_FILTER_BYTES    64u
#define TOP_INTERVAL_MIN_DS 1u /* tenths of a second */
#define TOP_INTERVAL_MAX_DS 600u

struct top_state {
	enum top_screen screen;
	enum top_screen before_help;
	enum sort_key sort; /* of the ports */
	int zone;	    /* of the ports: only this one, or SELECT_ANY */
	bool ascending;
	char filter[TOP_FILTER_BYTES]; /* in force: words, all of which a row must have */
	char typed[TOP_FILTER_BYTES];  /* while it is being typed */
	bool typing;
	bool paused;
	bool refresh; /* out: take new numbers now; the caller resets it */
	bool quit;    /* out */
	unsigned int interval_ds;
	size_t first; /* line of the screen's content at the top */
	size_t lines; /* in: of the content, as last drawn */
	size_t page;  /* in: of them, how many are visible */
};

void top_state_init(struct top_state *state);

/* One more word of the filter; left out when there is no room for it. */
void top_filter_add(struct top_state *state, const char *word);

/* A character or an enum top_key; anything else is ignored. */
void top_key(struct top_state *state, int key);

/* Keeps `first` within the content: after a resize, a filter, fewer rows. */
void top_state_clamp(struct top_state *state);

#endif
