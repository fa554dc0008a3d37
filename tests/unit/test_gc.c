// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/kernel/gc.c against the kernel's rule, entry by entry, in integers. */
#include "tests/unit/unit.h"

#include <math.h>

#include "lib/kernel/gc.h"

#define PARTS  4
#define ROUNDS 12

struct part {
	double timeout_s;
	unsigned int entries;
};

static const unsigned int tick_rates[] = {100, 250, 300, 1000};

static void near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%g is not %g +- %g", value, expected, tolerance);
}

static double chance(struct rng *rng)
{
	return (double)(rng_next(rng) >> 11) / 9007199254740992.0;
}

/* One round over a table in which each entry is at any point of its way. */
static double literal_round(struct rng *rng, const struct part *parts, unsigned int hz)
{
	long total = 0, visits = 0, mean = 60 * (long)hz, met = 100;
	long *left;

	for (unsigned int i = 0; i < PARTS; i++)
		total += 2 * (long)parts[i].entries;
	left = malloc((size_t)(total + 1) * sizeof(*left));
	assert_non_null(left);
	for (unsigned int i = 0; i < PARTS; i++) {
		for (unsigned int j = 0; j < parts[i].entries; j++, visits += 2)
			left[visits] = left[visits + 1] =
				(long)(chance(rng) * parts[i].timeout_s * hz);
	}
	for (long i = 0; i < total; i++) {
		long other = i + (long)(chance(rng) * (double)(total - i)), now = left[other];

		left[other] = left[i];
		now = now < (long)hz ? (long)hz : now > 300 * (long)hz ? 300 * (long)hz : now;
		mean += (now - mean) / ++met;
	}
	free(left);
	mean = mean < (long)hz ? (long)hz : mean > 60 * (long)hz ? 60 * (long)hz : mean;
	return (double)mean / hz;
}

static double modelled(const struct part *parts, unsigned int hz)
{
	struct kernel_gc gc;

	kernel_gc_init(&gc);
	for (unsigned int i = 0; i < PARTS; i++)
		kernel_gc_add(&gc, parts[i].entries, parts[i].timeout_s);
	return kernel_gc_mean_s(&gc, hz);
}

static void compare(uint64_t seed, const struct part *parts, unsigned int hz)
{
	struct rng rng = rng_seeded(seed);
	double sum_s = 0, squares = 0, spread_s, mean_s, model_s = modelled(parts, hz);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		double round_s = literal_round(&rng, parts, hz);

		sum_s += round_s;
		squares += round_s * round_s;
	}
	mean_s = sum_s / ROUNDS;
	spread_s = sqrt(fmax(squares / ROUNDS - mean_s * mean_s, 0));
	/* 1 %, and what chance does to the mean of some rounds. */
	if (fabs(model_s - mean_s) > 0.01 * mean_s + 4 * spread_s / sqrt(ROUNDS))
		fail_msg("HZ %u: %u of %g s, %u of %g s, %u of %g s, %u of %g s: %g s, by the "
			 "rule %g +- %g, to repeat: SEED=%llu",
			 hz, parts[0].entries, parts[0].timeout_s, parts[1].entries,
			 parts[1].timeout_s, parts[2].entries, parts[2].timeout_s, parts[3].entries,
			 parts[3].timeout_s, model_s, mean_s, spread_s, (unsigned long long)seed);
}

static void test_single_timeouts(void **state)
{
	static const double timeouts_s[] = {0.5, 2, 5, 10, 20, 30, 40, 60, 120, 300, 432000};
	static const unsigned int entries[] = {1, 10, 50, 300, 2000, 20000};

	(void)state;
	for (unsigned int h = 0; h < UNIT_COUNT(tick_rates); h++)
		for (unsigned int t = 0; t < UNIT_COUNT(timeouts_s); t++)
			for (unsigned int n = 0; n < UNIT_COUNT(entries); n++) {
				const struct part parts[PARTS] = {{timeouts_s[t], entries[n]}};

				compare(1, parts, tick_rates[h]);
			}
}

static void random_mix(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	struct part parts[PARTS];

	for (unsigned int i = 0; i < PARTS; i++)
		parts[i] = (struct part){exp(chance(&rng) * log(100000)),
					 (unsigned int)exp(chance(&rng) * log(10000))};
	compare(seed, parts, tick_rates[rng_below(&rng, UNIT_COUNT(tick_rates))]);
}

static void test_mixes(void **state)
{
	(void)state;
	unit_seeds("mixes", 150, random_mix);
}

/* The table of docs/patterns.md. */
static void test_table(void **state)
{
	static const double timeouts_s[] = {120, 60, 40, 30, 20, 10, 5};
	static const double every_s[] = {61.4, 30.7, 22.5, 18.4, 13.1, 9.7, 7.9};

	(void)state;
	for (unsigned int i = 0; i < UNIT_COUNT(every_s); i++) {
		struct kernel_gc gc;

		kernel_gc_init(&gc);
		kernel_gc_add(&gc, 50000, timeouts_s[i]);
		near(kernel_gc_interval_s(&gc, 250), every_s[i], 0.05);
	}
}

static double pure(double timeout_s, unsigned int hz)
{
	const struct part parts[PARTS] = {{timeout_s, 1000000}};

	return modelled(parts, hz);
}

/* What the header promises; and how much the clock matters. */
static void test_figures(void **state)
{
	struct kernel_gc gc;

	(void)state;
	kernel_gc_init(&gc);
	near(kernel_gc_mean_s(&gc, 250), 60, 1e-9);
	near(kernel_gc_interval_s(&gc, 250), 61.44, 1e-9);
	near(pure(20, 250), 12.9, 0.1);
	near(pure(5, 250), 7.7, 0.1);
	near(pure(20, 1000), 10.8, 0.1);
	near(kernel_gc_timer_s(pure(20, 1000), 1000), 11.3, 0.05);
	near(kernel_gc_timer_s(pure(5, 1000), 1000), 5.1, 0.05);
	near(pure(120, 250), 60, 0.1);
	near(pure(120, 1000), 60, 0.1);
	near(pure(0.5, 100), 9.7, 0.2);
	near(pure(432000, 250), 60, 1e-9);
	/* 50 entries are 100 in two chains: as many as are pretended. */
	kernel_gc_add(&gc, 50, 20);
	near(kernel_gc_mean_s(&gc, 1000), (60 + 10) / 2.0, 0.2);
}

/* All of them with as much left, give or take half a second. */
static void test_one_point(void **state)
{
	(void)state;
	for (unsigned int left_s = 3; left_s <= 60; left_s += 7) {
		struct kernel_gc gc;
		long mean = 60 * 250;

		for (long met = 101; met <= 10100; met++)
			mean += ((long)left_s * 250 - mean) / met;
		kernel_gc_init(&gc);
		kernel_gc_add_left(&gc, 5000, left_s);
		near(kernel_gc_mean_s(&gc, 250), mean / 250.0, 0.1 + mean * 0.01 / 250);
	}
}

static void test_bad_input(void **state)
{
	struct kernel_gc gc;

	(void)state;
	kernel_gc_init(&gc);
	kernel_gc_add(&gc, -5, 30);
	kernel_gc_add(&gc, (double)NAN, 30);
	kernel_gc_add(&gc, (double)INFINITY, 30);
	kernel_gc_add(&gc, 5, 0);
	kernel_gc_add(&gc, 5, (double)NAN);
	kernel_gc_add_left(&gc, -5, 30);
	kernel_gc_add_left(&gc, 5, (double)INFINITY);
	kernel_gc_add_left(&gc, 1000, -7);
	near(gc.visits, 0, 0);
	kernel_gc_add_left(&gc, 1000, 0);
	kernel_gc_add_left(&gc, 1000, 1e12);
	kernel_gc_add_left(&gc, 1000, 300.2);
	kernel_gc_add(&gc, 1000, 1e-6);
	kernel_gc_add(&gc, 1000, 300);
	kernel_gc_add(&gc, 4e9, 1e-300);
	near(gc.visits, 8e9 + 10000, 0);
	assert_true(kernel_gc_mean_s(&gc, 250) >= 1);
	assert_true(kernel_gc_mean_s(&gc, 250) <= 60);
	near(kernel_gc_mean_s(&gc, 0), kernel_gc_mean_s(&gc, 250), 0);
	near(kernel_gc_mean_s(&gc, 4000000), kernel_gc_mean_s(&gc, 250), 0);
}

/* What was measured on Linux 6.18 at HZ 250, 200 UDP entries a second: 7.7 to 7.9 s with a
 * timeout of 5 s, 22.5 s with 40 s. */
static void test_timer(void **state)
{
	const struct part five[PARTS] = {{5, 1000}}, forty[PARTS] = {{40, 8000}};

	(void)state;
	near(kernel_gc_timer_s(modelled(five, 250), 250), 7.8, 0.15);
	near(kernel_gc_timer_s(modelled(forty, 250), 250), 22.53, 0.01);
	near(kernel_gc_timer_s(1, 100), 1.04, 1e-9);
	near(kernel_gc_timer_s(0.62, 100), 0.62, 1e-9);
	for (unsigned int h = 0; h < UNIT_COUNT(tick_rates); h++) {
		near(kernel_gc_timer_s(60, tick_rates[h]), 61.44, 1e-9);
		for (double wait_s = 1; wait_s < 60; wait_s += 0.37) {
			double fires_s = kernel_gc_timer_s(wait_s, tick_rates[h]);

			assert_true(fires_s >= wait_s - 1.0 / tick_rates[h]);
			assert_true(fires_s <= wait_s * 9 / 8 + 1.0 / tick_rates[h]);
		}
	}
}

static double lag(double interval_s, double walks_per_s, double buckets, double round_s)
{
	const struct gc_lookups lookups = {walks_per_s, buckets, round_s};

	return kernel_gc_lag_s(interval_s, &lookups);
}

static void test_lag(void **state)
{
	(void)state;
	near(lag(60, 0, 65536, 0), 30, 1e-9);
	near(lag(60, 100, 0, 0), 30, 1e-9);
	/* Chains walked 10 times a second: 0.1 s, whatever the interval. */
	near(lag(60, 5000, 1000, 0), 0.1, 1e-3);
	assert_true(lag(60, 1000, 65536, 0) < 30);
	assert_true(lag(60, 1000, 65536, 0) > lag(60, 2000, 65536, 0));
	/* The smaller of a uniform time and an exponential one: 1 - (1 - 1/e) = 1/e. */
	near(lag(20, 50, 2000, 0), 20 * exp(-1), 1e-9);
	/* Of two uniform ones, a third where they are alike; I/2 - I^2/6T where they are not. */
	near(lag(30, 0, 8192, 30), 10, 1e-9);
	near(lag(60, 0, 8192, 15), 7.5 - 15 * 15 / 6.0 / 60, 1e-9);
	near(lag(15, 0, 8192, 60), lag(60, 0, 8192, 15), 1e-9);
}

/* Midpoints, which know no closed form. */
static double summed(double interval_s, double met_per_s, double round_s)
{
	double most_s = fmin(interval_s, round_s), sum = 0;
	const unsigned int steps = 100000;

	for (unsigned int i = 0; i < steps; i++) {
		double t = (i + 0.5) * most_s / steps;

		sum += (1 - t / interval_s) * (1 - t / round_s) * exp(-met_per_s * t);
	}
	return sum * most_s / steps;
}

static void test_lag_of_all(void **state)
{
	const double met[] = {1e-6, 4e-6, 1e-5, 1e-3, 0.03, 0.2, 5, 300};

	(void)state;
	for (unsigned int i = 0; i < UNIT_COUNT(met); i++) {
		near(lag(22, met[i] * 5000, 10000, 9), summed(22, met[i], 9), 2e-3);
		near(lag(22, met[i] * 5000, 10000, 40), summed(22, met[i], 40), 2e-3);
	}
}

/* Between one's own connections and every packet of others; between one's rule and a minute. */
static void test_others(void **state)
{
	const struct gc_packets nobody = {50, 0}, others = {0, 320}, half = {50, 50};

	(void)state;
	near(kernel_gc_walks_per_s(40, &nobody), 40, 1e-9);
	near(kernel_gc_walks_per_s(40, &others), 120, 1e-9);
	near(kernel_gc_walks_per_s(0, &others), 0, 1e-9);
	near(kernel_gc_interval_among_s(15, &nobody), 15, 1e-9);
	near(kernel_gc_interval_among_s(15, &others), sqrt(15 * 61.5), 1e-9);
	near(kernel_gc_interval_among_s(15, &half), sqrt(15 * sqrt(15 * 61.5)), 1e-9);
	near(kernel_gc_interval_among_s(GC_ROUND_MAX_S, &others), GC_ROUND_MAX_S, 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single_timeouts), cmocka_unit_test(test_mixes),
		cmocka_unit_test(test_figures),		cmocka_unit_test(test_table),
		cmocka_unit_test(test_one_point),	cmocka_unit_test(test_bad_input),
		cmocka_unit_test(test_timer),		cmocka_unit_test(test_lag),
		cmocka_unit_test(test_lag_of_all),	cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
