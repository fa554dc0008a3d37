// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/shm/states: numbering of rows and cells, and names. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/kernel/states.h"

/* Every row there is, and each of its cells: there and back. */
static void test_rows_and_cells_round_trip(void **state)
{
	uint32_t cells = 0;

	(void)state;
	for (uint32_t row = 0; row < ROW_COUNT; row++) {
		struct row_key key, again;
		unsigned int told;
		uint32_t first = row_first_cell(row), slots = row_state_slots(row);

		assert_true(row_key_of(row, &key));
		assert_int_equal(row_of(key), row);
		cells += slots;
		for (uint32_t i = 0; i < slots; i++) {
			assert_int_equal(cell_of(key, i), first + i);
			assert_int_equal(cell_row(first + i), row);
			assert_int_equal(cell_state(first + i), i);
		}
		assert_true(cell_key_of(first + slots - 1, &again, &told));
		assert_memory_equal(&key, &again, sizeof(key));
		assert_int_equal(told, slots - 1);
		assert_int_equal(cell_of(key, slots), CELL_INVALID);
	}
	assert_int_equal(cells, CELL_COUNT);
	assert_true(CELL_COUNT <= 1u << 24);
}

static void test_out_of_range_is_told(void **state)
{
	const uint32_t beyond[] = {ROW_COUNT, CELL_COUNT, UINT32_MAX, UINT32_MAX - 1, 1u << 31};
	const struct row_key bad[] = {{L4_COUNT, 0, 0}, {0, DIR_COUNT, 0}, {255, 255, 65535}};
	struct row_key key;
	unsigned int told;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(beyond); i++) {
		if (beyond[i] >= ROW_COUNT) {
			assert_false(row_key_of(beyond[i], &key));
			assert_int_equal(row_first_cell(beyond[i]), CELL_INVALID);
			assert_int_equal(row_state_slots(beyond[i]), 0);
		}
		if (beyond[i] >= CELL_COUNT) {
			assert_int_equal(cell_row(beyond[i]), ROW_INVALID);
			assert_int_equal(cell_state(beyond[i]), STATE_SLOTS_MAX);
			assert_false(cell_key_of(beyond[i], &key, &told));
		}
	}
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		assert_int_equal(row_of(bad[i]), ROW_INVALID);
		assert_int_equal(cell_of(bad[i], 0), CELL_INVALID);
	}
	assert_null(l4proto_info(L4_COUNT));
	assert_null(direction_name(DIR_COUNT));
	assert_null(state_name(L4_COUNT, 0));
	assert_null(state_name(L4_TCP, STATE_SLOTS_MAX));
	assert_null(state_help(L4_TCP, UINT32_MAX));
}

static void test_names_are_unique_and_found(void **state)
{
	(void)state;
	for (unsigned int p = 0; p < L4_COUNT; p++) {
		const struct l4proto_info *info = l4proto_info(p);

		assert_int_equal(l4proto_by_name(info->name), p);
		assert_true(strlen(info->help) > 0);
		for (unsigned int s = 0; s < STATE_SLOTS_MAX; s++) {
			const char *name = state_name(p, s);

			if (!name)
				continue;
			assert_true(s < 1u << info->state_bits);
			assert_int_equal(state_by_name(p, name), s);
			assert_true(strlen(state_help(p, s)) > 0);
		}
	}
	for (unsigned int d = 0; d < DIR_COUNT; d++)
		assert_int_equal(direction_by_name(direction_name(d)), d);
	assert_int_equal(l4proto_by_name("TCP"), L4_TCP);
	assert_int_equal(l4proto_by_name("tcpx"), -1);
	assert_int_equal(l4proto_by_name(""), -1);
	assert_int_equal(direction_by_name("sideways"), -1);
	assert_int_equal(state_by_name(L4_TCP, "time_wait"), ST_TCP_TIME_WAIT);
	assert_int_equal(state_by_name(L4_UDP, "time_wait"), -1);
	assert_int_equal(state_by_name(L4_COUNT, "NONE"), -1);
}

/* The numbers are the kernel's, from enum tcp_conntrack and sctp_conntrack. */
static void test_kernel_numbers(void **state)
{
	(void)state;
	assert_string_equal(state_name(L4_TCP, 1), "SYN_SENT");
	assert_string_equal(state_name(L4_TCP, 3), "ESTABLISHED");
	assert_string_equal(state_name(L4_TCP, 7), "TIME_WAIT");
	assert_string_equal(state_name(L4_TCP, 9), "SYN_SENT2");
	assert_string_equal(state_name(L4_SCTP, 4), "ESTABLISHED");
	assert_string_equal(state_name(L4_SCTP, 8), "HEARTBEAT_SENT");
	assert_string_equal(state_name(L4_GRE, 2), "assured");
}

/* Protocols without ports have one row a direction, whatever port is named. */
static void test_portless(void **state)
{
	struct row_key a = {L4_ICMP, DIR_INBOUND, 0}, b = {L4_ICMP, DIR_INBOUND, 8};

	(void)state;
	assert_int_equal(row_of(a), row_of(b));
	a.l4proto = b.l4proto = L4_OTHER;
	assert_int_not_equal(row_of(a), row_of(b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_and_cells_round_trip),
		cmocka_unit_test(test_out_of_range_is_told),
		cmocka_unit_test(test_names_are_unique_and_found),
		cmocka_unit_test(test_kernel_numbers),
		cmocka_unit_test(test_portless),
	};

	return cmocka_run_group_tests_name("states", tests, NULL, NULL);
}
