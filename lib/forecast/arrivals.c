// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/arrivals.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "associative-math", "no-signed-zeros", "no-trapping-math")
#endif

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TRENDS_PER_S	(1.0 / 4000.0)
#define JUMPS_PER_S	(1.0 / 6000.0)
#define OWN_JUMP	-0.92f /* changes of one class alone, to shared ones, log */
#define OWN_TREND	-3.22f
#define SHARE_IN	0.6    /* of the classes take part in a shared one */
#define BURST_S		500.0  /* jumps that end, at most about */
#define LASTS_S		2000.0 /* trends, about */
#define RISES		0.65   /* of the trends */
#define BEFORE_BINS	180    /* what a change is compared with */
#define LEAST_BEFORE	24
#define SETTLED_BINS	36 /* a change this old and certain: what follows is compared with it */
#define LEAST_ARRIVALS	12.0
#define STEADY_BINS	300
#define LOW_BINS	12
#define RECENT_BINS	120
#define MEDIAN		0.455f /* of a squared normal */
#define MEAN_S		1200.0
#define TREND_LASTS_S	400.0 /* added to its age so far */
#define TREND_GROWS	0.4  /* but no longer than it takes to grow by this share of the old rate */
#define OF_DAY		0.25 /* a day climbs for half of it, at its steepest slope for no longer */
#define FALLS_ON	0.15 /* share of paths on which demand falls to nothing */
#define FALL_SHARE	0.8  /* of the way to what is usual: a decay slows down */
#define FALL_LEAST	0.25 /* where that is near or past: of what is left */
#define OWN_SLOPE_SD	0.25 /* share of it that the slopes of paths differ by */
#define SHARED_SLOPE_SD 0.15
#define JUMP_DENSITY	0.5 /* 2.5 over the range of logs of factors */

/* Streams of fc_draw_part() and fc_draw_normal(); a class adds its number times STREAMS. */
enum { S_SHARED, S_SLOPE, S_LASTS, S_OWN, S_PART, S_LEVEL, STREAMS };

static const uint16_t began[] = {4,  5,	 6,  8,	 10, 12,  14,  17,  20,	 24,  29,  35,
				 42, 50, 60, 72, 86, 104, 125, 150, 180, 216, 260, 300};
static const uint16_t ended[] = {2, 4, 7, 11, 17, 26, 40, 62, 95};
static const float slope_s[] = {4000, 3200, 2600, 2100, 1700, 1350, 1100, 880,
				700,  570,  460,  370,	300,  240,  190,  150};
#define N(a) (sizeof(a) / sizeof((a)[0]))

_Static_assert(N(began) * N(slope_s) * (2 + N(ended)) + 160 * (1 + N(ended)) <= FC_SHAPES,
	       "room for all explanations");

static void add_shape(struct fc_demand *d, struct fc_shape shape, double prior)
{
	shape.log_prior = (float)log(prior);
	d->shape[d->n_shapes++] = shape;
}

/* Per bin, of the level before; every other one falls. */
static double slope(unsigned int k)
{
	return (k & 1 ? -1.0 : 1.0) * FC_BIN_S / (double)slope_s[k / 2];
}

static void add_trends(struct fc_demand *d, unsigned int n, double span_s)
{
	unsigned int k, e;

	for (k = 0; k < 2 * N(slope_s); k++) {
		struct fc_shape s = {.kind = FC_SHAPE_TREND, .began = (uint16_t)n};
		double prior = TRENDS_PER_S * span_s / N(slope_s) * (k & 1 ? 1.0 - RISES : RISES);

		s.steep = (uint8_t)k;
		if (1.0 + slope(k) * n < 0.1)
			continue;
		add_shape(d, s, prior * exp(-(double)n * FC_BIN_S / LASTS_S));
		for (e = 0; e < N(ended) && k / 2 % 2 && ended[e] + 5u <= n; e++) {
			double gap = ended[e] - (e ? ended[e - 1] : 0);

			s.ended = ended[e];
			add_shape(d, s,
				  2.0 * prior * fmin(gap * FC_BIN_S / LASTS_S, 1.0) *
					  exp(-(double)(n - ended[e]) * FC_BIN_S / LASTS_S));
		}
	}
}

/* One that lasts, and those that are over. */
static void add_jumps(struct fc_demand *d, unsigned int n, double span_s)
{
	struct fc_shape s = {.kind = FC_SHAPE_JUMP, .began = (uint16_t)n};
	double prior = JUMPS_PER_S * span_s;
	unsigned int e;

	add_shape(d, s, prior);
	for (e = 0; FC_HAS(FC_PART_TRENDS) && e < N(ended) && ended[e] + 2u <= n; e++) {
		s.ended = ended[e];
		add_shape(d, s, prior * (ended[e] - (e ? ended[e - 1] : 0)) * FC_BIN_S / BURST_S);
	}
}

void fc_demand_init(struct fc_demand *d)
{
	double none = 1.0;
	unsigned int i, n, next;

	memset(d, 0, sizeof(*d));
	for (i = 0; i < FC_SLOPES; i++)
		for (n = 1; n <= FC_OLDEST; n++)
			d->log_w[i][n] = (float)log(fmax(1.0 + slope(i) * (n - 0.5), 0.05));
	for (i = 0; i < N(began); i++) {
		double from = i ? 0.5 * (began[i] + began[i - 1]) : began[i] - 0.5;
		double until = i + 1 < N(began) ? 0.5 * (began[i] + began[i + 1]) : began[i] * 1.15;

		none -= TRENDS_PER_S * (until - from) * FC_BIN_S;
		if (FC_HAS(FC_PART_TRENDS))
			add_trends(d, began[i], (until - from) * FC_BIN_S);
	}
	/* when a jump was is seen to the second, a trend's beginning is not */
	for (n = 1; n <= FC_OLDEST; n = next) {
		next = n + 1 + n / 40;
		none -= JUMPS_PER_S * (next - n) * FC_BIN_S;
		add_jumps(d, n, (next - n) * FC_BIN_S);
	}
	d->log_none = (float)log(fmax(none, 0.2));
	for (i = 0; i < FC_PATHS; i++)
		d->pick[i] = FC_NOTHING;
}

/* ---- one class ---- */

/* i bins ago. */
static float ago(const struct fc_arrivals *a, unsigned int i)
{
	return a->y[(a->at + i) % FC_HISTORY];
}

void fc_arrivals_sum(const struct fc_arrivals *a, struct fc_sums *s)
{
	unsigned int i;

	s->n = a->usable;
	s->y[0] = 0.0;
	for (i = 0; i < s->n; i++) {
		s->bin[i] = ago(a, i);
		s->y[i + 1] = s->y[i] + (double)s->bin[i];
	}
}

double fc_arrivals_last(const struct fc_arrivals *a, unsigned int n)
{
	double sum = 0.0;
	unsigned int i;

	for (i = 0; i < n && i < a->n; i++)
		sum += (double)ago(a, i);
	return sum;
}

double fc_arrivals_low(const struct fc_arrivals *a)
{
	float minute[FC_HISTORY / LOW_BINS] = {0.0f};
	unsigned int n = a->n / LOW_BINS, i;

	for (i = 0; i < n * LOW_BINS; i++)
		minute[i / LOW_BINS] += ago(a, i);
	fc_sort(minute, n);
	return n ? (double)minute[n / 4] / (LOW_BINS * FC_BIN_S) : 0.0;
}

static void end_bin(struct fc_arrivals *a)
{
	/* what was lost is taken for usual */
	double y = a->censored ? a->mean_per_s * FC_BIN_S : fmax(a->bin, 0.0);

	/* taken for a whole bin, the first would say too little for as long as few have followed */
	if (a->begun) {
		a->at = (a->at + FC_HISTORY - 1) % FC_HISTORY;
		a->y[a->at] = (float)y;
		a->n += a->n < FC_HISTORY;
		a->usable += a->usable < FC_HISTORY;
		a->mean_per_s += fmax(1.0 - exp(-FC_BIN_S / MEAN_S), 1.0 / a->n) *
				 (y / FC_BIN_S - a->mean_per_s);
	}
	a->begun |= a->bin > 0.0;
	a->bin = 0.0;
	a->censored = false;
}

/*
 * Squared second differences of sums over w bins, against what Poisson would have: their median,
 * as changes are no noise, and of the time before the last ones, as a change under way is none.
 */
static void measure_spread(struct fc_arrivals *a, const struct fc_sums *s)
{
	unsigned int k, i, w, n, skip = s->n / 2 < RECENT_BINS ? s->n / 2 : RECENT_BINS;
	float term[FC_HISTORY], before = 1.0f, counts, median;

	for (k = 0; k < FC_SCALES; k++) {
		w = 1u << k;
		n = 0;
		for (i = skip; i + 3 * w <= s->n; i += w > 1 ? w / 2 : 1) {
			double x = s->y[i + w] - s->y[i], y = s->y[i + 2 * w] - s->y[i + w],
			       z = s->y[i + 3 * w] - s->y[i + 2 * w], d = x - 2.0 * y + z;

			term[n++] = (float)(d * d / (x + 4.0 * y + z + 1.0));
		}
		fc_sort(term, n);
		median = n ? term[n / 2] / MEDIAN : 0.0f;
		counts = w > 1 ? 0.5f * (float)n : (float)n; /* they overlap by half */
		/* as that of the scale before, until there are enough */
		before = fmaxf((4.0f * before + counts * median) / (counts + 4.0f), 1.0f);
		a->spread[k] = before;
	}
}

/* Of sums over n bins. */
static double spread_of(const struct fc_arrivals *a, unsigned int n)
{
	unsigned int k = 0;

	while (k + 1 < FC_SCALES && 1u << (k + 1) <= n)
		k++;
	return FC_HAS(FC_PART_SPREAD) ? (double)a->spread[k] : 1.0;
}

/* What an explanation makes of a class. */
struct fit {
	double llr;	    /* how much likelier it is than "nothing changed", log */
	double count, bins; /* the level before a trend, or since a jump: so many in so many bins */
	double spread;	    /* of that count */
};

static float dot(const float *y, const float *w, unsigned int n)
{
	float sum = 0.0f;
	unsigned int i;

	for (i = 0; i < n; i++) /* w[1] is the oldest */
		sum += y[i] * w[n - i];
	return sum;
}

static bool fit_shape(const struct fc_demand *d, const struct fc_arrivals *a,
		      const struct fc_sums *s, const struct fc_shape *sh, struct fit *fit)
{
	unsigned int n = sh->began, e = sh->ended, r = n - e, w;
	double all, after = s->y[n], v, top, logs;

	if (s->n < n + LEAST_BEFORE)
		return false;
	w = s->n - n < BEFORE_BINS ? s->n - n : BEFORE_BINS;
	all = s->y[n + w];
	if (all < LEAST_ARRIVALS)
		return false;
	/* two that began together are told apart by what came since, in one measure of noise */
	fit->spread = v = spread_of(a, sh->kind == FC_SHAPE_JUMP ? n : r);
	if (sh->kind == FC_SHAPE_JUMP) {
		double in = after - s->y[e], out = all - in, jump, sd;

		w += e;
		jump = (in + 0.5) / r * w / (out + 0.5);
		/* of any size: its likeliest, by how well that is known in how wide it might be */
		sd = sqrt(v * (1.0 / (in + 0.5) + 1.0 / (out + 0.5)));
		fit->llr = (in * log(jump) - all * log((w + jump * r) / (w + r))) / v;
		fit->llr = fmax(fit->llr, 0.0) + log(fmin(sd * JUMP_DENSITY, 1.0));
		fit->count = e ? out : in; /* and back */
		fit->bins = e ? w : r;
		return true;
	}
	top = 1.0 + slope(sh->steep) * r;
	logs = (double)dot(s->bin + e, d->log_w[sh->steep], r) + log(top) * s->y[e];
	fit->count = all;
	fit->bins = w + r + 0.5 * slope(sh->steep) * r * r + e * top;
	fit->llr = (logs - all * log(fit->bins / (w + n))) / v;
	return true;
}

static double takes_part(double llr)
{
	double e = SHARE_IN * exp(fmin(llr, 300.0));

	return e / (1.0 - SHARE_IN + e);
}

/* ---- weighing ---- */

/*
 * From log weights to one explanation a path. How many bins count from now on: what is over, and
 * all but certain, is no longer compared with what was before its likeliest end.
 */
static unsigned int pick(const struct fc_demand *d, float *logw, unsigned int stream, uint16_t *to)
{
	float most = logw[FC_NOTHING], best = 0.0f;
	unsigned int i, p = 0, until, usable = FC_HISTORY;
	uint16_t by_rank[FC_PATHS];
	double sum, at = 0.0, over = 0.0;

	for (i = 0; i < d->n_shapes; i++)
		most = fmaxf(most, logw[i]);
	sum = exp((double)(logw[FC_NOTHING] - most));
	for (i = 0; i < d->n_shapes; i++) {
		logw[i] = logw[i] - most > -30.0f ? expf(logw[i] - most) : 0.0f;
		sum += (double)logw[i];
	}
	for (i = 0; i < d->n_shapes; i++) {
		until = d->shape[i].ended;
		if (!until && d->shape[i].kind == FC_SHAPE_JUMP)
			until = d->shape[i].began;
		at += (double)logw[i] / sum;
		for (; p < FC_PATHS && (p + 0.5) / FC_PATHS < at; p++)
			by_rank[p] = (uint16_t)i;
		if (until < SETTLED_BINS)
			continue;
		over += (double)logw[i] / sum;
		if (logw[i] > best) {
			best = logw[i];
			usable = (unsigned int)(0.85 * until);
		}
	}
	while (p < FC_PATHS)
		by_rank[p++] = FC_NOTHING;
	for (p = 0; p < FC_PATHS; p++)
		to[p] = by_rank[(unsigned int)(fc_draw_part(stream, p) * FC_PATHS)];
	return over > 0.9 ? usable : FC_HISTORY;
}

static void settle(struct fc_arrivals *a, unsigned int usable)
{
	a->usable = usable < a->usable ? usable : a->usable;
}

static void weigh_class(struct fc_demand *d, struct fc_arrivals *a, unsigned int class_id)
{
	struct fc_sums s;
	struct fit fit;
	unsigned int i;

	fc_arrivals_sum(a, &s);
	measure_spread(a, &s);
	d->own[FC_NOTHING] = d->log_none;
	for (i = 0; i < d->n_shapes; i++) {
		d->own[i] = -INFINITY;
		if (!fit_shape(d, a, &s, &d->shape[i], &fit))
			continue;
		d->own[i] = d->shape[i].log_prior + (float)fit.llr +
			    (d->shape[i].kind == FC_SHAPE_JUMP ? OWN_JUMP : OWN_TREND);
		if (fit.llr > 8.0)
			d->shared[i] += (float)(fit.llr + log(SHARE_IN));
		else
			d->shared[i] += logf((float)(1.0 - SHARE_IN) +
					     (float)SHARE_IN * expf((float)fit.llr));
	}
	settle(a, pick(d, d->own, class_id * STREAMS + S_OWN, a->pick));
}

void fc_demand_bin(struct fc_demand *d, struct fc_arrivals *const *a, unsigned int n)
{
	unsigned int i, c, longest = 0, usable;

	for (c = 0; c < n; c++) {
		if (!a[c])
			continue;
		end_bin(a[c]);
		longest = a[c]->usable > longest ? a[c]->usable : longest;
	}
	d->shared[FC_NOTHING] = d->log_none;
	for (i = 0; i < d->n_shapes; i++)
		d->shared[i] = d->shape[i].began + (unsigned int)LEAST_BEFORE <= longest
				       ? d->shape[i].log_prior
				       : -INFINITY;
	for (c = 0; c < n; c++)
		if (a[c] && a[c]->n)
			weigh_class(d, a[c], c);
	usable = pick(d, d->shared, S_SHARED, d->pick);
	for (c = 0; c < n; c++)
		if (a[c])
			settle(a[c], usable);
}

/* ---- what a path believes ---- */

/*
 * For how much longer, where v in (0, 1) is drawn. A trend that has lasted goes on,
 * but a steep one has multiplied the rate before long, and demand seldom does.
 */
static double trend_lasts_s(const struct fc_line *line, double age_s, double v)
{
	double steep_per_s = fabs(line->slope) / fmax(line->level, 1e-6), most_s;

	if (steep_per_s < 1e-9)
		return INFINITY;
	most_s = TREND_GROWS / steep_per_s;
	if (line->slope > 0.0)
		most_s *= fmax(1.0 - steep_per_s * age_s, 0.1);
	return 3.0 * (fmin(age_s, most_s) + fmin(TREND_LASTS_S, most_s)) * (1.0 / v - 1.0);
}

/* A line, how sure its level is, and how long its trend has gone on. */
struct explained {
	struct fc_line line;
	double sd, age_s;
};

/* By a shape and its fit; NULL: nothing changed, the level is the mean of all that counts. */
static struct explained explain(const struct fc_arrivals *a, const struct fc_sums *s,
				const struct fc_shape *sh, const struct fit *fit)
{
	unsigned int n = s->n < STEADY_BINS ? s->n : STEADY_BINS;
	struct fit steady = {.count = s->y[n], .bins = fmax(n, 1.0), .spread = spread_of(a, n)};
	double by = sh && sh->kind == FC_SHAPE_TREND ? slope(sh->steep) : 0.0;
	unsigned int flat = sh ? sh->ended : 0, lasted = sh ? sh->began - flat : 0;
	struct explained is = {.age_s = (double)lasted * FC_BIN_S};
	double times;

	fit = sh ? fit : &steady;
	times = (1.0 + by * lasted) / (fit->bins * FC_BIN_S);
	is.line.level = fit->count * times;
	is.line.slope = flat ? 0.0 : fit->count / (fit->bins * FC_BIN_S) * by / FC_BIN_S;
	is.sd = sqrt(fit->spread * fmax(fit->count, 1.0)) * times;
	if (flat) { /* what came since is more to the point than the shape of the change */
		double seen = s->y[flat] / (flat * FC_BIN_S);
		double var = spread_of(a, flat) * fmax(seen, is.line.level) / (flat * FC_BIN_S);
		double trust = 4.0 * is.sd * is.sd / (4.0 * is.sd * is.sd + var);

		is.line.level += trust * (seen - is.line.level);
		is.sd = sqrt(trust * var);
	}
	return is;
}

struct fc_line fc_arrivals_line(const struct fc_demand *d, const struct fc_arrivals *a,
				const struct fc_sums *s, const struct fc_path_of *path)
{
	unsigned int p = path->path, stream = path->class_id * STREAMS, own = stream;
	double part = fc_draw_part(stream + S_PART, p), v, unsteady = OWN_SLOPE_SD;
	float sign = p & 1 ? -1.0f : 1.0f;
	const struct fc_shape *sh = d->pick[p] == FC_NOTHING ? NULL : &d->shape[d->pick[p]];
	struct explained is;
	struct fc_line *line = &is.line;
	struct fit fit;

	if (FC_HAS(FC_PART_SHARED) && sh && fit_shape(d, a, s, sh, &fit) &&
	    part < takes_part(fit.llr)) {
		/* one trend, as steep for all and as long */
		own = 0;
		unsteady = SHARED_SLOPE_SD;
	} else {
		sh = a->pick[p] == FC_NOTHING ? NULL : &d->shape[a->pick[p]];
		if (sh && !fit_shape(d, a, s, sh, &fit))
			sh = NULL;
	}
	is = explain(a, s, sh, &fit);
	v = fc_draw_part(own + S_LASTS, p);
	line->slope *= 1.0 + unsteady * (double)(sign * fc_draw_normal(path->normals, own + S_SLOPE,
								       p / 2));
	line->level +=
		is.sd * (double)(sign * fc_draw_normal(path->normals, stream + S_LEVEL, p / 2));
	line->level = fmax(line->level, 0.0);
	line->lasts_s =
		fmin(trend_lasts_s(line, is.age_s, v), fmax(OF_DAY * path->day_s - is.age_s, 0.0));
	if (line->slope < 0.0) {
		/* demand that falls settles where it was before it rose, mostly */
		double rest = part < FALLS_ON ? 0.0 : path->low;

		line->lasts_s = fmin(line->lasts_s, fmax(FALL_SHARE * (line->level - rest),
							 FALL_LEAST * line->level) /
							    -line->slope);
	}
	return *line;
}
