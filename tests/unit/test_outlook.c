// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/outlook and agent/witness: from the mirror's changes to what readers see. */
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <string.h>

#include "agent/forecast_publish.h"
#include "lib/shm/seqlock.h"
#include "lib/stats/observer.h"
#include "tests/unit/world.h"

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
		const struct outlook_second second = {.max_entries = rows[i].max,
						      .chain_limit_entries = rows[i].chain,
						      .assumed_max_entries = rows[i].assumed};
		uint32_t kind;

		assert_int_equal(outlook_limit(&second, &kind), rows[i].limit);
		assert_int_equal(kind, rows[i].kind);
	}
}

/* A mirror whose changes are told to a forecast, and where that writes. */
struct scene {
	struct world world;
	struct witness witness;
	struct outlook outlook;
	struct shm_forecast to;
	struct shm_pasts *pasts;
	uint32_t next_number;
	int64_t max_entries;
};

static void scene_create(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	ct_hash_seed_fixed(1);
	assert_int_equal(world_create(&scene->world, 100000), 0);
	witness_init(&scene->witness);
	scene->witness.forecast = forecast_create((int64_t)scene->world.mirror.now_ns);
	assert_non_null(scene->witness.forecast);
	scene->world.mirror.hook = &scene->witness.hook;
	scene->pasts = calloc(1, sizeof(struct shm_pasts) + SHM_PASTS * sizeof(struct shm_past));
	assert_non_null(scene->pasts);
	outlook_init(&scene->outlook, scene->witness.forecast, &scene->to, scene->pasts,
		     scene->world.mirror.now_ns);
	scene->max_entries = 10000;
}

static void scene_destroy(struct scene *scene)
{
	world_destroy(&scene->world);
	forecast_destroy(scene->witness.forecast);
	free(scene->pasts);
}

static void tell(struct scene *scene, enum ct_kind kind, uint32_t number)
{
	struct ct_event event = world_event((struct told){
		.kind = kind, .number = number, .id = number, .l4num = IPPROTO_UDP, .state = -1});

	event.has |= CT_HAS_TIMEOUT;
	event.timeout_s = kind == CT_DESTROY ? 0 : 30;
	mirror_event(&scene->world.mirror, &event);
}

static void second_passes(struct scene *scene)
{
	struct outlook_second second = {.max_entries = scene->max_entries,
					.chain_limit_entries = -1};

	world_pass(&scene->world, S / 2);
	second.now_boot_ns = second.now_real_ns = scene->world.mirror.now_ns;
	second.count_entries = scene->world.mirror.entries;
	outlook_second(&scene->outlook, &second);
}

/* Unanswered UDP, `rate` a second, each there for 30 s; not all at one instant. */
static void run(struct scene *scene, uint32_t seconds, uint32_t rate)
{
	for (uint32_t i = 0; i < seconds; i++) {
		for (uint32_t k = 0; k < rate; k++) {
			world_pass(&scene->world, S / 2 / rate);
			if (scene->world.mirror.entries >= 30 * rate)
				tell(scene, CT_DESTROY, scene->next_number - 30 * rate);
			tell(scene, CT_NEW, scene->next_number++);
		}
		second_passes(scene);
	}
}

static void test_a_level_is_foreseen(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const struct shm_outlook *soon;

	(void)state;
	scene_create(scene);
	run(scene, 1, 20);
	assert_int_equal(peek_u32(&scene->to.verdict), SHM_VERDICT_WATCHING);
	assert_int_equal(peek_u64(&scene->pasts->head), 0);
	run(scene, 400, 20);
	soon = &scene->to.outlook[2];
	assert_int_equal(peek_u32(&scene->to.verdict), SHM_VERDICT_STEADY);
	assert_int_equal(peek_u32(&scene->to.limit_entries), 10000);
	assert_in_range(peek_u32(&soon->p50_entries), 540, 660);
	assert_in_range(peek_u32(&scene->to.steady_entries), 540, 660);
	assert_true(peek_u32(&soon->lo80_entries) <= peek_u32(&soon->p50_entries));
	assert_true(peek_u32(&soon->hi80_entries) >= peek_u32(&soon->p50_entries));
	assert_int_equal(peek_u64(&scene->to.full_likely_ms), SHM_NEVER_MS);
	assert_int_equal(peek_u64(&scene->to.seq) % 2, 0);
	/* The tuples of world_event() go to seven ports. */
	assert_int_equal(peek_u32(&scene->to.reason_count), 7);
	assert_int_equal(peek_u32(&scene->to.reason[0].key) & 255u, L4_UDP);
	scene_destroy(scene);
	free(scene);
}

/* Its own record: made once a minute, compared when the moment comes, not before. */
static void test_what_came_is_set_beside(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	uint64_t made;

	(void)state;
	scene_create(scene);
	run(scene, 600, 20);
	made = peek_u64(&scene->pasts->head);
	assert_in_range(made, 8, 10);
	assert_in_range(peek_u32(&scene->to.outlook[0].compared), made - 1, made);
	assert_in_range(peek_u32(&scene->to.outlook[1].compared), made - 2, made);
	assert_int_equal(peek_u32(&scene->to.outlook[3].compared), 0);
	assert_in_range(peek_u32(&scene->pasts->pasts[0].came_entries[0]), 590, 610);
	assert_int_equal(peek_u32(&scene->pasts->pasts[0].came_entries[3]), SHM_NOT_YET);
	for (unsigned int h = 0; h < SHM_HORIZONS; h++)
		assert_true(peek_u32(&scene->to.outlook[h].held) <=
			    peek_u32(&scene->to.outlook[h].compared));
	/* Nobody knows what the count was while nobody looked. */
	world_pass(&scene->world, 600 * S);
	run(scene, 1, 20);
	made = peek_u64(&scene->pasts->head);
	assert_int_equal(peek_u32(&scene->pasts->pasts[7].came_entries[2]), SHM_NOT_YET);
	scene_destroy(scene);
	free(scene);
}

/* A rate that fills it: announced, with an interval, and the alarm. */
static void test_filling_is_announced(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	uint64_t early, likely, late;

	(void)state;
	scene_create(scene);
	run(scene, 200, 20);
	scene->max_entries = 3000;
	/* 200 a second more, for ever: 2,400 more entries take 12 s. */
	for (int i = 0; i < 9; i++) {
		for (int k = 0; k < 200; k++) {
			world_pass(&scene->world, S / 400);
			tell(scene, CT_NEW, scene->next_number++);
		}
		second_passes(scene);
	}
	early = peek_u64(&scene->to.full_early_ms);
	likely = peek_u64(&scene->to.full_likely_ms);
	late = peek_u64(&scene->to.full_late_ms);
	assert_int_equal(peek_u32(&scene->to.verdict), SHM_VERDICT_FILLING);
	assert_int_equal(peek_u32(&scene->to.alarm), 1);
	assert_true(early <= likely && likely <= late);
	assert_in_range(likely, 500, 12000);
	scene_destroy(scene);
	free(scene);
}

#define SAW_RATE    20u
#define SAW_STAY_S  30u
#define SAW_ROUND_S 40u

/* One second of arrivals; who expired goes when the collector comes round. */
static void saw_second(struct scene *scene, uint32_t at_s, uint32_t *gone)
{
	for (uint32_t k = 0; k < SAW_RATE; k++) {
		world_pass(&scene->world, S / 2 / SAW_RATE);
		tell(scene, CT_NEW, scene->next_number++);
	}
	if (at_s % SAW_ROUND_S == 0)
		while (*gone + SAW_STAY_S * SAW_RATE < scene->next_number)
			tell(scene, CT_DESTROY, (*gone)++);
	second_passes(scene);
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
	struct scene *scene = calloc(1, sizeof(*scene));
	uint32_t foreseen[SECONDS], count[SECONDS], gone = 0;
	int32_t error = 0, error_last = 0;

	(void)state;
	scene_create(scene);
	scene->max_entries = 3000;
	for (uint32_t i = 0; i < SECONDS; i++) {
		saw_second(scene, i + 1, &gone);
		count[i] = scene->world.mirror.entries;
		foreseen[i] = peek_u32(&scene->to.outlook[0].p50_entries);
		assert_int_equal(peek_u32(&scene->to.alarm), 0);
		if (i > FROM)
			assert_int_equal(peek_u32(&scene->to.verdict), SHM_VERDICT_STEADY);
	}
	for (uint32_t i = FROM; i + AHEAD < SECONDS; i++) {
		error += apart(foreseen[i], count[i + AHEAD]);
		error_last += apart(count[i], count[i + AHEAD]);
	}
	if (error * 10 > error_last * 4)
		fail_msg("mean error %d, of the last value %d", error / (SECONDS - FROM),
			 error_last / (SECONDS - FROM));
	scene_destroy(scene);
	free(scene);
}

static void test_nothing_known_of_the_count(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct outlook_second second = {.count_entries = -1, .max_entries = -1};

	(void)state;
	scene_create(scene);
	second.now_boot_ns = scene->world.mirror.now_ns + S;
	outlook_second(&scene->outlook, &second);
	assert_int_equal(peek_u64(&scene->to.computed_boot_ns), 0);
	scene_destroy(scene);
	free(scene);
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
