// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The exits of the second under way, until it is over and known whether they were an
 * incident: counted by cell, age, lateness and where to. A hundred thousand exits a second
 * are a few hundred kinds, all in a few pages, where what is learnt from them is spread over
 * megabytes. O(1), bounded: a kind for which there is no room is refused. Pure.
 */
#ifndef CONNTIDE_FORECAST_EXITS_H
#define CONNTIDE_FORECAST_EXITS_H

#include <stdbool.h>
#include <stdint.h>

#define FC_EXITS	4096 /* kinds */
#define FC_EXITS_PLACES (2 * FC_EXITS)

#define FC_EXIT_EARLY 255 /* no lateness: the deadline was ahead, or is not known */

struct fc_exit {
	uint16_t cell, bin; /* of age */
	uint8_t late;	    /* bin of lateness, or FC_EXIT_EARLY */
	uint8_t to;	    /* FC_NONE: expired */
	uint32_t n;
};

struct fc_exits {
	uint32_t kinds;
	struct fc_exit kind[FC_EXITS];
	uint16_t place[FC_EXITS_PLACES]; /* 1 + index of the kind, by a hash of it; 0: none */
};

/* Counts exit->n more; false: there is no room. */
bool fc_exits_add(struct fc_exits *exits, const struct fc_exit *exit);
void fc_exits_clear(struct fc_exits *exits);

#endif
