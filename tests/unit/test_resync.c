// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/mirror/resync: the cases in which a dump and events cross, one by one. The same
 * at random against a model of the kernel: test_resync_model.c. */
#include "tests/unit/unit.h"

#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/shm/seqlock.h"
#include "tests/unit/offline.h"

static struct mirror_offline offline;
static uint32_t fill_mark; /* of the chunk that was received last */

static int set_up(void **state)
{
	(void)state;
	ct_hash_seed_fixed(1);
	return mirror_offline_create(&offline, 100000);
}

static int tear_down(void **state)
{
	const char *wrong = offline_disagrees(&offline);

	(void)state;
	if (wrong)
		print_error("after the test: %s\n", wrong);
	mirror_offline_destroy(&offline);
	return wrong ? -1 : 0;
}

static void tell(enum ct_kind kind, uint32_t number, uint32_t id, uint32_t status, int state)
{
	struct ct_event event = offline_event((struct told){
		.kind = kind, .number = number, .id = id, .status = status, .state = state});

	mirror_event(&offline.mirror, &event);
}

static void begin(void)
{
	/* Nothing explains what is found: it changed without telling. */
	resync_begin(&offline.resync, &offline.mirror, false);
}

/* A chunk is received: what it holds was filled in the receive before. */
static void receive(void)
{
	fill_mark = resync_next(&offline.resync, &offline.mirror);
}

static void record(uint32_t number, uint32_t id, uint32_t status, int state)
{
	struct ct_event event = offline_event((struct told){
		.kind = CT_RECORD, .number = number, .id = id, .status = status, .state = state});

	resync_record(&offline.resync, &offline.mirror, &event, fill_mark);
}

static enum resync_result finish(bool valid, int64_t kernel_entries)
{
	enum resync_result result;

	resync_dump_done(&offline.resync, &offline.mirror, valid, kernel_entries);
	do {
		result = resync_sweep(&offline.resync, &offline.mirror);
	} while (result == RESYNC_PENDING);
	assert_int_equal(offline.resync.phase, RESYNC_IDLE);
	return result;
}

/* A dump that shows TCP entries `from` up to `to`, id = number + 1, state 3. */
static enum resync_result whole_dump(uint32_t from, uint32_t to, int64_t kernel_entries)
{
	begin();
	receive();
	for (uint32_t i = from; i < to; i++)
		record(i, i + 1, CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED, 3);
	return finish(true, kernel_entries);
}

static uint32_t tcp_entries(uint32_t number, unsigned int state)
{
	struct row_key key = {L4_TCP, DIR_FORWARDED, (uint16_t)(80 + number % 7)};

	return peek_u32(&offline.hist.cells[cell_of(key, state)]);
}

static void test_first_dump_fills_an_empty_mirror(void **state)
{
	(void)state;
	assert_int_equal(whole_dump(0, 1000, 1000), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 1000);
	/* Who has spoken nobody knows yet; and nothing was missing at the first one. */
	assert_int_equal(offline.mirror.silent_entries, 1000);
	assert_int_equal(offline.mirror.counters.repairs_missing, 0);
	assert_int_equal(offline.mirror.counters.new_entries, 0);
	assert_int_equal(whole_dump(0, 1010, 1010), RESYNC_VALID);
	assert_int_equal(offline.mirror.counters.repairs_missing, 10);
}

static void test_duplicates_in_the_dump(void **state)
{
	(void)state;
	begin();
	receive();
	for (unsigned int i = 0; i < 3; i++)
		record(1, 7, 0, 1);
	receive();
	record(1, 7, 0, 1);
	assert_int_equal(finish(true, 1), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 1);
	assert_int_equal(offline.mirror.counters.repairs_state, 0);
}

/* After a loss what is missing was born while we listened: it can speak, perhaps. It is
 * doubted until it does, or until another dump finds it unchanged. What was known to be silent
 * before stays so. */
static void test_explained_gaps_are_not_silent(void **state)
{
	(void)state;
	whole_dump(0, 10, 10);
	resync_begin(&offline.resync, &offline.mirror, true);
	receive();
	for (uint32_t i = 0; i < 20; i++)
		record(i, i + 1, CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED, i < 5 ? 7 : 3);
	assert_int_equal(finish(true, 20), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 20);
	assert_int_equal(offline.mirror.silent_entries, 20);
	assert_int_equal(offline.mirror.counters.repairs_state, 5);
	/* One speaks, one changes unheard, eight are confirmed. */
	tell(CT_UPDATE, 10, 11, CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED, 4);
	assert_int_equal(offline.mirror.silent_entries, 19);
	begin();
	receive();
	for (uint32_t i = 0; i < 20; i++)
		record(i, i + 1, CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED,
		       i < 5	 ? 7
		       : i == 10 ? 4
		       : i == 11 ? 8
				 : 3);
	assert_int_equal(finish(true, 20), RESYNC_VALID);
	assert_int_equal(offline.mirror.silent_entries, 11);
	assert_int_equal(offline.mirror.counters.repairs_state, 6);
	/* At the very start nothing is explained. */
	resync_init(&offline.resync);
	resync_begin(&offline.resync, &offline.mirror, true);
	receive();
	record(50, 51, 0, 3);
	assert_int_equal(offline.mirror.silent_entries, 12);
	assert_int_equal(finish(false, 21), RESYNC_INVALID);
}

/* Shown by the dump, then its NEW: one birth, no death. */
static void test_new_after_its_record(void **state)
{
	(void)state;
	whole_dump(0, 1, 1);
	begin();
	receive();
	record(1, 7, 0, 1);
	tell(CT_NEW, 1, 7, 0, 1);
	assert_int_equal(offline.mirror.counters.new_entries, 1);
	assert_int_equal(offline.mirror.counters.destroyed_entries, 0);
	assert_int_equal(offline.mirror.entries, 2);
	assert_int_equal(tcp_entries(1, 1), 1);
	assert_int_equal(finish(false, 2), RESYNC_INVALID);
}

/* A silent entry died unheard, and its tuple and id live again: not the same life. */
static void test_new_over_an_old_silent_entry(void **state)
{
	(void)state;
	whole_dump(0, 1, 1);
	tell(CT_NEW, 0, 1, 0, 1);
	assert_int_equal(tcp_entries(0, 1), 1);
	assert_int_equal(tcp_entries(0, 3), 0);
	assert_int_equal(offline.mirror.silent_entries, 0);
	assert_int_equal(offline.mirror.counters.stale_updates, 0);
	assert_int_equal(offline.mirror.counters.destroyed_entries, 1);
}

/* Filled, then changed: the event was read first, the record later. */
static void test_event_wins_over_an_older_record(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	begin();
	tell(CT_UPDATE, 1, 7, CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED, 3);
	receive();
	record(1, 7, 0, 1);
	assert_int_equal(finish(true, 1), RESYNC_VALID);
	assert_int_equal(tcp_entries(1, 3), 1);
	assert_int_equal(offline.mirror.counters.repairs_state, 0);
	assert_int_equal(offline.mirror.silent_entries, 0);
}

/* A change that no event told of, seen by the record. */
static void test_record_newer_than_every_event(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	begin();
	receive();
	record(1, 7, CT_STATUS_SEEN_REPLY, 8);
	assert_int_equal(tcp_entries(1, 8), 1);
	assert_int_equal(offline.mirror.counters.repairs_state, 1);
	assert_int_equal(offline.mirror.silent_entries, 1);
	assert_int_equal(finish(true, 1), RESYNC_VALID);
}

/* Chunk 2 is filled inside the receive of chunk 1: an event applied before that
 * receive is older than the record, one applied after it is newer. */
static void test_fill_mark_is_one_receive_back(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_NEW, 8, 8, 0, 1);
	begin();
	tell(CT_UPDATE, 1, 7, CT_STATUS_SEEN_REPLY, 2);
	receive(); /* chunk 1 comes, chunk 2 is filled */
	tell(CT_UPDATE, 8, 8, CT_STATUS_SEEN_REPLY, 2);
	receive();			       /* chunk 2 comes */
	record(1, 7, CT_STATUS_SEEN_REPLY, 8); /* silent, after the event */
	record(8, 8, 0, 1);		       /* overtaken */
	assert_int_equal(tcp_entries(1, 8), 1);
	assert_int_equal(tcp_entries(1, 2), 1);
	assert_int_equal(offline.mirror.counters.repairs_state, 1);
	assert_int_equal(finish(true, 2), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 2);
}

static void test_event_wins_but_the_unknown_is_filled(void **state)
{
	(void)state;
	begin();
	tell(CT_UPDATE, 1, 7, CT_STATUS_SEEN_REPLY, -1);
	receive();
	record(1, 7, CT_STATUS_SEEN_REPLY, 3);
	assert_int_equal(tcp_entries(1, 3), 1);
	assert_int_equal(offline.mirror.unknown_entries, 0);
	assert_int_equal(offline.mirror.silent_entries, 0);
	assert_int_equal(finish(true, 1), RESYNC_VALID);
}

static void test_tombstone_skips_the_record_of_the_dead(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	begin();
	tell(CT_DESTROY, 1, 7, CT_STATUS_DYING, 1);
	/* Also one that the mirror never knew. */
	tell(CT_DESTROY, 2, 9, CT_STATUS_DYING, 1);
	receive();
	record(1, 7, 0, 1);
	record(2, 9, 0, 1);
	assert_int_equal(offline.mirror.entries, 0);
	assert_int_equal(offline.mirror.counters.tombstone_skips, 2);
	/* Another id under that tuple is another entry. */
	record(2, 10, 0, 1);
	assert_int_equal(offline.mirror.entries, 1);
	assert_int_equal(finish(true, 1), RESYNC_VALID);
}

/* Dead before the dump began: what the dump shows under that id lives. */
static void test_older_tombstones_skip_nothing(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_DESTROY, 1, 7, CT_STATUS_DYING, 1);
	begin();
	receive();
	record(1, 7, 0, 1);
	assert_int_equal(finish(true, 1), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 1);
	/* Of two deaths the later one counts. */
	tell(CT_DESTROY, 1, 7, CT_STATUS_DYING, 1);
	begin();
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_DESTROY, 1, 7, CT_STATUS_DYING, 1);
	receive();
	record(1, 7, 0, 1);
	assert_int_equal(finish(true, 0), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 0);
}

static void test_dying_records_are_skipped(void **state)
{
	(void)state;
	begin();
	receive();
	record(1, 7, CT_STATUS_DYING, 1);
	assert_int_equal(finish(true, 0), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 0);
}

static void test_record_of_another_id(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	begin();
	/* Newer than all events: an incarnation we did not hear of. */
	receive();
	record(1, 8, CT_STATUS_SEEN_REPLY, 3);
	assert_int_equal(tcp_entries(1, 3), 1);
	assert_int_equal(offline.mirror.counters.repairs_replaced, 1);
	/* Older than an event: the one before it. */
	tell(CT_NEW, 1, 9, 0, 1);
	record(1, 8, CT_STATUS_SEEN_REPLY, 3);
	assert_int_equal(tcp_entries(1, 1), 1);
	assert_int_equal(offline.mirror.counters.repairs_replaced, 1);
	assert_int_equal(finish(true, 1), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 1);
}

/* Born in a bucket the dump had passed. */
static void test_born_during_the_dump_survives(void **state)
{
	(void)state;
	whole_dump(0, 10, 10);
	begin();
	receive();
	for (uint32_t i = 0; i < 10; i++)
		record(i, i + 1, CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED, 3);
	tell(CT_NEW, 50, 51, 0, 1);
	assert_int_equal(finish(true, 11), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 11);
	assert_int_equal(offline.mirror.counters.repairs_ghost, 0);
}

static void test_what_a_valid_dump_did_not_show_is_gone(void **state)
{
	(void)state;
	whole_dump(0, 100, 100);
	assert_int_equal(whole_dump(0, 95, 95), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 95);
	assert_int_equal(offline.mirror.counters.repairs_ghost, 5);
	/* A ghost that events touched before the dump began is one too. */
	tell(CT_NEW, 99, 100, 0, 1);
	assert_int_equal(whole_dump(0, 95, 95), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 95);
}

static void test_an_invalid_dump_adds_but_never_removes(void **state)
{
	(void)state;
	whole_dump(0, 100, 100);
	begin();
	receive();
	for (uint32_t i = 100; i < 110; i++)
		record(i, i + 1, 0, 1);
	assert_int_equal(finish(false, 10), RESYNC_INVALID);
	assert_int_equal(offline.mirror.entries, 110);
	assert_int_equal(offline.mirror.counters.repairs_ghost, 0);
	/* The next valid one puts it right. */
	assert_int_equal(whole_dump(0, 100, 100), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 100);
}

/* Fewer entries shown than the kernel counts: the dump is disbelieved... */
/* Epochs take turns; an entry shown long ago, and by no dump since, is gone all the same. */
static void test_epochs_come_round(void **state)
{
	(void)state;
	for (unsigned int invalid = 0; invalid < 2 * FLOW_EPOCH_MAX; invalid++) {
		whole_dump(0, 100, 100);
		for (unsigned int i = 0; i < invalid; i++) {
			begin();
			receive();
			assert_int_equal(finish(false, 100), RESYNC_INVALID);
		}
		assert_int_equal(offline.mirror.entries, 100);
		assert_int_equal(whole_dump(0, 90, 90), RESYNC_VALID);
		assert_int_equal(offline.mirror.entries, 90);
	}
}

static void test_incredible_sweep_is_refused(void **state)
{
	(void)state;
	whole_dump(0, 100, 100);
	assert_int_equal(whole_dump(0, 50, 100), RESYNC_INVALID);
	assert_int_equal(offline.mirror.entries, 100);
	/* ...but not when the kernel's count says the same, or nothing. */
	assert_int_equal(whole_dump(0, 50, 50), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 50);
	assert_int_equal(whole_dump(0, 5, -1), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 5);
}

static void test_full_mirror_makes_the_dump_invalid(void **state)
{
	struct mirror_offline small;
	enum resync_result result;

	(void)state;
	assert_int_equal(mirror_offline_create(&small, 50), 0);
	resync_begin(&small.resync, &small.mirror, false);
	uint32_t mark = resync_next(&small.resync, &small.mirror);

	for (uint32_t i = 0; i < 60; i++) {
		struct ct_event event = offline_event(
			(struct told){.kind = CT_RECORD, .number = i, .id = i + 1, .state = 3});

		resync_record(&small.resync, &small.mirror, &event, mark);
	}
	resync_dump_done(&small.resync, &small.mirror, true, 60);
	do {
		result = resync_sweep(&small.resync, &small.mirror);
	} while (result == RESYNC_PENDING);
	assert_int_equal(result, RESYNC_INVALID);
	assert_int_equal(small.mirror.entries, 50);
	assert_null(offline_disagrees(&small));
	mirror_offline_destroy(&small);
}

/* The number of the dump has eight bits; each must mark what it has seen. */
static void test_many_dumps(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 600; i++) {
		/* Heard of before the dump, gone without a word. */
		tell(CT_NEW, 10000 + i, 5, 0, 1);
		assert_int_equal(whole_dump(i, i + 20, 20), RESYNC_VALID);
		if (offline.mirror.entries != 20)
			fail_msg("dump %u: %u entries", i + 1, offline.mirror.entries);
	}
}

/* Marks have 24 bits and wrap; what was stamped long ago must not become new. */
static void test_marks_wrap_between_dumps(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	for (uint32_t i = 0; i < 12; i++) {
		begin();
		receive();
		record(1, 7, 0, 1);
		assert_int_equal(finish(true, 1), RESYNC_VALID);
		for (uint32_t n = 0; n < 3000000; n++)
			mirror_mark(&offline.mirror);
	}
	begin();
	receive();
	record(1, 7, CT_STATUS_SEEN_REPLY, 8);
	assert_int_equal(tcp_entries(1, 8), 1);
	assert_int_equal(finish(true, 1), RESYNC_VALID);
	assert_int_equal(whole_dump(2, 3, 1), RESYNC_VALID);
	assert_int_equal(offline.mirror.entries, 1);
}

static void test_direction_follows_addresses(void **state)
{
	const struct local_addr here = {
		.bytes = {192, 168, 0, 1}, .family = AF_INET, .prefix_bits = 32};
	struct row_key inbound = {L4_TCP, DIR_INBOUND, 81};

	(void)state;
	tell(CT_NEW, 1, 7, CT_STATUS_SEEN_REPLY, 3);
	tell(CT_NEW, 8, 8, CT_STATUS_SEEN_REPLY, 3);
	local_addrs_add(&offline.addrs, &here);
	local_addrs_finish(&offline.addrs);
	begin();
	tell(CT_UPDATE, 8, 8, CT_STATUS_SEEN_REPLY, 4); /* the event wins the state */
	receive();
	record(1, 7, CT_STATUS_SEEN_REPLY, 3);
	record(8, 8, CT_STATUS_SEEN_REPLY, 3);
	assert_int_equal(finish(true, 2), RESYNC_VALID);
	assert_int_equal(peek_u32(&offline.hist.cells[cell_of(inbound, 3)]), 1);
	assert_int_equal(peek_u32(&offline.hist.cells[cell_of(inbound, 4)]), 1);
	assert_int_equal(offline.mirror.counters.repairs_state, 0);
}

/* The sweep goes in steps; events between two of them count. */
static bool in_mirror(uint32_t number)
{
	struct ct_event event = offline_event((struct told){.number = number});

	return flow_find(&offline.mirror.table, event.hash) != FLOW_NONE;
}

static void test_events_between_steps_of_the_sweep(void **state)
{
	uint32_t again = 0;

	(void)state;
	whole_dump(0, 40000, 40000);
	begin();
	receive();
	for (uint32_t i = 0; i < 39000; i++)
		record(i, i + 1, CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED, 3);
	resync_dump_done(&offline.resync, &offline.mirror, true, 39000);
	for (uint32_t i = 39000; resync_sweep(&offline.resync, &offline.mirror) == RESYNC_PENDING;
	     i++) {
		/* Proof of life, perhaps too late, and one born. */
		again += !in_mirror(i);
		tell(CT_UPDATE, i, i + 1, CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED, 3);
		tell(CT_NEW, i + 50000, i, 0, 1);
	}
	assert_int_equal(offline.resync.phase, RESYNC_IDLE);
	assert_null(offline_disagrees(&offline));
	assert_int_equal(offline.mirror.entries,
			 39000 + 1000 - offline.mirror.counters.repairs_ghost +
				 offline.mirror.counters.new_entries + again);
	assert_true(offline.mirror.counters.repairs_ghost >= 990);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_first_dump_fills_an_empty_mirror),
		TEST(test_duplicates_in_the_dump),
		TEST(test_explained_gaps_are_not_silent),
		TEST(test_new_after_its_record),
		TEST(test_new_over_an_old_silent_entry),
		TEST(test_event_wins_over_an_older_record),
		TEST(test_record_newer_than_every_event),
		TEST(test_fill_mark_is_one_receive_back),
		TEST(test_event_wins_but_the_unknown_is_filled),
		TEST(test_tombstone_skips_the_record_of_the_dead),
		TEST(test_older_tombstones_skip_nothing),
		TEST(test_dying_records_are_skipped),
		TEST(test_record_of_another_id),
		TEST(test_born_during_the_dump_survives),
		TEST(test_what_a_valid_dump_did_not_show_is_gone),
		TEST(test_an_invalid_dump_adds_but_never_removes),
		TEST(test_epochs_come_round),
		TEST(test_incredible_sweep_is_refused),
		TEST(test_full_mirror_makes_the_dump_invalid),
		TEST(test_many_dumps),
		TEST(test_marks_wrap_between_dumps),
		TEST(test_direction_follows_addresses),
		TEST(test_events_between_steps_of_the_sweep),
	};

	return cmocka_run_group_tests_name("resync", tests, NULL, NULL);
}
