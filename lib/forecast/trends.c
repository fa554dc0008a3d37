// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes that several classes share.
 *
 * A step or a ramp of demand shows in many classes at once, in each one weakly.
 * An explanation says that since n bins ago the rates of those that take part
 * are w(t) times what they were: a jump (w = J), a trend (w = 1 + b t), or a
 * trend that ended e bins ago. For one class its likelihood against "no
 * change" is that of a least-squares fit of its level, in closed form from
 * prefix sums; over classes they multiply, with an even chance for each to
 * take part. All explanations of a fixed list are weighed by that and a
 * prior for how often such changes happen.
 */
#include "lib/forecast/priv.h"

#include <math.h>
#include <string.h>

#define TRENDS_PER_S   (1.0 / 8000.0)
#define JUMPS_PER_S    (1.0 / 8000.0)
#define SHARE_IN       0.6    /* of the classes take part */
#define LASTS_S	       2000.0 /* trends, about */
#define BEFORE_BINS    180    /* what a change is compared with */
#define LEAST_BEFORE   24
#define SETTLED_BINS   36 /* a change this old and certain starts a new account */
#define LEAST_ARRIVALS 12.0
#define LOW_BINS       12

static const uint16_t began[] = {4,  5,	 6,  8,	 10, 12,  14,  17,  20,	 24,  29,  35,
				 42, 50, 60, 72, 86, 104, 125, 150, 180, 216, 260, 300};
static const uint16_t ended[] = {4, 9, 18, 34, 60, 100};
static const float slope_per_s[] = {1 / 3000.0f, 1 / 2200.0f, 1 / 1600.0f, 1 / 1200.0f, 1 / 880.0f,
				    1 / 650.0f,	 1 / 480.0f,  1 / 350.0f,  1 / 250.0f,	1 / 170.0f};
static const float jump[] = {0.1f, 0.2f, 0.35f, 0.5f, 0.65f, 0.8f, 0.88f, 1.13f, 1.25f, 1.45f,
			     1.7f, 2.0f, 2.4f,	3.0f, 4.0f,  6.0f, 10.0f, 20.0f, 50.0f};

#define N_BEGAN	 (sizeof(began) / sizeof(began[0]))
#define N_ENDED	 (sizeof(ended) / sizeof(ended[0]))
#define N_SLOPES (sizeof(slope_per_s) / sizeof(slope_per_s[0]))
#define N_JUMPS	 (sizeof(jump) / sizeof(jump[0]))

_Static_assert(N_BEGAN *(2 * N_SLOPES + N_SLOPES * N_ENDED + N_JUMPS) <= FC_EXPLANATIONS,
	       "room for all explanations");

void fc_history_add(struct fc_history *h, const struct fc_rate *r)
{
	/* what was lost is taken for usual */
	double arrivals = r->censored ? r->mean_per_s * FC_BIN_S : r->bin_arrivals - r->counted;

	h->at = (h->at + FC_HISTORY - 1) % FC_HISTORY;
	h->y[h->at] = (float)fmax(arrivals, 0.0);
	h->n = h->n < FC_HISTORY ? h->n + 1 : FC_HISTORY;
}

double fc_history_low(const struct fc_history *h)
{
	float sum[FC_HISTORY / LOW_BINS];
	unsigned int n = h->n / LOW_BINS, i, k;

	for (i = 0; i < n; i++) {
		float s = 0.0f;

		for (k = 0; k < LOW_BINS; k++)
			s += h->y[(h->at + i * LOW_BINS + k) % FC_HISTORY];
		for (k = i; k && sum[k - 1] > s; k--) /* in order */
			sum[k] = sum[k - 1];
		sum[k] = s;
	}
	return n ? (double)sum[n / 4] / (LOW_BINS * FC_BIN_S) : 0.0;
}

/* Sums over bins 0 (newest) to k - 1: of y, and of k y. */
static void sum_up(const struct fc_history *h, unsigned int bins, struct fc_sums *s)
{
	unsigned int i;

	s->n = h->n < bins ? h->n : bins;
	s->y[0] = s->iy[0] = 0.0;
	for (i = 0; i < s->n; i++) {
		double y = (double)h->y[(h->at + i) % FC_HISTORY];

		s->y[i + 1] = s->y[i] + y;
		s->iy[i + 1] = s->iy[i] + y * i;
	}
}

struct fit {
	double llr, level, sd; /* level per s before the change */
};

/* One class under one explanation. False: it has too little history. */
static bool fit_class(const struct fc_sums *s, double dispersion, const struct fc_change *ch,
		      struct fit *fit)
{
	unsigned int n = ch->began, e = ch->ended, r = n - e, w;
	double before, wy, ww, all, mean, v, b = (double)ch->slope_per_bin, j = (double)ch->jump;

	if (s->n < n + LEAST_BEFORE)
		return false;
	w = s->n - n < BEFORE_BINS ? s->n - n : BEFORE_BINS;
	before = s->y[n + w] - s->y[n];
	all = s->y[n + w];
	if (all < LEAST_ARRIVALS)
		return false;
	if (ch->kind == FC_CHANGE_JUMP) {
		wy = before + j * s->y[n];
		ww = w + j * j * n;
	} else {
		double ramp = s->y[n] - s->y[e], top = 1.0 + b * r;

		wy = before + ramp + b * ((n - 0.5) * ramp - (s->iy[n] - s->iy[e])) + top * s->y[e];
		ww = w + r + b * r * r + b * b * ((double)r * r * r / 3.0 - r / 12.0) +
		     e * top * top;
	}
	mean = all / (n + w);
	v = dispersion * mean;
	fit->llr = (wy * wy / ww - all * mean) / (2.0 * v);
	fit->level = wy / ww / FC_BIN_S;
	fit->sd = sqrt(v / ww) / FC_BIN_S;
	return true;
}

static double takes_part(double llr)
{
	double e = SHARE_IN * exp(fmin(llr, 300.0));

	return e / (1.0 - SHARE_IN + e);
}

static void weigh(const struct forecast *f, struct fc_trends *jo, struct fc_change *ch,
		  double prior)
{
	double sum = log(prior), product = 1.0;
	unsigned int c;
	struct fit fit;

	for (c = 0; c < FC_CLASSES; c++) {
		if (!f->sums[c].n || !fit_class(&f->sums[c], f->cls[c].rate.dispersion, ch, &fit))
			continue;
		if (fit.llr > 8.0) /* the product may not overflow */
			sum += fit.llr + log(SHARE_IN);
		else
			product *= 1.0 - SHARE_IN + SHARE_IN * exp(fit.llr);
	}
	sum += log(product);
	ch->weight = (float)sum;
	jo->change[jo->n++] = *ch;
}

static void weigh_trends(const struct forecast *f, struct fc_trends *jo, unsigned int n,
			 double span_s)
{
	unsigned int k, sign, e;

	for (k = 0; k < 2 * N_SLOPES; k++) {
		struct fc_change ch = {.kind = FC_CHANGE_TREND, .began = (uint16_t)n};
		double prior = TRENDS_PER_S * span_s / N_SLOPES;

		sign = k & 1;
		ch.slope_per_bin = (sign ? -1.0f : 1.0f) * FC_BIN_S * slope_per_s[k / 2];
		prior *= sign ? 0.35 : 0.65;
		if (1.0f + ch.slope_per_bin * (float)n < 0.1f)
			continue;
		weigh(f, jo, &ch, prior * exp(-(double)n * FC_BIN_S / LASTS_S));
		for (e = 0; e < N_ENDED && k / 2 % 2 && ended[e] + 6u <= n; e++) {
			double gap = ended[e] - (e ? ended[e - 1] : 0);

			ch.ended = ended[e];
			weigh(f, jo, &ch,
			      2.0 * prior * fmin(gap * FC_BIN_S / LASTS_S, 1.0) *
				      exp(-(double)(n - ended[e]) * FC_BIN_S / LASTS_S));
		}
	}
}

/* From logs to shares of all, with "no change" the rest. */
static void normalise(struct fc_trends *jo, double none)
{
	double most = log(none), sum;
	unsigned int i;

	for (i = 0; i < jo->n; i++)
		most = fmax(most, (double)jo->change[i].weight);
	sum = exp(log(none) - most);
	for (i = 0; i < jo->n; i++) {
		jo->change[i].weight = expf(jo->change[i].weight - (float)most);
		sum += (double)jo->change[i].weight;
	}
	for (i = 0; i < jo->n; i++)
		jo->change[i].weight /= (float)sum;
}

/* What is certain and over is what later changes are compared with. */
static void settle(struct forecast *f, const struct fc_trends *jo)
{
	float over = 0.0f, best = 0.0f;
	unsigned int i, from = 0;

	for (i = 0; i < jo->n; i++) {
		const struct fc_change *ch = &jo->change[i];
		unsigned int since = ch->kind == FC_CHANGE_JUMP ? ch->began : ch->ended;

		if (since < SETTLED_BINS)
			continue;
		over += ch->weight;
		if (ch->weight > best) {
			best = ch->weight;
			from = since;
		}
	}
	if (over > 0.9f)
		f->account_from_s = f->now_s - (int64_t)(0.85 * from * FC_BIN_S);
}

void fc_trends_find(struct forecast *f, struct fc_trends *jo)
{
	unsigned int i, k, c, bins = FC_HISTORY;
	double none = 1.0;

	jo->n = 0;
	if (f->now_s - f->account_from_s < (int64_t)FC_HISTORY * FC_BIN_S)
		bins = (unsigned int)((f->now_s - f->account_from_s) / FC_BIN_S);
	for (c = 0; c < FC_CLASSES; c++) {
		f->sums[c].n = 0;
		if (f->cls[c].used)
			sum_up(&f->cls[c].history, bins, &f->sums[c]);
	}
	for (i = 0; i < N_BEGAN && began[i] + (unsigned int)LEAST_BEFORE <= bins; i++) {
		double from = i ? 0.5 * (began[i] + began[i - 1]) : 1.0;
		double until = i + 1 < N_BEGAN ? 0.5 * (began[i] + began[i + 1]) : began[i] * 1.15;
		double span_s = (until - from) * FC_BIN_S;

		none -= (TRENDS_PER_S + JUMPS_PER_S) * span_s;
		weigh_trends(f, jo, began[i], span_s);
		for (k = 0; k < N_JUMPS; k++) {
			struct fc_change ch = {
				.kind = FC_CHANGE_JUMP, .began = began[i], .jump = jump[k]};

			weigh(f, jo, &ch, JUMPS_PER_S * span_s / N_JUMPS);
		}
	}
	normalise(jo, fmax(none, 0.2));
	settle(f, jo);
}

bool fc_trend_line(const struct forecast *f, unsigned int class_id, const struct fc_change *ch,
		   double u, struct fc_line *line)
{
	const struct fc_sums *s = &f->sums[class_id];
	unsigned int flat = ch->ended;
	double top = 1.0 + (double)ch->slope_per_bin * (ch->began - ch->ended);
	struct fit fit;

	if (ch->kind != FC_CHANGE_TREND || !s->n ||
	    !fit_class(s, f->cls[class_id].rate.dispersion, ch, &fit) || u >= takes_part(fit.llr))
		return false;
	line->level = fit.level * top;
	line->sd = fit.sd * top;
	line->slope = flat ? 0.0 : fit.level * (double)ch->slope_per_bin / FC_BIN_S;
	line->age_s = (double)(ch->began - ch->ended) * FC_BIN_S;
	if (flat) { /* what came since is more to the point than the shape of the change */
		double seen = s->y[flat] / (flat * FC_BIN_S);
		double var = f->cls[class_id].rate.dispersion * fmax(seen, line->level) /
			     (flat * FC_BIN_S);
		double trust = 4.0 * line->sd * line->sd / (4.0 * line->sd * line->sd + var);

		line->level += trust * (seen - line->level);
		line->sd = sqrt(trust * var);
	}
	return true;
}
