// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/mirror/tracker: each rule of tracker.h as a case. */
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/shm/seqlock.h"
#include "tests/unit/offline.h"

#define REPLIED	 CT_STATUS_SEEN_REPLY
#define ASSURED	 (CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED)
#define DYING	 CT_STATUS_DYING
#define NO_STATE (-1)

static struct mirror_offline offline;

static int set_up(void **state)
{
	(void)state;
	ct_hash_seed_fixed(1);
	return mirror_offline_create(&offline, 100000);
}

static int tear_down(void **state)
{
	const char *wrong = offline_disagrees(&offline);

	(void)state;
	if (wrong)
		print_error("after the test: %s\n", wrong);
	mirror_offline_destroy(&offline);
	return wrong ? -1 : 0;
}

static void tell(enum ct_kind kind, uint32_t number, uint32_t id, uint32_t status, int state)
{
	struct ct_event event = offline_event((struct told){
		.kind = kind, .number = number, .id = id, .status = status, .state = state});

	mirror_event(&offline.mirror, &event);
}

static void tell_udp(enum ct_kind kind, uint32_t number, uint32_t id, uint32_t status)
{
	struct ct_event event = offline_event((struct told){.kind = kind,
							    .number = number,
							    .id = id,
							    .l4num = IPPROTO_UDP,
							    .status = status,
							    .state = NO_STATE});

	mirror_event(&offline.mirror, &event);
}

/* Entries of the port that tuple `number` has, forwarded, in this state. */
static uint32_t entries(uint8_t l4proto, uint32_t number, unsigned int state)
{
	struct row_key key = {l4proto, DIR_FORWARDED, (uint16_t)(80 + number % 7)};

	return peek_u32(&offline.hist.cells[cell_of(key, state)]);
}

static const struct shm_row *row_counters(uint32_t number)
{
	struct row_key key = {L4_TCP, DIR_FORWARDED, (uint16_t)(80 + number % 7)};

	return &offline.hist.rows[row_of(key)];
}

#define assert_tcp(number, state, count)                                                           \
	do {                                                                                       \
		assert_int_equal(entries(L4_TCP, number, ST_TCP_##state), count);                  \
		assert_null(offline_disagrees(&offline));                                          \
	} while (0)

static void test_tcp_life(void **state)
{
	static const struct {
		int state;
		uint32_t status;
	} steps[] = {{2, REPLIED}, {3, ASSURED}, {4, ASSURED},
		     {5, ASSURED}, {6, ASSURED}, {7, ASSURED}};

	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	assert_tcp(1, SYN_SENT, 1);
	for (size_t i = 0; i < UNIT_COUNT(steps); i++) {
		tell(CT_UPDATE, 1, 7, steps[i].status, steps[i].state);
		assert_int_equal(entries(L4_TCP, 1, (unsigned int)steps[i].state), 1);
		assert_int_equal(offline.mirror.entries, 1);
		assert_int_equal(offline_cells(&offline.hist), 1);
	}
	assert_int_equal(offline.mirror.unassured_entries, 0);
	tell(CT_DESTROY, 1, 7, ASSURED | DYING, 7);
	assert_int_equal(offline.mirror.entries, 0);
	assert_int_equal(offline_cells(&offline.hist), 0);
	assert_int_equal(peek_u64(&row_counters(1)->new_entries), 1);
	assert_int_equal(peek_u64(&row_counters(1)->destroyed_entries), 1);
	assert_int_equal(verify_pending(&offline.verify), 0);
}

static void test_generic_states_follow_the_status(void **state)
{
	(void)state;
	tell_udp(CT_NEW, 1, 7, 0);
	assert_int_equal(entries(L4_UDP, 1, ST_GENERIC_UNREPLIED), 1);
	tell_udp(CT_UPDATE, 1, 7, REPLIED);
	assert_int_equal(entries(L4_UDP, 1, ST_GENERIC_REPLIED), 1);
	tell_udp(CT_UPDATE, 1, 7, ASSURED);
	assert_int_equal(entries(L4_UDP, 1, ST_GENERIC_ASSURED), 1);
	assert_int_equal(offline_cells(&offline.hist), 1);
}

/* The cell left is the one the record says, not the one the event names. */
static void test_destroy_leaves_the_cell_of_the_record(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_NEW, 8, 8, 0, 8); /* same port, in CLOSE */
	tell(CT_DESTROY, 1, 7, DYING, 8);
	assert_tcp(1, SYN_SENT, 0);
	assert_tcp(1, CLOSE, 1);
}

static void test_doubled_destroy(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_DESTROY, 1, 7, DYING, 1);
	tell(CT_DESTROY, 1, 7, DYING, 1);
	assert_int_equal(offline.mirror.entries, 0);
	assert_int_equal(offline.hist.refused_decrements, 0);
	assert_int_equal(peek_u64(&row_counters(1)->destroyed_entries), 1);
}

static void test_destroy_of_the_unknown(void **state)
{
	(void)state;
	tell(CT_DESTROY, 1, 7, DYING, 1);
	assert_int_equal(offline.mirror.entries, 0);
	/* A tombstone is for a running dump only. */
	assert_int_equal(offline.mirror.tombstones, 0);
	resync_begin(&offline.resync, &offline.mirror, false);
	tell(CT_DESTROY, 2, 7, DYING, 1);
	assert_int_equal(offline.mirror.tombstones, 1);
	assert_int_equal(offline.hist.refused_decrements, 0);
}

/* Rule 1: a clash entry dies under the tuple of the one that lives. */
static void test_clash_destroy_is_counted_and_ignored(void **state)
{
	(void)state;
	tell_udp(CT_NEW, 1, 7, 0);
	tell_udp(CT_DESTROY, 1, 99, CT_STATUS_CLASH | DYING);
	assert_int_equal(offline.mirror.entries, 1);
	assert_int_equal(offline.mirror.counters.clash_events, 1);
	assert_int_equal(verify_pending(&offline.verify), 0);
	/* Also when nothing lives there, and in a dump: no tombstone. */
	resync_begin(&offline.resync, &offline.mirror, false);
	tell_udp(CT_DESTROY, 2, 99, CT_STATUS_CLASH | DYING);
	assert_int_equal(offline.mirror.counters.clash_events, 2);
	assert_int_equal(offline.mirror.tombstones, 0);
}

static void test_destroy_of_another_id_is_doubted(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_DESTROY, 1, 8, DYING, 1);
	assert_int_equal(offline.mirror.entries, 1);
	assert_int_equal(verify_pending(&offline.verify), 1);
}

/* Rule 2. */
static void test_dying_messages_are_deaths(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, DYING, 1);
	assert_int_equal(offline.mirror.entries, 0);
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_UPDATE, 1, 7, DYING | REPLIED, 8);
	assert_int_equal(offline.mirror.entries, 0);
	tell(CT_DESTROY, 1, 7, DYING, 8);
	assert_int_equal(offline.mirror.entries, 0);
	assert_int_equal(peek_u64(&row_counters(1)->destroyed_entries), 1);
}

/* Rule 3: CTA_ID does not identify an incarnation. */
static void test_new_replaces_same_and_other_id(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_UPDATE, 1, 7, ASSURED, 7);
	tell(CT_NEW, 1, 7, 0, 1);
	assert_tcp(1, SYN_SENT, 1);
	assert_tcp(1, TIME_WAIT, 0);
	assert_int_equal(offline.mirror.unassured_entries, 1);
	tell(CT_NEW, 1, 8, 0, 2);
	assert_tcp(1, SYN_RECV, 1);
	assert_int_equal(offline.mirror.entries, 1);
	assert_int_equal(peek_u64(&row_counters(1)->new_entries), 3);
	assert_int_equal(peek_u64(&row_counters(1)->destroyed_entries), 2);
	tell(CT_DESTROY, 1, 8, DYING, 2);
	assert_int_equal(offline.mirror.entries, 0);
}

/* Port reuse in TIME_WAIT: DESTROY and NEW of one tuple and one id. */
static void test_port_reuse(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_UPDATE, 1, 7, ASSURED, 7);
	tell(CT_DESTROY, 1, 7, ASSURED | DYING, 7);
	tell(CT_NEW, 1, 7, 0, 1);
	assert_tcp(1, SYN_SENT, 1);
	assert_int_equal(offline.mirror.entries, 1);
	/* Rule 5: the NEW of the dead one was read, so this is another's. */
	assert_int_equal(verify_pending(&offline.verify), 0);
	/* The tombstone goes, the entry stays. */
	mirror_offline_pass(&offline, 5 * NS_PER_S);
	mirror_purge_tombstones(&offline.mirror);
	assert_int_equal(offline.mirror.tombstones, 0);
	assert_int_equal(offline.mirror.entries, 1);
}

/* Rule 5: what may be the late message of the dead one is asked for. */
static void test_late_messages_of_the_dead_are_doubted(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_DESTROY, 1, 7, DYING, 1);
	tell(CT_UPDATE, 1, 7, 0, 2);
	assert_int_equal(verify_pending(&offline.verify), 1);
	/* This one's NEW was not read: it may be what comes now. */
	tell(CT_DESTROY, 1, 7, DYING, 2);
	tell(CT_NEW, 1, 7, 0, 1);
	assert_int_equal(verify_pending(&offline.verify), 2);
	/* A second one dies before its NEW is read. */
	tell(CT_DESTROY, 1, 7, DYING, 1);
	tell(CT_DESTROY, 1, 7, DYING, 1);
	tell(CT_NEW, 1, 7, 0, 1);
	assert_int_equal(verify_pending(&offline.verify), 3);
}

static void test_old_graves_raise_no_doubt(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_DESTROY, 1, 7, DYING, 1);
	mirror_offline_pass(&offline, 3 * NS_PER_S / 2);
	tell(CT_NEW, 1, 7, 0, 1);
	assert_int_equal(verify_pending(&offline.verify), 0);
	/* Nor one of another id. */
	tell(CT_DESTROY, 1, 7, DYING, 1);
	tell(CT_NEW, 1, 8, 0, 1);
	assert_int_equal(verify_pending(&offline.verify), 0);
}

/* Rule 4. */
static void test_update_of_the_unknown_inserts(void **state)
{
	(void)state;
	tell(CT_UPDATE, 1, 7, ASSURED, 3);
	assert_tcp(1, ESTABLISHED, 1);
	assert_int_equal(peek_u64(&row_counters(1)->new_entries), 0);
	assert_int_equal(offline.mirror.silent_entries, 0);
	/* Without PROTOINFO the state is not known, and is asked for. */
	tell(CT_UPDATE, 8, 9, ASSURED, NO_STATE);
	assert_tcp(8, UNKNOWN, 1);
	assert_int_equal(offline.mirror.unknown_entries, 1);
	assert_int_equal(verify_pending(&offline.verify), 1);
	tell(CT_UPDATE, 8, 9, ASSURED, 4);
	assert_tcp(8, UNKNOWN, 0);
	assert_tcp(8, FIN_WAIT, 1);
	assert_int_equal(offline.mirror.unknown_entries, 0);
}

static void test_update_of_another_id_replaces(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_UPDATE, 1, 8, ASSURED, 3);
	assert_tcp(1, ESTABLISHED, 1);
	assert_tcp(1, SYN_SENT, 0);
	tell(CT_DESTROY, 1, 8, DYING, 3);
	assert_int_equal(offline.mirror.entries, 0);
}

static void test_update_without_protoinfo_keeps_the_state(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_UPDATE, 1, 7, ASSURED, 3);
	tell(CT_UPDATE, 1, 7, ASSURED, NO_STATE);
	assert_tcp(1, ESTABLISHED, 1);
	assert_int_equal(verify_pending(&offline.verify), 0);
}

/* Bits that never go away went away: the message was overtaken. */
static void test_stale_update_changes_nothing(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_UPDATE, 1, 7, ASSURED, 3);
	tell(CT_UPDATE, 1, 7, REPLIED, 2);
	assert_tcp(1, ESTABLISHED, 1);
	assert_int_equal(offline.mirror.counters.stale_updates, 1);
	assert_int_equal(offline.mirror.unassured_entries, 0);
	tell_udp(CT_NEW, 2, 9, 0);
	tell_udp(CT_UPDATE, 2, 9, ASSURED);
	tell_udp(CT_UPDATE, 2, 9, REPLIED);
	assert_int_equal(entries(L4_UDP, 2, ST_GENERIC_ASSURED), 1);
}

static void test_offload_there_and_back(void **state)
{
	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	tell(CT_UPDATE, 1, 7, ASSURED, 3);
	tell(CT_UPDATE, 1, 7, ASSURED | CT_STATUS_OFFLOAD, NO_STATE);
	assert_tcp(1, OFFLOADED, 1);
	/* Back without PROTOINFO: nobody has told where it is now. */
	tell(CT_UPDATE, 1, 7, ASSURED, NO_STATE);
	assert_tcp(1, UNKNOWN, 1);
	assert_int_equal(verify_pending(&offline.verify), 1);
	tell(CT_UPDATE, 1, 7, ASSURED | CT_STATUS_OFFLOAD, 3);
	assert_tcp(1, OFFLOADED, 1);
	tell(CT_UPDATE, 1, 7, ASSURED, 4);
	assert_tcp(1, FIN_WAIT, 1);
	assert_int_equal(offline.mirror.unknown_entries, 0);
	tell_udp(CT_NEW, 2, 8, CT_STATUS_OFFLOAD | ASSURED);
	assert_int_equal(entries(L4_UDP, 2, ST_GENERIC_OFFLOADED), 1);
	tell_udp(CT_UPDATE, 2, 8, ASSURED);
	assert_int_equal(entries(L4_UDP, 2, ST_GENERIC_ASSURED), 1);
}

static void test_state_numbers_of_the_future(void **state)
{
	(void)state;
	for (int told = 10; told < 256; told += 35) {
		tell(CT_NEW, 1, 7, 0, told);
		assert_tcp(1, UNKNOWN, 1);
		assert_int_equal(offline.mirror.entries, 1);
	}
	tell(CT_NEW, 1, 7, 0, 9);
	assert_tcp(1, SYN_SENT2, 1);
}

static void test_directions_and_protocols(void **state)
{
	static const struct {
		uint8_t l4num;
		uint8_t l4proto;
		uint16_t port;
	} cases[] = {
		{IPPROTO_TCP, L4_TCP, 81},
		{IPPROTO_UDP, L4_UDP, 81},
		{IPPROTO_SCTP, L4_SCTP, 81},
		{IPPROTO_UDPLITE, L4_OTHER, IPPROTO_UDPLITE},
		{IPPROTO_DCCP, L4_OTHER, IPPROTO_DCCP},
		{IPPROTO_ICMP, L4_ICMP, 0},
		{IPPROTO_ICMPV6, L4_ICMPV6, 0},
		{IPPROTO_GRE, L4_GRE, 0},
		{IPPROTO_ESP, L4_OTHER, IPPROTO_ESP},
		{253, L4_OTHER, 253},
		{0, L4_OTHER, 0},
	};
	const struct local_addr here = {
		.bytes = {192, 168, 0, 1}, .family = AF_INET, .prefix_bits = 32};

	(void)state;
	local_addrs_add(&offline.addrs, &here);
	local_addrs_finish(&offline.addrs);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct ct_event event = offline_event((struct told){
			.kind = CT_NEW, .number = 1, .id = 7, .l4num = cases[i].l4num, .state = 1});
		struct row_key key = {cases[i].l4proto, DIR_INBOUND, cases[i].port};
		uint32_t row = row_of(key), before = histogram_row_entries(&offline.hist, row);

		event.key.l4num = cases[i].l4num;
		event.hash = ct_hash(&event.key);
		mirror_event(&offline.mirror, &event);
		assert_int_equal(histogram_row_entries(&offline.hist, row), before + 1);
	}
	/* After DNAT the reply's source says where packets go. */
	struct ct_event event =
		offline_event((struct told){.kind = CT_NEW, .number = 3, .state = 1});

	event.reply_src[3] = 77;
	mirror_event(&offline.mirror, &event);
	assert_int_equal(entries(L4_TCP, 3, 1), 1);
}

static void test_mirror_full(void **state)
{
	struct mirror_offline small;

	(void)state;
	assert_int_equal(mirror_offline_create(&small, 10), 0);
	for (uint32_t i = 0; i < 15; i++) {
		struct ct_event event = offline_event(
			(struct told){.kind = CT_NEW, .number = i, .id = i, .state = 1});

		mirror_event(&small.mirror, &event);
	}
	assert_int_equal(small.mirror.entries, 10);
	assert_int_equal(small.mirror.counters.refused_entries, 5);
	assert_null(offline_disagrees(&small));
	/* What was refused dies without harm; what is there goes on. */
	for (uint32_t i = 0; i < 15; i++) {
		struct ct_event event = offline_event((struct told){
			.kind = CT_DESTROY, .number = i, .id = i, .status = DYING, .state = 8});

		mirror_event(&small.mirror, &event);
	}
	assert_int_equal(small.mirror.entries, 0);
	assert_null(offline_disagrees(&small));
	mirror_offline_destroy(&small);
}

static void test_lifetimes(void **state)
{
	const struct shm_lifetime *tcp = &offline.hist.lifetimes[L4_TCP];
	uint64_t ms;

	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	mirror_offline_pass(&offline, 3 * NS_PER_S);
	tell(CT_UPDATE, 1, 7, ASSURED, 3);
	mirror_offline_pass(&offline, 3 * NS_PER_S);
	tell(CT_DESTROY, 1, 7, DYING, 3);
	assert_int_equal(peek_u64(&row_counters(1)->timed_entries), 1);
	ms = peek_u64(&row_counters(1)->timed_ms);
	assert_in_range(ms, 5950, 6050);
	assert_int_equal(peek_u64(&tcp->buckets[6]), 1); /* below 8 s */
	/* Birth not seen: no lifetime. */
	tell(CT_UPDATE, 1, 7, ASSURED, 3);
	tell(CT_DESTROY, 1, 7, DYING, 3);
	assert_int_equal(peek_u64(&row_counters(1)->timed_entries), 1);
	assert_int_equal(peek_u64(&row_counters(1)->destroyed_entries), 2);
}

/* --- answers to GETs -------------------------------------------------------- */

static struct verify_item item_number(uint32_t number, unsigned int attempt, bool audit)
{
	struct ct_event event = offline_event((struct told){.number = number, .state = NO_STATE});
	struct verify_item item = {
		.key = event.key, .hash = event.hash, .attempt = (uint8_t)attempt, .audit = audit};

	return item;
}

static void answer(uint32_t number, unsigned int attempt, bool audit, uint32_t id, uint32_t status,
		   int state, uint32_t mark)
{
	struct ct_event found = offline_event((struct told){
		.kind = CT_RECORD, .number = number, .id = id, .status = status, .state = state});
	struct verify_item item = item_number(number, attempt, audit);

	mirror_answer(&offline.mirror, &item, id ? &found : NULL, mark);
}

static void test_answer_is_believed_the_second_time(void **state)
{
	uint32_t mark;

	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	mark = mirror_mark(&offline.mirror);
	answer(1, 0, true, 7, ASSURED, 3, mark);
	assert_tcp(1, SYN_SENT, 1);
	assert_int_equal(verify_pending(&offline.verify), 1);
	answer(1, 1, true, 7, ASSURED, 3, mark);
	assert_tcp(1, ESTABLISHED, 1);
	assert_int_equal(offline.mirror.counters.audits_mismatch, 1);
	assert_int_equal(offline.mirror.counters.repairs_state, 1);
	assert_int_equal(offline.mirror.silent_entries, 1);
	assert_int_equal(offline.mirror.last_silent_ns, offline.mirror.now_ns);
	/* It speaks again: no longer silent. */
	tell(CT_UPDATE, 1, 7, ASSURED, 4);
	assert_int_equal(offline.mirror.silent_entries, 0);
}

static void test_answer_absent(void **state)
{
	uint32_t mark;

	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	mark = mirror_mark(&offline.mirror);
	answer(1, 0, false, 0, 0, 0, mark);
	assert_int_equal(offline.mirror.entries, 1);
	answer(1, 1, false, 0, 0, 0, mark);
	assert_int_equal(offline.mirror.entries, 0);
	assert_int_equal(offline.mirror.counters.repairs_ghost, 1);
	answer(1, 1, false, 0, 0, 0, mark);
	assert_int_equal(offline.mirror.counters.repairs_ghost, 1);
}

static void test_answer_of_another_incarnation_or_dying(void **state)
{
	uint32_t mark;

	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	mark = mirror_mark(&offline.mirror);
	answer(1, 1, false, 9, ASSURED, 3, mark);
	assert_tcp(1, ESTABLISHED, 1);
	assert_int_equal(offline.mirror.counters.repairs_replaced, 1);
	answer(1, 1, false, 9, ASSURED | DYING, 3, mark);
	assert_int_equal(offline.mirror.entries, 0);
}

/* An event stamped after the request was sent is newer than the answer. */
static void test_answer_overtaken_by_an_event(void **state)
{
	uint32_t mark;

	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	mark = mirror_mark(&offline.mirror);
	tell(CT_UPDATE, 1, 7, ASSURED, 3);
	answer(1, 1, false, 7, 0, 1, mark);
	assert_tcp(1, ESTABLISHED, 1);
	answer(1, 1, false, 0, 0, 0, mark);
	assert_int_equal(offline.mirror.entries, 1);
	assert_int_equal(offline.mirror.counters.repairs_state, 0);
}

static void test_answer_fills_the_unknown(void **state)
{
	uint32_t mark;

	(void)state;
	tell(CT_UPDATE, 1, 7, ASSURED, NO_STATE);
	mark = mirror_mark(&offline.mirror);
	answer(1, 0, false, 7, ASSURED, 3, mark);
	assert_tcp(1, ESTABLISHED, 1);
	assert_int_equal(offline.mirror.unknown_entries, 0);
	assert_int_equal(offline.mirror.silent_entries, 0);
	assert_int_equal(offline.mirror.counters.repairs_state, 0);
}

static void test_answer_that_agrees(void **state)
{
	uint32_t mark;

	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	mark = mirror_mark(&offline.mirror);
	answer(1, 0, true, 7, 0, 1, mark);
	assert_int_equal(offline.mirror.counters.audits_match, 1);
	assert_int_equal(offline.mirror.last_silent_ns, 0);
	assert_int_equal(verify_pending(&offline.verify), 0);
}

/* The kernel looks in both directions: the reply of another entry is not ours. */
static void test_answer_with_another_tuple(void **state)
{
	struct ct_event found =
		offline_event((struct told){.kind = CT_RECORD, .number = 2, .id = 7, .state = 3});
	struct verify_item item = item_number(1, 1, false);
	uint32_t mark;

	(void)state;
	tell(CT_NEW, 1, 7, 0, 1);
	mark = mirror_mark(&offline.mirror);
	mirror_answer(&offline.mirror, &item, &found, mark);
	assert_int_equal(offline.mirror.entries, 0);
}

/* --- marks and tombstones ---------------------------------------------------- */

static void test_marks_wrap(void **state)
{
	struct flow flow = {.stamp = 0};

	(void)state;
	assert_false(mirror_mark_later(&flow, 5));
	flow.stamp = 6;
	assert_true(mirror_mark_later(&flow, 5));
	assert_false(mirror_mark_later(&flow, 6));
	assert_false(mirror_mark_later(&flow, 7));
	flow.stamp = 0x03000002;
	assert_true(mirror_mark_later(&flow, FLOW_MARK_MASK - 1));
	flow.stamp = FLOW_MARK_MASK;
	assert_false(mirror_mark_later(&flow, 3));
	offline.mirror.mark = FLOW_MARK_MASK;
	assert_int_equal(mirror_mark(&offline.mirror), FLOW_MARK_MASK);
	assert_int_equal(mirror_mark(&offline.mirror), 1);
}

static void test_tombstones_stay_while_a_dump_runs(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		tell(CT_NEW, i, i + 1, 0, 1);
		tell(CT_DESTROY, i, i + 1, DYING, 1);
	}
	assert_int_equal(offline.mirror.tombstones, 100);
	resync_begin(&offline.resync, &offline.mirror, false);
	mirror_offline_pass(&offline, 60 * NS_PER_S);
	mirror_purge_tombstones(&offline.mirror);
	assert_int_equal(offline.mirror.tombstones, 100);
	resync_dump_done(&offline.resync, &offline.mirror, true, 0);
	while (resync_sweep(&offline.resync, &offline.mirror) == RESYNC_PENDING)
		;
	mirror_purge_tombstones(&offline.mirror);
	assert_int_equal(offline.mirror.tombstones, 0);
	assert_int_equal(offline.mirror.table.linked, 0);
}

/* Arbitrary messages in arbitrary order: sums agree, nothing goes below zero. */
static void any_order(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	struct mirror_offline any;

	assert_int_equal(mirror_offline_create(&any, 40), 0);
	for (unsigned int i = 0; i < 2000; i++) {
		struct told told = {
			.kind = (enum ct_kind)rng_below(&rng, 3),
			.number = rng_below(&rng, 50),
			.id = 1 + rng_below(&rng, 3),
			.l4num = rng_percent(&rng, 70) ? IPPROTO_TCP : IPPROTO_UDP,
			.status = (uint32_t)rng_next(&rng),
			.state = rng_percent(&rng, 70) ? (int)rng_below(&rng, 256) : NO_STATE,
		};
		struct ct_event event = offline_event(told);

		if (rng_percent(&rng, 95))
			event.status &= ~(uint32_t)(DYING | CT_STATUS_CLASH);
		mirror_event(&any.mirror, &event);
		mirror_offline_pass(&any, rng_below(&rng, 100000000));
		if (rng_percent(&rng, 20))
			mirror_purge_tombstones(&any.mirror);
		if (i % 50 == 0 && offline_disagrees(&any))
			fail_msg("%s, to repeat: SEED=%llu", offline_disagrees(&any),
				 (unsigned long long)seed);
	}
	mirror_offline_destroy(&any);
}

static void test_any_order(void **state)
{
	(void)state;
	unit_seeds("tracker", 100, any_order);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_tcp_life),
		TEST(test_generic_states_follow_the_status),
		TEST(test_destroy_leaves_the_cell_of_the_record),
		TEST(test_doubled_destroy),
		TEST(test_destroy_of_the_unknown),
		TEST(test_clash_destroy_is_counted_and_ignored),
		TEST(test_destroy_of_another_id_is_doubted),
		TEST(test_dying_messages_are_deaths),
		TEST(test_new_replaces_same_and_other_id),
		TEST(test_port_reuse),
		TEST(test_late_messages_of_the_dead_are_doubted),
		TEST(test_old_graves_raise_no_doubt),
		TEST(test_update_of_the_unknown_inserts),
		TEST(test_update_of_another_id_replaces),
		TEST(test_update_without_protoinfo_keeps_the_state),
		TEST(test_stale_update_changes_nothing),
		TEST(test_offload_there_and_back),
		TEST(test_state_numbers_of_the_future),
		TEST(test_directions_and_protocols),
		TEST(test_mirror_full),
		TEST(test_lifetimes),
		TEST(test_answer_is_believed_the_second_time),
		TEST(test_answer_absent),
		TEST(test_answer_of_another_incarnation_or_dying),
		TEST(test_answer_overtaken_by_an_event),
		TEST(test_answer_fills_the_unknown),
		TEST(test_answer_that_agrees),
		TEST(test_answer_with_another_tuple),
		TEST(test_marks_wrap),
		TEST(test_tombstones_stay_while_a_dump_runs),
		TEST(test_any_order),
	};

	return cmocka_run_group_tests_name("tracker", tests, NULL, NULL);
}
