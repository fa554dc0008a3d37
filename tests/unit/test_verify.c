// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/verify: what is asked again, when, and that it is bounded. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/mirror/verify.h"
#include "tests/unit/offline.h"

#define S UINT64_C(1000000000)

static struct verify verify;

static int set_up(void **state)
{
	(void)state;
	return verify_create(&verify, 16, 42);
}

static int tear_down(void **state)
{
	(void)state;
	verify_destroy(&verify);
	return 0;
}

static struct ct_event event_number(uint32_t n)
{
	return offline_event((struct told){.kind = CT_UPDATE, .number = n, .state = 3});
}

static void test_doubts_wait_and_keep_order(void **state)
{
	struct verify_item items[4];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct ct_event event = event_number(i);

		verify_doubt(&verify, &event, 10 * S + i);
	}
	assert_int_equal(verify_pending(&verify), 3);
	assert_int_equal(verify_take(&verify, 10 * S + VERIFY_DELAY_NS - 1, items, 4), 0);
	assert_int_equal(verify_take(&verify, 10 * S + VERIFY_DELAY_NS + 1, items, 4), 2);
	for (uint32_t i = 0; i < 2; i++) {
		struct ct_event event = event_number(i);

		assert_memory_equal(&items[i].key, &event.key, sizeof(event.key));
		assert_int_equal(items[i].attempt, 0);
		assert_int_equal(items[i].audit, 0);
	}
	assert_int_equal(verify_take(&verify, 11 * S, items, 4), 1);
	assert_int_equal(verify_pending(&verify), 0);
}

static void test_asked_again_once_more(void **state)
{
	struct ct_event event = event_number(5);
	struct verify_item item;

	(void)state;
	verify_doubt(&verify, &event, S);
	assert_int_equal(verify_take(&verify, 2 * S, &item, 1), 1);
	verify_again(&verify, &item, 2 * S);
	assert_int_equal(verify_take(&verify, 2 * S + VERIFY_DELAY_NS - 1, &item, 1), 0);
	assert_int_equal(verify_take(&verify, 2 * S + VERIFY_DELAY_NS, &item, 1), 1);
	assert_int_equal(item.attempt, 1);
	assert_memory_equal(&item.key, &event.key, sizeof(event.key));
}

static void test_ring_overflow_is_counted(void **state)
{
	struct ct_event event = event_number(1);
	struct verify_item items[64];
	uint32_t got = 0;

	(void)state;
	for (uint32_t i = 0; i < VERIFY_RING + 10; i++)
		verify_doubt(&verify, &event, S);
	assert_int_equal(verify.overflows, 10);
	assert_int_equal(verify_pending(&verify), VERIFY_RING);
	for (uint32_t n; (n = verify_take(&verify, 9 * S, items, 64)) > 0; got += n)
		;
	assert_int_equal(got, VERIFY_RING);
}

/* The index of the ring wraps many times over; nothing is lost or doubled. */
static void test_ring_wraps(void **state)
{
	struct verify_item item;

	(void)state;
	verify.doubts.head = verify.doubts.tail = UINT32_MAX - 3;
	for (uint32_t i = 0; i < 3 * VERIFY_RING; i++) {
		struct ct_event event = event_number(i);

		verify_doubt(&verify, &event, S);
		assert_int_equal(verify_take(&verify, 2 * S, &item, 1), 1);
		assert_int_equal(item.hash, event.hash);
	}
	assert_int_equal(verify.overflows, 0);
}

static void test_sample_is_bounded_and_due_later(void **state)
{
	struct verify_item items[64];

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		struct ct_event event = event_number(i);

		verify_offer(&verify, &event);
	}
	verify_second(&verify, 5 * S);
	assert_int_equal(verify_pending(&verify), 0);
	assert_int_equal(verify_take(&verify, 5 * S + AUDIT_DELAY_NS - 1, items, 64), 0);
	assert_int_equal(verify_take(&verify, 5 * S + AUDIT_DELAY_NS, items, 64), 16);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(items[i].audit, 1);
	verify_second(&verify, 6 * S);
	assert_int_equal(verify_take(&verify, 60 * S, items, 64), 0);
}

/* Every event of a second has the same chance: no part of it is left out. */
static void test_reservoir_is_fair(void **state)
{
	enum { EVENTS = 400, ROUNDS = 2000 };
	uint32_t quarter[4] = {0};
	struct verify_item items[64];

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < EVENTS; i++) {
			struct ct_event event = event_number(i);

			verify_offer(&verify, &event);
		}
		verify_second(&verify, S);
		for (uint32_t n = verify_take(&verify, 100 * S, items, 64); n-- > 0;)
			quarter[(items[n].key.src[2] << 8 | items[n].key.src[3]) * 4 / EVENTS]++;
	}
	/* 8000 expected a quarter, standard deviation 77: eight of them either way. */
	for (unsigned int i = 0; i < 4; i++)
		assert_in_range(quarter[i], 8000 - 620, 8000 + 620);
}

static void test_fewer_events_than_the_rate(void **state)
{
	struct verify_item items[64];

	(void)state;
	for (uint32_t i = 0; i < 5; i++) {
		struct ct_event event = event_number(i);

		verify_offer(&verify, &event);
	}
	verify_second(&verify, S);
	assert_int_equal(verify_take(&verify, 10 * S, items, 64), 5);
}

/* Doubts go first, audits fill what room is left. */
static void test_doubts_before_audits(void **state)
{
	struct verify_item items[4];
	struct ct_event event = event_number(1);

	(void)state;
	verify_offer(&verify, &event);
	verify_offer(&verify, &event);
	verify_second(&verify, S);
	for (uint32_t i = 0; i < 3; i++)
		verify_doubt(&verify, &event, 8 * S);
	assert_int_equal(verify_take(&verify, 9 * S, items, 4), 4);
	assert_int_equal(items[0].audit + items[1].audit + items[2].audit, 0);
	assert_int_equal(items[3].audit, 1);
}

static void test_rate_zero_and_too_large(void **state)
{
	struct verify other;
	struct verify_item items[4];
	struct ct_event event = event_number(1);

	(void)state;
	assert_int_equal(verify_create(&other, 0, 0), 0);
	for (uint32_t i = 0; i < 1000; i++)
		verify_offer(&other, &event);
	verify_second(&other, S);
	assert_int_equal(verify_take(&other, 100 * S, items, 4), 0);
	verify_destroy(&other);
	assert_int_equal(verify_create(&other, UINT32_MAX, 0), 0);
	assert_int_equal(other.audit_rate, AUDIT_RATE_MAX);
	verify_destroy(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_doubts_wait_and_keep_order),	    TEST(test_asked_again_once_more),
		TEST(test_ring_overflow_is_counted),	    TEST(test_ring_wraps),
		TEST(test_sample_is_bounded_and_due_later), TEST(test_reservoir_is_fair),
		TEST(test_fewer_events_than_the_rate),	    TEST(test_doubts_before_audits),
		TEST(test_rate_zero_and_too_large),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
