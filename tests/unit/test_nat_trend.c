// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/nat_trend.h"

#include <math.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/shm/snap_nat.h"
#include "tests/unit/unit.h"

#define SIZE 64512u

static void test_full(void **state)
{
	(void)state;
	assert_int_equal(nat_trend_full(100), 100);
	assert_int_equal(nat_trend_full(1), 1);
	assert_in_range(nat_trend_full(1000), 985, 995);
	assert_in_range(nat_trend_full(SIZE), 61931, 61933);
}

static struct nat_trend_sample samples[NAT_TREND_SECONDS];

/* So many born a second, and of what is there this share leaves. */
static struct nat_trend_time grow(uint32_t held, double born_per_s, double leaving,
				  uint32_t seconds)
{
	double now = held, born = 0;

	for (uint32_t i = 0; i < seconds; i++) {
		samples[i] = (struct nat_trend_sample){(uint32_t)now, (uint32_t)born};
		now += born_per_s - now * leaving;
		born += born_per_s;
	}
	return nat_trend_time(samples, seconds, SIZE);
}

static void test_says_nothing_too_soon(void **state)
{
	(void)state;
	assert_false(grow(1000, 1000, 0, 6).known);
	assert_true(grow(1000, 1000, 0, 7).known);
}

static void test_steady_growth(void **state)
{
	struct nat_trend_time time = grow(10000, 100, 0, 61);
	double left = (double)(nat_trend_full(SIZE) - (10000 + 6000)) / 100;

	(void)state;
	assert_true(time.known);
	assert_true(fabs(time.likely_s - left) < left * 0.02);
	assert_true(time.early_s <= time.likely_s && time.likely_s <= time.late_s);
	assert_true(fabs(time.new_per_s - 100) < 1);
}

/* 100 a second that stay 120 s settle at 12,000, however fast it grows until then. */
static void test_settles_below(void **state)
{
	struct nat_trend_time time = grow(6000, 100, 1.0 / 120, 61);

	(void)state;
	assert_true(isinf(time.likely_s) && isinf(time.early_s));
	time = grow(6000, 0, 1.0 / 120, 61);
	assert_true(isinf(time.likely_s));
}

/* 1,000 a second that stay 120 s settle at 120,000: full on the way there. */
static void test_settles_above(void **state)
{
	struct nat_trend_time time = grow(10000, 1000, 1.0 / 120, 20);
	double now = samples[19].held, full = nat_trend_full(SIZE);
	double left = 120 * log((120000 - now) / (120000 - full));

	(void)state;
	assert_true(fabs(time.likely_s - left) < left * 0.1);
}

/* Quiet for a while, then fast: seconds later that is seen. */
static void test_turns(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 61; i++)
		samples[i] =
			(struct nat_trend_sample){i < 55 ? 1000 : 1000 + (i - 54) * 3000, i * 3000};
	assert_true(nat_trend_time(samples, 61, SIZE).likely_s < 60);
}

static void test_full_already(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 61; i++)
		samples[i] = (struct nat_trend_sample){SIZE, i};
	assert_true(nat_trend_time(samples, 61, SIZE).likely_s <= 0);
}

/* --- second by second ---------------------------------------------------------------- */

static struct nat_pools pools;
static struct nat_trend trend;
static struct shm_nat published;
static struct snap_nat seen;
static uint64_t failed, chains, seconds;

static int setup(void **state)
{
	(void)state;
	ct_hash_seed_fixed(5);
	nat_trend_init(&trend);
	memset(&published, 0, sizeof(published));
	failed = chains = seconds = 0;
	assert_int_equal(nat_pools_create(&pools, 64), 0);
	pools.settings.given = (struct nat_port_range){20000, 20199};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nat_pools_destroy(&pools);
	return 0;
}

static struct ct_event flow(uint8_t remote, uint16_t port)
{
	struct ct_event event = {.kind = CT_NEW,
				 .has = CT_HAS_STATUS | CT_HAS_REPLY,
				 .status = CT_STATUS_SRC_NAT,
				 .key = {.family = AF_INET, .l4num = IPPROTO_TCP, .src = {10}},
				 .reply_dst = {203, 0, 113, 1},
				 .reply_src = {192, 0, 2, remote},
				 .reply_sport = 443,
				 .reply_dport = port};

	event.key.sport = port;
	event.hash = ct_hash(&event.key);
	return event;
}

static void come(uint8_t remote, uint16_t from, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		struct ct_event event = flow(remote, (uint16_t)(from + i));

		nat_pools_appeared(&pools, &event, false, true, true);
	}
}

static void second(bool reclaims)
{
	const struct nat_trend_second at = {.now_boot_ns = ++seconds,
					    .insert_failed = failed,
					    .chaintoolong = chains,
					    .counters_known = true,
					    .reclaims = reclaims};

	nat_trend_second(&trend, &pools, &published, &at);
	snap_nat_copy(&published, &seen);
	assert_true(seen.valid);
}

static void test_no_pool(void **state)
{
	(void)state;
	second(true);
	assert_int_equal(trend.summary.pools, 0);
	assert_int_equal(trend.summary.ratio_ppm, -1);
	assert_int_equal(trend.summary.likely_ms, -1);
	assert_int_equal(seen.count, 0);
}

static void test_published(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 10; i++) {
		come(1, (uint16_t)(20000 + 10 * i), 10);
		second(true);
	}
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.pools[0].used, 100);
	assert_int_equal(seen.pools[0].size, 200);
	assert_int_equal(seen.pools[0].first_port, 20000);
	assert_true(seen.pools[0].translated && !seen.pools[0].measured);
	assert_true(fabs(seen.pools[0].new_per_s - 10) < 0.1);
	/* 199 of 200 are full: 9.9 seconds. */
	assert_true(fabs(seen.pools[0].likely_s - 9.9) < 0.5);
	assert_int_equal(trend.summary.ratio_ppm, 500000);
	assert_int_equal(trend.summary.remote_port, 443);
	assert_true(labs(trend.summary.likely_ms - 9900) < 500);
}

/* Failures are NAT's while a pool is crowded, and not those that chains refused. */
static void test_failures(void **state)
{
	(void)state;
	come(1, 20000, 100);
	second(true);
	failed += 50;
	second(true);
	assert_int_equal(trend.summary.failures, 0);
	come(1, 20100, 90);
	second(true);
	failed += 7;
	chains += 2;
	second(true);
	assert_int_equal(trend.summary.failures, 5);
	assert_true(seen.pools[0].measured);
	assert_true(seen.pools[0].failing_share > 0.99);
	come(1, 20190, 5);
	second(true);
	assert_true(fabs(seen.pools[0].failing_share - 0.5) < 0.01);
	for (unsigned int i = 0; i < 11; i++)
		second(true);
	assert_false(seen.pools[0].measured);
	/* Two crowded pools: whose it was nobody knows. */
	come(2, 20000, 190);
	second(true);
	failed++;
	second(true);
	assert_false(seen.pools[0].measured || seen.pools[1].measured);
	assert_int_equal(trend.summary.failures, 6);
}

static void test_reclaims(void **state)
{
	struct ct_event event;

	(void)state;
	come(1, 20000, 100);
	for (uint16_t i = 0; i < 60; i++) {
		event = flow(1, (uint16_t)(20000 + i));
		nat_pools_turned(&pools, &event, true, true);
	}
	second(true);
	assert_int_equal(seen.pools[0].held, 40);
	assert_int_equal(trend.summary.ratio_ppm, 200000);
	second(false);
	assert_int_equal(seen.pools[0].held, 100);
	assert_int_equal(seen.pools[0].closing, 60);
}

/* Once, for a pool that is half full: its first ports came before its map. */
static void test_asks_for_a_dump(void **state)
{
	(void)state;
	pools.settings.given = (struct nat_port_range){20000, 20999};
	come(1, 20000, 400);
	second(true);
	assert_false(trend.needs_dump);
	come(1, 20400, 200);
	second(true);
	assert_true(trend.needs_dump);
	second(true);
	assert_false(trend.needs_dump);
}

/* Places are few: pools come and go, and each is followed anew. */
static void test_many_pools(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 200; round++) {
		for (uint8_t i = 0; i < 50; i++) {
			struct ct_event event = flow(i, (uint16_t)(20000 + round));

			nat_pools_appeared(&pools, &event, false, true, true);
			if (round % 3 == i % 3)
				nat_pools_went(&pools, &event, false, true);
		}
		second(true);
		for (uint32_t i = 1; i < seen.count; i++)
			assert_true(seen.pools[i - 1].ratio >= seen.pools[i].ratio);
	}
	assert_int_equal(seen.count, NAT_POOLS_TOP);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_full),
					   cmocka_unit_test(test_says_nothing_too_soon),
					   cmocka_unit_test(test_steady_growth),
					   cmocka_unit_test(test_settles_below),
					   cmocka_unit_test(test_settles_above),
					   cmocka_unit_test(test_turns),
					   cmocka_unit_test(test_full_already),
					   CASE(test_no_pool),
					   CASE(test_published),
					   CASE(test_failures),
					   CASE(test_reclaims),
					   CASE(test_asks_for_a_dump),
					   CASE(test_many_pools)};

	return cmocka_run_group_tests_name("nat_trend", tests, NULL, NULL);
}
