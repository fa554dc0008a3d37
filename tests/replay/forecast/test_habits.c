// SPDX-License-Identifier: GPL-2.0-or-later
/* The forecast of what comes back (days, jobs by the clock), of deadlines far away or not known,
 * and of what has just begun. */
#include "lib/forecast/state.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants these before it */
#include <cmocka.h>

#define NS	   1000000000LL
#define DAY_S	   1800
#define RATE_PER_S 20.0

/* Arrivals just as the rate says, into one stage, all leaving at its timeout. */
static void feed(struct forecast *f, double swing, enum fc_stage stage, uint32_t timeout_s,
		 double rate_per_s, unsigned int until_s)
{
	int64_t *since = malloc(sizeof(*since) * (size_t)(2.0 * rate_per_s * until_s + 10.0));
	unsigned int in = 0, out = 0, s;
	double due = 0.0;

	assert_non_null(since);
	for (s = 0; s < until_s; s++) {
		struct fc_move m = {.now_ns = s * NS,
				    .port = 80,
				    .from = FC_NONE,
				    .to = (uint8_t)stage,
				    .timeout_s = timeout_s};
		struct fc_stat st = {.now_ns = (s + 1) * NS, .max = 0};

		due += rate_per_s * (1.0 + swing * sin(6.283185307179586 * s / DAY_S));
		for (; in < (unsigned int)due; in++) {
			forecast_move(f, &m);
			since[in] = m.keep_since_ns;
		}
		for (; out < in && since[out] + (int64_t)timeout_s * NS <= s * NS; out++) {
			struct fc_move end = {.now_ns = s * NS,
					      .since_ns = since[out],
					      .port = 80,
					      .from = (uint8_t)stage,
					      .to = FC_NONE,
					      .end = FC_END_EXPIRED};

			forecast_move(f, &end);
		}
		st.count = in - out;
		forecast_second(f, &st);
	}
	free(since);
}

/* What is left of a timeout tells since when, of the setting's alone. */
static void test_found_under_an_own_timeout(void **state)
{
	static const struct {
		uint32_t own_s, left_s;
		bool known;
	} cases[] = {{0, 20, true},    {30, 20, true}, {29, 20, true},
		     {600, 20, false}, {10, 5, false}, {30, 200, false}};
	unsigned int i, k;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct forecast *f = forecast_create(1000 * NS);
		struct fc_move m = {.now_ns = 1000 * NS,
				    .l4proto = 1,
				    .port = 5000,
				    .from = FC_NONE,
				    .to = FC_UNREPLIED,
				    .timeout_s = cases[i].own_s};

		forecast_timeout(f, 1, FC_UNREPLIED, 30);
		for (k = 0; k < 5 && cases[i].own_s; k++)
			forecast_move(f, &m);
		m.found = true;
		m.since_ns = FC_SINCE_UNKNOWN;
		m.timeout_s = cases[i].left_s;
		forecast_move(f, &m);
		if (cases[i].known)
			assert_int_equal(m.keep_since_ns, 990 * NS & -FC_KEEP_NS);
		else
			assert_true(m.keep_since_ns == FC_SINCE_UNKNOWN);
		forecast_destroy(f);
	}
}

static void test_day_is_followed(void **state)
{
	struct forecast *f = forecast_create(0);
	struct fc_forecast out;
	double t = 2.0 * DAY_S + 600.0, at, truth = 0.0;

	(void)state;
	forecast_day(f, DAY_S);
	feed(f, 0.5, FC_UNREPLIED, 30, RATE_PER_S, 2 * DAY_S);
	assert_true(f->season.weight > 0.8);
	forecast_compute(f, &out);
	for (at = t - 30.0; at < t; at += 1.0)
		truth += RATE_PER_S * (1.0 + 0.5 * sin(6.283185307179586 * at / DAY_S));
	assert_true(fabs(out.count[2].p50 - truth) < 0.07 * truth);
	forecast_destroy(f);
}

static void test_no_day_none_followed(void **state)
{
	struct forecast *f = forecast_create(0);

	(void)state;
	forecast_day(f, DAY_S);
	feed(f, 0.0, FC_UNREPLIED, 30, RATE_PER_S, 2 * DAY_S);
	assert_true(f->season.weight == 0.0);
	forecast_destroy(f);
}

/* Nobody has left yet, and within ten minutes as many will as come. */
static void test_deadlines_far_away(void **state)
{
	struct forecast *f = forecast_create(0);
	struct fc_forecast out;

	(void)state;
	feed(f, 0.0, FC_TIME_WAIT, 2000, 1.0, 1990);
	forecast_compute(f, &out);
	assert_true(fabs(out.count[2].p50 - 2000.0) < 40.0);
	forecast_destroy(f);
}

/* Nobody leaves before a deadline of days: that is where it settles. An age that nobody has
 * reached yet is not one at which they go. */
static void test_leak_settles_by_its_timeout(void **state)
{
	static const unsigned int asked_s[] = {100, 300, 900};
	struct forecast *f;
	struct fc_forecast out;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		f = forecast_create(0);
		feed(f, 0.0, FC_ESTABLISHED, 5 * 86400, 5.0, asked_s[i]);
		forecast_compute(f, &out);
		assert_true(fabs(out.steady_entries - 2160000.0) < 22000.0);
		assert_true(fabs(out.count[2].p50 - 5.0 * (asked_s[i] + 600)) < 150.0);
		forecast_destroy(f);
	}
}

/* They have ceased to come, or some have ended: nothing is said of days. */
static void test_no_leak_where_they_end_or_cease(void **state)
{
	struct forecast *f = forecast_create(0);
	struct fc_forecast out;
	unsigned int s;

	(void)state;
	feed(f, 0.0, FC_ESTABLISHED, 5 * 86400, 5.0, 300);
	for (s = 300; s < 600; s++) { /* who connected again after a restart, and stays */
		struct fc_stat st = {.now_ns = (s + 1) * NS, .count = 1500};

		forecast_second(f, &st);
	}
	forecast_compute(f, &out);
	assert_true(fabs(out.steady_entries - 1500.0) < 150.0);
	forecast_destroy(f);
	f = forecast_create(0);
	feed(f, 0.0, FC_ESTABLISHED, 5000, 5.0, 300);
	for (s = 0; s < 30; s++) {
		struct fc_move end = {.now_ns = 300 * NS,
				      .since_ns = s * NS,
				      .port = 80,
				      .from = FC_ESTABLISHED,
				      .to = FC_NONE,
				      .end = FC_END_EARLY};

		forecast_move(f, &end);
	}
	forecast_second(f, &(struct fc_stat){.now_ns = 301 * NS, .count = 1470});
	forecast_compute(f, &out);
	assert_true(out.steady_entries < 20000.0);
	forecast_destroy(f);
}

/* From from_s to until_s, with a burst at each of the moments. */
static void feed_bursts(struct fc_pulses *pu, int64_t from_s, int64_t until_s, double usual,
			const int64_t *at_s, unsigned int n)
{
	int64_t t;
	unsigned int i;

	for (t = from_s; t < until_s; t += FC_BIN_S) {
		double arrivals = usual;

		for (i = 0; i < n; i++)
			arrivals += at_s[i] >= t && at_s[i] < t + FC_BIN_S ? 200.0 : 0.0;
		fc_pulse_bin(pu, arrivals, t + FC_BIN_S, t + FC_BIN_S);
	}
}

static void test_two_bursts_promise_a_third(void **state)
{
	static const int64_t at_s[] = {300, 700, 1100};
	struct fc_pulses pu = {0};

	(void)state;
	feed_bursts(&pu, 0, 600, 0.0, at_s, 3);
	assert_true(fc_pulse_period_s(&pu, 600) == 0.0);
	feed_bursts(&pu, 600, 1000, 0.0, at_s, 3);
	assert_true(fabs(fc_pulse_period_s(&pu, 1000) - 400.0) < 6.0);
	assert_true(fc_pulse_belief(&pu) < 1.0);
	feed_bursts(&pu, 1000, 1200, 0.0, at_s, 3);
	assert_true(fabs(fc_pulse_period_s(&pu, 1200) - 400.0) < 6.0);
	assert_true(fc_pulse_belief(&pu) == 1.0);
}

static void test_promise_not_kept(void **state)
{
	static const int64_t at_s[] = {300, 700};
	struct fc_pulses pu = {0};

	(void)state;
	feed_bursts(&pu, 0, 1200, 0.0, at_s, 2);
	assert_true(fc_pulse_period_s(&pu, 1200) == 0.0);
}

static void test_what_begins_is_no_burst(void **state)
{
	struct fc_pulses pu = {0};

	(void)state;
	feed_bursts(&pu, 0, 600, 25.0, NULL, 0); /* there from the start */
	assert_int_equal(pu.n, 0);
	feed_bursts(&pu, 600, 1200, 400.0, NULL, 0); /* a new level */
	assert_true(pu.n <= 1);
}

static void second_of_new(struct forecast *f, int64_t s, unsigned int per_s, uint32_t count)
{
	for (unsigned int n = 0; n < per_s; n++) {
		struct fc_move m = {.now_ns = s * NS + n * (NS / per_s),
				    .l4proto = 1,
				    .port = 53,
				    .from = FC_NONE,
				    .to = FC_UNREPLIED,
				    .timeout_s = 30};

		forecast_move(f, &m);
	}
	forecast_second(f, &(struct fc_stat){.now_ns = (s + 1) * NS, .count = count});
}

/*
 * Nothing, and then 50 a second from any second of a bin on: what is said of the class half a
 * minute later. The bin in which it began was not there for as long as the others.
 */
static void test_rate_of_a_new_class(void **state)
{
	(void)state;
	for (int64_t first_s = 300; first_s < 300 + FC_BIN_S; first_s++) {
		struct forecast *f = forecast_create(0);
		unsigned int i = 0;
		struct fc_sums sums;

		assert_non_null(f);
		for (int64_t s = 0; s < first_s + 30; s++)
			second_of_new(f, s, s < first_s ? 0 : 50,
				      s < first_s ? 0 : (uint32_t)(s - first_s + 1) * 50);
		while (i < FC_CLASSES && f->cls[i].port != 53)
			i++;
		assert_true(i < FC_CLASSES);
		fc_arrivals_sum(&f->cls[i].arrivals, &sums);
		assert_true(sums.n >= 5);
		assert_true(fabs(sums.y[sums.n] / (sums.n * FC_BIN_S) - 50.0) < 0.01);
		assert_true(fabs(f->cls[i].arrivals.mean_per_s - 50.0) < 0.01);
		forecast_destroy(f);
	}
}

/* A stage that empties in seconds is no incident each second: none of those is to come back. */
static void test_short_stays_are_no_incident(void **state)
{
	struct forecast *f = forecast_create(0);
	struct fc_forecast out;
	unsigned int s, i, c;

	(void)state;
	for (s = 0; s < 600; s++) {
		struct fc_move in = {.port = 80, .from = FC_NONE, .to = FC_ESTABLISHED};
		struct fc_move end = {.port = 80, .from = FC_ESTABLISHED, .to = FC_NONE};
		struct fc_stat st = {.now_ns = (s + 1) * NS, .count = 40 * (s < 7 ? s + 1 : 7)};

		in.now_ns = end.now_ns = s * NS;
		end.since_ns = (s - 7) * NS;
		end.end = FC_END_EARLY;
		for (i = 0; i < 40; i++)
			forecast_move(f, &in);
		for (i = 0; i < 40 && s >= 7; i++)
			forecast_move(f, &end);
		forecast_second(f, &st);
	}
	for (c = 0; c < FC_CLASSES; c++)
		assert_true(f->cls[c].to_return < 1.0f);
	forecast_compute(f, &out);
	assert_true(fabs(out.count[0].p50 - 280.0) < 28.0);
	forecast_destroy(f);
}

/* 50 a second that wait for 30 s and then for the collector. */
struct begun {
	uint8_t l4proto;
	enum fc_stage stage;
	struct fc_collector rule; /* as the forecast is told */
	int64_t round_s, first_s; /* as it is */
	int64_t asked_s;
};

/* Of TIME_WAIT: through the stages before it at once, as a request does. */
static void come(struct forecast *f, const struct begun *begun, struct fc_move m)
{
	static const uint8_t before[] = {FC_SYN_SENT, FC_SYN_RECV, FC_ESTABLISHED, FC_FIN_WAIT,
					 FC_LAST_ACK};

	for (unsigned int i = 0; begun->stage == FC_TIME_WAIT && i < 5; i++) {
		struct fc_move first = m;

		first.to = before[i];
		first.timeout_s = 120;
		forecast_move(f, &first);
		m.from = before[i];
		m.since_ns = first.keep_since_ns;
	}
	forecast_move(f, &m);
}

static double settles(const struct begun *begun)
{
	struct forecast *f = forecast_create(0);
	struct fc_forecast out;
	int64_t expired_s = 0, in_s = 0;

	assert_non_null(f);
	for (int64_t s = 0; s < begun->asked_s; s++) {
		struct fc_move m = {.now_ns = s * NS, .l4proto = begun->l4proto, .port = 53};
		struct fc_stat st = {.now_ns = (s + 1) * NS, .collector = begun->rule};

		if (s >= begun->first_s && (s - begun->first_s) % begun->round_s == 0)
			for (m.from = (uint8_t)begun->stage, m.to = FC_NONE, m.end = FC_END_EXPIRED;
			     expired_s + 30 <= s; expired_s++) {
				m.since_ns = expired_s * NS;
				for (unsigned int n = 0; n < 50; n++)
					forecast_move(f, &m);
			}
		m.from = FC_NONE;
		m.to = (uint8_t)begun->stage;
		m.timeout_s = 30;
		m.end = 0;
		for (unsigned int n = 0; n < 50; n++) {
			m.now_ns = s * NS + n * (NS / 50);
			come(f, begun, m);
		}
		in_s++;
		st.count = (uint32_t)(in_s - expired_s) * 50;
		forecast_second(f, &st);
	}
	forecast_compute(f, &out);
	forecast_destroy(f);
	return out.steady_entries;
}

static void near(double value, double expected, double part)
{
	if (!(fabs(value - expected) <= part * expected))
		fail_msg("%g is not %g", value, expected);
}

/* Before any has expired, and after the first rounds: the collector's rule says how long they
 * wait, until what was seen says it better. Assured ones may also be in use. */
static void test_collector_before_it_came(void **state)
{
	static const enum fc_stage stages[] = {FC_SYN_SENT, FC_UNREPLIED, FC_ASSURED};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct begun begun = {.l4proto = i > 0,
				      .stage = stages[i],
				      .rule = {.interval_s = 24},
				      .round_s = 24,
				      .first_s = 44};

		for (begun.asked_s = 25; begun.asked_s < 150; begun.asked_s += 5)
			near(settles(&begun), 50 * (30 + 24 / 2),
			     begun.stage == FC_ASSURED && begun.asked_s < begun.first_s ? 0.26
											: 0.1);
	}
}

/* Other namespaces keep the collector away, which is seen while entries wait; or remove what has
 * expired at once. */
static void test_collector_by_another_rule(void **state)
{
	struct begun rare = {.stage = FC_SYN_SENT,
			     .rule = {.interval_s = 15},
			     .round_s = 50,
			     .first_s = 79,
			     .asked_s = 70};
	struct begun prompt = {
		.stage = FC_SYN_SENT, .rule = {.interval_s = 50}, .round_s = 1, .asked_s = 35};

	(void)state;
	near(settles(&rare), 50 * (30 + 50 / 2), 0.12);
	near(settles(&prompt), 50 * 30, 0.02);
}

/* Stays of seconds in steps of 24 s: how long they wait counts the same an hour from now. */
static void test_steady_load_settles_at_its_mean(void **state)
{
	static const int64_t rounds_s[] = {1, 8, 13, 24};

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct begun begun = {.stage = FC_TIME_WAIT,
				      .rule = {.interval_s = (double)rounds_s[i]},
				      .round_s = rounds_s[i],
				      .first_s = 40};

		for (begun.asked_s = 180; begun.asked_s < 400; begun.asked_s += 20)
			near(settles(&begun), 50 * (30 + (double)rounds_s[i] / 2), 0.03);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_under_an_own_timeout),
		cmocka_unit_test(test_collector_before_it_came),
		cmocka_unit_test(test_collector_by_another_rule),
		cmocka_unit_test(test_steady_load_settles_at_its_mean),
		cmocka_unit_test(test_day_is_followed),
		cmocka_unit_test(test_no_day_none_followed),
		cmocka_unit_test(test_deadlines_far_away),
		cmocka_unit_test(test_leak_settles_by_its_timeout),
		cmocka_unit_test(test_no_leak_where_they_end_or_cease),
		cmocka_unit_test(test_two_bursts_promise_a_third),
		cmocka_unit_test(test_promise_not_kept),
		cmocka_unit_test(test_what_begins_is_no_burst),
		cmocka_unit_test(test_rate_of_a_new_class),
		cmocka_unit_test(test_short_stays_are_no_incident),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
