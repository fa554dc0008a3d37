// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/stats/collector: what the agent tells the forecast of the kernel's collector. */
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "lib/kernel/gc.h"
#include "lib/shm/seqlock.h"
#include "lib/stats/collector.h"

static const uint32_t timeouts_s[TIMEOUT_COUNT]; /* not known: the defaults */

static void near(double value, double expected)
{
	if (!(fabs(value - expected) <= 1e-9))
		fail_msg("%g is not %g", value, expected);
}

static void add(struct shm_ages_set *set, unsigned int l4proto, unsigned int state,
		uint32_t entries, uint32_t timeout_s)
{
	struct row_key key = {(uint8_t)l4proto, DIR_INBOUND, 80};
	uint32_t i = peek_u32(&set->ages.cells_made);
	struct shm_ages_cell *cell = &set->ages.cell[i];

	poke_u32(&cell->cell, cell_of(key, state));
	poke_u32(&cell->entries, entries);
	poke_u32(&cell->timeout_s, timeout_s);
	poke_u32(&set->ages.cells_made, i + 1);
}

static double interval(double one, double one_s, double two, double two_s)
{
	struct kernel_gc gc;

	kernel_gc_init(&gc);
	kernel_gc_add(&gc, one, one_s);
	kernel_gc_add(&gc, two, two_s);
	return kernel_gc_interval_s(&gc, 250);
}

static void test_rule(void **state)
{
	static struct shm_ages_set set;
	struct collector collector = {0};
	struct collector_second second = {.tick_hz = 250, .buckets = 1000, .new_per_s = 20};
	struct fc_collector rule;

	(void)state;
	memset(&set, 0, sizeof(set));
	rule = collector_second(&collector, &set, timeouts_s, &second);
	near(rule.interval_s, 0); /* no walk yet */
	near(rule.met_per_s, 0);
	add(&set, L4_TCP, ST_TCP_TIME_WAIT, 3000, 0);
	add(&set, L4_TCP, ST_TCP_SYN_SENT, 1000, 20);
	poke_u64(&set.real_ns, 1);
	rule = collector_second(&collector, &set, timeouts_s, &second);
	near(rule.interval_s, interval(3000, 120, 1000, 20));
	near(rule.met_per_s, 0.04);

	/* The next walk sees it; NAT, and an agent that asks for each in 20 s. */
	add(&set, L4_TCP, ST_TCP_CLOSE_WAIT, 4000, 7);
	poke_u32(&set.ages.all.dst_nat, 5);
	second.audits_per_s = 40;
	second.entries = 800;
	rule = collector_second(&collector, &set, timeouts_s, &second);
	near(rule.interval_s, interval(3000, 120, 1000, 20));
	near(rule.met_per_s, 0.04 + 0.1);
	poke_u64(&set.real_ns, 2);
	rule = collector_second(&collector, &set, timeouts_s, &second);
	assert_true(rule.interval_s < interval(3000, 120, 1000, 20));
	near(rule.met_per_s, 0.08 + 0.1);
	second.packets.others_per_s = 120;
	near(collector_second(&collector, &set, timeouts_s, &second).met_per_s, 0.16 + 0.1);
	near(collector_second(&collector, &set, timeouts_s, &second).interval_s,
	     sqrt(rule.interval_s * GC_ROUND_MAX_S));
	second.packets.others_per_s = 0;
	second.buckets = -1;
	rule = collector_second(&collector, &set, timeouts_s, &second);
	near(rule.met_per_s, 0.1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rule)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
