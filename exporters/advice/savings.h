// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counted savings: how many of the entries that are there would not be, had the change been
 * in force since they came; now, and at the fullest moment of the last hour that the agent
 * has kept (snap_ages.h).
 *
 *	notrack		the entries of the row
 *	keepalive	the entries of the row less the pool of those that stay open
 *	rate		that part of the row's entries
 *	timeout		of each cell it holds: entries that are older in their state than it, or
 *			idle for longer, with the collector's lag
 *	max, buckets	none
 *
 * How old entries are is known of all that came after the agent. How idle they are only the
 * kernel knows, and it is asked for a part of them all the time: where packets refresh a
 * state, that part stands for all, if it is large enough. What cannot be counted is NaN:
 * too few were asked, the cell is not among those the agent counts, or the timeout gets
 * longer. Pure.
 */
#ifndef CONNTIDE_ADVICE_SAVINGS_H
#define CONNTIDE_ADVICE_SAVINGS_H

#include <stdint.h>

#include "exporters/advice/model.h"

struct whatif;

struct savings {
	double now_entries;	/* NaN: cannot be counted */
	double peak_entries;	/* the same then... */
	double peak_of_entries; /* ...of so many */
	uint64_t peak_real_ns;
	/* How soon it helps, s after the change: when the first entries fewer can be seen, and
	 * when all of it can. NaN: no entry fewer by it. */
	double begins_s, full_s;
};

/* `lag_s`: of the collector, with the changes. */
void savings_count(const struct whatif *whatif, const struct model *model, double lag_s,
		   struct savings *savings);

#endif
