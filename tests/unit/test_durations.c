// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/stats/durations and the observer's view of ends and times. */
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/shm/seqlock.h"
#include "lib/stats/durations.h"
#include "lib/stats/observer.h"
#include "tests/unit/offline.h"

#define S		UINT64_C(1000000000)
#define LEFT		UINT32_MAX /* timeout_s of a message that names none */
#define CELL(l4, state) cell_of((struct row_key){l4, DIR_FORWARDED, 80}, state)

/* --- buckets --------------------------------------------------------------------- */

static unsigned int naive_bucket(uint64_t ns)
{
	for (unsigned int i = 0; i < SHM_STAY_BUCKETS - 1u; i++)
		if (ns < UINT64_C(62500000) << i)
			return i;
	return SHM_STAY_BUCKETS - 1u;
}

static void test_buckets(void **state)
{
	struct rng rng = rng_seeded(1);

	(void)state;
	for (unsigned int i = 0; i < 40; i++) {
		uint64_t bound = UINT64_C(62500000) << (i % 30);

		/* Whole ticks and a ns: below 32 ns they are not told apart. */
		assert_int_equal(durations_bucket(bound), naive_bucket(bound));
		assert_int_equal(durations_bucket(bound - 32), naive_bucket(bound - 32));
	}
	for (unsigned int i = 0; i < 100000; i++) {
		uint64_t ns = rng_next(&rng) >> rng_below(&rng, 64) << 5;

		assert_int_equal(durations_bucket(ns), naive_bucket(ns));
	}
	assert_int_equal(durations_bucket(0), 0);
	assert_int_equal(durations_bucket(UINT64_MAX - 1), SHM_STAY_BUCKETS - 1);
}

/* --- a mirror that tells --------------------------------------------------------- */

struct house {
	struct mirror_offline offline;
	struct observer observer;
	struct durations durations;
	struct shm_detail *details;
};

static void house_create(struct house *house)
{
	memset(house, 0, sizeof(*house));
	ct_hash_seed_fixed(1);
	assert_int_equal(mirror_offline_create(&house->offline, 100000), 0);
	assert_int_equal(durations_create(&house->durations, &house->offline.hist), 0);
	house->details = calloc(SHM_DETAILS + SHM_DETAIL_POOLS, sizeof(*house->details));
	assert_non_null(house->details);
	for (unsigned int i = 0; i < SHM_DETAILS; i++)
		poke_u32(&house->details[i].row, ROW_INVALID);
	house->durations.details = house->details;
	observer_init(&house->observer);
	house->observer.durations = &house->durations;
	house->offline.mirror.hook = &house->observer.hook;
}

static void house_destroy(struct house *house)
{
	durations_destroy(&house->durations);
	mirror_offline_destroy(&house->offline);
	free(house->details);
}

static void tell(struct house *house, enum ct_kind kind, uint16_t port, uint32_t source, int state,
		 uint32_t timeout_s)
{
	struct ct_event event = offline_event(
		(struct told){.kind = kind, .number = source, .id = 1, .state = state});

	event.key.dport = port;
	event.hash = ct_hash(&event.key);
	event.timeout_s = timeout_s;
	if (timeout_s == LEFT)
		event.has &= (uint8_t)~CT_HAS_TIMEOUT;
	if (kind == CT_RECORD)
		resync_record(&house->offline.resync, &house->offline.mirror, &event, 0);
	else
		mirror_event(&house->offline.mirror, &event);
}

static const struct shm_detail *detail_of(const struct house *house, uint16_t port)
{
	uint32_t row = row_of((struct row_key){L4_TCP, DIR_FORWARDED, port});

	for (unsigned int i = 0; i < SHM_DETAILS; i++)
		if (peek_u32(&house->details[i].row) == row)
			return &house->details[i];
	return NULL;
}

static const struct shm_detail *pool(const struct house *house)
{
	return &house->details[SHM_DETAILS + L4_TCP * DIR_COUNT + DIR_FORWARDED];
}

static uint64_t counted(const struct shm_stays *durations)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
		sum += peek_u64(&durations->buckets[i]);
	return sum;
}

/* Exactly one stay of about so many ms. */
static void assert_one(const struct shm_stays *durations, uint64_t ms)
{
	uint64_t sum_ms = peek_u64(&durations->sum_ms);

	assert_int_equal(counted(durations), 1);
	/* Ticks are 17 ms. */
	assert_true(sum_ms <= ms + 34 && sum_ms + 34 >= ms);
	assert_int_equal(peek_u64(&durations->buckets[naive_bucket(sum_ms * 1000000)]), 1);
}

static void test_a_whole_life(void **state)
{
	struct house house;
	const struct shm_detail *detail;

	(void)state;
	house_create(&house);
	tell(&house, CT_NEW, 80, 1, ST_TCP_SYN_SENT, 120);
	mirror_offline_pass(&house.offline, S / 10);
	tell(&house, CT_UPDATE, 80, 1, ST_TCP_SYN_RECV, 60);
	mirror_offline_pass(&house.offline, S / 5);
	tell(&house, CT_UPDATE, 80, 1, ST_TCP_ESTABLISHED, 432000);
	mirror_offline_pass(&house.offline, 30 * S);
	/* Assured: the state is the same, and so is the stay. */
	tell(&house, CT_UPDATE, 80, 1, ST_TCP_ESTABLISHED, 432000);
	mirror_offline_pass(&house.offline, 30 * S);
	tell(&house, CT_UPDATE, 80, 1, ST_TCP_TIME_WAIT, 120);
	mirror_offline_pass(&house.offline, 121 * S);
	tell(&house, CT_DESTROY, 80, 1, ST_TCP_TIME_WAIT, 0);
	detail = detail_of(&house, 80);
	assert_non_null(detail);
	assert_one(&detail->states[ST_TCP_SYN_SENT], 100);
	assert_one(&detail->states[ST_TCP_SYN_RECV], 200);
	assert_one(&detail->states[ST_TCP_ESTABLISHED], 60000);
	assert_one(&detail->states[ST_TCP_TIME_WAIT], 121000);
	assert_one(&detail->tail, 121000);
	assert_one(&detail->whole, 181300);
	assert_int_equal(peek_u64(&detail->ends[SHM_END_CLOSED]), 1);
	house_destroy(&house);
}

/* Found by a dump, silent, or gone unheard: how it ended counts, for how long does not. */
static void test_only_what_was_seen(void **state)
{
	struct house house;
	const struct shm_detail *detail;
	struct resync *resync = &house.offline.resync;

	(void)state;
	house_create(&house);
	resync_begin(resync, &house.offline.mirror, false);
	tell(&house, CT_RECORD, 80, 1, ST_TCP_ESTABLISHED, 1000);
	resync_dump_done(resync, &house.offline.mirror, true, -1);
	while (resync_sweep(resync, &house.offline.mirror) == RESYNC_PENDING)
		;
	mirror_offline_pass(&house.offline, 5 * S);
	tell(&house, CT_UPDATE, 80, 1, ST_TCP_TIME_WAIT, 120);
	mirror_offline_pass(&house.offline, 5 * S);
	tell(&house, CT_DESTROY, 80, 1, ST_TCP_TIME_WAIT, 0);
	detail = detail_of(&house, 80);
	assert_non_null(detail);
	assert_int_equal(peek_u64(&detail->ends[SHM_END_CLOSED]), 1);
	assert_int_equal(counted(&detail->whole) + counted(&detail->tail), 0);
	assert_int_equal(counted(&detail->states[ST_TCP_TIME_WAIT]), 0);
	/* Born, then absent from a dump. */
	tell(&house, CT_NEW, 80, 2, ST_TCP_SYN_SENT, 120);
	mirror_offline_pass(&house.offline, 5 * S);
	resync_begin(resync, &house.offline.mirror, true);
	resync_dump_done(resync, &house.offline.mirror, true, -1);
	while (resync_sweep(resync, &house.offline.mirror) == RESYNC_PENDING)
		;
	assert_int_equal(peek_u64(&detail->ends[SHM_END_UNSEEN]), 1);
	assert_int_equal(counted(&detail->whole) + counted(&detail->tail), 0);
	house_destroy(&house);
}

/* Another direction, because an address was added: the stay in the state goes on, and the
 * life is neither cut nor counted twice. */
static void test_a_new_direction(void **state)
{
	struct house house;
	const struct shm_detail *detail;
	const struct local_addr to = {
		.bytes = {192, 168, 0, 1}, .family = AF_INET, .prefix_bits = 32};
	uint32_t row = row_of((struct row_key){L4_TCP, DIR_INBOUND, 80});

	(void)state;
	house_create(&house);
	tell(&house, CT_NEW, 80, 1, ST_TCP_SYN_SENT, 120);
	mirror_offline_pass(&house.offline, S / 10);
	tell(&house, CT_UPDATE, 80, 1, ST_TCP_ESTABLISHED, 1000);
	mirror_offline_pass(&house.offline, 10 * S);
	local_addrs_add(&house.offline.addrs, &to);
	local_addrs_finish(&house.offline.addrs);
	resync_begin(&house.offline.resync, &house.offline.mirror, false);
	tell(&house, CT_RECORD, 80, 1, ST_TCP_ESTABLISHED, 1000);
	mirror_offline_pass(&house.offline, 10 * S);
	tell(&house, CT_DESTROY, 80, 1, ST_TCP_ESTABLISHED, 0);
	detail = &house.details[house.durations.of_row[row] - 1u];
	assert_true(house.durations.of_row[row] > 0);
	assert_one(&detail->states[ST_TCP_ESTABLISHED], 20000);
	assert_one(&detail->whole, 20100);
	assert_int_equal(peek_u64(&detail->ends[SHM_END_EXPIRED]), 1);
	house_destroy(&house);
}

/* --- how it ended ------------------------------------------------------------------ */

#define CROWD	1u
#define DROPS	2u
#define ASSURED 4u

static void test_ends(void **state)
{
	static const struct {
		uint8_t l4proto, was, told; /* told: STATE_SLOTS_MAX, no PROTOINFO */
		uint32_t left_s, portid, with, end;
	} rows[] = {
		/* The timeout ran out. */
		{L4_TCP, ST_TCP_TIME_WAIT, ST_TCP_TIME_WAIT, 0, 0, 0, SHM_END_CLOSED},
		{L4_TCP, ST_TCP_CLOSE, ST_TCP_CLOSE, 0, 0, 0, SHM_END_CLOSED},
		{L4_TCP, ST_TCP_CLOSE_WAIT, ST_TCP_CLOSE_WAIT, 0, 0, ASSURED, SHM_END_CLOSED},
		{L4_TCP, ST_TCP_ESTABLISHED, ST_TCP_ESTABLISHED, 0, 0, ASSURED, SHM_END_EXPIRED},
		{L4_TCP, ST_TCP_SYN_SENT, ST_TCP_SYN_SENT, 0, 0, CROWD | DROPS, SHM_END_EXPIRED},
		{L4_UDP, ST_GENERIC_UNREPLIED, STATE_SLOTS_MAX, 0, 0, 0, SHM_END_EXPIRED},
		{L4_UDP, ST_GENERIC_ASSURED, STATE_SLOTS_MAX, 0, 0, ASSURED, SHM_END_EXPIRED},
		/* No UPDATE told that it had closed. */
		{L4_TCP, ST_TCP_ESTABLISHED, ST_TCP_TIME_WAIT, 0, 0, ASSURED, SHM_END_CLOSED},
		/* Before 5.11: nothing of the timeout in it. */
		{L4_TCP, ST_TCP_SYN_SENT, STATE_SLOTS_MAX, LEFT, 0, CROWD, SHM_END_EXPIRED},
		{L4_TCP, ST_TCP_TIME_WAIT, STATE_SLOTS_MAX, LEFT, 0, 0, SHM_END_CLOSED},
		{L4_TCP, ST_TCP_TIME_WAIT, STATE_SLOTS_MAX, LEFT, 9, 0, SHM_END_DELETED},
		/* conntrack -D, whatever the table is like. */
		{L4_TCP, ST_TCP_ESTABLISHED, ST_TCP_ESTABLISHED, 99, 9, CROWD | DROPS,
		 SHM_END_DELETED},
		{L4_TCP, ST_TCP_TIME_WAIT, ST_TCP_TIME_WAIT, 99, 9, 0, SHM_END_DELETED},
		{L4_UDP, ST_GENERIC_UNREPLIED, STATE_SLOTS_MAX, 20, 9, 0, SHM_END_DELETED},
		/* A reset in answer to the first packet, or one that the mirror was told of. */
		{L4_TCP, ST_TCP_SYN_SENT, ST_TCP_CLOSE, 119, 0, 0, SHM_END_CLOSED},
		{L4_TCP, ST_TCP_SYN_SENT, ST_TCP_CLOSE, 119, 0, CROWD | DROPS, SHM_END_CLOSED},
		{L4_TCP, ST_TCP_CLOSE, ST_TCP_CLOSE, 9, 0, CROWD, SHM_END_EVICTED},
		{L4_TCP, ST_TCP_CLOSE, ST_TCP_CLOSE, 9, 0, 0, SHM_END_CLOSED},
		/* A new connection over the old one; or the collector in a table that drops. */
		{L4_TCP, ST_TCP_TIME_WAIT, ST_TCP_TIME_WAIT, 60, 0, ASSURED, SHM_END_CLOSED},
		{L4_TCP, ST_TCP_TIME_WAIT, ST_TCP_TIME_WAIT, 60, 0, ASSURED | CROWD,
		 SHM_END_CLOSED},
		{L4_TCP, ST_TCP_TIME_WAIT, ST_TCP_TIME_WAIT, 60, 0, ASSURED | CROWD | DROPS,
		 SHM_END_EVICTED},
		/* Early drop. */
		{L4_TCP, ST_TCP_SYN_SENT, ST_TCP_SYN_SENT, 60, 0, CROWD, SHM_END_EVICTED},
		{L4_UDP, ST_GENERIC_REPLIED, STATE_SLOTS_MAX, 9, 0, CROWD, SHM_END_EVICTED},
		/* A masquerading interface went down. */
		{L4_UDP, ST_GENERIC_REPLIED, STATE_SLOTS_MAX, 9, 0, 0, SHM_END_DELETED},
		{L4_TCP, ST_TCP_ESTABLISHED, ST_TCP_ESTABLISHED, 99, 0, ASSURED | CROWD | DROPS,
		 SHM_END_DELETED},
	};
	const uint64_t now_ns = 1000 * S;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct observer observer = {.crowd_entries = 900,
					    .dropped_ns = rows[i].with & DROPS ? now_ns - S : 0};
		struct flow flow = {.cell_flags = rows[i].with & ASSURED ? FLOW_ASSURED : 0};
		struct ct_event event = {
			.kind = CT_DESTROY, .timeout_s = rows[i].left_s, .portid = rows[i].portid};
		const struct entry_change seen = {
			.now_ns = now_ns,
			.flow = &flow,
			.table_entries = rows[i].with & CROWD ? 900 : 899,
			.from_cell = CELL(rows[i].l4proto, rows[i].was),
			.to_cell = CELL_INVALID,
			.event = &event,
		};

		event.has = rows[i].left_s == LEFT ? 0 : CT_HAS_TIMEOUT;
		if (rows[i].told != STATE_SLOTS_MAX)
			event.has |= CT_HAS_PROTO_STATE;
		event.proto_state = rows[i].told;
		if (observer_end(&observer, &seen) != rows[i].end)
			fail_msg("row %zu: %u instead of %u", i, observer_end(&observer, &seen),
				 rows[i].end);
	}
}

static void test_limit(void **state)
{
	struct observer observer = {0};

	(void)state;
	/* The counter of before the start is no drop of now. */
	observer_limit(&observer, 1000, 0, 10 * S);
	observer_limit(&observer, 1000, 5000, 11 * S);
	assert_int_equal(observer.crowd_entries, 900);
	assert_int_equal(observer.dropped_ns, 0);
	observer_limit(&observer, 1000, 5001, 20 * S);
	assert_int_equal(observer.dropped_ns, 20 * S);
	observer_limit(&observer, 0, 5001, 21 * S);
	assert_int_equal(observer.crowd_entries, 0);
	assert_int_equal(observer.dropped_ns, 20 * S);
	observer_limit(&observer, INT64_MAX, 5001, 21 * S);
	assert_int_equal(observer.crowd_entries, 0);
	observer_limit(&observer, -1, 5001, 21 * S);
	assert_int_equal(observer.crowd_entries, 0);
}

/* --- who has a detail ------------------------------------------------------------------ */

static void live_and_die(struct house *house, uint16_t port, uint32_t source)
{
	tell(house, CT_NEW, port, source, ST_TCP_SYN_SENT, 120);
	mirror_offline_pass(&house->offline, S / 20);
	tell(house, CT_DESTROY, port, source, ST_TCP_SYN_SENT, 0);
}

static uint32_t cell_of_syn_sent(uint16_t port)
{
	return cell_of((struct row_key){L4_TCP, DIR_FORWARDED, port}, ST_TCP_SYN_SENT);
}

static uint64_t ends_of_all(const struct house *house)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < SHM_DETAILS + SHM_DETAIL_POOLS; i++)
		for (unsigned int e = 0; e < SHM_END_COUNT; e++)
			sum += peek_u64(&house->details[i].ends[e]);
	return sum;
}

static void test_more_rows_than_details(void **state)
{
	struct house house;
	struct durations_wish wish;
	const struct shm_detail *detail;
	uint32_t generation;

	(void)state;
	house_create(&house);
	for (uint32_t port = 1; port <= SHM_DETAILS + 50; port++)
		live_and_die(&house, (uint16_t)port, port);
	assert_int_equal(house.durations.free_count, 0);
	assert_int_equal(peek_u64(&pool(&house)->ends[SHM_END_EXPIRED]), 50);
	assert_null(detail_of(&house, SHM_DETAILS + 1));
	/* A busy one that has none, but all are too young to be taken away. */
	wish = (struct durations_wish){row_of((struct row_key){L4_TCP, DIR_FORWARDED, 300}), 100};
	durations_look(&house.durations, &wish, 1, 30 * S);
	assert_null(detail_of(&house, 300));
	/* Quiet for long enough: some are given back, the rest keep what they know. */
	durations_look(&house.durations, NULL, 0, 91 * S);
	assert_int_equal(house.durations.free_count, DURATIONS_SPARE);
	assert_int_equal(peek_u64(&pool(&house)->ends[SHM_END_EXPIRED]), 50 + DURATIONS_SPARE);
	assert_int_equal(counted(&pool(&house)->states[ST_TCP_SYN_SENT]), 50 + DURATIONS_SPARE);
	/* Whoever comes next takes one. */
	live_and_die(&house, 300, 1);
	detail = detail_of(&house, 300);
	assert_non_null(detail);
	assert_int_equal(peek_u64(&detail->ends[SHM_END_EXPIRED]), 1);
	assert_int_equal(counted(&detail->whole), 1);
	generation = peek_u32(&detail->generation);
	assert_true(generation > 2 && !(generation & 1u));
	assert_int_equal(ends_of_all(&house), SHM_DETAILS + 51);
	house_destroy(&house);
}

static void test_the_busy_take_from_the_small(void **state)
{
	struct house house;
	struct durations_wish wish = {row_of((struct row_key){L4_TCP, DIR_FORWARDED, 9000}), 9};

	(void)state;
	house_create(&house);
	/* Each holds six entries, but that of port 7 five. */
	for (uint32_t i = 0; i < SHM_DETAILS; i++) {
		uint16_t port = (uint16_t)(1 + i);

		live_and_die(&house, port, 1);
		for (uint32_t source = 2; source < (port == 7 ? 7u : 8u); source++)
			tell(&house, CT_NEW, port, source, ST_TCP_SYN_SENT, 120);
	}
	durations_look(&house.durations, NULL, 0, 61 * S);
	/* Not half as busy again as any: membership is stable. */
	wish.weight = 7;
	durations_look(&house.durations, &wish, 1, 71 * S);
	assert_null(detail_of(&house, 9000));
	wish.weight = 8; /* against five */
	durations_look(&house.durations, &wish, 1, 81 * S);
	assert_non_null(detail_of(&house, 9000));
	assert_null(detail_of(&house, 7));
	assert_int_equal(peek_u64(&pool(&house)->ends[SHM_END_EXPIRED]), 1);
	/* It counts from 0; what the other one does is counted in the pool. */
	live_and_die(&house, 7, 99);
	assert_int_equal(peek_u64(&detail_of(&house, 9000)->ends[SHM_END_EXPIRED]), 0);
	assert_int_equal(peek_u64(&pool(&house)->ends[SHM_END_EXPIRED]), 2);
	house_destroy(&house);
}

/* Whatever changes hands: ends in all are entries destroyed, each row has one detail. */
static void random_hands(uint64_t seed)
{
	struct house house;
	struct rng rng = rng_seeded(seed);

	house_create(&house);
	for (uint32_t round = 0; round < 40; round++) {
		struct durations_wish wishes[8];

		for (uint32_t i = 0; i < 300; i++)
			live_and_die(&house, (uint16_t)rng_below(&rng, 600), i);
		for (uint32_t i = 0; i < 8; i++)
			wishes[i] = (struct durations_wish){
				row_of((struct row_key){L4_TCP, DIR_FORWARDED,
							(uint16_t)rng_below(&rng, 600)}),
				rng_below(&rng, 50)};
		durations_look(&house.durations, wishes, 8, (round + 1) * 10 * S);
		assert_seeded(seed, ends_of_all(&house) + house.durations.forgotten_ends ==
					    house.offline.mirror.counters.destroyed_entries);
		for (unsigned int i = 0; i < SHM_DETAILS; i++) {
			uint32_t row = peek_u32(&house.details[i].row);

			assert_seeded(seed,
				      row == ROW_INVALID || house.durations.of_row[row] == i + 1u);
		}
	}
	house_destroy(&house);
}

static void test_hands(void **state)
{
	(void)state;
	unit_seeds("hands", 10, random_hands);
}

/* Mean seconds in SYN_SENT, as a reader has them. */
static double mean_s(const struct shm_detail *detail)
{
	const struct shm_stays *stays = &detail->states[ST_TCP_SYN_SENT];

	return (double)peek_u64(&stays->sum_ms) / 1e3 / (double)counted(stays);
}

static void end_some(struct house *house, uint16_t port, unsigned int count, uint64_t life_ns)
{
	for (unsigned int i = 0; i < count; i++)
		durations_ended(&house->durations, cell_of_syn_sent(port), SHM_END_EXPIRED, life_ns,
				life_ns);
}

/* Slow for twenty minutes, then quick: after eight minutes next to nothing is left of it. Where
 * little happens nothing is forgotten. */
static void test_forgets(void **state)
{
	struct house house;
	uint64_t second = 0;

	(void)state;
	house_create(&house);
	for (; second < 1200; second++) {
		end_some(&house, 443, 10, 9 * S);
		if (second % 100 == 0)
			end_some(&house, 22, 1, 9 * S);
		if (second % 10 == 0)
			durations_look(&house.durations, NULL, 0, second * S);
	}
	assert_true(mean_s(detail_of(&house, 443)) > 8.9);
	for (; second < 1200 + 480; second++) {
		end_some(&house, 443, 10, S);
		if (second % 10 == 0)
			durations_look(&house.durations, NULL, 0, second * S);
	}
	/* A sixteenth of nine seconds. */
	assert_true(mean_s(detail_of(&house, 443)) < 1 + 9.0 / 16);
	assert_int_equal(counted(&detail_of(&house, 22)->whole), 12);
	assert_true(counted(&detail_of(&house, 443)->whole) >= DURATIONS_LIVES_KEPT / 2);
	house_destroy(&house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_a_whole_life),
		cmocka_unit_test(test_only_what_was_seen),
		cmocka_unit_test(test_a_new_direction),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_more_rows_than_details),
		cmocka_unit_test(test_the_busy_take_from_the_small),
		cmocka_unit_test(test_hands),
		cmocka_unit_test(test_forgets),
	};

	return cmocka_run_group_tests_name("stays", tests, NULL, NULL);
}
