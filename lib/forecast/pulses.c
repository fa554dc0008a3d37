// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/pulses.h"

#include <math.h>
#include <stdbool.h>

#define BIN_S	    5
#define PULSE_BINS  3
#define PULSE_LEAST 15.0
#define TWO_BELIEF  0.75 /* that two like pulses are a rhythm */
#define TWO_LEAST_S 60	 /* apart */
#define ECHO_S	    60	 /* within which those refused try again */
#define WARM_UP_S   60	 /* what is usual is not known before */

static double slack_s(double gap_s)
{
	return fmax(0.06 * gap_s, 1.5 * BIN_S);
}

/* The newest two are alike, as far as their number of entries can tell. */
static bool promise(const struct fc_pulses *pu)
{
	double a, b;

	if (pu->n < 2 || pu->at_s[0] - pu->at_s[1] < TWO_LEAST_S)
		return false;
	a = (double)pu->size[0];
	b = (double)pu->size[1];
	/* the newest may not be whole yet */
	return a < 1.25 * b + 3.0 * sqrt(b) && (pu->bins_left > 0 || b < 1.25 * a + 3.0 * sqrt(a));
}

static bool rhythm(const struct fc_pulses *pu)
{
	double a, b;

	if (pu->n < 3)
		return false;
	a = (double)(pu->at_s[0] - pu->at_s[1]);
	b = (double)(pu->at_s[1] - pu->at_s[2]);
	return a >= 4 * BIN_S && fabs(a - b) <= slack_s(b);
}

double fc_pulse_period_s(const struct fc_pulses *pu, int64_t now_s)
{
	double period;
	unsigned int i;

	if (!rhythm(pu)) {
		if (!promise(pu))
			return 0.0;
		period = (double)(pu->at_s[0] - pu->at_s[1]);
		return (double)(now_s - pu->at_s[0]) <= period + slack_s(period) + BIN_S ? period
											 : 0.0;
	}
	for (i = 2; i + 1 < pu->n; i++) {
		double gap = (double)(pu->at_s[i] - pu->at_s[i + 1]);

		if (fabs(gap - (double)(pu->at_s[0] - pu->at_s[1])) > slack_s(gap))
			break;
	}
	period = (double)(pu->at_s[0] - pu->at_s[i]) / i;
	return (double)(now_s - pu->at_s[0]) < 1.5 * period ? period : 0.0;
}

double fc_pulse_belief(const struct fc_pulses *pu)
{
	return rhythm(pu) ? 1.0 : TWO_BELIEF;
}

/* Those who were refused, trying again, are no pulse of their own. */
static bool is_echo(const struct fc_pulses *pu, double excess, int64_t now_s)
{
	double since_s = (double)(now_s - pu->at_s[0]);

	if (since_s < 0.5 * fc_pulse_period_s(pu, now_s))
		return true;
	return pu->n && since_s < ECHO_S && excess < 0.5 * (double)pu->size[0];
}

static void begin_pulse(struct fc_pulses *pu, double excess, int64_t now_s)
{
	unsigned int i;

	for (i = FC_PULSES - 1; i; i--) {
		pu->at_s[i] = pu->at_s[i - 1];
		pu->size[i] = pu->size[i - 1];
	}
	pu->n = pu->n < FC_PULSES ? pu->n + 1 : FC_PULSES;
	pu->at_s[0] = now_s - BIN_S;
	pu->size[0] = (float)excess;
	pu->bins_left = PULSE_BINS - 1;
}

double fc_pulse_bin(struct fc_pulses *pu, double arrivals, int64_t now_s, int64_t watched_s)
{
	double usual = pu->usual_per_bin, excess = arrivals - usual;
	bool far_above = excess > PULSE_LEAST && arrivals > 6.0 * usual + 10.0;

	if (watched_s <= WARM_UP_S) {
		pu->usual_per_bin += excess / fmax((double)watched_s / BIN_S, 1.0);
		return arrivals;
	}
	if (pu->bins_left) {
		pu->bins_left--;
		pu->size[0] += (float)fmax(excess, 0.0);
	} else if (far_above && is_echo(pu, excess, now_s)) {
		/* an echo that does not end is a new level */
		pu->usual_per_bin += 0.2 * excess;
		return fc_pulse_period_s(pu, now_s) > 0.0 ? fmin(arrivals, usual) : arrivals;
	} else if (far_above) {
		begin_pulse(pu, excess, now_s);
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
