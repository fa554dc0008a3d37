// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/stats/ages: what is counted of records, against entries that the test made. */
#include "tests/unit/unit.h"

#include <math.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/forecast/forecast.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/snap_ages.h"
#include "lib/stats/ages.h"
#include "tests/unit/offline.h"

#define S UINT64_C(1000000000)

struct stage {
	struct mirror_offline offline;
	struct ages ages;
	struct shm_ages_set *sets;
	struct snap_ages *snap;
	uint64_t real_ns;
};

static void stage_create(struct stage *stage)
{
	memset(stage, 0, sizeof(*stage));
	ct_hash_seed_fixed(1);
	assert_int_equal(mirror_offline_create(&stage->offline, 100000), 0);
	stage->sets = calloc(SHM_AGE_SETS, sizeof(*stage->sets));
	stage->snap = calloc(SHM_AGE_SETS, sizeof(*stage->snap));
	assert_non_null(stage->sets);
	assert_non_null(stage->snap);
	ages_init(&stage->ages, &stage->offline.mirror, stage->sets);
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++)
		stage->offline.mirror.timeouts_s[i] = timeout_info(i)->default_s;
	stage->real_ns = 7200 * S;
}

static void stage_destroy(struct stage *stage)
{
	mirror_offline_destroy(&stage->offline);
	free(stage->sets);
	free(stage->snap);
}

static void tell(struct stage *stage, uint32_t number, enum ct_kind kind, int state,
		 uint32_t status)
{
	struct ct_event event = offline_event((struct told){.kind = kind,
							    .number = 7 * number,
							    .id = number + 1,
							    .state = state,
							    .status = status});

	mirror_event(&stage->offline.mirror, &event);
}

/* A dump of one record; the others are shown by it, too, if `all` says so. */
static void dump(struct stage *stage, uint32_t number, int state, uint32_t status,
		 uint32_t remaining_s)
{
	struct mirror_offline *offline = &stage->offline;
	struct ct_event event = offline_event((struct told){.kind = CT_RECORD,
							    .number = 7 * number,
							    .id = number + 1,
							    .state = state,
							    .status = status});

	event.has |= CT_HAS_TIMEOUT;
	event.timeout_s = remaining_s;
	mirror_insert_record(&offline->mirror, &event);
}

static void record(struct stage *stage, uint32_t number, int state, uint32_t status,
		   uint32_t remaining_s)
{
	struct ct_event event = offline_event((struct told){.kind = CT_RECORD,
							    .number = 7 * number,
							    .id = number + 1,
							    .state = state,
							    .status = status});
	uint32_t at = flow_find(&stage->offline.mirror.table, event.hash);

	event.has |= CT_HAS_TIMEOUT;
	event.timeout_s = remaining_s;
	assert_int_not_equal(at, FLOW_NONE);
	mirror_apply_record(&stage->offline.mirror, at, &event);
}

static void pass(struct stage *stage, uint64_t seconds)
{
	mirror_offline_pass(&stage->offline, seconds * S);
	stage->real_ns += seconds * S;
}

static const struct row_key row80 = {L4_TCP, DIR_FORWARDED, 80};

/* One whole walk that counts port 80 in two states. */
static const struct snap_ages *walk(struct stage *stage)
{
	uint32_t cells[] = {cell_of(row80, ST_TCP_TIME_WAIT), cell_of(row80, ST_TCP_ESTABLISHED)};
	uint32_t rows[] = {row_of(row80)};

	ages_begin(&stage->ages, cells, 2, rows, 1);
	for (unsigned int i = 0; stage->ages.walking; i++) {
		assert_true(i < 1000);
		ages_second(&stage->ages, stage->real_ns, 4711);
	}
	snap_ages_copy(stage->sets, stage->snap);
	return snap_ages_now(stage->snap, stage->real_ns);
}

static void test_buckets(void **state)
{
	(void)state;
	for (uint32_t s = 0; s < 600000; s += s < 3000 ? 1 : 997) {
		unsigned int bucket = age_bucket(s);

		assert_true(bucket < SHM_AGE_BUCKETS);
		/* The edges are rounded to 1/1024. */
		assert_true(s >= snap_age_edge_s(bucket) * 0.999 - 1e-9);
		if (bucket < SHM_AGE_BUCKETS - 1)
			assert_true(s < snap_age_edge_s(bucket + 1) * 1.001);
	}
	assert_int_equal(age_bucket(UINT32_MAX), SHM_AGE_BUCKETS - 1);
}

/* 100 a second for 60 s in TIME_WAIT: 3000 are older than 30 s, 6000 younger than a minute. */
static void test_ages_are_counted(void **state)
{
	struct stage stage;
	const struct snap_ages *now;
	const struct snap_ages_cell *cell;

	(void)state;
	stage_create(&stage);
	for (uint32_t second = 0; second < 60; second++) {
		for (uint32_t i = 0; i < 100; i++)
			tell(&stage, second * 100 + i, CT_NEW, ST_TCP_TIME_WAIT, 0);
		pass(&stage, 1);
	}
	now = walk(&stage);
	assert_non_null(now);
	assert_int_equal(now->count_entries, 4711);
	assert_int_equal(now->all.entries, 6000);
	cell = snap_ages_cell(now, &row80, ST_TCP_TIME_WAIT);
	assert_non_null(cell);
	assert_int_equal(cell->entries, 6000);
	assert_int_equal(cell->told, 0);
	assert_true(fabs(snap_ages_older(cell->age, 30) - 3000) < 150);
	assert_true(fabs(snap_ages_older(cell->age, 10) - 5000) < 150);
	assert_true(snap_ages_older(cell->age, 64) < 1);
	assert_true(fabs(snap_ages_older(cell->age, 0) - 6000) < 1);
	/* They leave the state, and are not counted there. */
	for (uint32_t i = 0; i < 6000; i++)
		tell(&stage, i, CT_DESTROY, ST_TCP_TIME_WAIT, 0);
	assert_int_equal(walk(&stage)->all.entries, 0);
	stage_destroy(&stage);
}

/* Busy, idle, shortened by the kernel, and told nothing of. */
static void test_idle_of_records(void **state)
{
	struct stage stage;
	const struct snap_ages_cell *cell;

	(void)state;
	stage_create(&stage);
	for (uint32_t i = 0; i < 400; i++)
		tell(&stage, i, CT_NEW, ST_TCP_ESTABLISHED, 0);
	pass(&stage, 5000);
	for (uint32_t i = 0; i < 100; i++)
		record(&stage, i, ST_TCP_ESTABLISHED, 0, 432000 - 3);
	for (uint32_t i = 100; i < 200; i++)
		record(&stage, i, ST_TCP_ESTABLISHED, 0, 432000 - 4999);
	for (uint32_t i = 200; i < 300; i++)
		record(&stage, i, ST_TCP_ESTABLISHED, 0, 280);
	cell = snap_ages_cell(walk(&stage), &row80, ST_TCP_ESTABLISHED);
	assert_non_null(cell);
	assert_int_equal(cell->entries, 400);
	assert_int_equal(cell->told, 200);
	assert_int_equal(cell->refreshed, 100);
	assert_true(fabs(snap_ages_older(cell->idle, 60) - 100) < 1);
	assert_true(fabs(snap_ages_older(cell->age, 60) - 400) < 1);
	/* Another state: what was told is of the one before. */
	for (uint32_t i = 0; i < 200; i++)
		tell(&stage, i, CT_UPDATE, ST_TCP_TIME_WAIT, 0);
	cell = snap_ages_cell(walk(&stage), &row80, ST_TCP_TIME_WAIT);
	assert_non_null(cell);
	assert_int_equal(cell->entries, 200);
	assert_int_equal(cell->told, 0);
	assert_true(snap_ages_older(cell->age, 1) < 1);
	stage_destroy(&stage);
}

/* Under a policy the deadline says nothing of the idle time, for it is reckoned from the setting.
 */
static void test_no_idle_of_an_own_timeout(void **state)
{
	static const struct {
		uint32_t timeout_s, told;
	} cases[] = {{432000, 100}, {600, 0}, {500000, 0}, {300, 100}, {0, 100}};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct forecast *forecast = forecast_create(0);
		struct fc_move move = {.since_ns = FC_SINCE_UNKNOWN,
				       .l4proto = row80.l4proto,
				       .direction = row80.direction,
				       .port = row80.port,
				       .from = FC_NONE,
				       .to = FC_ESTABLISHED,
				       .timeout_s = cases[i].timeout_s};
		const struct snap_ages_cell *cell;
		struct stage stage;

		assert_non_null(forecast);
		/* Of one alone it is not yet that of most. */
		for (unsigned int k = 0; k < 5; k++)
			forecast_move(forecast, &move);
		stage_create(&stage);
		stage.ages.forecast = forecast;
		for (uint32_t k = 0; k < 100; k++)
			tell(&stage, k, CT_NEW, ST_TCP_ESTABLISHED, 0);
		pass(&stage, 5000);
		for (uint32_t k = 0; k < 100; k++)
			record(&stage, k, ST_TCP_ESTABLISHED, 0, 431000);
		cell = snap_ages_cell(walk(&stage), &row80, ST_TCP_ESTABLISHED);
		assert_non_null(cell);
		assert_int_equal(cell->entries, 100);
		assert_int_equal(cell->told, cases[i].told);
		assert_true(fabs(snap_ages_older(cell->idle, 0) - cases[i].told) < 0.5);
		stage_destroy(&stage);
		forecast_destroy(forecast);
	}
}

static void test_facts(void **state)
{
	struct stage stage;
	const struct snap_ages_row *row;

	(void)state;
	stage_create(&stage);
	for (uint32_t i = 0; i < 10; i++)
		tell(&stage, i, CT_NEW, ST_TCP_ESTABLISHED, CT_STATUS_SRC_NAT);
	for (uint32_t i = 10; i < 13; i++)
		tell(&stage, i, CT_NEW, ST_TCP_ESTABLISHED, CT_STATUS_DST_NAT | CT_STATUS_HELPER);
	/* Found in the table; a helper that came after the birth. */
	dump(&stage, 20, ST_TCP_ESTABLISHED, CT_STATUS_SRC_NAT, 400000);
	tell(&stage, 21, CT_NEW, ST_TCP_ESTABLISHED, 0);
	record(&stage, 21, ST_TCP_ESTABLISHED, CT_STATUS_HELPER, 400000);
	row = snap_ages_row(walk(&stage), &row80);
	assert_non_null(row);
	assert_int_equal(row->entries, 15);
	assert_int_equal(row->src_nat, 11);
	assert_int_equal(row->dst_nat, 3);
	assert_int_equal(row->helper, 4);
	assert_int_equal(row->ipv6, 0);
	assert_int_equal(row->zoned, 0);
	assert_null(snap_ages_row(stage.snap, &(struct row_key){L4_UDP, DIR_INBOUND, 53}));
	stage_destroy(&stage);
}

/* The fullest moment of an hour is kept as long as that, and no longer. */
static void test_peak(void **state)
{
	struct stage stage;

	(void)state;
	stage_create(&stage);
	for (uint32_t i = 0; i < 500; i++)
		tell(&stage, i, CT_NEW, ST_TCP_TIME_WAIT, 0);
	walk(&stage);
	for (uint32_t i = 100; i < 500; i++)
		tell(&stage, i, CT_DESTROY, ST_TCP_TIME_WAIT, 0);
	pass(&stage, 60);
	walk(&stage);
	assert_int_equal(snap_ages_now(stage.snap, stage.real_ns)->all.entries, 100);
	assert_int_equal(snap_ages_peak(stage.snap, stage.real_ns)->all.entries, 500);
	for (unsigned int minute = 0; minute < 70; minute++) {
		pass(&stage, 60);
		walk(&stage);
	}
	assert_int_equal(snap_ages_peak(stage.snap, stage.real_ns)->all.entries, 100);
	/* Nothing of now where the agent is silent. */
	assert_null(snap_ages_now(stage.snap, stage.real_ns + 200 * S));
	assert_null(snap_ages_peak(stage.snap, stage.real_ns + 3601 * S));
	stage_destroy(&stage);
}

/* Nothing in a segment is trusted. */
static void test_hostile(void **state)
{
	struct stage stage;
	struct rng rng = rng_seeded(3);
	_Atomic uint32_t *words;

	(void)state;
	stage_create(&stage);
	for (unsigned int round = 0; round < 20; round++) {
		words = (_Atomic uint32_t *)(void *)stage.sets;
		for (size_t i = 0; i < SHM_AGE_SETS * sizeof(*stage.sets) / 4; i++)
			poke_u32(&words[i], (uint32_t)rng_next(&rng));
		for (unsigned int i = 0; i < SHM_AGE_SETS; i++)
			poke_u64(&stage.sets[i].seq, 2);
		snap_ages_copy(stage.sets, stage.snap);
		for (unsigned int i = 0; i < SHM_AGE_SETS; i++) {
			const struct snap_ages *set = &stage.snap[i];

			assert_true(set->row_count <= SHM_AGES_ROWS &&
				    set->cell_count <= SHM_AGES_CELLS);
			for (uint32_t k = 0; k < set->cell_count; k++) {
				assert_true(set->cells[k].told <= set->cells[k].entries);
				assert_true(snap_ages_older(set->cells[k].age, 0) <=
					    set->cells[k].entries);
			}
		}
	}
	stage_destroy(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_ages_are_counted),
		cmocka_unit_test(test_idle_of_records),
		cmocka_unit_test(test_no_idle_of_an_own_timeout),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_peak),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
