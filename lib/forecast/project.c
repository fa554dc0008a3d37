// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/project.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3") /* long plain loops over floats: vectorise them */
#endif

#include <math.h>
#include <string.h>

#define INDEXES	   (3 * FC_FINE_N)
#define FINE_SUB   3 /* points within a step */
#define COARSE_SUB 8
#define SUB_POINTS ((3 * FC_COARSE_N + 1) * COARSE_SUB)
#define GONE	   40.0f /* cumulative hazard after which no entry is left */

_Static_assert(SUB_POINTS >= (3 * FC_FINE_N + 1) * FINE_SUB, "room for the fine grid");

struct step_table {
	float keep[INDEXES]; /* probability to stay through the step after index i */
	float go[INDEXES];   /* share of those who leave in it that go on */
	float first[2];	     /* the same for the step in which it came */
};

struct grid {
	unsigned int dt, points, indexes;
};

struct flows {			 /* no two overlap */
	float *in_now, *in_unit; /* into this stage, by step */
	float *go_now, *go_unit; /* on to the next */
	float *gone_now, *gone_unit;
	float *own_var; /* n p (1 - p) of those present */
};

static const uint8_t usual_next[FC_STAGES] = {
	FC_SYN_RECV, FC_ESTABLISHED, FC_FIN_WAIT, FC_LAST_ACK, FC_LAST_ACK, FC_TIME_WAIT,
	FC_STAGES,   FC_STAGES,	     FC_REPLIED,  FC_STAGES,   FC_STAGES,   FC_STAGES,
};

/* Hazards per second by bins of age. */
struct hazard {
	const float *rates;
	unsigned int bins;
	double (*start)(unsigned int bin); /* s */
};

/* Cumulative hazard at n ages from_s, from_s + by_s, .., walking along the bins. */
static void cumulate(const struct hazard *hazard, double from_s, double by_s, unsigned int n,
		     float *cum)
{
	const float *rates = hazard->rates;
	unsigned int bins = hazard->bins, b = 0, i = 0;
	double sum = 0.0, at = 0.0, end = hazard->start(1);

	while (i < n && from_s + i * by_s < 0.0)
		cum[i++] = 0.0f;
	for (; i < n && sum <= (double)GONE; i++) {
		double x = from_s + i * by_s;

		while (b + 1 < bins && end < x) {
			sum += (double)rates[b] * (end - at);
			at = end;
			b++;
			end = b + 1 < bins ? hazard->start(b + 1) : INFINITY;
		}
		if (x > at) {
			sum += (double)rates[b] * (x - at);
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

/* rate_end NULL: it is over at the deadline. */
static void make_steps(const float *rate_go, const float *rate_end, uint32_t timeout_s,
		       const struct grid *g, struct step_table *st)
{
	static const float at_once[2] = {GONE, GONE};
	float go[INDEXES + 2], end[SUB_POINTS], before, now;
	unsigned int sub = g->dt == FC_FINE_DT ? FINE_SUB : COARSE_SUB, n = (g->indexes + 1) * sub;
	double by_s = (double)g->dt / sub;
	unsigned int i;

	cumulate(&(struct hazard){rate_go, FC_AGE_BINS, go_start}, 0.0, g->dt, g->indexes + 2, go);
	if (timeout_s)
		cumulate(&(struct hazard){rate_end ? rate_end : at_once,
					  rate_end ? FC_LATE_BINS : 2, fc_late_bin_start},
			 0.5 * by_s - timeout_s + (rate_end ? 0.5 : 0.0), by_s, n, end);
	else
		memset(end, 0, n * sizeof(end[0]));
	st->first[0] = before = step_survival(go, end, sub);
	st->first[1] = go[1] + end[sub - 1] > 0.0f ? go[1] / (go[1] + end[sub - 1]) : 1.0f;
	for (i = 0; i < g->indexes; i++) {
		float dg = go[i + 2] - go[i], de = end[(i + 2) * sub - 1] - end[i * sub];

		now = step_survival(go + i + 1, end + (i + 1) * sub, sub);
		st->keep[i] = before > 1e-12f ? fminf(now / before, 1.0f) : 0.0f;
		st->go[i] = dg + de > 0.0f ? dg / (dg + de) : 1.0f;
		before = now;
	}
}

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
	float alive = 1.0f, next;
	unsigned int m;

	for (m = 1; m < g->points && alive > 1e-4f; m++, alive = next) {
		float left, go;

		next = alive * st->keep[i + m - 1];
		left = n * (alive - next);
		go = left * st->go[i + m - 1];
		fl->go_now[m] += go;
		fl->gone_now[m] += left - go;
		fl->own_var[m] += n * next * (1.0f - next);
	}
}

static void push_constant(double go_per_s, double end_per_s, const struct grid *g, float n,
			  const struct flows *fl)
{
	double total = go_per_s + end_per_s;
	float keep = (float)exp(-total * g->dt), r = 1.0f, next;
	float go = total > 0.0 ? (float)(go_per_s / total) : 0.0f;
	unsigned int m;

	for (m = 1; m < g->points && r > 1e-4f; m++, r = next) {
		next = r * keep;
		fl->go_now[m] += n * (r - next) * go;
		fl->gone_now[m] += n * (r - next) * (1.0f - go);
		fl->own_var[m] += n * next * (1.0f - next);
	}
}

/*
 * n entries too old for the table of steps, whose deadlines come within the grid, evenly over
 * `spread` steps before `until`: gone by then.
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
static void push_inflow(const struct step_table *st, const struct grid *g, const struct flows *fl)
{
	float kernel_go[FC_GRID_MOST], kernel_gone[FC_GRID_MOST], r = st->first[0], next;
	unsigned int j, len;

	kernel_go[0] = (1.0f - r) * st->first[1];
	kernel_gone[0] = (1.0f - r) * (1.0f - st->first[1]);
	for (len = 1; len < g->points && r > 1e-5f; len++, r = next) {
		next = r * st->keep[len - 1];
		kernel_go[len] = (r - next) * st->go[len - 1];
		kernel_gone[len] = (r - next) * (1.0f - st->go[len - 1]);
	}
	for (j = 1; j < g->points; j++) {
		unsigned int n = len < g->points - j ? len : g->points - j;

		if (fl->in_now[j] > 1e-4f) {
			add_scaled(fl->go_now + j, kernel_go, fl->in_now[j], n);
			add_scaled(fl->gone_now + j, kernel_gone, fl->in_now[j], n);
		}
		if (fl->in_unit[j] > 1e-6f) {
			add_scaled(fl->go_unit + j, kernel_go, fl->in_unit[j], n);
			add_scaled(fl->gone_unit + j, kernel_gone, fl->in_unit[j], n);
		}
	}
}

/* Which of a cell's entries, and what they are subject to. */
struct part {
	int64_t now_s, from_s, until_s; /* those that came from from_s until until_s */
	const float *rate_go, *rate_end;
	float *late; /* out: those past a fixed deadline, by lateness; NULL: not apart */
};

/* Entries of one age, s, and their timeout. */
struct aged {
	const struct fc_slot *slot;
	int64_t age, timeout;
};

/* Too old for the table of steps. */
static void push_old(const struct fc_cell *c, const struct part *part, const struct aged *aged,
		     const struct grid *g, const struct flows *fl)
{
	const float *rate_go = part->rate_go;
	const struct fc_slot *slot = aged->slot;
	int64_t age = aged->age, timeout = aged->timeout;
	float n = (float)slot->entries;
	double end = 0.0;

	if (part->late && age + g->dt * (int64_t)g->points > timeout) {
		push_due((double)rate_go[fc_age_bin(age + 1)],
			 (unsigned int)(timeout - age + slot->width_s / 2) / g->dt + 1,
			 (unsigned int)slot->width_s / g->dt + 1, g, n, fl);
		return;
	}
	if (age >= (int64_t)c->epoch_timeout_s[0])
		end = (double)part->rate_end[fc_late_bin(age - c->epoch_timeout_s[0])];
	push_constant((double)rate_go[fc_age_bin(age + g->dt * g->points / 4)], end, g, n, fl);
}

/* Present entries of a part of a cell, by age index. */
static void push_population(const struct fc_cell *c, const struct part *part,
			    const struct step_table *st, const struct grid *g,
			    const struct flows *fl)
{
	int64_t now_s = part->now_s;
	float *late = part->late;
	float at_index[2 * FC_GRID_MOST] = {0};
	unsigned int limit = 2 * g->points, fine = 240 / g->dt;
	struct fc_slot slot = {0};
	int64_t i;

	while (fc_population_next(&c->pop, now_s, &slot)) {
		int64_t since = slot.since_s + slot.width_s / 2, age = now_s - since, timeout;

		if (since < part->from_s || since >= part->until_s || slot.entries < 0)
			continue;
		age = age > 0 ? age - 1 : 0;
		timeout = fc_cell_timeout_at(c, since);
		if (late && age >= timeout) {
			i = (age - timeout) / g->dt;
			late[i < FC_LATE_N ? i : FC_LATE_N - 1] += (float)slot.entries;
			continue;
		}
		/* another timeout: shift the age by what the deadline differs */
		i = age + (c->refreshed ? 0 : (int64_t)c->epoch_timeout_s[0] - timeout);
		i = i > 0 ? i / g->dt : 0;
		if (i >= (int64_t)limit) {
			push_old(c, part, &(struct aged){&slot, age, timeout}, g, fl);
			continue;
		}
		if (i >= fine)
			i = i / 4 * 4 + 2;
		if (i + g->points > g->indexes)
			i = g->indexes - g->points;
		at_index[i < limit ? i : limit - 1] += (float)slot.entries;
	}
	for (i = 0; i < limit; i++)
		if (at_index[i] > 0.0f)
			push_present(st, g, (unsigned int)i, at_index[i], fl);
}

static void next_shares(const struct fc_cell *c, float *share)
{
	float sum = 0.0f;
	unsigned int d;

	memset(share, 0, (FC_STAGES + 1) * sizeof(*share));
	for (d = c->stage + 1u; d <= FC_STAGES; d++)
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

/* From chances per second to hazards. */
static void to_rates(float *chance, unsigned int n, bool ages)
{
	unsigned int b;

	for (b = 0; b < n; b++)
		chance[b] = chance[b] < 0.01f ? chance[b] : -log1pf(-chance[b]);
	if (ages)
		chance[0] *= 2.0f; /* half as long as the others */
}

/* Gone from the table by step: of present entries, of one arrival. */
struct gone {
	float now[FC_GRID_MOST], unit[FC_GRID_MOST];
};

static void pass_on(const struct fc_cell *c, const struct grid *g, const struct flows *fl,
		    struct fc_project_work *w, struct fc_curve *out, struct gone *gone)
{
	float share[FC_STAGES + 1];
	unsigned int d;

	next_shares(c, share);
	if (share[FC_STAGES] > 0.5f)
		add_scaled(out->stay_var + 1, fl->own_var + 1, 1.0f, g->points - 1);
	for (d = 0; d < FC_STAGES; d++) {
		if (share[d] <= 0.0f)
			continue;
		add_scaled(w->inflow[d][0] + 1, fl->go_now + 1, share[d], g->points - 1);
		add_scaled(w->inflow[d][1] + 1, fl->go_unit + 1, share[d], g->points - 1);
	}
	add_scaled(gone->now + 1, fl->go_now + 1, share[FC_STAGES], g->points - 1);
	add_scaled(gone->unit + 1, fl->go_unit + 1, share[FC_STAGES], g->points - 1);
}

static void project_stage(const struct forecast *f, const struct fc_cell *c, const struct grid *g,
			  struct fc_project_work *w, struct fc_curve *out, struct gone *gone)
{
	const struct fc_shift *sh = &f->shift[c->class_id];
	float *go = w->go[c->stage], *end = w->end[c->stage];
	bool fixed = g->dt == FC_FINE_DT && fc_cell_fixed(c) && c->epoch_timeout_s[0];
	struct flows fl = {
		w->inflow[c->stage][0],
		w->inflow[c->stage][1],
		w->out[0],
		w->out[1],
		fixed ? out->due : gone->now,
		fixed ? out->due_unit : gone->unit,
		w->out[2],
	};
	int64_t changed_s =
		FC_HAS(FC_PART_SHIFT) && c->stage == FC_ESTABLISHED ? sh->changed_s : INT64_MAX;
	struct step_table st;

	if (c->pop.total <= 0 && !any_inflow(&fl, g))
		return;
	memset(w->out, 0, sizeof(w->out));
	fc_cell_go(c, fc_watched_s(f), go);
	fc_cell_end(c, &f->late, end);
	to_rates(go, FC_AGE_BINS, true);
	to_rates(end, FC_LATE_BINS, false);
	make_steps(go, fixed ? NULL : end, c->epoch_timeout_s[0], g, &st);
	if (c->pop.total > 0) {
		push_population(c,
				&(struct part){f->now_s, INT64_MIN, changed_s, go, end,
					       fixed ? out->late : NULL},
				&st, g, &fl);
		if (c->pop.unknown > 0)
			push_constant(
				c->stage > FC_CLOSE ? 0.0
						    : (double)fc_cell_unknown(c, fc_watched_s(f)),
				c->stage > FC_CLOSE ? (double)fc_cell_unknown(c, fc_watched_s(f))
						    : 0.0,
				g, (float)c->pop.unknown, &fl);
	}
	if (changed_s < INT64_MAX) { /* those since then, and all who come */
		fc_shift_hazards(sh, c, f->now_s, w->go_new);
		to_rates(w->go_new, FC_AGE_BINS, true);
		make_steps(w->go_new, end, c->epoch_timeout_s[0], g, &st);
		push_population(
			c, &(struct part){f->now_s, changed_s, INT64_MAX, w->go_new, end, NULL},
			&st, g, &fl);
	}
	push_inflow(&st, g, &fl);
	pass_on(c, g, &fl, w, out, gone);
}

/* Those due stay counted until they are collected: add them, late as entries usually are. */
static void add_late(const float *survive, struct fc_curve *out)
{
	unsigned int j, k, len = FC_LATE_N;

	while (len > 1 && survive[len - 1] < 1e-4f)
		len--;
	for (j = 1; j < FC_FINE_N; j++) {
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

static void project_grid(const struct forecast *f, const struct fc_class *cl, struct grid g,
			 struct fc_project_work *w, struct fc_curve *out)
{
	struct gone gone = {{0}, {0}};
	float sum = 0.0f, p;
	float left_now = 0.0f, left_unit = 1.0f, moving = 0.0f;
	unsigned int s, j;

	memset(out, 0, sizeof(*out));
	memset(w->inflow, 0, sizeof(w->inflow));
	for (s = 0; s < FC_STAGES; s++)
		sum += cl->first[s];
	for (s = 0; s < FC_STAGES && sum > 0.0f; s++)
		w->inflow[s][1][1] = cl->first[s] / sum;
	for (s = 0; s < FC_STAGES; s++) {
		const struct fc_cell *c;

		if (cl->cell[s] == FC_NO_CELL)
			continue;
		c = &f->cell[cl->cell[s]];
		g.indexes = c->pop.total > 0 ? 3 * g.points : g.points;
		left_now += (float)c->pop.total;
		if (s != FC_TIME_WAIT && s != FC_CLOSE && s != FC_REPLIED && s != FC_ASSURED)
			moving += (float)c->pop.total;
		project_stage(f, c, &g, w, out, &gone);
	}
	out->stay[0] = left_now;
	for (j = 0; j < FC_LATE_N; j++)
		left_now -= out->late[j];
	/* variance of those with stages before them: one share for all */
	for (j = 1; j < g.points; j++) {
		left_now -= gone.now[j] + out->due[j];
		left_unit -= gone.unit[j] + out->due_unit[j];
		out->stay[j] = fmaxf(left_now, 0.0f);
		out->unit[j - 1] = fminf(fmaxf(left_unit, 0.0f), 1.0f);
		if (out->stay[0] > 0.0f) {
			p = out->stay[j] / out->stay[0];
			out->stay_var[j] += moving * p * (1.0f - p);
		}
	}
	if (g.dt == FC_FINE_DT)
		add_late(w->late_survive, out);
	out->unit[g.points - 1] = out->unit[g.points - 2];
}

void fc_project(const struct forecast *f, unsigned int class_id, struct fc_project_work *w,
		struct fc_curve *fine, struct fc_curve *coarse)
{
	const struct fc_class *cl = &f->cls[class_id];

	project_grid(f, cl, (struct grid){.dt = FC_FINE_DT, .points = FC_FINE_N}, w, fine);
	project_grid(f, cl, (struct grid){.dt = FC_COARSE_DT, .points = FC_COARSE_N}, w, coarse);
}
