// SPDX-License-Identifier: GPL-2.0-or-later
#include <netinet/in.h>

#include "lib/kernel/nat_ports.h"
#include "tests/unit/unit.h"

static uint32_t size(uint8_t l4num, uint16_t port)
{
	struct nat_port_range range = nat_port_range(nat_port_class(l4num, port));

	return range.last - range.first + 1u;
}

static void test_classes(void **state)
{
	(void)state;
	assert_int_equal(size(IPPROTO_TCP, 1), 511);
	assert_int_equal(size(IPPROTO_TCP, 511), 511);
	assert_int_equal(size(IPPROTO_UDP, 512), 424);
	assert_int_equal(size(IPPROTO_UDP, 1023), 424);
	assert_int_equal(size(IPPROTO_SCTP, 1024), 64512);
	assert_int_equal(size(IPPROTO_TCP, 65535), 64512);
	assert_int_equal(size(IPPROTO_ICMP, 7), 65536);
	assert_int_equal(size(IPPROTO_ICMPV6, 65535), 65536);
	assert_true(nat_has_ports(IPPROTO_SCTP) && !nat_has_ports(IPPROTO_GRE));
}

static void test_reclaims(void **state)
{
	(void)state;
	assert_false(nat_reclaims_closing("5.4.0-150-generic"));
	assert_false(nat_reclaims_closing("6.1.0-28-amd64"));
	assert_false(nat_reclaims_closing("6.4.99"));
	assert_true(nat_reclaims_closing("6.5.0"));
	assert_true(nat_reclaims_closing("6.18.44"));
	assert_true(nat_reclaims_closing("7.0-rc1"));
	assert_false(nat_reclaims_closing("unknown"));
	assert_false(nat_reclaims_closing(""));
}

/* What was measured, within a factor of two; and no step backwards. */
static void test_failing_share(void **state)
{
	static const struct {
		uint32_t held, size;
		double least, most;
	} cases[] = {
		{99, 100, 0, 0},
		{100, 100, 1, 1},
		{128, 128, 1, 1},
		{900, 1000, 0, 1e-6},
		{991, 1000, 0.05, 0.25},
		{58061, 64512, 0.0025, 0.01},
		{60641, 64512, 0.02, 0.08},
		{61932, 64512, 0.05, 0.2},
		{63351, 64512, 0.18, 0.74},
		{64060, 64512, 0.27, 1},
		{64512, 64512, 1, 1},
		{70000, 64512, 1, 1},
		{0, 64512, 0, 0},
		{5, 0, 1, 1},
	};

	(void)state;
	for (unsigned int i = 0; i < UNIT_COUNT(cases); i++) {
		double share = nat_failing_share(cases[i].held, cases[i].size);

		assert_true(share >= cases[i].least && share <= cases[i].most);
	}
	for (uint32_t held = 1; held <= 64512; held++)
		assert_true(nat_failing_share(held, 64512) >= nat_failing_share(held - 1, 64512));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes),
					   cmocka_unit_test(test_reclaims),
					   cmocka_unit_test(test_failing_share)};

	return cmocka_run_group_tests_name("nat_ports", tests, NULL, NULL);
}
