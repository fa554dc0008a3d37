// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/replay: lines of a trace through mirror and forecast. */
#include "tests/unit/unit.h"

#include <string.h>

#include "exporters/replay/replay.h"
#include "tests/unit/offline.h"

#define S INT64_C(1000000000)

static struct replay replay;

static int set_up(void **state)
{
	(void)state;
	ct_hash_seed_fixed(1);
	return replay_create(&replay);
}

static int tear_down(void **state)
{
	(void)state;
	assert_null(offline_disagrees(&replay.offline));
	replay_destroy(&replay);
	return 0;
}

static void feed(const char *text)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	struct trace_reader reader;
	struct trace_record rec;

	assert_non_null(in);
	trace_reader_init(&reader, in);
	while (trace_read(&reader, &rec) > 0)
		assert_null(replay_line(&replay, &rec));
	assert_null(reader.error);
	fclose(in);
}

static uint32_t cell(enum l4proto l4proto, uint16_t port, unsigned int state)
{
	struct row_key key = {
		.l4proto = (uint8_t)l4proto, .direction = DIR_FORWARDED, .port = port};

	return atomic_load_explicit(&replay.offline.hist.cells[cell_of(key, state)],
				    memory_order_relaxed);
}

#define TUPLE(n) "tcp,10.0.0." #n ",10.9.9.9,1000,80,"

static void test_from_birth_to_death(void **state)
{
	(void)state;
	feed("#meta,version=1,max=100,buckets=64\n"
	     "0,SYSCTL,tcp_timeout_time_wait,120\n"
	     "0,DUMP,1," TUPLE(1) "ESTABLISHED,1,432000\n"
				  "0,DUMP,2," TUPLE(2) "TIME_WAIT,1,50\n"
						       "0,STAT,2,100,0,0\n"
						       "5,NEW,3," TUPLE(3) "SYN_SENT,0,120\n");
	assert_int_equal(replay.offline.mirror.entries, 3);
	assert_int_equal(cell(L4_TCP, 80, ST_TCP_ESTABLISHED), 1);
	assert_int_equal(cell(L4_TCP, 80, ST_TCP_TIME_WAIT), 1);
	assert_int_equal(cell(L4_TCP, 80, ST_TCP_SYN_SENT), 1);
	feed("6,UPDATE,3," TUPLE(3) "ESTABLISHED,1,432000\n"
				    "7,DESTROY,2," TUPLE(2) "TIME_WAIT,1,0\n"
							    "8,STAT,2,100,0,0\n");
	replay_end(&replay);
	assert_int_equal(cell(L4_TCP, 80, ST_TCP_ESTABLISHED), 2);
	assert_int_equal(replay.offline.mirror.entries, 2);
	assert_int_equal(replay_residual(&replay), 0);
	assert_int_equal(replay.count_peak, 2);
	assert_int_equal(replay.last_ns, 8);
}

static void test_missing_events(void **state)
{
	(void)state;
	/* Deaths of 1 and birth of 3 are not there; a tuple that comes again replaces. */
	feed("0,DUMP,1," TUPLE(
		1) "ESTABLISHED,1,432000\n"
		   "0,DUMP,2," TUPLE(
			   2) "ESTABLISHED,1,432000\n"
			      "10,LOST,7\n"
			      "20,UPDATE,3," TUPLE(
				      3) "ESTABLISHED,1,432000\n"
					 "30,DESTROY,9," TUPLE(
						 9) "CLOSE,1,0\n"
						    "40,NEW,4," TUPLE(
							    2) "SYN_SENT,0,120\n"
							       "1000000000,STAT,2,100,0,0\n");
	assert_int_equal(replay.offline.mirror.entries, 3);
	assert_int_equal(replay_residual(&replay), -1);
	assert_int_equal(replay.lost_events, 7);
	assert_int_equal(replay.lines[TRACE_LOST], 1);
	assert_int_equal(cell(L4_TCP, 80, ST_TCP_SYN_SENT), 1);
}

static void test_a_late_dump_removes_nothing(void **state)
{
	(void)state;
	feed("0,DUMP,1," TUPLE(
		1) "ESTABLISHED,1,432000\n"
		   "0,DUMP,2," TUPLE(
			   2) "ESTABLISHED,1,432000\n"
			      "1,STAT,2,100,0,0\n"
			      "2,DUMP,2," TUPLE(
				      2) "TIME_WAIT,1,100\n"
					 "2,DUMP,3," TUPLE(
						 3) "ESTABLISHED,1,432000\n"
						    "3,DESTROY,3," TUPLE(
							    3) "ESTABLISHED,1,50\n"
							       "4,DUMP,4," TUPLE(
								       4) "ESTABLISHED,1,432000\n");
	replay_end(&replay);
	assert_int_equal(replay.offline.mirror.entries, 3);
	assert_int_equal(cell(L4_TCP, 80, ST_TCP_TIME_WAIT), 1);
	assert_int_equal(cell(L4_TCP, 80, ST_TCP_ESTABLISHED), 2);
}

static void test_a_wrong_line(void **state)
{
	struct trace_record rec = {.kind = TRACE_NEW};

	(void)state;
	snprintf(rec.entry.src, sizeof(rec.entry.src), "nowhere");
	assert_string_equal(replay_line(&replay, &rec), "source address");
	rec.kind = TRACE_DUMP;
	assert_string_equal(replay_line(&replay, &rec), "source address");
	replay_end(&replay);
	assert_int_equal(replay.offline.mirror.entries, 0);
}

/* Sixty seconds of steady arrivals: the forecast knows what the mirror was told. */
static void test_the_forecast_hears_of_it(void **state)
{
	struct fc_forecast fc;
	char text[256];
	unsigned int count = 0;

	(void)state;
	feed("0,SYSCTL,nf_conntrack_udp_timeout,30\n");
	for (int64_t t = 0; t < 300; t++) {
		for (int i = 0; i < 10; i++) {
			snprintf(text, sizeof(text),
				 "%lld,NEW,%lld,udp,10.0.%lld.%d,10.9.9.9,5,53,UNREPLIED,0,30\n",
				 (long long)(t * S + i * 1000), (long long)(t * 10 + i),
				 (long long)(t % 200), i);
			feed(text);
			count++;
		}
		for (int i = 0; t >= 30 && i < 10; i++) {
			snprintf(text, sizeof(text),
				 "%lld,DESTROY,%lld,udp,10.0.%lld.%d,10.9.9.9,5,53,UNREPLIED,0,0\n",
				 (long long)(t * S + 20000), (long long)((t - 30) * 10 + i),
				 (long long)((t - 30) % 200), i);
			feed(text);
			count--;
		}
		snprintf(text, sizeof(text), "%lld,STAT,%u,1000,0,0\n", (long long)(t * S + 30000),
			 count);
		feed(text);
	}
	assert_int_equal(replay_residual(&replay), 0);
	assert_int_equal(count, 300);
	forecast_compute(replay.forecast, &fc);
	assert_int_equal(fc.verdict, FC_STEADY);
	assert_true(fc.count[2].p50 > 250 && fc.count[2].p50 < 350);
	assert_int_equal(fc.reason[0].port, 53);
	assert_int_equal(fc.reason[0].direction, DIR_FORWARDED);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_from_birth_to_death),		CASE(test_missing_events),
		CASE(test_a_late_dump_removes_nothing), CASE(test_a_wrong_line),
		CASE(test_the_forecast_hears_of_it),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
