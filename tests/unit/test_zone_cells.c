// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/stats/zone_cells: entries by zone and cell, against a plain array; more pairs than room. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "lib/kernel/states.h"
#include "lib/shm/snap_zone_cells.h"
#include "lib/stats/zone_cells.h"

#define TEST_ZONES 600u
#define TEST_CELLS 24u
#define FIRST_CELL 4000u

static struct shm_zone_cells published;
static struct snap_zone_cells seen;
static uint32_t truth[TEST_ZONES][TEST_CELLS];

struct world {
	struct zones zones;
	struct zone_cells cells;
};

static void create(struct world *world)
{
	assert_int_equal(zones_create(&world->zones), 0);
	assert_int_equal(zone_cells_create(&world->cells), 0);
	memset(truth, 0, sizeof(truth));
}

static void destroy(struct world *world)
{
	zones_destroy(&world->zones);
	zone_cells_destroy(&world->cells);
	snap_zone_cells_free(&seen);
}

static void second(struct world *world)
{
	zone_cells_second(&world->cells, &world->zones, zone_cells_count(&world->cells),
			  &published);
	while (!snap_zone_cells_copy(&published, &seen))
		assert_int_equal(snap_zone_cells_grow(&seen), 0);
	snap_zone_cells_sort(&seen);
}

static void appear(struct world *world, uint32_t zone, uint32_t cell)
{
	zones_appeared(&world->zones, (uint16_t)zone);
	zone_cells_moved(&world->cells, (uint16_t)zone, CELL_INVALID, FIRST_CELL + cell, true);
	truth[zone][cell]++;
}

static void go(struct world *world, uint32_t zone, uint32_t cell)
{
	zones_went(&world->zones, (uint16_t)zone, true);
	zone_cells_moved(&world->cells, (uint16_t)zone, FIRST_CELL + cell, CELL_INVALID, true);
	truth[zone][cell]--;
}

static void move(struct world *world, uint32_t zone, uint32_t from, uint32_t to)
{
	zone_cells_moved(&world->cells, (uint16_t)zone, FIRST_CELL + from, FIRST_CELL + to, true);
	truth[zone][from]--;
	truth[zone][to]++;
}

/* Every listed count is no more than the truth, and what is missing is what is said to be. */
static void check(void)
{
	static uint32_t listed[TEST_ZONES][TEST_CELLS];
	uint64_t missing_all = 0;
	uint32_t missing[TEST_ZONES] = {0};

	memset(listed, 0, sizeof(listed));
	for (uint32_t i = 0; i < seen.count; i++) {
		const struct snap_zone_cell *cell = &seen.cells[i];

		assert_in_range(cell->zone, 1, TEST_ZONES - 1);
		assert_in_range(cell->cell, FIRST_CELL, FIRST_CELL + TEST_CELLS - 1);
		if (i)
			assert_true(cell[-1].cell < cell->cell ||
				    (cell[-1].cell == cell->cell && cell[-1].zone < cell->zone));
		listed[cell->zone][cell->cell - FIRST_CELL] = cell->entries;
	}
	for (uint32_t zone = 1; zone < TEST_ZONES; zone++)
		for (uint32_t cell = 0; cell < TEST_CELLS; cell++) {
			assert_true(listed[zone][cell] <= truth[zone][cell]);
			missing[zone] += truth[zone][cell] - listed[zone][cell];
			missing_all += truth[zone][cell] - listed[zone][cell];
		}
	assert_int_equal(seen.unlisted_entries, missing_all);
	for (uint32_t i = 0; i < seen.count; i++)
		assert_int_equal(seen.cells[i].unlisted_entries, missing[seen.cells[i].zone]);
}

static void random_steps(struct world *world, uint32_t zones, unsigned int steps)
{
	for (unsigned int i = 0; i < steps; i++) {
		uint32_t zone = 1 + (uint32_t)rand() % (zones - 1);
		uint32_t from = (uint32_t)rand() % TEST_CELLS, to = (uint32_t)rand() % TEST_CELLS;

		if (truth[zone][from] && rand() % 3 == 0)
			go(world, zone, from);
		else if (truth[zone][from] && rand() % 2)
			move(world, zone, from, to);
		else
			appear(world, zone, from);
	}
}

static void exact_while_there_is_room(void **state)
{
	struct world world;

	(void)state;
	create(&world);
	srand(7);
	second(&world);
	assert_int_equal(seen.count, 0);
	for (int round = 0; round < 5; round++) {
		random_steps(&world, SHM_ZONE_CELLS / TEST_CELLS, 50000);
		second(&world);
		check();
		assert_int_equal(seen.unlisted_entries, 0);
	}
	destroy(&world);
}

/* 14,376 pairs, room for 8,192: a large one is among them whenever it comes. */
static void the_rest_is_known_beyond(void **state)
{
	struct world world;
	size_t count;

	(void)state;
	create(&world);
	srand(8);
	random_steps(&world, TEST_ZONES, 200000);
	for (int i = 0; i < 20000; i++)
		appear(&world, TEST_ZONES - 1, 3);
	second(&world);
	check();
	assert_int_equal(seen.count, SHM_ZONE_CELLS);
	assert_true(seen.unlisted_entries > 0);
	const struct snap_zone_cell *large =
		snap_zone_cells_of(&seen, FIRST_CELL + 3, FIRST_CELL + 4, &count);
	assert_int_equal(large[count - 1].zone, TEST_ZONES - 1);
	assert_true(large[count - 1].entries > 19000);
	/* When all are gone, nothing is left. */
	for (uint32_t zone = 1; zone < TEST_ZONES; zone++)
		for (uint32_t cell = 0; cell < TEST_CELLS; cell++)
			while (truth[zone][cell])
				go(&world, zone, cell);
	second(&world);
	check();
	assert_int_equal(seen.count, 0);
	destroy(&world);
}

/* Of what a dump sweeps the zone is not known: the dump's own count takes over. */
static void dumps_rebuild(void **state)
{
	struct world world;

	(void)state;
	create(&world);
	for (int i = 0; i < 10; i++)
		appear(&world, 7, 1);
	zones_begin(&world.zones);
	zone_cells_begin(&world.cells);
	for (int i = 0; i < 6; i++) {
		zones_shown(&world.zones, 7);
		zone_cells_shown(&world.cells, 7, FIRST_CELL + 1);
	}
	move(&world, 7, 1, 2);
	for (int i = 0; i < 4; i++) {
		zones_lost(&world.zones, false);
		zone_cells_lost(&world.cells, false);
		truth[7][1]--;
	}
	second(&world);
	assert_int_equal(seen.unsubtracted, 4);
	zones_complete(&world.zones);
	zone_cells_complete(&world.cells);
	second(&world);
	check();
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.unsubtracted, 0);
	/* One that fails changes nothing, and leaves nothing for the next. */
	zone_cells_begin(&world.cells);
	zone_cells_shown(&world.cells, 9, FIRST_CELL);
	zone_cells_drop(&world.cells);
	second(&world);
	check();
	zones_begin(&world.zones);
	zone_cells_begin(&world.cells);
	zones_complete(&world.zones);
	zone_cells_complete(&world.cells);
	second(&world);
	assert_int_equal(seen.count, 0);
	destroy(&world);
}

static void nonsense_is_bounded(void **state)
{
	(void)state;
	memset(&published, 0xff, sizeof(published));
	published.seq = 0;
	while (!snap_zone_cells_copy(&published, &seen))
		assert_int_equal(snap_zone_cells_grow(&seen), 0);
	assert_int_equal(seen.count, 0);
	assert_in_range(seen.room, SHM_ZONE_CELLS, SHM_ZONE_CELLS);
	published.seq = 1;
	assert_true(snap_zone_cells_copy(&published, &seen));
	assert_int_equal(seen.count, 0);
	snap_zone_cells_free(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(exact_while_there_is_room),
					   cmocka_unit_test(the_rest_is_known_beyond),
					   cmocka_unit_test(dumps_rebuild),
					   cmocka_unit_test(nonsense_is_bounded)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
