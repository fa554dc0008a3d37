// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/paths.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY_SD	   0.03f /* of the level that a day is thought to have */
#define GHOSTS_S   300.0 /* after losses, until which those left stay for long */
#define RETURN_S   30.0	 /* those thrown out come back within */
#define FORGIVEN_S 60.0	 /* unless they have not for this long */
#define TTE_MODEL  0.1	 /* what no path knows of: when in its first bin a step began */
#define ROUND_S	   72	 /* the collector is back by then, unless it is late */
#define NO_LIMIT   1e18

/* Streams of fc_draw_part() and fc_draw_normal(), beyond those of the classes. */
enum { S_DAY = 1000, S_FOLLOWS, S_ROUNDS, S_PULSE, S_START, S_CAP, S_NOISE };

const unsigned int fc_horizon_s[FC_HORIZONS] = {30, 120, 600, 3600};
const unsigned int fc_full_horizon_s[FC_FULL_HORIZONS] = {30, 60, 120, 300, 600, 1200, 1800, 3600};

static double time_s(unsigned int i)
{
	return i < FC_PATH_FINE ? (double)FC_PATH_DT * (i + 1)
				: 600.0 + (double)FC_PATH_FAR_S * (i + 1 - FC_PATH_FINE);
}

/* The value of a curve at a path's point. */
static float at_point(const float *fine, const float *coarse, unsigned int i)
{
	return i < FC_PATH_FINE ? fine[(i + 1) * (FC_PATH_DT / FC_FINE_DT)]
				: coarse[(unsigned int)time_s(i) / FC_COARSE_DT];
}

static float at_time(const float *fine, const float *coarse, double t_s)
{
	const float *c = t_s < 600.0 ? fine : coarse;
	double x = t_s < 600.0 ? t_s / FC_FINE_DT : fmin(t_s, 3599.0) / FC_COARSE_DT;
	unsigned int i = (unsigned int)fmax(x, 0.0);

	return t_s <= 0.0 ? c[0] : c[i] + (float)(x - (double)i) * (c[i + 1] - c[i]);
}

/* Arrivals that follow the day, still there: the rate folded with the share that stays. */
static void fold_day(const struct forecast *f, const double *coefs, const float *unit,
		     const struct fc_grid *g, float *out)
{
	unsigned int i;

	memset(out, 0, g->points * sizeof(*out));
	for (i = 0; i + 1 < g->points; i++) {
		double at_s = (double)f->now_s + (i + 0.5) * g->dt_s;

		fc_add_scaled(out + i + 1, unit,
			      (float)(g->dt_s * fc_season_rate(&f->season, coefs, at_s)),
			      g->points - i - 1);
	}
}

/* Coarse steps are too wide for stays of seconds: as far as the fine grid reaches they are the
 * means of its steps, so that a load counts the same before ten minutes and after. */
static void refine(const struct fc_curve *fine, struct fc_curve *coarse)
{
	const unsigned int in_one = FC_COARSE_DT / FC_FINE_DT;
	unsigned int i, j;

	for (i = 0; (i + 1) * in_one < FC_FINE_N; i++) {
		coarse->unit[i] = 0.0f;
		for (j = 0; j < in_one; j++)
			coarse->unit[i] += fine->unit[i * in_one + j] / (float)in_one;
	}
}

static void make_response(const struct forecast *f, unsigned int id, struct fc_work *w)
{
	float r0[FC_GRIDS][FC_GRID_MOST], day[FC_GRIDS][FC_GRID_MOST] = {{0}};
	struct fc_response *re = &w->response;
	double coefs[FC_COEFS] = {0.0};
	unsigned int g, j, i;

	refine(&w->curve[FC_FINE], &w->curve[FC_COARSE]);
	if (f->season.weight > 0.0)
		fc_season_coefs(&f->season, id, coefs);
	for (g = 0; g < FC_GRIDS; g++) {
		const float *unit = w->curve[g].unit;
		float dt_s = (float)fc_grid[g].dt_s, *r1 = re->r1_grid[g];

		r0[g][0] = r1[0] = 0.0f;
		for (j = 1; j < fc_grid[g].points; j++) {
			r0[g][j] = r0[g][j - 1] + dt_s * unit[j - 1];
			r1[j] = r1[j - 1] + dt_s * 0.5f * (r0[g][j] + r0[g][j - 1]);
		}
		if (f->season.weight > 0.0)
			fold_day(f, coefs, unit, &fc_grid[g], day[g]);
	}
	for (i = 0; i < FC_POINTS; i++) {
		re->r0[i] = at_point(r0[FC_FINE], r0[FC_COARSE], i);
		re->r1[i] = at_point(re->r1_grid[FC_FINE], re->r1_grid[FC_COARSE], i);
		re->day[i] = at_point(day[FC_FINE], day[FC_COARSE], i);
	}
}

/* A class's arrivals on all paths, and its rate and slope in the mean. */
static void add_class(const struct forecast *f, unsigned int id, struct fc_work *w)
{
	const struct fc_arrivals *a = &f->cls[id].arrivals;
	struct fc_response *re = &w->response;
	double low = fc_arrivals_low(a);
	double day_s = FC_HAS(FC_PART_SEASON) ? f->season.day_s : INFINITY;
	unsigned int p, i;

	fc_arrivals_sum(a, &w->sums);
	re->mean = (struct fc_line){0};
	for (p = 0; p < FC_PATHS; p++) {
		struct fc_line line =
			fc_arrivals_line(&f->demand, a, &w->sums,
					 &(struct fc_path_of){f->normal, id, p, low, day_s});
		float *path = w->path[p];

		re->mean.level += line.level / FC_PATHS;
		re->mean.slope += line.slope / FC_PATHS;
		/* mirrored paths alike */
		if (fc_draw_part(S_FOLLOWS, p & ~1u) < f->season.weight) {
			float z = fc_draw_normal(f->normal, S_DAY, p / 2);

			fc_add_scaled(path, re->day, 1.0f + DAY_SD * (p & 1 ? -z : z), FC_POINTS);
			continue;
		}
		fc_add_scaled(path, re->r0, (float)line.level, FC_POINTS);
		if (fabs(line.slope) * fmin(line.lasts_s, 600.0) <= 0.02 * line.level)
			continue;
		fc_add_scaled(path, re->r1, (float)line.slope, FC_POINTS);
		for (i = FC_POINTS; line.lasts_s < 3600.0 && i-- && time_s(i) > line.lasts_s;)
			path[i] -= (float)line.slope * at_time(re->r1_grid[FC_FINE],
							       re->r1_grid[FC_COARSE],
							       time_s(i) - line.lasts_s);
	}
}

/* Expected expiries of a class, for the collector's rounds. */
static void add_due(const struct fc_curve *fine, double rate_per_s, struct fc_work *w)
{
	double arrived = 0.0;
	unsigned int j;

	for (j = 1; j < FC_FINE_N; j++) {
		arrived += (double)fine->due_unit[j] * rate_per_s * FC_FINE_DT;
		w->due[j] += fine->due[j] + (float)arrived;
	}
	fc_add_scaled(w->late, fine->late, 1.0f, FC_LATE_N);
}

/* The sawtooth of the collector's rounds, in place of what lateness regardless of them leaves. */
static void add_rounds(const struct forecast *f, struct fc_work *w)
{
	float top = 0.0f;
	unsigned int j, i;

	for (j = 0; j < FC_LATE_N; j++)
		w->left[0] += w->late[j];
	w->flat[0] = w->left[0];
	fc_add_uncollected(w->due, w->late, w->project.late_survive, w->flat);
	if (!fc_late_rounds(&f->late, f->now_s, w->due, FC_FINE_N, FC_FINE_DT, w->left))
		return;
	w->saw_now = (double)(w->flat[0] - w->flat[ROUND_S / FC_FINE_DT]);
	for (i = 0; i < FC_PATH_FINE; i++) {
		j = (i + 1) * (FC_PATH_DT / FC_FINE_DT);
		w->mean[i] += w->left[j] - w->flat[j];
	}
	/* later points are too far apart for a tooth: it touches the limit with its top, and where
	 * the count is in an hour is in its middle */
	for (j = FC_FINE_N - ROUND_S / FC_FINE_DT; j < FC_FINE_N; j++)
		top = fmaxf(top, w->left[j] - w->flat[j]);
	for (; i + 1 < FC_POINTS; i++)
		w->mean[i] += top;
}

/* The share of those who came t_s from now, or before it where negative, that are still there. */
static double stays_for(const struct fc_work *w, double t_s)
{
	return (double)at_time(w->curve[FC_FINE].unit, w->curve[FC_COARSE].unit, t_s);
}

/* Those thrown out at once that have not come back yet. */
static void add_returning(const struct fc_class *cl, int64_t now_s, struct fc_work *w)
{
	double left = (double)cl->to_return * exp(-(double)(now_s - cl->thrown_out_s) / FORGIVEN_S);
	unsigned int i;

	for (i = 0; i < FC_POINTS; i++)
		w->mean[i] += (float)(left * (1.0 - exp(-time_s(i) / RETURN_S)) *
				      stays_for(w, time_s(i)));
}

/* The next bursts of a class that has a rhythm, on the share of paths that believe in it. */
static void add_pulses(const struct fc_pulses *pu, int64_t now_s, double period, struct fc_work *w)
{
	double belief = fc_pulse_belief(pu), sd, size = fc_pulse_size(pu, &sd), t;
	/* due and not come yet: any moment */
	double next = fmax((double)(pu->last[0].at_s - now_s) + period + 2.0, 2.0);
	float here[FC_POINTS] = {0};
	unsigned int i, p;

	for (i = 0; i < FC_POINTS; i++) {
		for (t = next; t <= time_s(i) && t < next + 256.0 * period; t += period)
			here[i] += (float)stays_for(w, time_s(i) - t);
		w->sd[i] += (float)(belief * sd * sd) * fminf(here[i], 1.0f);
	}
	for (p = 0; p < FC_PATHS; p++)
		if (fc_draw_part(S_PULSE, p & ~1u) < belief)
			fc_add_scaled(w->path[p], here, (float)size, FC_POINTS);
}

static void add_noise(const struct forecast *f, struct fc_work *w)
{
	unsigned int p, i;

	for (p = 0; p < FC_PATHS; p += 2) {
		float z = fc_draw_normal(f->normal, S_START, p / 2);

		for (i = 0; i < FC_POINTS; i++) {
			/* over 120 s */
			static const float rho[2] = {0.951229425f, 0.670320046f};
			float keep = rho[i >= FC_PATH_FINE];

			z = keep * z + sqrtf(1.0f - keep * keep) *
					       fc_draw_normal(f->normal, S_NOISE + p / 2, i);
			w->path[p][i] += z * w->sd[i];
			w->path[p + 1][i] -= z * w->sd[i];
		}
	}
}

/* What the arrivals of a class still add after the hour, where those that last for it have
 * never been seen to end: until the first ones' timeout. Of the rate at quiet times, for what
 * comes once (who connects again after a restart) does not come for days. */
static double after_the_hour(const struct forecast *f, const struct fc_class *cl,
			     const struct fc_work *w)
{
	double rate = fmin(w->response.mean.level, fc_arrivals_low(&cl->arrivals));
	uint32_t timeout_s = FC_ENDLESS_S;
	unsigned int s;

	for (s = 0; s < FC_STAGES; s++) {
		const struct fc_cell *c = fc_cell_at(f, cl, s);

		if (c && fc_cell_endless(c) && c->timeout_s > timeout_s)
			timeout_s = c->timeout_s;
	}
	return rate * stays_for(w, 3600.0) * (timeout_s - FC_ENDLESS_S);
}

/* What a class does, among those that change most, which come first. */
static void add_reason(const struct forecast *f, const struct fc_class *cl, const struct fc_work *w,
		       double later, struct fc_forecast *out)
{
	const struct fc_response *re = &w->response;
	const float *stay = w->curve[FC_FINE].stay, *stay_far = w->curve[FC_COARSE].stay;
	struct fc_reason one = {
		.l4proto = cl->l4proto,
		.direction = cl->direction,
		.port = cl->port,
		.pooled = cl->pooled,
		.entries = fc_class_entries(f, cl),
		.rate_per_s = re->mean.level,
		.slope_per_s2 = re->mean.slope,
		.steady_entries = re->mean.level * (double)re->r0[FC_POINTS - 1] +
				  (double)stay_far[FC_COARSE_N - 1] + later,
		.entries_600 = (double)stay[FC_FINE_N - 1] +
			       re->mean.level * (double)re->r0[FC_PATH_FINE - 1] +
			       re->mean.slope * (double)re->r1[FC_PATH_FINE - 1],
	};
	unsigned int i;

	for (i = 0; i < FC_REASONS; i++) {
		struct fc_reason other = out->reason[i];

		if (i == out->n_reasons) {
			out->reason[out->n_reasons++] = one;
			return;
		}
		if (fabs(one.entries_600 - one.entries) <= fabs(other.entries_600 - other.entries))
			continue;
		out->reason[i] = one;
		one = other;
	}
}

/* ---- what is said ---- */

static void read_counts(const struct forecast *f, const struct fc_work *w, struct fc_forecast *out)
{
	static const unsigned int at[FC_HORIZONS] = {30 / FC_PATH_DT - 1, 120 / FC_PATH_DT - 1,
						     FC_PATH_FINE - 1, FC_POINTS - 1};
	/* the kernel holds the count at max; other limits are just passed */
	double limit = f->stat.max ? f->stat.max : NO_LIMIT;
	unsigned int h, p;

	for (h = 0; h < FC_HORIZONS; h++) {
		double m, below, spread,
			scale = FC_HAS(FC_PART_SCALE) ? f->record.scale[h < 3 ? h : 2] : 1.0;
		float v[FC_PATHS];

		for (p = 0; p < FC_PATHS; p++)
			v[p] = w->path[p][at[h]];
		fc_sort(v, FC_PATHS);
		m = fc_quantile(v, FC_PATHS, 0.5);
		if (h == FC_HORIZONS - 1)
			out->steady_entries = fmax(m, 0.0) + w->later;
		below = fc_full_deficit(&f->full, f->now_s, fc_horizon_s[h], limit, &spread);
		for (p = 0; p < FC_PATHS; p++) {
			double cap = limit - below +
				     spread * (double)fc_draw_normal(f->normal, S_CAP, p);
			double x = m + scale * ((double)v[p] - m);

			v[p] = (float)fmax(fmin(fmin(x, cap), limit), 0.0);
		}
		fc_sort(v, FC_PATHS);
		out->count[h] = (struct fc_count){
			fc_quantile(v, FC_PATHS, 0.5), fc_quantile(v, FC_PATHS, 0.1),
			fc_quantile(v, FC_PATHS, 0.9), fc_quantile(v, FC_PATHS, 0.025),
			fc_quantile(v, FC_PATHS, 0.975)};
	}
}

static double first_passage_s(const struct forecast *f, const float *path, double limit)
{
	double before = f->stat.count, t0 = 0.0;
	unsigned int i;

	if (before >= limit)
		return 0.0;
	for (i = 0; i < FC_POINTS; before = (double)path[i], t0 = time_s(i), i++) {
		double share = (limit - before) / fmax((double)path[i] - before, 1e-3);

		if ((double)path[i] >= limit)
			return t0 + (time_s(i) - t0) * fmin(fmax(share, 0.0), 1.0);
	}
	return INFINITY;
}

void fc_read_passage(const struct forecast *f, const struct fc_work *w, struct fc_forecast *out)
{
	double limit = out->limit ? out->limit : NO_LIMIT, dropless;
	unsigned int p, h, full[FC_FULL_HORIZONS] = {0};
	float when[FC_PATHS];

	/* chance that a packet at the limit finds a victim in the buckets early_drop() looks at */
	dropless = 1.0 - exp(-16.0 * out->soft_entries / fmax(limit, 1.0));
	for (p = 0; p < FC_PATHS; p++) {
		when[p] = (float)first_passage_s(f, w->path[p], limit);
		for (h = 0; h < FC_FULL_HORIZONS; h++) {
			double after = (double)fc_full_horizon_s[h] - (double)when[p];

			if (after < 0.0)
				continue;
			full[h]++;
			out->p_drop[h] +=
				(1.0 - pow(dropless, 1.0 + w->rate_per_s * after)) / FC_PATHS;
		}
	}
	for (h = 0; h < FC_FULL_HORIZONS; h++) {
		out->p_full[h] = (double)full[h] / FC_PATHS;
		out->p_drop[h] = fmin(out->p_drop[h], out->p_full[h]);
	}
	fc_sort(when, FC_PATHS);
	/* the moment at which half of them are full: it exists when exactly half will be */
	out->tte_s = (double)when[FC_PATHS / 2 - 1];
	out->tte_early_s = (1.0 - TTE_MODEL) * (double)when[FC_PATHS / 10];
	out->tte_late_s = (1.0 + TTE_MODEL) * (double)when[FC_PATHS * 9 / 10];
}

/*
 * What the count has and the stages have not thins out alike. What only the stages have are
 * entries whose end was lost: the short ones are over soon, the others stay.
 */
static void add_rest(const struct forecast *f, double known, struct fc_work *w)
{
	double rest = f->stat.count - f->pool - known;
	double ghosts = fmin(rest, 0.0) *
			fc_between((double)(f->now_s - f->unsure_until_s) / GHOSTS_S, 0.0, 1.0);
	unsigned int i;

	for (i = 0; i < FC_POINTS; i++) {
		double left = known > 10.0 ? (double)w->mean[i] / known : 1.0;

		w->mean[i] += (float)(rest * left + ghosts * (1.0 - left) + f->pool);
		w->sd[i] = sqrtf(w->sd[i]);
	}
}

static void add_one(const struct forecast *f, unsigned int id, struct fc_work *w,
		    struct fc_forecast *out)
{
	const struct fc_class *cl = &f->cls[id];
	double period = FC_HAS(FC_PART_PULSES) ? fc_pulse_period_s(&cl->pulses, f->now_s) : 0.0;
	double wide = 1.0 + 0.7 * ((double)cl->arrivals.spread[0] - 1.0), came, later;
	const struct fc_curve *fine = &w->curve[FC_FINE], *coarse = &w->curve[FC_COARSE];
	unsigned int i;

	fc_project(f, id, &w->project, w->curve);
	make_response(f, id, w);
	add_class(f, id, w);
	for (i = 0; i < FC_POINTS; i++) {
		came = w->response.mean.level * (double)w->response.r0[i];
		w->mean[i] += at_point(fine->stay, coarse->stay, i);
		w->sd[i] += at_point(fine->stay_var, coarse->stay_var, i) +
			    (float)(came * fmax(wide, 1.0));
	}
	w->rate_per_s += w->response.mean.level;
	add_due(fine, w->response.mean.level, w);
	if (FC_HAS(FC_PART_RETURNING) && cl->to_return > 1.0f)
		add_returning(cl, f->now_s, w);
	if (period > 0.0)
		add_pulses(&cl->pulses, f->now_s, period, w);
	later = after_the_hour(f, cl, w);
	w->later += later;
	add_reason(f, cl, w, later, out);
}

void fc_paths(const struct forecast *f, struct fc_work *w, struct fc_forecast *out)
{
	double known = 0.0;
	unsigned int c, p, i;

	memset(w, 0, sizeof(*w));
	fc_late_survival(&f->late, FC_LATE_N, FC_FINE_DT, w->project.late_survive);
	for (c = 0; c < FC_CLASSES; c++) {
		int32_t entries = f->cls[c].used ? fc_class_entries(f, &f->cls[c]) : 0;

		if (!f->cls[c].used || (!entries && !f->cls[c].arrivals.n))
			continue;
		known += entries;
		add_one(f, c, w, out);
	}
	add_rest(f, known, w);
	if (FC_HAS(FC_PART_ROUNDS))
		add_rounds(f, w);
	for (p = 0; p < FC_PATHS; p++)
		for (i = 0; i < FC_POINTS; i++)
			w->path[p][i] += w->mean[i];
	add_noise(f, w);
	read_counts(f, w, out);
	fc_read_passage(f, w, out);
}
