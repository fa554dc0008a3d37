// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/pulses.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define BIN_S	    5
#define PULSE_BINS  3
#define PULSE_LEAST 15.0
#define TWO_BELIEF  0.75 /* that two like pulses are a rhythm */
#define TWO_LEAST_S 60	 /* apart */
#define ECHO_S	    60	 /* within which those refused try again */
#define WARM_UP_S   60	 /* what is usual is not known before */

static double gap_s(const struct fc_pulses *pu, unsigned int i)
{
	return (double)(pu->last[i].at_s - pu->last[i + 1].at_s);
}

static double slack_s(double gap_s)
{
	return fmax(0.06 * gap_s, 1.5 * BIN_S);
}

/* How many of the newest intervals are equal; less than two are no rhythm. */
static unsigned int rhythm(const struct fc_pulses *pu)
{
	unsigned int i = 0;

	while (i + 1 < pu->n && fabs(gap_s(pu, i) - gap_s(pu, 0)) <= slack_s(gap_s(pu, i)))
		i++;
	return i >= 2 && gap_s(pu, 0) >= 4 * BIN_S ? i : 0;
}

static bool like(double a, double b)
{
	return a < 1.25 * b + 3.0 * sqrt(b);
}

/* The newest two are alike, as far as their number of entries can tell. */
static bool promise(const struct fc_pulses *pu)
{
	double a = (double)pu->last[0].size, b = (double)pu->last[1].size;

	/* the newest may not be whole yet */
	return pu->n >= 2 && gap_s(pu, 0) >= TWO_LEAST_S && like(a, b) &&
	       (pu->bins_left > 0 || like(b, a));
}

double fc_pulse_period_s(const struct fc_pulses *pu, int64_t now_s)
{
	double since_s = (double)(now_s - pu->last[0].at_s), period;
	unsigned int n = rhythm(pu);

	if (n) {
		period = (double)(pu->last[0].at_s - pu->last[n].at_s) / n;
		return since_s < 1.5 * period ? period : 0.0;
	}
	period = promise(pu) ? gap_s(pu, 0) : 0.0;
	return since_s <= period + slack_s(period) + BIN_S ? period : 0.0;
}

double fc_pulse_belief(const struct fc_pulses *pu)
{
	return rhythm(pu) ? 1.0 : TWO_BELIEF;
}

/* Those who were refused, trying again, are no pulse of their own. */
static bool is_echo(const struct fc_pulses *pu, double excess, int64_t now_s)
{
	double since_s = (double)(now_s - pu->last[0].at_s);

	return since_s < 0.5 * fc_pulse_period_s(pu, now_s) ||
	       (pu->n && since_s < ECHO_S && excess < 0.5 * (double)pu->last[0].size);
}

double fc_pulse_bin(struct fc_pulses *pu, double arrivals, int64_t now_s, int64_t watched_s)
{
	double usual = pu->usual_per_bin, excess = arrivals - usual;
	bool far_above = excess > PULSE_LEAST && arrivals > 6.0 * usual + 10.0;

	if (watched_s <= WARM_UP_S) {
		pu->usual_per_bin += excess / fmax((double)watched_s / BIN_S, 1.0);
		return arrivals;
	}
	if (!pu->bins_left && !far_above) {
		pu->usual_per_bin += 0.02 * excess;
		return arrivals;
	}
	if (!pu->bins_left && is_echo(pu, excess, now_s)) {
		/* an echo that does not end is a new level */
		pu->usual_per_bin += 0.2 * excess;
	} else {
		if (pu->bins_left) {
			pu->bins_left--;
			pu->last[0].size += (float)fmax(excess, 0.0);
		} else {
			memmove(pu->last + 1, pu->last, sizeof(pu->last) - sizeof(pu->last[0]));
			pu->last[0].at_s = now_s - BIN_S;
			pu->last[0].size = (float)excess;
			pu->n += pu->n < FC_PULSES;
			pu->bins_left = PULSE_BINS - 1;
		}
		/* a level that stays high is no pulse: let the usual follow slowly */
		pu->usual_per_bin += 0.02 * fmin(excess, usual + 1.0);
	}
	return fc_pulse_period_s(pu, now_s) > 0.0 ? fmin(arrivals, usual) : arrivals;
}

double fc_pulse_size(const struct fc_pulses *pu, double *sd)
{
	unsigned int i = pu->bins_left ? 1 : 0, n = pu->n - i;
	double mean = 0.0, square = 0.0;

	for (; i < pu->n; i++) {
		mean += (double)pu->last[i].size / n;
		square += (double)(pu->last[i].size * pu->last[i].size) / n;
	}
	*sd = sqrt(fmax(square - mean * mean, 0.0)) + sqrt(mean);
	return mean;
}
