// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which arrival rate each path believes in: for each class a level, a slope, and how
 * long the slope lasts; with r its age and some minutes, t more with probability
 * 3 r / (3 r + t). All draws are stratified over the paths, from fixed tables, and
 * mirrored in pairs.
 */
#include "lib/forecast/priv.h"

#include <math.h>
#include <stdlib.h>

#define TREND_LASTS_S 400.0 /* added to its age so far */
#define TREND_GROWS   0.4 /* but no longer than it takes to grow by this share of what was before */
#define FALLS_ON      0.15 /* share of paths on which demand falls to nothing */
#define FALL_SHARE    0.8  /* of the way to what is usual: a decay slows down */
#define FALL_LEAST    0.25 /* where that is near or past: of what is left */

static float normal_at(const struct forecast *f, unsigned int i)
{
	return f->normal[i % FC_NORMALS];
}

/* A run by weight; near s only, where there is one. */
static const struct fc_run *draw_run_near(const struct fc_rate *r, double u, int64_t s,
					  int64_t near_s, bool sloped)
{
	const struct fc_run *found = NULL;
	double sum = 0.0;
	unsigned int i;

	for (i = 0; i < r->n_runs; i++)
		if (llabs(r->run[i].start_s - s) <= near_s && sloped == (r->run[i].kind != 0))
			sum += r->run[i].weight;
	if (sum < 0.01)
		return NULL;
	u *= sum;
	for (i = 0; i < r->n_runs; i++) {
		if (llabs(r->run[i].start_s - s) > near_s || sloped != (r->run[i].kind != 0))
			continue;
		found = &r->run[i];
		u -= found->weight;
		if (u < 0.0)
			break;
	}
	return found;
}

void fc_runs_prepare(const struct fc_class *cl, struct fc_runs_drawn *runs)
{
	double sum = 0.0;
	unsigned int i;

	runs->usual_per_s = fc_history_low(&cl->history);
	for (i = 0; i < cl->rate.n_runs; i++)
		runs->up_to[i] = sum += cl->rate.run[i].weight;
}

static const struct fc_run *draw_run(const struct fc_rate *r, const double *up_to, double u)
{
	unsigned int lo = 0, hi = r->n_runs - 1;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (up_to[mid] > u)
			hi = mid;
		else
			lo = mid + 1;
	}
	return &r->run[lo];
}

/*
 * For how much longer, where v in (0, 1) is drawn. A trend that has lasted goes on,
 * but a steep one has multiplied the rate before long, and demand seldom does.
 */
static double trend_lasts_s(const struct fc_path_line *line, double age_s, double v)
{
	double steep_per_s = fabs(line->b) / fmax(line->a, 1e-6), most_s;

	if (steep_per_s < 1e-9)
		return INFINITY;
	most_s = TREND_GROWS / steep_per_s;
	if (line->b > 0.0)
		most_s *= fmax(1.0 - steep_per_s * age_s, 0.1);
	return 3.0 * (fmin(age_s, most_s) + fmin(TREND_LASTS_S, most_s)) * (1.0 / v - 1.0);
}

void fc_path_line(const struct forecast *f, unsigned int id, unsigned int p,
		  const struct fc_joint *joint, const struct fc_runs_drawn *runs,
		  struct fc_path_line *out)
{
	const struct fc_class *cl = &f->cls[id];
	float sign = p & 1 ? -1.0f : 1.0f;
	float z0 = sign * normal_at(f, 7919 * id + p / 2),
	      z1 = sign * normal_at(f, 104729 + 6151 * id + p / 2);
	/* stratified, in an order of its own for each class */
	double u = ((p * 101 + id * 37) % FC_PATHS + 0.5) / FC_PATHS;
	double v = ((p * 67 + id * 53) % FC_PATHS + 0.5) / FC_PATHS;
	double takes_part = ((p * 29 + id * 83) % FC_PATHS + 0.5) / FC_PATHS, age, sd;
	unsigned int shared = f->path_joint[p], trend = f->path_trend[p];
	const struct fc_run *run = NULL;
	struct fc_line line;

	if (trend < f->trends.n &&
	    fc_trend_line(f, id, &f->trends.change[trend], takes_part, &line)) {
		/* one trend, as steep for all and as long */
		out->a = line.level + line.sd * z0;
		out->b = line.slope * (1.0 + 0.15 * (double)(sign * normal_at(f, 31337 + p / 2)));
		out->a = fmax(out->a + out->b * (double)(f->now_s % FC_BIN_S), 0.0);
		v = ((p * 67) % FC_PATHS + 0.5) / FC_PATHS;
		age = line.age_s;
	} else {
		if (shared < joint->n && takes_part < joint->in[shared][id])
			run = draw_run_near(
				&cl->rate, u, joint->start_s[shared],
				fc_joint_near_s(f, joint->start_s[shared], joint->sloped[shared]),
				joint->sloped[shared]);
		if (!run)
			run = draw_run(&cl->rate, runs->up_to, u);
		sd = sqrt(run->p00);
		out->a = run->level + sd * z0;
		out->b = run->slope + run->p01 / fmax(sd, 1e-9) * z0 +
			 sqrt(fmax(run->p11 - run->p01 * run->p01 / fmax(run->p00, 1e-12), 0.0)) *
				 z1;
		out->a = fmax(out->a + out->b * (double)(f->now_s - cl->rate.end_s), 0.0);
		age = (double)(f->now_s - run->start_s);
	}
	out->lasts = trend_lasts_s(out, age, v);
	if (out->b < 0.0) {
		/* demand that falls comes to rest where it was before it rose, mostly */
		double rest = takes_part < FALLS_ON ? 0.0 : runs->usual_per_s;

		out->lasts =
			fmin(out->lasts,
			     fmax(FALL_SHARE * (out->a - rest), FALL_LEAST * out->a) / -out->b);
	}
}

/* Which shared change, if any, each path believes in. */
static void draw_joint(struct forecast *f, struct fc_joint *joint)
{
	unsigned int p, i;

	fc_joint_find(f, joint);
	for (p = 0; p < FC_PATHS; p++) {
		double u = ((p * 73) % FC_PATHS + 0.5) / FC_PATHS;

		for (i = 0; i < joint->n; i++) {
			u -= joint->p[i];
			if (u < 0.0)
				break;
		}
		f->path_joint[p] = (uint8_t)i;
	}
}

/* Which of the explanations of forecast_trends.c; beyond the last: none. */
static void draw_trends(struct forecast *f)
{
	unsigned int order[FC_PATHS], p, i = 0;
	double sum = 0.0;

	fc_trends_find(f, &f->trends);
	for (p = 0; p < FC_PATHS; p++)
		order[(p * 73) % FC_PATHS] = p;
	for (p = 0; p < FC_PATHS; p++) { /* by rising u: one walk along the list */
		double u = (p + 0.5) / FC_PATHS;

		while (i < f->trends.n && sum + (double)f->trends.change[i].weight <= u)
			sum += (double)f->trends.change[i++].weight;
		f->path_trend[order[p]] = (uint16_t)i;
	}
}

void fc_lines_draw(struct forecast *f, struct fc_joint *joint)
{
	draw_joint(f, joint);
	draw_trends(f);
}
