// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Jobs that run by the clock: bursts of arrivals at equal intervals.
 *
 * A bin that is far above the class's usual, after one that is not, begins a pulse; what
 * exceeds the usual within some bins is its size. Three pulses at equal intervals (within 6 %)
 * are a rhythm: then pulses are taken out of the arrival rate, and the next ones are
 * expected. A rhythm is given up when a pulse is overdue by half a period. Two of like size
 * promise one, and are given up as soon as the third does not come.
 *
 * One for each class. Seconds of the forecast's clock. Pure.
 */
#ifndef CONNTIDE_FORECAST_PULSES_H
#define CONNTIDE_FORECAST_PULSES_H

#include <stdint.h>

#define FC_PULSES 6

struct fc_pulses {
	struct {
		int64_t at_s;
		float size; /* entries */
	} last[FC_PULSES];  /* newest first */
	unsigned int n, bins_left;
	double usual_per_bin;
};

/* The end of a bin; what of its arrivals belongs to the rate. */
double fc_pulse_bin(struct fc_pulses *pu, double arrivals, int64_t now_s, int64_t watched_s);
/* 0: no rhythm. */
double fc_pulse_period_s(const struct fc_pulses *pu, int64_t now_s);
/* That the next will come; its size and how much that varies. */
double fc_pulse_belief(const struct fc_pulses *pu);
double fc_pulse_size(const struct fc_pulses *pu, double *sd);

#endif
