// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/schedule: when to compare, when to give up events and take them up again. */
#include "tests/unit/unit.h"

#include "agent/schedule.h"

#define S UINT64_C(1000000000)

static struct schedule schedule;
static uint64_t now;

static int set_up(void **state)
{
	(void)state;
	now = 1000 * S;
	schedule_init(&schedule, 300 * S, 60 * S, now);
	return 0;
}

/* A resync that takes `took` ns and ends with `valid`. */
static void resync(bool valid, uint64_t took)
{
	uint64_t began = now;

	schedule_resync_begun(&schedule);
	now += took;
	schedule_resync_ended(&schedule, valid, began, now);
}

static bool due_in(uint64_t ns)
{
	return schedule_resync_due(&schedule, false, now + ns);
}

/* Due after `ns`, and not a nanosecond earlier. */
static void assert_due_exactly(uint64_t ns)
{
	assert_false(due_in(ns - 1));
	assert_true(due_in(ns));
}

static void test_due_at_the_start(void **state)
{
	(void)state;
	assert_true(due_in(0));
	resync(true, S / 10);
	assert_int_equal(schedule.mode, SHM_MODE_FULL);
	assert_due_exactly(300 * S);
}

static void test_not_due_while_one_runs(void **state)
{
	(void)state;
	schedule_resync_begun(&schedule);
	assert_false(due_in(0));
}

static void test_loss_waits_and_is_not_armed_again(void **state)
{
	(void)state;
	resync(true, S / 10);
	schedule_loss(&schedule, now);
	assert_due_exactly(SCHEDULE_QUIET_NS);
	/* Losses that go on do not push it away (ulogd2's rule). */
	schedule_loss(&schedule, now + SCHEDULE_QUIET_NS / 2);
	assert_due_exactly(SCHEDULE_QUIET_NS);
}

static void test_failures_back_off_to_a_cap(void **state)
{
	uint64_t wait = SCHEDULE_QUIET_NS;

	(void)state;
	for (unsigned int i = 0; i < 10; i++) {
		resync(false, S / 1000);
		assert_int_equal(schedule.mode, SHM_MODE_STARTING);
		assert_true(wait <= SCHEDULE_BACKOFF_MAX_NS);
		if (wait <= SCHEDULE_POLL_NS)
			assert_due_exactly(wait);
		assert_int_equal(schedule.backoff_ns, wait);
		/* A loss meanwhile waits as long. */
		schedule_loss(&schedule, now);
		assert_true(schedule.due_ns == now + wait);
		now += wait;
		wait = 2 * wait < SCHEDULE_BACKOFF_MAX_NS ? 2 * wait : SCHEDULE_BACKOFF_MAX_NS;
	}
	resync(true, S / 1000);
	assert_int_equal(schedule.backoff_ns, 0);
	assert_due_exactly(300 * S);
}

static void test_requests_are_spaced(void **state)
{
	(void)state;
	resync(true, S / 10);
	schedule_request(&schedule, now);
	assert_due_exactly(SCHEDULE_QUIET_NS);
	now += 5 * S;
	resync(true, S / 10);
	now += 5 * S;
	schedule_request(&schedule, now);
	assert_true(due_in(0));
}

static void test_silent_entries_shorten_the_interval(void **state)
{
	(void)state;
	resync(true, S / 10);
	assert_false(schedule_resync_due(&schedule, true, now + 60 * S - 1));
	assert_true(schedule_resync_due(&schedule, true, now + 60 * S));
	assert_false(schedule_resync_due(&schedule, false, now + 60 * S));
}

/* Those that do not change are looked at less and less often; and often again once they do. */
static void test_unchanged_silent_entries_are_left_alone(void **state)
{
	(void)state;
	resync(true, S / 10);
	for (uint64_t wait = 120; wait <= 1000; wait *= 2) {
		uint64_t expected = wait < 300 ? wait : 300;

		schedule_found(&schedule, false);
		assert_int_equal(schedule_interval_ns(&schedule, true), expected * S);
	}
	assert_int_equal(schedule_interval_ns(&schedule, false), 300 * S);
	schedule_found(&schedule, true);
	assert_int_equal(schedule_interval_ns(&schedule, true), 60 * S);
}

/* At once, then less and less often, down to the interval; after a quiet dump at once. */
static void test_looks_become_rarer(void **state)
{
	uint64_t wait = SCHEDULE_QUIET_NS;

	(void)state;
	resync(true, S / 1000);
	for (unsigned int i = 0; i < 10; i++) {
		schedule_look(&schedule, now);
		assert_true(schedule.due_ns == now + wait);
		now += wait;
		resync(true, S / 1000);
		schedule_found(&schedule, true);
		wait = 2 * wait < 60 * S ? 2 * wait : 60 * S;
	}
	assert_true(wait == 60 * S);
	schedule_found(&schedule, false);
	schedule_look(&schedule, now);
	assert_due_exactly(SCHEDULE_QUIET_NS);
}

/* What costs more than a twentieth of the time waits, whoever asks but a loss. */
static void test_looks_and_repairs_are_bounded_by_cost(void **state)
{
	(void)state;
	resync(true, 2 * S);
	schedule_repair(&schedule, now);
	assert_due_exactly(SCHEDULE_COST_FACTOR * 2 * S);
	schedule_look(&schedule, now);
	assert_due_exactly(SCHEDULE_COST_FACTOR * 2 * S);
	schedule_confirm(&schedule, now);
	assert_due_exactly(SCHEDULE_CONFIRM_FACTOR * 2 * S);
	schedule_loss(&schedule, now);
	assert_due_exactly(SCHEDULE_QUIET_NS);
}

/* Dumps take at most 1 / SCHEDULE_COST_FACTOR of the time. */
static void test_cost_stretches_intervals(void **state)
{
	(void)state;
	resync(true, 20 * S);
	assert_due_exactly(SCHEDULE_COST_FACTOR * 20 * S);
	assert_false(
		schedule_resync_due(&schedule, true, now + (SCHEDULE_COST_FACTOR * 20 - 1) * S));
	assert_true(schedule_resync_due(&schedule, true, now + SCHEDULE_COST_FACTOR * 20 * S));
	/* But not what a loss asks for. */
	schedule_loss(&schedule, now);
	assert_due_exactly(SCHEDULE_QUIET_NS);
}

/* `seconds` seconds, each lossy or not; true when the mode changed in any. */
static bool pass_seconds(unsigned int seconds, bool lost)
{
	bool changed = false;

	while (seconds-- > 0) {
		now += S;
		changed |= schedule_second(&schedule, lost, true, now);
	}
	return changed;
}

static void test_overload_steps_down_one_at_a_time(void **state)
{
	(void)state;
	resync(true, S / 10);
	assert_false(pass_seconds(SCHEDULE_LOSSY_SECONDS - 1, true));
	assert_true(pass_seconds(1, true));
	assert_int_equal(schedule.mode, SHM_MODE_NO_UPDATE);
	assert_true(due_in(SCHEDULE_QUIET_NS));
	assert_false(pass_seconds(SCHEDULE_LOSSY_SECONDS - 1, true));
	assert_true(pass_seconds(1, true));
	assert_int_equal(schedule.mode, SHM_MODE_POLLING);
	assert_false(pass_seconds(50, true));
	assert_int_equal(schedule.mode, SHM_MODE_POLLING);
}

static void test_no_step_while_the_buffer_may_grow(void **state)
{
	(void)state;
	resync(true, S / 10);
	for (unsigned int i = 0; i < 60; i++)
		assert_false(schedule_second(&schedule, true, false, now += S));
	assert_int_equal(schedule.mode, SHM_MODE_FULL);
}

static void test_scattered_losses_are_no_overload(void **state)
{
	(void)state;
	resync(true, S / 10);
	for (unsigned int i = 0; i < 100; i++)
		assert_false(schedule_second(&schedule, i % 2 == 0, true, now += S));
	assert_int_equal(schedule.mode, SHM_MODE_FULL);
}

static void test_steps_up_after_a_quiet_spell(void **state)
{
	unsigned int hold = (unsigned int)(SCHEDULE_HOLD_MIN_NS / S);

	(void)state;
	resync(true, S / 10);
	now += 100 * S;
	pass_seconds(SCHEDULE_LOSSY_SECONDS, true);
	pass_seconds(SCHEDULE_LOSSY_SECONDS, true);
	assert_int_equal(schedule.mode, SHM_MODE_POLLING);
	assert_false(pass_seconds(hold - 1, false));
	assert_true(pass_seconds(1, false));
	assert_int_equal(schedule.mode, SHM_MODE_NO_UPDATE);
	assert_false(pass_seconds(hold - 1, false));
	assert_true(pass_seconds(1, false));
	assert_int_equal(schedule.mode, SHM_MODE_FULL);
}

/* From `mode` down to `lower` by overload, then up again: how long it held. */
static unsigned int held_seconds(enum shm_mode lower)
{
	unsigned int seconds = 0;

	while (schedule.mode != lower)
		pass_seconds(1, true);
	while (schedule.mode == lower) {
		pass_seconds(1, false);
		seconds++;
	}
	return seconds;
}

/* Each step up that did not last makes the next one wait twice as long, to a cap. */
static void test_hold_doubles(void **state)
{
	unsigned int hold = (unsigned int)(SCHEDULE_HOLD_MIN_NS / S);
	unsigned int most = (unsigned int)(SCHEDULE_HOLD_MAX_NS / S);

	(void)state;
	resync(true, S / 10);
	now += 1000 * S;
	for (unsigned int i = 0; i < 9; i++) {
		unsigned int held = held_seconds(SHM_MODE_NO_UPDATE);

		/* What overload left in the window must pass as well. */
		assert_in_range(held, hold, hold + SCHEDULE_WINDOW_SECONDS);
		hold = 2 * hold < most ? 2 * hold : most;
	}
	/* A long quiet spell in full mode forgives. */
	assert_int_equal(schedule.mode, SHM_MODE_FULL);
	pass_seconds(11 * most, false);
	assert_int_equal(schedule.hold_ns, SCHEDULE_HOLD_MIN_NS);
}

/* The same between polling and no-update, where even those events are too many. */
static void test_hold_doubles_below_too(void **state)
{
	unsigned int hold = (unsigned int)(SCHEDULE_HOLD_MIN_NS / S);

	(void)state;
	resync(true, S / 10);
	now += 1000 * S;
	for (unsigned int i = 0; i < 5; i++) {
		unsigned int held = held_seconds(SHM_MODE_POLLING);

		assert_int_equal(schedule.mode, SHM_MODE_NO_UPDATE);
		assert_in_range(held, hold, hold + SCHEDULE_WINDOW_SECONDS);
		hold *= 2;
	}
}

/* Going down in the first seconds is no step up that failed. */
static void test_first_overload_does_not_double(void **state)
{
	(void)state;
	resync(true, S / 10);
	pass_seconds(SCHEDULE_LOSSY_SECONDS, true);
	assert_int_equal(schedule.mode, SHM_MODE_NO_UPDATE);
	assert_int_equal(schedule.hold_ns, SCHEDULE_HOLD_MIN_NS);
}

static void test_polling_dumps_often(void **state)
{
	(void)state;
	resync(true, S / 10);
	pass_seconds(2 * SCHEDULE_LOSSY_SECONDS, true);
	assert_int_equal(schedule.mode, SHM_MODE_POLLING);
	resync(true, S / 100);
	assert_due_exactly(SCHEDULE_POLL_NS);
	assert_int_equal(schedule.mode, SHM_MODE_POLLING);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(test_due_at_the_start),
		TEST(test_not_due_while_one_runs),
		TEST(test_loss_waits_and_is_not_armed_again),
		TEST(test_failures_back_off_to_a_cap),
		TEST(test_requests_are_spaced),
		TEST(test_silent_entries_shorten_the_interval),
		TEST(test_unchanged_silent_entries_are_left_alone),
		TEST(test_looks_become_rarer),
		TEST(test_looks_and_repairs_are_bounded_by_cost),
		TEST(test_cost_stretches_intervals),
		TEST(test_overload_steps_down_one_at_a_time),
		TEST(test_no_step_while_the_buffer_may_grow),
		TEST(test_scattered_losses_are_no_overload),
		TEST(test_steps_up_after_a_quiet_spell),
		TEST(test_hold_doubles),
		TEST(test_hold_doubles_below_too),
		TEST(test_first_overload_does_not_double),
		TEST(test_polling_dumps_often),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
