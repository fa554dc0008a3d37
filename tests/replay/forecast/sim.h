// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A conntrack table simulated after Linux 6.18, for the forecast's tests.
 * Included by sim*.c, oracle.c, kinds.c and gen_main.c.
 *
 * A scenario (struct scenario) is a set of services with their arrival rates
 * and stays, a list of changes over time, a limit and the behaviour of the
 * collector. sim_run() plays it and writes the trace (format version 1, see
 * lib/trace/trace.h), the truth for every second and the spells at the limit.
 *
 * What is simulated: the TCP and UDP states with the default timeouts; entries
 * past their timeout stay counted until a lookup in their bucket (rate
 * lookup_per_s each) or the collector (every gc_period_s) meets them; at the
 * limit early drop of unassured entries in eight buckets, else a drop and
 * retries by the client; the collector's eviction down to 95 % after a drop.
 * What is not: real hashing, zones, NAT, offload, helpers.
 *
 * All times are in seconds since the start of the trace, rates per second.
 */
#ifndef CONNTIDE_TEST_SIM_H
#define CONNTIDE_TEST_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "rng.h"

#define SIM_WARMUP_S	 2400
#define SIM_OBSERVED_S	 4500
#define SIM_END_S	 8100
#define SIM_SERVICES_MAX 12
#define SIM_CHANGES_MAX	 64
#define NEVER_S		 1e9

enum sim_state {
	ST_SYN_SENT,
	ST_SYN_RECV,
	ST_ESTABLISHED,
	ST_FIN_WAIT,
	ST_CLOSE_WAIT,
	ST_LAST_ACK,
	ST_TIME_WAIT,
	ST_CLOSE,
	ST_UNREPLIED,
	ST_REPLIED,
	ST_ASSURED,
	ST_COUNT
};

extern const char *const sim_state_names[ST_COUNT];
extern const char *const sim_timeout_names[10];

enum sim_life {
	LIFE_TCP,	 /* opens, stays, closes */
	LIFE_TCP_FLOOD,	 /* SYN, never completed; SYN/ACK is resent */
	LIFE_UDP_ONE,	 /* a question and an answer */
	LIFE_UDP_STREAM, /* assured after 2 s */
	LIFE_UDP_STORM,	 /* never answered */
	LIFE_ICMP,
};

enum sim_stay {
	STAY_EXP,
	STAY_LOGNORMAL,
	STAY_PARETO,
	STAY_FIXED,
	STAY_HYPER,
};

struct sim_service {
	enum sim_life life;
	unsigned int port;
	double rate_per_s;
	enum sim_stay stay;
	double stay_s;	     /* mean (exp, fixed, hyper), median (others) */
	double stay_shape;   /* sigma of ln; Pareto index; weight of hyper */
	double p_reset;	     /* share that ends by RST */
	double p_half_close; /* share that sticks in CLOSE_WAIT */
	double p_no_answer;
	double p_leak;	  /* share never closed */
	double batch;	  /* mean size of arrival batches, 1: Poisson */
	bool random_port; /* storm over all ports */
};

enum sim_change_kind {
	CH_RATE_STEP,	/* rate x value from t0 to t1 */
	CH_RATE_RAMP,	/* rate x (1 -> value) from t0 to t1, then kept */
	CH_RATE_FLASH,	/* rises to x value within tau, decays from t1 */
	CH_RATE_SIN,	/* rate x (1 + value sin), period tau */
	CH_RATE_WEEK,	/* working hours: steep, flat, x value on two days of seven; day tau */
	CH_RATE_PULSES, /* tau apart, value connections within 3 s */
	CH_STAY,	/* stays x value from t0 to t1 */
	CH_LEAK,	/* p_leak = value */
	CH_NO_ANSWER,	/* p_no_answer = value */
	CH_CLOSE_ALL,	/* all established of it end by RST at t0, and come back within tau */
	CH_TIMEOUT,	/* timeout number `port` = value seconds */
	CH_MAX,		/* limit x value */
	CH_LOSE,	/* share value of events lost from t0 to t1 */
	CH_DUMP,	/* somebody lists the table */
};

struct sim_change {
	enum sim_change_kind kind;
	unsigned int services; /* bit mask */
	double t0, t1, value, tau;
	unsigned int port;
	bool usual; /* one of many such: no shock */
};

struct scenario {
	const char *kind;
	uint64_t seed;
	struct sim_service service[SIM_SERVICES_MAX];
	unsigned int n_services;
	struct sim_change change[SIM_CHANGES_MAX];
	unsigned int n_changes;
	bool fills;		   /* the limit is put below the peak */
	double limit_lo, limit_hi; /* place of the limit, see kinds.c */
	double lookup_per_s, gc_period_s;
	double retry_share;
	unsigned int max, buckets;
	double buckets_per_max;
	double day_s;
};

struct sim;

struct sim_out {
	FILE *trace, *truth, *spells, *shocks; /* any may be NULL */
	/* or NULL; called at each EVAL line, before the arrivals of that second are drawn */
	void (*at_eval)(const struct sim *s, unsigned int k, void *ctx);
	void *ctx;
	/* filled in by the run: */
	double base, peak; /* count at start, highest count */
};

/* Number of kinds, and the name of one. */
unsigned int scenario_kinds(void);
const char *scenario_kind_name(unsigned int kind);

/* Draw the scenario of this kind from the seed. The limit is not set yet. */
void scenario_draw(struct scenario *sc, unsigned int kind, uint64_t seed);

/*
 * Whether its t0 and t1 are shocks: changes of load nobody could foresee. A
 * rhythm can be known; a loss or a dump is no change of load.
 */
bool change_is_shock(const struct sim_change *c);

/* Place the limit between base and peak of a run without one. */
void scenario_set_limit(struct scenario *sc, double base, double peak);

/* Play it. max == 0: no limit. Returns 0 or -ENOMEM. */
int sim_run(const struct scenario *sc, struct sim_out *out);

#endif
