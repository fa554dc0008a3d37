// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/advice, why: causes that look alike are told apart. */
#include "exporters/advice/patterns.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "tests/unit/made.h"

/* --- the question it grew from --------------------------------------------------------- */

static void test_upstream(void **state)
{
	struct made *made = made_nginx(25);
	const struct finding *finding;

	(void)state;
	made_assert_named(made, "upstream-without-keepalive", CONFIDENCE_SURE);
	finding = made_finding(made, "upstream-without-keepalive");
	assert_int_equal(finding->rows[0].port, 8080);
	assert_int_equal(finding->rows[0].direction, DIR_OUTBOUND);
	assert_int_equal(finding->state, ST_TCP_TIME_WAIT);
	assert_int_equal(finding->other_count, 1);
	assert_int_equal(finding->others[0].port, 80);
	assert_int_equal(finding->others[0].direction, DIR_INBOUND);
	assert_true(fabs(finding->share - 0.5) < 0.01);
	assert_true(fabs(made_figure(finding, "upstream_per_inbound") - 1) < 1e-9);
	assert_non_null(strstr(finding->summary, "tcp/8080 outbound"));
	assert_non_null(strstr(finding->summary, "tcp/80 inbound"));
	/* The first half is there, too; the upstream is not named twice. */
	assert_non_null(made_finding(made, "time-wait-pile"));
	assert_int_equal(made_finding(made, "time-wait-pile")->rows[0].port, 80);
	assert_int_equal(made->why.finding_count, 2);
	made_free(made);
}

static void test_squid(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_OUTBOUND, 8080);

	(void)state;
	made_short(made, DIR_INBOUND, 81, 25, 0.1, 30);
	made_state(row, ST_TCP_ESTABLISHED, 10);
	made_rate(row, 0);
	made_frames(made, 30);
	made_assert_named(made, "time-wait-pile", CONFIDENCE_SURE);
	assert_null(made_finding(made, "upstream-without-keepalive"));
	assert_int_equal(made->why.finding_count, 1);
	made_advice(made);
	assert_null(made_item(made, "keepalive-tcp-8080"));
	made_free(made);
}

/* Requests have ended, entries have not: the counts tell. */
static void test_upstream_after_the_load(void **state)
{
	struct made *made = made_nginx(25);

	(void)state;
	for (size_t i = 0; i < made->snap.row_count; i++)
		made->rows[i].new_per_s = 0;
	for (size_t i = 0; i < made->details.minutes.count; i++)
		for (uint32_t j = 0; j < made->minutes[i].row_count; j++)
			made->minutes[i].rows[j].new_entries =
				i < 12 ? 200 + (uint32_t)(i % 3) * 50 : 0;
	made_assert_named(made, "upstream-without-keepalive", CONFIDENCE_SURE);
	made_free(made);
}

static void test_upstream_is_not_sure(void **state)
{
	struct made *made = made_nginx(25);

	(void)state;
	/* Not seen for long enough. */
	made->details.minutes.count = 0;
	made_assert_named(made, "upstream-without-keepalive", CONFIDENCE_LIKELY);
	/* A cache answers a third. */
	made_free(made);
	made = made_nginx(17);
	made_assert_named(made, "upstream-without-keepalive", CONFIDENCE_LIKELY);
	made_free(made);
	/* Alike, but neither ever changes: by chance, as well. */
	made = made_nginx(25);
	made_frames(made, 30);
	made_assert_named(made, "upstream-without-keepalive", CONFIDENCE_LIKELY);
	assert_non_null(
		strstr(made_finding(made, "upstream-without-keepalive")->unsure, "by the clock"));
	made_free(made);
	/* The same on average, and never at the same time: it is something else. */
	made = made_nginx(25);
	for (size_t i = 0; i < made->details.minutes.count; i++)
		for (uint32_t j = 0; j < made->minutes[i].row_count; j++)
			made->minutes[i].rows[j].new_entries = i % 2 == j ? 500 : 0;
	made_look(made);
	assert_null(made_finding(made, "upstream-without-keepalive"));
	made_free(made);
}

static void test_upstream_neighbours(void **state)
{
	struct made *made = made_nginx(6);

	(void)state;
	/* Calls to another service that have nothing to do with what comes in. */
	made_look(made);
	assert_null(made_finding(made, "upstream-without-keepalive"));
	made_free(made);
	made = made_nginx(60);
	made_look(made);
	assert_null(made_finding(made, "upstream-without-keepalive"));
	made_free(made);
	/* One for one, but they stay: each client has a connection of its own upstream. */
	made = made_new();
	made_short(made, DIR_INBOUND, 443, 5, 900, 30);
	made_short(made, DIR_OUTBOUND, 8080, 5, 900, 30);
	made_frames(made, 30);
	made_look(made);
	assert_null(made_finding(made, "upstream-without-keepalive"));
	made_free(made);
	/* Forwarded: another host's business. */
	made = made_new();
	made_short(made, DIR_FORWARDED, 80, 25, 0.1, 30);
	made_short(made, DIR_FORWARDED, 8080, 25, 0.1, 30);
	made_frames(made, 30);
	made_look(made);
	assert_null(made_finding(made, "upstream-without-keepalive"));
	made_free(made);
}

static void test_upstream_over_loopback(void **state)
{
	struct made *made = made_new();

	(void)state;
	made_short(made, DIR_INBOUND, 80, 25, 0.1, 30);
	made_short(made, DIR_LOOPBACK, 9000, 25, 0.1, 30);
	made_frames(made, 30);
	made_vary(made);
	made_assert_named(made, "upstream-without-keepalive", CONFIDENCE_SURE);
	made_free(made);
	made = made_new();
	made_short(made, DIR_LOOPBACK, 8080, 25, 0.1, 30);
	made_short(made, DIR_LOOPBACK, 80, 25, 0.1, 30);
	made_frames(made, 30);
	made_assert_named(made, "upstream-without-keepalive", CONFIDENCE_LIKELY);
	assert_int_equal(made_finding(made, "upstream-without-keepalive")->rows[0].port, 8080);
	made_free(made);
}

/* Two fronts, four ports behind them: added up, they are one for one. */
static void test_upstream_of_several_ports(void **state)
{
	struct made *made = made_new();
	const struct finding *finding;
	const struct advice_item *item;

	(void)state;
	made_short(made, DIR_INBOUND, 80, 10, 0.1, 30);
	made_short(made, DIR_INBOUND, 443, 20, 0.1, 30);
	for (unsigned int port = 8081; port <= 8084; port++)
		made_short(made, DIR_OUTBOUND, port, 7.5, 0.1, 30);
	made_short(made, DIR_INBOUND, 22, 1, 0.1, 30);
	made_frames(made, 30);
	made_vary(made);
	made_assert_named(made, "upstream-without-keepalive", CONFIDENCE_SURE);
	finding = made_finding(made, "upstream-without-keepalive");
	assert_int_equal(finding->row_count, 4);
	assert_int_equal(finding->others[0].port, 443);
	assert_int_equal(finding->others[1].port, 80);
	assert_true(finding->share > 0.48 && finding->share < 0.5);
	assert_non_null(strstr(finding->summary, "and 3 more ports have"));
	made_advice(made);
	item = &made->advice.items[0];
	assert_string_equal(item->whatif, "keepalive=tcp/8081/outbound,tcp/8082/outbound,"
					  "tcp/8083/outbound,tcp/8084/outbound");
	assert_true(item->saves_ratio > 0.47);
	/* Each of them by itself has nothing to do with what comes in. */
	for (unsigned int port = 8081; port <= 8084; port++)
		made_vary_row(made, &made_row(made, L4_TCP, DIR_OUTBOUND, port)->key);
	made_look(made);
	assert_null(made_finding(made, "upstream-without-keepalive"));
	made_free(made);
}

/* Checks come by the clock, requests as people do, to a port whose connections are kept. */
static void test_health_checks(void **state)
{
	struct made *made = made_new();
	struct snap_row *front = made_short(made, DIR_INBOUND, 80, 30, 0.1, 30);
	const struct finding *finding;

	(void)state;
	made_short(made, DIR_OUTBOUND, 8080, 30, 0.1, 30);
	made_frames(made, 30);
	made_vary_row(made, &front->key);
	made_assert_named(made, "health-checks", CONFIDENCE_LIKELY);
	assert_null(made_finding(made, "upstream-without-keepalive"));
	finding = made_finding(made, "health-checks");
	assert_int_equal(finding->rows[0].port, 8080);
	made_advice(made);
	assert_string_equal(made->advice.items[0].id, "health-checks-tcp-8080");
	assert_string_equal(made->advice.items[0].whatif, "rate.tcp/8080/outbound=0.2");
	/* A host that was too busy for a second, twice, is still one with a clock. */
	made_frames(made, 30);
	made_vary_row(made, &front->key);
	made_move(made, &made_row(made, L4_TCP, DIR_OUTBOUND, 8080)->key, 16, 40);
	made_move(made, &made_row(made, L4_TCP, DIR_OUTBOUND, 8080)->key, 24, 60);
	made_assert_named(made, "health-checks", CONFIDENCE_LIKELY);
	/* Clients as steady as the checks: the connections that are kept tell. */
	made_frames(made, 30);
	made_state(made_row(made, L4_TCP, DIR_OUTBOUND, 8080), ST_TCP_ESTABLISHED, 20);
	made->rows_detail[1].states[ST_TCP_ESTABLISHED].count = 0;
	made_assert_named(made, "health-checks", CONFIDENCE_LIKELY);
	assert_null(made_finding(made, "upstream-without-keepalive"));
	/* As people do, too, each by itself: neither. */
	made_vary_row(made, &front->key);
	made_vary(made);
	made_vary_row(made, &front->key);
	made_look(made);
	assert_null(made_finding(made, "health-checks"));
	made_free(made);
}

/* --- peers, and one way alone ------------------------------------------------------------ */

/* One host of five calls peers everywhere: half of them answer. */
static void test_peer_to_peer(void **state)
{
	struct made *made = made_new();
	const struct finding *finding;

	(void)state;
	for (unsigned int port = 1024; port < 5024; port++)
		made_state(made_row(made, L4_UDP, DIR_FORWARDED, port),
			   port % 2 ? ST_GENERIC_UNREPLIED : ST_GENERIC_REPLIED, 1);
	made_state(made_row(made, L4_TCP, DIR_FORWARDED, 443), ST_TCP_ESTABLISHED, 8);
	made_talker(made, SHM_TALKER_SOURCE, 23, 4000, 0, 0);
	for (unsigned int i = 1; i < 5; i++)
		made_talker(made, SHM_TALKER_SOURCE, i, 2, 0, 0);
	for (unsigned int i = 0; i < 20; i++)
		made_talker(made, SHM_TALKER_DESTINATION, 100 + i, 1, 0, 0);
	made_assert_named(made, "peer-to-peer", CONFIDENCE_SURE);
	assert_null(made_finding(made, "port-scan"));
	finding = made_finding(made, "peer-to-peer");
	assert_true(finding->has_host && finding->host_is_source);
	assert_int_equal(finding->host.address[3], 23);
	assert_true(made_figure(finding, "host_share") > 0.99);
	assert_non_null(made_finding(made, "one-host")); /* and its four neighbours do not */
	made_advice(made);
	assert_non_null(made_item(made, "peer-to-peer-udp"));
	assert_null(made_item(made, "port-scan"));
	/* Media of one server are no peers. */
	made->details.talkers[SHM_TALKER_DESTINATION].talkers[0].entries = 4000;
	made_look(made);
	assert_null(made_finding(made, "peer-to-peer"));
	made_free(made);
}

/* Invalid packets of the ten-second frames. */
static void invalids(struct made *made, uint32_t packets)
{
	for (size_t i = 0; i < made->details.minutes.count; i++)
		made->minutes[i].invalid = packets;
}

static void test_asymmetric_requests(void **state)
{
	struct made *made = made_healthy();
	struct snap_row *row = made_row(made, L4_TCP, DIR_FORWARDED, 8443);

	(void)state;
	made_state(row, ST_TCP_SYN_SENT, 1500);
	made_rate(row, 10);
	made_talker(made, SHM_TALKER_SERVICE, 9, 1500, L4_TCP, 8443);
	made_frames(made, 60);
	made_assert_named(made, "dead-backend", CONFIDENCE_SURE);
	invalids(made, 400);
	made_assert_named(made, "asymmetric-routing", CONFIDENCE_SURE);
	assert_int_equal(made_finding(made, "asymmetric-routing")->rows[0].port, 8443);
	assert_true(made_figure(made_finding(made, "asymmetric-routing"), "invalid_per_new") > 3.9);
	assert_null(made_finding(made, "dead-backend"));
	assert_null(made_finding(made, "syn-flood"));
	made_advice(made);
	assert_string_equal(made->advice.items[0].id, "asymmetric-routing");
	/* Some packets are invalid everywhere. */
	invalids(made, 20);
	made_look(made);
	assert_null(made_finding(made, "asymmetric-routing"));
	assert_non_null(made_finding(made, "dead-backend"));
	made_free(made);
}

static void test_asymmetric_answers(void **state)
{
	struct made *made = made_healthy();

	(void)state;
	made->snap.live.unassured_entries = 585; /* of the healthy ones */
	for (unsigned int port = 30000; port < 33000; port++) {
		struct snap_row *row = made_row(made, L4_TCP, DIR_FORWARDED, port);

		made_state(row, ST_TCP_ESTABLISHED, 1);
		made_rate(row, 0.01);
	}
	made_assert_none(made); /* passive FTP: as many ports, answered */
	made->snap.live.unassured_entries += 3000;
	made_assert_named(made, "asymmetric-routing", CONFIDENCE_LIKELY);
	invalids(made, 300);
	made_assert_named(made, "asymmetric-routing", CONFIDENCE_SURE);
	assert_int_equal(made_finding(made, "asymmetric-routing")->rows[0].port, 0);
	made_free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upstream),
		cmocka_unit_test(test_squid),
		cmocka_unit_test(test_upstream_after_the_load),
		cmocka_unit_test(test_upstream_is_not_sure),
		cmocka_unit_test(test_upstream_neighbours),
		cmocka_unit_test(test_upstream_over_loopback),
		cmocka_unit_test(test_upstream_of_several_ports),
		cmocka_unit_test(test_health_checks),
		cmocka_unit_test(test_peer_to_peer),
		cmocka_unit_test(test_asymmetric_requests),
		cmocka_unit_test(test_asymmetric_answers),
	};

	return cmocka_run_group_tests_name("advice_causes", tests, NULL, NULL);
}
