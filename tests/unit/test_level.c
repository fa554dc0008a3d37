// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/health/level: what makes each level, what holds it, and when it goes. */
#include "tests/unit/unit.h"

#include "lib/health/level.h"

#define S     UINT64_C(1000000000)
#define LIMIT 262144

static struct level level;
static struct level_input in;

static int set_up(void **state)
{
	(void)state;
	level_init(&level);
	in = (struct level_input){.now_ns = 1000 * S,
				  .now_real_ns = 5000 * S,
				  .count_entries = LIMIT / 10,
				  .limit_entries = LIMIT,
				  .counters_known = true,
				  .counters = {1000, 1000, 1000, 1000, 1000, 1000},
				  .forecast_full_ms = SHM_NEVER_MS};
	return 0;
}

static enum shm_level after(unsigned int seconds)
{
	for (unsigned int i = 0; i < seconds; i++) {
		in.now_ns += S;
		in.now_real_ns += S;
		level_second(&level, &in);
	}
	return level.level;
}

static void fill(double share)
{
	in.count_entries = (int64_t)(share * LIMIT);
}

static void test_fill(void **state)
{
	(void)state;
	assert_int_equal(after(1), SHM_LEVEL_OK);
	fill(0.799);
	assert_int_equal(after(100), SHM_LEVEL_OK);
	fill(0.801);
	assert_int_equal(after(1), SHM_LEVEL_HIGH);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_FILL);
	assert_in_range(level.value, 800900, 801000);
	/* Held above 78 % for ever, below for a minute. */
	fill(0.785);
	assert_int_equal(after(1000), SHM_LEVEL_HIGH);
	fill(0.775);
	assert_int_equal(after(59), SHM_LEVEL_HIGH);
	assert_int_equal(after(2), SHM_LEVEL_OK);
	fill(0.951);
	assert_int_equal(after(1), SHM_LEVEL_CRITICAL);
	fill(0.935);
	assert_int_equal(after(1000), SHM_LEVEL_CRITICAL);
	fill(0.925);
	assert_int_equal(after(29), SHM_LEVEL_CRITICAL);
	assert_int_equal(after(2), SHM_LEVEL_HIGH);
	in.count_entries = LIMIT;
	assert_int_equal(after(1), SHM_LEVEL_FULL);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_AT_LIMIT);
	fill(0.5);
	assert_int_equal(after(29), SHM_LEVEL_FULL);
	assert_int_equal(after(2), SHM_LEVEL_HIGH);
	assert_int_equal(after(31), SHM_LEVEL_OK);
}

/* One entry below the limit and evicting: full, without a flicker. */
static void test_evicting(void **state)
{
	(void)state;
	after(5);
	for (unsigned int i = 0; i < 120; i++) {
		in.count_entries = LIMIT - 1 - (int64_t)(i % 3) * LIMIT / 40;
		in.counters[LEVEL_EARLY_DROPS] += i % 2 ? 0 : 4000;
		assert_int_equal(after(1), SHM_LEVEL_FULL);
		assert_int_equal(level.reason, SHM_LEVEL_REASON_EVICTING);
	}
	assert_int_equal(level.value, 2000);
	assert_int_equal(level_milli_per_s(&level, LEVEL_EARLY_DROPS), 2000000);
	in.count_entries = LIMIT / 2;
	assert_int_equal(after(37), SHM_LEVEL_FULL);
	assert_int_equal(level.value, 0);
	assert_int_equal(after(3), SHM_LEVEL_HIGH);
}

/* The kernel counts clashes as dropped packets: they say nothing of an empty table. */
static void test_dropped(void **state)
{
	(void)state;
	after(1);
	in.counters[LEVEL_DROPS] += 50;
	assert_int_equal(after(1), SHM_LEVEL_OK);
	after(20);
	fill(0.6);
	in.counters[LEVEL_DROPS] += 50;
	assert_int_equal(after(1), SHM_LEVEL_FULL);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_DROPPING);
	assert_int_equal(level.value, 5);
}

/* 36 % full, and full in 81 s: critical. */
static void test_forecast(void **state)
{
	(void)state;
	fill(0.36);
	in.forecast_filling = true;
	in.forecast_full_ms = 81000;
	assert_int_equal(after(1), SHM_LEVEL_HIGH);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_FULL_WITHIN_HOUR);
	in.forecast_alarm = true;
	assert_int_equal(after(1), SHM_LEVEL_CRITICAL);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_FULL_SOON);
	assert_int_equal(level.value, 81000);
	in.forecast_alarm = in.forecast_filling = false;
	assert_int_equal(after(29), SHM_LEVEL_CRITICAL);
	assert_int_equal(after(2), SHM_LEVEL_HIGH);
	assert_int_equal(after(30), SHM_LEVEL_OK);
}

static void test_hidden_limits(void **state)
{
	(void)state;
	after(1);
	in.nat_pool_ppm = 850000;
	assert_int_equal(after(1), SHM_LEVEL_HIGH);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_NAT_POOL);
	in.nat_pool_ppm = 940000;
	assert_int_equal(after(1), SHM_LEVEL_CRITICAL);
	in.nat_pool_ppm = 0;
	assert_int_equal(after(100), SHM_LEVEL_OK);
	in.expectations_ppm = 900000;
	assert_int_equal(after(1), SHM_LEVEL_HIGH);
	in.expectations_ppm = 999999;
	assert_int_equal(after(1), SHM_LEVEL_HIGH);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_EXPECTATIONS);
	in.expectations_ppm = 1000000;
	assert_int_equal(after(1), SHM_LEVEL_CRITICAL);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_EXPECTATIONS_REFUSED);
	in.expectations_ppm = 0;
	assert_int_equal(after(100), SHM_LEVEL_OK);
	in.counters[LEVEL_CHAIN_DROPS]++;
	assert_int_equal(after(1), SHM_LEVEL_CRITICAL);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_CHAINS);
}

static enum shm_level failing(unsigned int failed, unsigned int new_entries)
{
	in.counters[LEVEL_INSERT_FAILED] += failed;
	in.counters[LEVEL_NEW_ENTRIES] += new_entries;
	return after(1);
}

/* What never becomes an entry is seen in an empty table, too; by its share, not its number. */
static void test_failing(void **state)
{
	(void)state;
	after(1);
	assert_int_equal(failing(LEVEL_FAILED_MIN - 1, 0), SHM_LEVEL_OK);
	after(LEVEL_RISE_S);
	assert_int_equal(failing(90, 9000), SHM_LEVEL_OK);
	after(LEVEL_RISE_S);
	assert_int_equal(failing(100, 9900), SHM_LEVEL_HIGH);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_INSERT_FAILED);
	assert_int_equal(level.value, 10000);
	/* Held while it is half of that. */
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(failing(6, 994), SHM_LEVEL_HIGH);
	assert_int_equal(failing(3000, 1000), SHM_LEVEL_CRITICAL);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_INSERT_FAILED);
	after(LEVEL_RISE_S + 30);
	assert_int_equal(level.level, SHM_LEVEL_HIGH);
	assert_int_equal(level.value, 0);
	after(60);
	assert_int_equal(level.level, SHM_LEVEL_OK);
}

static void test_failing_of_what(void **state)
{
	(void)state;
	after(1);
	/* What chains refused is theirs. */
	in.counters[LEVEL_CHAIN_DROPS] += 1000;
	assert_int_equal(failing(1000, 0), SHM_LEVEL_CRITICAL);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_CHAINS);
	after(100);
	/* Of new entries that nobody counted there is no share. */
	in.counters[LEVEL_LOST_EVENTS]++;
	assert_int_equal(failing(1000, 0), SHM_LEVEL_OK);
	after(LEVEL_RISE_S);
	in.new_unknown = true;
	assert_int_equal(failing(1000, 0), SHM_LEVEL_OK);
	in.new_unknown = false;
	assert_int_equal(after(1), SHM_LEVEL_CRITICAL);
	after(100);
	/* A pool that is known to be full says more. */
	in.nat_pool_ppm = 990000;
	assert_int_equal(failing(1000, 0), SHM_LEVEL_CRITICAL);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_NAT_POOL);
}

static void test_unknown(void **state)
{
	(void)state;
	in.no_events = true;
	assert_int_equal(after(1), SHM_LEVEL_UNKNOWN);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_NO_EVENTS);
	/* The count is known all the same. */
	fill(0.97);
	assert_int_equal(after(1), SHM_LEVEL_CRITICAL);
	in.no_events = false;
	in.count_entries = -1;
	assert_int_equal(after(100), SHM_LEVEL_UNKNOWN);
	assert_int_equal(level.reason, SHM_LEVEL_REASON_NO_COUNT);
	in.count_entries = 5;
	in.limit_entries = 0;
	assert_int_equal(after(1), SHM_LEVEL_OK);
}

/* What is known late, or begins anew, has not risen. */
static void test_counters_begin(void **state)
{
	(void)state;
	fill(0.9);
	in.counters_known = false;
	in.counters[LEVEL_EARLY_DROPS] = 0;
	assert_int_equal(after(3), SHM_LEVEL_HIGH);
	in.counters_known = true;
	in.counters[LEVEL_EARLY_DROPS] = 12345;
	assert_int_equal(after(3), SHM_LEVEL_HIGH);
	in.counters[LEVEL_EARLY_DROPS] = 3;
	assert_int_equal(after(3), SHM_LEVEL_HIGH);
	in.counters[LEVEL_EARLY_DROPS] = 4;
	assert_int_equal(after(1), SHM_LEVEL_FULL);
}

static void test_since(void **state)
{
	uint64_t since;

	(void)state;
	after(10);
	assert_int_equal(level.since_real_ns, 5001 * S);
	fill(0.85);
	after(1);
	since = level.since_real_ns;
	assert_int_equal(since, 5011 * S);
	fill(0.90);
	after(50);
	assert_int_equal(level.since_real_ns, since);
}

/* Whatever comes: never better than the causes of this second, and never UNKNOWN with a
 * count and events. */
static void random_course(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);

	set_up(NULL);
	for (unsigned int i = 0; i < 500; i++) {
		if (rng_percent(&rng, 20))
			in.count_entries = rng_below(&rng, LIMIT + 2);
		if (rng_percent(&rng, 5))
			in.counters[rng_below(&rng, LEVEL_COUNTERS)] += rng_below(&rng, 9);
		in.forecast_alarm = rng_percent(&rng, 5);
		after(1);
		assert_seeded(seed, level.level != SHM_LEVEL_UNKNOWN);
		assert_seeded(seed, in.count_entries < LIMIT || level.level == SHM_LEVEL_FULL);
		assert_seeded(seed,
			      in.count_entries < 0.95 * LIMIT || level.level >= SHM_LEVEL_CRITICAL);
		assert_seeded(seed, !in.forecast_alarm || level.level >= SHM_LEVEL_CRITICAL);
		assert_seeded(seed,
			      level.level == SHM_LEVEL_OK || level.reason != SHM_LEVEL_REASON_NONE);
		assert_seeded(seed, level.since_real_ns <= in.now_real_ns);
	}
	in.count_entries = 10;
	in.forecast_alarm = false;
	assert_seeded(seed, after(105) == SHM_LEVEL_OK);
}

static void test_random(void **state)
{
	(void)state;
	unit_seeds("courses", 200, random_course);
}

static void test_every_reason_has_words(void **state)
{
	(void)state;
	for (int i = 0; i < SHM_LEVEL_REASON_COUNT; i++) {
		assert_string_not_equal(snap_level_reason_name(i), "unknown");
		assert_true(snap_level_reason_help(i)[0] != '\0');
	}
	assert_string_equal(snap_level_reason_name(-1), "unknown");
	assert_string_equal(snap_level_name(INT64_MAX), "UNKNOWN");
	assert_string_equal(snap_level_name(SHM_LEVEL_FULL), "FULL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fill, set_up),
		cmocka_unit_test_setup(test_evicting, set_up),
		cmocka_unit_test_setup(test_dropped, set_up),
		cmocka_unit_test_setup(test_forecast, set_up),
		cmocka_unit_test_setup(test_hidden_limits, set_up),
		cmocka_unit_test_setup(test_failing, set_up),
		cmocka_unit_test_setup(test_failing_of_what, set_up),
		cmocka_unit_test_setup(test_unknown, set_up),
		cmocka_unit_test_setup(test_counters_begin, set_up),
		cmocka_unit_test_setup(test_since, set_up),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_every_reason_has_words),
	};

	return cmocka_run_group_tests_name("level", tests, NULL, NULL);
}
