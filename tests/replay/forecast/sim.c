// SPDX-License-Identifier: GPL-2.0-or-later
/* Plays a scenario: seconds, changes, collector, truth and spells. */
#include "sim_table.h"

#include <errno.h>
#include <string.h>

static const double timeout_defaults_s[10] = {120, 60, 432000, 120, 60, 30, 120, 10, 30, 120};

static void write_sysctl(struct sim *s, unsigned int i)
{
	if (s->out->trace && s->now <= SIM_OBSERVED_S)
		fprintf(s->out->trace, "%.0f,SYSCTL,%s,%.0f\n", s->now * 1e9, sim_timeout_names[i],
			s->timeout_s[i]);
}

/* All expired entries go: the collector, or somebody's dump. */
static void collect_expired(struct sim *s)
{
	while (s->list[LIST_EXPIRED].n)
		sim_destroy(s, s->list[LIST_EXPIRED].at[0]);
}

static bool evictable(const struct flow *fl)
{
	return !fl->assured || (fl->state >= ST_FIN_WAIT && fl->state <= ST_CLOSE);
}

static void collector_pass(struct sim *s)
{
	unsigned int i, at, target = s->max / 100 * 95;

	collect_expired(s);
	if (s->evict && s->max && s->count >= target) {
		at = rng_below(&s->table_rng, s->cap);
		for (i = 0; i < s->cap && s->count > target; i++, at = (at + 1) % s->cap)
			if (s->flow[at].used && evictable(&s->flow[at]))
				sim_destroy(s, at);
	}
	s->evict = false;
}

static void close_all(struct sim *s, const struct sim_change *c)
{
	unsigned int i;

	for (i = 0; i < s->cap; i++) {
		struct flow *fl = &s->flow[i];

		if (!fl->used || fl->expired || !(c->services & (1u << fl->service)) ||
		    fl->state != ST_ESTABLISHED)
			continue;
		fl->stamp++;
		sim_set_state(s, i, ST_CLOSE, false);
		sim_push(s, fl->deadline_s, EV_FLOW, i, 0);
		if (c->tau > 0.0)
			sim_push(s, s->now + c->value + rng_exp(&s->rng, c->tau), EV_ARRIVAL,
				 fl->service, 9);
	}
}

static void apply_change(struct sim *s, const struct sim_change *c, bool end)
{
	unsigned int i;

	for (i = 0; i < s->sc->n_services; i++) {
		if (!(c->services & (1u << i)))
			continue;
		if (c->kind == CH_STAY)
			s->stay_factor[i] = end ? 1.0 : c->value;
		else if (c->kind == CH_LEAK)
			s->p_leak[i] = end ? s->sc->service[i].p_leak : c->value;
		else if (c->kind == CH_NO_ANSWER)
			s->p_no_answer[i] = end ? s->sc->service[i].p_no_answer : c->value;
	}
	if (c->kind == CH_CLOSE_ALL && !end) {
		close_all(s, c);
	} else if (c->kind == CH_TIMEOUT && !end) {
		s->timeout_s[c->port] = c->value;
		write_sysctl(s, c->port);
	} else if (c->kind == CH_MAX && !end && s->max) {
		s->max = (unsigned int)(c->value * s->max);
	} else if (c->kind == CH_LOSE) {
		s->lose = end ? 0.0 : c->value;
	} else if (c->kind == CH_DUMP && !end) {
		collect_expired(s);
	}
}

static void arrivals_of_second(struct sim *s)
{
	unsigned int i, j, n;

	for (i = 0; i < s->sc->n_services; i++) {
		const struct sim_service *sv = &s->sc->service[i];
		double mean = sim_rate_per_s(s, i, s->now + 0.5), batch = sv->batch;

		if (batch > 1.0) {
			/* batches of geometric size */
			for (n = rng_poisson(&s->rng, mean / batch); n; n--) {
				double t = s->now + rng_u(&s->rng);

				do
					sim_push(s, t + rng_exp(&s->rng, 0.05), EV_ARRIVAL, i, 0);
				while (rng_u(&s->rng) > 1.0 / batch);
			}
			continue;
		}
		for (n = rng_poisson(&s->rng, mean); n; n--)
			sim_push(s, s->now + rng_u(&s->rng), EV_ARRIVAL, i, 0);
	}
	for (j = 0; j < s->sc->n_changes; j++) {
		const struct sim_change *c = &s->sc->change[j];

		if (c->kind != CH_RATE_PULSES || s->now < c->t0 || s->now >= c->t1 ||
		    fmod(s->now - floor(c->t0), floor(c->tau)) >= 1.0)
			continue;
		for (i = 0; i < s->sc->n_services; i++)
			if (c->services & (1u << i))
				for (n = rng_poisson(&s->rng, c->value); n; n--)
					sim_push(s, s->now + rng_exp(&s->rng, 1.0), EV_ARRIVAL, i,
						 0);
	}
}

/* A stream that is in use shows a timeout refreshed a moment ago. */
static double dump_cap_s(struct sim *s, const struct flow *fl)
{
	if (fl->state == ST_ASSURED)
		return s->timeout_s[9] - 1 - rng_below(&s->table_rng, 10);
	if (fl->state == ST_SYN_RECV)
		return s->timeout_s[1] - 1 - rng_below(&s->table_rng, 10);
	return 1e9;
}

static void start_trace(struct sim *s)
{
	const struct scenario *sc = s->sc;
	unsigned int i;

	s->tracing = true;
	s->out->base = s->count;
	if (!s->out->trace)
		return;
	fprintf(s->out->trace, "#meta,version=1,max=%u,buckets=%u,day_s=%.0f,horizon=3600\n",
		s->max, sc->buckets, sc->day_s);
	for (i = 0; i < 10; i++)
		write_sysctl(s, i);
	for (i = 0; i < s->cap; i++) {
		struct flow *fl = &s->flow[i];

		if (fl->used && !fl->expired)
			sim_emit(
				s, "DUMP", i,
				(long)(fl->state == ST_ESTABLISHED
					       ? s->timeout_s[2] - rng_below(&s->table_rng, 30)
					       : fmin(fl->deadline_s - s->now, dump_cap_s(s, fl))));
	}
	collect_expired(s);
}

static void track_spell(struct sim *s)
{
	bool full = s->max && s->count >= s->max;

	if (full && s->full_since_s < 0.0)
		s->full_since_s = s->now;
	if (full)
		s->last_full_s = s->now;
	/* gc eviction makes a full table dip for up to a minute */
	if (s->full_since_s >= 0.0 && (s->now - s->last_full_s > 90.0 || s->now >= SIM_END_S)) {
		if (s->out->spells)
			fprintf(s->out->spells, "%.3f,%.3f\n", s->full_since_s, s->last_full_s);
		s->full_since_s = -1.0;
	}
}

static void at_evals(struct sim *s)
{
	const struct sim_out *out = s->out;

	if (!out->trace && !out->at_eval)
		return;
	for (; s->now >= s->next_eval_s && s->next_eval_s <= SIM_OBSERVED_S; s->eval_k++) {
		if (out->trace)
			fprintf(out->trace, "%.0f,EVAL,%u\n", s->next_eval_s * 1e9, s->eval_k);
		if (out->at_eval)
			out->at_eval(s, s->eval_k, out->ctx);
		s->next_eval_s += 15.0 + rng_below(&s->eval_rng, 30);
	}
}

void sim_begin_second(struct sim *s)
{
	arrivals_of_second(s);
	sim_push(s, s->now + 1.0, EV_SECOND, 0, 0);
}

static void second(struct sim *s)
{
	if (s->now == 0.0)
		start_trace(s);
	if (s->tracing) {
		s->out->peak = fmax(s->out->peak, s->count);
		track_spell(s);
		if (s->out->truth)
			fprintf(s->out->truth, "%.0f,%u,%u,%u\n", s->now, s->count, s->drop,
				s->early_drop);
		if (s->out->trace && s->now <= SIM_OBSERVED_S)
			fprintf(s->out->trace, "%.0f,STAT,%u,%u,%u,%u\n", s->now * 1e9, s->count,
				s->max, s->drop, s->early_drop);
	}
	at_evals(s);
	sim_begin_second(s);
}

void sim_event(struct sim *s, const struct ev *ev)
{
	s->now = ev->t;
	if (ev->kind == EV_FLOW) {
		if (s->flow[ev->flow].used && s->flow[ev->flow].stamp == ev->stamp)
			sim_step(s, ev->flow);
	} else if (ev->kind == EV_ARRIVAL) {
		sim_arrival(s, ev->flow, ev->attempt);
	} else if (ev->kind == EV_SECOND) {
		second(s);
	} else if (ev->kind == EV_GC) {
		collector_pass(s);
		sim_push(s, s->now + s->sc->gc_period_s, EV_GC, 0, 0);
	} else {
		apply_change(s, &s->sc->change[ev->flow], ev->attempt == 1);
	}
}

static void schedule(struct sim *s)
{
	const struct scenario *sc = s->sc;
	unsigned int i;

	sim_push(s, -SIM_WARMUP_S, EV_SECOND, 0, 0);
	sim_push(s, -SIM_WARMUP_S + rng_range(&s->table_rng, 0.0, sc->gc_period_s), EV_GC, 0, 0);
	/* long exponential stays start in their steady state */
	for (i = 0; i < sc->n_services; i++) {
		const struct sim_service *sv = &sc->service[i];
		unsigned int n = 0;

		if (sv->stay == STAY_EXP && sv->stay_s > 600.0)
			n = rng_poisson(&s->rng, sv->rate_per_s * sv->stay_s);
		for (; n; n--)
			sim_push(s, -SIM_WARMUP_S, EV_ARRIVAL, i, 0);
	}
	for (i = 0; i < sc->n_changes; i++) {
		if (sc->change[i].kind <= CH_RATE_PULSES)
			continue;
		sim_push(s, sc->change[i].t0, EV_CHANGE, i, 0);
		if (sc->change[i].t1 > sc->change[i].t0)
			sim_push(s, sc->change[i].t1, EV_CHANGE, i, 1);
	}
}

static void write_shocks(const struct scenario *sc, FILE *f)
{
	unsigned int i;

	for (i = 0; i < sc->n_changes; i++) {
		const struct sim_change *c = &sc->change[i];

		if (!change_is_shock(c))
			continue;
		fprintf(f, "%.1f\n", c->t0);
		if (c->t1 > c->t0 && c->t1 < SIM_END_S)
			fprintf(f, "%.1f\n", c->t1);
	}
}

int sim_run(const struct scenario *sc, struct sim_out *out)
{
	struct sim s;
	unsigned int i;
	struct ev ev;
	int ret;

	memset(&s, 0, sizeof(s));
	s.sc = sc;
	s.out = out;
	s.rng.s = sc->seed * 2 + 1;
	s.table_rng.s = sc->seed * 2 + 0x5bd1e995u;
	s.eval_rng.s = sc->seed * 77 + 5;
	s.next_eval_s = 45.0 + rng_below(&s.eval_rng, 30);
	s.max = sc->max;
	s.full_since_s = -1.0;
	s.now = -SIM_WARMUP_S;
	memcpy(s.timeout_s, timeout_defaults_s, sizeof(s.timeout_s));
	for (i = 0; i < sc->n_services; i++) {
		s.stay_factor[i] = 1.0;
		s.p_leak[i] = sc->service[i].p_leak;
		s.p_no_answer[i] = sc->service[i].p_no_answer;
	}
	ret = sim_table_init(&s, SIM_CAP);
	if (ret)
		goto out;
	schedule(&s);
	if (out->shocks)
		write_shocks(sc, out->shocks);
	while (sim_pop(&s, &ev) && ev.t <= SIM_END_S && !s.out_of_memory)
		sim_event(&s, &ev);
	if (s.out_of_memory)
		ret = -ENOMEM;
out:
	sim_table_free(&s);
	return ret;
}
