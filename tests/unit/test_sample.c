// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/mirror/sample: which entries are asked for, and that none is left out for ever. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mirror/sample.h"
#include "tests/unit/offline.h"

#define S UINT64_C(1000000000)

static struct sample sample;

static int set_up(void **state)
{
	(void)state;
	ct_hash_seed_fixed(7);
	return sample_create(&sample, 42);
}

static int tear_down(void **state)
{
	(void)state;
	sample_destroy(&sample);
	return 0;
}

static struct ct_event event_number(uint32_t n)
{
	struct ct_event event = offline_event((struct told){.kind = CT_NEW, .state = 1});

	memcpy(event.key.src, &n, sizeof(n));
	event.hash = ct_hash(&event.key);
	return event;
}

static void offer(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct ct_event event = event_number(i);

		sample_offer(&sample, event.hash, &event.key);
	}
}

/* One walk over all slots; how many entries it met. */
static uint32_t walk(uint32_t table_entries, uint64_t now_ns)
{
	uint32_t met = 0;
	uint64_t hash;

	for (uint32_t i = 0; i < SAMPLE_SLOTS; i++) {
		const struct ct_key *key = sample_next(&sample, table_entries, now_ns, &hash);

		if (!key)
			continue;
		assert_int_equal(ct_hash(key), hash);
		met++;
	}
	return met;
}

static void test_a_small_table_is_in_it_whole(void **state)
{
	struct ct_event event = event_number(17);

	(void)state;
	offer(0, 1000);
	offer(0, 1000); /* again: nothing is there twice */
	assert_int_equal(sample.count, 1000);
	assert_int_equal(walk(1000, S), 1000);
	sample_drop(&sample, event.hash);
	sample_drop(&sample, event.hash);
	assert_int_equal(sample.count, 999);
	assert_int_equal(walk(999, 2 * S), 999);
}

/* Half full buckets lose next to nothing. */
static void test_up_to_the_goal(void **state)
{
	(void)state;
	offer(0, SAMPLE_GOAL);
	assert_in_range(sample.count, SAMPLE_GOAL * 97 / 100, SAMPLE_GOAL);
}

/* A large table: a slice of the right size, whichever it is, and other ones with time. */
static void test_slices_of_a_large_table(void **state)
{
	enum { ENTRIES = 100000, TURNS = 40 };
	uint8_t *met = calloc(ENTRIES, 1);
	uint32_t all = 0;

	(void)state;
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		uint64_t hash;

		sample_turn(&sample, ENTRIES);
		offer(0, ENTRIES);
		assert_in_range(sample.count, SAMPLE_GOAL / 2, SAMPLE_SLOTS);
		for (uint32_t i = 0; i < SAMPLE_SLOTS; i++) {
			const struct ct_key *key = sample_next(&sample, ENTRIES, turn * S, &hash);
			uint32_t number;

			if (!key)
				continue;
			memcpy(&number, key->src, sizeof(number));
			met[number] = 1;
		}
	}
	for (uint32_t i = 0; i < ENTRIES; i++)
		all += met[i];
	/* 1 - (1 - 3125/100000)^40 = 72 % */
	assert_in_range(all, ENTRIES * 60 / 100, ENTRIES * 85 / 100);
	free(met);
}

static void test_it_gets_narrower_as_the_table_grows(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 200000; n += 2000) {
		offer(n, n + 2000);
		sample_second(&sample, n + 2000);
		walk(n + 2000, n * S);
		assert_true(sample.count <= SAMPLE_SLOTS);
	}
	assert_true(sample.mask != 0);
	assert_in_range(walk(200000, 999999 * S), SAMPLE_GOAL / 4, SAMPLE_SLOTS);
	assert_false(sample_thin(&sample));
}

/* The table shrank to what is not in the slice: only a dump can fill it. */
static void test_too_thin(void **state)
{
	(void)state;
	sample_turn(&sample, 1000000);
	offer(0, 3000);
	for (unsigned int i = 0; i < 5; i++)
		sample_second(&sample, 3000);
	assert_true(sample_thin(&sample));
	sample_turn(&sample, 3000);
	offer(0, 3000);
	sample_second(&sample, 3000);
	assert_false(sample_thin(&sample));
}

/* A round is verified once it ended and its last answers had a second to come. */
static void test_whole_rounds(void **state)
{
	(void)state;
	offer(0, 500);
	assert_int_equal(walk(500, 10 * S), 500);
	assert_int_equal(sample.whole_began_ns, 0);
	assert_int_equal(walk(500, 11 * S), 500);
	assert_int_equal(sample.whole_began_ns, 0);
	assert_int_equal(walk(500, 12 * S), 500);
	assert_int_equal(sample.whole_began_ns, 10 * S);
	/* An answer that does not come: that round does not count, the next does. */
	sample_unanswered(&sample);
	walk(500, 13 * S);
	walk(500, 14 * S);
	walk(500, 15 * S);
	assert_int_equal(sample.whole_began_ns, 13 * S);
	/* Entries that are not in it. */
	walk(501, 16 * S);
	walk(501, 17 * S);
	walk(501, 18 * S);
	walk(501, 19 * S);
	assert_true(sample.whole_began_ns < 16 * S);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_small_table_is_in_it_whole),
		TEST(test_up_to_the_goal),
		TEST(test_slices_of_a_large_table),
		TEST(test_it_gets_narrower_as_the_table_grows),
		TEST(test_too_thin),
		TEST(test_whole_rounds),
	};

	return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
