// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes of how long connections stay established.
 *
 * When servers slow down or stop closing, what came before leaves as ever and what comes now
 * stays longer: to ages that none of the new kind has reached yet. Hazards by age alone learn
 * that only as the new ones grow old. So, for several moments in the past, those who came
 * since are compared with what the usual hazards would do to them if all stays were k times as
 * long (accelerated failure time), or if a share p of them never ended (cure model). Where one
 * of these explains them much better, entries since that moment are projected by it.
 *
 * One for each class. Seconds of the forecast's clock, hazards per second. Pure.
 */
#ifndef CONNTIDE_FORECAST_SHIFT_H
#define CONNTIDE_FORECAST_SHIFT_H

#include "lib/forecast/stays.h"

#define FC_SHIFTS  13
#define FC_MOMENTS 16

struct fc_moment { /* those who came since */
	int64_t since_s;
	float loglik[FC_SHIFTS];
	float expected; /* exits, as usual */
};

struct fc_shift {
	float h[FC_SHIFTS][FC_AGE_BINS];     /* hazards if it had changed so; the first: as usual */
	struct fc_moment moment[FC_MOMENTS]; /* newest first */
	float usual_exits;		     /* that `as usual` rests on */
	unsigned int n, best;
	double log_odds;   /* that it has, at one of the moments */
	int64_t changed_s; /* since when the forecast takes it for changed; INT64_MAX: not */
	float weight[FC_SHIFTS];
	bool ready;
};

void fc_shift_init(struct fc_shift *sh);
/*
 * The end of a second; c: the class's established entries, and what was seen of them. unsure:
 * events were lost, and what was seen since is no evidence.
 */
void fc_shift_second(struct fc_shift *sh, struct fc_cell *c, const struct fc_seen *seen,
		     int64_t now_s, int64_t watched_s, bool unsure);
/* Which of all classes have changed: what slows one service often slows others. */
void fc_shift_decide(struct fc_shift *all, unsigned int n, int64_t now_s);
/* Hazards of those who came since changed_s. */
void fc_shift_hazards(const struct fc_shift *sh, const struct fc_cell *c, int64_t now_s, float *h);

#endif
