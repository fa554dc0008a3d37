// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/nat_pools.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

static struct nat_pools pools;
static struct nat_pool list[NAT_POOLS_TOP];
static uint32_t translated, hidden;

static uint32_t largest(void)
{
	return nat_pools_largest(&pools, list, &translated, &hidden);
}

static int setup(void **state)
{
	(void)state;
	ct_hash_seed_fixed(3);
	return nat_pools_create(&pools, 64);
}

static int teardown(void **state)
{
	(void)state;
	nat_pools_destroy(&pools);
	return 0;
}

/* A connection of client 10.0.0.`client` that left by 203.0.113.`outside`:`port` towards
 * 192.0.2.1:443. */
static struct ct_event flow(uint8_t client, uint8_t outside, uint16_t port)
{
	const uint8_t remote[4] = {192, 0, 2, 1};
	struct ct_event event = {.kind = CT_NEW,
				 .has = CT_HAS_STATUS | CT_HAS_REPLY,
				 .status = CT_STATUS_SRC_NAT,
				 .key = {.family = AF_INET,
					 .l4num = IPPROTO_TCP,
					 .sport = port,
					 .dport = 443,
					 .src = {10, 0, 0, client}},
				 .reply_dst = {203, 0, 113, outside},
				 .reply_sport = 443,
				 .reply_dport = port};

	memcpy(event.key.dst, remote, sizeof(remote));
	memcpy(event.reply_src, remote, sizeof(remote));
	event.hash = ct_hash(&event.key);
	return event;
}

static void come(const struct ct_event *event)
{
	nat_pools_appeared(&pools, event, false, true, true);
}

static void come_many(uint8_t client, uint8_t outside, uint16_t from, uint16_t to)
{
	for (uint32_t port = from; port <= to; port++) {
		struct ct_event event = flow(client, outside, (uint16_t)port);

		come(&event);
	}
}

static void test_one_pool(void **state)
{
	struct ct_event event = flow(1, 1, 3000);
	const uint8_t client[4] = {10, 0, 0, 1}, outside[4] = {203, 0, 113, 1};
	const uint8_t remote[4] = {192, 0, 2, 1};

	(void)state;
	come_many(1, 1, 3000, 3009);
	come_many(2, 1, 3010, 3012);
	come_many(1, 2, 3000, 3000);
	assert_int_equal(largest(), 2);
	assert_int_equal(translated, 2);
	assert_int_equal(hidden, 0);
	assert_int_equal(list[0].used, 13);
	assert_int_equal(list[1].used, 1);
	assert_int_equal(list[0].size, 64512);
	assert_int_equal(list[0].born, 13);
	assert_int_equal(list[0].remote_port, 443);
	assert_int_equal(list[0].l4num, IPPROTO_TCP);
	assert_memory_equal(list[0].address, outside, 4);
	assert_memory_equal(list[0].remote, remote, 4);
	assert_memory_equal(list[0].client, client, 4);
	assert_int_equal(list[0].client_used, 10);
	nat_pools_turned(&pools, &event, true, true);
	assert_int_equal((largest(), list[0].closing), 1);
	event.kind = CT_DESTROY;
	nat_pools_went(&pools, &event, true, true);
	largest();
	assert_int_equal(list[0].used, 12);
	assert_int_equal(list[0].closing, 0);
	assert_int_equal(list[0].client_used, 9);
}

/* A client takes its port again at once, and is sent to another backend, or leaves by another
 * address: all of it in one batch. */
static void test_one_tuple_twice_in_a_batch(void **state)
{
	struct ct_event events[3];
	struct told_change told[4];

	(void)state;
	for (unsigned int i = 0; i < UNIT_COUNT(events); i++)
		events[i] = flow(1, (uint8_t)(1 + i), 5000);
	come(&events[0]);
	come_many(2, 1, 6000, 6000);
	told[0] = (struct told_change){&events[0], TOLD_POOL_REMOVES};
	told[1] = (struct told_change){&events[1], TOLD_POOL_ADDS};
	told[2] = (struct told_change){&events[1], TOLD_POOL_REMOVES};
	told[3] = (struct told_change){&events[2], TOLD_POOL_ADDS};
	nat_pools_told(&pools, told, UNIT_COUNT(told));
	assert_int_equal(largest(), 2);
	assert_int_equal(list[0].used, 1);
	assert_int_equal(list[1].used, 1);
	/* Those that are left: of the other client, and the last. */
	assert_int_equal(list[0].address[3] + list[1].address[3], 1 + 3);
	assert_int_equal(pools.used.refused, 0);
	assert_int_equal(pools.clients.refused, 0);
}

/* Everything that makes another pool of it. */
static void test_what_is_apart(void **state)
{
	struct ct_event events[8];

	(void)state;
	for (unsigned int i = 0; i < UNIT_COUNT(events); i++)
		events[i] = flow(1, 1, 5000);
	events[1].reply_dst[3]++;
	events[2].reply_src[3]++;
	events[3].reply_sport++;
	events[4].reply_zone++;
	events[5].key.l4num = IPPROTO_UDP;
	events[6].reply_dport = 700;
	events[7].reply_dport = 70;
	for (unsigned int i = 0; i < UNIT_COUNT(events); i++)
		come(&events[i]);
	assert_int_equal(largest(), 8);
	/* Fullest by the share of its range, not by the number. */
	assert_int_equal(list[0].size, 424);
	assert_int_equal(list[1].size, 511);
}

static void test_ipv6(void **state)
{
	struct ct_event one = flow(1, 1, 5000), other;

	(void)state;
	one.key.family = AF_INET6;
	memset(one.key.src, 0x20, 16);
	memset(one.reply_dst, 0x21, 16);
	memset(one.reply_src, 0x22, 16);
	one.hash = ct_hash(&one.key);
	other = one;
	other.reply_dst[15]++;
	come(&one);
	come(&one);
	come(&other);
	assert_int_equal(largest(), 2);
	assert_int_equal(list[0].used, 2);
	assert_int_equal(list[0].family, AF_INET6);
	assert_memory_equal(list[0].address, one.reply_dst, 16);
	assert_memory_equal(list[0].remote, one.reply_src, 16);
	assert_memory_equal(list[0].client, one.key.src, 16);
	assert_int_equal(list[0].client_used, 2);
}

/* The id is what is changed; type and code are no port of the remote end. */
static void test_icmp(void **state)
{
	struct ct_event event = flow(1, 1, 5000);

	(void)state;
	event.key.l4num = IPPROTO_ICMP;
	event.reply_sport = 17;
	event.reply_dport = 0;
	come(&event);
	event.reply_sport = 18;
	come(&event);
	assert_int_equal(largest(), 1);
	assert_int_equal(list[0].used, 2);
	assert_int_equal(list[0].size, 65536);
	assert_int_equal(list[0].remote_port, 0);
}

static void test_not_counted(void **state)
{
	struct ct_event event = flow(1, 1, 5000);

	(void)state;
	event.key.l4num = IPPROTO_GRE;
	come(&event);
	event = flow(1, 1, 5000);
	event.has &= ~CT_HAS_REPLY;
	come(&event);
	assert_int_equal(largest(), 0);
	event.status = 0;
	assert_false(nat_pools_counts(&event, false));
	assert_true(nat_pools_counts(&event, true));
	event.status = CT_STATUS_DST_NAT;
	assert_false(nat_pools_counts(&event, false));
}

/* What the kernel takes back: only of translated TCP entries. */
static void test_closing(void **state)
{
	struct ct_event event = flow(1, 1, 5000);

	(void)state;
	assert_true(nat_pools_closing(&event, ST_TCP_TIME_WAIT));
	assert_true(nat_pools_closing(&event, ST_TCP_CLOSE));
	assert_false(nat_pools_closing(&event, ST_TCP_LAST_ACK));
	assert_false(nat_pools_closing(&event, ST_TCP_OFFLOADED));
	assert_false(nat_pools_closing(&event, ST_TCP_UNKNOWN));
	event.status = 0;
	assert_false(nat_pools_closing(&event, ST_TCP_TIME_WAIT));
	event.status = CT_STATUS_SRC_NAT;
	event.key.l4num = IPPROTO_SCTP;
	assert_false(nat_pools_closing(&event, ST_TCP_TIME_WAIT));
}

/* This host's own connections take ports of the same address. */
static void test_local(void **state)
{
	struct ct_event own = flow(1, 1, 40000), other = flow(2, 1, 40001);

	(void)state;
	pools.settings.local_ports = 28232;
	own.status = 0;
	come(&own);
	assert_int_equal(largest(), 1);
	assert_int_equal(translated, 0);
	assert_false(list[0].translated);
	assert_int_equal(list[0].size, 28232);
	come(&other);
	assert_int_equal(largest(), 1);
	assert_int_equal(translated, 1);
	assert_int_equal(list[0].used, 2);
	assert_int_equal(list[0].size, 64512);
	nat_pools_went(&pools, &other, false, true);
	nat_pools_went(&pools, &own, false, true);
	come(&own);
	largest();
	assert_false(list[0].translated);
}

static void test_ranges(void **state)
{
	struct ct_event outside = flow(1, 1, 30000);

	(void)state;
	pools.settings.given = (struct nat_port_range){20000, 20099};
	come_many(1, 1, 20000, 20098);
	come(&outside);
	assert_int_equal(largest(), 2);
	assert_int_equal(list[0].used, 99);
	assert_int_equal(list[0].size, 100);
	assert_int_equal(list[0].range.first, 20000);
	assert_int_equal(list[1].size, 64512);
	pools.settings.given = (struct nat_port_range){0, 0};
	pools.settings.assume_ports = 1024;
	largest();
	assert_int_equal(list[1].used, 1);
	assert_int_equal(list[1].size, 1024);
	assert_int_equal(list[1].range.last, 0);
}

/* A dump counts anew; what it does not show is gone when it ends. */
static void test_dump(void **state)
{
	struct ct_event event = flow(1, 1, 4000), late = flow(1, 1, 5000);

	(void)state;
	come_many(1, 1, 4000, 4009);
	nat_pools_begin(&pools);
	for (uint16_t port = 4000; port < 4005; port++) {
		event = flow(1, 1, port);
		nat_pools_shown(&pools, &event, port == 4000);
	}
	come(&late);
	largest();
	assert_int_equal(list[0].used, 11);
	/* 4005 .. 4009 were swept; nobody knows whose they were. */
	for (unsigned int i = 0; i < 5; i++)
		nat_pools_lost(&pools, false);
	largest();
	assert_int_equal(list[0].used, 11);
	assert_int_equal(list[0].error, 5);
	nat_pools_complete(&pools);
	nat_pools_tidy(&pools);
	largest();
	assert_int_equal(list[0].used, 6);
	assert_int_equal(list[0].error, 0);
	assert_int_equal(list[0].closing, 1);
	assert_int_equal(list[0].client_used, 6);
	/* And one that was not valid changes nothing. */
	nat_pools_begin(&pools);
	nat_pools_shown(&pools, &event, false);
	nat_pools_drop(&pools);
	nat_pools_tidy(&pools);
	largest();
	assert_int_equal(list[0].used, 6);
}

/* More pools than room: what is said of each still holds. */
static void test_more_than_room(void **state)
{
	(void)state;
	come_many(1, 7, 2000, 2999);
	for (uint32_t i = 0; i < 5000; i++) {
		struct ct_event event = flow(1, (uint8_t)i, 4000);

		event.reply_src[2] = (uint8_t)(i >> 8);
		event.reply_sport = 80;
		come(&event);
	}
	largest();
	assert_int_equal(list[0].address[3], 7);
	assert_true(list[0].used <= 1000 && list[0].used + list[0].more >= 1000);
	assert_true(list[0].used >= 900);
	assert_true(hidden > 0);
}

/* Connections none of which keeps its client's port. */
static struct ct_event moved(uint8_t outside, uint32_t port)
{
	struct ct_event event = flow(1, outside, (uint16_t)port);

	event.key.sport = 7;
	return event;
}

/* Free ports far apart, or as many of them side by side: as full, but found or not. */
static void test_which_ports(void **state)
{
	struct ct_event event;

	(void)state;
	for (uint32_t port = 1024; port < 65536; port++) {
		event = moved(port % 16 ? 1 : 2, port);
		come(&event);
		event = moved(port < 61504 ? 3 : 4, port);
		come(&event);
	}
	largest();
	for (unsigned int i = 0; i < 2; i++) {
		double share = nat_pools_failing(&pools, &list[i], true);

		assert_int_equal(list[i].used, 60480);
		/* Runs of 15: a round of 16 finds one. Else a long run: five rounds into it. */
		assert_true(list[i].address[3] == 1 ? share == 0 : share > 0.6 && share < 0.8);
	}
	/* Every tenth goes again. */
	for (uint32_t port = 1024; port < 61504; port += 10) {
		event = moved(3, port);
		nat_pools_went(&pools, &event, false, true);
	}
	largest();
	assert_int_equal(list[1].used, 54432);
	assert_true(nat_pools_failing(&pools, &list[1], true) == 0);
	/* Or closes, which is as good where the kernel takes it back. */
	for (uint32_t port = 1024; port < 61504; port += 10) {
		event = moved(3, port);
		come(&event);
		nat_pools_turned(&pools, &event, true, true);
	}
	largest();
	for (unsigned int i = 0; i < 2; i++) {
		if (list[i].address[3] == 1)
			continue;
		assert_true(nat_pools_failing(&pools, &list[i], true) == 0);
		assert_true(nat_pools_failing(&pools, &list[i], false) > 0.6);
	}
}

/* A dump builds the map anew, and what it does not show is free. */
static void test_map_of_a_dump(void **state)
{
	struct ct_event event;

	(void)state;
	for (uint32_t port = 1024; port < 65536; port++) {
		event = moved(1, port);
		come(&event);
	}
	largest();
	assert_true(nat_pools_failing(&pools, &list[0], true) == 1);
	nat_pools_begin(&pools);
	for (uint32_t port = 1024; port < 65536; port++)
		if (port % 16) {
			event = flow(1, 1, (uint16_t)port);
			nat_pools_shown(&pools, &event, port % 32 == 1);
		}
	assert_true(nat_pools_failing(&pools, &list[0], true) == 1);
	nat_pools_complete(&pools);
	largest();
	assert_int_equal(list[0].used, 60480);
	assert_true(nat_pools_failing(&pools, &list[0], true) == 0);
}

/* There are fewer maps than pools: the fullest have them, after a second. */
static void test_maps_go_to_the_fullest(void **state)
{
	uint32_t count;

	(void)state;
	for (uint8_t outside = 1; outside <= NAT_MAPS; outside++)
		come_many(1, outside, 2000, 2000 + NAT_MAP_FROM);
	come_many(1, 99, 1024, 61503);
	count = largest();
	assert_int_equal(list[0].address[3], 99);
	assert_int_equal(list[0].map, 0);
	nat_pools_map(&pools, list, count);
	assert_int_not_equal(list[0].map, 0);
	/* It has heard of none of them. */
	assert_true(nat_pools_failing(&pools, &list[0], true) < 0);
	nat_pools_begin(&pools);
	for (uint32_t port = 1024; port < 61504; port++) {
		struct ct_event event = moved(99, port);

		nat_pools_shown(&pools, &event, false);
	}
	nat_pools_complete(&pools);
	largest();
	assert_true(nat_pools_failing(&pools, &list[0], true) > 0.6);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_one_pool),	   CASE(test_one_tuple_twice_in_a_batch),
		CASE(test_what_is_apart),  CASE(test_ipv6),
		CASE(test_icmp),	   CASE(test_not_counted),
		CASE(test_closing),	   CASE(test_local),
		CASE(test_ranges),	   CASE(test_dump),
		CASE(test_more_than_room), CASE(test_which_ports),
		CASE(test_map_of_a_dump),  CASE(test_maps_go_to_the_fullest)};

	return cmocka_run_group_tests_name("nat_pools", tests, NULL, NULL);
}
