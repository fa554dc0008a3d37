// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The population of one class pushed through its stages on a time grid.
 *
 * An entry of age index i (age / dt) behaves as an arrival i steps ago that
 * is still there, so one table of step survival serves both the present
 * population and one unit of arrivals. Stages are passed in their order; what
 * leaves one in a step enters the next in the same step. What leaves the last
 * or expires is gone; the count is what has not gone.
 */
#include "lib/forecast/priv.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3") /* long plain loops over floats: vectorise them */
#endif

#include <math.h>
#include <string.h>

#define INDEXES	   (3 * FC_FINE_N)
#define FINE_SUB   2 /* points within a step */
#define COARSE_SUB 12
#define SUB_POINTS ((3 * FC_COARSE_N + 1) * COARSE_SUB)
#define GONE	   40.0f /* cumulative hazard after which nobody is left */

_Static_assert(SUB_POINTS >= (3 * FC_FINE_N + 1) * FINE_SUB, "room for the fine grid");

struct step_table {
	float keep[INDEXES]; /* probability to stay through the step after index i */
	float go[INDEXES];   /* share of those who leave in it that go on */
};

struct grid {
	unsigned int dt, points, indexes;
};

static const uint8_t usual_next[FC_STAGES] = {
	FC_SYN_RECV, FC_ESTABLISHED, FC_FIN_WAIT, FC_LAST_ACK, FC_LAST_ACK, FC_TIME_WAIT,
	FC_STAGES,   FC_STAGES,	     FC_REPLIED,  FC_STAGES,   FC_STAGES,   FC_STAGES,
};

/* Cumulative hazard at n ages from_s, from_s + by_s, .., walking along the bins. */
static void cumulate(const float *rates, unsigned int bins, double (*start)(unsigned int),
		     double from_s, double by_s, unsigned int n, float *cum)
{
	unsigned int b = 0, i = 0;
	double sum = 0.0, at = 0.0, rate = rates[0], end = start(1);

	while (i < n && from_s + i * by_s < 0.0)
		cum[i++] = 0.0f;
	for (; i < n && sum <= GONE; i++) {
		double x = from_s + i * by_s;

		while (b + 1 < bins && end < x) {
			sum += rate * (end - at);
			at = end;
			b++;
			rate = rates[b];
			end = b + 1 < bins ? start(b + 1) : INFINITY;
		}
		if (x > at) {
			sum += rate * (x - at);
			at = x;
		}
		cum[i] = (float)sum;
	}
	for (; i < n; i++)
		cum[i] = (float)sum;
}

/*
 * Ages are learnt as differences of whole seconds: who is of age k then, is of
 * k - 0.5 to k + 0.5 really, and of 0 to 0.5 in the second it came.
 */
static double go_start(unsigned int bin)
{
	return bin ? fc_age_bin_start(bin) - 0.5 : 0.0;
}

/*
 * Survival averaged over a step, for entries spread evenly over it: a deadline
 * inside a step of 24 s would be misplaced by its middle. go: cumulative hazard
 * at the step's two ends, linear between; end: at sub points within it.
 */
static float step_survival(const float *go, const float *end, unsigned int sub)
{
	float sum = 0.0f, d = (go[1] - go[0]) / (float)sub, at = go[0] + 0.5f * d;
	unsigned int j;

	if (go[0] + end[0] > GONE)
		return 0.0f;
	if (go[1] - go[0] + end[sub - 1] - end[0] < 0.1f)
		return expf(-0.5f * (go[0] + go[1] + end[0] + end[sub - 1]));
	for (j = 0; j < sub; j++, at += d)
		sum += expf(-at - end[j]);
	return sum / (float)sub;
}

static void make_steps(const float *rate_go, const float *rate_end, uint32_t timeout_s,
		       const struct grid *g, struct step_table *st, float *first)
{
	/* NULL: it is over at the deadline */
	static const float at_once[2] = {GONE, GONE};
	float go[INDEXES + 2], end[SUB_POINTS], before, now;
	unsigned int sub = g->dt == FC_FINE_DT ? FINE_SUB : COARSE_SUB, n = (g->indexes + 1) * sub,
		     i;
	double by_s = (double)g->dt / sub;

	cumulate(rate_go, FC_AGE_BINS, go_start, 0.0, g->dt, g->indexes + 2, go);
	if (timeout_s && !rate_end)
		cumulate(at_once, 2, fc_late_bin_start, 0.5 * by_s - timeout_s, by_s, n, end);
	else if (timeout_s)
		cumulate(rate_end, FC_LATE_BINS, fc_late_bin_start, 0.5 * by_s - timeout_s + 0.5,
			 by_s, n, end);
	else
		memset(end, 0, n * sizeof(end[0]));
	/* the step in which it came */
	first[0] = before = step_survival(go, end, sub);
	first[1] = go[1] + end[sub - 1] > 0.0f ? go[1] / (go[1] + end[sub - 1]) : 1.0f;
	for (i = 0; i < g->indexes; i++) {
		float dg = go[i + 2] - go[i], de = end[(i + 2) * sub - 1] - end[i * sub];

		now = step_survival(go + i + 1, end + (i + 1) * sub, sub);
		st->keep[i] = before > 1e-12f ? fminf(now / before, 1.0f) : 0.0f;
		st->go[i] = dg + de > 0.0f ? dg / (dg + de) : 1.0f;
		before = now;
	}
}

struct flows {			 /* no two overlap */
	float *in_now, *in_unit; /* into this stage, by step */
	float *go_now, *go_unit; /* on to the next */
	float *gone_now, *gone_unit;
	float *own_var; /* n p (1 - p) of those present */
};

/* to[] += x kernel[] */
static void add_scaled(float *restrict to, const float *restrict kernel, float x, unsigned int n)
{
	unsigned int k;

	for (k = 0; k < n; k++)
		to[k] += x * kernel[k];
}

/* n entries at age index i now. */
static void push_present(const struct step_table *st, const struct grid *g, unsigned int i, float n,
			 const struct flows *fl)
{
	float alive[FC_FINE_N];
	unsigned int m, len;

	alive[0] = 1.0f;
	for (len = 1; len < g->points && alive[len - 1] > 1e-4f; len++)
		alive[len] = alive[len - 1] * st->keep[i + len - 1];
	for (m = 1; m < len; m++) {
		float left = n * (alive[m - 1] - alive[m]), go = left * st->go[i + m - 1];

		fl->go_now[m] += go;
		fl->gone_now[m] += left - go;
		fl->own_var[m] += n * alive[m] * (1.0f - alive[m]);
	}
}

static void push_constant(double go_per_s, double end_per_s, const struct grid *g, float n,
			  bool all_gone, const struct flows *fl)
{
	double total = go_per_s + end_per_s;
	float keep = (float)exp(-total * g->dt), r = 1.0f, next;
	float go = total > 0.0 && !all_gone ? (float)(go_per_s / total) : 0.0f;
	unsigned int m;

	for (m = 1; m < g->points && r > 1e-4f; m++) {
		next = r * keep;
		fl->go_now[m] += n * (r - next) * go;
		fl->gone_now[m] += n * (r - next) * (1.0f - go);
		r = next;
		fl->own_var[m] += n * r * (1.0f - r);
	}
}

/*
 * n entries too old for the table of steps, whose deadlines come within the grid,
 * evenly over `spread` steps before `until`: gone by then.
 */
static void push_due(double go_per_s, unsigned int until, unsigned int spread, const struct grid *g,
		     float n, const struct flows *fl)
{
	unsigned int from = until > spread ? until - spread : 0, m;
	float keep = (float)exp(-go_per_s * g->dt), r = n, part;

	for (m = 1; m < g->points && m <= until && r > 0.0f; m++) {
		fl->go_now[m] += r * (1.0f - keep);
		r *= keep;
		if (m <= from)
			continue;
		part = r / (float)(until - m + 1);
		fl->gone_now[m] += part;
		r -= part;
	}
}

/* What flows in during the steps to come. */
static void push_inflow(const struct step_table *st, const float *first, const struct grid *g,
			const struct flows *fl)
{
	float kernel_go[FC_FINE_N], kernel_gone[FC_FINE_N], r = first[0], next;
	unsigned int j, len;

	kernel_go[0] = (1.0f - r) * first[1];
	kernel_gone[0] = (1.0f - r) * (1.0f - first[1]);
	for (len = 1; len < g->points && r > 1e-5f; len++) {
		next = r * st->keep[len - 1];
		kernel_go[len] = (r - next) * st->go[len - 1];
		kernel_gone[len] = (r - next) * (1.0f - st->go[len - 1]);
		r = next;
	}
	for (j = 1; j < g->points; j++) {
		unsigned int n = len < g->points - j ? len : g->points - j;
		float now = fl->in_now[j], unit = fl->in_unit[j];

		if (now > 1e-4f) {
			add_scaled(fl->go_now + j, kernel_go, now, n);
			add_scaled(fl->gone_now + j, kernel_gone, now, n);
		}
		if (unit > 1e-6f) {
			add_scaled(fl->go_unit + j, kernel_go, unit, n);
			add_scaled(fl->gone_unit + j, kernel_gone, unit, n);
		}
	}
}

/*
 * Present entries of a cell by age index; epochs of another timeout apart, and
 * those past a fixed deadline too, where `late` takes them.
 */
static void push_population(const struct forecast *f, const struct fc_cell *c,
			    const struct step_table *st, int64_t from_s, int64_t until_s,
			    const float *rate_go, const float *rate_end, float h_unknown,
			    const struct grid *g, const struct flows *fl, float *late)
{
	float at_index[2 * FC_FINE_N] = {0};
	unsigned int l, s, i, limit = 2 * g->points, fine = 240 / g->dt;
	uint32_t timeout_s = c->epoch_timeout_s[0];

	for (l = 0; l < FC_LEVELS; l++) {
		for (s = 0; s < FC_SLOTS; s++) {
			int64_t now_at = f->now_s / fc_width_s[l], since, age;
			double end = 0.0;
			float n = (float)c->n[l][s];

			if (n <= 0.0f)
				continue;
			since = (now_at - (int64_t)(((uint64_t)now_at - s) % FC_SLOTS)) *
					fc_width_s[l] +
				fc_width_s[l] / 2;
			if (since < from_s || since >= until_s)
				continue;
			age = f->now_s - since;
			age = age > 0 ? age - 1 : 0;
			i = (unsigned int)(age / g->dt);
			/* another timeout: shift the age by what the deadline differs */
			if (fc_cell_timeout_at(c, since) != timeout_s && !c->refreshed) {
				int64_t shifted = age + timeout_s - fc_cell_timeout_at(c, since);

				i = shifted > 0 ? (unsigned int)(shifted / g->dt) : 0;
			}
			if (late && age >= (int64_t)fc_cell_timeout_at(c, since)) {
				age = (age - fc_cell_timeout_at(c, since)) / g->dt;
				late[age < FC_LATE_N ? age : FC_LATE_N - 1] += n;
				continue;
			}
			if (i < limit) {
				if (i >= fine)
					i = i / 4 * 4 + 2;
				if (i + g->points > g->indexes)
					i = g->indexes - g->points;
				at_index[i < limit ? i : limit - 1] += n;
				continue;
			}
			if (late && age + g->dt * (int64_t)g->points >
					    (int64_t)fc_cell_timeout_at(c, since)) {
				age = fc_cell_timeout_at(c, since) - age;
				push_due(rate_go[fc_age_bin(f->now_s - since)],
					 (unsigned int)(age + fc_width_s[l] / 2) / g->dt + 1,
					 (unsigned int)fc_width_s[l] / g->dt + 1, g, n, fl);
				continue;
			}
			if (age >= (int64_t)timeout_s)
				end = rate_end[fc_late_bin(age - timeout_s)];
			push_constant(rate_go[fc_age_bin(age + g->dt * g->points / 4)], end, g, n,
				      false, fl);
		}
	}
	for (i = 0; i < limit; i++)
		if (at_index[i] > 0.0f)
			push_present(st, g, i, at_index[i], fl);
	if (c->n_unknown > 0 && from_s == INT64_MIN)
		push_constant(h_unknown, 0.0, g, (float)c->n_unknown, c->stage > FC_CLOSE, fl);
}

/* How many age indexes are needed: the oldest present entry, through the horizon. */
static unsigned int indexes_needed(const struct forecast *f, const struct fc_cell *c,
				   const struct grid *g)
{
	unsigned int l, s, i, most = 0;
	int64_t now_at, age;

	for (l = 0; l < FC_LEVELS && c->n_total > 0; l++) {
		now_at = f->now_s / fc_width_s[l];
		for (s = 0; s < FC_SLOTS; s++) {
			if (c->n[l][s] <= 0)
				continue;
			age = (int64_t)(((uint64_t)now_at - s) % FC_SLOTS + 1) * fc_width_s[l];
			i = (unsigned int)(age / g->dt) + 8;
			most = i > most ? i : most;
		}
	}
	/* a changed timeout shifts ages: room for that */
	if (c->epoch_timeout_s[1])
		return 3 * g->points;
	return most < 2 * g->points ? most + g->points : 3 * g->points;
}

static void next_shares(const struct fc_cell *c, float *share)
{
	float sum = 0.0f;
	unsigned int d;

	memset(share, 0, (FC_STAGES + 1) * sizeof(*share));
	for (d = 0; d <= FC_STAGES; d++)
		if (d > c->stage)
			share[d] = c->next[d];
	share[usual_next[c->stage]] += 0.3f;
	for (d = 0; d <= FC_STAGES; d++)
		sum += share[d];
	for (d = 0; d <= FC_STAGES; d++)
		share[d] /= sum;
}

static bool any_inflow(const struct flows *fl, const struct grid *g)
{
	float sum = 0.0f;
	unsigned int j;

	for (j = 1; j < g->points; j++)
		sum += fl->in_now[j] + fl->in_unit[j];
	return sum > 1e-5f;
}

static void to_rates(float *rate_go)
{
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++)
		rate_go[b] = rate_go[b] < 0.01f ? rate_go[b] : -log1pf(-rate_go[b]);
	rate_go[0] *= 2.0f; /* half as long as the others */
}

static void find_rates(const struct forecast *f, const struct fc_cell *teacher, float *rate_go,
		       float *rate_end)
{
	unsigned int b;

	fc_cell_hazards(f, teacher, rate_go);
	fc_late_hazards(f, teacher, rate_end);
	to_rates(rate_go);
	for (b = 0; b < FC_LATE_BINS; b++)
		rate_end[b] = rate_end[b] < 0.01f ? rate_end[b] : -log1pf(-rate_end[b]);
}

static void project_stage(struct forecast *f, struct fc_cell *c, struct grid *g,
			  struct fc_curve *out, float *gone_now, float *gone_unit)
{
	const struct fc_cell *teacher = fc_cell_teacher(f, c);
	float *rate_go = f->rate_go[c - f->cell], *rate_end = f->rate_end[c - f->cell];
	float first[2], share[FC_STAGES + 1];
	struct step_table st;
	bool final, fixed = g->dt == FC_FINE_DT && fc_cell_fixed(c) && c->epoch_timeout_s[0];
	struct flows fl = {
		f->inflow[c->stage][0],
		f->inflow[c->stage][1],
		f->work[0],
		f->work[1],
		fixed ? out->due : gone_now,
		fixed ? out->due_unit : gone_unit,
		f->work[2],
	};
	int64_t changed_s = fc_hazard_shift_since_s(f, c);
	unsigned int d, j;

	if (c->n_total <= 0 && !any_inflow(&fl, g))
		return;
	memset(f->work, 0, sizeof(f->work));
	g->indexes = indexes_needed(f, c, g);
	if (g->dt == FC_FINE_DT)
		find_rates(f, teacher, rate_go, rate_end);
	make_steps(rate_go, fixed ? NULL : rate_end, c->epoch_timeout_s[0], g, &st, first);
	if (c->n_total > 0)
		push_population(f, c, &st, INT64_MIN, changed_s, rate_go, rate_end,
				fc_unknown_hazard(f, c), g, &fl, fixed ? out->late : NULL);
	if (changed_s < INT64_MAX) { /* those since then, and all who come */
		rate_go = f->rate_new[c->class_id];
		if (g->dt == FC_FINE_DT) {
			fc_hazard_shift_hazards(f, c, rate_go);
			to_rates(rate_go);
		}
		make_steps(rate_go, rate_end, c->epoch_timeout_s[0], g, &st, first);
		push_population(f, c, &st, changed_s, INT64_MAX, rate_go, rate_end, 0.0f, g, &fl,
				NULL);
	}
	push_inflow(&st, first, g, &fl);
	next_shares(teacher, share);
	final = share[FC_STAGES] > 0.5f;
	for (j = 1; j < g->points; j++) {
		if (final)
			out->stay_var[j] += fl.own_var[j];
		gone_now[j] += fl.go_now[j] * share[FC_STAGES];
		gone_unit[j] += fl.go_unit[j] * share[FC_STAGES];
	}
	for (d = 0; d < FC_STAGES; d++) {
		if (share[d] <= 0.0f)
			continue;
		for (j = 1; j < g->points; j++) {
			f->inflow[d][0][j] += fl.go_now[j] * share[d];
			f->inflow[d][1][j] += fl.go_unit[j] * share[d];
		}
	}
}

/* Those due stay counted until they are collected: add them, late as entries usually are. */
static void add_late(const struct forecast *f, const struct grid *g, struct fc_curve *out)
{
	const float *survive = f->late_survive;
	unsigned int j, k, len = FC_LATE_N;

	while (len > 1 && survive[len - 1] < 1e-4f)
		len--;
	for (j = 1; j < g->points; j++) {
		float now = 0.0f, unit = 0.0f;

		for (k = 0; k < j && k < len; k++) {
			now += out->due[j - k] * survive[k];
			unit += out->due_unit[j - k] * survive[k];
		}
		for (k = 0; k + j < len; k++)
			now += out->late[k] * survive[k + j] / survive[k];
		out->stay[j] += now;
		out->unit[j - 1] = fminf(out->unit[j - 1] + unit, 1.0f);
	}
}

void fc_project(struct forecast *f, struct fc_class *cl, unsigned int dt, unsigned int points,
		struct fc_curve *out)
{
	struct grid g = {dt, points, 3 * points};
	float gone_now[FC_FINE_N] = {0}, gone_unit[FC_FINE_N] = {0}, sum = 0.0f, p, moving;
	float left_now = 0.0f, left_unit = 1.0f;
	struct fc_cell *c;
	unsigned int s, j;

	memset(out, 0, sizeof(*out));
	memset(f->inflow, 0, sizeof(f->inflow));
	for (s = 0; s < FC_STAGES; s++)
		sum += cl->first[s];
	for (s = 0; s < FC_STAGES && sum > 0.0f; s++)
		f->inflow[s][1][1] = cl->first[s] / sum;
	moving = 0.0f;
	for (s = 0; s < FC_STAGES; s++) {
		if (cl->cell[s] == FC_NO_CELL)
			continue;
		c = &f->cell[cl->cell[s]];
		left_now += (float)c->n_total;
		if (s != FC_TIME_WAIT && s != FC_CLOSE && s != FC_REPLIED && s != FC_ASSURED)
			moving += (float)c->n_total;
		project_stage(f, c, &g, out, gone_now, gone_unit);
	}
	out->stay[0] = left_now;
	for (j = 0; j < FC_LATE_N; j++)
		left_now -= out->late[j];
	/* variance of those with stages before them: one share for all */
	for (j = 1; j < points; j++) {
		left_now -= gone_now[j] + out->due[j];
		left_unit -= gone_unit[j] + out->due_unit[j];
		out->stay[j] = fmaxf(left_now, 0.0f);
		out->unit[j - 1] = fminf(fmaxf(left_unit, 0.0f), 1.0f);
		if (out->stay[0] > 0.0f) {
			p = out->stay[j] / out->stay[0];
			out->stay_var[j] += moving * p * (1.0f - p);
		}
	}
	if (dt == FC_FINE_DT)
		add_late(f, &g, out);
	out->unit[points - 1] = out->unit[points - 2];
}
