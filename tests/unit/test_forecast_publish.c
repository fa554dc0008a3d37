// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/forecast_publish and lib/stats/observer: from the mirror's changes to what readers see. */
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <string.h>

#include "agent/forecast_publish.h"
#include "lib/shm/seqlock.h"
#include "lib/stats/observer.h"
#include "tests/unit/offline.h"

#define S UINT64_C(1000000000)

static void test_the_lowest_limit_counts(void **state)
{
	static const struct {
		int64_t max, chain;
		uint32_t assumed, limit, kind;
	} rows[] = {
		{0, -1, 0, 0, SHM_LIMIT_NONE},
		{-1, -1, 0, 0, SHM_LIMIT_NONE},
		{1000, 25000, 0, 1000, SHM_LIMIT_MAX},
		{100000, 25600, 0, 25600, SHM_LIMIT_CHAIN},
		{0, 25600, 0, 25600, SHM_LIMIT_CHAIN},
		{1000, 25600, 500, 500, SHM_LIMIT_ASSUMED},
		{1000, 25600, 5000, 1000, SHM_LIMIT_MAX},
		{0, -1, 500, 500, SHM_LIMIT_ASSUMED},
		{INT64_MAX, INT64_MAX, 0, 0, SHM_LIMIT_NONE},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		const struct forecast_publish_second second = {.max_entries = rows[i].max,
							       .chain_limit_entries = rows[i].chain,
							       .assumed_max_entries =
								       rows[i].assumed};
		uint32_t kind;

		assert_int_equal(forecast_publish_limit(&second, &kind), rows[i].limit);
		assert_int_equal(kind, rows[i].kind);
	}
}

/* A mirror whose changes are told to a forecast, and where that writes. */
struct frame {
	struct mirror_offline offline;
	struct observer observer;
	struct forecast_publish publisher;
	struct shm_forecast to;
	struct shm_pasts *pasts;
	uint32_t next_number;
	int64_t max_entries;
};

static void frame_create(struct frame *frame)
{
	memset(frame, 0, sizeof(*frame));
	ct_hash_seed_fixed(1);
	assert_int_equal(mirror_offline_create(&frame->offline, 100000), 0);
	observer_init(&frame->observer);
	frame->observer.forecast = forecast_create((int64_t)frame->offline.mirror.now_ns);
	assert_non_null(frame->observer.forecast);
	frame->offline.mirror.hook = &frame->observer.hook;
	frame->pasts = calloc(1, sizeof(struct shm_pasts) + SHM_PASTS * sizeof(struct shm_past));
	assert_non_null(frame->pasts);
	forecast_publish_init(&frame->publisher, frame->observer.forecast, &frame->to, frame->pasts,
			      frame->offline.mirror.now_ns);
	frame->max_entries = 10000;
}

static void frame_destroy(struct frame *frame)
{
	mirror_offline_destroy(&frame->offline);
	forecast_destroy(frame->observer.forecast);
	free(frame->pasts);
}

static void tell(struct frame *frame, enum ct_kind kind, uint32_t number)
{
	struct ct_event event = offline_event((struct told){
		.kind = kind, .number = number, .id = number, .l4num = IPPROTO_UDP, .state = -1});

	event.has |= CT_HAS_TIMEOUT;
	event.timeout_s = kind == CT_DESTROY ? 0 : 30;
	mirror_event(&frame->offline.mirror, &event);
}

static void second_passes(struct frame *frame)
{
	struct forecast_publish_second second = {.max_entries = frame->max_entries,
						 .chain_limit_entries = -1};

	mirror_offline_pass(&frame->offline, S / 2);
	second.now_boot_ns = second.now_real_ns = frame->offline.mirror.now_ns;
	second.count_entries = frame->offline.mirror.entries;
	forecast_publish_second(&frame->publisher, &second);
}

/* Unanswered UDP, `rate` a second, each there for 30 s; not all at one instant. */
static void run(struct frame *frame, uint32_t seconds, uint32_t rate)
{
	for (uint32_t i = 0; i < seconds; i++) {
		for (uint32_t k = 0; k < rate; k++) {
			mirror_offline_pass(&frame->offline, S / 2 / rate);
			if (frame->offline.mirror.entries >= 30 * rate)
				tell(frame, CT_DESTROY, frame->next_number - 30 * rate);
			tell(frame, CT_NEW, frame->next_number++);
		}
		second_passes(frame);
	}
}

static void test_a_level_is_foreseen(void **state)
{
	struct frame *frame = calloc(1, sizeof(*frame));
	const struct shm_horizon *soon;

	(void)state;
	frame_create(frame);
	run(frame, 1, 20);
	assert_int_equal(peek_u32(&frame->to.verdict), SHM_VERDICT_WATCHING);
	assert_int_equal(peek_u64(&frame->pasts->head), 0);
	run(frame, 400, 20);
	soon = &frame->to.horizon[2];
	assert_int_equal(peek_u32(&frame->to.verdict), SHM_VERDICT_STEADY);
	assert_int_equal(peek_u32(&frame->to.limit_entries), 10000);
	assert_in_range(peek_u32(&soon->p50_entries), 540, 660);
	assert_in_range(peek_u32(&frame->to.settles_at_entries), 540, 660);
	assert_true(peek_u32(&soon->lo80_entries) <= peek_u32(&soon->p50_entries));
	assert_true(peek_u32(&soon->hi80_entries) >= peek_u32(&soon->p50_entries));
	assert_int_equal(peek_u64(&frame->to.full_likely_ms), SHM_NEVER_MS);
	assert_int_equal(peek_u64(&frame->to.seq) % 2, 0);
	/* The tuples of offline_event() go to seven ports. */
	assert_int_equal(peek_u32(&frame->to.reason_count), 7);
	assert_int_equal(peek_u32(&frame->to.reason[0].key) & 255u, L4_UDP);
	frame_destroy(frame);
	free(frame);
}

/* Its own record: made once a minute, compared when the moment comes, not before. */
static void test_what_came_is_set_beside(void **state)
{
	struct frame *frame = calloc(1, sizeof(*frame));
	uint64_t made;

	(void)state;
	frame_create(frame);
	run(frame, 600, 20);
	made = peek_u64(&frame->pasts->head);
	assert_in_range(made, 8, 10);
	assert_in_range(peek_u32(&frame->to.horizon[0].compared), made - 1, made);
	assert_in_range(peek_u32(&frame->to.horizon[1].compared), made - 2, made);
	assert_int_equal(peek_u32(&frame->to.horizon[3].compared), 0);
	assert_in_range(peek_u32(&frame->pasts->pasts[0].came_entries[0]), 590, 610);
	assert_int_equal(peek_u32(&frame->pasts->pasts[0].came_entries[3]), SHM_NOT_YET);
	for (unsigned int h = 0; h < SHM_HORIZONS; h++)
		assert_true(peek_u32(&frame->to.horizon[h].held) <=
			    peek_u32(&frame->to.horizon[h].compared));
	/* Nobody knows what the count was while nobody looked. */
	mirror_offline_pass(&frame->offline, 600 * S);
	run(frame, 1, 20);
	made = peek_u64(&frame->pasts->head);
	assert_int_equal(peek_u32(&frame->pasts->pasts[7].came_entries[2]), SHM_NOT_YET);
	frame_destroy(frame);
	free(frame);
}

/* A rate that fills it: announced, with an interval, and the alarm. */
static void test_filling_is_announced(void **state)
{
	struct frame *frame = calloc(1, sizeof(*frame));
	uint64_t early, likely, late;

	(void)state;
	frame_create(frame);
	run(frame, 200, 20);
	frame->max_entries = 3000;
	/* 200 a second more, for ever: 2,400 more entries take 12 s. */
	for (int i = 0; i < 9; i++) {
		for (int k = 0; k < 200; k++) {
			mirror_offline_pass(&frame->offline, S / 400);
			tell(frame, CT_NEW, frame->next_number++);
		}
		second_passes(frame);
	}
	early = peek_u64(&frame->to.full_early_ms);
	likely = peek_u64(&frame->to.full_likely_ms);
	late = peek_u64(&frame->to.full_late_ms);
	assert_int_equal(peek_u32(&frame->to.verdict), SHM_VERDICT_FILLING);
	assert_int_equal(peek_u32(&frame->to.alarm), 1);
	assert_true(early <= likely && likely <= late);
	assert_in_range(likely, 500, 12000);
	frame_destroy(frame);
	free(frame);
}

#define SAW_RATE    20u
#define SAW_STAY_S  30u
#define SAW_ROUND_S 40u

/* One second of arrivals; who expired goes when the collector comes round. */
static void saw_second(struct frame *frame, uint32_t at_s, uint32_t *gone)
{
	for (uint32_t k = 0; k < SAW_RATE; k++) {
		mirror_offline_pass(&frame->offline, S / 2 / SAW_RATE);
		tell(frame, CT_NEW, frame->next_number++);
	}
	if (at_s % SAW_ROUND_S == 0)
		while (*gone + SAW_STAY_S * SAW_RATE < frame->next_number)
			tell(frame, CT_DESTROY, (*gone)++);
	second_passes(frame);
}

static int32_t apart(uint32_t a, uint32_t b)
{
	return a > b ? (int32_t)(a - b) : (int32_t)(b - a);
}

/* On a quiet host only the collector removes what has expired: the count is a saw,
 * which is neither filling nor draining, and can be foreseen. */
static void test_the_collectors_saw(void **state)
{
	enum { SECONDS = 700, FROM = 300, AHEAD = 30 };
	struct frame *frame = calloc(1, sizeof(*frame));
	uint32_t foreseen[SECONDS], count[SECONDS], gone = 0;
	int32_t error = 0, error_last = 0;

	(void)state;
	frame_create(frame);
	frame->max_entries = 3000;
	for (uint32_t i = 0; i < SECONDS; i++) {
		saw_second(frame, i + 1, &gone);
		count[i] = frame->offline.mirror.entries;
		foreseen[i] = peek_u32(&frame->to.horizon[0].p50_entries);
		assert_int_equal(peek_u32(&frame->to.alarm), 0);
		if (i > FROM)
			assert_int_equal(peek_u32(&frame->to.verdict), SHM_VERDICT_STEADY);
	}
	for (uint32_t i = FROM; i + AHEAD < SECONDS; i++) {
		error += apart(foreseen[i], count[i + AHEAD]);
		error_last += apart(count[i], count[i + AHEAD]);
	}
	if (error * 10 > error_last * 4)
		fail_msg("mean error %d, of the last value %d", error / (SECONDS - FROM),
			 error_last / (SECONDS - FROM));
	frame_destroy(frame);
	free(frame);
}

static void test_nothing_known_of_the_count(void **state)
{
	struct frame *frame = calloc(1, sizeof(*frame));
	struct forecast_publish_second second = {.count_entries = -1, .max_entries = -1};

	(void)state;
	frame_create(frame);
	second.now_boot_ns = frame->offline.mirror.now_ns + S;
	forecast_publish_second(&frame->publisher, &second);
	assert_int_equal(peek_u64(&frame->to.computed_boot_ns), 0);
	frame_destroy(frame);
	free(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_lowest_limit_counts),
		cmocka_unit_test(test_a_level_is_foreseen),
		cmocka_unit_test(test_what_came_is_set_beside),
		cmocka_unit_test(test_filling_is_announced),
		cmocka_unit_test(test_the_collectors_saw),
		cmocka_unit_test(test_nothing_known_of_the_count),
	};

	return cmocka_run_group_tests_name("outlook", tests, NULL, NULL);
}
