// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/stats/zones: entries by zone, through dumps, against a plain array. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/shm/snap_zones.h"
#include "lib/stats/zones.h"

static struct shm_zones published;
static struct snap_zones seen;

static void second(struct zones *zones)
{
	zones_second(zones, &published);
	snap_zones_copy(&published, &seen);
}

static uint32_t entries_of(uint16_t zone)
{
	for (uint32_t i = 0; i < seen.count; i++)
		if (seen.zones[i].zone == zone)
			return seen.zones[i].entries;
	return 0;
}

static void the_largest_are_listed(void **state)
{
	struct zones zones;
	uint32_t sum = 0;

	(void)state;
	assert_int_equal(zones_create(&zones), 0);
	second(&zones);
	assert_int_equal(seen.count, 0);
	/* Zone 1000 + i holds i + 1; and the last zone there is, one. */
	for (uint32_t i = 0; i < 40; i++)
		for (uint32_t n = 0; n <= i; n++)
			zones_appeared(&zones, 1000 + i);
	zones_appeared(&zones, 65535);
	second(&zones);
	assert_int_equal(seen.count, SHM_ZONES);
	assert_int_equal(seen.used, 41);
	for (uint32_t i = 0; i < SHM_ZONES; i++) {
		assert_int_equal(seen.zones[i].zone, 1039 - i);
		assert_int_equal(seen.zones[i].entries, 40 - i);
		sum += seen.zones[i].entries;
	}
	assert_int_equal(sum + seen.other_entries, 40 * 41 / 2 + 1);
	zones_destroy(&zones);
}

/* Of what a dump sweeps the zone is not known: the dump's own count takes over. */
static void dumps_rebuild(void **state)
{
	struct zones zones;

	(void)state;
	assert_int_equal(zones_create(&zones), 0);
	for (int i = 0; i < 10; i++)
		zones_appeared(&zones, 7);
	zones_begin(&zones);
	for (int i = 0; i < 6; i++)
		zones_shown(&zones, 7);
	zones_appeared(&zones, 7);
	zones_appeared(&zones, 9);
	zones_went(&zones, 7, true);
	zones_went(&zones, 7, false);
	second(&zones);
	assert_int_equal(entries_of(7), 9);
	for (int i = 0; i < 3; i++)
		zones_lost(&zones, false);
	second(&zones);
	assert_int_equal(seen.unsubtracted, 3);
	zones_complete(&zones);
	second(&zones);
	assert_int_equal(entries_of(7), 6);
	assert_int_equal(entries_of(9), 1);
	assert_int_equal(seen.unsubtracted, 0);
	/* One that fails changes nothing, and leaves nothing for the next. */
	zones_begin(&zones);
	zones_shown(&zones, 9);
	zones_drop(&zones);
	second(&zones);
	assert_int_equal(entries_of(9), 1);
	zones_begin(&zones);
	zones_complete(&zones);
	second(&zones);
	assert_int_equal(seen.count, 0);
	zones_went(&zones, 7, false);
	second(&zones);
	assert_int_equal(seen.count, 0);
	zones_destroy(&zones);
}

static void nonsense_is_bounded(void **state)
{
	(void)state;
	memset(&published, 0xff, sizeof(published));
	published.seq = 0;
	snap_zones_copy(&published, &seen);
	assert_int_equal(seen.count, SHM_ZONES);
	published.seq = 1;
	snap_zones_copy(&published, &seen);
	assert_int_equal(seen.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_largest_are_listed),
					   cmocka_unit_test(dumps_rebuild),
					   cmocka_unit_test(nonsense_is_bounded)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
