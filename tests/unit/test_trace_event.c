// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/trace_event and agent/pseudonym: lines of a trace and events, both ways. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/kernel/states.h"
#include "lib/kernel/timeouts.h"
#include "lib/trace/pseudonym.h"
#include "lib/trace/trace_event.h"

static struct trace_record line(enum trace_kind kind, const char *proto, const char *state,
				bool assured)
{
	struct trace_record rec = {.kind = kind};
	struct trace_entry *entry = &rec.entry;

	entry->id = 77;
	snprintf(entry->proto, sizeof(entry->proto), "%s", proto);
	snprintf(entry->src, sizeof(entry->src), "10.1.2.3");
	snprintf(entry->dst, sizeof(entry->dst), "10.4.5.6");
	snprintf(entry->state, sizeof(entry->state), "%s", state);
	entry->sport = 40000;
	entry->dport = 443;
	entry->assured = assured;
	entry->timeout_s = 120;
	return rec;
}

static void test_states(void **state)
{
	const uint32_t replied = CT_STATUS_SEEN_REPLY, assured = CT_STATUS_ASSURED | replied;
	const int none = -1;
	const struct {
		const char *proto, *state;
		bool assured;
		uint8_t l4num;
		uint32_t status;
		int proto_state;
	} rows[] = {
		{"tcp", "SYN_SENT", 0, IPPROTO_TCP, 0, ST_TCP_SYN_SENT},
		{"tcp", "SYN_RECV", 0, IPPROTO_TCP, 0, ST_TCP_SYN_RECV},
		{"tcp", "ESTABLISHED", 1, IPPROTO_TCP, assured, ST_TCP_ESTABLISHED},
		{"tcp", "TIME_WAIT", 1, IPPROTO_TCP, assured, ST_TCP_TIME_WAIT},
		{"tcp", "CLOSE", 0, IPPROTO_TCP, 0, ST_TCP_CLOSE},
		{"tcp", "SYN_SENT2", 0, IPPROTO_TCP, 0, ST_TCP_SYN_SENT2},
		{"tcp", "UNKNOWN", 1, IPPROTO_TCP, assured, none},
		{"tcp", "A_NEW_STATE", 0, IPPROTO_TCP, 0, none},
		{"tcp", "OFFLOADED", 1, IPPROTO_TCP, assured | CT_STATUS_OFFLOAD, none},
		{"sctp", "COOKIE_WAIT", 0, IPPROTO_SCTP, 0, ST_SCTP_COOKIE_WAIT},
		{"sctp", "REPLIED", 0, IPPROTO_SCTP, replied, none},
		{"udp", "UNREPLIED", 0, IPPROTO_UDP, 0, none},
		{"udp", "REPLIED", 0, IPPROTO_UDP, replied, none},
		{"udp", "ASSURED", 1, IPPROTO_UDP, assured, none},
		{"udp", "ESTABLISHED", 0, IPPROTO_UDP, 0, none},
		{"icmp", "REPLIED", 0, IPPROTO_ICMP, replied, none},
		{"icmpv6", "UNREPLIED", 0, IPPROTO_ICMPV6, 0, none},
		{"gre", "ASSURED", 1, IPPROTO_GRE, assured, none},
		{"udplite", "REPLIED", 0, IPPROTO_UDPLITE, replied, none},
		{"50", "UNREPLIED", 0, 50, 0, none},
		{"256", "UNREPLIED", 0, 255, 0, none},
		{"a_protocol", "UNREPLIED", 0, 255, 0, none},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct trace_record rec =
			line(TRACE_UPDATE, rows[i].proto, rows[i].state, rows[i].assured);
		struct ct_event event;

		assert_null(trace_to_event(&rec, &event));
		assert_int_equal(event.kind, CT_UPDATE);
		assert_int_equal(event.key.l4num, rows[i].l4num);
		assert_int_equal(event.status, rows[i].status);
		assert_int_equal(!!(event.has & CT_HAS_PROTO_STATE), rows[i].proto_state != none);
		if (rows[i].proto_state != none)
			assert_int_equal(event.proto_state, rows[i].proto_state);
		assert_int_equal(event.hash, ct_hash(&event.key));
	}
}

static void test_key_and_id(void **state)
{
	struct trace_record rec = line(TRACE_NEW, "tcp", "SYN_SENT", false);
	struct ct_event event;

	(void)state;
	assert_null(trace_to_event(&rec, &event));
	assert_int_equal(event.kind, CT_NEW);
	assert_int_equal(event.id, 77);
	assert_int_equal(event.key.family, AF_INET);
	assert_int_equal(event.key.sport, 40000);
	assert_int_equal(event.key.dport, 443);
	assert_memory_equal(event.key.src, "\x0a\x01\x02\x03\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	/* Ids of other writers may be long; what differs stays different. */
	rec.entry.id = UINT64_C(0x100000001);
	assert_null(trace_to_event(&rec, &event));
	assert_int_equal(event.id, 0);
	snprintf(rec.entry.src, sizeof(rec.entry.src), "fd00::1");
	assert_string_equal(trace_to_event(&rec, &event), "destination address");
	snprintf(rec.entry.dst, sizeof(rec.entry.dst), "fd00::2");
	assert_null(trace_to_event(&rec, &event));
	assert_int_equal(event.key.family, AF_INET6);
	assert_int_equal(event.key.dst[15], 2);
	snprintf(rec.entry.src, sizeof(rec.entry.src), "10.0.0.256");
	assert_string_equal(trace_to_event(&rec, &event), "source address");
}

static void test_timeouts_told(void **state)
{
	struct trace_record rec = line(TRACE_UPDATE, "tcp", "CLOSE", false);
	struct ct_event event;

	(void)state;
	assert_null(trace_to_event(&rec, &event));
	assert_true(event.has & CT_HAS_TIMEOUT);
	assert_int_equal(event.timeout_s, 120);
	rec.entry.timeout_s = 0;
	assert_null(trace_to_event(&rec, &event));
	assert_false(event.has & CT_HAS_TIMEOUT);
	rec.kind = TRACE_DESTROY;
	assert_null(trace_to_event(&rec, &event));
	assert_int_equal(event.kind, CT_DESTROY);
	assert_true(event.has & CT_HAS_TIMEOUT);
	rec.kind = TRACE_DUMP;
	assert_null(trace_to_event(&rec, &event));
	assert_int_equal(event.kind, CT_RECORD);
}

static void there_and_back(uint8_t l4num, uint8_t family, uint32_t status, int proto_state)
{
	struct ct_event event = {.status = status,
				 .has = CT_HAS_STATUS | CT_HAS_TIMEOUT,
				 .kind = CT_UPDATE,
				 .timeout_s = 17,
				 .id = 4000000000u};
	struct trace_record rec = {.kind = TRACE_UPDATE};
	struct ct_event again;

	event.key = (struct ct_key){.l4num = l4num, .family = family, .sport = 1, .dport = 65535};
	memset(event.key.src, 0xfe, family == AF_INET ? 4 : 16);
	memset(event.key.dst, 0x0a, family == AF_INET ? 4 : 16);
	event.hash = ct_hash(&event.key);
	if (proto_state >= 0) {
		event.proto_state = (uint8_t)proto_state;
		event.has |= CT_HAS_PROTO_STATE;
	}
	trace_from_event(&event, &rec);
	assert_null(trace_to_event(&rec, &again));
	assert_memory_equal(&again, &event, sizeof(event));
}

static void test_there_and_back(void **state)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	const uint32_t assured = CT_STATUS_ASSURED | CT_STATUS_SEEN_REPLY;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(families); i++) {
		for (int st = 0; st < ST_TCP_UNKNOWN; st++) {
			there_and_back(IPPROTO_TCP, families[i], assured, st);
			there_and_back(IPPROTO_TCP, families[i], 0, st);
		}
		for (int st = 0; st < ST_SCTP_UNKNOWN; st++)
			there_and_back(IPPROTO_SCTP, families[i], assured, st);
		there_and_back(IPPROTO_UDP, families[i], 0, -1);
		there_and_back(IPPROTO_UDP, families[i], CT_STATUS_SEEN_REPLY, -1);
		there_and_back(IPPROTO_UDP, families[i], assured, -1);
		there_and_back(IPPROTO_TCP, families[i], assured | CT_STATUS_OFFLOAD, -1);
		for (unsigned int l4num = 0; l4num < 256; l4num++)
			there_and_back((uint8_t)l4num, families[i], assured, -1);
	}
}

static void test_timeout_names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++) {
		assert_int_equal(trace_timeout(trace_timeout_name(i)), i);
		assert_int_equal(trace_timeout(timeout_info(i)->sysctl), i);
	}
	assert_string_equal(trace_timeout_name(TIMEOUT_TCP_TIME_WAIT), "tcp_timeout_time_wait");
	assert_int_equal(trace_timeout("a_timeout_to_come"), -1);
	assert_null(trace_timeout_name(TIMEOUT_COUNT));
}

/* --- pseudonyms ------------------------------------------------------------------- */

static void test_siphash(void **state)
{
	/* Key 00 .. 0f and message 00 .. 0f, by another implementation, which gives the
	 * paper's own value (appendix A) for the message without its last byte. */
	const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

	(void)state;
	assert_int_equal(pseudonym_siphash(key, key[0], key[1]), UINT64_C(0x3f2acc7f57c29bdb));
}

static void test_pseudonyms_are_a_permutation(void **state)
{
	enum { N = 1 << 16 };
	struct pseudonym pseudonym = {{1, 2}}, other = {{1, 3}};
	uint8_t *taken = calloc(1, (size_t)1 << 29);
	unsigned int same = 0;

	(void)state;
	assert_non_null(taken);
	for (uint32_t i = 0; i < N; i++) {
		struct ct_key key = {.family = AF_INET, .sport = 5}, again, with_other;
		uint32_t to;

		/* Neighbours, and far apart. */
		memcpy(key.src, &i, 4);
		key.src[3] = (uint8_t)(i * 7);
		again = with_other = key;
		pseudonym_apply(&pseudonym, &key);
		pseudonym_apply(&pseudonym, &again);
		pseudonym_apply(&other, &with_other);
		assert_memory_equal(&key, &again, sizeof(key));
		same += memcmp(&key, &with_other, sizeof(key)) == 0;
		assert_int_equal(key.sport, 5);
		assert_int_equal(key.src[4], 0);
		memcpy(&to, key.src, 4);
		assert_false(taken[to >> 3] & 1 << (to & 7));
		taken[to >> 3] |= (uint8_t)(1 << (to & 7));
	}
	assert_true(same < 4);
	free(taken);
}

static void test_pseudonyms_of_ipv6(void **state)
{
	struct pseudonym pseudonym = {{1, 2}};
	struct ct_key a = {.family = AF_INET6}, b;
	unsigned int bits = 0;

	(void)state;
	inet_pton(AF_INET6, "2001:db8::1", a.src);
	inet_pton(AF_INET6, "2001:db8::2", a.dst);
	b = a;
	pseudonym_apply(&pseudonym, &a);
	assert_memory_not_equal(a.src, b.src, 16);
	/* One bit more or less of the address: about half of all bits. */
	for (unsigned int i = 0; i < 16; i++)
		bits += (unsigned int)__builtin_popcount(a.src[i] ^ a.dst[i]);
	assert_in_range(bits, 32, 96);
}

static int set_up(void **state)
{
	(void)state;
	ct_hash_seed_fixed(1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_key_and_id),
		cmocka_unit_test(test_timeouts_told),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_timeout_names),
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_pseudonyms_are_a_permutation),
		cmocka_unit_test(test_pseudonyms_of_ipv6),
	};

	return cmocka_run_group_tests_name("trace_event", tests, set_up, NULL);
}
