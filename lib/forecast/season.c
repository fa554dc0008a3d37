// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Demand that follows the day: a sinusoid of one day's length.
 *
 * Each class's arrivals by bin are fitted with a level, a cosine and a sine by
 * least squares that forgets in days; classes share the matrix. Whether the
 * day is worth following is asked of the data: what the fit said AHEAD_BINS ago
 * of all arrivals now, against the rate there was then. Only where the fit's
 * squared error is clearly below the other's do paths follow it, and none do in a
 * minute unlike what it says. Before a fifth of a day was seen there is no fit.
 */
#include "lib/forecast/priv.h"

#include <math.h>
#include <string.h>

#define FORGET_DAYS    1.5
#define LEAST_DAYS     0.2
#define USUAL_SWING    0.4 /* of the level; holds the fit while little of a day was seen */
#define AHEAD_BINS     FC_SEASON_AHEAD
#define MEAN_BINS      12    /* compared are means over this many */
#define ERROR_BINS     120.0 /* errors are remembered for */
#define LEAST_COMPARED 40
#define WORSE	       0.9 /* share of the other's squared error at which none follow, */
#define BETTER	       0.5 /* and at which most do */
#define MOST_PATHS     0.9
#define NOISE	       1.3 /* of all classes, as times the Poisson one */

static void phase(const struct fc_season *se, double at_s, double *x)
{
	double turn = 6.283185307179586 * at_s / se->day_s;

	x[0] = 1.0;
	x[1] = cos(turn);
	x[2] = sin(turn);
}

/* c = s^-1 v, with the swing held by what is usual. */
static void solve(const struct fc_season *se, const double *v, double *c)
{
	double a = se->s[0], b = se->s[1], d = se->s[2], hold, e, g, h, det;
	double level = a > 0.0 ? v[0] / a : 0.0;

	c[0] = c[1] = c[2] = 0.0;
	if (level <= 0.0)
		return;
	hold = 1.0 / (USUAL_SWING * USUAL_SWING * level);
	e = se->s[3] + hold;
	g = se->s[4];
	h = se->s[5] + hold;
	det = a * (e * h - g * g) - b * (b * h - g * d) + d * (b * g - e * d);
	if (fabs(det) < 1e-9)
		return;
	c[0] = ((e * h - g * g) * v[0] + (d * g - b * h) * v[1] + (b * g - d * e) * v[2]) / det;
	c[1] = ((d * g - b * h) * v[0] + (a * h - d * d) * v[1] + (b * d - a * g) * v[2]) / det;
	c[2] = ((b * g - d * e) * v[0] + (b * d - a * g) * v[1] + (a * e - b * b) * v[2]) / det;
}

static double value(const struct fc_season *se, const double *c, double at_s)
{
	double x[3];

	phase(se, at_s, x);
	return c[0] + c[1] * x[1] + c[2] * x[2];
}

/* Mean arrivals by bin of all classes lately. */
static double recent_mean(const struct forecast *f)
{
	double sum = 0.0;
	unsigned int c, i;

	for (c = 0; c < FC_CLASSES; c++) {
		const struct fc_history *h = &f->cls[c].history;

		for (i = 0; f->cls[c].used && i < MEAN_BINS && i < h->n; i++)
			sum += (double)h->y[(h->at + i) % FC_HISTORY];
	}
	return sum / MEAN_BINS;
}

/* What was foretold of the minute that is over, by either. */
static void compare(struct fc_season *se, double mean, double said)
{
	struct fc_season_said *past = &se->said[se->at];
	double keep = 1.0 - 1.0 / ERROR_BINS, off = mean - said,
	       noise = fmax(mean, 1.0) / MEAN_BINS;

	if (se->bins > AHEAD_BINS + MEAN_BINS) {
		/* in a steady table a mean of the past is better than that of a minute: no reason
		 * to follow */
		se->err_fit = keep * se->err_fit + (mean - past->fit) * (mean - past->fit) +
			      NOISE * noise;
		se->err_now = keep * se->err_now + (mean - past->now) * (mean - past->now);
		se->compared++;
	}
	se->weight = 0.0;
	if (se->compared < LEAST_COMPARED || se->bins * FC_BIN_S < LEAST_DAYS * se->day_s)
		return;
	se->weight = (WORSE - se->err_fit / fmax(se->err_now, 1e-9)) / (WORSE - BETTER);
	se->weight = MOST_PATHS * fmin(fmax(se->weight, 0.0), 1.0);
	/* batches double the noise of a mean easily */
	off = off * off / (2.0 * noise + 0.003 * mean * mean);
	se->weight *= exp(-0.25 * fmax(off - 4.0, 0.0));
}

void fc_season_bin(struct forecast *f)
{
	struct fc_season *se = &f->season;
	double keep = exp(-FC_BIN_S / (FORGET_DAYS * se->day_s)), x[3], sum[3] = {0}, c[3], mean;
	unsigned int i, k;

	phase(se, (double)f->now_s - 0.5 * FC_BIN_S, x);
	for (i = 0; i < 6; i++)
		se->s[i] *= keep;
	se->s[0] += 1.0;
	se->s[1] += x[1];
	se->s[2] += x[2];
	se->s[3] += x[1] * x[1];
	se->s[4] += x[1] * x[2];
	se->s[5] += x[2] * x[2];
	for (i = 0; i < FC_CLASSES; i++) {
		const struct fc_history *h = &f->cls[i].history;

		if (!f->cls[i].used)
			memset(se->v[i], 0, sizeof(se->v[i]));
		for (k = 0; f->cls[i].used && k < 3; k++) {
			se->v[i][k] =
				keep * se->v[i][k] + (h->n ? x[k] * (double)h->y[h->at] : 0.0);
			sum[k] += se->v[i][k];
		}
	}
	se->bins++;
	solve(se, sum, c);
	mean = recent_mean(f);
	compare(se, mean, value(se, c, (double)f->now_s - 0.5 * MEAN_BINS * FC_BIN_S));
	se->said[se->at].now = mean;
	se->said[se->at].fit =
		value(se, c, (double)f->now_s + (AHEAD_BINS - 0.5 * MEAN_BINS) * FC_BIN_S);
	se->at = (se->at + 1) % AHEAD_BINS;
}

void fc_season_rate(const struct forecast *f, unsigned int class_id, double *rate)
{
	const struct fc_season *se = &f->season;
	double c[3], swing, x[3];

	solve(se, se->v[class_id], c);
	phase(se, (double)f->now_s, x);
	/* a rate is not negative */
	swing = sqrt(c[1] * c[1] + c[2] * c[2]);
	swing = swing > c[0] ? fmax(c[0], 0.0) / swing : 1.0;
	/* as cosine and sine of the time from now */
	rate[0] = fmax(c[0], 0.0) / FC_BIN_S;
	rate[1] = swing * (c[1] * x[1] + c[2] * x[2]) / FC_BIN_S;
	rate[2] = swing * (c[2] * x[1] - c[1] * x[2]) / FC_BIN_S;
}

void fc_season_respond(const struct forecast *f, const double *rate, const float *unit,
		       unsigned int points, double dt, float *out)
{
	double turn = 6.283185307179586 * dt / f->season.day_s, all = 0.0, re = 0.0, im = 0.0;
	unsigned int j;

	out[0] = 0.0f;
	for (j = 1; j < points; j++) {
		double u = (double)unit[j - 1] * dt, age = turn * ((double)j - 0.5), at = turn * j;

		all += u;
		re += u * cos(age);
		im += u * sin(age);
		out[j] = (float)(rate[0] * all + rate[1] * (cos(at) * re + sin(at) * im) +
				 rate[2] * (sin(at) * re - cos(at) * im));
	}
}
