// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/advice, savings: what changes between two walks, and what the deadline ends. */
#include "tests/unit/unit.h"

#include <math.h>

#include "lib/shm/seqlock.h"
#include "tests/unit/fixture_ages.h"
#include "tests/unit/made.h"

#define NS_PER_S UINT64_C(1000000000)

static void near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%g is not %g +- %g", value, expected, tolerance);
}

static double saved_now(struct made *made, const char *words)
{
	struct whatif_result result;
	double saved;

	made_whatif(made, words, &result);
	saved = result.counted.now_entries;
	whatif_free(&result);
	return saved;
}

/* 900 SYNs without an answer that came evenly over `span_s` until the last walk. */
static struct made *made_syns(double span_s)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_TCP, DIR_OUTBOUND, 7000);

	made_state(row, ST_TCP_SYN_SENT, 900);
	made_rate(row, 40);
	made_look(made);
	fixture_ages_cell(&made->age_sets[0], cell_of(row->key, ST_TCP_SYN_SENT), 900, span_s);
	poke_u64(&made->age_sets[0].real_ns, made->snap.taken_real_ns);
	snap_ages_copy(made->age_sets, made->ages);
	return made;
}

/* Entries become older between two walks: in a table that grows it is they who matter. */
static void test_growing(void **state)
{
	struct made *made = made_syns(22.5);
	double lag_s = made->model.lag_s, at_walk;

	(void)state;
	assert_true(lag_s > 0);
	/* Nothing has expired yet: the model's own lag is added, at most. */
	at_walk = saved_now(made, "timeout.tcp_syn_sent=5");
	made->snap.taken_real_ns += 8 * NS_PER_S;
	near(saved_now(made, "timeout.tcp_syn_sent=5") - at_walk, 8 * 40, 60);
	made_free(made);
}

/* A steady one holds as many at any moment: who expires makes room for who grows old. */
static void test_steady(void **state)
{
	struct made *made = made_syns(120);
	double at_walk = saved_now(made, "timeout.tcp_syn_sent=20");

	(void)state;
	assert_true(at_walk > 100);
	made->snap.taken_real_ns += 8 * NS_PER_S;
	near(saved_now(made, "timeout.tcp_syn_sent=20"), at_walk, 0.12 * at_walk);
	made_free(made);
}

/* Answered queries wait for 20 s and are gone two seconds later at most, where packets remove
 * them; the collector, which would come every 20 s, is known too. No packet ended one. */
static void test_answered_queries_expire(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_UDP, DIR_OUTBOUND, 53);

	(void)state;
	made->snap.timeouts_s[TIMEOUT_UDP] = 20;
	made_state(row, ST_GENERIC_REPLIED, 660);
	made_rate(row, 30);
	made_stays(made, row, ST_GENERIC_UNREPLIED, 1000, 0.01);
	made_stays(made, row, ST_GENERIC_REPLIED, 1000, 21);
	made_lives(made, row, 1000, 21);
	made_idle(made, row, ST_GENERIC_REPLIED, 600, 1, 10);
	made_look(made);
	near(made->model.steady_entries, 30 * 21, 20);
	near(made_then(made, "timeout.udp=10"), 30 * 11, 60);
	made_free(made);
}

/* The deadline is where a bucket ends: half of them are counted in the next one. */
static void test_deadline_at_the_edge_of_a_bucket(void **state)
{
	struct made *made = made_new();
	struct snap_row *row = made_row(made, L4_UDP, DIR_OUTBOUND, 53);

	(void)state;
	made->snap.timeouts_s[TIMEOUT_UDP] = 30;
	made_state(row, ST_GENERIC_REPLIED, 960);
	made_rate(row, 30);
	made_stays(made, row, ST_GENERIC_REPLIED, 500, 31);
	made_stays(made, row, ST_GENERIC_REPLIED, 500, 32.5);
	made_lives(made, row, 1000, 32);
	made_idle(made, row, ST_GENERIC_REPLIED, 600, 1, 10);
	made_look(made);
	near(made->model.steady_entries, 30 * 32, 60);
	near(made_then(made, "timeout.udp=10"), 30 * 12, 75);
	made_free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growing),
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_answered_queries_expire),
		cmocka_unit_test(test_deadline_at_the_edge_of_a_bucket),
	};

	return cmocka_run_group_tests_name("advice_savings", tests, NULL, NULL);
}
