// SPDX-License-Identifier: GPL-2.0-or-later
/* Forks the simulation at an instant and plays it on, many times. */
#include "oracle.h"
#include "sim_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HORIZON_S      3600
#define RETURN_ATTEMPT 9 /* of arrivals that CH_CLOSE_ALL brings back */

static const unsigned int count_horizon_s[] = {30, 120, 600};
static const unsigned int full_horizon_s[] = {30, 60, 120, 300, 600, 1200, 1800, 3600};
#define COUNT_HORIZONS	3
#define COUNT_HORIZON_S 600 /* the last of them */
#define SHORT_PER_LONG	3
#define FULL_HORIZONS	8

struct oracle {
	struct sim fork;
	struct sim_out none;
	struct scenario sc; /* as the forecaster knows it */
	unsigned int paths, every;
	FILE *causal, *clairvoyant;
	bool failed;
	double count[COUNT_HORIZONS][ORACLE_PATHS_MAX * (1 + SHORT_PER_LONG)];
	/* of the long paths */
	double full_s[ORACLE_PATHS_MAX], drop_s[ORACLE_PATHS_MAX]; /* INFINITY: not */
};

/* What a scenario looks like to one who knows no shock after `now`. */
static void forget_shocks(struct scenario *sc, double now)
{
	unsigned int i;

	for (i = 0; i < sc->n_changes; i++) {
		struct sim_change *c = &sc->change[i];

		if (!change_is_shock(c))
			continue;
		if (c->t0 > now) {
			c->services = 0;
		} else if (c->t1 > now && c->kind == CH_RATE_RAMP) {
			/* the same slope without end */
			c->value = 1.0 + (c->value - 1.0) * 100.0;
			c->t1 = c->t0 + (c->t1 - c->t0) * 100.0;
		} else if (c->t1 > now) {
			c->t1 = NEVER_S;
		}
	}
}

/* When a connection that was closed for it comes back, given that it has not yet. */
static double return_s(const struct sim *s, const struct ev *ev, struct rng *r)
{
	unsigned int i;

	for (i = 0; i < s->sc->n_changes; i++) {
		const struct sim_change *c = &s->sc->change[i];

		if (c->kind == CH_CLOSE_ALL && c->t0 <= s->now && (c->services & (1u << ev->flow)))
			return fmax(s->now, c->t0 + c->value) + rng_exp(r, c->tau);
	}
	return ev->t;
}

static void carry_flow(struct sim *s, struct ev *ev)
{
	struct flow *fl = &s->flow[ev->flow];

	if (!fl->used || fl->stamp != ev->stamp)
		return;
	if (fl->expired) {
		ev->t = s->now + rng_exp(&s->table_rng, 1.0 / s->sc->lookup_per_s);
	} else if (fl->state == ST_ESTABLISHED) {
		return; /* draw_established() */
	} else if (fl->state == ST_ASSURED && fl->stay_until_s > s->now) {
		double age = s->now - fl->set_s, timeout = fl->deadline_s - fl->stay_until_s;

		fl->stay_until_s = fl->set_s + stay_beyond_s(&s->sc->service[fl->service],
							     fl->stay_scale_s, age, &s->rng);
		fl->deadline_s = fl->stay_until_s + timeout;
		ev->t = fl->deadline_s;
	}
	sim_push(s, ev->t, EV_FLOW, ev->flow, ev->attempt);
}

/* Who leaks and who stays how much longer, given that all are still there. */
static void draw_established(struct sim *s)
{
	unsigned int i;

	for (i = 0; i < s->high; i++) {
		struct flow *fl = &s->flow[i];
		const struct sim_service *sv = &s->sc->service[fl->service];
		double age = s->now - fl->set_s, still;

		if (!fl->used || fl->expired || fl->state != ST_ESTABLISHED)
			continue;
		still = (1.0 - fl->p_leaked) * stay_survival(sv, fl->stay_scale_s, age);
		fl->leaked = rng_u(&s->rng) * (fl->p_leaked + still) < fl->p_leaked;
		if (!fl->leaked)
			sim_push(s, fl->set_s + stay_beyond_s(sv, fl->stay_scale_s, age, &s->rng),
				 EV_FLOW, i, 0);
	}
}

static void fork_at(struct oracle *o, const struct sim *from, bool causal, uint64_t seed)
{
	struct sim *s = &o->fork;
	unsigned int i;

	sim_table_copy(s, from);
	s->sc = &o->sc;
	s->out = &o->none;
	s->rng.s = seed;
	s->table_rng.s = ~seed * 0x9E3779B97F4A7C15u;
	for (i = 0; i < from->heap_n; i++) {
		struct ev ev = from->heap[i];

		if (ev.kind == EV_CHANGE && causal && change_is_shock(&o->sc.change[ev.flow]))
			continue;
		if (ev.kind == EV_FLOW) {
			carry_flow(s, &ev);
			continue;
		}
		if (ev.kind == EV_ARRIVAL && ev.attempt == RETURN_ATTEMPT)
			ev.t = return_s(s, &ev, &s->rng);
		sim_push(s, ev.t, ev.kind, ev.flow, ev.attempt);
	}
	draw_established(s);
}

/* The first o->paths play the hour, the others as long as counts are asked for. */
static void play(struct oracle *o, unsigned int path)
{
	bool is_long = path < o->paths;
	double full_s = INFINITY, drop_s = INFINITY;
	struct sim *s = &o->fork;
	const double start = s->now;
	const unsigned int drop = s->drop;
	unsigned int x = 0, h;
	struct ev ev;

	sim_begin_second(s);
	while (x < (is_long ? HORIZON_S : COUNT_HORIZON_S) && sim_pop(s, &ev) &&
	       !s->out_of_memory) {
		sim_event(s, &ev);
		if (ev.kind != EV_SECOND)
			continue;
		x = (unsigned int)(s->now - start + 0.5);
		for (h = 0; h < COUNT_HORIZONS; h++)
			if (x == count_horizon_s[h])
				o->count[h][path] = s->count;
		if (s->max && s->count >= s->max)
			full_s = fmin(full_s, x);
		if (s->drop > drop)
			drop_s = fmin(drop_s, x);
		if (x >= COUNT_HORIZON_S && drop_s < INFINITY && full_s < INFINITY)
			break;
	}
	if (is_long) {
		o->full_s[path] = full_s;
		o->drop_s[path] = drop_s;
	}
	o->failed |= s->out_of_memory;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of sorted values; between two of them in proportion. */
static double quantile(const double *v, unsigned int n, double q)
{
	double at = fmin(fmax(q * (n + 1) - 1.0, 0.0), n - 1.0);
	unsigned int i = (unsigned int)at;

	return i + 1 < n && v[i + 1] < INFINITY ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[i];
}

static double share_within(const double *v, unsigned int n, double x)
{
	unsigned int i, in = 0;

	for (i = 0; i < n; i++)
		in += v[i] <= x;
	return (double)in / n;
}

static void answer(struct oracle *o, unsigned int k, unsigned int now, FILE *f)
{
	unsigned int h, n = o->paths, n_counts = n * (1 + SHORT_PER_LONG);
	double tte;

	fprintf(f, "{\"k\":%u,\"now\":%u,\"count\":{", k, now);
	for (h = 0; h < COUNT_HORIZONS; h++) {
		double *v = o->count[h];

		qsort(v, n_counts, sizeof(*v), by_value);
		fprintf(f, "%s\"%u\":[%.1f,%.1f,%.1f,%.1f,%.1f]", h ? "," : "", count_horizon_s[h],
			quantile(v, n_counts, 0.5), quantile(v, n_counts, 0.1),
			quantile(v, n_counts, 0.9), quantile(v, n_counts, 0.025),
			quantile(v, n_counts, 0.975));
	}
	qsort(o->full_s, n, sizeof(*o->full_s), by_value);
	tte = quantile(o->full_s, n, 0.5);
	if (tte <= HORIZON_S)
		fprintf(f, "},\"tte\":%.1f,\"p_full\":{", tte);
	else
		fprintf(f, "},\"tte\":null,\"p_full\":{");
	for (h = 0; h < FULL_HORIZONS; h++)
		fprintf(f, "%s\"%u\":%.4f", h ? "," : "", full_horizon_s[h],
			share_within(o->full_s, n, full_horizon_s[h]));
	fprintf(f, "},\"alarm\":%d,\"p_drop\":{\"600\":%.4f,\"3600\":%.4f}}\n",
		share_within(o->full_s, n, 600) >= 0.5, share_within(o->drop_s, n, 600),
		share_within(o->drop_s, n, 3600));
}

static bool shock_ahead(const struct scenario *sc, double now)
{
	unsigned int i;

	for (i = 0; i < sc->n_changes; i++) {
		const struct sim_change *c = &sc->change[i];

		if (change_is_shock(c) && ((c->t0 > now && c->t0 <= now + HORIZON_S) ||
					   (c->t1 > now && c->t1 <= now + HORIZON_S)))
			return true;
	}
	return false;
}

static void at_eval(const struct sim *s, unsigned int k, void *ctx)
{
	struct oracle *o = ctx;
	unsigned int path, causal;

	if (k % o->every)
		return;
	for (causal = 0; causal < 2; causal++) {
		if (causal && !shock_ahead(s->sc, s->now)) {
			answer(o, k, s->count, o->causal); /* both know the same */
			return;
		}
		o->sc = *s->sc;
		if (causal)
			forget_shocks(&o->sc, s->now);
		for (path = 0; path < o->paths * (1 + SHORT_PER_LONG); path++) {
			fork_at(o, s, causal,
				(((o->sc.seed * 1009 + k) * 1031 + path) * 2 + causal) *
					0xBF58476D1CE4E5B9u);
			play(o, path);
		}
		answer(o, k, s->count, causal ? o->causal : o->clairvoyant);
	}
}

int oracle_run(const struct scenario *sc, unsigned int paths, unsigned int every,
	       struct sim_out *out, FILE *causal, FILE *clairvoyant)
{
	struct oracle *o;
	int ret;

	if (!paths || paths > ORACLE_PATHS_MAX || !every)
		return -EINVAL;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->paths = paths;
	o->every = every;
	o->causal = causal;
	o->clairvoyant = clairvoyant;
	out->at_eval = at_eval;
	out->ctx = o;
	ret = sim_table_init(&o->fork, SIM_CAP);
	if (!ret)
		ret = sim_run(sc, out);
	if (o->failed)
		ret = -ENOMEM;
	sim_table_free(&o->fork);
	free(o);
	return ret;
}
