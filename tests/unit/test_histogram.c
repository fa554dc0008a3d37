// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/histogram and agent/ports: cells, rows, slots and what is left for "other". */
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/check.h"
#include "lib/mirror/ports.h"
#include "lib/shm/seqlock.h"
#include "tests/unit/offline.h"

#define S UINT64_C(1000000000)

static struct histogram hist;
static struct ports ports;
static struct shm_rate *rates;
static struct shm_live live;
static uint64_t now;

static int set_up(void **state)
{
	(void)state;
	now = 1000 * S;
	rates = mmap(NULL, ROW_COUNT * sizeof(*rates), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	memset(&live, 0, sizeof(live));
	if (rates == MAP_FAILED || mirror_offline_histogram(&hist) < 0)
		return -1;
	ports_init(&ports, &hist, hist.slots, rates, &live, 4);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mirror_offline_histogram_free(&hist);
	return munmap(rates, ROW_COUNT * sizeof(*rates));
}

static struct row_key tcp(uint16_t port)
{
	struct row_key key = {L4_TCP, DIR_INBOUND, port};

	return key;
}

static uint32_t enter(uint16_t port, uint32_t entries)
{
	uint32_t cell = histogram_place(&hist, tcp(port), ST_TCP_ESTABLISHED);

	for (uint32_t i = 0; i < entries; i++) {
		histogram_enter(&hist, cell);
		histogram_count_new(&hist, cell);
	}
	return cell;
}

static void leave(uint16_t port, uint32_t entries)
{
	uint32_t cell = histogram_place(&hist, tcp(port), ST_TCP_ESTABLISHED);

	for (uint32_t i = 0; i < entries; i++) {
		histogram_count_destroyed(&hist, cell, UINT64_MAX);
		histogram_leave(&hist, cell);
	}
}

static void test_enter_and_leave(void **state)
{
	uint32_t cell = enter(80, 3), row = row_of(tcp(80));

	(void)state;
	assert_int_equal(cell, cell_of(tcp(80), ST_TCP_ESTABLISHED));
	assert_int_equal(histogram_row_entries(&hist, row), 3);
	assert_true(histogram_row_active(&hist, row));
	assert_false(histogram_row_active(&hist, row_of(tcp(81))));
	leave(80, 3);
	assert_int_equal(histogram_row_entries(&hist, row), 0);
	assert_int_equal(hist.refused_decrements, 0);
}

/* Never below zero: refused, and counted with its site. */
static void test_refusal_below_zero(void **state)
{
	uint32_t cell = enter(80, 1);

	(void)state;
	leave(80, 1);
	histogram_leave(&hist, cell);
	histogram_leave(&hist, cell);
	assert_int_equal(peek_u32(&hist.cells[cell]), 0);
	assert_int_equal(hist.refused_decrements, 2);
	const struct check_site *site = check_sites();

	assert_non_null(site);
	assert_non_null(strstr(site->file, "histogram.c"));
	assert_int_equal(atomic_load(&site->hits), 2);
}

static bool no_room;
static unsigned int asked;

static bool back_row(void *arg, uint32_t row)
{
	(void)arg;
	(void)row;
	asked++;
	return !no_room;
}

/* No memory for a row: its entries go to port 0 of the same protocol and direction,
 * and stay together there. */
static void test_overflow_row(void **state)
{
	struct row_key zero = tcp(0);
	uint32_t cell;

	(void)state;
	hist.back_row = back_row;
	no_room = false;
	enter(0, 1);
	enter(80, 1);
	no_room = true;
	asked = 0;
	cell = enter(443, 5);
	assert_int_equal(cell, cell_of(zero, ST_TCP_ESTABLISHED));
	enter(443, 5);
	enter(444, 1);
	assert_int_equal(hist.overflow_rows, 2);
	assert_int_equal(histogram_row_entries(&hist, row_of(zero)), 12);
	assert_int_equal(histogram_row_entries(&hist, row_of(tcp(443))), 0);
	assert_false(histogram_row_active(&hist, row_of(tcp(443))));
	/* Not asked for again with each entry. */
	assert_in_range(asked, 1, 4);
	no_room = false;
	assert_int_equal(enter(443, 1), cell);
	/* A row that has its memory is not concerned. */
	enter(80, 1);
	assert_int_equal(histogram_row_entries(&hist, row_of(tcp(80))), 2);
}

static void test_retire_and_return(void **state)
{
	uint32_t row = row_of(tcp(80));

	(void)state;
	enter(80, 2);
	leave(80, 2);
	histogram_retire(&hist, row);
	assert_false(histogram_row_active(&hist, row));
	enter(80, 1);
	assert_true(histogram_row_active(&hist, row));
	assert_int_equal(peek_u64(&hist.rows[row].new_entries), 3);
}

static void test_lifetime_buckets(void **state)
{
	uint32_t cell = enter(80, 1);
	static const struct {
		uint64_t ms;
		unsigned int bucket;
	} cases[] = {
		{0, 0},	   {124, 0},	 {125, 1},	{249, 1},      {250, 2},
		{1000, 4}, {120000, 10}, {2047999, 14}, {2048000, 15}, {UINT64_C(1) << 40, 15}};
	uint64_t sum = 0;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		const _Atomic uint64_t *bucket = &hist.lifetimes[L4_TCP].buckets[cases[i].bucket];
		uint64_t before = peek_u64(bucket);

		histogram_count_destroyed(&hist, cell, cases[i].ms);
		assert_int_equal(peek_u64(bucket), before + 1);
		sum += cases[i].ms;
	}
	assert_int_equal(peek_u64(&hist.lifetimes[L4_TCP].sum_ms), sum);
	histogram_count_destroyed(&hist, cell, UINT64_MAX);
	assert_int_equal(peek_u64(&hist.lifetimes[L4_TCP].sum_ms), sum);
	assert_int_equal(peek_u64(&hist.rows[row_of(tcp(80))].timed_entries), UNIT_COUNT(cases));
}

/* --- ports --------------------------------------------------------------------- */

static void seconds(unsigned int n)
{
	while (n-- > 0) {
		now += S;
		ports_second(&ports, now);
	}
}

static int slot_of(uint16_t port)
{
	for (unsigned int i = 0; i < SHM_SLOT_COUNT; i++)
		if (peek_u32(&hist.slots->slot[i].row) == row_of(tcp(port)))
			return (int)i;
	return -1;
}

static void test_free_slots_are_taken(void **state)
{
	(void)state;
	for (uint16_t port = 1; port <= 6; port++)
		enter(port, port);
	seconds(1);
	/* Four slots: the four largest. */
	assert_int_equal(slot_of(1), -1);
	assert_int_equal(slot_of(2), -1);
	for (uint16_t port = 3; port <= 6; port++)
		assert_int_not_equal(slot_of(port), -1);
	assert_int_equal(ports.top_count, SHM_TOP_PORTS);
	for (unsigned int i = 0; i < SHM_TOP_PORTS; i++)
		assert_int_equal(ports.top[i].row, row_of(tcp((uint16_t)(6 - i))));
}

/* Half as large again, and not before the tenure of the smallest has passed. */
static void test_hysteresis(void **state)
{
	uint32_t generation;

	(void)state;
	for (uint16_t port = 3; port <= 6; port++)
		enter(port, 100u * port);
	seconds(1);
	generation = peek_u32(&hist.slots->slot[slot_of(3)].generation);
	enter(9, 10000);
	seconds((unsigned int)(PORTS_TENURE_NS / S) - 1);
	assert_int_equal(slot_of(9), -1);
	seconds(1);
	assert_int_not_equal(slot_of(9), -1);
	assert_int_equal(slot_of(3), -1);
	assert_int_equal(peek_u32(&hist.slots->slot[slot_of(9)].generation), generation + 1);
	/* Port 4 has 400: 600 are not enough, 601 are. */
	seconds(100);
	enter(10, 600);
	seconds(5);
	assert_int_equal(slot_of(10), -1);
	enter(10, 1);
	seconds(1);
	assert_int_not_equal(slot_of(10), -1);
	assert_int_equal(slot_of(4), -1);
}

struct totals {
	uint64_t other;
	uint64_t in_slots;
};

static struct totals totals_now(void)
{
	struct totals sum = {.other =
				     peek_u64(&hist.slots->other[L4_TCP][DIR_INBOUND].new_entries)};

	for (unsigned int i = 0; i < SHM_SLOT_COUNT; i++) {
		const struct shm_slot *slot = &hist.slots->slot[i];
		uint32_t row = peek_u32(&slot->row);

		if (row != ROW_INVALID)
			sum.in_slots += peek_u64(&hist.rows[row].new_entries) -
					peek_u64(&slot->base_new_entries);
	}
	return sum;
}

/*
 * "other" and each slot of one generation only grow; and they account for each
 * event once: their sum is all, also of what slots held when they were given up.
 */
static void slots_add_up(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	uint64_t all = 0, other = 0;

	for (unsigned int round = 0; round < 300; round++) {
		uint32_t n = rng_below(&rng, 200);
		uint16_t port = (uint16_t)(1 + rng_below(&rng, 12));

		if (rng_percent(&rng, 60)) {
			enter(port, n);
			all += n;
		} else {
			leave(port,
			      rng_below(&rng, histogram_row_entries(&hist, row_of(tcp(port))) + 1));
		}
		seconds(1 + rng_below(&rng, 30));
		struct totals sum = totals_now();

		assert_seeded(seed, sum.other >= other);
		assert_seeded(seed, sum.other + sum.in_slots == all);
		other = sum.other;
	}
}

static void one_of_them(uint64_t seed)
{
	tear_down(NULL);
	set_up(NULL);
	slots_add_up(seed);
}

static void test_slots_add_up(void **state)
{
	(void)state;
	unit_seeds("ports", 5, one_of_them);
}

/* Empty and quiet for two marks: off the map. With a slot, or a late change: not. */
static void test_idle_rows_retire(void **state)
{
	(void)state;
	ports.slot_limit = 1;
	enter(1, 50);
	enter(2, 5);
	seconds(1);
	leave(1, 50);
	leave(2, 5);
	seconds(5);
	assert_true(histogram_row_active(&hist, row_of(tcp(2))));
	seconds(30);
	assert_false(histogram_row_active(&hist, row_of(tcp(2))));
	assert_true(histogram_row_active(&hist, row_of(tcp(1))));
	enter(2, 1);
	seconds(60);
	assert_true(histogram_row_active(&hist, row_of(tcp(2))));
}

/* What a reader makes of the marks: the rate over the last 10 to 20 s. */
static void test_rates(void **state)
{
	uint32_t row = row_of(tcp(80));

	(void)state;
	for (unsigned int i = 0; i < 60; i++) {
		enter(80, 7);
		seconds(1);
		uint64_t marks[2] = {ports.rate_mark_ns[0], ports.rate_mark_ns[1]};
		unsigned int older = marks[0] <= marks[1] ? 0 : 1;
		uint32_t since = (uint32_t)peek_u64(&hist.rows[row].new_entries) -
				 peek_u32(&rates[row].new_entries[older]);

		if (i < 25)
			continue;
		assert_in_range(now - marks[older], PORTS_RATE_NS, 2 * PORTS_RATE_NS);
		assert_int_equal(since, 7 * (now - marks[older]) / S);
		assert_int_equal(live.rate_mark_boot_ns_0, marks[0]);
		assert_int_equal(live.rate_mark_boot_ns_1, marks[1]);
	}
}

/* More rows than one step: the pass takes several, and then knows them all. */
static void test_large_tables_take_several_steps(void **state)
{
	(void)state;
	for (unsigned int d = 0; d < DIR_COUNT; d++) {
		for (uint32_t port = 0; port < PORT_COUNT; port++) {
			struct row_key key = {L4_UDP, (uint8_t)d, (uint16_t)port};

			histogram_enter(&hist, histogram_place(&hist, key, 0));
		}
	}
	enter(65535, 9); /* rows of TCP come first */
	struct row_key last = {L4_GRE, DIR_LOOPBACK, 0};

	for (unsigned int i = 0; i < 5; i++)
		histogram_enter(&hist, histogram_place(&hist, last, 0));
	seconds(1);
	assert_int_equal(ports.top_count, 0);
	seconds(2);
	assert_int_equal(ports.top[0].row, row_of(tcp(65535)));
	assert_int_equal(ports.top[1].row, row_of(last));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_enter_and_leave),
		TEST(test_refusal_below_zero),
		TEST(test_overflow_row),
		TEST(test_retire_and_return),
		TEST(test_lifetime_buckets),
		TEST(test_free_slots_are_taken),
		TEST(test_hysteresis),
		TEST(test_slots_add_up),
		TEST(test_idle_rows_retire),
		TEST(test_rates),
		TEST(test_large_tables_take_several_steps),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
