// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Expired entries that are still counted, and the collector that takes them.
 *
 * An entry past its deadline stays in the count until a lookup meets it or the
 * collector makes its round (gc_worker). Lookups are a constant chance per
 * second. A round takes all at once: a second in which nearly all of many late
 * entries go is a round, and rounds come at equal intervals, so the next ones
 * are known. Where lookups are rare that makes a sawtooth of up to a minute of
 * expiries, which is most of what the count does within half a minute.
 *
 * Somebody's listing of the table takes all expired entries too, at any time:
 * rounds are those that fit one comb.
 *
 * The interval to the next round is set at each, from the time that all entries have left
 * (lib/kernel/gc.h). So where rounds keep to what the entries here say, the next is
 * foretold while the mix changes.
 */
#include "lib/forecast/priv.h"

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
#define PROMISE_MISS   0.1
#define ENOUGH_ROUNDS  3

/* How far the comb through `anchor` misses t. */
static double miss_s(double t, double anchor, double period_s)
{
	double k = (t - anchor) / period_s;

	return fabs(k - round(k)) * period_s;
}

static unsigned int fitting(const struct fc_gc *co, double anchor, double period_s)
{
	unsigned int i, n = 0;

	for (i = 0; i < co->n_rounds; i++)
		n += miss_s(co->round_s[i], anchor, period_s) < TOLERANCE_S;
	return n;
}

/* Least squares through the rounds that fit; recent ones are in the list only. */
static void refine(struct fc_gc *co, double anchor, double period_s)
{
	double n = 0.0, sk = 0.0, st = 0.0, skk = 0.0, skt = 0.0, det;
	unsigned int i;

	for (i = 0; i < co->n_rounds; i++) {
		double k = round((co->round_s[i] - anchor) / period_s), t = co->round_s[i] - anchor;

		if (miss_s(co->round_s[i], anchor, period_s) >= TOLERANCE_S)
			continue;
		n += 1.0;
		sk += k;
		st += t;
		skk += k * k;
		skt += k * t;
	}
	det = n * skk - sk * sk;
	co->period_s = det > 0.5 ? (n * skt - sk * st) / det : period_s;
	co->anchor_s = anchor + (st - co->period_s * sk) / n;
}

/* The comb that most of the last rounds fit. */
static void find_comb(struct fc_gc *co)
{
	double best_anchor = 0.0, best_period = 0.0, span;
	unsigned int i, k, most = 2;

	for (i = 0; i + 1 < co->n_rounds; i++) {
		for (k = 1; k < co->n_rounds - i && k <= 2; k++) {
			double gap = co->round_s[i] - co->round_s[i + k];
			unsigned int n;

			if (gap < PERIOD_LEAST_S || gap > PERIOD_MOST_S)
				continue;
			n = fitting(co, co->round_s[i], gap);
			if (n > most) {
				most = n;
				best_anchor = co->round_s[i];
				best_period = gap;
			}
		}
	}
	co->period_s = 0.0;
	if (most < 3)
		return;
	refine(co, best_anchor, best_period);
	span = co->round_s[0] - co->round_s[co->n_rounds - 1];
	/* most rounds fit, and enough teeth of the comb have their round */
	if (2 * most < co->n_rounds || (double)most < 0.3 * span / co->period_s)
		co->period_s = 0.0;
}

void fc_gc_exit(struct fc_gc *co, int64_t now_ns, int64_t late_s)
{
	if (late_s < 2)
		return;
	co->gone++;
	co->gone_at_s += (double)(now_ns % 1000000000) * 1e-9;
}

/* What the collector's own rule makes of the entries here. */
static double interval_s(const struct forecast *f)
{
	struct kernel_gc gc;
	unsigned int i, l, s;

	kernel_gc_init(&gc);
	for (i = 0; i < f->n_cells; i++) {
		const struct fc_cell *c = &f->cell[i];

		if (!c->used || c->n_total <= 0)
			continue;
		kernel_gc_add_left(&gc, c->n_unknown, GC_CLAMP_S);
		for (l = 0; l < FC_LEVELS; l++) {
			for (s = 0; s < FC_SLOTS; s++) {
				int64_t now_at = f->now_s / fc_width_s[l], since, left;

				if (c->n[l][s] <= 0)
					continue;
				since = (now_at - (int64_t)(((uint64_t)now_at - s) % FC_SLOTS)) *
					fc_width_s[l];
				left = since + (int64_t)fc_cell_timeout_at(c, since) - f->now_s;
				if (c->refreshed)
					left = fc_cell_timeout_at(c, since);
				kernel_gc_add_left(&gc, c->n[l][s], (double)left);
			}
		}
	}
	return kernel_gc_interval_s(&gc, f->stat.tick_hz);
}

/* A round has come: did it keep to what was promised at the one before? */
static void check_promise(struct fc_gc *co, double at_s)
{
	double gap = co->n_rounds ? at_s - co->round_s[0] : 0.0;

	if (co->promised_s <= 0.0 || gap <= 0.0)
		return;
	co->kept =
		fabs(gap - co->promised_s) < PROMISE_MISS * co->promised_s + 2.0 ? co->kept + 1 : 0;
}

void fc_gc_second(struct forecast *f)
{
	struct fc_gc *co = &f->gc;
	int64_t now_s = f->now_s;
	double gone = co->gone, at_risk = gone + co->left,
	       share = at_risk > 0.0 ? gone / at_risk : 0.0;
	double lookups = fc_gc_lookups(co),
	       at = (double)now_s + (gone > 0.0 ? co->gone_at_s / gone : 0.0);

	co->gone = co->left = 0;
	co->gone_at_s = 0.0;
	if (at_risk >= LEAST_LATE && share >= ROUND_SHARE &&
	    at_risk * share * log(fmax(lookups, 1e-3)) < CHANCE) {
		if (co->n_rounds && at - co->round_s[0] < 3.0)
			return; /* its second half */
		check_promise(co, at);
		co->promised_s = interval_s(f);
		memmove(co->round_s + 1, co->round_s, (FC_ROUNDS - 1) * sizeof(co->round_s[0]));
		co->round_s[0] = at;
		co->n_rounds = co->n_rounds < FC_ROUNDS ? co->n_rounds + 1 : FC_ROUNDS;
		find_comb(co);
		return;
	}
	co->seen_gone += gone - co->seen_gone / 600.0;
	co->seen_risk += at_risk - co->seen_risk / 600.0;
}

double fc_gc_lookups(const struct fc_gc *co)
{
	return fmin((co->seen_gone + 3.0) / (co->seen_risk + 10.0), 0.99);
}

/*
 * The collector tunes its interval to the mean remaining timeout, so while a mix
 * changes no comb fits; the last interval is still the best guess of the next. 0: none.
 */
static double last_gap_s(const struct fc_gc *co)
{
	double gap, before;

	if (co->n_rounds < 2)
		return 0.0;
	gap = co->round_s[0] - co->round_s[1];
	if (gap < PERIOD_LEAST_S || gap > GC_ROUND_MAX_S + TOLERANCE_S)
		return 0.0;
	if (co->n_rounds == 2)
		return gap;
	before = co->round_s[1] - co->round_s[2];
	return fabs(gap - before) < GAP_DRIFT * before ? gap : 0.0;
}

/* 0: no rhythm, or its last beats had no round though there was something to take. */
static double rhythm(const struct fc_gc *co, int64_t now_s, bool *steady, double *next_s)
{
	double period_s = co->period_s, anchor_s = co->anchor_s, since;

	*steady = period_s > 0.0;
	if (co->kept >= 2 && co->promised_s >= PERIOD_LEAST_S &&
	    (!*steady || fabs(co->promised_s - period_s) > PROMISE_MISS * period_s + 2.0)) {
		*steady = false;
		period_s = co->promised_s;
		anchor_s = co->round_s[0];
	} else if (!*steady && co->n_rounds) {
		period_s = last_gap_s(co);
		anchor_s = co->round_s[0];
	}
	if (period_s <= 0.0 || (double)now_s - co->round_s[0] > 4.0 * period_s)
		return 0.0;
	since = fmod((double)now_s - anchor_s, period_s);
	*next_s = period_s - (since < 0.0 ? since + period_s : since);
	return period_s;
}

/* Before rounds were seen the kernel's word has to do: it comes within a minute. */
float fc_gc_floor(const struct fc_gc *co, double late_s)
{
	if (co->n_rounds >= ENOUGH_ROUNDS)
		return 0.0f;
	return late_s < GC_ROUND_MAX_S ? (float)(1.0 / (GC_ROUND_MAX_S + 2.0 - late_s)) : 0.5f;
}

void fc_late_survival(const struct forecast *f, float *survive)
{
	float shared = 0.3f, rate[FC_LATE_BINS];
	unsigned int b, j;
	double cum = 0.0;

	for (b = 0; b < FC_LATE_BINS; b++) {
		shared = (f->late_ev[b] + shared * 20.0f) / (f->late_risk[b] + 20.0f);
		shared = fmaxf(shared, fc_gc_floor(&f->gc, fc_late_bin_start(b)));
		rate[b] = -log1pf(-fminf(shared, 0.9999f));
	}
	/* to the middle of the step; bin k is k - 0.5 to k + 0.5 late, as whole seconds are counted
	 */
	cum = (double)rate[1];
	for (j = 0; j < FC_LATE_N; j++) {
		unsigned int at = j * FC_FINE_DT + 1;

		survive[j] = (float)exp(-fmin(cum, 60.0));
		cum += (double)(0.5f * rate[fc_late_bin(at)] + rate[fc_late_bin(at + 1)] +
				0.5f * rate[fc_late_bin(at + 2)]);
	}
}

/* The backlog that lateness regardless of rounds would leave. */
static void flat_backlog(const struct forecast *f, const float *due, const float *late_now,
			 float *flat)
{
	unsigned int j, k;

	flat[0] = 0.0f;
	for (k = 0; k < FC_LATE_N; k++)
		flat[0] += late_now[k];
	for (j = 1; j < FC_FINE_N; j++) {
		flat[j] = 0.0f;
		for (k = 0; k < j && k < FC_LATE_N; k++)
			flat[j] += due[j - k] * f->late_survive[k];
		for (k = 0; k + j < FC_LATE_N; k++)
			flat[j] += late_now[k] * f->late_survive[k + j] / f->late_survive[k];
	}
}

/* The backlog that rounds leave, less the flat one. */
static void round_backlog(const float *due, const float *flat, double keep, double next,
			  double period_s, float *diff)
{
	double backlog = (double)flat[0];
	unsigned int j;

	diff[0] = 0.0f;
	for (j = 1; j < FC_FINE_N; j++) {
		double t = j * FC_FINE_DT;

		backlog = backlog * keep + (double)due[j] * sqrt(keep);
		if (next <= t) { /* in this step: only what came due after it stays */
			backlog = (double)due[j] * (t - next) / FC_FINE_DT;
			next += period_s;
		}
		diff[j] = (float)backlog - flat[j];
	}
}

/* How far the count is above the middle of the saw: now, and in ten minutes. */
static void measure_saw(struct forecast *f, const float *due, double waiting, unsigned int n,
			float (*diff)[FC_FINE_N])
{
	double mean_late_s = 0.0, due_per_s = 0.0;
	unsigned int j, k;

	for (j = 1; j <= 30; j++)
		due_per_s += (double)due[j] / (30.0 * FC_FINE_DT);
	for (k = 0; k < FC_LATE_N; k++)
		mean_late_s += (double)f->late_survive[k] * FC_FINE_DT;
	f->saw_now = waiting - due_per_s * mean_late_s;
	for (k = 0; k < n; k++)
		f->saw_600 += (double)diff[k][FC_FINE_N - 1] / n;
}

/*
 * What the rounds make of the expected expiries: the backlog they leave less
 * the one that lateness regardless of rounds would, on the fine grid. Where the
 * rhythm is not firm, several of about that period, for a path each. How many; 0: none.
 */
unsigned int fc_gc_phase(struct forecast *f, const float *due, const float *late_now,
			 float (*diff)[FC_FINE_N])
{
	static const double drift[FC_DRIFTS] = {1.0, 0.8, 1.1, 0.9, 1.2};
	double next = 0.0, period_s, keep;
	float flat[FC_FINE_N];
	bool steady;
	unsigned int k, n;

	f->saw_now = f->saw_600 = 0.0;
	period_s = rhythm(&f->gc, f->now_s, &steady, &next);
	if (period_s <= 0.0)
		return 0;
	keep = pow(1.0 - fc_gc_lookups(&f->gc), FC_FINE_DT);
	flat_backlog(f, due, late_now, flat);
	n = steady ? 1 : FC_DRIFTS;
	for (k = 0; k < n; k++)
		round_backlog(due, flat, keep, fmax(next + (drift[k] - 1.0) * period_s, 0.5),
			      drift[k] * period_s, diff[k]);
	measure_saw(f, due, (double)flat[0], n, diff);
	return n;
}
