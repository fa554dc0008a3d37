// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The arrival rate of a class: Bayesian online change points.
 *
 * Arrivals are counted in bins of FC_BIN_S. A hypothesis (struct fc_run) says
 * "since start_s the rate is a line", with a Gaussian belief about its level
 * and slope; each bin updates it as a Kalman filter does, and its weight by how
 * well it foretold the bin (Adams, MacKay: "Bayesian online changepoint
 * detection", 2007; Fearnhead, Liu: "On-line inference for multiple changepoint
 * problems", 2007). Every bin may start new ones: a jump or a kink, with one of
 * three beliefs about the slope. The lightest are dropped.
 *
 * The noise is Poisson times a dispersion estimated from first differences,
 * which a line cannot inflate.
 */
#include "lib/forecast/priv.h"

#include <math.h>
#include <string.h>

enum { RUN_FLAT, RUN_SLOW, RUN_FAST };

#define JUMPS_PER_S   (0.3 / 2000.0)
#define KINKS_PER_S   (1.0 / 1500.0)
#define BIN_ARRIVALS  10.0 /* bins are made long enough for about this many */
#define LONGEST_BIN_S 60
#define OUTLIER	      0.04 /* share of bins with four times the noise, of batchy classes */

void fc_rate_init(struct fc_rate *r)
{
	memset(r, 0, sizeof(*r));
	r->dispersion = 1.0;
	r->diff_var = 4.0;
	r->diff_mean = 4.0;
}

static double slope_sd(double level, unsigned int kind)
{
	if (kind == RUN_FLAT)
		return 0.0;
	return level / (kind == RUN_SLOW ? 1500.0 : 400.0);
}

static struct fc_run *add_run(struct fc_rate *r, int64_t start_s, unsigned int kind, double weight)
{
	struct fc_run *run;

	if (r->n_runs == FC_RUNS || weight <= 0.0)
		return NULL;
	run = &r->run[r->n_runs++];
	memset(run, 0, sizeof(*run));
	run->start_s = start_s;
	run->kind = (uint8_t)kind;
	run->weight = weight;
	return run;
}

/* The belief of all runs together, at the start of the coming bin. */
static void mixture(const struct fc_rate *r, double *level, double *var)
{
	double w = 0.0, m = 0.0, v = 0.0;
	unsigned int i;

	for (i = 0; i < r->n_runs; i++) {
		w += r->run[i].weight;
		m += r->run[i].weight * r->run[i].level;
	}
	m /= w;
	for (i = 0; i < r->n_runs; i++) {
		double d = r->run[i].level - m;

		v += r->run[i].weight * (r->run[i].p00 + d * d);
	}
	*level = m;
	*var = v / w;
}

static void start_runs(struct fc_rate *r, int64_t start_s, double span_s)
{
	static const double kink_share[3] = {0.3, 0.4, 0.3};
	static const double jump_share[3] = {0.75, 0.15, 0.1};
	double level = 0.0, var = 1.0, base, sd;
	struct fc_run *run;
	unsigned int k;

	if (r->n_runs)
		mixture(r, &level, &var);
	base = fmax(fmax(level, 0.3 * r->mean_per_s), 0.02);
	for (k = 0; k < 3; k++) {
		run = add_run(r, start_s, k,
			      r->n_runs ? span_s * JUMPS_PER_S * jump_share[k] : 1.0);
		if (run) {
			/* a jump may go anywhere: wide, and wider upwards */
			run->level = r->n_runs > 1 ? base * 1.5 : base;
			run->p00 = 4.0 * base * base + 0.04;
			sd = slope_sd(base * 2.0, k);
			run->p11 = sd * sd;
		}
	}
	if (r->total < 3.0)
		return;
	for (k = 0; k < 3; k++) {
		run = add_run(r, start_s, k, span_s * KINKS_PER_S * kink_share[k]);
		if (run) {
			run->level = level;
			run->p00 = var;
			sd = slope_sd(base, k);
			run->p11 = sd * sd;
		}
	}
}

/* One bin of time passes: level moves along the slope, beliefs widen a little. */
static void move_run(struct fc_run *run, double dt)
{
	double q0 = 0.0003 * run->level, q1 = 1.2e-5 * run->level;

	run->level += run->slope * dt;
	run->p00 += 2.0 * dt * run->p01 + dt * dt * run->p11 + q0 * q0 * dt / 5.0;
	run->p01 += dt * run->p11;
	if (run->kind != RUN_FLAT)
		run->p11 += q1 * q1 * dt / 5.0 * 0.01;
	if (run->level < 0.0) {
		run->level = 0.0;
		run->slope = fmax(run->slope, 0.0);
	}
}

/* The bin's mean rate y was seen. Returns the likelihood. */
static double update_run(struct fc_run *run, double y, double span_s, double dispersion,
			 double floor)
{
	double half = span_s * 0.5, noise_per_rate = dispersion / span_s, mid, s, e, k0, k1, c0, c1,
	       like, noise, wide, odd;

	/* observed is the rate in the middle of the bin */
	mid = run->level - half * run->slope;
	c0 = run->p00 - half * run->p01;
	c1 = run->p01 - half * run->p11;
	noise = noise_per_rate * fmax(mid, floor);
	s = c0 - half * c1 + noise;
	wide = s + 15.0 * noise;
	e = y - mid;
	like = (1.0 - OUTLIER) * exp(-0.5 * fmin(e * e / s, 400.0)) / sqrt(s);
	odd = OUTLIER * exp(-0.5 * fmin(e * e / wide, 400.0)) / sqrt(wide);
	/*
	 * Batches make bins of many arrivals common: no reason to think of a
	 * change, but they count in full, or the mean would come out low.
	 */
	if (dispersion > 1.8)
		like += odd;
	k0 = c0 / s;
	k1 = c1 / s;
	run->level += k0 * e;
	run->slope += k1 * e;
	run->p00 -= k0 * c0;
	run->p01 -= k0 * c1;
	run->p11 -= k1 * c1;
	/* rounding may not turn a belief inside out */
	run->p00 = fmax(run->p00, 1e-9);
	run->p11 = fmax(run->p11, 0.0);
	return like;
}

static void normalise(struct fc_rate *r)
{
	double w = 0.0;
	unsigned int i;

	for (i = 0; i < r->n_runs; i++)
		w += r->run[i].weight;
	if (!(w > 1e-290)) { /* all ruled out: begin again from now */
		for (i = 0; i < r->n_runs; i++)
			r->run[i].weight = 1.0;
		w = r->n_runs;
	}
	for (i = 0; i < r->n_runs; i++)
		r->run[i].weight /= w;
}

static void forget_run(struct fc_rate *r, unsigned int i)
{
	memmove(&r->run[i], &r->run[i + 1], (--r->n_runs - i) * sizeof(r->run[0]));
}

/*
 * Make room for a bin's new runs. A slow change takes minutes to prove itself:
 * dropping the lightest would drop all its candidates. So of two runs of a kind
 * that began about the same time ago the lighter joins the heavier.
 */
static void prune(struct fc_rate *r, int64_t now_s)
{
	while (r->n_runs > FC_RUNS - 6) {
		unsigned int last[3] = {FC_RUNS, FC_RUNS, FC_RUNS}, i, light = 0, heavy = 0;
		double least = INFINITY;

		for (i = 0; i < r->n_runs; i++) { /* oldest first */
			struct fc_run *run = &r->run[i], *old;
			unsigned int j = last[run->kind];
			double lighter, cost;

			last[run->kind] = i;
			if (j == FC_RUNS)
				continue;
			old = &r->run[j];
			lighter = fmin(run->weight, old->weight);
			cost = (double)(run->start_s - old->start_s + 1) /
			       (double)(now_s - old->start_s + 20) * (lighter + 1e-4);
			if (cost < least) {
				least = cost;
				light = run->weight < old->weight ? i : j;
				heavy = light == i ? j : i;
			}
		}
		r->run[heavy].weight += r->run[light].weight;
		forget_run(r, light);
	}
}

static void learn_dispersion(struct fc_rate *r, double y, double span_s)
{
	double d = y - r->last_y, v = d * d * span_s / 2.0, m = 0.5 * (y + r->last_y);

	/* a single jump may not look like batches */
	v = fmin(v, 8.0 * fmax(r->diff_var, m));
	r->diff_var += 0.03 * (v - r->diff_var);
	r->diff_mean += 0.03 * (m - r->diff_mean);
	r->dispersion = fmin(fmax(r->diff_var / fmax(r->diff_mean, 1e-3), 1.0), 40.0);
	r->last_y = y;
}

/*
 * A bin of few arrivals is nothing like Gaussian and would look like a change
 * now and then: a quiet class gets long bins. A burst ends its bin at once.
 */
static bool bin_is_due(const struct fc_rate *r)
{
	double usual = r->mean_per_s * r->span_s;

	return r->span_s >= LONGEST_BIN_S || usual >= 0.5 * BIN_ARRIVALS ||
	       r->bin_arrivals > 8.0 + 3.0 * usual;
}

/* A bin of `arrivals` over `span_s` that ended at end_s. */
static void take_bin(struct fc_rate *r, double arrivals, double span_s, int64_t end_s)
{
	double y = arrivals / span_s, floor;
	unsigned int i;

	if (!r->n_runs) {
		r->last_y = y;
		r->mean_per_s = y;
		r->diff_var = r->diff_mean = y;
	}
	r->total += arrivals;
	learn_dispersion(r, y, span_s);
	r->mean_per_s += (1.0 - exp(-span_s / 1200.0)) * (y - r->mean_per_s);
	prune(r, end_s);
	start_runs(r, end_s - (int64_t)span_s, span_s);
	floor = fmax(0.25 * r->mean_per_s, 0.02);
	for (i = 0; i < r->n_runs; i++) {
		move_run(&r->run[i], span_s);
		r->run[i].weight *= update_run(&r->run[i], y, span_s, r->dispersion, floor);
	}
	normalise(r);
	r->end_s = end_s;
}

/* The last FC_BIN_S of a longer bin are unlike what was before: not one bin. */
static bool is_surprise(const struct fc_rate *r)
{
	return r->n_runs && r->span_s > FC_BIN_S &&
	       r->bin_arrivals - r->counted > 8.0 + 3.0 * r->mean_per_s * FC_BIN_S;
}

void fc_rate_bin(struct fc_rate *r, int64_t now_s)
{
	double before_s;
	unsigned int i;

	if (!r->n_runs && r->bin_arrivals <= 0.0)
		return;
	r->span_s += FC_BIN_S;
	if (r->censored) {
		for (i = 0; i < r->n_runs; i++)
			move_run(&r->run[i], r->span_s);
		r->bin_arrivals = r->span_s = 0.0;
		r->censored = false;
		r->end_s = now_s;
		return;
	}
	if (r->n_runs && !bin_is_due(r))
		return;
	if (is_surprise(r)) {
		before_s = r->span_s - FC_BIN_S;
		take_bin(r, r->counted, before_s, now_s - FC_BIN_S);
		r->bin_arrivals -= r->counted;
		r->span_s = FC_BIN_S;
	}
	take_bin(r, r->bin_arrivals, r->span_s, now_s);
	r->bin_arrivals = r->span_s = 0.0;
}
