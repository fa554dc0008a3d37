// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/advice/whatif_nat: more addresses, another range, for the fullest pool. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "exporters/advice/change.h"
#include "exporters/advice/whatif.h"

static struct snap_live live = {.nat_pools = 2,
				.nat_l4num = 6,
				.nat_remote_port = 443,
				.nat_held_ports = 60641,
				.nat_size_ports = 64512,
				.nat_failing_ppm = 40000};

static struct whatif asked(const char *addresses, const char *ports)
{
	char why[WHATIF_WHY_BYTES];
	struct whatif whatif = {.count = 0};

	if (addresses)
		assert_int_equal(whatif_add(&whatif, "nat.addresses", addresses, why), 0);
	if (ports)
		assert_int_equal(whatif_add(&whatif, "nat.ports", ports, why), 0);
	return whatif;
}

/* What fails now would be held: 60,641 / 0.96, over two. */
static void test_addresses(void **state)
{
	struct whatif whatif = asked("2", NULL);
	const struct whatif_nat_result result = whatif_nat_run(&whatif.nat, &live);

	(void)state;
	assert_true(result.known);
	assert_int_equal((int)result.held_then, 31584);
	assert_int_equal((int)result.size_then, 64512);
	assert_true(result.failing_share_then < 0.0005);
}

static void test_ports(void **state)
{
	struct whatif whatif = asked(NULL, "20000-20099");
	struct whatif_nat_result result = whatif_nat_run(&whatif.nat, &live);

	(void)state;
	/* No more can be held than there are. */
	assert_int_equal((int)result.size_then, 100);
	assert_int_equal((int)result.held_then, 100);
	assert_int_equal((int)result.failing_share_then, 1);
	whatif = asked("4", "1024-65535");
	result = whatif_nat_run(&whatif.nat, &live);
	assert_int_equal((int)result.held_then, 15792);
}

static void test_text(void **state)
{
	struct whatif whatif = asked("2", NULL);
	struct text text;

	(void)state;
	text_init(&text);
	whatif_nat_changes(&whatif.nat, &text);
	assert_string_equal(text.data, " nat.addresses=2");
	text_clear(&text);
	whatif_nat_text(&whatif.nat, &live, &text);
	assert_non_null(
		strstr(text.data, "towards tcp/443: 60641 of 64512 ports held (94.0 %), 4 % of"));
	assert_non_null(strstr(text.data, "then 31584 of 64512 of each (49.0 %)"));
	live.nat_pools = 0;
	text_clear(&text);
	whatif_nat_text(&whatif.nat, &live, &text);
	assert_string_equal(text.data, "nat       nothing is translated\n");
	live.nat_pools = 2;
	text_free(&text);
}

static void test_refused(void **state)
{
	static const char *const wrong[][2] = {
		{"nat.addresses", "0"},	      {"nat.addresses", "1025"}, {"nat.addresses", "x"},
		{"nat.ports", "0-5"},	      {"nat.ports", "5-4"},	 {"nat.ports", "1-65536"},
		{"nat.ports", "1024-65535x"}, {"nat.ports", "80"},	 {"nat.pools", "2"}};
	char why[WHATIF_WHY_BYTES];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(wrong); i++) {
		struct whatif whatif = {.count = 0};

		assert_int_equal(whatif_add(&whatif, wrong[i][0], wrong[i][1], why), -EINVAL);
		assert_false(whatif_nat_asked(&whatif.nat));
	}
	struct whatif twice = asked("2", "1-9");

	assert_int_equal(whatif_add(&twice, "nat.addresses", "3", why), -EINVAL);
	assert_int_equal(whatif_add(&twice, "nat.ports", "1-9", why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_ports),
		cmocka_unit_test(test_text), cmocka_unit_test(test_refused)};

	return cmocka_run_group_tests_name("advice_whatif_nat", tests, NULL, NULL);
}
