// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/tally and agent/talkers, against exact counts. With dumps that interleave with
 * events, are swept or fail: test_resync_model.c. */
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/shm/seqlock.h"
#include "lib/stats/talkers.h"
#include "tests/unit/offline.h"

#define KEYS 4096u

static struct topk_key key_of(uint32_t number)
{
	return (struct topk_key){{number * UINT64_C(0x9e3779b97f4a7c15), number}, AF_INET6};
}

/* --- the tally ------------------------------------------------------------------- */

/* What is in the table under each key, by either tally. */
struct exact {
	struct topk topk;
	uint32_t counts[KEYS][2];
	uint64_t seed;
};

static void check_key(const struct exact *exact, uint32_t number)
{
	struct topk_key key = key_of(number);

	for (unsigned int i = 0; i < 2; i++) {
		uint32_t more, count = topk_count(&exact->topk, &key, i, &more);
		uint32_t truth = exact->counts[number][i];

		if (count > truth || truth - count > more)
			fail_msg("key %u of tally %u: %u and up to %u more, but there are %u, to "
				 "repeat: SEED=%llu",
				 number, i, count, more, truth, (unsigned long long)exact->seed);
	}
}

static void check_keys(const struct exact *exact)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t counted = 0, hidden = 0, truth = 0;
		uint32_t keys = 0;

		for (uint32_t at = 1; at <= exact->topk.used; at++) {
			counted += exact->topk.records[at].count[i];
			keys += exact->topk.records[at].count[i] > 0;
		}
		for (uint32_t k = 0; k < TOPK_HIDDEN; k++)
			hidden += exact->topk.hidden[i][k];
		for (uint32_t k = 0; k < KEYS; k++)
			truth += exact->counts[k][i];
		/* No entry is lost, none counted twice. */
		assert_seeded(exact->seed, counted + hidden == truth);
		assert_seeded(exact->seed, exact->topk.keys[i] == keys);
	}
	for (uint32_t number = 0; number < KEYS; number++)
		check_key(exact, number);
	assert_seeded(exact->seed, exact->topk.refused == 0);
}

/* Some keys often, most seldom; in phases entries come, or go. */
static void step(struct exact *exact, struct rng *rng, uint32_t span, uint32_t coming)
{
	uint32_t number = rng_percent(rng, 30) ? rng_below(rng, 8) : rng_below(rng, span);
	unsigned int which = 1u + rng_below(rng, 3);
	struct topk_key key = key_of(number);
	uint32_t *counts = exact->counts[number];

	if (rng_percent(rng, coming)) {
		counts[0] += which & 1u;
		counts[1] += which >> 1;
		topk_add(&exact->topk, &key, which);
		return;
	}
	which &= (counts[0] ? TOPK_FIRST : 0) | (counts[1] ? TOPK_SECOND : 0);
	if (!which)
		return;
	counts[0] -= which & 1u;
	counts[1] -= which >> 1;
	topk_remove(&exact->topk, &key, which);
}

static void clear(struct exact *exact, unsigned int index, uint32_t records)
{
	uint32_t from = 1;

	do {
		from = topk_clear(&exact->topk, index, from, records);
	} while (from);
	for (uint32_t number = 0; number < KEYS; number++)
		exact->counts[number][index] = 0;
}

static void random_topk(uint64_t seed)
{
	static struct exact exact;
	struct rng rng = rng_seeded(seed);
	uint32_t room = 16u << rng_below(&rng, 10); /* 16 to 8192: also more than there are */

	memset(&exact, 0, sizeof(exact));
	exact.seed = seed;
	assert_int_equal(topk_create(&exact.topk, room), 0);
	for (uint32_t phase = 0; phase < 12; phase++) {
		uint32_t span = 8 + rng_below(&rng, KEYS - 8);
		uint32_t coming = 10 + rng_below(&rng, 80);

		for (uint32_t i = 0; i < 2000; i++)
			step(&exact, &rng, span, coming);
		check_keys(&exact);
		if (room >= KEYS)
			assert_int_equal(topk_most_hidden(&exact.topk, 0), 0);
		if (rng_percent(&rng, 30)) {
			clear(&exact, rng_below(&rng, 2), 1 + rng_below(&rng, 500));
			check_keys(&exact);
		}
	}
	topk_destroy(&exact.topk);
}

static void test_bounds_hold(void **state)
{
	(void)state;
	ct_hash_seed_fixed(3);
	unit_seeds("tally", UNIT_SANITIZED ? 20 : 120, random_topk);
}

/* Everything that came goes: nothing may remain, whatever was put out meanwhile. */
static void test_nothing_remains(void **state)
{
	struct topk topk;

	(void)state;
	assert_int_equal(topk_create(&topk, 64), 0);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 20000; i++) {
			struct topk_key key = key_of(i);

			topk_add(&topk, &key, TOPK_BOTH);
		}
		assert_int_equal(topk.keys[0], 64);
		for (uint32_t i = 0; i < 20000; i++) {
			struct topk_key key = key_of(i);

			topk_remove(&topk, &key, TOPK_BOTH);
		}
		assert_int_equal(topk.keys[0] + topk.keys[1], 0);
		assert_int_equal(topk_most_hidden(&topk, 0) + topk_most_hidden(&topk, 1), 0);
		assert_int_equal(topk.refused, 0);
	}
	/* Of something that was never added: counted, no count goes below 0. */
	topk_remove(&topk, &(struct topk_key){{1, 2}, 3}, TOPK_FIRST);
	assert_int_equal(topk.refused, 1);
	assert_int_equal(topk_most_hidden(&topk, 0), 0);
	topk_destroy(&topk);
}

/* The table is full of others when a host with a tenth of what comes appears. */
static void test_a_large_one_gets_in(void **state)
{
	struct topk_key large = key_of(1u << 31);
	struct topk topk;
	uint32_t more;

	(void)state;
	ct_hash_seed_fixed(3);
	assert_int_equal(topk_create(&topk, 1024), 0);
	for (uint32_t i = 0; i < 50000; i++) {
		struct topk_key key = key_of(i);

		topk_add(&topk, &key, TOPK_FIRST);
	}
	for (uint32_t i = 0; i < 50000; i++) {
		struct topk_key key = key_of(100000 + i);

		topk_add(&topk, i % 10 ? &key : &large, TOPK_FIRST);
	}
	/* 5000 there are: most of them are to be seen under its name. */
	assert_true(topk_count(&topk, &large, 0, &more) > 4000);
	topk_destroy(&topk);
}

/* --- by address ------------------------------------------------------------------ */

static struct ct_key ct_key(uint8_t family, uint32_t source, uint32_t destination, uint16_t port)
{
	struct ct_key key = {.family = family, .l4num = IPPROTO_UDP, .sport = 7, .dport = port};

	/* The last bytes of IPv6: addresses of one /64. */
	memcpy(family == AF_INET ? key.src : key.src + 12, &source, 4);
	memcpy(family == AF_INET ? key.dst : key.dst + 12, &destination, 4);
	return key;
}

static uint32_t listed(const struct shm_talkers *to, unsigned int kind, uint32_t i)
{
	return peek_u32(&to->list[kind].talker[i].entries);
}

static void test_kinds(void **state)
{
	struct talkers talkers;
	struct shm_talkers *to = calloc(1, sizeof(*to));
	struct ct_key key;

	(void)state;
	assert_int_equal(talkers_create(&talkers, 64), 0);
	for (uint32_t i = 0; i < 30; i++) {
		key = ct_key(AF_INET, i % 3, 9, (uint16_t)(53 + i % 2));
		talkers_appeared(&talkers, &key);
	}
	for (uint32_t i = 0; i < 8; i++) {
		key = ct_key(AF_INET6, i, i % 2, 53);
		talkers_appeared(&talkers, &key);
	}
	talkers_second(&talkers, to, 77);
	assert_int_equal(peek_u64(&to->taken_boot_ns), 77);
	assert_int_equal(peek_u32(&to->list[SHM_TALKER_SOURCE].count), 3 + 8);
	assert_int_equal(listed(to, SHM_TALKER_SOURCE, 0), 10);
	assert_int_equal(peek_u32(&to->list[SHM_TALKER_DESTINATION].count), 1 + 2);
	assert_int_equal(listed(to, SHM_TALKER_DESTINATION, 0), 30);
	assert_int_equal(peek_u32(&to->list[SHM_TALKER_SERVICE].count), 2 + 2);
	assert_int_equal(listed(to, SHM_TALKER_SERVICE, 0), 15);
	assert_int_equal(peek_u32(&to->list[SHM_TALKER_SERVICE].talker[3].key),
			 AF_INET6 | L4_UDP << 8 | 53 << 16);
	assert_int_equal(peek_u32(&to->list[SHM_TALKER_SOURCE_64].count), 1);
	assert_int_equal(listed(to, SHM_TALKER_SOURCE_64, 0), 8);
	assert_int_equal(listed(to, SHM_TALKER_DESTINATION_64, 0), 8);
	assert_int_equal(talkers_sources(&talkers), 11);
	talkers_destroy(&talkers);
	free(to);
}

/* ICMP has a type where others have a port: it is no service of its own. */
static void test_no_port(void **state)
{
	struct talkers talkers;
	struct shm_talkers *to = calloc(1, sizeof(*to));
	struct ct_key key = ct_key(AF_INET, 1, 2, 8 << 8);

	(void)state;
	key.l4num = IPPROTO_ICMP;
	assert_int_equal(talkers_create(&talkers, 64), 0);
	talkers_appeared(&talkers, &key);
	talkers_second(&talkers, to, 1);
	assert_int_equal(peek_u32(&to->list[SHM_TALKER_SERVICE].talker[0].key),
			 AF_INET | L4_ICMP << 8);
	talkers_destroy(&talkers);
	free(to);
}

/* What is said of who is not in the list must hold for each of them, at each moment:
 * also while kinds take turns, after hosts have grown since they were looked for. */
static void random_lists(uint64_t seed)
{
	static uint32_t truth[512];
	struct rng rng = rng_seeded(seed);
	struct talkers talkers;
	struct shm_talkers *to = calloc(1, sizeof(*to));
	const struct shm_talker_list *list = &to->list[SHM_TALKER_SOURCE];

	memset(truth, 0, sizeof(truth));
	assert_int_equal(talkers_create(&talkers, rng_percent(&rng, 50) ? 1024 : 64), 0);
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t host = rng_percent(&rng, 50) ? rng_below(&rng, 40) : rng_below(&rng, 512);
		struct ct_key key = ct_key(AF_INET, host, 1, 1);
		bool shown[512] = {false};
		uint32_t n;

		if (truth[host] && rng_percent(&rng, 40)) {
			talkers_went(&talkers, &key, false);
			truth[host]--;
		} else {
			talkers_appeared(&talkers, &key);
			truth[host]++;
		}
		if (i % 37)
			continue;
		/* As if the others were so large that this kind is not looked at again. */
		if (i && rng_percent(&rng, 50)) {
			talkers.next_scan = SHM_TALKER_DESTINATION;
			talkers.kinds[SHM_TALKER_SERVICE].used += TALKERS_SCAN_RECORDS;
			talkers_second(&talkers, to, i);
			talkers.kinds[SHM_TALKER_SERVICE].used -= TALKERS_SCAN_RECORDS;
			talkers.next_scan = SHM_TALKER_SOURCE;
		} else {
			talkers_second(&talkers, to, i);
		}
		n = peek_u32(&list->count);
		for (uint32_t k = 0; k < n; k++) {
			const struct shm_talker *talker = &list->talker[k];
			uint32_t entries = peek_u32(&talker->entries);
			uint64_t address = peek_u64(&talker->address[0]);
			uint32_t number;

			memcpy(&number, &address, 4);
			shown[number] = true;
			assert_seeded(seed,
				      entries <= truth[number] &&
					      truth[number] <=
						      entries + peek_u32(&talker->more_entries));
			assert_seeded(seed,
				      k == 0 || entries <= listed(to, SHM_TALKER_SOURCE, k - 1));
		}
		for (uint32_t k = 0; k < 512; k++)
			assert_seeded(seed,
				      shown[k] || truth[k] <= peek_u32(&list->missed_entries));
	}
	assert_seeded(seed, peek_u32(&list->count) == SHM_TALKERS);
	talkers_destroy(&talkers);
	free(to);
}

static void test_lists(void **state)
{
	(void)state;
	ct_hash_seed_fixed(3);
	unit_seeds("lists", 40, random_lists);
}

/* --- a dump ---------------------------------------------------------------------- */

static uint32_t count_of(const struct talkers *talkers, uint32_t source)
{
	struct ct_key key = ct_key(AF_INET, source, 1, 1);
	struct topk_key topk_key = {.rest = AF_INET};
	uint32_t more;

	memcpy(topk_key.address, key.src, 16);
	return topk_count(&talkers->kinds[SHM_TALKER_SOURCE], &topk_key, talkers->shown, &more);
}

static void test_a_dump_makes_it_right(void **state)
{
	struct ct_key one = ct_key(AF_INET, 1, 1, 1), two = ct_key(AF_INET, 2, 1, 1);
	struct talkers talkers;
	struct shm_talkers *to = calloc(1, sizeof(*to));

	(void)state;
	assert_int_equal(talkers_create(&talkers, 64), 0);
	talkers_appeared(&talkers, &one);
	talkers_appeared(&talkers, &one);
	talkers_appeared(&talkers, &two);
	talkers_begin(&talkers);
	talkers_shown(&talkers, &one);
	talkers_appeared(&talkers, &two); /* during the dump: in both */
	talkers_went(&talkers, &one, true);
	talkers_appeared(&talkers, &one);
	assert_int_equal(count_of(&talkers, 1), 2);
	assert_int_equal(count_of(&talkers, 2), 2);
	/* One of each was not shown: swept, and nobody knows whose they were. */
	talkers_went(&talkers, NULL, false);
	talkers_went(&talkers, NULL, false);
	talkers_second(&talkers, to, 1);
	assert_int_equal(peek_u32(&to->list[SHM_TALKER_SOURCE].talker[0].error_entries), 2);
	talkers_complete(&talkers);
	assert_int_equal(count_of(&talkers, 1), 1);
	assert_int_equal(count_of(&talkers, 2), 1);
	talkers_second(&talkers, to, 2);
	assert_int_equal(peek_u32(&to->list[SHM_TALKER_SOURCE].talker[0].error_entries), 0);
	assert_int_equal(talkers.clear_kind, SHM_TALKER_KINDS);
	/* A dump that failed leaves no trace. */
	talkers_begin(&talkers);
	talkers_shown(&talkers, &one);
	talkers_drop(&talkers);
	talkers_begin(&talkers);
	talkers_shown(&talkers, &one);
	talkers_went(&talkers, NULL, false);
	talkers_complete(&talkers);
	assert_int_equal(count_of(&talkers, 1), 1);
	assert_int_equal(count_of(&talkers, 2), 0);
	assert_int_equal(talkers_sources(&talkers), 1);
	talkers_destroy(&talkers);
	free(to);
}

/* Memory: what the header says, and no more however many addresses there are. */
static void test_memory(void **state)
{
	struct talkers talkers;

	(void)state;
	assert_int_equal(talkers_create(&talkers, TALKERS_KEYS), 0);
	for (uint32_t i = 0; i < 300000; i++) {
		struct ct_key key = ct_key(AF_INET, i, i, (uint16_t)i);

		talkers_appeared(&talkers, &key);
	}
	for (unsigned int kind = 0; kind < SHM_TALKER_SOURCE_64; kind++) {
		assert_int_equal(talkers.kinds[kind].used, TALKERS_KEYS);
		assert_int_equal(talkers.kinds[kind].keys[0], TALKERS_KEYS);
	}
	assert_int_equal(talkers.kinds[SHM_TALKER_SOURCE_64].used, 0);
	talkers_destroy(&talkers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds_hold),
		cmocka_unit_test(test_nothing_remains),
		cmocka_unit_test(test_a_large_one_gets_in),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_no_port),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_a_dump_makes_it_right),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests_name("talkers", tests, NULL, NULL);
}
