// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/advice: entries of before the agent that nobody uses, and their healthy neighbours. */
#include "exporters/advice/patterns.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "tests/unit/made.h"

#define PORT 5222u

/* Connections that were open before the agent started, and what is known of the port. */
static struct made *old_ones(uint32_t entries, struct snap_row **row)
{
	static const uint32_t plain[5] = {0};
	struct made *made = made_new();

	*row = made_row(made, L4_TCP, DIR_FORWARDED, PORT);
	made_state(*row, ST_TCP_ESTABLISHED, entries);
	made_rate(*row, 0);
	(*row)->new_entries = (*row)->destroyed_entries = 0;
	made_facts(made, *row, plain);
	return made;
}

/* The port is used, and its connections end. */
static void used(struct snap_row *row)
{
	row->new_entries = 5000;
	row->destroyed_entries = 4900;
}

static void run_for(struct made *made, int64_t seconds)
{
	made->snap.live.started_boot_ns =
		made->snap.live.heartbeat_boot_ns - seconds * 1000000000LL;
}

static bool has_command(const struct advice_item *item, const char *text)
{
	for (uint32_t i = 0; i < item->command_count; i++)
		if (!strcmp(item->commands[i].text, text))
			return true;
	return false;
}

static void test_named(void **state)
{
	const struct advice_item *item;
	const struct finding *finding;
	struct snap_row *row;
	struct made *made = old_ones(6000, &row);

	(void)state;
	used(row);
	made_idle(made, row, ST_TCP_ESTABLISHED, 6000, 0, 90000);
	made_assert_named(made, "leftovers", CONFIDENCE_SURE);
	assert_int_equal(made->why.finding_count, 1);
	finding = made_finding(made, "leftovers");
	assert_int_equal(finding->entries, 6000);
	assert_non_null(strstr(finding->summary, "6000 of 6000 entries of tcp/5222 forwarded were "
						 "open before conntide started"));
	assert_true(made_figure(finding, "half_idle_seconds") <= 90000);
	assert_true(made_figure(finding, "half_idle_seconds") > 70000);
	made_advice(made);
	item = made_item(made, "leftovers-tcp-5222");
	assert_non_null(item);
	assert_true(fabs(item->saves_entries - 6000) < 0.5);
	/* Each lists 262,144 buckets and what is still there. */
	assert_true(fabs(item->counted.full_s - 66) < 0.5);
	assert_int_equal(item->warnings, WARN(IDLE_CUT) | WARN(POLICY));
	/* Whole: it is longer than any other. */
	assert_true(has_command(item,
				"conntrack -L -f ipv4 -p tcp --dport 5222 --state ESTABLISHED "
				"-o save | awk '$3 > 300 && $3 < 423808' | sed 's/^-A -t "
				"[0-9]* -u [A-Z_,]*/-D/; s/^-D -s/-D -w 0 -s/' "
				"| conntrack -R -"));
	assert_non_null(made_item(made, "timeout-tcp_established"));
	made_free(made);
}

static void test_how_sure(void **state)
{
	struct snap_row *row;
	struct made *made = old_ones(6000, &row);

	(void)state;
	/* Of a port where nothing ends they may be kept open on purpose. */
	made_idle(made, row, ST_TCP_ESTABLISHED, 6000, 0, 90000);
	made_assert_named(made, "leftovers", CONFIDENCE_LIKELY);
	used(row);
	made_assert_named(made, "leftovers", CONFIDENCE_SURE);
	/* Found after a loss of events, they may have begun since. */
	made->snap.live.repairs_missing = 400;
	made_assert_named(made, "leftovers", CONFIDENCE_LIKELY);
	made->snap.live.repairs_missing = 0;
	/* A sample stands for all. */
	made_idle(made, row, ST_TCP_ESTABLISHED, 150, 0, 90000);
	made_assert_named(made, "leftovers", CONFIDENCE_SURE);
	/* Of some alone nothing is known. */
	made_idle(made, row, ST_TCP_ESTABLISHED, 50, 0, 90000);
	made_assert_none(made);
	made_free(made);
}

/* Old, and in use: by packets, by keepalives, or some of a pool for all of it. */
static void test_neighbours(void **state)
{
	struct snap_row *row;
	struct made *made = old_ones(3000, &row);

	(void)state;
	used(row);
	made_idle(made, row, ST_TCP_ESTABLISHED, 3000, 0, 3);
	made_assert_none(made);
	/* A pool that is kept alive: an agent that has not seen a keepalive cannot know. */
	made_idle(made, row, ST_TCP_ESTABLISHED, 3000, 0, 5000);
	run_for(made, 3600);
	made_assert_named(made, "idle-established", CONFIDENCE_LIKELY);
	assert_null(made_finding(made, "leftovers"));
	run_for(made, 10000);
	made_assert_none(made);
	/* A pool without keepalives, of which a fifth is enough. */
	row->new_entries = row->destroyed_entries = 0;
	made_idle(made, row, ST_TCP_ESTABLISHED, 2400, 0, 90000);
	made_idle_too(made, 600, 5);
	made_look(made);
	assert_null(made_finding(made, "leftovers"));
	/* The same of a port whose connections end is no pool. */
	used(row);
	made_assert_named(made, "leftovers", CONFIDENCE_SURE);
	assert_int_equal(made_finding(made, "leftovers")->entries, 2400);
	made_free(made);
}

/* Those that began since the agent are idle, and no leftovers; few are no cause. */
static void test_others(void **state)
{
	struct snap_row *row;
	struct made *made = old_ones(3000, &row);

	(void)state;
	used(row);
	run_for(made, 100000);
	made_idle(made, row, ST_TCP_ESTABLISHED, 3000, 3000, 20000);
	made_idle_age(made, 60000);
	made_assert_named(made, "idle-established", CONFIDENCE_SURE);
	made_free(made);
	made = old_ones(400, &row);
	used(row);
	made_idle(made, row, ST_TCP_ESTABLISHED, 400, 0, 90000);
	made_assert_none(made);
	made_free(made);
	made = made_healthy();
	row = made_row(made, L4_TCP, DIR_FORWARDED, PORT);
	made_state(row, ST_TCP_ESTABLISHED, 600);
	used(row);
	made_idle(made, row, ST_TCP_ESTABLISHED, 600, 0, 90000);
	made_assert_none(made);
	made_free(made);
}

/* Of offloaded ones the deadline says nothing. */
static void test_offloaded(void **state)
{
	struct snap_row *row;
	struct made *made = old_ones(6000, &row);

	(void)state;
	used(row);
	made_state(row, ST_TCP_OFFLOADED, 10);
	made_idle(made, row, ST_TCP_ESTABLISHED, 6000, 0, 90000);
	made_assert_named(made, "leftovers", CONFIDENCE_SURE);
	made_advice(made);
	assert_null(made_item(made, "leftovers-tcp-5222"));
	assert_non_null(made_item(made, "timeout-tcp_established"));
	made_free(made);
}

/* In a full table it is among what is typed first. */
static void test_relief(void **state)
{
	const struct advice_item *item;
	struct snap_row *row;
	struct made *made = old_ones(6000, &row);

	(void)state;
	used(row);
	made->snap.live.level = SHM_LEVEL_CRITICAL;
	made->snap.live.level_reason = SHM_LEVEL_REASON_FILL;
	made_frames(made, 12);
	made_idle(made, row, ST_TCP_ESTABLISHED, 6000, 0, 90000);
	made_advice(made);
	item = made_item(made, "leftovers-tcp-5222");
	assert_non_null(item);
	assert_int_equal(item->merit, MERIT_RELIEF);
	assert_true(isinf(item->lasts_s));
	made_free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_named),	   cmocka_unit_test(test_how_sure),
		cmocka_unit_test(test_neighbours), cmocka_unit_test(test_others),
		cmocka_unit_test(test_offloaded),  cmocka_unit_test(test_relief),
	};

	return cmocka_run_group_tests_name("advice_left", tests, NULL, NULL);
}
