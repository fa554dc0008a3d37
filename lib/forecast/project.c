// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/project.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3") /* long plain loops over floats: vectorise them */
#endif

#include <math.h>
#include <string.h>

#define INDEXES	   (3 * FC_FINE_N)
#define COARSE_SUB 8
#define SUB_POINTS ((3 * FC_COARSE_N + 1) * COARSE_SUB)
#define GONE	   40.0f /* cumulative hazard after which no entry is left */

const struct fc_grid fc_grid[FC_GRIDS] = {{FC_FINE_DT, FC_FINE_N, 3},
					  {FC_COARSE_DT, FC_COARSE_N, COARSE_SUB}};

_Static_assert(SUB_POINTS >= (3 * FC_FINE_N + 1) * 3, "room for the fine grid");

/* Entries by step; no two arrays overlap. */
struct flow {
	float *in;   /* into a stage */
	float *go;   /* on to the next */
	float *gone; /* from the table; of a fixed deadline on the fine grid: due */
};

/* One stage of a class on one grid. */
struct stage {
	const struct fc_cell *c;
	const struct fc_grid *g;
	int64_t now_s;
	const float *rate_go, *rate_end; /* hazards */
	bool due;			 /* who is past the deadline is told apart */
	float keep[INDEXES];		 /* probability to stay through the step after index i */
	float go[INDEXES];		 /* share of those who leave in it that go on */
	float keep_first, go_first;	 /* the same for the step in which it came */
	struct flow now, unit;		 /* of those present, and of one arrival */
	float *var, *late;		 /* of those present: n p (1 - p); past the deadline */
};

static const uint8_t usual_next[FC_STAGES] = {
	FC_SYN_RECV, FC_ESTABLISHED, FC_FIN_WAIT, FC_LAST_ACK, FC_LAST_ACK, FC_TIME_WAIT,
	FC_STAGES,   FC_STAGES,	     FC_REPLIED,  FC_STAGES,   FC_STAGES,   FC_STAGES,
};

/* ---- how a stage thins out ---- */

/*
 * Ages are learnt as differences of whole seconds: who is of age k then, is of
 * k - 0.5 to k + 0.5 really, and of 0 to 0.5 in the second it came.
 */
#define BORN_S 0.5

/* Hazards per second by bin, of which the first is so much shorter. */
struct hazard {
	const float *rates;
	unsigned int bins;
	double less_s;
};

/* Cumulative hazard at n ages from_s, from_s + by_s, .., walking along the bins. */
static void cumulate(const struct hazard *hazard, double from_s, double by_s, unsigned int n,
		     float *cum)
{
	unsigned int b = 0, i;
	double sum = 0.0, at = 0.0, end = 1.0 - hazard->less_s, age;

	for (i = 0; i < n && from_s + i * by_s < 0.0; i++)
		cum[i] = 0.0f;
	for (; i < n && sum <= (double)GONE; i++) {
		age = from_s + i * by_s;
		for (; end < age && b + 1 < hazard->bins;
		     at = end, end = (double)fc_bin_start(b + 1) - hazard->less_s)
			sum += (double)hazard->rates[b++] * (end - at);
		sum += (double)hazard->rates[b] * (age - at);
		at = age;
		cum[i] = (float)sum;
	}
	for (; i < n; i++)
		cum[i] = (float)sum;
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

static float share_that_goes(float go, float end)
{
	return go + end > 0.0f ? go / (go + end) : 1.0f;
}

/* For n ages. */
static void make_steps(struct stage *st, unsigned int n)
{
	static const float at_once[2] = {GONE, GONE};
	struct hazard on = {st->rate_go, FC_AGE_BINS, BORN_S};
	struct hazard expire = {st->due ? at_once : st->rate_end, st->due ? 2 : FC_LATE_BINS, 0.0};
	uint32_t timeout_s = st->c->timeout_s;
	float go[INDEXES + 2], end[SUB_POINTS], before, now;
	unsigned int sub = st->g->sub, i;
	double by_s = (double)st->g->dt_s / sub;

	cumulate(&on, 0.0, st->g->dt_s, n + 2, go);
	if (timeout_s)
		cumulate(&expire, 0.5 * by_s - timeout_s + (st->due ? 0.0 : 0.5), by_s,
			 (n + 1) * sub, end);
	else
		memset(end, 0, (n + 1) * sub * sizeof(end[0]));
	st->keep_first = before = step_survival(go, end, sub);
	st->go_first = share_that_goes(go[1], end[sub - 1]);
	for (i = 0; i < n; i++) {
		now = step_survival(go + i + 1, end + (i + 1) * sub, sub);
		st->keep[i] = before > 1e-12f ? fminf(now / before, 1.0f) : 0.0f;
		st->go[i] =
			share_that_goes(go[i + 2] - go[i], end[(i + 2) * sub - 1] - end[i * sub]);
		before = now;
	}
}

/* ---- what becomes of entries ---- */

/* Of one entry, by step: it goes on, or is gone; var: the variance of its being there. */
struct fate {
	unsigned int n;
	float go[FC_GRID_MOST], gone[FC_GRID_MOST], var[FC_GRID_MOST];
};

/* Of age index `at`; or it comes in this step, and `alive` is the chance to stay through it. */
static void follow(const struct stage *st, unsigned int at, float alive, struct fate *fate)
{
	unsigned int m;

	fate->go[0] = (1.0f - alive) * st->go_first;
	fate->gone[0] = (1.0f - alive) * (1.0f - st->go_first);
	fate->var[0] = 0.0f;
	for (m = 1; m < st->g->points && alive > 1e-5f; m++, at++) {
		float next = alive * st->keep[at];

		fate->go[m] = (alive - next) * st->go[at];
		fate->gone[m] = (alive - next) * (1.0f - st->go[at]);
		fate->var[m] = next * (1.0f - next);
		alive = next;
	}
	fate->n = m;
}

void fc_add_scaled(float *restrict to, const float *restrict of, float x, unsigned int n)
{
	unsigned int k;

	for (k = 0; k < n; k++)
		to[k] += x * of[k];
}

/* x entries from step `at` on. */
static void add_fate(const struct stage *st, const struct fate *fate, float x, unsigned int at,
		     const struct flow *flow)
{
	unsigned int n = fate->n < st->g->points - at ? fate->n : st->g->points - at;

	fc_add_scaled(flow->go + at, fate->go, x, n);
	fc_add_scaled(flow->gone + at, fate->gone, x, n);
}

static void add_present(const struct stage *st, const struct fate *fate, float n)
{
	add_fate(st, fate, n, 0, &st->now);
	fc_add_scaled(st->var, fate->var, n, fate->n);
}

/* n entries with these chances per second, whatever their age. */
static void add_ageless(const struct stage *st, float go_per_s, float end_per_s, float n)
{
	float keep = expf(-(go_per_s + end_per_s) * (float)st->g->dt_s), alive = 1.0f;
	float go = share_that_goes(go_per_s, end_per_s);
	struct fate fate = {.n = 1};

	for (; fate.n < st->g->points && alive > 1e-4f; fate.n++, alive *= keep) {
		fate.go[fate.n] = alive * (1.0f - keep) * go;
		fate.gone[fate.n] = alive * (1.0f - keep) * (1.0f - go);
		fate.var[fate.n] = alive * keep * (1.0f - alive * keep);
	}
	add_present(st, &fate, n);
}

/* n entries whose deadlines come evenly over `spread` steps before `until`: gone by then. */
static void add_due(const struct stage *st, float go_per_s, unsigned int until, unsigned int spread,
		    float n)
{
	unsigned int from = until > spread ? until - spread : 0;
	float keep = expf(-go_per_s * (float)st->g->dt_s), alive = 1.0f;
	struct fate fate = {.n = 1};

	for (; fate.n < st->g->points && fate.n <= until; fate.n++) {
		unsigned int m = fate.n;

		fate.go[m] = alive * (1.0f - keep);
		fate.gone[m] = m > from ? alive * keep / (float)(until - m + 1) : 0.0f;
		alive -= fate.go[m] + fate.gone[m];
	}
	add_present(st, &fate, n);
}

/* Those of a slot that are too old for the table of steps. */
static void add_old(const struct stage *st, const struct fc_slot *slot, int64_t age_s,
		    int64_t timeout_s)
{
	int64_t dt_s = st->g->dt_s, width_s = slot->width_s, late_s;
	float end = 0.0f;

	if (st->due && age_s + dt_s * st->g->points > timeout_s) {
		add_due(st, st->rate_go[fc_bin(age_s + 1, FC_AGE_BINS)],
			(unsigned int)((timeout_s - age_s + width_s / 2) / dt_s + 1),
			(unsigned int)(width_s / dt_s + 1), (float)slot->entries);
		return;
	}
	late_s = age_s - (int64_t)st->c->timeout_s;
	if (late_s >= 0)
		end = st->rate_end[fc_bin(late_s, FC_LATE_BINS)];
	add_ageless(st, st->rate_go[fc_bin(age_s + dt_s * st->g->points / 4, FC_AGE_BINS)], end,
		    (float)slot->entries);
}

/* Those who came from from_s until until_s; makes the tables, as long as they are needed. */
static void add_population(struct stage *st, int64_t from_s, int64_t until_s)
{
	unsigned int dt_s = st->g->dt_s, points = st->g->points, limit = 2 * points, i, most = 0;
	float at_index[2 * FC_GRID_MOST + 1] = {0};
	struct fc_slot slot = {0};
	struct fate fate;

	while (fc_population_next(&st->c->pop, st->now_s, &slot)) {
		int64_t age_s = st->now_s - slot.since_s, timeout_s, at_s;

		if (slot.since_s < from_s || slot.since_s >= until_s || slot.entries < 0)
			continue;
		age_s = age_s > 0 ? age_s - 1 : 0;
		timeout_s = fc_cell_timeout_at(st->c, slot.since_s);
		if (st->due && age_s >= timeout_s) {
			at_s = (age_s - timeout_s) / dt_s;
			st->late[at_s < FC_LATE_N ? at_s : FC_LATE_N - 1] += (float)slot.entries;
			continue;
		}
		/* another timeout: shift the age by what the deadline differs */
		at_s = age_s + (st->c->refreshed ? 0 : st->c->timeout_s - timeout_s);
		if (at_s >= (int64_t)limit * dt_s) {
			add_old(st, &slot, age_s, timeout_s);
			continue;
		}
		i = at_s > 0 ? (unsigned int)at_s / dt_s : 0;
		i = i * dt_s < 240 ? i : i / 4 * 4 + 2;
		at_index[i] += (float)slot.entries;
		most = i > most ? i : most;
	}
	make_steps(st, points + most);
	for (i = 0; i <= most; i++) {
		if (at_index[i] <= 0.0f)
			continue;
		follow(st, i, 1.0f, &fate);
		add_present(st, &fate, at_index[i]);
	}
}

static void add_inflow(const struct stage *st)
{
	struct fate fate;
	unsigned int j;

	follow(st, 0, st->keep_first, &fate);
	for (j = 1; j < st->g->points; j++) {
		if (st->now.in[j] > 1e-4f)
			add_fate(st, &fate, st->now.in[j], j, &st->now);
		if (st->unit.in[j] > 1e-6f)
			add_fate(st, &fate, st->unit.in[j], j, &st->unit);
	}
}

/* ---- from stage to stage ---- */

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

/* Gone from the table by step: of present entries, of one arrival. */
struct gone {
	float now[FC_GRID_MOST], unit[FC_GRID_MOST];
};

static void pass_on(const struct stage *st, struct fc_project_work *w, struct fc_curve *out,
		    struct gone *gone)
{
	float share[FC_STAGES + 1];
	unsigned int d, n = st->g->points;

	next_shares(st->c, share);
	if (share[FC_STAGES] > 0.5f)
		fc_add_scaled(out->stay_var, st->var, 1.0f, n);
	for (d = 0; d <= FC_STAGES; d++) {
		fc_add_scaled(d < FC_STAGES ? w->inflow[d][0] : gone->now, st->now.go, share[d], n);
		fc_add_scaled(d < FC_STAGES ? w->inflow[d][1] : gone->unit, st->unit.go, share[d],
			      n);
	}
}

/* Somebody is in it, or will be. */
static bool is_busy(const struct fc_cell *c, const struct fc_project_work *w, unsigned int points)
{
	float sum = (float)c->pop.total;
	unsigned int j;

	for (j = 1; j < points; j++)
		sum += w->inflow[c->stage][0][j] + w->inflow[c->stage][1][j];
	return sum > 1e-5f;
}

static void project_stage(const struct forecast *f, const struct fc_cell *c,
			  const struct fc_grid *g, struct fc_project_work *w, struct fc_curve *out,
			  struct gone *gone)
{
	bool due = g->dt_s == FC_FINE_DT && fc_cell_fixed(c) && c->timeout_s;
	float go_now[FC_GRID_MOST] = {0}, go_unit[FC_GRID_MOST] = {0}, var[FC_GRID_MOST] = {0};
	int64_t changed_s = FC_HAS(FC_PART_SHIFT) && c->stage == FC_ESTABLISHED
				    ? f->shift[c->class_id].changed_s
				    : INT64_MAX;
	float unknown = fc_cell_unknown(c, fc_watched_s(f));
	struct stage st = {
		.c = c,
		.g = g,
		.now_s = f->now_s,
		.rate_go = w->go[c->stage],
		.rate_end = w->end[c->stage],
		.due = due,
		.now = {w->inflow[c->stage][0], go_now, due ? out->due : gone->now},
		.unit = {w->inflow[c->stage][1], go_unit, due ? out->due_unit : gone->unit},
		.var = var,
		.late = out->late,
	};

	add_population(&st, INT64_MIN, changed_s);
	if (c->pop.unknown > 0)
		add_ageless(&st, c->stage > FC_CLOSE ? 0.0f : unknown,
			    c->stage > FC_CLOSE ? unknown : 0.0f, (float)c->pop.unknown);
	if (changed_s < INT64_MAX) { /* those since then, and all who come */
		st.rate_go = w->go_new;
		add_population(&st, changed_s, INT64_MAX);
	}
	add_inflow(&st);
	pass_on(&st, w, out, gone);
}

void fc_add_uncollected(const float *due, const float *late, const float *survive, float *left)
{
	unsigned int j, k, len = FC_LATE_N;

	while (len > 1 && survive[len - 1] < 1e-4f)
		len--;
	for (j = 1; j < FC_FINE_N; j++) {
		float sum = 0.0f;

		for (k = 0; k < j && k < len; k++)
			sum += due[j - k] * survive[k];
		for (k = 0; late && k + j < len; k++)
			sum += late[k] * survive[k + j] / survive[k];
		left[j] += sum;
	}
}

static void project_grid(const struct forecast *f, const struct fc_class *cl,
			 const struct fc_grid *g, struct fc_project_work *w, struct fc_curve *out)
{
	float left_now = 0.0f, left_unit = 1.0f, moving = 0.0f, arrive = 0.0f, p;
	struct gone gone = {{0}, {0}};
	unsigned int s, j;

	memset(out, 0, sizeof(*out));
	memset(w->inflow, 0, sizeof(w->inflow));
	for (s = 0; s < FC_STAGES; s++)
		arrive += cl->first[s];
	for (s = 0; s < FC_STAGES && arrive > 0.0f; s++)
		w->inflow[s][1][1] = cl->first[s] / arrive;
	for (s = 0; s < FC_STAGES; s++) {
		const struct fc_cell *c = fc_cell_at(f, cl, s);

		if (!c)
			continue;
		left_now += (float)c->pop.total;
		if (s != FC_TIME_WAIT && s != FC_CLOSE && s != FC_REPLIED && s != FC_ASSURED)
			moving += (float)c->pop.total;
		if (is_busy(c, w, g->points))
			project_stage(f, c, g, w, out, &gone);
	}
	out->stay[0] = left_now;
	for (j = 0; j < FC_LATE_N; j++)
		left_now -= out->late[j];
	/* variance of those with stages before them: one share for all */
	for (j = 1; j < g->points; j++) {
		left_now -= gone.now[j] + out->due[j];
		left_unit -= gone.unit[j] + out->due_unit[j];
		out->stay[j] = fmaxf(left_now, 0.0f);
		out->unit[j] = fmaxf(left_unit, 0.0f);
		p = out->stay[0] > 0.0f ? out->stay[j] / out->stay[0] : 0.0f;
		out->stay_var[j] += moving * p * (1.0f - p);
	}
	if (g->dt_s == FC_FINE_DT) {
		fc_add_uncollected(out->due, out->late, w->late_survive, out->stay);
		fc_add_uncollected(out->due_unit, NULL, w->late_survive, out->unit);
	}
	/* who arrives in step 1 has been there for none */
	for (j = 0; j < g->points; j++)
		out->unit[j] = fminf(out->unit[j + 1 < g->points ? j + 1 : j], 1.0f);
}

/* From chances per second to hazards; the first bin lasts for `first_s`. */
static void to_rates(float *chance, unsigned int n, float first_s)
{
	unsigned int b;

	for (b = 0; b < n; b++)
		chance[b] = chance[b] < 0.01f ? chance[b] : -log1pf(-chance[b]);
	chance[0] /= first_s;
}

void fc_project(const struct forecast *f, unsigned int class_id, struct fc_project_work *w,
		struct fc_curve curve[FC_GRIDS])
{
	const struct fc_class *cl = &f->cls[class_id];
	unsigned int s, g;

	for (s = 0; s < FC_STAGES; s++) {
		const struct fc_cell *c = fc_cell_at(f, cl, s);

		if (!c)
			continue;
		fc_cell_go(c, fc_watched_s(f), w->go[s]);
		fc_cell_end(c, &f->late, w->end[s]);
		to_rates(w->go[s], FC_AGE_BINS, 1.0f - (float)BORN_S);
		to_rates(w->end[s], FC_LATE_BINS, 1.0f);
		if (s != FC_ESTABLISHED || f->shift[class_id].changed_s == INT64_MAX)
			continue;
		fc_shift_hazards(&f->shift[class_id], c, f->now_s, w->go_new);
		to_rates(w->go_new, FC_AGE_BINS, 1.0f - (float)BORN_S);
	}
	for (g = 0; g < FC_GRIDS; g++)
		project_grid(f, cl, &fc_grid[g], w, &curve[g]);
}
