// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/advice, model and what-if: sums against closed forms, and what is refused. */
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "lib/kernel/gc.h"
#include "tests/unit/made.h"

static void near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%g is not %g +- %g", value, expected, tolerance);
}

/* 100 a second, 2 s open, 120 s and 30 s: Little's law. */
static struct made *one_class(void)
{
	struct made *made = made_new();

	made_short(made, DIR_INBOUND, 80, 100, 2, 30);
	made_look(made);
	return made;
}

static void test_little(void **state)
{
	struct made *made = one_class();

	(void)state;
	near(made->model.lag_s, 30, 1e-6);
	near(made->model.steady_entries, 100 * (2 + 120 + 30), 1);
	near(made_then(made, ""), 15200, 1);
	/* Twice as many also walk twice as many chains, and find what has expired. */
	near(made_then(made, "rate.tcp/80=2"), 30400, 100);
	near(made_then(made, "rate.tcp/80/inbound=0"), 0, 1e-9);
	near(made_then(made, "rate.tcp/80/outbound=3"), 15200, 1);
	near(made_then(made, "notrack=tcp/80"), 0, 1e-9);
	near(made_then(made, "notrack=tcp/81"), 15200, 1);
	near(made_then(made, "notrack=udp/80"), 15200, 1);
	made_free(made);
}

/* The timeout changes what waits for it, not what was open; and the collector, which
 * comes more often then: open entries, which count as 300 s, hold it up. */
static void test_shorter_time_wait(void **state)
{
	struct made *made = made_new();
	struct whatif_result result;
	struct kernel_gc gc;
	double interval_s;

	(void)state;
	kernel_gc_init(&gc);
	kernel_gc_add(&gc, 200, 432000);
	kernel_gc_add(&gc, 3000, 30);
	interval_s = kernel_gc_interval_s(&gc, 250);
	made_short(made, DIR_INBOUND, 80, 100, 0.01, 30);
	made_look(made);
	made_whatif(made, "timeout.tcp_time_wait=30", &result);
	/* Every 18.4 s at HZ 250, where the mean time left is 15 s. */
	near(result.lag_then_s, 9.1, 0.3);
	near(result.steady_then, 100 * (0.01 + 30 + result.lag_then_s), 0.1);
	whatif_free(&result);
	made_free(made);
	made = one_class();
	made_whatif(made, "timeout.tcp_time_wait=30", &result);
	near(result.interval_then_s, interval_s, 0.5);
	near(result.lag_then_s, interval_s / 2, 0.5);
	near(result.steady_then, 100 * (2 + 30 + result.lag_then_s), 0.1);
	near(result.class_then[0], result.steady_then, 1e-6);
	assert_true(result.warnings & WARN(NOT_RETROACTIVE));
	assert_true(result.warnings & WARN(LATE_SEGMENTS));
	assert_false(result.warnings & WARN(GUESS));
	whatif_free(&result);
	/* Others do not touch it. */
	near(made_then(made, "timeout.tcp_close=300"), 15200, 1);
	near(made_then(made, "timeout.udp=1"), 15200, 1);
	/* But through the collector, which then has less far to look ahead. */
	near(made_then(made, "timeout.tcp_established=60"), 15200, 50);
	made_free(made);
}

/* FIN_WAIT of half a second is left by packets: its timeout has no part in it. */
static void test_phase_left_by_packets(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_short(made, DIR_INBOUND, 80, 100, 2, 30);
	double now;

	(void)state;
	made_state(row, ST_TCP_FIN_WAIT, 50);
	made_stays(made, row, ST_TCP_FIN_WAIT, 1000, 0.5);
	made_look(made);
	now = made->model.steady_entries;
	near(now, 100 * (2 + 0.5 + 150), 1);
	near(made_then(made, "timeout.tcp_fin_wait=5"), now, 1);
	made_free(made);
}

/* UDP that talks for 10 s after it was assured, then waits: only the wait changes. */
static void test_refreshed_phase(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_UDP, DIR_INBOUND, 443);
	double lag;

	(void)state;
	made_state(row, ST_GENERIC_ASSURED, 1600);
	made_rate(row, 10);
	made_stays(made, row, ST_GENERIC_ASSURED, 1000, 160);
	made_lives(made, row, 1000, 160);
	made_look(made);
	near(made->model.steady_entries, 1600, 1);
	lag = made->model.lag_s;
	near(lag, 30, 1); /* not measured: nothing that waits for sure */
	near(made_then(made, "timeout.udp_stream=60"), 10 * (160 - 60) - 10 * (lag - 15), 10 * 3);
	made_free(made);
}

/* Stays under an earlier timeout are longer than can be now: the kernel's is believed. */
static void test_after_a_change(void **state)
{
	struct made *made = made_new();

	(void)state;
	made_short(made, DIR_INBOUND, 80, 100, 2, 30);
	made->snap.timeouts_s[TIMEOUT_TCP_TIME_WAIT] = 30;
	made_look(made);
	near(made->model.lag_s, 15, 15);
	near(made->model.steady_entries, 100 * (2 + 30 + made->model.lag_s), 1);
	made_free(made);
}

/* Open connections that outlast any watching stand; a timeout moves them in proportion. */
static void test_standing(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_INBOUND, 5432);
	struct whatif_result result;

	(void)state;
	made_state(row, ST_TCP_ESTABLISHED, 5000);
	made_rate(row, 1);
	made_stays(made, row, ST_TCP_ESTABLISHED, 1000, 10);
	made_lives(made, row, 1000, 10);
	made_look(made);
	near(made->model.steady_entries, 5000, 1);
	made_whatif(made, "timeout.tcp_established=43200", &result);
	near(result.steady_then, 10 + 4990 * 0.1, 1);
	assert_true(result.warnings & WARN(AT_MOST));
	assert_true(result.warnings & WARN(IDLE_CUT));
	assert_true(result.warnings & WARN(KUBE_PROXY));
	whatif_free(&result);
	made_free(made);
}

/* No stays yet: arrivals go where entries wait, for the kernel's timeouts. */
static void test_guess(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_INBOUND, 80);
	struct whatif_result result;

	(void)state;
	made_state(row, ST_TCP_TIME_WAIT, 300);
	made_rate(row, 50);
	made_look(made);
	near(made->model.steady_entries, 50 * 150, 100);
	assert_int_equal(made->model.classes[0].basis, BASIS_TIMEOUTS);
	made_whatif(made, "notrack=tcp/80", &result);
	assert_true(result.warnings & WARN(GUESS));
	whatif_free(&result);
	/* Not even a rate. */
	row->new_per_s = (double)NAN;
	made_look(made);
	near(made->model.steady_entries, 300, 1e-6);
	assert_int_equal(made->model.classes[0].basis, BASIS_PRESENT);
	made_whatif(made, "timeout.tcp_time_wait=60", &result);
	near(result.steady_then, 150, 1e-6);
	assert_true(result.warnings & WARN(NO_RATES));
	whatif_free(&result);
	made_free(made);
}

/* The agent runs for a minute: resets were seen to end, TIME_WAIT cannot have been. */
static void test_young_agent(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_INBOUND, 80);

	(void)state;
	made->snap.live.heartbeat_boot_ns = made->snap.live.started_boot_ns + 60 * 1000000000LL;
	made_state(row, ST_TCP_TIME_WAIT, 5400);
	made_rate(row, 100);
	made_stays(made, row, ST_TCP_ESTABLISHED, 6000, 0.1);
	made_stays(made, row, ST_TCP_CLOSE, 600, 40);
	made_lives(made, row, 600, 40.1);
	made_look(made);
	assert_int_equal(made->model.classes[0].basis, BASIS_MEASURED);
	near(made->model.steady_entries, 100 * (0.1 + 0.1 * 40 + 0.9 * 150), 100);
	made_free(made);
}

/* A successor ends a third of them after 60 s: they are so early only as long as the
 * timeout is longer. And the bucket of 64 to 128 s holds both kinds. */
static void test_successors(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_INBOUND, 80);

	(void)state;
	made_state(row, ST_TCP_TIME_WAIT, 12000);
	made_rate(row, 100);
	made_stays(made, row, ST_TCP_TIME_WAIT, 10000, 60);
	made_stays(made, row, ST_TCP_TIME_WAIT, 2000, 100);
	/* Lags even over a minute: 8 in 60 below 128 s. */
	made_stays(made, row, ST_TCP_TIME_WAIT, 2400, 124);
	made_stays(made, row, ST_TCP_TIME_WAIT, 15600, 154);
	made_lives(made, row, 30000, 120);
	made_look(made);
	near(made->model.lag_s, 30, 2);
	near(made->model.steady_entries,
	     100 * (10000 * 60 + 2000 * 100 + 2400 * 124 + 15600 * 154) / 30000.0, 20);
	/* With 30 s all of them expire. */
	near(made_then(made, "timeout.tcp_time_wait=30"), 100 * (30 + 9.1), 100);
	made_free(made);
}

/* Somebody dumps the table all the time, which removes what has expired: no lag. */
static void test_no_lag(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_INBOUND, 80);

	(void)state;
	made_state(row, ST_TCP_TIME_WAIT, 12000);
	made_rate(row, 100);
	made_stays(made, row, ST_TCP_TIME_WAIT, 20000, 121);
	made_stays(made, row, ST_TCP_TIME_WAIT, 100, 150);
	made_lives(made, row, 20100, 121);
	made_look(made);
	near(made->model.lag_s, 1, 2);
	near(made->model.steady_entries, 12115, 10);
	near(made_then(made, "timeout.tcp_time_wait=30"), 3050, 60);
	made_free(made);
}

/* Connections to a port from which nothing has expired yet: 80 a second for 10 s. */
static struct made *young(int64_t buckets, int64_t audits_per_s)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_OUTBOUND, 80);

	made->snap.live.buckets = buckets;
	made->snap.live.table_audits_per_s = audits_per_s;
	made->snap.live.count_entries = 800;
	made_state(row, ST_TCP_SYN_SENT, 800);
	made_rate(row, 80);
	return made;
}

/* How late entries go before any has: the collector's interval, each new entry's walk of a chain,
 * and the agent's own questions. */
static void test_lag_beforehand(void **state)
{
	struct made *made = young(1 << 20, 0);
	const uint32_t translated[5] = {800};
	double interval_s, met_per_s = 2 * 80.0 / 1000;

	(void)state;
	made_look(made);
	interval_s = made->model.interval_s;
	near(made->model.lag_s, interval_s / 2, 0.2);
	made_free(made);

	made = young(1000, 0);
	made_look(made);
	near(made->model.interval_s, interval_s, 1e-9);
	near(made->model.lag_s,
	     1 / met_per_s -
		     (1 - exp(-met_per_s * interval_s)) / (met_per_s * met_per_s * interval_s),
	     1e-6);
	made_free(made);

	/* NAT walks a second chain for each. */
	made = young(1000, 0);
	made_facts(made, &made->rows[0], translated);
	made_look(made);
	met_per_s *= 2;
	near(made->model.lag_s,
	     1 / met_per_s -
		     (1 - exp(-met_per_s * interval_s)) / (met_per_s * met_per_s * interval_s),
	     1e-6);
	made_free(made);

	/* Each of 800 once in 8 s. */
	made = young(1 << 20, 100);
	made_look(made);
	near(made->model.lag_s, 4 - 64 / 6.0 / interval_s, 0.01);
	made_free(made);
}

static void test_keepalive(void **state)
{
	struct made *made = made_new();
	struct whatif_result result;

	(void)state;
	made_short(made, DIR_INBOUND, 80, 25, 0.2, 30);
	made_short(made, DIR_OUTBOUND, 8080, 25, 0.2, 30);
	made_look(made);
	near(made->model.steady_entries, 2 * 25 * 150.2, 1);
	made_whatif(made, "keepalive=tcp/8080", &result);
	/* What comes in stays; upstream a pool, and one connection in a thousand requests. */
	near(result.steady_then, 25 * 150.2 + 10 + 25 * 150.2 / 1000, 10);
	assert_false(result.warnings & (WARN(KEEPALIVE_LEG) | WARN(NOTHING_THERE)));
	whatif_free(&result);
	made_whatif(made, "keepalive=tcp/80", &result);
	near(result.steady_then, result.steady_now, 1e-6);
	assert_true(result.warnings & WARN(KEEPALIVE_LEG));
	whatif_free(&result);
	made_whatif(made, "keepalive=tcp/9", &result);
	assert_true(result.warnings & WARN(NOTHING_THERE));
	whatif_free(&result);
	/* All of them together. */
	near(made_then(made, "keepalive=tcp/8080 notrack=tcp/80/inbound"), 10 + 3.8, 1);
	made_free(made);
}

static void test_sizes(void **state)
{
	struct made *made = one_class();
	struct whatif_result result;

	(void)state;
	made_whatif(made, "max=16384", &result);
	near(whatif_fill(result.steady_then, &result.then), 15200 / 16384.0, 1e-3);
	assert_true(result.warnings & WARN(SHRINK));
	assert_false(result.warnings & WARN(TOO_SMALL));
	whatif_free(&result);
	made_whatif(made, "max=10000", &result);
	assert_true(result.warnings & WARN(TOO_SMALL));
	whatif_free(&result);
	made_whatif(made, "max=0", &result);
	assert_true(isnan(whatif_fill(result.steady_then, &result.then)));
	assert_true(result.warnings & WARN(UNLIMITED));
	whatif_free(&result);
	made_whatif(made, "max=524288 buckets=1000", &result);
	near(result.then.buckets, 1024, 1e-9);
	near(result.then.chain_limit_entries, 25 * 1024, 1e-6);
	assert_true(result.warnings & WARN(HASH_SMALL));
	whatif_free(&result);
	made_whatif(made, "max=524288 buckets=131072", &result);
	assert_false(result.warnings & WARN(HASH_SMALL));
	near(whatif_memory_bytes(524288, &result.then), 524288 * 384.0 + 131072 * 8.0, 1);
	whatif_free(&result);
	made_free(made);
}

/* A row without a detail of its own goes by the pool. */
static void test_pool(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_short(made, DIR_INBOUND, 80, 100, 2, 30);
	struct snap_row *other = made_row(made, L4_TCP, DIR_INBOUND, 81);

	(void)state;
	made->rows_detail[0].pool = true;
	made->rows_detail[0].key.port = 0;
	made_state(other, ST_TCP_TIME_WAIT, 10);
	made_rate(other, 10);
	made_look(made);
	near(made->model.steady_entries, 110 * 152, 2);
	(void)row;
	made_free(made);
}

/* Rates: the larger of the last minute and of the last three; frames before snapshot. */
static void test_arrivals(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_INBOUND, 80);

	(void)state;
	made_state(row, ST_TCP_TIME_WAIT, 10);
	made_rate(row, 50);
	made_frames(made, 30);
	row->new_per_s = 7;
	near(arrivals_per_s(&made->snap, &made->details, row), 50, 1e-9);
	for (size_t i = 24; i < 30; i++)
		made->minutes[i].rows[0].new_entries = 0; /* it has just ended */
	near(arrivals_per_s(&made->snap, &made->details, row), 50 * 12 / 18.0, 1e-9);
	made_look(made);
	near(made->model.classes[0].lasting_per_s, 0, 1e-9);
	for (size_t i = 0; i < 30; i++)
		made->minutes[i].rows[0].new_entries = i < 24 ? 0 : 600; /* just begun */
	near(arrivals_per_s(&made->snap, &made->details, row), 60, 1e-9);
	made->minutes[28].row_count = 0; /* not among the largest all the time */
	near(arrivals_per_s(&made->snap, &made->details, row), 7, 1e-9);
	made_frames(made, 30);
	made->snap.taken_real_ns += UINT64_C(60000000000); /* frames of long ago */
	near(arrivals_per_s(&made->snap, &made->details, row), 7, 1e-9);
	made_free(made);
}

/* Whatever a table holds, nothing is negative, NaN or infinite. */
static void random_table(uint64_t seed)
{
	static const char *const words[] = {
		"timeout.tcp_time_wait=1",  "notrack=tcp/80,udp/53,icmp",
		"rate.tcp/80=1000",	    "keepalive=tcp/8080",
		"max=0 buckets=1",	    "timeout.udp=2147483",
		"timeout.tcp_established=1"};
	struct rng rng = rng_seeded(seed);
	struct made *made = made_new();

	for (unsigned int i = rng_below(&rng, 60); i > 0; i--) {
		static const unsigned int ports[] = {80, 8080, 53, 0};
		struct snap_row *row =
			made_row(made, rng_below(&rng, L4_COUNT), rng_below(&rng, DIR_COUNT),
				 rng_percent(&rng, 50) ? ports[rng_below(&rng, 4)] : i);

		if (!l4proto_info(row->key.l4proto)->has_ports)
			row->key.port = 0;
		for (unsigned int s = 0; s < 12; s++) {
			if (rng_percent(&rng, 40))
				made_state(row, s, rng_below(&rng, 100000));
			if (rng_percent(&rng, 40) && made->details.detail_count < MADE_DETAILS - 1)
				made_stays(made, row, s, rng_below(&rng, 1000),
					   rng_below(&rng, 300000) / 7.0);
		}
		if (rng_percent(&rng, 60) && made->details.detail_count < MADE_DETAILS - 1)
			made_lives(made, row, rng_below(&rng, 100), rng_below(&rng, 1000));
		if (rng_percent(&rng, 80))
			made_rate(row, rng_below(&rng, 100000) / 10.0);
	}
	made->snap.live.max_entries = rng_below(&rng, 3) * 100000;
	made->snap.live.buckets = rng_below(&rng, 3) * 100000;
	made_frames(made, rng_below(&rng, 40));
	made_advice(made);
	assert_seeded(seed,
		      made->model.steady_entries >= 0 && isfinite(made->model.steady_entries));
	for (size_t i = 0; i < UNIT_COUNT(words); i++) {
		double then = made_then(made, words[i]);

		assert_seeded(seed, then >= 0 && isfinite(then));
	}
	assert_seeded(seed, made->advice.count > 0);
	made_free(made);
}

static void test_random(void **state)
{
	(void)state;
	unit_seeds("tables", 200, random_table);
}

static void test_refused(void **state)
{
	static const struct {
		const char *key, *value, *says;
	} bad[] = {
		{"timeout.foo", "3", "no timeout \"foo\""},
		{"timeout.", "3", "no timeout"},
		{"timeout.tcp_time_wait", "0", "not within 1 to"},
		{"timeout.tcp_time_wait", "-5", "not a whole number"},
		{"timeout.tcp_time_wait", "", "not a whole number"},
		{"timeout.tcp_time_wait", "30s", "not a whole number"},
		{"timeout.tcp_time_wait", "1.5", "not a whole number"},
		{"timeout.tcp_time_wait", "2147484", "not within"},
		{"timeout.tcp_time_wait", "99999999999999999999", "not a whole number"},
		{"max", "-1", "not a whole number"},
		{"max", "2147483648", "not within"},
		{"max", "nan", "not a whole number"},
		{"buckets", "0", "not within 1"},
		{"buckets", "536870912", "not within"},
		{"rate.tcp/80", "-1", "not a number"},
		{"rate.tcp/80", "nan", "not a number"},
		{"rate.tcp/80", "inf", "not a number"},
		{"rate.tcp/80", "1e3", "not a number"},
		{"rate.tcp/80", "1001", "not within"},
		{"rate.tcp/80", ".5", "not a number"},
		{"rate.tcp/80", "1.", "not a number"},
		{"rate.tcp/65536", "1", "no port"},
		{"rate.tcp/99999999999", "1", "no port"},
		{"rate.tcp/-1", "1", "Which port"},
		{"rate.tcp/80x", "1", "no port"},
		{"rate.tcp", "1", "Which port"},
		{"rate.tcp/", "1", "Which port"},
		{"rate.", "1", "named like tcp/80"},
		{"rate.tpc/80", "1", "no protocol"},
		{"rate.tcp/80/sideways", "1", "no direction"},
		{"rate.icmp/sideways", "1", "no direction"},
		{"notrack", "", "named like tcp/80"},
		{"notrack", "tcp/80,", "named like tcp/80"},
		{"notrack", "tcp/80,tcp/80", "named twice"},
		{"notrack", "tcp/80,tcp/80/inbound", "named twice"},
		{"notrack", "80", "no protocol"},
		{"keepalive", "udp/53", "Only TCP"},
		{"keepalive", "tcp/80/inbound", "outbound or loopback"},
		{"keepalive", "tcp/80/forwarded", "outbound or loopback"},
		{"foo", "1", "There is no \"foo\""},
		{"", "1", "There is no"},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		struct whatif whatif = {.count = 0};
		char why[WHATIF_WHY_BYTES] = "";

		if (whatif_add(&whatif, bad[i].key, bad[i].value, why) == 0)
			fail_msg("%s=%s was taken", bad[i].key, bad[i].value);
		if (!strstr(why, bad[i].says))
			fail_msg("%s=%s: \"%s\" does not say \"%s\"", bad[i].key, bad[i].value, why,
				 bad[i].says);
	}
}

static void test_taken(void **state)
{
	static const struct {
		const char *key, *value, *text;
	} good[] = {
		{"timeout.tcp_time_wait", "30", "timeout.tcp_time_wait=30"},
		{"timeout.sctp_shutdown_ack_sent", "2147483",
		 "timeout.sctp_shutdown_ack_sent=2147483"},
		{"max", "0", "max=0"},
		{"max", "2147483647", "max=2147483647"},
		{"buckets", "65537", "buckets=66048"},
		{"buckets", "1", "buckets=512"},
		{"rate.tcp/80", "0.25", "rate.tcp/80=0.25"},
		{"rate.icmp", "2", "rate.icmp=2"},
		{"rate.icmpv6/forwarded", "0", "rate.icmpv6/forwarded=0"},
		{"rate.other/65535/loopback", "1000", "rate.other/65535/loopback=1000"},
		{"notrack", "udp/53/outbound", "notrack=udp/53/outbound"},
		{"keepalive", "tcp/8080", "keepalive=tcp/8080"},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(good); i++) {
		struct whatif whatif = {.count = 0};
		char why[WHATIF_WHY_BYTES] = "", text[WHATIF_KEY_BYTES];

		if (whatif_add(&whatif, good[i].key, good[i].value, why))
			fail_msg("%s=%s: %s", good[i].key, good[i].value, why);
		assert_string_equal(change_text(&whatif.changes[0], text), good[i].text);
		/* And what it is written as is taken again, but for a key a second time. */
		assert_int_not_equal(whatif_add(&whatif, good[i].key, good[i].value, why), 0);
	}
}

static void test_contradictions(void **state)
{
	struct whatif whatif = {.count = 0};
	char why[WHATIF_WHY_BYTES] = "", key[WHATIF_KEY_BYTES] = "";

	(void)state;
	assert_int_equal(whatif_add(&whatif, "rate.tcp/80", "2", why), 0);
	assert_int_equal(whatif_add(&whatif, "notrack", "tcp/80/inbound,tcp/81", why), 0);
	assert_int_not_equal(whatif_check(&whatif, key, why), 0);
	assert_string_equal(key, "notrack");
	assert_non_null(strstr(why, "tcp/80"));
	whatif.count = 0;
	assert_int_equal(whatif_add(&whatif, "keepalive", "tcp/8080", why), 0);
	assert_int_equal(whatif_add(&whatif, "notrack", "tcp/8080", why), 0);
	assert_int_not_equal(whatif_check(&whatif, key, why), 0);
	whatif.count = 0;
	assert_int_equal(whatif_add(&whatif, "rate.tcp/80/outbound", "2", why), 0);
	assert_int_equal(whatif_add(&whatif, "rate.tcp/80/inbound", "2", why), 0);
	assert_int_not_equal(whatif_add(&whatif, "rate.tcp/80", "2", why), 0);
	assert_int_equal(whatif_add(&whatif, "notrack", "tcp/80/forwarded", why), 0);
	assert_int_equal(whatif_check(&whatif, key, why), 0);
}

static void test_many_changes(void **state)
{
	struct whatif whatif = {.count = 0};
	char why[WHATIF_WHY_BYTES], key[WHATIF_KEY_BYTES];
	unsigned int taken = 0;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "rate.tcp/%u", i);
		taken += whatif_add(&whatif, key, "2", why) == 0;
	}
	assert_int_equal(taken, WHATIF_CHANGES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_little),
		cmocka_unit_test(test_shorter_time_wait),
		cmocka_unit_test(test_phase_left_by_packets),
		cmocka_unit_test(test_refreshed_phase),
		cmocka_unit_test(test_after_a_change),
		cmocka_unit_test(test_standing),
		cmocka_unit_test(test_guess),
		cmocka_unit_test(test_young_agent),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_successors),
		cmocka_unit_test(test_no_lag),
		cmocka_unit_test(test_lag_beforehand),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_arrivals),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_many_changes),
	};

	return cmocka_run_group_tests_name("advice_whatif", tests, NULL, NULL);
}
