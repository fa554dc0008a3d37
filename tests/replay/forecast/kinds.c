// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The 29 kinds of scenario. Every size, rate, onset, mix and limit is drawn
 * from the seed; nothing here is fitted to a recorded trace.
 */
#include "sim.h"

#include <string.h>

enum { WEB, UPSTREAM, DB, DNS, QUIC, PING, EXTRA };
#define BIT(n)	(1u << (n))
#define CLIENTS (BIT(WEB) | BIT(UPSTREAM) | BIT(QUIC))

static struct sim_change *change(struct scenario *sc, enum sim_change_kind kind,
				 unsigned int services, double t0, double t1, double value)
{
	struct sim_change *c = &sc->change[sc->n_changes];

	if (sc->n_changes + 1 < SIM_CHANGES_MAX)
		sc->n_changes++;
	memset(c, 0, sizeof(*c));
	c->kind = kind;
	c->services = services;
	c->t0 = t0;
	c->t1 = t1;
	c->value = value;
	return c;
}

static struct sim_service *service(struct scenario *sc, enum sim_life life, unsigned int port,
				   double rate_per_s, enum sim_stay stay, double stay_s,
				   double shape)
{
	struct sim_service *sv = &sc->service[sc->n_services++];

	memset(sv, 0, sizeof(*sv));
	sv->life = life;
	sv->port = port;
	sv->rate_per_s = rate_per_s;
	sv->stay = stay;
	sv->stay_s = stay_s;
	sv->stay_shape = shape;
	sv->batch = 1.0;
	return sv;
}

static void draw_base(struct scenario *sc, struct rng *r)
{
	double scale = rng_log_range(r, 0.6, 2.0);
	struct sim_service *sv;

	sv = service(sc, LIFE_TCP, 443, scale * rng_range(r, 1.5, 3.5), STAY_LOGNORMAL,
		     rng_log_range(r, 5, 20), rng_range(r, 0.8, 1.3));
	sv->p_reset = rng_range(r, 0.02, 0.15);
	sv->p_half_close = rng_range(r, 0.0, 0.06);
	sv->p_no_answer = 0.01;
	sv = service(sc, LIFE_TCP, 8080, scale * rng_range(r, 1.0, 2.5),
		     rng_u(r) < 0.3 ? STAY_HYPER : STAY_LOGNORMAL, rng_log_range(r, 20, 150),
		     rng_range(r, 0.1, 1.1));
	sv->p_reset = rng_range(r, 0.0, 0.1);
	service(sc, LIFE_TCP, 5432, scale * rng_range(r, 0.02, 0.1), STAY_EXP,
		rng_log_range(r, 1200, 4500), 0);
	sv = service(sc, LIFE_UDP_ONE, 53, scale * rng_range(r, 1.0, 3.0), STAY_FIXED, 1, 0);
	sv->p_no_answer = rng_range(r, 0.0, 0.1);
	service(sc, LIFE_UDP_STREAM, 443, scale * rng_range(r, 0.3, 1.2), STAY_LOGNORMAL,
		rng_log_range(r, 10, 40), rng_range(r, 0.7, 1.2));
	service(sc, LIFE_ICMP, 0, scale * rng_range(r, 0.1, 0.4), STAY_FIXED, 1, 0);

	sc->lookup_per_s = rng_u(r) < 0.7 ? 0.5 : rng_log_range(r, 0.02, 1.0);
	sc->gc_period_s = rng_u(r) < 0.7 ? 60.0 : rng_range(r, 20.0, 60.0);
	sc->retry_share = rng_range(r, 0.5, 0.95);
	sc->buckets_per_max = rng_u(r) < 0.7 ? 1.0 : rng_log_range(r, 0.25, 4.0);
	sc->day_s = 86400.0;
	if (rng_u(r) < 0.25)
		sc->service[rng_below(r, 2)].batch = rng_range(r, 2.0, 6.0);
}

static double onset(struct rng *r)
{
	return rng_range(r, 700, 3000);
}

/* The kinds; `fills` and the place of the limit are set by the caller. */
static void k_steady(struct scenario *sc, struct rng *r)
{
	(void)sc;
	(void)r;
}

static void k_daily(struct scenario *sc, struct rng *r)
{
	struct sim_change *c;

	sc->day_s = rng_range(r, 1200, 7200);
	c = change(sc, CH_RATE_SIN, CLIENTS | BIT(DNS), rng_range(r, -7200, 0), 0,
		   rng_range(r, 0.25, 0.7));
	c->tau = sc->day_s;
}

static void k_step(struct scenario *sc, struct rng *r)
{
	change(sc, CH_RATE_STEP, CLIENTS, onset(r), 1e9, rng_range(r, 1.5, 3.0));
}

static void k_ramp(struct scenario *sc, struct rng *r)
{
	double t = onset(r);

	change(sc, CH_RATE_RAMP, CLIENTS, t, t + rng_range(r, 600, 2500), rng_range(r, 1.6, 3.5));
}

static void k_flash(struct scenario *sc, struct rng *r)
{
	double t = onset(r);
	struct sim_change *c = change(sc, CH_RATE_FLASH, BIT(WEB) | BIT(QUIC), t,
				      t + rng_range(r, 300, 1200), rng_range(r, 3, 7));

	c->tau = rng_log_range(r, 30, 200);
}

static void k_keepalive_off(struct scenario *sc, struct rng *r)
{
	double t = onset(r);

	change(sc, CH_STAY, BIT(UPSTREAM), t, 0, rng_log_range(r, 0.001, 0.02));
	change(sc, CH_RATE_STEP, BIT(UPSTREAM), t, 1e9, rng_range(r, 4, 10));
}

static void k_leak(struct scenario *sc, struct rng *r)
{
	change(sc, CH_LEAK, BIT(rng_below(r, 2)), onset(r), 0, rng_range(r, 0.1, 0.8));
}

static void k_half_close_leak(struct scenario *sc, struct rng *r)
{
	sc->service[WEB].p_half_close = rng_range(r, 0.05, 0.4);
	change(sc, CH_TIMEOUT, 0, onset(r), 0, rng_range(r, 1800, 43200))->port = 4;
}

static void k_outage(struct scenario *sc, struct rng *r)
{
	double t = onset(r), t1 = t + rng_range(r, 200, 1500);

	change(sc, CH_NO_ANSWER, BIT(UPSTREAM) | BIT(WEB), t, t1, rng_range(r, 0.6, 1.0));
	change(sc, CH_RATE_STEP, BIT(UPSTREAM) | BIT(WEB), t, t1, rng_range(r, 1.5, 4.0));
}

static void k_reconnect(struct scenario *sc, struct rng *r)
{
	struct sim_change *c;

	sc->service[DB].rate_per_s *= 4.0;
	c = change(sc, CH_CLOSE_ALL, BIT(DB) | BIT(UPSTREAM), onset(r), 0, rng_range(r, 0, 30));
	c->tau = rng_log_range(r, 5, 60);
}

static void k_syn_flood(struct scenario *sc, struct rng *r)
{
	double t = onset(r), t1 = t + rng_range(r, 300, 1200);

	service(sc, LIFE_TCP_FLOOD, 443, rng_range(r, 10, 50), STAY_FIXED, 0, 0);
	change(sc, CH_RATE_STEP, BIT(EXTRA), -1e9, t, 0.0);
	change(sc, CH_RATE_STEP, BIT(EXTRA), t1, 1e9, 0.0);
}

static void k_udp_storm(struct scenario *sc, struct rng *r)
{
	double t = onset(r), t1 = t + rng_range(r, 300, 1500);
	struct sim_service *sv =
		service(sc, LIFE_UDP_STORM, 5060, rng_range(r, 20, 120), STAY_FIXED, 0, 0);

	sv->random_port = rng_u(r) < 0.5;
	change(sc, CH_RATE_STEP, BIT(EXTRA), -1e9, t, 0.0);
	change(sc, CH_RATE_STEP, BIT(EXTRA), t1, 1e9, 0.0);
}

static void k_heavy_tail(struct scenario *sc, struct rng *r)
{
	sc->service[WEB].stay = STAY_PARETO;
	sc->service[WEB].stay_shape = rng_range(r, 1.1, 1.8);
	sc->service[UPSTREAM].stay = STAY_PARETO;
	sc->service[UPSTREAM].stay_shape = rng_range(r, 1.1, 1.8);
	k_step(sc, r);
}

static void k_slow_upstream(struct scenario *sc, struct rng *r)
{
	change(sc, CH_STAY, BIT(UPSTREAM) | BIT(WEB), onset(r), 0, rng_range(r, 2.5, 8));
}

static void k_batch(struct scenario *sc, struct rng *r)
{
	double period = rng_range(r, 120, 900);
	struct sim_change *c;

	service(sc, LIFE_TCP, 9100, 1e-6, STAY_LOGNORMAL, rng_log_range(r, 5, 120), 0.5);
	c = change(sc, CH_RATE_PULSES, BIT(EXTRA), -1800, 1e9, rng_range(r, 100, 800));
	c->tau = period;
}

static void k_timeouts(struct scenario *sc, struct rng *r)
{
	double v = rng_u(r) < 0.5 ? rng_range(r, 20, 60) : rng_range(r, 200, 480);

	change(sc, CH_TIMEOUT, 0, onset(r), 0, floor(v))->port = 6;
	if (rng_u(r) < 0.5)
		change(sc, CH_TIMEOUT, 0, onset(r), 0, floor(rng_range(r, 10, 170)))->port = 9;
}

static void k_max(struct scenario *sc, struct rng *r)
{
	if (rng_u(r) < 0.5) {
		change(sc, CH_MAX, 0, onset(r), 0, rng_range(r, 1.2, 2.0));
		k_step(sc, r);
	} else {
		k_ramp(sc, r);
		change(sc, CH_MAX, 0, onset(r), 0, rng_range(r, 0.75, 0.95));
	}
}

static void k_lost(struct scenario *sc, struct rng *r)
{
	unsigned int i, n = 1 + rng_below(r, 3);

	for (i = 0; i < n; i++) {
		double t = rng_range(r, 300, 4000);

		change(sc, CH_LOSE, 0, t, t + rng_range(r, 5, 120), rng_range(r, 0.2, 1.0));
	}
	if (rng_u(r) < 0.5)
		k_step(sc, r);
}

static void k_dumps(struct scenario *sc, struct rng *r)
{
	double t, every = rng_range(r, 150, 700);

	sc->lookup_per_s = rng_log_range(r, 0.01, 0.1);
	for (t = rng_range(r, 60, 600); t < SIM_OBSERVED_S && sc->n_changes < 40; t += every)
		change(sc, CH_DUMP, 0, t, 0, 0);
	if (rng_u(r) < 0.5)
		k_ramp(sc, r);
}

static void k_mixture(struct scenario *sc, struct rng *r)
{
	static void (*const parts[])(struct scenario *, struct rng *) = {
		k_step, k_ramp, k_flash, k_slow_upstream, k_leak, k_timeouts, k_outage,
	};
	unsigned int i, n = 2 + rng_below(r, 2);

	for (i = 0; i < n; i++)
		parts[rng_below(r, 7)](sc, r);
}

static void k_restart(struct scenario *sc, struct rng *r)
{
	double t = onset(r), down = rng_range(r, 5, 90);

	change(sc, CH_RATE_STEP, BIT(WEB) | BIT(UPSTREAM), t, t + down, 0.05);
	change(sc, CH_CLOSE_ALL, BIT(WEB) | BIT(UPSTREAM) | BIT(DB), t, 0, down)->tau =
		rng_log_range(r, 3, 40);
}

static void k_small(struct scenario *sc, struct rng *r)
{
	unsigned int i;

	for (i = 0; i < sc->n_services; i++)
		sc->service[i].rate_per_s *= 0.08;
	if (rng_u(r) < 0.7)
		k_ramp(sc, r);
}

/* Bursts at any moment, of any size: the way this host is, and no change of it. */
static void k_bursts(struct scenario *sc, struct rng *r)
{
	double t, every = rng_log_range(r, 90, 400);

	for (t = rng_exp(r, every); t < SIM_OBSERVED_S + 600 && sc->n_changes < 50;
	     t += 30.0 + rng_exp(r, every)) {
		double lasts = rng_log_range(r, 15, 120);

		change(sc, CH_RATE_STEP, rng_u(r) < 0.7 ? BIT(WEB) : BIT(UPSTREAM), t, t + lasts,
		       rng_log_range(r, 1.5, 5))
			->usual = true;
	}
}

/* Days with a steep morning and a long evening. */
static void k_days(struct scenario *sc, struct rng *r)
{
	double begin = rng_range(r, -7200, 0);
	unsigned int i;

	sc->day_s = rng_range(r, 900, 2400);
	for (i = 1; i <= 2; i++)
		change(sc, CH_RATE_SIN, CLIENTS | BIT(DNS), begin, 0, rng_range(r, 0.3, 0.6) / i)
			->tau = sc->day_s / i;
}

/* Working days and weekends. */
static void k_week(struct scenario *sc, struct rng *r)
{
	sc->day_s = rng_range(r, 700, 1800);
	change(sc, CH_RATE_WEEK, CLIENTS | BIT(DNS), -sc->day_s * rng_range(r, 3, 9), 0,
	       rng_range(r, 0.0, 0.6))
		->tau = sc->day_s;
}

/* Many buckets and few packets: only the collector removes what has expired. */
static void k_sawtooth(struct scenario *sc, struct rng *r)
{
	sc->lookup_per_s = rng_log_range(r, 0.001, 0.01);
	sc->gc_period_s = rng_range(r, 30.0, 60.0);
	sc->buckets_per_max = rng_log_range(r, 4.0, 20.0);
	k_ramp(sc, r);
}

static const struct {
	const char *name;
	void (*draw)(struct scenario *sc, struct rng *r);
	double p_fill; /* share of seeds whose limit is below the peak */
} kinds[] = {
	{"steady", k_steady, 0.0},
	{"daily", k_daily, 0.34},
	{"step_plateau", k_step, 0.0},
	{"step_fill", k_step, 1.0},
	{"ramp_plateau", k_ramp, 0.0},
	{"ramp_fill", k_ramp, 1.0},
	{"flash", k_flash, 0.5},
	{"keepalive_off", k_keepalive_off, 0.67},
	{"leak", k_leak, 1.0},
	{"half_close", k_half_close_leak, 0.67},
	{"outage", k_outage, 0.5},
	{"reconnect", k_reconnect, 0.5},
	{"syn_flood", k_syn_flood, 0.67},
	{"udp_storm", k_udp_storm, 0.67},
	{"heavy_tail", k_heavy_tail, 0.5},
	{"slow_upstream", k_slow_upstream, 0.67},
	{"batch", k_batch, 0.34},
	{"timeouts", k_timeouts, 0.34},
	{"max_changed", k_max, 0.67},
	{"lost_events", k_lost, 0.34},
	{"dumps", k_dumps, 0.34},
	{"mixture", k_mixture, 0.67},
	{"restart_small", NULL, 0.5},
	{"bursts", k_bursts, 0.0},
	{"days", k_days, 0.34},
	{"sawtooth", k_sawtooth, 0.5},
	{"flash_fill", k_flash, 1.0},
	{"week", k_week, 0.34},
	{"sawtooth_fill", k_sawtooth, 1.0},
};

unsigned int scenario_kinds(void)
{
	return sizeof(kinds) / sizeof(kinds[0]);
}

const char *scenario_kind_name(unsigned int kind)
{
	return kinds[kind].name;
}

void scenario_draw(struct scenario *sc, unsigned int kind, uint64_t seed)
{
	struct rng r = {seed * 1000003u + kind * 7919u};

	memset(sc, 0, sizeof(*sc));
	sc->kind = kinds[kind].name;
	sc->seed = seed * 64 + kind;
	draw_base(sc, &r);
	sc->fills = rng_u(&r) < kinds[kind].p_fill;
	sc->limit_lo = rng_u(&r);
	if (kinds[kind].draw)
		kinds[kind].draw(sc, &r);
	else if (rng_u(&r) < 0.5)
		k_restart(sc, &r);
	else
		k_small(sc, &r);
}

bool change_is_shock(const struct sim_change *c)
{
	return !c->usual && c->kind != CH_RATE_SIN && c->kind != CH_RATE_WEEK &&
	       c->kind != CH_RATE_PULSES && c->kind != CH_LOSE && c->kind != CH_DUMP;
}

void scenario_set_limit(struct scenario *sc, double base, double peak)
{
	double rise = peak - base;

	if (sc->fills && rise > 0.2 * base) /* somewhere up the rise */
		sc->max = (unsigned int)(base + rise * (0.35 + 0.5 * sc->limit_lo));
	else
		sc->max = (unsigned int)(peak * (1.05 + 0.5 * sc->limit_lo));
	sc->buckets = (unsigned int)(sc->max * sc->buckets_per_max);
}
