// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The simulator's stays and the forecasters that cheat: what is redrawn given
 * an age follows its law, intervals hold as often as they say, and only the
 * clairvoyant sees a step before it happens.
 */
#include "oracle.h"
#include "sim_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants these before it */
#include <cmocka.h>

#define DRAWS	     20000
#define INSTANTS_MAX 400
#define PATHS	     8
#define EVERY	     3
#define STEP_AT_S    2000.0

static double share_beyond(const struct sim_service *sv, double scale, double age, double x,
			   struct rng *r)
{
	unsigned int i, n = 0;

	for (i = 0; i < DRAWS; i++) {
		double stay = stay_beyond_s(sv, scale, age, r);

		assert_true(stay >= age);
		n += stay > x;
	}
	return (double)n / DRAWS;
}

static void test_stays_given_an_age(void **state)
{
	static const struct sim_service laws[] = {
		{.stay = STAY_EXP},
		{.stay = STAY_LOGNORMAL, .stay_shape = 1.2},
		{.stay = STAY_PARETO, .stay_shape = 1.4},
		{.stay = STAY_HYPER, .stay_shape = 0.3},
	};
	static const double ages[] = {0.0, 1.0, 30.0, 200.0}, later[] = {3.0, 40.0, 150.0};
	struct rng r = {1};
	unsigned int i, j, k;

	(void)state;
	for (i = 0; i < sizeof(laws) / sizeof(laws[0]); i++)
		for (j = 0; j < sizeof(ages) / sizeof(ages[0]); j++)
			for (k = 0; k < sizeof(later) / sizeof(later[0]); k++) {
				double x = ages[j] + later[k];
				double p = stay_survival(&laws[i], 50.0, x) /
					   stay_survival(&laws[i], 50.0, ages[j]);
				double got = share_beyond(&laws[i], 50.0, ages[j], x, &r);

				if (fabs(got - p) > 4.5 * sqrt(p * (1.0 - p) / DRAWS) + 1e-4)
					fail_msg("law %u, age %.0f, %.0f s: %.4f, not %.4f", i,
						 ages[j], x, got, p);
			}
}

/* Small, so that it is quick; stays of every kind, and some leak. */
static void small_scenario(struct scenario *sc)
{
	static const struct sim_service services[] = {
		{.life = LIFE_TCP,
		 .port = 443,
		 .rate_per_s = 0.15,
		 .stay = STAY_LOGNORMAL,
		 .stay_s = 100,
		 .stay_shape = 1.0,
		 .batch = 1.0,
		 .p_reset = 0.9,
		 .p_leak = 0.02},
		{.life = LIFE_TCP,
		 .port = 5432,
		 .rate_per_s = 0.05,
		 .stay = STAY_EXP,
		 .stay_s = 500,
		 .batch = 1.0},
		{.life = LIFE_UDP_STREAM,
		 .port = 443,
		 .rate_per_s = 0.1,
		 .stay = STAY_LOGNORMAL,
		 .stay_s = 60,
		 .stay_shape = 1.0,
		 .batch = 1.0},
	};

	memset(sc, 0, sizeof(*sc));
	sc->kind = "small";
	sc->seed = 5;
	memcpy(sc->service, services, sizeof(services));
	sc->n_services = 3;
	sc->lookup_per_s = 0.3;
	sc->gc_period_s = 40.0;
}

struct told {
	unsigned int k, now;
	double p50[3], lo[3], hi[3];
};

static unsigned int read_answers(FILE *f, struct told *out)
{
	char line[1024];
	unsigned int n;

	rewind(f);
	for (n = 0; n < INSTANTS_MAX && fgets(line, sizeof(line), f); n++) {
		struct told *a = &out[n];

		assert_int_equal(
			sscanf(line,
			       "{\"k\":%u,\"now\":%u,\"count\":{\"30\":[%lf,%lf,%lf,%*f,%*f],"
			       "\"120\":[%lf,%lf,%lf,%*f,%*f],\"600\":[%lf,%lf,%lf",
			       &a->k, &a->now, &a->p50[0], &a->lo[0], &a->hi[0], &a->p50[1],
			       &a->lo[1], &a->hi[1], &a->p50[2], &a->lo[2], &a->hi[2]),
			11);
	}
	return n;
}

struct seen {
	double t[INSTANTS_MAX];
};

static void note_instant(const struct sim *s, unsigned int k, void *ctx)
{
	struct seen *seen = ctx;

	if (k < INSTANTS_MAX)
		seen->t[k] = s->now;
}

/* Plays it with both forecasters, for the truth by second, and once more without them. */
static unsigned int run_all(const struct scenario *sc, struct told *causal,
			    struct told *clairvoyant, struct seen *seen, unsigned int *truth)
{
	FILE *f[2] = {tmpfile(), tmpfile()}, *t = tmpfile(), *nowhere = fopen("/dev/null", "w");
	struct sim_out forked = {.trace = nowhere, .truth = t};
	struct sim_out out = {.trace = nowhere, .at_eval = note_instant, .ctx = seen};
	unsigned int i, n;

	assert_true(f[0] && f[1] && t && nowhere);
	assert_int_equal(oracle_run(sc, PATHS, EVERY, &forked, f[0], f[1]), 0);
	n = read_answers(f[0], causal);
	assert_int_equal(read_answers(f[1], clairvoyant), n);
	assert_int_equal(sim_run(sc, &out), 0);
	rewind(t);
	for (i = 0; i <= SIM_END_S && fscanf(t, "%*f,%u,%*u,%*u\n", &truth[i]) == 1; i++)
		;
	assert_int_equal(i, SIM_END_S + 1);
	/* to be forked changes nothing */
	for (i = 0; i < n; i++)
		assert_int_equal(causal[i].now, truth[(unsigned int)seen->t[causal[i].k]]);
	fclose(f[0]);
	fclose(f[1]);
	fclose(t);
	fclose(nowhere);
	return n;
}

static unsigned int truth[SIM_END_S + 1];
static struct told causal[INSTANTS_MAX], clairvoyant[INSTANTS_MAX];
static struct seen seen;

static void test_intervals_hold(void **state)
{
	static const unsigned int horizon_s[] = {30, 120, 600};
	struct scenario sc;
	unsigned int i, h, n, in[3] = {0};
	double bias[3] = {0};

	(void)state;
	small_scenario(&sc);
	n = run_all(&sc, causal, clairvoyant, &seen, truth);
	assert_in_range(n, 40, INSTANTS_MAX - 1);
	for (h = 0; h < 3; h++) {
		for (i = 0; i < n; i++) {
			double y = truth[(unsigned int)seen.t[causal[i].k] + horizon_s[h]];

			in[h] += causal[i].lo[h] <= y && y <= causal[i].hi[h];
			bias[h] += (y - causal[i].p50[h]) / n;
		}
		/* 80 % in theory; neighbours share their future at 600 s */
		if (in[h] < 0.64 * n || in[h] > 0.95 * n)
			fail_msg("+%u s: %u of %u inside", horizon_s[h], in[h], n);
		if (fabs(bias[h]) > (h < 2 ? 2.5 : 6.0))
			fail_msg("+%u s: off by %.1f", horizon_s[h], bias[h]);
	}
}

/*
 * No arrivals, old entries, long tails, leaks: what is left at +600 s is how
 * much longer each stays. Who knew the ends would have no interval; who drew
 * them without the age or without the leaks would be far off.
 */
static void test_ends_are_chance(void **state)
{
	struct scenario sc;
	unsigned int i, n, use = 0, in = 0;
	double bias = 0.0, width = 0.0;

	(void)state;
	small_scenario(&sc);
	sc.n_services = 1;
	sc.service[0] = (struct sim_service){.life = LIFE_TCP,
					     .port = 443,
					     .rate_per_s = 1.0,
					     .stay = STAY_LOGNORMAL,
					     .stay_s = 300.0,
					     .stay_shape = 1.5,
					     .p_reset = 1.0,
					     .p_leak = 0.1,
					     .batch = 1.0};
	sc.change[0] = (struct sim_change){.kind = CH_RATE_STEP, .services = 1, .t1 = NEVER_S};
	sc.n_changes = 1;
	n = run_all(&sc, causal, clairvoyant, &seen, truth);
	for (i = 0; i < n && seen.t[causal[i].k] < 2500.0; i++, use++) {
		double y = truth[(unsigned int)seen.t[causal[i].k] + 600];

		in += causal[i].lo[2] <= y && y <= causal[i].hi[2];
		bias += y - causal[i].p50[2];
		width += causal[i].hi[2] - causal[i].lo[2];
	}
	assert_in_range(use, 20, INSTANTS_MAX);
	if (width / use < 10.0 || fabs(bias / use) > 8.0 || in < 0.5 * use)
		fail_msg("off by %.1f, %.1f wide, %u of %u inside", bias / use, width / use, in,
			 use);
}

static void test_only_one_sees_the_step(void **state)
{
	struct scenario sc;
	unsigned int i, n, before = 0, soon = 0, after = 0;

	(void)state;
	small_scenario(&sc);
	sc.change[0] = (struct sim_change){
		.kind = CH_RATE_STEP, .services = 7, .t0 = STEP_AT_S, .t1 = NEVER_S, .value = 5.0};
	sc.n_changes = 1;
	n = run_all(&sc, causal, clairvoyant, &seen, truth);
	for (i = 0; i < n; i++) {
		double t = seen.t[causal[i].k], gap = clairvoyant[i].p50[2] - causal[i].p50[2];
		double miss = truth[(unsigned int)t + 600] - causal[i].p50[2];

		if (t + 600 < STEP_AT_S || t > STEP_AT_S) {
			before += t < STEP_AT_S;
			after += t > STEP_AT_S;
			assert_true(fabs(gap) < 45.0);
		} else if (t > STEP_AT_S - 400) {
			soon++;
			assert_true(gap > 60.0 && miss > 60.0);
		}
	}
	assert_true(before > 5 && soon > 2 && after > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stays_given_an_age),
		cmocka_unit_test(test_intervals_hold),
		cmocka_unit_test(test_ends_are_chance),
		cmocka_unit_test(test_only_one_sees_the_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
