// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/frames: passes over rows, against sums kept by the test. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/shm/seqlock.h"
#include "lib/stats/table_log.h"
#include "tests/unit/offline.h"

#define S UINT64_C(1000000000)

struct stage {
	struct histogram hist;
	struct table_log frames;
	struct durations durations;
	struct shm_talkers *talkers;
	struct table_log_second second;
};

static void stage_create(struct stage *stage)
{
	memset(stage, 0, sizeof(*stage));
	assert_int_equal(mirror_offline_histogram(&stage->hist), 0);
	assert_int_equal(table_log_create(&stage->frames, &stage->hist, 100 * S), 0);
	for (unsigned int i = 0; i < 2; i++) {
		stage->frames.rings[i] = calloc(1, sizeof(struct shm_table_log) +
							   SHM_FRAMES * sizeof(struct shm_frame));
		assert_non_null(stage->frames.rings[i]);
		stage->frames.hosts[i] =
			calloc(1, sizeof(struct shm_frame_hosts_log) +
					  SHM_FRAMES * sizeof(struct shm_frame_hosts));
		assert_non_null(stage->frames.hosts[i]);
	}
	stage->talkers = calloc(1, sizeof(*stage->talkers));
	stage->second = (struct table_log_second){
		.now_boot_ns = 100 * S,
		.now_real_ns = 5000 * S,
		.hosts = &stage->talkers->list[SHM_TALKER_SOURCE],
	};
}

static void stage_destroy(struct stage *stage)
{
	table_log_destroy(&stage->frames);
	mirror_offline_histogram_free(&stage->hist);
	free(stage->frames.rings[0]);
	free(stage->frames.rings[1]);
	free(stage->frames.hosts[0]);
	free(stage->frames.hosts[1]);
	free(stage->talkers);
}

static void seconds_pass(struct stage *stage, uint32_t seconds)
{
	for (uint32_t i = 0; i < seconds; i++) {
		stage->second.now_boot_ns += S;
		stage->second.now_real_ns += S;
		table_log_second(&stage->frames, &stage->second);
	}
}

static uint64_t head(const struct stage *stage, unsigned int ring)
{
	return peek_u64(&stage->frames.rings[ring]->head);
}

static const struct shm_frame *last(const struct stage *stage, unsigned int ring)
{
	assert_true(head(stage, ring) > 0);
	return &stage->frames.rings[ring]->frames[(head(stage, ring) - 1) % SHM_FRAMES];
}

static uint32_t cell(uint16_t port, unsigned int state)
{
	return cell_of((struct row_key){L4_TCP, DIR_INBOUND, port}, state);
}

static void come(struct stage *stage, uint16_t port, unsigned int state, uint32_t entries)
{
	uint32_t at =
		histogram_place(&stage->hist, (struct row_key){L4_TCP, DIR_INBOUND, port}, state);

	for (uint32_t i = 0; i < entries; i++) {
		histogram_enter(&stage->hist, at);
		histogram_count_new(&stage->hist, at);
	}
}

static void go(struct stage *stage, uint16_t port, unsigned int state, uint32_t entries)
{
	for (uint32_t i = 0; i < entries; i++) {
		histogram_leave(&stage->hist, cell(port, state));
		histogram_count_destroyed(&stage->hist, cell(port, state), 1);
	}
}

static void assert_row(const struct shm_frame *frame, uint32_t i, uint16_t port, uint32_t entries,
		       uint32_t came, uint32_t went)
{
	assert_int_equal(peek_u32(&frame->rows[i].row),
			 row_of((struct row_key){L4_TCP, DIR_INBOUND, port}));
	assert_int_equal(peek_u32(&frame->rows[i].entries), entries);
	assert_int_equal(peek_u32(&frame->rows[i].new_entries), came);
	assert_int_equal(peek_u32(&frame->rows[i].destroyed_entries), went);
}

static void test_a_frame(void **state)
{
	struct stage stage;
	const struct shm_frame *frame;
	struct shm_talker_list *hosts;

	(void)state;
	stage_create(&stage);
	hosts = &stage.talkers->list[SHM_TALKER_SOURCE];
	poke_u32(&hosts->count, 1);
	poke_u64(&hosts->talker[0].address[0], 77);
	poke_u32(&hosts->talker[0].entries, 30);
	poke_u64(&hosts->talker[1].address[0], 88); /* of before: not in the list */
	stage.second.count_entries = 31;
	stage.second.max_entries = -1;
	stage.second.sources = 3;
	stage.second.counters.drops = 1000; /* of before the agent came */
	come(&stage, 80, ST_TCP_ESTABLISHED, 10);
	come(&stage, 80, ST_TCP_TIME_WAIT, 12);
	come(&stage, 22, ST_TCP_ESTABLISHED, 11);
	go(&stage, 22, ST_TCP_ESTABLISHED, 3);
	seconds_pass(&stage, 9);
	assert_int_equal(head(&stage, 0), 0);
	stage.second.counters.drops = 1007;
	seconds_pass(&stage, 1);
	assert_int_equal(head(&stage, 0), 1);
	assert_int_equal(head(&stage, 1), 0);
	frame = last(&stage, 0);
	assert_int_equal(peek_u64(&frame->real_ns), 5010 * S);
	assert_int_equal(peek_u32(&frame->count_entries), 31);
	assert_int_equal(peek_u32(&frame->max_entries), 0);
	assert_int_equal(peek_u32(&frame->rows_active), 2);
	assert_int_equal(peek_u32(&frame->sources), 3);
	assert_int_equal(peek_u32(&frame->drops), 7);
	assert_row(frame, 0, 80, 22, 22, 0);
	assert_row(frame, 1, 22, 8, 11, 3);
	assert_int_equal(peek_u32(&frame->rows[2].row), ROW_INVALID);
	assert_int_equal(peek_u32(&frame->cells[0].cell), cell(80, ST_TCP_TIME_WAIT));
	assert_int_equal(peek_u32(&frame->cells[1].entries), 10);
	assert_int_equal(peek_u32(&frame->cells[2].cell), cell(22, ST_TCP_ESTABLISHED));
	assert_int_equal(peek_u32(&frame->cells[3].cell), CELL_INVALID);
	assert_int_equal(peek_u64(&stage.frames.hosts[0]->head), 1);
	assert_int_equal(peek_u64(&stage.frames.hosts[0]->frames[0].real_ns), 5010 * S);
	assert_int_equal(peek_u64(&stage.frames.hosts[0]->frames[0].hosts[0].address[0]), 77);
	assert_int_equal(peek_u64(&stage.frames.hosts[0]->frames[0].hosts[1].address[0]), 0);
	/* Only what the next ten seconds bring is in the next one. */
	go(&stage, 80, ST_TCP_TIME_WAIT, 12);
	seconds_pass(&stage, 10);
	assert_row(last(&stage, 0), 0, 80, 10, 0, 12);
	assert_int_equal(peek_u32(&last(&stage, 0)->drops), 0);
	stage_destroy(&stage);
}

/* A minute is the sum of its passes, also of a row that was off the map in between. */
static void test_a_minute(void **state)
{
	struct stage stage;
	uint32_t row = row_of((struct row_key){L4_TCP, DIR_INBOUND, 443});

	(void)state;
	stage_create(&stage);
	for (uint32_t i = 0; i < 6; i++) {
		come(&stage, 443, ST_TCP_ESTABLISHED, 5);
		seconds_pass(&stage, 10);
	}
	assert_int_equal(head(&stage, 0), 6);
	assert_int_equal(head(&stage, 1), 1);
	assert_row(last(&stage, 0), 0, 443, 30, 5, 0);
	assert_row(last(&stage, 1), 0, 443, 30, 30, 0);
	go(&stage, 443, ST_TCP_ESTABLISHED, 30);
	seconds_pass(&stage, 20);
	histogram_retire(&stage.hist, row);
	seconds_pass(&stage, 100);
	assert_int_equal(head(&stage, 1), 3);
	assert_int_equal(peek_u32(&last(&stage, 1)->rows[0].row), ROW_INVALID);
	come(&stage, 443, ST_TCP_ESTABLISHED, 2);
	seconds_pass(&stage, 60);
	assert_row(last(&stage, 1), 0, 443, 2, 2, 0);
	stage_destroy(&stage);
}

/* The largest of more rows than fit, in order; and passes that take several seconds. */
static void test_many_rows(void **state)
{
	struct stage stage;
	const struct shm_frame *frame;
	uint32_t rows = 0;

	(void)state;
	stage_create(&stage);
	for (uint32_t d = 0; d < 2; d++)
		for (uint32_t port = 0; port < PORT_COUNT; port++, rows++)
			histogram_enter(&stage.hist,
					histogram_place(&stage.hist,
							(struct row_key){L4_UDP, (uint8_t)d,
									 (uint16_t)port},
							ST_GENERIC_UNREPLIED));
	for (uint32_t i = 1; i <= 100; i++)
		come(&stage, (uint16_t)(i * 37), ST_TCP_SYN_SENT, 1 + i);
	rows += 100;
	seconds_pass(&stage, 10);
	assert_int_equal(head(&stage, 0), 0);
	seconds_pass(&stage, 2);
	assert_int_equal(head(&stage, 0), 1);
	frame = last(&stage, 0);
	assert_int_equal(peek_u32(&frame->rows_active), rows);
	for (uint32_t i = 0; i < SHM_FRAME_ROWS; i++)
		assert_row(frame, i, (uint16_t)((100 - i) * 37), 101 - i, 101 - i, 0);
	for (uint32_t i = 0; i < SHM_FRAME_CELLS; i++)
		assert_int_equal(peek_u32(&frame->cells[i].entries), 101 - i);
	seconds_pass(&stage, 10);
	assert_int_equal(head(&stage, 0), 2);
	stage_destroy(&stage);
}

/* A machine that slept, and rings that go round. */
static void test_rings(void **state)
{
	struct stage stage;

	(void)state;
	stage_create(&stage);
	seconds_pass(&stage, 10 * (SHM_FRAMES + 3));
	assert_int_equal(head(&stage, 0), SHM_FRAMES + 3);
	stage.second.now_boot_ns += 3600 * S;
	seconds_pass(&stage, 9);
	assert_int_equal(head(&stage, 0), SHM_FRAMES + 4);
	seconds_pass(&stage, 10);
	assert_int_equal(head(&stage, 0), SHM_FRAMES + 5);
	stage_destroy(&stage);
}

/* Rows that do much have details before those that hold something. */
static void test_busy_rows_get_details(void **state)
{
	struct stage stage;
	struct shm_detail *details = calloc(SHM_DETAILS + SHM_DETAIL_POOLS, sizeof(*details));
	uint32_t row = row_of((struct row_key){L4_TCP, DIR_INBOUND, 9999});

	(void)state;
	stage_create(&stage);
	assert_int_equal(durations_create(&stage.durations, &stage.hist), 0);
	for (unsigned int i = 0; i < SHM_DETAILS; i++)
		poke_u32(&details[i].row, ROW_INVALID);
	stage.durations.details = details;
	stage.frames.durations = &stage.durations;
	for (uint32_t i = 0; i < SHM_DETAILS; i++) {
		come(&stage, (uint16_t)i, ST_TCP_ESTABLISHED, 3);
		durations_moved(&stage.durations, cell((uint16_t)i, ST_TCP_SYN_SENT), S);
	}
	seconds_pass(&stage, 170);
	assert_int_equal(stage.durations.of_row[row], 0);
	come(&stage, 9999, ST_TCP_ESTABLISHED, 10);
	go(&stage, 9999, ST_TCP_ESTABLISHED, 10);
	seconds_pass(&stage, 10);
	assert_int_not_equal(stage.durations.of_row[row], 0);
	durations_destroy(&stage.durations);
	stage_destroy(&stage);
	free(details);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_frame),
		cmocka_unit_test(test_a_minute),
		cmocka_unit_test(test_many_rows),
		cmocka_unit_test(test_rings),
		cmocka_unit_test(test_busy_rows_get_details),
	};

	return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
