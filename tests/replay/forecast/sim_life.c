// SPDX-License-Identifier: GPL-2.0-or-later
/* The lives of simulated entries: arrival, states, stays, early drop. */
#include "sim_table.h"

#define RTT_MEAN_S 0.033

static double round_trip_s(struct sim *s)
{
	return 0.002 + rng_exp(&s->rng, RTT_MEAN_S);
}

static void set_stay_scale(const struct sim *s, struct flow *fl)
{
	fl->stay_scale_s = s->sc->service[fl->service].stay_s * s->stay_factor[fl->service];
}

static double new_stay_s(struct sim *s, struct flow *fl)
{
	return stay_draw_s(&s->sc->service[fl->service], fl->stay_scale_s, &s->rng);
}

/* From a night of half the rate to a working day of one and a half. */
static double week(const struct sim_change *c, double t)
{
	double days = (t - c->t0) / c->tau, busy = tanh(3.0 * sin(6.283185307179586 * days));

	return 1.0 + 0.5 * busy * (fmod(days, 7.0) >= 5.0 && busy > 0.0 ? c->value : 1.0);
}

double sim_rate_per_s(const struct sim *s, unsigned int service, double t)
{
	double r = s->sc->service[service].rate_per_s;
	unsigned int i;

	for (i = 0; i < s->sc->n_changes; i++) {
		const struct sim_change *c = &s->sc->change[i];

		if (!(c->services & (1u << service)))
			continue;
		if (c->kind == CH_RATE_SIN) {
			r *= 1.0 + c->value * sin(6.283185307179586 * (t - c->t0) / c->tau);
			continue;
		}
		if (c->kind == CH_RATE_WEEK) {
			r *= week(c, t);
			continue;
		}
		if (t < c->t0)
			continue;
		if (c->kind == CH_RATE_STEP && t < c->t1)
			r *= c->value;
		else if (c->kind == CH_RATE_RAMP)
			r *= 1.0 + (c->value - 1.0) * fmin(1.0, (t - c->t0) / (c->t1 - c->t0));
		else if (c->kind == CH_RATE_FLASH)
			r *= 1.0 + (c->value - 1.0) *
					   (1.0 - exp(-(fmin(t, c->t1) - c->t0) / c->tau)) *
					   (t > c->t1 ? exp(-(t - c->t1) / (4.0 * c->tau)) : 1.0);
	}
	return r;
}

void sim_set_state(struct sim *s, uint32_t f, enum sim_state state, bool quiet)
{
	static const uint8_t timeout_of[ST_COUNT] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9};
	struct flow *fl = &s->flow[f];
	bool icmp = s->sc->service[fl->service].life == LIFE_ICMP;
	double timeout = icmp ? 30.0 : s->timeout_s[timeout_of[state]];

	fl->state = (uint8_t)state;
	fl->set_s = s->now;
	fl->deadline_s = s->now + timeout;
	if (state == ST_ESTABLISHED || state == ST_ASSURED)
		fl->assured = true;
	if (fl->assured)
		sim_list_del(s, LIST_UNASSURED, f);
	else
		sim_list_add(s, LIST_UNASSURED, f);
	if (!quiet)
		sim_emit(s, "UPDATE", f, (long)timeout);
}

static void wait_for_end(struct sim *s, uint32_t f)
{
	sim_push(s, s->flow[f].deadline_s, EV_FLOW, f, 0);
}

/* At the limit: look into eight buckets. False: the packet is dropped. */
static bool make_room(struct sim *s)
{
	const struct scenario *sc = s->sc;
	unsigned int buckets = sc->buckets ? sc->buckets : 1;
	struct index_list *un = &s->list[LIST_UNASSURED], *ex = &s->list[LIST_EXPIRED];
	unsigned int seen, killed = 0;

	seen = rng_poisson(&s->table_rng, 16.0 * ex->n / buckets);
	for (; seen && ex->n; seen--)
		sim_destroy(s, ex->at[rng_below(&s->table_rng, ex->n)]);
	if (rng_u(&s->table_rng) < exp(-16.0 * un->n / buckets))
		return s->count < s->max;
	/* all candidates of the first bucket that has one */
	seen = 1 + rng_poisson(&s->table_rng, 2.0 * un->n / buckets);
	for (; seen && un->n; seen--, killed++)
		sim_destroy(s, un->at[rng_below(&s->table_rng, un->n)]);
	s->early_drop += killed;
	return killed > 0;
}

static void retry(struct sim *s, unsigned int service, unsigned int attempt)
{
	enum sim_life life = s->sc->service[service].life;

	if (life == LIFE_TCP && attempt < 4 && rng_u(&s->table_rng) < s->sc->retry_share)
		sim_push(s, s->now + (1 << attempt), EV_ARRIVAL, service, attempt + 1);
	else if (life == LIFE_UDP_ONE && attempt < 1)
		sim_push(s, s->now + 5, EV_ARRIVAL, service, attempt + 1);
}

static void first_plan(struct sim *s, uint32_t f)
{
	struct flow *fl = &s->flow[f];
	bool answered = rng_u(&s->rng) >= s->p_no_answer[fl->service];

	switch (s->sc->service[fl->service].life) {
	case LIFE_UDP_STORM:
		answered = false;
		break;
	case LIFE_TCP_FLOOD:
		answered = true;
		break;
	default:
		break;
	}
	if (answered)
		sim_push(s, s->now + round_trip_s(s), EV_FLOW, f, 0);
	else
		wait_for_end(s, f);
}

void sim_arrival(struct sim *s, unsigned int service, unsigned int attempt)
{
	const struct sim_service *sv = &s->sc->service[service];
	bool tcp = sv->life == LIFE_TCP || sv->life == LIFE_TCP_FLOOD;
	struct flow *fl;
	uint32_t f;

	if (s->tracing && s->max && s->count + 1 > s->max && !make_room(s)) {
		s->drop++;
		s->evict = true;
		retry(s, service, attempt);
		return;
	}
	f = sim_flow_new(s);
	if (f == NO_INDEX)
		return;
	fl = &s->flow[f];
	fl->service = (uint8_t)service;
	fl->src = (service << 16) | rng_below(&s->rng, sv->life == LIFE_TCP_FLOOD ? 65536 : 1024);
	fl->dst = (service << 8) | rng_below(&s->rng, 4);
	fl->sport = (uint16_t)(1024 + rng_below(&s->rng, 64000));
	fl->dport = (uint16_t)(sv->random_port ? 1 + rng_below(&s->rng, 65535) : sv->port);
	sim_set_state(s, f, tcp ? ST_SYN_SENT : ST_UNREPLIED, true);
	sim_emit(s, "NEW", f, (long)(fl->deadline_s - s->now + 0.5));
	first_plan(s, f);
}

static void step_established(struct sim *s, uint32_t f)
{
	struct flow *fl = &s->flow[f];
	const struct sim_service *sv = &s->sc->service[fl->service];

	if (fl->leaked)
		return;
	if (rng_u(&s->rng) < sv->p_reset) {
		sim_set_state(s, f, ST_CLOSE, false);
		wait_for_end(s, f);
		return;
	}
	sim_set_state(s, f, ST_FIN_WAIT, false);
	sim_push(s, s->now + round_trip_s(s), EV_FLOW, f, 0);
}

static void step_tcp(struct sim *s, uint32_t f)
{
	struct flow *fl = &s->flow[f];
	const struct sim_service *sv = &s->sc->service[fl->service];

	switch (fl->state) {
	case ST_SYN_SENT:
		sim_set_state(s, f, ST_SYN_RECV, false);
		if (sv->life == LIFE_TCP_FLOOD) {
			/* the SYN/ACK is resent at 1, 3, 7, 15, 31 s */
			fl->deadline_s += 31.0 + rng_u(&s->rng);
			wait_for_end(s, f);
			break;
		}
		sim_push(s, s->now + round_trip_s(s), EV_FLOW, f, 0);
		break;
	case ST_SYN_RECV:
		sim_set_state(s, f, ST_ESTABLISHED, false);
		fl->p_leaked = s->p_leak[fl->service];
		fl->leaked = rng_u(&s->rng) < fl->p_leaked;
		set_stay_scale(s, fl);
		if (!fl->leaked)
			sim_push(s, s->now + new_stay_s(s, fl), EV_FLOW, f, 0);
		break;
	case ST_ESTABLISHED:
		step_established(s, f);
		break;
	case ST_FIN_WAIT:
		if (rng_u(&s->rng) < sv->p_half_close) {
			sim_set_state(s, f, ST_CLOSE_WAIT, false);
			wait_for_end(s, f);
			break;
		}
		sim_set_state(s, f, ST_LAST_ACK, false);
		sim_push(s, s->now + round_trip_s(s), EV_FLOW, f, 0);
		break;
	default:
		sim_set_state(s, f, ST_TIME_WAIT, false);
		wait_for_end(s, f);
		break;
	}
}

static void step_other(struct sim *s, uint32_t f)
{
	struct flow *fl = &s->flow[f];
	bool stream = s->sc->service[fl->service].life == LIFE_UDP_STREAM;

	if (fl->state == ST_UNREPLIED) {
		sim_set_state(s, f, ST_REPLIED, false);
		if (stream)
			sim_push(s, s->now + 2.1, EV_FLOW, f, 0);
		else
			wait_for_end(s, f);
		return;
	}
	sim_set_state(s, f, ST_ASSURED, false);
	/* packets go on without an event; the last one sets the deadline */
	set_stay_scale(s, fl);
	fl->stay_until_s = s->now + new_stay_s(s, fl);
	fl->deadline_s += fl->stay_until_s - s->now;
	wait_for_end(s, f);
}

void sim_step(struct sim *s, uint32_t f)
{
	struct flow *fl = &s->flow[f];

	if (fl->expired) {
		sim_destroy(s, f); /* met by a lookup */
		return;
	}
	if (s->now >= fl->deadline_s - 1e-9) {
		fl->expired = true;
		sim_list_add(s, LIST_EXPIRED, f);
		sim_push(s, s->now + rng_exp(&s->table_rng, 1.0 / s->sc->lookup_per_s), EV_FLOW, f,
			 0);
		return;
	}
	if (fl->state <= ST_CLOSE)
		step_tcp(s, f);
	else
		step_other(s, f);
}
