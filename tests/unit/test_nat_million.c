// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A gateway with a million translated entries in more pools than there is room for: nothing is
 * lost between what is held of each pool and what is hidden, and memory stays what is stated.
 */
#include "lib/stats/nat_pools.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define ENTRIES 1000000u
#define POOLS	100000u
/* One in so many goes without an event. */
#define SWEPT 10u

static struct nat_pools pools;

/* Entry n: every second pool is of IPv6, and each pool has three clients. */
static struct ct_event flow(uint32_t n)
{
	uint32_t pool = n % POOLS, client = n / POOLS % 3u;
	struct ct_event event = {.kind = CT_NEW,
				 .has = CT_HAS_STATUS | CT_HAS_REPLY,
				 .status = CT_STATUS_SRC_NAT,
				 .key = {.family = pool % 2u ? AF_INET6 : AF_INET,
					 .l4num = IPPROTO_UDP,
					 .sport = (uint16_t)(1024u + n / POOLS),
					 .dport = 53},
				 .reply_sport = 53,
				 .reply_dport = (uint16_t)(1024u + n / POOLS)};

	memcpy(event.key.src, &client, sizeof(client));
	memcpy(event.key.dst, &pool, sizeof(pool));
	memcpy(event.reply_src, &pool, sizeof(pool));
	event.reply_dst[0] = 203;
	return event;
}

static uint64_t hidden_of(const struct topk *topk)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < TOPK_HIDDEN; i++)
		sum += topk->hidden[pools.shown][i];
	return sum;
}

static uint64_t held_of(const struct topk *topk)
{
	uint64_t sum = 0;

	for (uint32_t at = 1; at <= topk->used; at++)
		sum += topk->records[at].count[pools.shown];
	return sum;
}

static uint64_t first_clients(void)
{
	uint64_t sum = 0;

	for (uint32_t at = 1; at <= pools.used.used; at++)
		sum += pools.facts[at].client_count[pools.shown];
	return sum;
}

static void assert_entries(uint64_t entries)
{
	assert_int_equal(held_of(&pools.used) + hidden_of(&pools.used), entries);
	assert_int_equal(held_of(&pools.clients) + first_clients() + hidden_of(&pools.clients),
			 entries);
	assert_int_equal(pools.used.refused, 0);
	assert_int_equal(pools.clients.refused, 0);
}

static size_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long resident = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*u %lu", &resident), 1);
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void test_a_million_entries(void **state)
{
	size_t before = resident_bytes();
	uint32_t left = 0;

	(void)state;
	assert_int_equal(nat_pools_create(&pools, NAT_POOLS_KEYS), 0);
	for (uint32_t n = 0; n < ENTRIES; n++) {
		const struct ct_event event = flow(n);

		nat_pools_appeared(&pools, &event, false, true, true);
	}
	assert_entries(ENTRIES);
	/* The case is what it is meant to be: every record is used, and more is hidden. */
	assert_int_equal(pools.used.used, NAT_POOLS_KEYS);
	assert_true(hidden_of(&pools.used) > 0);

	nat_pools_begin(&pools);
	for (uint32_t n = 0; n < ENTRIES; n++) {
		const struct ct_event event = flow(n);

		if (n % SWEPT)
			nat_pools_shown(&pools, &event, false);
		else
			nat_pools_lost(&pools, false);
		left += n % SWEPT != 0;
	}
	nat_pools_complete(&pools);
	assert_entries(left);
	assert_true(resident_bytes() - before <= NAT_POOLS_BYTES);

	for (uint32_t n = 0; n < ENTRIES; n++) {
		const struct ct_event event = flow(n);

		if (n % SWEPT)
			nat_pools_went(&pools, &event, false, false);
	}
	assert_entries(0);
	nat_pools_destroy(&pools);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_million_entries)};

	/* Huge pages would count memory that nobody touched. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	ct_hash_seed_fixed(3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
