// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/roster: a dump and the events around it, made into one list without doubles. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "agent/record/ct_cache.h"
#include "lib/kernel/states.h"
#include "tests/unit/offline.h"

#define LIMIT 1000u

static struct ct_cache cache;

static int set_up(void **state)
{
	(void)state;
	ct_hash_seed_fixed(1);
	return ct_cache_create(&cache, LIMIT);
}

static int tear_down(void **state)
{
	(void)state;
	ct_cache_destroy(&cache);
	return 0;
}

static struct ct_event make(enum ct_kind kind, uint32_t number, uint32_t id, int tcp_state)
{
	return offline_event(
		(struct told){.kind = kind, .number = number, .id = id, .state = tcp_state});
}

static bool tell(enum ct_kind kind, uint32_t number, uint32_t id, int tcp_state)
{
	struct ct_event event = make(kind, number, id, tcp_state);

	if (kind != CT_RECORD)
		return ct_cache_event(&cache, &event, 1);
	ct_cache_record(&cache, &event, 1);
	return true;
}

static const struct ct_event *only_one(void)
{
	uint32_t cursor = 0;
	const struct ct_cache_entry *entry = ct_cache_next(&cache, &cursor);

	assert_non_null(entry);
	assert_null(ct_cache_next(&cache, &cursor));
	assert_int_equal(cache.live, 1);
	return &entry->event;
}

static unsigned int listed(void)
{
	uint32_t cursor = 0;
	unsigned int n = 0;

	while (ct_cache_next(&cache, &cursor))
		n++;
	assert_int_equal(n, cache.live);
	return n;
}

static void test_an_entry_of_dump_and_event_is_one(void **state)
{
	(void)state;
	ct_cache_dump_begin(&cache);
	tell(CT_NEW, 1, 10, ST_TCP_SYN_SENT);
	tell(CT_RECORD, 1, 10, ST_TCP_SYN_SENT);
	tell(CT_UPDATE, 1, 10, ST_TCP_SYN_RECV);
	tell(CT_RECORD, 1, 10, ST_TCP_SYN_SENT);
	ct_cache_dump_end(&cache);
	assert_int_equal(only_one()->proto_state, ST_TCP_SYN_RECV);
}

static void test_the_newer_of_two_records_counts(void **state)
{
	(void)state;
	ct_cache_dump_begin(&cache);
	tell(CT_RECORD, 1, 10, ST_TCP_SYN_SENT);
	tell(CT_RECORD, 1, 11, ST_TCP_ESTABLISHED);
	ct_cache_dump_end(&cache);
	assert_int_equal(only_one()->id, 11);
	assert_int_equal(only_one()->proto_state, ST_TCP_ESTABLISHED);
}

static void test_the_dead_do_not_come_back(void **state)
{
	(void)state;
	ct_cache_dump_begin(&cache);
	/* Known from the dump, from an event, and not at all. */
	tell(CT_RECORD, 1, 10, ST_TCP_TIME_WAIT);
	tell(CT_DESTROY, 1, 10, -1);
	tell(CT_RECORD, 1, 10, ST_TCP_TIME_WAIT);
	tell(CT_NEW, 2, 20, ST_TCP_SYN_SENT);
	tell(CT_DESTROY, 2, 20, -1);
	tell(CT_RECORD, 2, 20, ST_TCP_SYN_SENT);
	tell(CT_DESTROY, 3, 30, -1);
	tell(CT_RECORD, 3, 30, ST_TCP_SYN_SENT);
	assert_int_equal(listed(), 0);
	/* But the next life of a tuple is another one. */
	tell(CT_NEW, 3, 31, ST_TCP_SYN_SENT);
	ct_cache_dump_end(&cache);
	assert_int_equal(only_one()->id, 31);
	/* All room is free again, but for one. */
	for (uint32_t i = 0; i < LIMIT - 1; i++)
		assert_true(tell(CT_NEW, 100 + i, i, ST_TCP_SYN_SENT));
	assert_int_equal(cache.refused, 0);
	assert_int_equal(listed(), LIMIT);
}

static void test_a_dying_record_is_none(void **state)
{
	struct ct_event record = make(CT_RECORD, 1, 10, ST_TCP_CLOSE);

	(void)state;
	record.status |= CT_STATUS_DYING;
	ct_cache_dump_begin(&cache);
	ct_cache_record(&cache, &record, 1);
	ct_cache_dump_end(&cache);
	assert_int_equal(listed(), 0);
}

static void test_a_record_tells_a_state_that_no_event_told(void **state)
{
	(void)state;
	ct_cache_dump_begin(&cache);
	tell(CT_UPDATE, 1, 10, -1);
	tell(CT_RECORD, 1, 10, ST_TCP_ESTABLISHED);
	ct_cache_dump_end(&cache);
	assert_int_equal(only_one()->proto_state, ST_TCP_ESTABLISHED);
	assert_true(only_one()->has & CT_HAS_PROTO_STATE);
}

static void test_a_state_not_told_is_the_last_known(void **state)
{
	struct ct_event event = make(CT_UPDATE, 1, 10, -1);

	(void)state;
	tell(CT_NEW, 1, 10, ST_TCP_SYN_SENT);
	tell(CT_UPDATE, 1, 10, ST_TCP_ESTABLISHED);
	assert_true(ct_cache_event(&cache, &event, 2));
	assert_int_equal(event.proto_state, ST_TCP_ESTABLISHED);
	event = make(CT_DESTROY, 1, 10, -1);
	assert_true(ct_cache_event(&cache, &event, 3));
	assert_int_equal(event.proto_state, ST_TCP_ESTABLISHED);
	assert_int_equal(listed(), 0);
	/* Of another life nothing is known. */
	tell(CT_NEW, 1, 11, ST_TCP_SYN_SENT);
	event = make(CT_UPDATE, 1, 12, -1);
	assert_true(ct_cache_event(&cache, &event, 4));
	assert_false(event.has & CT_HAS_PROTO_STATE);
}

static void test_what_is_not_worth_a_line(void **state)
{
	struct ct_event event = make(CT_UPDATE, 1, 10, ST_TCP_ESTABLISHED);

	(void)state;
	event.status = CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED;
	assert_true(ct_cache_event(&cache, &event, 1));
	event = make(CT_UPDATE, 1, 10, ST_TCP_SYN_RECV);
	event.status = CT_STATUS_SEEN_REPLY;
	assert_false(ct_cache_event(&cache, &event, 2));
	event.status |= CT_STATUS_ASSURED | CT_STATUS_DYING;
	assert_false(ct_cache_event(&cache, &event, 3));
	assert_int_equal(only_one()->proto_state, ST_TCP_ESTABLISHED);
	/* A late DESTROY of the life before ends nothing here; a reader judges itself. */
	assert_true(tell(CT_DESTROY, 1, 9, -1));
	assert_int_equal(listed(), 1);
}

static void test_full(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < LIMIT + 5; i++)
		assert_true(tell(CT_NEW, i, i, ST_TCP_SYN_SENT));
	assert_int_equal(cache.live, LIMIT);
	assert_int_equal(cache.refused, 5);
	tell(CT_DESTROY, 3, 3, -1);
	tell(CT_NEW, 5000, 1, ST_TCP_SYN_SENT);
	assert_int_equal(cache.refused, 5);
	assert_int_equal(listed(), LIMIT);
}

/* Against a list that is searched from end to end. */
static void random_run(uint64_t seed)
{
	enum { TUPLES = 60 };
	struct rng rng = rng_seeded(seed);
	bool there[TUPLES] = {false};
	uint32_t ids[TUPLES], id = 1;
	unsigned int n = 0;

	ct_cache_dump_begin(&cache);
	ct_cache_dump_end(&cache);
	for (unsigned int i = 0; i < 5000; i++) {
		uint32_t at = rng_below(&rng, TUPLES);

		if (there[at] && rng_percent(&rng, 50)) {
			tell(CT_DESTROY, at, ids[at], -1);
			there[at] = false;
			n--;
		} else {
			n += !there[at];
			there[at] = true;
			ids[at] = id++;
			tell(CT_NEW, at, ids[at], ST_TCP_SYN_SENT);
		}
		assert_seeded(seed, cache.live == n);
	}
	assert_seeded(seed, listed() == n);
	/* Never more at once than tuples, so no more records were ever taken. */
	assert_seeded(seed, cache.used <= TUPLES + 1);
}

static void test_random(void **state)
{
	(void)state;
	unit_seeds("roster", 10, random_run);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_an_entry_of_dump_and_event_is_one),
		CASE(test_the_newer_of_two_records_counts),
		CASE(test_the_dead_do_not_come_back),
		CASE(test_a_dying_record_is_none),
		CASE(test_a_record_tells_a_state_that_no_event_told),
		CASE(test_a_state_not_told_is_the_last_known),
		CASE(test_what_is_not_worth_a_line),
		CASE(test_full),
		CASE(test_random),
	};

	return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
