// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Do the new entries of two sides of a host follow each other? A side is one port or several
 * that are added up: two ports of a site, four ports behind it. What tells is change: two
 * sides that never change may be alike by chance, two that rise and fall together in many
 * ten-second intervals are not. Pure.
 *
 * Ownership: nothing is allocated; classes are the model's.
 */
#ifndef CONNTIDE_ADVICE_TOGETHER_H
#define CONNTIDE_ADVICE_TOGETHER_H

#include <stdbool.h>
#include <stdint.h>

#include "exporters/advice/model.h"

#define SIDE_PORTS 6u

struct side {
	const struct class *classes[SIDE_PORTS];
	uint32_t count;
	double new_per_s; /* NaN: not known */
	double entries;
	double closing;			/* of them, closed or about to be */
	double new_entries[SHM_FRAMES]; /* of each frame of ten seconds; negative: not known */
};

struct together {
	double ratio;	/* new ones of the second for each of the first; NaN */
	uint32_t of;	/* changes of either from one interval to the next... */
	uint32_t alike; /* ...in which the other changed as well, by about as much */
	double apart;	/* 0: all of each change is shared; 1: nothing is; NaN: no change */
};

/* Empty; then one class after the other. */
void side_init(struct side *side);
void side_add(struct side *side, const struct class *class, const struct snap_detail *details);

void side_compare(const struct side *front, const struct side *up,
		  const struct snap_detail *details, struct together *together);

/* As if a clock opened them: in so many whole intervals as many each, but for what counting at
 * their edges does, and for a few that a busy host moved. */
bool side_by_clock(const struct side *side, const struct snap_detail *details,
		   double *ret_spread_entries);

/* Entries that packets or the program have closed: FIN_WAIT to CLOSE. */
double row_closing(const struct snap_row *row);

#endif
