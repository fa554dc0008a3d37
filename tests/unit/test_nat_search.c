// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The share computed from a map, against the algorithm itself: first place by place, then with
 * three mixes of clients that fill a pool of 64,512 by that algorithm, written down here a
 * second time. Against the kernel: tests/netns/test_nat_share.py and make nat-curve.
 */
#include "lib/kernel/nat_search.h"

#include <math.h>
#include <string.h>

#include "tests/unit/unit.h"

static const struct nat_port_range user_range = {1024, 65535};
static struct nat_search search;
static uint64_t used[NAT_MAP_WORDS], closing[NAT_MAP_WORDS];
static uint64_t state_of_random = 88172645463325252u;

static uint32_t draw(uint32_t below)
{
	state_of_random ^= state_of_random << 13;
	state_of_random ^= state_of_random >> 7;
	state_of_random ^= state_of_random << 17;
	return (uint32_t)((state_of_random >> 32) * below >> 32);
}

static bool is_set(const uint64_t *map, uint32_t port)
{
	return map[port / 64] >> port % 64 & 1;
}

static void set(uint64_t *map, uint32_t port)
{
	map[port / 64] |= 1ull << port % 64;
}

static int setup(void **state)
{
	(void)state;
	memset(used, 0, sizeof(used));
	memset(closing, 0, sizeof(closing));
	return 0;
}

static uint32_t port_at(struct nat_port_range range, uint32_t place)
{
	return range.first + (place & 0xffff) % (range.last - range.first + 1u);
}

/* One round from a place on: the port found, or 0. */
static uint32_t round_from(struct nat_port_range range, uint32_t place, uint32_t tries)
{
	for (uint32_t i = 0; i < tries; i++) {
		uint32_t port = port_at(range, place + i);

		if (!is_set(used, port) || (tries - i <= 32 && is_set(closing, port)))
			return port;
	}
	return 0;
}

static double place_by_place(struct nat_port_range range)
{
	double share = 1;

	for (uint32_t tries = 128; tries >= 8; tries /= 2) {
		uint32_t fail = 0;

		for (uint32_t place = 0; place < 65536; place++)
			fail += !round_from(range, place, tries);
		share *= fail / 65536.0;
	}
	return share;
}

/* Runs of taken ports, of which some are closing. */
static void scatter_runs(struct nat_port_range range, uint32_t longest, uint32_t one_in)
{
	for (uint32_t port = range.first; port < range.last; port += draw(3))
		for (uint32_t run = draw(longest); run && port <= range.last; run--, port++) {
			set(used, port);
			if (!draw(one_in))
				set(closing, port);
		}
}

static void test_place_by_place(void **state)
{
	static const struct nat_port_range ranges[] = {
		{1024, 65535}, {0, 65535}, {20000, 20999}, {600, 1023}, {20001, 20131}};

	for (unsigned int i = 0; i < UNIT_COUNT(ranges); i++) {
		double wanted, got;

		setup(state);
		scatter_runs(ranges[i], 400, 1000);
		wanted = place_by_place(ranges[i]);
		got = nat_search_fails(&search, used, closing, ranges[i], 0);
		assert_true(wanted > 0 && fabs(got - wanted) <= 1e-9 * wanted);
		memset(closing, 0, sizeof(closing));
		wanted = place_by_place(ranges[i]);
		got = nat_search_fails(&search, used, NULL, ranges[i], 0);
		assert_true(fabs(got - wanted) <= 1e-9 * wanted);
	}
}

static void test_ends(void **state)
{
	const struct nat_port_range narrow = {20000, 20099};

	(void)state;
	assert_true(nat_search_fails(&search, used, NULL, user_range, 0) == 0);
	assert_true(nat_search_fails(&search, used, NULL, user_range, 64512) == 1);
	for (uint32_t port = 1024; port < 65536; port++)
		set(used, port);
	assert_true(nat_search_fails(&search, used, NULL, user_range, 0) == 1);
	/* What is unknown can be more than there is room for: entries that went unheard. */
	assert_true(nat_search_fails(&search, used, NULL, user_range, 100) == 1);
	/* A range this small is searched whole. */
	used[20050 / 64] &= ~(1ull << 20050 % 64);
	assert_true(nat_search_fails(&search, used, NULL, narrow, 0) == 0);
	set(used, 20050);
	assert_true(nat_search_fails(&search, used, NULL, narrow, 0) == 1);
	set(closing, 20050);
	assert_true(nat_search_fails(&search, used, closing, narrow, 0) == 0);
}

/* Ports that are not known are taken to be anywhere. */
static void test_unknown(void **state)
{
	const struct nat_port_range range = {20000, 29999};
	uint32_t unknown = 0;
	double all, some;

	(void)state;
	for (uint32_t port = 20000; port < 30000; port++)
		if (draw(100) < 97)
			set(used, port);
	all = nat_search_fails(&search, used, NULL, range, 0);
	for (uint32_t port = 20000; port < 30000; port++)
		if (is_set(used, port) && !draw(20)) {
			used[port / 64] &= ~(1ull << port % 64);
			unknown++;
		}
	some = nat_search_fails(&search, used, NULL, range, unknown);
	assert_true(some > all / 3 && some < all * 3);
}

static void test_failing_of(void **state)
{
	(void)state;
	/* Nobody known, nobody keeps, everybody keeps. */
	assert_true(nat_failing_of(0.3, 0, 0) == 0.3);
	assert_true(nat_failing_of(0.3, 0, 1000) == 0.3);
	assert_true(nat_failing_of(0.3, 1000, 1000) == 0);
	assert_true(nat_failing_of(0, 500, 1000) == 0);
	assert_true(nat_failing_of(1, 500, 1000) == 1);
	/* Of 1,000 with half their ports taken 150 fail of 500: 500 of 850 keep theirs. */
	assert_true(fabs(nat_failing_of(0.3, 500, 850) - 0.15) < 1e-9);
}

/* --- three mixes of clients -------------------------------------------------------------- */

enum mix { LINUX, ANY, COUNTING };

static uint32_t counted[16];

static uint32_t client_port(enum mix mix)
{
	uint32_t *next = &counted[draw(16)];

	if (mix == LINUX)
		return 32768 + draw(28232);
	if (mix == ANY)
		return 1024 + draw(64512);
	*next = *next >= 65535 ? 1024 : *next + 1;
	return *next;
}

/* The port a new connection gets; 0: none. */
static uint32_t connect_from(uint32_t own)
{
	uint32_t port = is_set(used, own) ? 0 : own;

	for (uint32_t tries = 128; tries >= 8 && !port; tries /= 2)
		port = round_from(user_range, draw(65536), tries);
	return port;
}

static void check_mix(enum mix mix, double fill)
{
	uint32_t held = 0, failed = 0, kept = 0, born = 0;
	double wanted, got;

	for (unsigned int i = 0; i < 16; i++)
		counted[i] = 1024 + draw(64512);
	while (held < fill * 64512) {
		uint32_t own = client_port(mix), port = connect_from(own);

		if (!port)
			continue;
		set(used, port);
		held++;
	}
	for (unsigned int i = 0; i < 20000; i++) {
		uint32_t own = client_port(mix), port = connect_from(own);

		failed += !port;
		born += port != 0;
		kept += port == own;
	}
	wanted = failed / 20000.0;
	got = nat_failing_of(nat_search_fails(&search, used, NULL, user_range, 0), kept, born);
	if (wanted < 0.002)
		assert_true(got < 0.004);
	else
		assert_true(got > wanted / 1.5 && got < wanted * 1.5);
}

static void test_mixes(void **state)
{
	static const double fills[] = {0.9, 0.94, 0.96, 0.976, 0.982, 0.993};

	for (enum mix mix = LINUX; mix <= COUNTING; mix++)
		for (unsigned int i = 0; i < UNIT_COUNT(fills); i++) {
			setup(state);
			check_mix(mix, fills[i]);
		}
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup(test, setup)
	const struct CMUnitTest tests[] = {CASE(test_place_by_place), CASE(test_ends),
					   CASE(test_unknown), CASE(test_failing_of),
					   CASE(test_mixes)};

	return cmocka_run_group_tests_name("nat_search", tests, NULL, NULL);
}
