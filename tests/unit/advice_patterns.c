// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/advice, why: each pattern is named, and its healthy neighbour is not. */
#include "exporters/advice/patterns.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "tests/unit/made.h"

static void test_healthy(void **state)
{
	struct made *made = made_healthy();

	(void)state;
	made_assert_none(made);
	assert_true(made->why.minutes.known && made->why.hour.known);
	assert_int_equal(made->why.minutes.row_count, 0);
	made_advice(made);
	assert_int_equal(made->advice.count, 1);
	assert_string_equal(made->advice.items[0].id, "nothing-to-do");
	assert_int_equal(made->advice.items[0].command_count, 0);
	assert_non_null(strstr(made->advice.items[0].reason, "262144"));
	made_free(made);
}

static void test_empty(void **state)
{
	struct made *made = made_new();

	(void)state;
	made_assert_none(made);
	assert_int_equal(made->why.holder_count, 0);
	made_free(made);
}

/* The same in small is nobody's problem. */
static void test_small(void **state)
{
	struct made *made = made_new();
	struct snap_row *row;

	(void)state;
	made_short(made, DIR_INBOUND, 80, 1, 0.1, 30);
	made_short(made, DIR_OUTBOUND, 8080, 1, 0.1, 30);
	row = made_row(made, L4_TCP, DIR_OUTBOUND, 9);
	made_state(row, ST_TCP_SYN_SENT, 90);
	row = made_row(made, L4_TCP, DIR_INBOUND, 22);
	made_state(row, ST_TCP_SYN_RECV, 90);
	made_frames(made, 60);
	made_assert_none(made);
	made_free(made);
}

/* --- the others ---------------------------------------------------------------------------- */

static void test_idle(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_FORWARDED, 443);

	(void)state;
	made_state(row, ST_TCP_ESTABLISHED, 3000);
	row->new_entries = 3000;
	row->destroyed_entries = 50;
	row->new_per_s = 0.4;
	made_assert_named(made, "idle-established", CONFIDENCE_LIKELY);
	/* An agent of yesterday knows; one of a minute ago does not. */
	made->snap.live.started_boot_ns = made->snap.live.heartbeat_boot_ns - 60000000000LL;
	made_assert_named(made, "idle-established", CONFIDENCE_NOT_SURE);
	made->snap.live.started_boot_ns = 1000000000;
	/* A pool that renews itself. */
	row->destroyed_entries = 2500;
	made_assert_none(made);
	/* There when the agent came, and stable since. */
	row->new_entries = 20;
	row->destroyed_entries = 0;
	made_assert_none(made);
	/* A timeout that takes care of them. */
	row->new_entries = 3000;
	row->destroyed_entries = 50;
	made->snap.timeouts_s[TIMEOUT_TCP_ESTABLISHED] = 7440;
	made_assert_none(made);
	made_free(made);
}

/* Idle connections that are older than the agent are told by the kernel's deadlines; those
 * that are in use are none, however few end. */
static void test_idle_is_counted(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_FORWARDED, 5222);

	(void)state;
	made_state(row, ST_TCP_ESTABLISHED, 6000);
	made_rate(row, 0);
	made_idle(made, row, ST_TCP_ESTABLISHED, 6000, 6000, 9000);
	made_idle_age(made, 20000);
	made_assert_named(made, "idle-established", CONFIDENCE_SURE);
	made_advice(made);
	assert_non_null(made_item(made, "timeout-tcp_established"));
	made_free(made);
	made = made_healthy();
	row = made_row(made, L4_TCP, DIR_FORWARDED, 5222);
	made_state(row, ST_TCP_ESTABLISHED, 6000);
	made_rate(row, 1);
	row->destroyed_entries = 0;
	made_idle(made, row, ST_TCP_ESTABLISHED, 6000, 6000, 3);
	made_assert_none(made);
	made_free(made);
}

static void test_dead_backend(void **state)
{
	struct made *made = made_healthy();
	struct snap_row *row = made_row(made, L4_TCP, DIR_OUTBOUND, 3306);
	const struct finding *finding;

	(void)state;
	made_state(row, ST_TCP_SYN_SENT, 900);
	made_rate(row, 6);
	made_assert_named(made, "dead-backend", CONFIDENCE_LIKELY);
	made_talker(made, SHM_TALKER_SERVICE, 77, 890, L4_TCP, 3306);
	made_assert_named(made, "dead-backend", CONFIDENCE_SURE);
	finding = made_finding(made, "dead-backend");
	assert_true(finding->has_host && !finding->host_is_source);
	assert_int_equal(finding->host.address[3], 77);
	assert_int_equal(made->why.finding_count, 1);
	/* To many addresses. */
	made->details.talkers[SHM_TALKER_SERVICE].talkers[0].entries = 3;
	made_assert_named(made, "dead-backend", CONFIDENCE_NOT_SURE);
	/* The same number, most of them answered. */
	made_state(row, ST_TCP_ESTABLISHED, 2000);
	made_assert_none(made);
	made_free(made);
}

static void test_syn_flood(void **state)
{
	struct made *made = made_healthy();
	struct snap_row *row = made_row(made, L4_TCP, DIR_INBOUND, 25);

	(void)state;
	made_state(row, ST_TCP_SYN_RECV, 3000);
	made_rate(row, 50);
	/* 30 known sources, which is too few for so many. */
	made_assert_named(made, "syn-flood", CONFIDENCE_LIKELY);
	made->details.talkers[SHM_TALKER_SOURCE].tracked = 3000;
	made_assert_named(made, "syn-flood", CONFIDENCE_SURE);
	assert_int_equal(made_finding(made, "syn-flood")->rows[0].port, 25);
	assert_int_equal(made->why.finding_count, 1);
	/* A busy server: many in handshake, far more of them finished. */
	made_state(row, ST_TCP_SYN_RECV, 600);
	made_state(row, ST_TCP_ESTABLISHED, 4000);
	made_assert_none(made);
	/* Unanswered, through a router: many sources are a flood, few a dead backend. */
	row = made_row(made, L4_TCP, DIR_FORWARDED, 8443);
	made_state(row, ST_TCP_SYN_SENT, 2000);
	made_assert_named(made, "syn-flood", CONFIDENCE_LIKELY);
	assert_null(made_finding(made, "dead-backend"));
	made->details.talkers[SHM_TALKER_SOURCE].tracked = 30;
	for (size_t i = 0; i < made->details.minutes.count; i++)
		made->minutes[i].sources = 30;
	made_look(made);
	assert_null(made_finding(made, "syn-flood"));
	assert_non_null(made_finding(made, "dead-backend"));
	made_free(made);
}

static void test_udp_storm(void **state)
{
	struct made *made = made_healthy();
	struct snap_row *row = made_row(made, L4_UDP, DIR_OUTBOUND, 53);

	(void)state;
	made_state(row, ST_GENERIC_REPLIED, 9000);
	made_rate(row, 150);
	made_frames(made, 60);
	made_assert_named(made, "udp-query-storm", CONFIDENCE_SURE);
	assert_int_equal(made->why.finding_count, 1);
	made_state(row, ST_GENERIC_UNREPLIED, 60000);
	made_assert_named(made, "udp-query-storm", CONFIDENCE_LIKELY);
	made_free(made);
	/* As many, and they talk: QUIC. */
	made = made_healthy();
	row = made_row(made, L4_UDP, DIR_INBOUND, 443);
	made_state(row, ST_GENERIC_ASSURED, 9000);
	made_state(row, ST_GENERIC_REPLIED, 1000);
	made_rate(row, 60);
	made_assert_none(made);
	made_free(made);
}

static void test_close_wait(void **state)
{
	struct made *made = made_healthy();
	struct snap_row *row = made_row(made, L4_TCP, DIR_INBOUND, 8009);

	(void)state;
	made_state(row, ST_TCP_CLOSE_WAIT, 1500);
	made_rate(row, 20);
	made_assert_named(made, "close-wait-leak", CONFIDENCE_SURE);
	assert_int_equal(made->why.finding_count, 1);
	/* Slow to close, not leaking. */
	made_state(row, ST_TCP_ESTABLISHED, 4500);
	row->new_entries = 100000;
	row->destroyed_entries = 95000;
	made_assert_none(made);
	made_free(made);
}

static void test_one_host(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_FORWARDED, 443);
	const struct finding *finding;

	(void)state;
	made_state(row, ST_TCP_ESTABLISHED, 5000);
	row->new_entries = row->destroyed_entries = 100000;
	made_talker(made, SHM_TALKER_SOURCE, 7, 2500, 0, 0);
	for (unsigned int i = 0; i < 25; i++)
		made_talker(made, SHM_TALKER_SOURCE, 100 + i, 100, 0, 0);
	made_assert_named(made, "one-host", CONFIDENCE_LIKELY);
	finding = made_finding(made, "one-host");
	assert_true(finding->has_host && finding->host_is_source);
	assert_int_equal(finding->host.address[3], 7);
	assert_null(strstr(finding->summary, "10.0"));
	/* Not when the error may be all of it. */
	made->details.talkers[SHM_TALKER_SOURCE].talkers[0].error_entries = 2400;
	made_assert_none(made);
	made->details.talkers[SHM_TALKER_SOURCE].talkers[0].error_entries = 0;
	/* It may be this host itself, which opens as many. */
	row = made_row(made, L4_TCP, DIR_OUTBOUND, 443);
	made_state(row, ST_TCP_ESTABLISHED, 2500);
	row->new_entries = row->destroyed_entries = 100000;
	made_assert_none(made);
	made_free(made);
}

static void test_one_of_few_hosts(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_INBOUND, 443);

	(void)state;
	made_state(row, ST_TCP_ESTABLISHED, 5000);
	row->new_entries = row->destroyed_entries = 100000;
	made_talker(made, SHM_TALKER_SOURCE, 7, 5000, 0, 0);
	made_assert_none(made);
	made_free(made);
}

static void test_port_scan(void **state)
{
	struct made *made = made_healthy();

	(void)state;
	for (unsigned int port = 1; port <= 3000; port++)
		if (port != 443 && port != 80)
			made_state(made_row(made, L4_TCP, DIR_FORWARDED, port), ST_TCP_SYN_SENT, 1);
	made_talker(made, SHM_TALKER_SOURCE, 66, 2998, 0, 0);
	made_assert_named(made, "port-scan", CONFIDENCE_SURE);
	assert_true(made_figure(made_finding(made, "port-scan"), "ports") >= 2998);
	made_free(made);
	/* Passive FTP or media: as many ports, in use. */
	made = made_healthy();
	for (unsigned int port = 30000; port < 31000; port++)
		made_state(made_row(made, L4_UDP, DIR_INBOUND, port), ST_GENERIC_ASSURED, 1);
	for (unsigned int port = 40000; port < 41000; port++)
		made_state(made_row(made, L4_TCP, DIR_INBOUND, port), ST_TCP_ESTABLISHED, 1);
	made_assert_none(made);
	made_free(made);
}

/* QUIC: answered, and it lasted; most of them are over, and wait. */
static void test_udp_streams(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_UDP, DIR_INBOUND, 443);
	const struct advice_item *item;

	(void)state;
	made_state(row, ST_GENERIC_ASSURED, 4000);
	made_state(row, ST_GENERIC_REPLIED, 400);
	made_rate(row, 25);
	made_stays(made, row, ST_GENERIC_ASSURED, 1000, 155);
	made_lives(made, row, 1000, 155);
	made_idle(made, row, ST_GENERIC_ASSURED, 800, 800, 110);
	made_assert_named(made, "udp-streams", CONFIDENCE_SURE);
	assert_true(made_figure(made_finding(made, "udp-streams"), "paused_ratio") > 0.9);
	made_advice(made);
	item = made_item(made, "timeout-udp_stream");
	assert_non_null(item);
	assert_string_equal(item->whatif, "timeout.udp_stream=60");
	assert_non_null(made_item(made, "notrack-udp-443-inbound"));
	made_free(made);
	/* They talk: that is what the table is for. */
	made = made_healthy();
	row = made_row(made, L4_UDP, DIR_INBOUND, 443);
	made_state(row, ST_GENERIC_ASSURED, 4000);
	made_rate(row, 25);
	made_idle(made, row, ST_GENERIC_ASSURED, 800, 800, 5);
	made_assert_none(made);
	made_free(made);
}

/* ESP as a gateway passes it on: not TCP, not UDP, and ten minutes an entry. */
static void test_other_protocol(void **state)
{
	struct made *made = made_healthy();
	struct snap_row *row = made_row(made, L4_OTHER, DIR_FORWARDED, 50);
	const struct advice_item *item;

	(void)state;
	made_state(row, ST_GENERIC_UNREPLIED, 4000);
	made_rate(row, 4000 / 630.0);
	made_stays(made, row, ST_GENERIC_UNREPLIED, 1000, 630);
	made_lives(made, row, 1000, 630);
	made_assert_named(made, "other-protocol", CONFIDENCE_SURE);
	assert_non_null(strstr(made_finding(made, "other-protocol")->summary, "protocol 50"));
	assert_int_equal((int)made_figure(made_finding(made, "other-protocol"), "timeout_seconds"),
			 600);
	made_advice(made);
	item = made_item(made, "timeout-generic");
	assert_non_null(item);
	assert_string_equal(item->whatif, "timeout.generic=60");
	/* Older than 60 s, and the collector's lag. */
	assert_true(item->saves_entries > 3300 && item->saves_entries < 3700);
	made_free(made);
	made = made_healthy();
	made_state(made_row(made, L4_GRE, DIR_FORWARDED, 0), ST_GENERIC_REPLIED, 90);
	made_assert_none(made);
	made_free(made);
}

static void test_losses(void **state)
{
	struct made *made = made_healthy();
	struct snap_frame *last = &made->minutes[made->details.minutes.count - 1];

	(void)state;
	last->chaintoolong = 7;
	last->insert_failed = 7;
	made->snap.live.level = SHM_LEVEL_CRITICAL;
	made_assert_named(made, "chain-drops", CONFIDENCE_SURE);
	assert_true(made->why.urgent);
	assert_int_equal(made->why.finding_count, 1);
	assert_true(fabs(made_figure(made_finding(made, "chain-drops"), "chain") - 7) < 1e-9);
	last->chaintoolong = last->insert_failed = 0;
	made->snap.live.level = SHM_LEVEL_OK;
	/* Long ago is not now. */
	made->minutes[0].chaintoolong = 1000;
	made_assert_none(made);
	made_free(made);
}

static void test_nat(void **state)
{
	struct made *made = made_healthy();
	struct snap_frame *last = &made->minutes[made->details.minutes.count - 1];

	(void)state;
	last->found = 3; /* happens */
	last->insert_failed = 2;
	made_assert_none(made);
	last->found = 5000;
	made_assert_named(made, "nat-collisions", CONFIDENCE_LIKELY);
	last->insert_failed = 50;
	made_assert_named(made, "nat-collisions", CONFIDENCE_SURE);
	assert_null(made_finding(made, "insert-clash"));
	/* Failures of long chains are those. */
	last->found = 0;
	last->chaintoolong = 50;
	made_look(made);
	assert_null(made_finding(made, "nat-collisions"));
	assert_null(made_finding(made, "insert-clash"));
	made_free(made);
}

/* What neither table nor chains nor ports explain; likely where there is DNS. */
static void test_clash(void **state)
{
	struct made *made = made_healthy();
	struct snap_frame *last = &made->minutes[made->details.minutes.count - 1];

	(void)state;
	last->insert_failed = 9;
	made_assert_none(made);
	last->insert_failed = 50;
	made_assert_named(made, "insert-clash", CONFIDENCE_LIKELY);
	assert_null(made_finding(made, "nat-collisions"));
	assert_true(made_figure(made_finding(made, "insert-clash"), "dns_new_share") > 0.1);
	assert_true(fabs(made_figure(made_finding(made, "insert-clash"), "insert_failed") - 50) <
		    1e-9);
	for (size_t i = 0; i < made->snap.row_count; i++)
		if (made->snap.rows[i].key.port == 53)
			made_rate(&made->snap.rows[i], 0);
	made_assert_named(made, "insert-clash", CONFIDENCE_NOT_SURE);
	made->snap.live.nat_pools = 1;
	made->snap.live.nat_used_ratio_ppm = 900000;
	made->snap.live.nat_l4num = 17;
	made_look(made);
	assert_null(made_finding(made, "insert-clash"));
	assert_non_null(made_finding(made, "nat-pool"));
	made_free(made);
}

static void test_full(void **state)
{
	struct made *made = made_healthy();

	(void)state;
	made->snap.live.limit_entries = made->snap.live.max_entries = 8192;
	made->snap.live.count_entries = 8000;
	made->snap.live.level = SHM_LEVEL_CRITICAL;
	made_assert_named(made, "table-full", CONFIDENCE_SURE);
	assert_true(made->why.urgent);
	made->snap.live.count_entries = 7000;
	made->snap.live.level = SHM_LEVEL_HIGH;
	made_look(made);
	assert_null(made_finding(made, "table-full"));
	assert_true(made->why.urgent);
	made->minutes[59].drops = 5;
	made_assert_named(made, "table-full", CONFIDENCE_SURE);
	/* Drops that are not for want of room. */
	made->snap.live.count_entries = 100;
	made_look(made);
	assert_null(made_finding(made, "table-full"));
	made_free(made);
}

static double full_figure(const struct made *made, const char *name)
{
	return made_figure(made_finding(made, "table-full"), name);
}

/* No frame has told it yet, but the level's rates have, which stand beside it. */
static void test_losses_that_just_began(void **state)
{
	struct made *made = made_healthy();
	struct snap_live *live = &made->snap.live;

	(void)state;
	live->limit_entries = live->max_entries = 8192;
	live->count_entries = 8192;
	live->level = SHM_LEVEL_FULL;
	live->dropped_milli_per_s = 9500;
	live->evicted_milli_per_s = 100;
	made_assert_named(made, "table-full", CONFIDENCE_SURE);
	assert_int_equal((int)full_figure(made, "dropped"), 95);
	assert_int_equal((int)full_figure(made, "evicted"), 1);
	made->minutes[59].drops = 500;
	made_look(made);
	assert_int_equal((int)full_figure(made, "dropped"), 500);
	/* What an agent said that is gone is not so now. */
	made->minutes[59].drops = 0;
	made->snap.agent = SNAP_AGENT_SILENT;
	made_look(made);
	assert_int_equal((int)full_figure(made, "dropped"), 0);
	made_free(made);
}

/* What grew, by how much, against which moment. */
static void test_growth(void **state)
{
	struct made *made = made_healthy();
	struct snap_row *row = made_row(made, L4_TCP, DIR_OUTBOUND, 8080);
	const struct change_of_table *change = &made->why.minutes;

	(void)state;
	made_state(row, ST_TCP_TIME_WAIT, 3000);
	row = made_row(made, L4_TCP, DIR_INBOUND, 80);
	made_state(row, ST_TCP_TIME_WAIT, row->states[ST_TCP_TIME_WAIT] + 500);
	made_talker(made, SHM_TALKER_SOURCE, 66, 3000, 0, 0);
	made->snap.live.count_entries = 0;
	made_look(made);
	assert_true(change->known);
	assert_true(fabs(change->over_s - 300) < 6);
	assert_true(fabs(change->entries - change->before_entries - 3500) < 1);
	assert_int_equal(change->rows[0].key.port, 8080);
	assert_int_equal(change->rows[0].state, ST_TCP_TIME_WAIT);
	assert_int_equal(change->rows[0].entries, 3000);
	assert_true(change->rows[0].before_entries <= 0);
	assert_int_equal(change->rows[1].key.port, 80);
	assert_int_equal(change->row_count, 2);
	assert_int_equal(change->hosts[change->host_count - 1].host.address[3] != 0, 1);
	change = &made->why.hour;
	assert_true(change->known && change->over_s > 3000 && change->over_s < 3700);
	assert_int_equal(change->rows[0].key.port, 8080);
	/* An agent that has run for less than a minute knows nothing. */
	made->details.minutes.count = 5;
	made->minutes[0].real_ns = made->snap.taken_real_ns - 50000000000u;
	made->details.hour.count = 0;
	made->minutes[1] = made->minutes[2] = made->minutes[3] = made->minutes[4] =
		made->minutes[0];
	made_look(made);
	assert_false(made->why.minutes.known || made->why.hour.known);
	made_free(made);
}

static void test_renderings_keep_addresses(void **state)
{
	struct made *made = made_healthy();
	struct snap_row *row = made_row(made, L4_TCP, DIR_OUTBOUND, 3306);
	struct text out;

	(void)state;
	made_state(row, ST_TCP_SYN_SENT, 900);
	made_talker(made, SHM_TALKER_SERVICE, 0xc0ffee, 890, L4_TCP, 3306);
	made_advice(made);
	text_init(&out);
	why_text(&made->why, NULL, true, &out);
	assert_non_null(strstr(out.data, "10.192.255.238"));
	text_clear(&out);
	why_text(&made->why, NULL, false, &out);
	assert_null(strstr(out.data, "10.192.255.238"));
	assert_non_null(strstr(out.data, "conntide talkers"));
	text_clear(&out);
	why_json(&made->why, NULL, true, &out);
	assert_non_null(strstr(out.data, "10.192.255.238"));
	text_clear(&out);
	why_json(&made->why, NULL, false, &out);
	assert_null(strstr(out.data, "10.192.255.238"));
	assert_null(strstr(out.data, "\"address\""));
	assert_non_null(strstr(out.data, "hosts_hidden"));
	text_clear(&out);
	advice_json(&made->advice, &out);
	advice_text(&made->advice, &out);
	assert_null(strstr(out.data, "10.192."));
	text_free(&out);
	made_free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_healthy),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_idle_is_counted),
		cmocka_unit_test(test_dead_backend),
		cmocka_unit_test(test_syn_flood),
		cmocka_unit_test(test_udp_storm),
		cmocka_unit_test(test_close_wait),
		cmocka_unit_test(test_one_host),
		cmocka_unit_test(test_one_of_few_hosts),
		cmocka_unit_test(test_port_scan),
		cmocka_unit_test(test_udp_streams),
		cmocka_unit_test(test_other_protocol),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_nat),
		cmocka_unit_test(test_clash),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_losses_that_just_began),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_renderings_keep_addresses),
	};

	return cmocka_run_group_tests_name("advice_patterns", tests, NULL, NULL);
}
