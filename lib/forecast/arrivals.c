// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/arrivals.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "associative-math", "no-signed-zeros", "no-trapping-math")
#endif

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TRENDS_PER_S   (1.0 / 4000.0)
#define JUMPS_PER_S    (1.0 / 6000.0)
#define OWN_JUMP       0.4f /* changes of one class alone, to shared ones */
#define OWN_TREND      0.04f
#define SHARE_IN       0.6    /* of the classes take part in a shared one */
#define BURST_S	       500.0  /* jumps that end, at most about */
#define LASTS_S	       2000.0 /* trends, about */
#define RISES	       0.65   /* of the trends */
#define BEFORE_BINS    180    /* what a change is compared with */
#define LEAST_BEFORE   24
#define SETTLED_BINS   36 /* a change this old and certain: what follows is compared with it */
#define LEAST_ARRIVALS 12.0
#define STEADY_BINS    300
#define LOW_BINS       12
#define RECENT_BINS    120
#define MEDIAN	       0.455f /* of a squared normal */
#define MEAN_S	       1200.0
#define TREND_LASTS_S  400.0 /* added to its age so far */
#define TREND_GROWS    0.4   /* but no longer than it takes to grow by this share of the old rate */
#define OF_DAY	       0.25  /* a day climbs for half of it, at its steepest slope for no longer */
#define FALLS_ON       0.15  /* share of paths on which demand falls to nothing */
#define FALL_SHARE     0.8   /* of the way to what is usual: a decay slows down */
#define FALL_LEAST     0.25  /* where that is near or past: of what is left */
#define JUMP_DENSITY   0.5   /* 2.5 over the range of logs of factors */

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

void fc_arrivals_sum(const struct fc_arrivals *a, struct fc_sums *s)
{
	unsigned int i;

	s->n = a->usable;
	s->y[0] = 0.0;
	for (i = 0; i < s->n; i++) {
		s->bin[i] = a->y[(a->at + i) % FC_HISTORY];
		s->y[i + 1] = s->y[i] + (double)s->bin[i];
	}
}

double fc_arrivals_low(const struct fc_arrivals *a)
{
	float sum[FC_HISTORY / LOW_BINS];
	unsigned int n = a->n / LOW_BINS, i, k;

	for (i = 0; i < n; i++) {
		float s = 0.0f;

		for (k = 0; k < LOW_BINS; k++)
			s += a->y[(a->at + i * LOW_BINS + k) % FC_HISTORY];
		for (k = i; k && sum[k - 1] > s; k--) /* in order */
			sum[k] = sum[k - 1];
		sum[k] = s;
	}
	return n ? (double)sum[n / 4] / (LOW_BINS * FC_BIN_S) : 0.0;
}

static void add_bin(struct fc_arrivals *a)
{
	/* what was lost is taken for usual */
	double y = a->censored ? a->mean_per_s * FC_BIN_S : fmax(a->bin, 0.0);
	double keep = exp(-FC_BIN_S / MEAN_S);

	a->at = (a->at + FC_HISTORY - 1) % FC_HISTORY;
	a->y[a->at] = (float)y;
	a->n = a->n < FC_HISTORY ? a->n + 1 : FC_HISTORY;
	a->usable = a->usable < FC_HISTORY ? a->usable + 1 : FC_HISTORY;
	keep = fmax(1.0 - keep, 1.0 / a->n);
	a->mean_per_s += keep * (y / FC_BIN_S - a->mean_per_s);
	a->bin = 0.0;
	a->censored = false;
}

/* Taken for a whole bin, the first would say too little for as long as few have followed. */
static void end_bin(struct fc_arrivals *a)
{
	if (a->n || a->begun) {
		add_bin(a);
		return;
	}
	a->begun = a->bin > 0.0;
	a->bin = 0.0;
	a->censored = false;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/*
 * Squared second differences of sums over w bins, against what Poisson would have: their median,
 * as changes are no noise, and of the time before the last ones, as a change under way is none.
 */
static void measure_spread(struct fc_arrivals *a, const struct fc_sums *s)
{
	unsigned int k, i, w, skip = s->n / 2 < RECENT_BINS ? s->n / 2 : RECENT_BINS, n;
	float term[FC_HISTORY], before = 1.0f;

	for (k = 0; k < FC_SCALES; k++) {
		w = 1u << k;
		n = 0;
		for (i = skip; i + 3 * w <= s->n; i += w > 1 ? w / 2 : 1) {
			double x = s->y[i + w] - s->y[i], y = s->y[i + 2 * w] - s->y[i + w],
			       z = s->y[i + 3 * w] - s->y[i + 2 * w], d = x - 2.0 * y + z;

			term[n++] = (float)(d * d / (x + 4.0 * y + z + 1.0));
		}
		qsort(term, n, sizeof(term[0]), by_value);
		a->spread[k] = 4.0f * before;
		a->spread[k] += n ? (float)n * (w > 1 ? 0.5f : 1.0f) * term[n / 2] / MEDIAN : 0.0f;
		a->spread[k] =
			fmaxf(a->spread[k] / ((float)n * (w > 1 ? 0.5f : 1.0f) + 4.0f), 1.0f);
		before = a->spread[k];
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

struct fit {
	double llr, level, sd; /* level per s before the change */
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
	double all, after = s->y[n], v, ww, top, logs;

	if (s->n < n + LEAST_BEFORE)
		return false;
	w = s->n - n < BEFORE_BINS ? s->n - n : BEFORE_BINS;
	all = s->y[n + w];
	if (all < LEAST_ARRIVALS)
		return false;
	/* two that began together are told apart by what came since, in one measure of noise */
	v = spread_of(a, sh->kind == FC_SHAPE_JUMP ? n : r);
	if (sh->kind == FC_SHAPE_JUMP) {
		double in = after - s->y[e], out = all - in, jump, sd;

		w += e;
		jump = (in + 0.5) / r * w / (out + 0.5);
		/* of any size: its likeliest, by how well that is known in how wide it might be */
		sd = sqrt(v * (1.0 / (in + 0.5) + 1.0 / (out + 0.5)));
		fit->llr = (in * log(jump) - all * log((w + jump * r) / (w + r))) / v;
		fit->llr = fmax(fit->llr, 0.0) + log(fmin(sd * JUMP_DENSITY, 1.0));
		if (e) { /* and back */
			r = w;
			in = out;
		}
		fit->level = in / (r * FC_BIN_S);
		fit->sd = sqrt(v * fmax(in, 1.0)) / (r * FC_BIN_S);
		return true;
	}
	top = 1.0 + slope(sh->steep) * r;
	ww = w + r + 0.5 * slope(sh->steep) * r * r + e * top;
	logs = (double)dot(s->bin + e, d->log_w[sh->steep], r) + log(top) * s->y[e];
	fit->llr = (logs - all * log(ww / (w + n))) / v;
	fit->level = all / ww / FC_BIN_S;
	fit->sd = sqrt(v * fmax(all, 1.0)) / ww / FC_BIN_S;
	return true;
}

static double takes_part(double llr)
{
	double e = SHARE_IN * exp(fmin(llr, 300.0));

	return e / (1.0 - SHARE_IN + e);
}

/* ---- weighing ---- */

/* From log weights to one explanation a path. The sum of weights of what is over, and of those
 * the likeliest one's end, bins ago. */
static float pick(const struct fc_demand *d, float *logw, unsigned int stream, uint16_t *to,
		  unsigned int *over_since)
{
	float most = logw[FC_NOTHING], best = 0.0f, over = 0.0f;
	double sum = 0.0, at = 0.0;
	unsigned int i, p, since;
	uint16_t by_rank[FC_PATHS];

	for (i = 0; i < d->n_shapes; i++)
		most = fmaxf(most, logw[i]);
	for (i = 0; i <= FC_NOTHING; i++) {
		if (i >= d->n_shapes && i < FC_NOTHING)
			continue;
		logw[i] = logw[i] - most > -30.0f ? expf(logw[i] - most) : 0.0f;
		sum += (double)logw[i];
	}
	for (i = 0, p = 0; i < d->n_shapes && p < FC_PATHS; i++) {
		since = d->shape[i].ended;
		if (!since && d->shape[i].kind == (uint8_t)FC_SHAPE_JUMP)
			since = d->shape[i].began;
		at += (double)logw[i] / sum;
		for (; p < FC_PATHS && (p + 0.5) / FC_PATHS < at; p++)
			by_rank[p] = (uint16_t)i;
		if (since < SETTLED_BINS || logw[i] <= 0.0f)
			continue;
		over += (float)((double)logw[i] / sum);
		if (logw[i] > best) {
			best = logw[i];
			*over_since = since;
		}
	}
	for (; p < FC_PATHS; p++)
		by_rank[p] = FC_NOTHING;
	for (p = 0; p < FC_PATHS; p++)
		to[p] = by_rank[(unsigned int)(fc_draw_part(stream, p) * FC_PATHS)];
	return over;
}

static void settle(struct fc_arrivals *a, float over, unsigned int since)
{
	unsigned int usable = (unsigned int)(0.85 * since);

	if (over > 0.9f && usable < a->usable)
		a->usable = usable;
}

static void weigh_class(struct fc_demand *d, struct fc_arrivals *a, unsigned int class_id)
{
	unsigned int i, since = 0;
	struct fc_sums s;
	struct fit fit;
	float over;

	fc_arrivals_sum(a, &s);
	measure_spread(a, &s);
	d->own[FC_NOTHING] = d->log_none;
	for (i = 0; i < d->n_shapes; i++) {
		d->own[i] = -INFINITY;
		if (!fit_shape(d, a, &s, &d->shape[i], &fit))
			continue;
		d->own[i] = d->shape[i].log_prior + (float)fit.llr +
			    logf(d->shape[i].kind == FC_SHAPE_JUMP ? OWN_JUMP : OWN_TREND);
		if (fit.llr > 8.0)
			d->shared[i] += (float)(fit.llr + log(SHARE_IN));
		else
			d->shared[i] += logf((float)(1.0 - SHARE_IN) +
					     (float)SHARE_IN * expf((float)fit.llr));
	}
	over = pick(d, d->own, class_id * STREAMS + S_OWN, a->pick, &since);
	settle(a, over, since);
}

void fc_demand_bin(struct fc_demand *d, struct fc_arrivals *const *a, unsigned int n)
{
	unsigned int i, c, longest = 0, since = 0;
	float over;

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
	over = pick(d, d->shared, S_SHARED, d->pick, &since);
	for (c = 0; c < n; c++)
		if (a[c])
			settle(a[c], over, since);
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

/* The line that a shape makes of a class: level and sd as of now. */
static void line_of(const struct fc_arrivals *a, const struct fc_sums *s, const struct fc_shape *sh,
		    const struct fit *fit, struct explained *out)
{
	struct fc_line *line = &out->line;
	unsigned int flat = sh->ended;
	double by = sh->kind == FC_SHAPE_JUMP ? 0.0 : slope(sh->steep);
	double top = 1.0 + by * (sh->began - sh->ended);

	line->level = fit->level * top;
	out->sd = fit->sd * top;
	line->slope = flat ? 0.0 : fit->level * by / FC_BIN_S;
	out->age_s = (double)(sh->began - sh->ended) * FC_BIN_S;
	if (flat) { /* what came since is more to the point than the shape of the change */
		double seen = s->y[flat] / (flat * FC_BIN_S);
		double var = spread_of(a, flat) * fmax(seen, line->level) / (flat * FC_BIN_S);
		double trust = 4.0 * out->sd * out->sd / (4.0 * out->sd * out->sd + var);

		line->level += trust * (seen - line->level);
		out->sd = sqrt(trust * var);
	}
}

/* Nothing changed: the mean of all that counts. */
static void steady(const struct fc_arrivals *a, const struct fc_sums *s, struct explained *out)
{
	unsigned int n = s->n < STEADY_BINS ? s->n : STEADY_BINS;

	out->line.level = n ? s->y[n] / (n * FC_BIN_S) : 0.0;
	out->sd = n ? sqrt(spread_of(a, n) * fmax(s->y[n], 1.0)) / (n * FC_BIN_S) : 0.0;
}

struct fc_line fc_arrivals_line(const struct fc_demand *d, const struct fc_arrivals *a,
				const struct fc_sums *s, const struct fc_path_of *path)
{
	const float *normals = path->normals;
	unsigned int p = path->path, stream = path->class_id * STREAMS;
	unsigned int shared = d->pick[p], own = a->pick[p];
	float sign = p & 1 ? -1.0f : 1.0f;
	double part = fc_draw_part(stream + S_PART, p), v;
	struct explained found = {.line = {.lasts_s = INFINITY}};
	struct fc_line *line = &found.line;
	struct fit fit;

	v = fc_draw_part(stream + S_LASTS, p);
	if (FC_HAS(FC_PART_SHARED) && shared != FC_NOTHING &&
	    fit_shape(d, a, s, &d->shape[shared], &fit) && part < takes_part(fit.llr)) {
		line_of(a, s, &d->shape[shared], &fit, &found);
		/* one trend, as steep for all and as long */
		line->slope *=
			1.0 + 0.15 * (double)(sign * fc_draw_normal(normals, S_SLOPE, p / 2));
		v = fc_draw_part(S_LASTS, p);
	} else if (own != FC_NOTHING && fit_shape(d, a, s, &d->shape[own], &fit)) {
		line_of(a, s, &d->shape[own], &fit, &found);
		line->slope *=
			1.0 +
			0.25 * (double)(sign * fc_draw_normal(normals, stream + S_SLOPE, p / 2));
	} else {
		steady(a, s, &found);
	}
	line->level += found.sd * (double)(sign * fc_draw_normal(normals, stream + S_LEVEL, p / 2));
	line->level = fmax(line->level, 0.0);
	line->lasts_s = fmin(trend_lasts_s(line, found.age_s, v),
			     fmax(OF_DAY * path->day_s - found.age_s, 0.0));
	if (line->slope < 0.0) {
		/* demand that falls settles where it was before it rose, mostly */
		double rest = part < FALLS_ON ? 0.0 : path->low;

		line->lasts_s = fmin(line->lasts_s, fmax(FALL_SHARE * (line->level - rest),
							 FALL_LEAST * line->level) /
							    -line->slope);
	}
	return *line;
}
