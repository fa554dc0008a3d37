// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/mirror/flow_table: against a reference map, its memory, its limit, packed ages. */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>

#include "lib/mirror/flow_table.h"

/* The reference: an array of entries by number, and which of them are where. */
struct model_entry {
	uint64_t hash;
	uint32_t at; /* record in the table */
	uint32_t id;
	uint8_t state; /* 0 absent, 1 live, 2 buried */
};

struct model {
	struct flow_table table;
	struct model_entry *entries;
	uint32_t count;
	uint32_t live;
	uint32_t buried;
};

static uint64_t hash_of(uint64_t seed, uint32_t i)
{
	struct rng rng = rng_seeded(seed * 1000003 + i);

	return rng_next(&rng);
}

static void model_insert(struct model *model, struct model_entry *entry, uint32_t id)
{
	entry->at = flow_insert(&model->table, entry->hash);
	assert_int_not_equal(entry->at, FLOW_NONE);
	flow_at(&model->table, entry->at)->cell_flags = FLOW_LIVE;
	flow_at(&model->table, entry->at)->id = id;
	entry->id = id;
	entry->state = 1;
	model->live++;
}

static void model_check(const struct model *model, uint64_t seed, const struct model_entry *entry)
{
	struct flow_found own = flow_search(&model->table, entry->hash, entry->id);
	struct flow_found other = flow_search(&model->table, entry->hash, entry->id + 1);
	uint32_t live = entry->state == 1 ? entry->at : FLOW_NONE;

	assert_seeded(seed, flow_find(&model->table, entry->hash) == live);
	assert_seeded(seed, own.live == live && other.live == live);
	assert_seeded(seed, own.tombstone == (entry->state == 2 ? entry->at : FLOW_NONE));
	assert_seeded(seed, other.tombstone == FLOW_NONE);
}

/* What the header says of the index: slots are dense, only the last line of a bucket has free ones,
 * no overflow line is empty or left behind, and each record stands in the bucket of its hash. */
static void check_index(const struct flow_table *table, uint64_t seed)
{
	uint32_t records = 0, overflow = 0, spare = 0;

	for (uint32_t bucket = 0; bucket < table->buckets; bucket++) {
		const struct flow_line *line = &table->lines[bucket];

		for (;; line = &table->overflow[line->more]) {
			uint32_t used = flow_line_used(line);

			records += used;
			for (uint32_t i = 0; i < FLOW_LINE_SLOTS; i++) {
				const struct flow *flow = flow_at(table, flow_line_number(line, i));
				uint64_t hash = (uint64_t)flow->hash << 12 | (bucket & 0xfffu);

				assert_seeded(seed, (i < used) == (line->slots[i] != 0));
				assert_seeded(seed,
					      i >= used || flow_bucket(table, hash) == bucket);
			}
			if (!line->more)
				break;
			assert_seeded(seed, used == FLOW_LINE_SLOTS &&
						    table->overflow[line->more].slots[0]);
			overflow++;
		}
	}
	for (uint32_t i = table->overflow_free; i; i = table->overflow[i].more)
		spare++;
	assert_seeded(seed, records == table->linked);
	assert_seeded(seed, overflow + spare + 1 == table->overflow_used);
}

static void model_step(struct model *model, uint64_t seed, struct rng *rng, uint32_t percent_in)
{
	struct model_entry *entry = &model->entries[rng_below(rng, model->count)];

	model_check(model, seed, entry);
	if (entry->state == 0) {
		if (rng_percent(rng, percent_in))
			model_insert(model, entry, (uint32_t)rng_next(rng));
	} else if (entry->state == 1 && rng_percent(rng, 50)) {
		flow_bury(&model->table, entry->hash, entry->at);
		entry->state = 2;
		model->live--;
		model->buried++;
	} else if (entry->state == 1 && !rng_percent(rng, percent_in)) {
		flow_remove(&model->table, entry->hash, entry->at);
		entry->state = 0;
		model->live--;
	} else if (entry->state == 2) {
		flow_remove_tombstone(&model->table, entry->at);
		entry->state = 0;
		model->buried--;
	}
	model_check(model, seed, entry);
	assert_seeded(seed, model->table.linked == model->live + model->buried);
}

static bool visit_nothing(void *arg, struct flow *flow, uint32_t at)
{
	uint8_t *seen = arg;

	(void)flow;
	seen[at] = (uint8_t)(seen[at] + (seen[at] < 255));
	return false;
}

/* What stays linked throughout a scan is seen, though the table grows meanwhile. */
static void model_scan(struct model *model, uint64_t seed, struct rng *rng)
{
	struct flow_cursor cursor = {0, 1 + rng_below(rng, 2000)};
	uint8_t *seen = calloc(model->count + 2, 1);
	uint8_t *before = calloc(model->count + 2, 1);

	for (uint32_t i = 0; i < model->count; i++)
		if (model->entries[i].state)
			before[model->entries[i].at] = 1;
	while (!flow_scan(&model->table, &cursor, visit_nothing, seen)) {
		struct model_entry *entry = &model->entries[rng_below(rng, model->count)];

		if (entry->state == 0)
			model_insert(model, entry, 7);
	}
	for (uint32_t i = 0; i < model->count; i++) {
		uint32_t at = model->entries[i].at;

		assert_seeded(seed, !model->entries[i].state || !before[at] ||
					    (seen[at] >= 1 && seen[at] <= 2));
	}
	free(seen);
	free(before);
}

static bool visit_remove_odd(void *arg, struct flow *flow, uint32_t at)
{
	(void)at;
	(void)arg;
	return flow->cell_flags & FLOW_LIVE && flow->id & 1;
}

static void model_sweep(struct model *model, uint64_t seed)
{
	struct flow_cursor cursor = {0, 777};

	while (!flow_scan(&model->table, &cursor, visit_remove_odd, NULL))
		;
	for (uint32_t i = 0; i < model->count; i++) {
		struct model_entry *entry = &model->entries[i];

		if (entry->state == 1 && entry->id & 1) {
			entry->state = 0;
			model->live--;
		}
		model_check(model, seed, entry);
	}
	assert_seeded(seed, model->table.linked == model->live + model->buried);
}

/* `crowded`: bits of the hash that are 0, so that buckets have many lines. */
static void run_model(uint64_t seed, uint32_t count, uint32_t steps, uint64_t crowded)
{
	struct model model = {.count = count};
	struct rng rng = rng_seeded(seed);

	assert_int_equal(flow_table_create(&model.table, count), 0);
	model.entries = calloc(count, sizeof(*model.entries));
	for (uint32_t i = 0; i < count; i++)
		model.entries[i].hash = hash_of(seed, i) & ~crowded;
	for (uint32_t phase = 0; phase < 3; phase++) {
		for (uint32_t i = 0; i < steps; i++)
			model_step(&model, seed, &rng, phase == 1 ? 20 : 90);
		model_scan(&model, seed, &rng);
		check_index(&model.table, seed);
	}
	model_sweep(&model, seed);
	check_index(&model.table, seed);
	free(model.entries);
	flow_table_destroy(&model.table);
}

static void small_model(uint64_t seed)
{
	run_model(seed, 50 + (uint32_t)seed * 97, 5000, 0);
}

/* Sixteen buckets, four tags: each bucket has dozens of lines, and tags say little. */
static void crowded_model(uint64_t seed)
{
	run_model(seed, 2000 + (uint32_t)seed * 97, 8000, UINT64_C(0xff0) | UINT64_C(0xf) << 52);
}

static void test_model(void **state)
{
	(void)state;
	unit_seeds("flow_table", UNIT_SANITIZED ? 20 : 60, small_model);
}

static void test_model_of_crowded_buckets(void **state)
{
	(void)state;
	unit_seeds("flow_table, crowded", UNIT_SANITIZED ? 5 : 20, crowded_model);
}

static void test_model_through_growth(void **state)
{
	(void)state;
	run_model(1, 300000, UNIT_SANITIZED ? 400000 : 1000000, 0);
}

/* The same where buckets that are split have several lines: bits 14 and 15 of all hashes are 0. */
static void test_growth_of_crowded_buckets(void **state)
{
	(void)state;
	run_model(2, 200000, UNIT_SANITIZED ? 300000 : 600000, UINT64_C(3) << 14);
}

/* At every size, whatever part of the index is split; a sixteenth of a level apart. */
static void test_bytes_per_entry(void **state)
{
	const uint32_t last = UNIT_SANITIZED ? 500000 : 2000000;
	struct flow_table table;
	double most = 0;

	(void)state;
	assert_int_equal(flow_table_create(&table, last), 0);
	for (uint32_t i = 0, next = 100000; i < last; i++) {
		double bytes;

		assert_int_not_equal(flow_insert(&table, hash_of(3, i)), FLOW_NONE);
		if (i + 1 < next)
			continue;
		bytes = (double)flow_table_bytes(&table) / (i + 1);
		most = bytes > most ? bytes : most;
		next += next / 16;
	}
	print_message("[ %.2f bytes an entry at most, 100,000 to %u entries ]\n", most, last);
	assert_true(most <= 32.0);
	flow_table_destroy(&table);
}

static void test_limit(void **state)
{
	struct flow_table table;
	uint32_t first = 0;

	(void)state;
	assert_int_equal(flow_table_create(&table, 1000), 0);
	assert_int_equal(table.limit_entries, 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t at = flow_insert(&table, hash_of(4, i));

		assert_int_not_equal(at, FLOW_NONE);
		flow_at(&table, at)->cell_flags = FLOW_LIVE;
		first = first ? first : at;
	}
	assert_int_equal(flow_insert(&table, 12345), FLOW_NONE);
	/* A tombstone still holds its place; removed, it makes room for one. */
	flow_bury(&table, hash_of(4, 0), first);
	assert_int_equal(flow_insert(&table, 12345), FLOW_NONE);
	flow_remove_tombstone(&table, first);
	assert_int_equal(flow_insert(&table, 12345), first);
	assert_int_equal(flow_insert(&table, 12346), FLOW_NONE);
	flow_table_destroy(&table);
}

/* Records are reused: a table that is filled and emptied takes no more memory. */
static void test_memory_is_reused(void **state)
{
	struct flow_table table;
	uint64_t bytes = 0;
	uint32_t at[5000];

	(void)state;
	assert_int_equal(flow_table_create(&table, 10000), 0);
	for (unsigned int round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 5000; i++)
			at[i] = flow_insert(&table, hash_of(round, i));
		bytes = bytes ? bytes : flow_table_bytes(&table);
		for (uint32_t i = 0; i < 5000; i++)
			flow_remove(&table, hash_of(round, i), at[i]);
	}
	assert_int_equal(flow_table_bytes(&table), bytes);
	flow_table_destroy(&table);
}

/* Hashes that differ in one of the 58 bits that are kept are told apart. */
static void test_58_bits_count(void **state)
{
	struct flow_table table;
	uint32_t at[58];

	(void)state;
	assert_int_equal(flow_table_create(&table, 1000), 0);
	for (unsigned int bit = 0; bit < 58; bit++) {
		at[bit] = flow_insert(&table, UINT64_C(1) << bit);
		flow_at(&table, at[bit])->cell_flags = FLOW_LIVE;
	}
	for (unsigned int bit = 0; bit < 58; bit++)
		assert_int_equal(flow_find(&table, UINT64_C(1) << bit), at[bit]);
	assert_int_equal(flow_find(&table, 0), FLOW_NONE);
	flow_table_destroy(&table);
}

static void test_age_packing(void **state)
{
	uint32_t before = 0;

	(void)state;
	for (uint32_t ticks = 0; ticks < 2048; ticks++)
		assert_int_equal(flow_age_unpack(flow_age_pack(ticks)), ticks);
	for (uint64_t ticks = 2048; ticks <= UINT32_MAX; ticks += 1 + ticks / 5000) {
		uint32_t again = flow_age_unpack(flow_age_pack((uint32_t)ticks));

		assert_true(again <= ticks);
		assert_true(ticks - again <= ticks / 2048);
		assert_true(again >= before);
		before = again;
	}
	assert_true(flow_age_unpack(flow_age_pack(UINT32_MAX)) >= UINT32_MAX / 2048 * 2047);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_model_of_crowded_buckets),
		cmocka_unit_test(test_model_through_growth),
		cmocka_unit_test(test_growth_of_crowded_buckets),
		cmocka_unit_test(test_bytes_per_entry),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_memory_is_reused),
		cmocka_unit_test(test_58_bits_count),
		cmocka_unit_test(test_age_packing),
	};

	return cmocka_run_group_tests_name("flow_table", tests, NULL, NULL);
}
