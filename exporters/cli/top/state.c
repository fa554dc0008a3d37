// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/top/state.h"

#include <stdio.h>
#include <string.h>

void top_state_init(struct top_state *state)
{
	*state = (struct top_state){.sort = SORT_ENTRIES, .zone = SELECT_ANY, .interval_ds = 10};
}

void top_filter_add(struct top_state *state, const char *word)
{
	size_t n = strlen(state->filter);

	if (n + 1 + strlen(word) < sizeof(state->filter))
		snprintf(state->filter + n, sizeof(state->filter) - n, "%s%s", n ? " " : "", word);
}

void top_state_clamp(struct top_state *state)
{
	size_t last = state->lines > state->page ? state->lines - state->page : 0;

	if (state->first > last)
		state->first = last;
}

static void scroll(struct top_state *state, long by)
{
	if (by < 0 && (size_t)-by > state->first)
		state->first = 0;
	else
		state->first = (size_t)((long)state->first + by);
	top_state_clamp(state);
}

static bool scroll_key(struct top_state *state, int key)
{
	long page = state->page > 1 ? (long)state->page - 1 : 1;

	switch (key) {
	case TOP_KEY_UP:
	case 'k':
		scroll(state, -1);
		return true;
	case TOP_KEY_DOWN:
	case 'j':
		scroll(state, 1);
		return true;
	case TOP_KEY_PAGE_UP:
		scroll(state, -page);
		return true;
	case TOP_KEY_PAGE_DOWN:
		scroll(state, page);
		return true;
	case TOP_KEY_HOME:
	case 'g':
		state->first = 0;
		return true;
	case TOP_KEY_END:
	case 'G':
		state->first = state->lines;
		top_state_clamp(state);
		return true;
	default:
		return false;
	}
}

static void show(struct top_state *state, enum top_screen screen)
{
	if (screen == TOP_HELP && state->screen != TOP_HELP)
		state->before_help = state->screen;
	/* The same key again, or help once more: back to where one was. */
	if (screen == state->screen)
		screen = screen == TOP_HELP ? state->before_help : TOP_PORTS;
	state->screen = screen;
	state->first = 0;
}

static bool screen_key(struct top_state *state, int key)
{
	static const struct {
		int key;
		enum top_screen screen;
	} keys[] = {
		{'t', TOP_TALKERS}, {'n', TOP_NAT},  {'w', TOP_WHY},	     {'i', TOP_INCIDENTS},
		{'?', TOP_HELP},    {'h', TOP_HELP}, {TOP_KEY_F1, TOP_HELP},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (keys[i].key != key)
			continue;
		show(state, keys[i].screen);
		return true;
	}
	if (key != TOP_KEY_ESCAPE)
		return false;
	if (state->screen == TOP_PORTS)
		state->filter[0] = '\0';
	else
		show(state, state->screen);
	return true;
}

/* In the order of the columns. */
static const enum sort_key sorts[] = {SORT_L4PROTO, SORT_DIRECTION, SORT_PORT,	  SORT_ENTRIES,
				      SORT_NEW,	    SORT_DESTROYED, SORT_LIFETIME};
#define SORTS (sizeof(sorts) / sizeof(sorts[0]))

static void sort_by_next(struct top_state *state, bool right)
{
	size_t at = 0;

	while (at < SORTS - 1 && sorts[at] != state->sort)
		at++;
	at = (at + (right ? 1 : SORTS - 1)) % SORTS;
	state->sort = sorts[at];
	/* Names read upwards, amounts downwards. */
	state->ascending = at < 3;
}

static void faster(struct top_state *state, bool faster)
{
	unsigned int now = state->interval_ds;
	unsigned int step = now > 10 || (now == 10 && !faster) ? 10 : 1;

	now = faster ? now - (step < now ? step : 0) : now + step;
	if (now < TOP_INTERVAL_MIN_DS)
		now = TOP_INTERVAL_MIN_DS;
	state->interval_ds = now < TOP_INTERVAL_MAX_DS ? now : TOP_INTERVAL_MAX_DS;
}

static void command_key(struct top_state *state, int key)
{
	switch (key) {
	case 'q':
	case 3: /* ^C */
	case TOP_KEY_F10:
		state->quit = true;
		break;
	case 'p':
	case 'Z':
		state->paused = !state->paused;
		break;
	case ' ':
		state->refresh = true;
		break;
	case '<':
	case '>':
	case TOP_KEY_F6:
		sort_by_next(state, key != '<');
		break;
	case 'r':
	case 'I':
		state->ascending = !state->ascending;
		break;
	case '+':
	case '-':
		faster(state, key == '-');
		break;
	case '/':
	case '\\':
		state->typing = true;
		strcpy(state->typed, state->filter);
		break;
	default:
		break;
	}
}

static void typing_key(struct top_state *state, int key)
{
	size_t n = strlen(state->typed);

	if (key == TOP_KEY_ENTER || key == '\r') {
		strcpy(state->filter, state->typed);
		state->typing = false;
		state->first = 0;
	} else if (key == TOP_KEY_ESCAPE || key == 3) {
		state->typing = false;
	} else if (key == TOP_KEY_BACKSPACE || key == 127 || key == 8) {
		if (n)
			state->typed[n - 1] = '\0';
	} else if (key >= ' ' && key < 127 && n + 1 < sizeof(state->typed)) {
		state->typed[n] = (char)key;
		state->typed[n + 1] = '\0';
	}
}

void top_key(struct top_state *state, int key)
{
	if (state->typing)
		typing_key(state, key);
	else if (!scroll_key(state, key) && !screen_key(state, key))
		command_key(state, key);
}
