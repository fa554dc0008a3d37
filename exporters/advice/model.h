// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table as queues: steady entries = arrivals per second x time in the table, for
 * each class (a row of the histogram) and each phase (a state of it), from what this
 * host measured itself. What-if and advice change a copy of it and add up again.
 *
 *	entries = new_per_s * (left_s + expiring * (active_s + timeout + lag)) + standing
 *
 *	left_s		time that packets end: the next state came
 *	expiring	stays per arrival that the timeout ends
 *	active_s	of such a stay, until its last packet: a timeout has no hold on it
 *	lag		from the deadline until the entry goes: as measured, or before enough have
 *			expired as lib/kernel/gc.h has it: the collector comes by, or the first
 *			packet of another connection, or the agent asks for the entry
 *	standing	entries so old that they are no part of the turnover, in states
 *			whose timeout is long
 *
 * In states that nothing refreshes (TIME_WAIT) left_s is cut at timeout + lag when the
 * timeout gets shorter: a successor that uses the same ports then comes too late.
 *
 * Where it comes from, in `basis`, best first:
 *	MEASURED   stays of this row, or of the rows that share a detail, since the agent
 *		   or the detail began
 *	TIMEOUTS   too few of them yet: arrivals spread over the states in which entries
 *		   wait now, each for the kernel's timeout
 *	PRESENT	   neither: what is there now
 *
 * Arrivals are the larger of the mean rates over the last minute and over the last
 * three: one sees a load that has just begun, the other one that has just ended. What
 * settles goes by the last minute alone where that is two thirds of it at most.
 *
 * Pure. Ownership: model_build() allocates classes, model_free() frees them; the
 * snapshot must live as long. Not for shared use between threads.
 */
#ifndef CONNTIDE_ADVICE_MODEL_H
#define CONNTIDE_ADVICE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "exporters/advice/model_data.h"

/* Kernel memory: an entry with the extension that events need (anybody who listens
 * makes the kernel add it), one without, and a bucket. x86-64, Linux 6.1 to 6.18. */
#define ENTRY_BYTES	 384.0
#define ENTRY_BYTES_BARE 256.0
#define BUCKET_BYTES	 8.0

/* 0 or -ENOMEM. *model is to be freed in either case. */
int model_build(const struct snapshot *snap, const struct snap_detail *details,
		struct model *model);
void model_free(struct model *model);

/*
 * One scenario: class i has `times[i]` of its arrivals and standing entries, and keeps
 * `added[i]` entries besides; settings are `then`. NULL: 1 of each, 0 of each.
 */
struct scenario {
	const struct settings *then;
	const double *times;
	const double *added;
	double *phase_entries; /* out, by index in model.phases; may be NULL */
	double lag_s;	       /* out: of the collector then */
	double interval_s;     /* out */
};

/* Steady entries of the whole table. */
double model_run(const struct model *model, struct scenario *scenario);

/* Arrivals of a row, per second: NaN when not known yet. */
double arrivals_per_s(const struct snapshot *snap, const struct snap_detail *details,
		      const struct snap_row *row);

/* "measured", "timeouts", "present". */
const char *basis_name(enum basis basis);

#endif
