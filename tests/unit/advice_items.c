// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/advice, the remedies: which, in what order, with which commands, and what they save. */
#include "exporters/advice/patterns.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "tests/unit/made.h"

static bool has_command(const struct advice_item *item, enum tool tool, const char *what)
{
	for (uint32_t i = 0; i < item->command_count; i++)
		if (item->commands[i].tool == tool && strstr(item->commands[i].text, what))
			return true;
	return false;
}

static void test_advice_for_nginx(void **state)
{
	struct made *made = made_nginx(25);
	const struct advice_item *item;

	(void)state;
	made_advice(made);
	assert_string_equal(made->advice.items[0].id, "keepalive-tcp-8080");
	item = &made->advice.items[0];
	/* 25 x 150.1, but for a few. */
	assert_true(fabs(item->saves_entries - 25 * 150.1) < 30);
	assert_true(fabs(item->saves_ratio - 0.5) < 0.01);
	assert_true(fabs(item->memory_bytes_delta + item->saves_entries * 384) < 1);
	assert_true(has_command(item, TOOL_NGINX, "keepalive 16;"));
	assert_true(has_command(item, TOOL_NGINX, "server ADDRESS:8080;"));
	assert_true(has_command(item, TOOL_SQUID, "server_persistent_connections on"));
	assert_string_equal(item->whatif, "keepalive=tcp/8080/outbound");

	item = made_item(made, "notrack-tcp-80-inbound");
	assert_non_null(item);
	assert_true(fabs(item->saves_ratio - 0.5) < 0.01);
	assert_true(has_command(item, TOOL_NFT, "tcp dport 80 notrack"));
	assert_true(has_command(item, TOOL_NFT, "tcp sport 80 notrack"));
	assert_true(has_command(item, TOOL_IPTABLES,
				"iptables -t raw -A OUTPUT ! -o lo -p tcp --sport 80"));
	/* No entry is IPv6. */
	assert_false(has_command(item, TOOL_IPTABLES, "ip6tables"));
	assert_true(item->warnings & WARN(NAT_LATER));
	assert_false(item->warnings & WARN(NAT));
	assert_true(item->warnings & WARN(BOTH_DIRECTIONS));
	assert_non_null(made_item(made, "notrack-tcp-8080-outbound"));

	item = made_item(made, "timeout-tcp_time_wait");
	assert_non_null(item);
	assert_true(fabs(item->saves_entries - 2 * 25 * (150 - 37.5)) < 200);
	assert_true(has_command(item, TOOL_SYSCTL,
				"sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30"));
	assert_true(has_command(item, TOOL_SHELL, "/etc/sysctl.d/"));
	assert_true(has_command(item, TOOL_UNDO, "time_wait=120"));
	assert_true(item->warnings & WARN(NOT_RETROACTIVE));
	made_free(made);
}

/* In the first seconds of a flood the last minute was quiet: what is lost now counts. */
static void test_how_long_as_a_flood_begins(void **state)
{
	struct made *made = made_nginx(25);
	const struct advice_item *item;

	(void)state;
	made->snap.live.max_entries = made->snap.live.limit_entries = 7600;
	made->snap.live.level = SHM_LEVEL_FULL;
	made->snap.live.level_reason = SHM_LEVEL_REASON_AT_LIMIT;
	made->snap.live.dropped_milli_per_s = 100000;
	made->snap.live.evicted_milli_per_s = 300000;
	made_frames(made, 30);
	for (unsigned int k = 24; k < 30; k++) {
		made->minutes[k].new_entries = made->minutes[k].destroyed_entries = 500;
		made->minutes[k].drops = 0;
	}
	made_advice(made);
	item = made_item(made, "size");
	assert_non_null(item);
	assert_true(fabs(item->lasts_s - (16384 - made->model.entries) / 400) < 1);
	made_free(made);
}

/* Full: what helps at once comes first, with how long, the cure after it. */
static void test_what_to_type_first(void **state)
{
	struct made *made = made_nginx(25);
	const struct advice_item *item;
	uint32_t i = 0;

	(void)state;
	made->snap.live.max_entries = made->snap.live.limit_entries = 7600;
	made->snap.live.level = SHM_LEVEL_FULL;
	made->snap.live.level_reason = SHM_LEVEL_REASON_AT_LIMIT;
	made_frames(made, 30);
	/* Ten a second more come than go. */
	for (unsigned int k = 24; k < 30; k++) {
		made->minutes[k].new_entries = 600;
		made->minutes[k].destroyed_entries = 500;
		made->minutes[k].drops = 0;
	}
	made_advice(made);
	item = made_item(made, "size");
	assert_non_null(item);
	assert_int_equal(item->merit, MERIT_RELIEF);
	/* Raised to 16384, of which 7500 are in use. */
	assert_true(fabs(item->lasts_s - (16384 - made->model.entries) / 10) < 1);
	item = made_item(made, "delete-tcp-80-TIME_WAIT");
	assert_non_null(item);
	assert_true(fabs(item->lasts_s - item->saves_entries / 10) < 1);
	assert_true(has_command(item, TOOL_SHELL,
				"conntrack -D -f ipv4 -p tcp --dport 80 --state TIME_WAIT"));
	assert_string_equal(made->advice.items[0].id, "size");
	while (i < made->advice.count && made->advice.items[i].merit == MERIT_RELIEF)
		i++;
	assert_int_equal(i, 3);
	assert_string_equal(made->advice.items[i].id, "keepalive-tcp-8080");
	for (; i < made->advice.count; i++)
		assert_int_not_equal(made->advice.items[i].merit, MERIT_RELIEF);
	made_free(made);
	/* A quiet table needs none of it. */
	made = made_nginx(25);
	made_advice(made);
	assert_null(made_item(made, "delete-tcp-80-TIME_WAIT"));
	made_free(made);
}

/* UDP without an answer can go, but not where somebody sends on without one. */
static void test_relief_of_udp(void **state)
{
	const struct advice_item *item;

	(void)state;
	for (unsigned int again = 0; again < 2; again++) {
		struct made *made = made_nginx(25);
		struct snap_row *row = made_row(made, L4_UDP, DIR_OUTBOUND, 514);

		made_state(row, ST_GENERIC_UNREPLIED, 4000);
		made->snap.live.level = SHM_LEVEL_FULL;
		made->snap.live.level_reason = SHM_LEVEL_REASON_AT_LIMIT;
		if (again)
			made_idle(made, row, ST_GENERIC_UNREPLIED, 400, 300, 5);
		made_advice(made);
		item = made_item(made, "delete-udp-514-unreplied");
		if (again) {
			assert_null(item);
		} else {
			assert_non_null(item);
			assert_true(item->saves_entries == 4000);
			assert_true(item->warnings & WARN(LATE_ANSWERS));
			assert_true(has_command(item, TOOL_SHELL,
						"-p udp --dport 514 --status UNREPLIED"));
		}
		made_free(made);
	}
}

/* One source among many is blocked and loses what it has: by name for those who may see it. */
static void test_relief_from_a_source(void **state)
{
	struct made *made = made_nginx(25);
	const struct advice_item *item;

	(void)state;
	made->snap.live.level = SHM_LEVEL_CRITICAL;
	made->snap.live.level_reason = SHM_LEVEL_REASON_FILL;
	made_talker(made, SHM_TALKER_SOURCE, 0x0a000009, 6000, 0, 0);
	for (uint32_t i = 0; i < 20; i++)
		made_talker(made, SHM_TALKER_SOURCE, 0x0a000100 + i, 50, 0, 0);
	made_advice(made);
	item = made_item(made, "block-source");
	assert_non_null(item);
	assert_true(has_command(item, TOOL_NFT, "ip saddr SOURCE drop"));
	assert_true(has_command(item, TOOL_SHELL, "conntrack -D -f ipv4 -s SOURCE"));
	assert_false(has_command(item, TOOL_NFT, "ip6"));
	assert_true(item->warnings & WARN(CUTS_OFF));
	advice_name_hosts(&made->advice);
	assert_true(has_command(item, TOOL_NFT, "ip saddr 10.0.0.9 drop"));
	assert_true(has_command(item, TOOL_IPTABLES, "-s 10.0.0.9 -j DROP"));
	assert_true(has_command(item, TOOL_SHELL, "conntrack -D -f ipv4 -s 10.0.0.9"));
	made_free(made);
}

/* What is translated, helped, in a zone or offloaded must be tracked; so must what is not
 * known to be none of these. */
static void test_notrack_does_no_harm(void **state)
{
	static const uint32_t harms[][5] = {{1}, {0, 1}, {0, 0, 1}, {0, 0, 0, 0, 1}};
	static const uint32_t six[5] = {0, 0, 0, 5};
	const struct advice_item *item;
	struct made *made;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		made = made_nginx(25);
		made_facts(made, made_row(made, L4_TCP, DIR_INBOUND, 80), harms[i]);
		made_advice(made);
		assert_null(made_item(made, "notrack-tcp-80-inbound"));
		assert_non_null(made_item(made, "notrack-tcp-8080-outbound"));
		assert_non_null(made_item(made, "timeout-tcp_time_wait"));
		made_free(made);
	}
	made = made_nginx(25);
	made_state(made_row(made, L4_TCP, DIR_INBOUND, 80), ST_TCP_OFFLOADED, 1);
	made_advice(made);
	assert_null(made_item(made, "notrack-tcp-80-inbound"));
	made_free(made);
	/* Nothing is known yet of an agent that has just started. */
	made = made_nginx(25);
	made_look(made);
	made->details.ages = NULL;
	assert_int_equal(advice_make(&made->why, &made->advice), 0);
	assert_null(made_item(made, "notrack-tcp-80-inbound"));
	made_free(made);
	made = made_nginx(25);
	made_facts(made, made_row(made, L4_TCP, DIR_INBOUND, 80), six);
	made_advice(made);
	item = made_item(made, "notrack-tcp-80-inbound");
	assert_non_null(item);
	assert_true(has_command(item, TOOL_IPTABLES, "ip6tables"));
	made_free(made);
}

static void test_advice_for_a_full_table(void **state)
{
	struct made *made = made_healthy();
	const struct advice_item *item;

	(void)state;
	made->snap.live.max_entries = 8192;
	made->snap.live.buckets = 1024;
	made->snap.live.chain_limit_entries = 25 * 1024;
	made->snap.live.count_entries = 8100;
	made_advice(made);
	item = &made->advice.items[0];
	assert_string_equal(item->id, "size");
	assert_true(has_command(item, TOOL_SYSCTL, "nf_conntrack_max=16384"));
	assert_true(has_command(item, TOOL_SYSCTL, "nf_conntrack_buckets=4096"));
	assert_true(fabs(item->memory_bytes_delta - (8192 * 384.0 + 3072 * 8)) < 1);
	assert_true(item->warnings & WARN(KUBE_PROXY));
	assert_true(item->warnings & WARN(INITIAL_NETNS));
	made_free(made);
}

/* On a kernel with short chains the hash comes first. */
static void test_advice_for_chains(void **state)
{
	struct made *made = made_healthy();
	const struct advice_item *item;

	(void)state;
	made->snap.live.buckets = 4096;
	made->snap.live.chain_limit_entries = 8192;
	made->minutes[59].chaintoolong = 5;
	made_advice(made);
	item = &made->advice.items[0];
	assert_string_equal(item->id, "size");
	assert_true(has_command(item, TOOL_SYSCTL, "nf_conntrack_buckets=131072"));
	assert_false(has_command(item, TOOL_SYSCTL, "nf_conntrack_max="));
	made_free(made);
}

/* A scan from here has no packets to drop on the way in. */
static void test_advice_for_own_scan(void **state)
{
	struct made *made = made_new();

	(void)state;
	for (unsigned int port = 1; port <= 1500; port++)
		made_state(made_row(made, L4_TCP, DIR_OUTBOUND, port), ST_TCP_SYN_SENT, 1);
	made_advice(made);
	assert_non_null(made_finding(made, "port-scan"));
	assert_true(has_command(made_item(made, "port-scan"), TOOL_SHELL, "syn-sent"));
	assert_false(has_command(made_item(made, "port-scan"), TOOL_NFT, "drop"));
	made_free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_advice_for_nginx),
		cmocka_unit_test(test_notrack_does_no_harm),
		cmocka_unit_test(test_how_long_as_a_flood_begins),
		cmocka_unit_test(test_what_to_type_first),
		cmocka_unit_test(test_relief_of_udp),
		cmocka_unit_test(test_relief_from_a_source),
		cmocka_unit_test(test_advice_for_a_full_table),
		cmocka_unit_test(test_advice_for_chains),
		cmocka_unit_test(test_advice_for_own_scan),
	};

	return cmocka_run_group_tests_name("advice_items", tests, NULL, NULL);
}
