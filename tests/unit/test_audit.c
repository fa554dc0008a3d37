// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/mirror: entries of the whole table are asked for, and what a wrong one says of others. */
#include "tests/unit/unit.h"

#include "lib/base/clock.h"
#include "tests/unit/offline.h"

#define BOTH (CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED)

static struct mirror_offline offline;

static struct ct_event message(enum ct_kind kind, uint32_t number, int state)
{
	return offline_event((struct told){
		.kind = kind, .number = number, .id = number + 1, .status = BOTH, .state = state});
}

static void born(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct ct_event event = message(CT_NEW, i, 3);

		mirror_event(&offline.mirror, &event);
	}
}

static int set_up(void **state)
{
	int err;

	(void)state;
	ct_hash_seed_fixed(1);
	err = mirror_offline_create(&offline, 100000);
	/* Only what the whole table's sample asks for. */
	offline.verify.audit_rate = 0;
	return err;
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

/* A second passes; how many are asked for, and whether entry `number` is among them. */
static uint32_t second(uint32_t most, uint32_t number, struct verify_item *ret_item,
		       bool *ret_asked)
{
	struct ct_event wanted = message(CT_RECORD, number, 3);
	struct verify_item item;
	uint32_t asked = 0;

	mirror_offline_pass(&offline, NS_PER_S);
	mirror_audit(&offline.mirror, most);
	for (; verify_take(&offline.verify, offline.mirror.now_ns, &item, 1) == 1; asked++) {
		if (item.hash != wanted.hash)
			continue;
		*ret_item = item;
		*ret_asked = true;
	}
	return asked;
}

/* The kernel says that entry `number` is in `state` (-1: gone), when asked, and asked again. */
static void answer(uint32_t number, int state)
{
	struct ct_event found = message(CT_RECORD, number, state);
	struct verify_item item;
	bool asked = false;
	uint32_t mark;

	while (!asked)
		second(120, number, &item, &asked);
	mark = mirror_mark(&offline.mirror);
	mirror_answer(&offline.mirror, &item, state < 0 ? NULL : &found, mark);
	mirror_offline_pass(&offline, VERIFY_DELAY_NS);
	if (verify_take(&offline.verify, offline.mirror.now_ns, &item, 1) != 1)
		return;
	mark = mirror_mark(&offline.mirror);
	mirror_answer(&offline.mirror, &item, state < 0 ? NULL : &found, mark);
}

/* Long after their last event: each in turn, none twice before all were asked for. */
static void test_every_entry_has_its_turn(void **state)
{
	struct verify_item item;
	bool asked = false;
	uint32_t sum = 0;

	(void)state;
	born(0, 1000);
	mirror_offline_pass(&offline, 3600 * NS_PER_S);
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(second(120, 999, &item, &asked), 120);
		sum += 120;
	}
	assert_int_equal(sum, 960);
	second(120, 999, &item, &asked);
	assert_true(asked);
	/* A small table is asked for whole, once a second. */
	for (uint32_t i = 50; i < 1000; i++) {
		struct ct_event event = message(CT_DESTROY, i, 3);

		mirror_event(&offline.mirror, &event);
	}
	assert_int_equal(second(120, 0, &item, &asked), 50);
	assert_int_equal(second(0, 0, &item, &asked), 0);
}

static void test_a_masked_entry(void **state)
{
	(void)state;
	born(0, 100);
	answer(7, 3);
	assert_int_equal(offline.mirror.counters.audits_match, 1);
	assert_int_equal(offline.mirror.last_silent_ns, 0);
	answer(7, 8);
	assert_int_equal(offline.mirror.counters.audits_mismatch, 1);
	assert_int_equal(offline.mirror.last_silent_ns, offline.mirror.now_ns);
	assert_int_equal(offline.mirror.last_ghost_ns, 0);
	assert_int_equal(offline.mirror.silent_entries, 1);
	/* The next change of the same one tells nothing new. */
	offline.mirror.last_silent_ns = 0;
	answer(7, 9);
	assert_int_equal(offline.mirror.counters.audits_mismatch, 2);
	assert_int_equal(offline.mirror.last_silent_ns, 0);
	/* And its end neither. */
	answer(7, -1);
	assert_int_equal(offline.mirror.last_ghost_ns, 0);
	assert_int_equal(offline.mirror.entries, 99);
}

static void test_a_ghost(void **state)
{
	(void)state;
	born(0, 100);
	answer(7, -1);
	assert_int_equal(offline.mirror.entries, 99);
	assert_int_equal(offline.mirror.last_ghost_ns, offline.mirror.now_ns);
	assert_int_equal(offline.mirror.last_silent_ns, offline.mirror.now_ns);
}

/* While events are known to be missing, that explains it. */
static void test_wrong_after_a_loss(void **state)
{
	(void)state;
	born(0, 100);
	offline.mirror.corrections_silent = false;
	answer(7, -1);
	answer(8, 8);
	assert_int_equal(offline.mirror.counters.audits_mismatch, 2);
	assert_int_equal(offline.mirror.last_ghost_ns, 0);
	assert_int_equal(offline.mirror.last_silent_ns, 0);
	assert_int_equal(offline.mirror.silent_entries, 1);
	assert_int_equal(offline.mirror.found_total, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_every_entry_has_its_turn),
		TEST(test_a_masked_entry),
		TEST(test_a_ghost),
		TEST(test_wrong_after_a_loss),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
