// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/stats/settings_log: what changed, from what to what, when; back and forth. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/shm/snap_settings.h"
#include "lib/stats/settings_log.h"

#define SECOND	UINT64_C(1000000000)
#define STARTED (UINT64_C(1700000000) * SECOND)

struct world {
	struct settings_log log;
	struct shm_settings published;
	struct snap_settings seen;
	int64_t values[SETTINGS];
	uint64_t now_ns;
};

static uint32_t second(struct world *world)
{
	uint32_t changed;

	world->now_ns += SECOND;
	changed = settings_log_second(&world->log, world->values, world->now_ns, &world->published);
	snap_settings_copy(&world->published, &world->seen);
	return changed;
}

static uint32_t set(struct world *world, unsigned int id, int64_t value)
{
	world->values[id] = value;
	return second(world);
}

static struct world *start(void)
{
	static struct world world;

	memset(&world, 0, sizeof(world));
	settings_log_init(&world.log);
	for (unsigned int i = 0; i < SETTINGS; i++)
		world.values[i] = 100 + i;
	world.now_ns = STARTED;
	assert_int_equal(second(&world), 0);
	assert_int_equal(world.seen.count, 0);
	return &world;
}

static void a_change_is_a_fact(void **state)
{
	struct world *world = start();
	const struct snap_setting_change *change = &world->seen.changes[0];
	unsigned int close = SETTING_TIMEOUTS + TIMEOUT_TCP_CLOSE;

	(void)state;
	assert_int_equal(second(world), 0);
	assert_int_equal(set(world, SETTING_MAX, 131072), 1);
	assert_int_equal(world->seen.count, 1);
	assert_int_equal(change->setting, SETTING_MAX);
	assert_int_equal(change->before, 100);
	assert_int_equal(change->after, 131072);
	assert_int_equal(change->real_ns, world->now_ns);
	assert_int_equal(change->swings, 1);
	assert_int_equal(second(world), 0);
	world->values[SETTING_EVENTS] = 0;
	assert_int_equal(set(world, close, 5), 2);
	assert_int_equal(change->setting, close);
	assert_int_equal(world->seen.changes[2].setting, SETTING_MAX);
	assert_int_equal(world->seen.settings[SETTING_MAX].rank, 1);
	assert_int_equal(world->seen.settings[close].rank, 3);
	assert_int_equal(world->seen.settings[close].changes, 1);
	assert_int_equal(world->seen.settings[SETTING_BUCKETS].changes, 0);
}

/* A file that vanishes, or comes later, is no change; what it says then is compared. */
static void what_is_not_known_is_no_change(void **state)
{
	struct world *world = start();

	(void)state;
	assert_int_equal(set(world, SETTING_ACCT, -1), 0);
	assert_int_equal(set(world, SETTING_ACCT, 100 + SETTING_ACCT), 0);
	assert_int_equal(set(world, SETTING_ACCT, -1), 0);
	assert_int_equal(set(world, SETTING_ACCT, 1), 1);
	assert_int_equal(world->seen.changes[0].before, 100 + SETTING_ACCT);
}

static void two_writers_swing(void **state)
{
	struct world *world = start();
	static const int64_t values[] = {200, 100, 200, 100, 300, 100};
	static const uint32_t swings[] = {1, 2, 3, 4, 1, 2};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(values); i++) {
		assert_int_equal(set(world, SETTING_MAX, values[i]), 1);
		assert_int_equal(world->seen.changes[0].swings, swings[i]);
	}
	/* Another setting has a row of its own; a day later none goes on. */
	set(world, SETTING_BUCKETS, 7);
	assert_int_equal(world->seen.changes[0].swings, 1);
	set(world, SETTING_BUCKETS, 100 + SETTING_BUCKETS);
	assert_int_equal(world->seen.changes[0].swings, 2);
	world->now_ns += SETTINGS_SWING_NS;
	set(world, SETTING_BUCKETS, 7);
	assert_int_equal(world->seen.changes[0].swings, 1);
}

static void the_last_are_kept(void **state)
{
	struct world *world = start();

	(void)state;
	for (int i = 0; i < 100; i++)
		set(world, SETTING_MAX, 1000 + i);
	assert_int_equal(world->seen.count, SHM_SETTING_CHANGES);
	for (int i = 0; i < (int)SHM_SETTING_CHANGES; i++)
		assert_int_equal(world->seen.changes[i].after, 1099 - i);
	assert_int_equal(world->seen.settings[SETTING_MAX].changes, 100);
}

static void values_are_said_as_they_are_written(void **state)
{
	char out[SETTING_VALUE_BYTES];
	struct setting_info info;

	(void)state;
	assert_string_equal(setting_value(SETTING_MAX, 262144, out), "262144");
	assert_string_equal(setting_value(SETTING_LOCAL_PORTS, 32768 | 60999u << 16, out),
			    "32768-60999");
	assert_string_equal(setting_value(SETTING_TIMEOUTS + TIMEOUT_UDP, 30, out), "30 s");
	assert_false(setting_info(SETTINGS_NAMED, &info));
	assert_false(setting_info(SETTINGS, &info));
	assert_true(setting_info(SETTING_TIMEOUTS, &info));
	assert_string_equal(info.name, "nf_conntrack_tcp_timeout_syn_sent");
}

/* A segment is outside input: a change of no known setting is left out. */
static void nonsense_is_left_out(void **state)
{
	struct world *world = start();

	(void)state;
	set(world, SETTING_MAX, 1);
	set(world, SETTING_MAX, 2);
	world->published.change[0].setting = 4711;
	world->published.head = UINT64_MAX;
	snap_settings_copy(&world->published, &world->seen);
	assert_in_range(world->seen.count, 0, 1);
	world->published.seq = 1;
	snap_settings_copy(&world->published, &world->seen);
	assert_int_equal(world->seen.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_is_a_fact),
		cmocka_unit_test(what_is_not_known_is_no_change),
		cmocka_unit_test(two_writers_swing),
		cmocka_unit_test(the_last_are_kept),
		cmocka_unit_test(values_are_said_as_they_are_written),
		cmocka_unit_test(nonsense_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
