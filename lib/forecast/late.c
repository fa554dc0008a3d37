// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/late.h"

#include <math.h>
#include <string.h>

#include "lib/kernel/gc.h"

#define LEAST_LATE     5 /* entries it takes to see a round */
#define ROUND_SHARE    0.85
#define CHANCE	       -7.0 /* log chance that lookups alone did that */
#define PERIOD_LEAST_S 8.0
#define PERIOD_MOST_S  130.0
#define TOLERANCE_S    1.0
#define GAP_DRIFT      0.5
#define ENOUGH_ROUNDS  3
#define UNSEEN	       0.3f /* chance per second to go, before any was seen */
#define MEMORY_S       600.0

void fc_late_gone(struct fc_late *l, int64_t late_s, double exact_s, int expired)
{
	unsigned int bin = fc_bin(late_s, FC_LATE_BINS);

	l->risk[bin] += 1.0f;
	if (!expired)
		return;
	l->ev[bin] += 1.0f;
	if (late_s < 2)
		return;
	l->gone++;
	l->gone_at_s += exact_s;
}

void fc_late_waits(struct fc_late *l, int64_t late_s, uint32_t entries)
{
	l->risk[fc_bin(late_s, FC_LATE_BINS)] += (float)entries;
	if (late_s >= 2)
		l->left += entries;
}

/* How far the comb through `anchor` misses t. */
static double miss_s(double t, double anchor, double period_s)
{
	double k = (t - anchor) / period_s;

	return fabs(k - round(k)) * period_s;
}

/* How many rounds fit that comb; *ret_oldest: the last of them. */
static unsigned int fitting(const struct fc_late *l, double anchor, double period_s,
			    double *ret_oldest)
{
	unsigned int i, n = 0;

	for (i = 0; i < l->n_rounds; i++) {
		if (miss_s(l->round_s[i], anchor, period_s) >= TOLERANCE_S)
			continue;
		*ret_oldest = l->round_s[i];
		n++;
	}
	return n;
}

/*
 * The collector tunes its interval to the mean remaining timeout, so while a mix changes no
 * comb fits; the last interval is still the best guess of the next. 0: none.
 */
static double last_gap_s(const struct fc_late *l)
{
	double gap, before;

	if (l->n_rounds < 2)
		return 0.0;
	gap = l->round_s[0] - l->round_s[1];
	if (gap < PERIOD_LEAST_S || gap > GC_ROUND_MAX_S + TOLERANCE_S)
		return 0.0;
	if (l->n_rounds == 2)
		return gap;
	before = l->round_s[1] - l->round_s[2];
	return fabs(gap - before) < GAP_DRIFT * before ? gap : 0.0;
}

/* The comb that most of the last rounds fit; else the last interval. */
static void find_comb(struct fc_late *l)
{
	double span = l->round_s[0] - l->round_s[l->n_rounds - 1], oldest = 0.0;
	unsigned int i, k, n, most = 2;

	l->period_s = 0.0;
	for (i = 0; i + 1 < l->n_rounds; i++) {
		for (k = 1; k < l->n_rounds - i && k <= 2; k++) {
			double gap = l->round_s[i] - l->round_s[i + k];

			if (gap < PERIOD_LEAST_S || gap > PERIOD_MOST_S)
				continue;
			n = fitting(l, l->round_s[i], gap, &oldest);
			if (n <= most)
				continue;
			most = n;
			l->anchor_s = l->round_s[i];
			l->period_s = (l->anchor_s - oldest) / round((l->anchor_s - oldest) / gap);
		}
	}
	/* most rounds fit, and enough teeth of the comb have their round */
	if (l->period_s > 0.0 && 2 * most >= l->n_rounds &&
	    (double)most * l->period_s >= 0.3 * span)
		return;
	l->period_s = last_gap_s(l);
	l->anchor_s = l->round_s[0];
}

static double lookups(const struct fc_late *l)
{
	return fmin((l->seen_gone + 3.0) / (l->seen_risk + 10.0), 0.99);
}

void fc_late_second(struct fc_late *l, int64_t now_s)
{
	double gone = l->gone, at_risk = gone + l->left,
	       share = at_risk > 0.0 ? gone / at_risk : 0.0;
	double at = (double)now_s + (gone > 0.0 ? l->gone_at_s / gone : 0.0);
	float keep = (float)exp(-1.0 / MEMORY_S);
	unsigned int b;

	for (b = 0; b < FC_LATE_BINS; b++) {
		l->ev[b] *= keep;
		l->risk[b] *= keep;
	}
	l->watched_s += at_risk > 0.0 || l->watched_s > 0.0;
	l->gone = l->left = 0;
	l->gone_at_s = 0.0;
	if (at_risk >= LEAST_LATE && share >= ROUND_SHARE &&
	    at_risk * share * log(fmax(lookups(l), 1e-3)) < CHANCE) {
		if (l->n_rounds && at - l->round_s[0] < 3.0)
			return; /* its second half */
		memmove(l->round_s + 1, l->round_s, (FC_ROUNDS - 1) * sizeof(l->round_s[0]));
		l->round_s[0] = at;
		l->n_rounds = l->n_rounds < FC_ROUNDS ? l->n_rounds + 1 : FC_ROUNDS;
		find_comb(l);
		return;
	}
	l->seen_gone += gone - l->seen_gone / MEMORY_S;
	l->seen_risk += at_risk - l->seen_risk / MEMORY_S;
}

/* Who waits for longer than the rule says shows that rounds are further apart: those of other
 * namespaces, which the collector looks at too, wait longer. */
static double interval_s(const struct fc_late *l)
{
	double most_s = l->rule.interval_s;
	unsigned int b;

	for (b = 0; b < FC_LATE_BINS && l->risk[b] >= LEAST_LATE; b++)
		most_s = fmax(most_s, fc_bin_start(b));
	return fmin(most_s, GC_ROUND_MAX_S);
}

float fc_late_by_rule(const struct fc_late *l, double late_s)
{
	double left_s;

	if (!(l->rule.interval_s > 0.0))
		return 0.0f;
	left_s = l->rule.interval_s - late_s;
	return left_s > 0.0 ? (float)(l->rule.met_per_s + 1.0 / (left_s + 1.0)) : 0.0f;
}

/* Before rounds were seen the kernel's word has to do: it comes within a minute. */
static float least(const struct fc_late *l, double late_s)
{
	double most_s = GC_ROUND_MAX_S, met_per_s = 0.0, slack_s = 2.0;

	if (l->n_rounds >= ENOUGH_ROUNDS)
		return 0.0f;
	if (l->rule.interval_s > 0.0) {
		most_s = interval_s(l);
		met_per_s = l->rule.met_per_s;
		slack_s = 1.0;
	}
	return late_s < most_s ? (float)(met_per_s + 1.0 / (most_s + slack_s - late_s)) : 0.5f;
}

/* One round or two say more of when they came than of how often they do: they count by how long
 * was watched. */
static float with_rule(const struct fc_late *l, double late_s, float seen)
{
	float rule = least(l, late_s);
	double rounds = l->rule.interval_s > 0.0 ? l->watched_s / l->rule.interval_s : 0.0;

	if (l->n_rounds && l->n_rounds < ENOUGH_ROUNDS && rounds > 0.0 && rounds < ENOUGH_ROUNDS &&
	    late_s < interval_s(l))
		return rule + (float)(rounds / ENOUGH_ROUNDS) * (seen - rule);
	return fmaxf(seen, rule);
}

void fc_late_hazards(const struct fc_late *l, const float *ev, const float *risk, float *end)
{
	float shared = l->rule.interval_s > 0.0 ? (float)l->rule.met_per_s : UNSEEN;
	unsigned int b;

	for (b = 0; b < FC_LATE_BINS; b++) {
		shared = (l->ev[b] + shared * 20.0f) / (l->risk[b] + 20.0f);
		end[b] = ev ? (ev[b] + shared * 6.0f) / (risk[b] + 6.0f) : shared;
		end[b] = fminf(with_rule(l, (double)fc_bin_start(b), end[b]), 0.9999f);
	}
}

void fc_late_survival(const struct fc_late *l, unsigned int steps, double dt_s, float *survive)
{
	float chance[FC_LATE_BINS];
	double cum = 0.0, at = 0.0;
	unsigned int j;

	fc_late_hazards(l, NULL, NULL, chance);
	for (j = 0; j < steps; j++) {
		/* bin k is k - 0.5 to k + 0.5 late, as whole seconds are counted */
		for (; at < (j + 0.5) * dt_s; at += 0.5)
			cum -= 0.5 *
			       log1p(-(double)chance[fc_bin((int64_t)(at + 0.75), FC_LATE_BINS)]);
		survive[j] = (float)exp(-fmin(cum, 60.0));
	}
}

/* 0: no rhythm, or its last beats had no round though there was something to take. */
static double rhythm(const struct fc_late *l, int64_t now_s, double *next_s)
{
	double since;

	if (l->period_s <= 0.0 || (double)now_s - l->round_s[0] > 4.0 * l->period_s)
		return 0.0;
	since = fmod((double)now_s - l->anchor_s, l->period_s);
	*next_s = l->period_s - (since < 0.0 ? since + l->period_s : since);
	return l->period_s;
}

bool fc_late_rounds(const struct fc_late *l, int64_t now_s, const float *due, unsigned int n,
		    double dt_s, float *left)
{
	double next = 0.0, period_s = rhythm(l, now_s, &next), keep = pow(1.0 - lookups(l), dt_s);
	double waiting = (double)left[0];
	unsigned int j;

	if (period_s <= 0.0)
		return false;
	next = fmax(next, 0.5);
	for (j = 1; j < n; j++) {
		waiting = waiting * keep + (double)due[j] * sqrt(keep);
		if (next <= j * dt_s) { /* only what comes due after it stays */
			waiting = (double)due[j] * (j * dt_s - next) / dt_s;
			next += period_s;
		}
		left[j] = (float)waiting;
	}
	return true;
}
