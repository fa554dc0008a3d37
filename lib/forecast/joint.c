// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes that several classes share.
 *
 * A step or a ramp of demand shows in many classes at once, in each one weakly.
 * Every class's hypotheses say how much likelier its arrivals are with a change
 * near s than without (a Bayes factor); the product over the classes, with an
 * even chance for each to take part, weighs a shared change against none.
 */
#include "lib/forecast/priv.h"

#include <math.h>
#include <string.h>

#define SHARED_PER_S (1.0 / 3000.0) /* shared changes, of either kind */
/* own changes, as forecast_rates.c has them: to a level, to a trend */
static const double own_per_s[2] = {0.00017, 0.00060};

#define OLDEST_S 1500
#define SHARE_IN 0.6 /* of the classes take part */

int64_t fc_joint_near_s(const struct forecast *f, int64_t start_s, bool sloped)
{
	/* when a trend began is known badly */
	return 10 + (f->now_s - start_s) / (sloped ? 3 : 4);
}

static double bayes_factor(const struct fc_rate *r, int64_t s, int64_t near_s, bool sloped)
{
	double near = 0.0, before = 0.0,
	       prior = fmin(2.0 * (double)near_s * own_per_s[sloped], 0.5);
	unsigned int i;

	for (i = 0; i < r->n_runs; i++) {
		int64_t d = r->run[i].start_s - s;

		if (d < -near_s)
			before += r->run[i].weight;
		else if (d <= near_s && sloped == (r->run[i].kind != 0))
			near += r->run[i].weight;
	}
	/* it has changed since: nothing to say about s */
	if (before + near < 0.02 && before < 0.01)
		return 1.0;
	return fmin(fmax(near / prior, 1e-3) / fmax(before, 1e-6), 1e6);
}

static void add_moment(const struct forecast *f, struct fc_joint *j, int64_t s, bool sloped)
{
	unsigned int i;

	for (i = 0; i < j->n; i++) {
		int64_t near_s = fc_joint_near_s(f, j->start_s[i], sloped);

		if (j->sloped[i] == sloped && j->start_s[i] >= s - near_s &&
		    j->start_s[i] <= s + near_s)
			return;
	}
	/* nothing is known of the time before the start: no comparison */
	if (j->n == FC_JOINT || s - fc_joint_near_s(f, s, sloped) < f->start_s + 60)
		return;
	j->sloped[j->n] = sloped;
	j->start_s[j->n++] = s;
}

/* Newest first. */
static void sort_moments(struct fc_joint *j)
{
	unsigned int i, k;

	for (i = 1; i < j->n; i++) {
		int64_t s = j->start_s[i];
		bool sloped = j->sloped[i];

		for (k = i; k && j->start_s[k - 1] < s; k--) {
			j->start_s[k] = j->start_s[k - 1];
			j->sloped[k] = j->sloped[k - 1];
		}
		j->start_s[k] = s;
		j->sloped[k] = sloped;
	}
}

static void collect_moments(const struct forecast *f, struct fc_joint *j)
{
	static const double least[3] = {0.1, 0.02, 0.004};
	unsigned int c, i, pass;

	/* the most likely first: the list is short */
	for (pass = 0; pass < 3; pass++) {
		for (c = 0; c < FC_CLASSES; c++) {
			const struct fc_rate *r = &f->cls[c].rate;

			if (!f->cls[c].used)
				continue;
			for (i = 0; i < r->n_runs; i++)
				if (r->run[i].weight >= least[pass] &&
				    r->run[i].start_s > f->start_s + 60 &&
				    f->now_s - r->run[i].start_s < OLDEST_S)
					add_moment(f, j, r->run[i].start_s, r->run[i].kind != 0);
		}
	}
}

static bool overlap(const struct forecast *f, const struct fc_joint *j, unsigned int a,
		    unsigned int b)
{
	int64_t d = j->start_s[a] - j->start_s[b];

	return (d < 0 ? -d : d) <= fc_joint_near_s(f, j->start_s[a], j->sloped[a]) +
					   fc_joint_near_s(f, j->start_s[b], j->sloped[b]);
}

void fc_joint_find(const struct forecast *f, struct fc_joint *j)
{
	double odds[FC_JOINT], left = 1.0;
	unsigned int i, k, c;

	memset(j, 0, sizeof(*j));
	collect_moments(f, j);
	sort_moments(j);
	for (i = 0; i < j->n; i++) {
		int64_t near_s = fc_joint_near_s(f, j->start_s[i], j->sloped[i]);

		odds[i] = fmin(2.0 * (double)near_s * SHARED_PER_S, 0.3);
		for (c = 0; c < FC_CLASSES; c++) {
			double b;

			if (!f->cls[c].used || !f->cls[c].rate.n_runs)
				continue;
			b = bayes_factor(&f->cls[c].rate, j->start_s[i], near_s, j->sloped[i]);
			odds[i] *= 1.0 - SHARE_IN + SHARE_IN * b;
			j->in[i][c] = (float)(SHARE_IN * b / (1.0 - SHARE_IN + SHARE_IN * b));
		}
	}
	/* accounts of one change exclude each other; what is newer goes first */
	for (i = 0; i < j->n; i++) {
		double rivals = 1.0;

		for (k = 0; k < j->n; k++)
			if (overlap(f, j, i, k))
				rivals += odds[k];
		j->p[i] = fmin(odds[i] / rivals, left);
		left -= j->p[i];
	}
}
