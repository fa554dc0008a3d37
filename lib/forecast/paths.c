// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From curves to a fixed number of paths that the count may take.
 *
 * The count is linear in the arrivals: what is there thins out as the curves
 * say, and a rate a + b min(s, D) adds a R0(t) + b (R1(t) - R1(t - D)), with R0
 * and R1 the first and second integral of the share of arrivals still there. A
 * path has a line for each class (forecast_lines.c), or the day's wave
 * (forecast_season.c), and a noise of the binomial and Poisson size. Paths come in
 * mirrored pairs, from a fixed table of normals: the same state gives the same
 * forecast. What is read from them: forecast_quantiles.c.
 */
#include "lib/forecast/priv.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3") /* long plain loops over floats: vectorise them */
#endif

#include <math.h>
#include <stdlib.h>
#include <string.h>

const unsigned int fc_horizon_s[FC_HORIZONS] = {30, 120, 600, 3600};
const unsigned int fc_full_horizon_s[FC_FULL_HORIZONS] = {30, 60, 120, 300, 600, 1200, 1800, 3600};

#define NOISE_MEMORY_S 120.0
#define DAY_SD	       0.03f /* of the level that a day is thought to have */
#define GHOSTS_S       300.0 /* after losses, until which those left stay for long */

struct response {
	float r0[FC_TIMES], r1[FC_TIMES], stay[FC_TIMES], var[FC_TIMES];
	float r1_fine[FC_FINE_N], r1_coarse[FC_COARSE_N];
	float season[FC_TIMES]; /* of arrivals that follow the day */
	double mean_level, dispersion;
};

static float r1_at(const struct response *re, double t)
{
	double x;
	unsigned int i;

	if (t <= 0.0)
		return 0.0f;
	if (t < 600.0) {
		x = t / FC_FINE_DT;
		i = (unsigned int)x;
		return re->r1_fine[i] +
		       (float)(x - (double)i) * (re->r1_fine[i + 1] - re->r1_fine[i]);
	}
	x = t / FC_COARSE_DT;
	i = (unsigned int)x;
	if (i + 1 >= FC_COARSE_N)
		return re->r1_coarse[FC_COARSE_N - 1];
	return re->r1_coarse[i] +
	       (float)(x - (double)i) * (re->r1_coarse[i + 1] - re->r1_coarse[i]);
}

static void integrate(const float *unit, unsigned int points, float dt, float *r0, float *r1)
{
	unsigned int j;

	r0[0] = r1[0] = 0.0f;
	for (j = 1; j < points; j++) {
		r0[j] = r0[j - 1] + dt * unit[j - 1];
		r1[j] = r1[j - 1] + dt * 0.5f * (r0[j] + r0[j - 1]);
	}
}

static void make_response(const struct fc_class *cl, const struct fc_curve *fine,
			  const struct fc_curve *coarse, struct response *re)
{
	float r0f[FC_FINE_N], r0c[FC_COARSE_N];
	unsigned int i, j, n = FC_PATH_POINTS;
	const struct fc_rate *r = &cl->rate;

	integrate(fine->unit, FC_FINE_N, FC_FINE_DT, r0f, re->r1_fine);
	integrate(coarse->unit, FC_COARSE_N, FC_COARSE_DT, r0c, re->r1_coarse);
	for (i = 0; i < n; i++) {
		if (i < FC_PATH_FINE) {
			j = 3 * (i + 1);
			re->r0[i] = r0f[j];
			re->r1[i] = re->r1_fine[j];
			re->stay[i] = fine->stay[j];
			re->var[i] = fine->stay_var[j];
		} else {
			j = 600 / FC_COARSE_DT + (i + 1 - FC_PATH_FINE) * FC_PATH_FAR;
			re->r0[i] = r0c[j];
			re->r1[i] = re->r1_coarse[j];
			re->stay[i] = coarse->stay[j];
			re->var[i] = coarse->stay_var[j];
		}
	}
	re->mean_level = 0.0;
	for (i = 0; i < r->n_runs; i++)
		re->mean_level += r->run[i].weight * r->run[i].level;
	re->dispersion = r->dispersion;
}

static void respond_to_day(const struct forecast *f, unsigned int id, struct response *re)
{
	float fine[FC_FINE_N], coarse[FC_COARSE_N];
	double rate[3];
	unsigned int i;

	fc_season_rate(f, id, rate);
	fc_season_respond(f, rate, f->fine[id].unit, FC_FINE_N, FC_FINE_DT, fine);
	fc_season_respond(f, rate, f->coarse[id].unit, FC_COARSE_N, FC_COARSE_DT, coarse);
	for (i = 0; i < FC_PATH_POINTS; i++)
		re->season[i] =
			i < FC_PATH_FINE
				? fine[3 * (i + 1)]
				: coarse[600 / FC_COARSE_DT + (i + 1 - FC_PATH_FINE) * FC_PATH_FAR];
}

/* Mirrored paths alike. */
static bool follows_day(const struct forecast *f, unsigned int p)
{
	return p / 2 * 43 % (FC_PATHS / 2) < f->season.weight * FC_PATHS / 2;
}

static float normal_at(const struct forecast *f, unsigned int i)
{
	return f->normal[i % FC_NORMALS];
}

static void add_scaled(float *restrict to, const float *restrict from, float x, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		to[i] += x * from[i];
}

/* Add one class's arrivals to all paths. */
static void add_class(struct forecast *f, const struct fc_class *cl, unsigned int id,
		      const struct fc_joint *joint, const struct response *re)
{
	unsigned int p, i, n = FC_PATH_POINTS;
	struct fc_runs_drawn runs;

	fc_runs_prepare(cl, &runs);
	for (p = 0; p < FC_PATHS; p++) {
		struct fc_path_line line;
		double a, b, lasts;

		if (follows_day(f, p)) {
			float z = (p & 1 ? -1.0f : 1.0f) * normal_at(f, 911 + p / 2);

			add_scaled(f->path[p], re->season, 1.0f + DAY_SD * z, n);
			continue;
		}
		fc_path_line(f, id, p, joint, &runs, &line);
		a = line.a;
		b = line.b;
		lasts = line.lasts;
		add_scaled(f->path[p], re->r0, (float)a, n);
		if (fabs(b) * fmin(lasts, 600.0) < 0.02 * a || b == 0.0)
			continue;
		add_scaled(f->path[p], re->r1, (float)b, n);
		if (lasts < 3600.0)
			for (i = n; i-- && fc_path_time_s(i) > lasts;)
				f->path[p][i] -= (float)b * r1_at(re, fc_path_time_s(i) - lasts);
	}
}

/* Expected expiries of a class, for the collector's rounds. */
static void add_due(const struct fc_curve *fine, double rate_per_s, float *due, float *late)
{
	double arrived = 0.0;
	unsigned int j;

	for (j = 1; j < FC_FINE_N; j++) {
		arrived += (double)fine->due_unit[j] * rate_per_s * FC_FINE_DT;
		due[j] += fine->due[j] + (float)arrived;
	}
	for (j = 0; j < FC_LATE_N; j++)
		late[j] += fine->late[j];
}

static void add_rounds(struct forecast *f, const float *due, const float *late)
{
	float diff[FC_DRIFTS][FC_FINE_N];
	unsigned int n = fc_gc_phase(f, due, late, diff), p, i;

	/* mirrored paths share a rhythm */
	for (p = 0; p < FC_PATHS && n; p++)
		for (i = 0; i < FC_PATH_FINE; i++)
			f->path[p][i] += diff[p / 2 % n][3 * (i + 1)];
}

/* Those thrown out at once that have not come back yet: within half a minute. */
static void add_returning(struct forecast *f, float entries, const struct fc_curve *fine,
			  const struct fc_curve *coarse)
{
	unsigned int i, j, n = FC_PATH_POINTS;

	for (i = 0; i < n; i++) {
		double t = fc_path_time_s(i), back = entries * (1.0 - exp(-t / 30.0));

		j = (unsigned int)(t < 600.0 ? t / FC_FINE_DT : t / FC_COARSE_DT);
		f->mean_path[i] += (float)back * (t < 600.0 ? fine->unit[j] : coarse->unit[j]);
	}
}

/* The next bursts of a class that has a rhythm, on the share of paths that believe in it. */
static void add_pulses(struct forecast *f, const struct fc_pulses *pu, double period,
		       const struct fc_curve *fine, const struct fc_curve *coarse)
{
	unsigned int i, j, k, p, n = FC_PATH_POINTS;
	double belief = fc_pulse_belief(pu), sd, size = fc_pulse_size(pu, &sd);
	double next = (double)(pu->at_s[0] - f->now_s) + period + 2.0;

	if (pu->bins_left)
		size = fmax(size, 0.0);
	/* due and not come yet: any moment */
	next = fmax(next, 2.0);
	for (i = 0; i < n; i++) {
		double t = fc_path_time_s(i), here = 0.0;

		for (k = 0; k < 256 && next + k * period <= t; k++) {
			double age = t - next - k * period;

			j = (unsigned int)(age < 600.0 ? age / FC_FINE_DT : age / FC_COARSE_DT);
			here += age < 600.0 ? fine->unit[j] : coarse->unit[j];
		}
		f->path_sd[i] += (float)(belief * sd * sd * fmin(here, 1.0));
		/* mirrored paths alike */
		for (p = 0; p < FC_PATHS; p++)
			if (p / 2 * 71 % (FC_PATHS / 2) < belief * FC_PATHS / 2)
				f->path[p][i] += (float)(size * here);
	}
}

static void add_noise(struct forecast *f)
{
	unsigned int p, i, n = FC_PATH_POINTS;
	float rho[FC_TIMES], q[FC_TIMES];

	for (i = 0; i < n; i++) {
		double dt = fc_path_time_s(i) - (i ? fc_path_time_s(i - 1) : 0.0);

		rho[i] = (float)exp(-dt / NOISE_MEMORY_S);
		q[i] = sqrtf(1.0f - rho[i] * rho[i]);
	}
	for (p = 0; p < FC_PATHS; p += 2) {
		float z = normal_at(f, 500 + p / 2);

		for (i = 0; i < n; i++) {
			z = rho[i] * z + q[i] * normal_at(f, 173 * (p + 1) + i);
			f->path[p][i] += z * f->path_sd[i];
			f->path[p + 1][i] -= z * f->path_sd[i];
		}
	}
}

static void add_reason(struct fc_forecast *out, const struct fc_class *cl,
		       const struct fc_curve *fine, const struct fc_curve *coarse,
		       const struct response *re)
{
	struct fc_reason re_new = {0}, swap;
	unsigned int i;
	double mean_stay = re->r0[FC_PATH_POINTS - 1];

	re_new.l4proto = cl->l4proto;
	re_new.direction = cl->direction;
	re_new.port = cl->port;
	re_new.pooled = cl->pooled;
	re_new.entries = cl->n_total;
	re_new.rate_per_s = re->mean_level;
	for (i = 0; i < cl->rate.n_runs; i++)
		re_new.slope_per_s2 += cl->rate.run[i].weight * cl->rate.run[i].slope;
	re_new.steady_entries = re->mean_level * mean_stay + coarse->stay[FC_COARSE_N - 1];
	re_new.entries_600 = fine->stay[FC_FINE_N - 1] + re->mean_level * re->r0[FC_PATH_FINE - 1] +
			     re_new.slope_per_s2 * re->r1_fine[FC_FINE_N - 1];
	out->steady_entries += re_new.steady_entries;
	/* the largest changes first */
	for (i = 0; i < FC_REASONS; i++) {
		if (i == out->n_reasons) {
			out->reason[out->n_reasons++] = re_new;
			return;
		}
		if (fabs(re_new.entries_600 - re_new.entries) >
		    fabs(out->reason[i].entries_600 - out->reason[i].entries)) {
			swap = out->reason[i];
			out->reason[i] = re_new;
			re_new = swap;
		}
	}
}

void fc_paths(struct forecast *f, struct fc_forecast *out)
{
	unsigned int c, i, p, n = FC_PATH_POINTS;
	double limit = out->limit ? out->limit : 1e18, known = 0.0, rate = 0.0, period, ghosts;
	static const double far = 1.0;
	float due[FC_FINE_N] = {0}, late[FC_LATE_N] = {0};
	struct fc_joint joint;
	struct response re;

	fc_late_survival(f, f->late_survive);
	fc_hazard_shift_decide(f);
	memset(f->mean_path, 0, sizeof(f->mean_path));
	memset(f->path_sd, 0, sizeof(f->path_sd));
	memset(f->path, 0, sizeof(f->path));
	fc_lines_draw(f, &joint);
	for (c = 0; c < FC_CLASSES; c++) {
		struct fc_class *cl = &f->cls[c];

		if (!cl->used || (!cl->n_total && !cl->rate.n_runs))
			continue;
		fc_project(f, cl, FC_FINE_DT, FC_FINE_N, &f->fine[c]);
		fc_project(f, cl, FC_COARSE_DT, FC_COARSE_N, &f->coarse[c]);
		make_response(cl, &f->fine[c], &f->coarse[c], &re);
		if (f->season.weight > 0.0)
			respond_to_day(f, c, &re);
		known += cl->n_total;
		rate += re.mean_level;
		for (i = 0; i < n; i++) {
			f->mean_path[i] += re.stay[i];
			f->path_sd[i] += re.var[i] + (float)(re.mean_level * re.r0[i] *
							     (1.0 + 0.7 * (re.dispersion - 1.0)));
		}
		if (cl->rate.n_runs)
			add_class(f, cl, c, &joint, &re);
		add_due(&f->fine[c], re.mean_level, due, late);
		if (cl->to_return > 1.0f)
			add_returning(
				f,
				cl->to_return *
					(float)exp(-(double)(f->now_s - cl->thrown_out_s) / 60.0),
				&f->fine[c], &f->coarse[c]);
		period = fc_pulse_period_s(&cl->pulses, f->now_s);
		if (period > 0.0)
			add_pulses(f, &cl->pulses, period, &f->fine[c], &f->coarse[c]);
		add_reason(out, cl, &f->fine[c], &f->coarse[c], &re);
	}
	/*
	 * What the count has and the stages have not thins out alike. What only the stages
	 * have are entries whose end was lost: the short ones are over soon, the others stay.
	 */
	ghosts = fmin(f->stat.count - known, 0.0) *
		 fmin(fmax((double)(f->now_s - f->unsure_until_s) / GHOSTS_S, 0.0), 1.0);
	for (i = 0; i < n; i++) {
		double rest =
			(f->stat.count - known) * (known > 10.0 ? f->mean_path[i] / known : far);

		rest += ghosts * (1.0 - (known > 10.0 ? f->mean_path[i] / known : far));

		f->path_sd[i] = sqrtf(f->path_sd[i]);
		f->mean_path[i] += (float)rest;
	}
	add_rounds(f, due, late);
	for (p = 0; p < FC_PATHS; p++)
		for (i = 0; i < n; i++)
			f->path[p][i] += f->mean_path[i];
	fc_balance_cold(f);
	add_noise(f);
	/* the kernel holds the count at max; other limits are just passed */
	fc_read_counts(f, f->stat.max ? f->stat.max : 1e18, out);
	fc_read_passage(f, limit, rate, out);
}
