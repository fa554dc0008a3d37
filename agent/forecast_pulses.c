// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Jobs that run by the clock: bursts of arrivals at equal intervals.
 *
 * A bin that is far above the class's usual, after one that is not, begins a
 * pulse; what exceeds the usual within PULSE_BINS is its size. Three pulses at
 * equal intervals (within 6 %) are a rhythm: then pulses are taken out of
 * the arrival rate, and the next ones are expected. A rhythm is given up when
 * a pulse is overdue by half a period.
 */
#include "agent/forecast_priv.h"

#include <math.h>

#define PULSE_BINS 3
#define PULSE_LEAST 15.0

static double usual_per_bin(const struct fc_pulses *pu)
{
	return pu->usual_per_bin;
}

static bool rhythm(const struct fc_pulses *pu)
{
	double a, b;

	if (pu->n < 3)
		return false;
	a = (double)(pu->at_s[0] - pu->at_s[1]);
	b = (double)(pu->at_s[1] - pu->at_s[2]);
	return a >= 4 * FC_BIN_S && fabs(a - b) <= fmax(0.06 * b, 1.5 * FC_BIN_S);
}

double fc_pulse_period_s(const struct fc_pulses *pu, int64_t now_s)
{
	double period;
	unsigned int i;

	if (!rhythm(pu))
		return 0.0;
	for (i = 2; i + 1 < pu->n; i++) {
		double gap = (double)(pu->at_s[i] - pu->at_s[i + 1]);

		if (fabs(gap - (double)(pu->at_s[0] - pu->at_s[1])) > fmax(0.06 * gap, 1.5 * FC_BIN_S))
			break;
	}
	period = (double)(pu->at_s[0] - pu->at_s[i]) / i;
	return (double)(now_s - pu->at_s[0]) < 1.5 * period ? period : 0.0;
}

/* Returns what of the bin is usual arrivals, to learn the rate from. */
double fc_pulse_bin(struct fc_pulses *pu, double arrivals, int64_t now_s)
{
	double usual = usual_per_bin(pu), excess = arrivals - usual;
	unsigned int i;

	if (pu->bins_left) {
		pu->bins_left--;
		pu->size[0] += (float)fmax(excess, 0.0);
	} else if (excess > PULSE_LEAST && arrivals > 6.0 * usual + 10.0 &&
		   (double)(now_s - pu->at_s[0]) < 0.5 * fc_pulse_period_s(pu, now_s)) {
		/* its echo: clients that were refused try again */
		return fmin(arrivals, usual);
	} else if (excess > PULSE_LEAST && arrivals > 6.0 * usual + 10.0) {
		for (i = FC_PULSES - 1; i; i--) {
			pu->at_s[i] = pu->at_s[i - 1];
			pu->size[i] = pu->size[i - 1];
		}
		pu->n = pu->n < FC_PULSES ? pu->n + 1 : FC_PULSES;
		pu->at_s[0] = now_s - FC_BIN_S;
		pu->size[0] = (float)excess;
		pu->bins_left = PULSE_BINS - 1;
	} else {
		pu->usual_per_bin += 0.02 * (arrivals - usual);
		return arrivals;
	}
	/* a level that stays high is no pulse: let the usual follow slowly */
	pu->usual_per_bin += 0.02 * fmin(excess, usual + 1.0);
	return fc_pulse_period_s(pu, now_s) > 0.0 ? fmin(arrivals, usual) : arrivals;
}

double fc_pulse_size(const struct fc_pulses *pu, double *sd)
{
	double sum = 0.0, sq = 0.0;
	unsigned int i, n = pu->n, from = pu->bins_left ? 1 : 0;

	for (i = from; i < n; i++) {
		sum += pu->size[i];
		sq += pu->size[i] * pu->size[i];
	}
	n -= from;
	sum /= n;
	*sd = sqrt(fmax(sq / n - sum * sum, 0.0)) + sqrt(sum);
	return sum;
}
