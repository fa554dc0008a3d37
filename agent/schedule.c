// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/schedule.h"

void schedule_init(struct schedule *schedule, uint64_t resync_interval_ns,
		   uint64_t silent_interval_ns, uint64_t now_ns)
{
	*schedule = (struct schedule){
		.resync_interval_ns = resync_interval_ns,
		.silent_interval_ns = silent_interval_ns,
		.silent_now_ns = silent_interval_ns,
		.look_ns = SCHEDULE_QUIET_NS,
		.mode = SHM_MODE_STARTING,
		.due_ns = now_ns,
		.mode_since_ns = now_ns,
		.hold_ns = SCHEDULE_HOLD_MIN_NS,
	};
}

static void due_at(struct schedule *schedule, uint64_t at_ns)
{
	if (at_ns < schedule->due_ns)
		schedule->due_ns = at_ns;
}

void schedule_loss(struct schedule *schedule, uint64_t now_ns)
{
	uint64_t wait_ns =
		schedule->backoff_ns > SCHEDULE_QUIET_NS ? schedule->backoff_ns : SCHEDULE_QUIET_NS;

	/* A loss during the first dump only makes it invalid; it is retried anyway. */
	due_at(schedule, now_ns + wait_ns);
}

void schedule_request(struct schedule *schedule, uint64_t now_ns)
{
	uint64_t at_ns = now_ns;

	if (schedule->last_end_ns && schedule->last_end_ns + SCHEDULE_QUIET_NS > at_ns)
		at_ns = schedule->last_end_ns + SCHEDULE_QUIET_NS;
	due_at(schedule, at_ns);
}

static uint64_t later_of(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns > b_ns ? a_ns : b_ns;
}

static uint64_t earlier_of(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

void schedule_repair(struct schedule *schedule, uint64_t now_ns)
{
	uint64_t rest_ns =
		later_of(SCHEDULE_QUIET_NS, SCHEDULE_COST_FACTOR * schedule->last_duration_ns);

	due_at(schedule,
	       schedule->last_end_ns ? later_of(now_ns, schedule->last_end_ns + rest_ns) : now_ns);
}

void schedule_look(struct schedule *schedule, uint64_t now_ns)
{
	schedule->look_due = true;
	schedule->silent_now_ns = schedule->silent_interval_ns;
	schedule_repair(schedule, later_of(now_ns, schedule->last_end_ns + schedule->look_ns));
}

void schedule_confirm(struct schedule *schedule, uint64_t now_ns)
{
	due_at(schedule, now_ns + later_of(SCHEDULE_CONFIRM_NS,
					   SCHEDULE_CONFIRM_FACTOR * schedule->last_duration_ns));
}

void schedule_found(struct schedule *schedule, bool silent_changes)
{
	if (silent_changes) {
		schedule->silent_now_ns = schedule->silent_interval_ns;
		return;
	}
	schedule->silent_now_ns =
		earlier_of(2 * schedule->silent_now_ns,
			   later_of(schedule->resync_interval_ns, schedule->silent_interval_ns));
	schedule->look_ns = SCHEDULE_QUIET_NS;
}

void schedule_resync_begun(struct schedule *schedule)
{
	if (schedule->look_due)
		schedule->look_ns =
			earlier_of(2 * schedule->look_ns,
				   later_of(schedule->silent_interval_ns, SCHEDULE_QUIET_NS));
	schedule->look_due = false;
	schedule->due_ns = UINT64_MAX;
}

static enum shm_mode first_mode(const struct schedule *schedule)
{
	return schedule->mode == SHM_MODE_STARTING ? SHM_MODE_FULL : schedule->mode;
}

void schedule_resync_ended(struct schedule *schedule, bool valid, uint64_t began_ns,
			   uint64_t now_ns)
{
	schedule->last_end_ns = now_ns;
	schedule->last_duration_ns = now_ns - began_ns;
	if (valid) {
		schedule->backoff_ns = 0;
		schedule->mode = first_mode(schedule);
		return;
	}
	schedule->backoff_ns = schedule->backoff_ns ? 2 * schedule->backoff_ns : SCHEDULE_QUIET_NS;
	if (schedule->backoff_ns > SCHEDULE_BACKOFF_MAX_NS)
		schedule->backoff_ns = SCHEDULE_BACKOFF_MAX_NS;
	due_at(schedule, now_ns + schedule->backoff_ns);
}

static uint64_t stretched(const struct schedule *schedule, uint64_t interval_ns)
{
	uint64_t least_ns = SCHEDULE_COST_FACTOR * schedule->last_duration_ns;

	return interval_ns > least_ns ? interval_ns : least_ns;
}

uint64_t schedule_interval_ns(const struct schedule *schedule, bool silent_entries)
{
	uint64_t interval_ns = schedule->resync_interval_ns;

	if (silent_entries)
		interval_ns = earlier_of(interval_ns, schedule->silent_now_ns);
	if (schedule->mode != SHM_MODE_FULL)
		interval_ns = earlier_of(interval_ns, SCHEDULE_POLL_NS);
	return stretched(schedule, interval_ns);
}

bool schedule_resync_due(const struct schedule *schedule, bool silent_entries, uint64_t now_ns)
{
	return now_ns >= schedule->due_ns ||
	       (schedule->last_end_ns &&
		now_ns - schedule->last_end_ns >= schedule_interval_ns(schedule, silent_entries));
}

static bool step(struct schedule *schedule, enum shm_mode mode, bool up, uint64_t now_ns)
{
	schedule->mode = mode;
	schedule->mode_since_ns = now_ns;
	schedule->stepped_up = up;
	schedule->lossy_seconds = 0;
	schedule_request(schedule, now_ns);
	return true;
}

static bool step_down(struct schedule *schedule, uint64_t now_ns)
{
	/* A step up that did not last makes the next one wait longer. */
	if (schedule->stepped_up && now_ns - schedule->mode_since_ns < schedule->hold_ns) {
		schedule->hold_ns *= 2;
		if (schedule->hold_ns > SCHEDULE_HOLD_MAX_NS)
			schedule->hold_ns = SCHEDULE_HOLD_MAX_NS;
	}
	return step(schedule,
		    schedule->mode == SHM_MODE_NO_UPDATE ? SHM_MODE_POLLING : SHM_MODE_NO_UPDATE,
		    false, now_ns);
}

bool schedule_second(struct schedule *schedule, bool lost, bool buffer_at_max, uint64_t now_ns)
{
	const uint32_t window = (1u << SCHEDULE_WINDOW_SECONDS) - 1u;
	uint64_t spell_ns = now_ns - schedule->mode_since_ns;
	enum shm_mode mode = schedule->mode;

	schedule->lossy_seconds = (schedule->lossy_seconds << 1 | lost) & window;
	if (mode != SHM_MODE_POLLING && buffer_at_max &&
	    (unsigned int)__builtin_popcount(schedule->lossy_seconds) >= SCHEDULE_LOSSY_SECONDS)
		return step_down(schedule, now_ns);
	if (mode == SHM_MODE_FULL && spell_ns > 10 * schedule->hold_ns)
		schedule->hold_ns = SCHEDULE_HOLD_MIN_NS;
	if ((mode == SHM_MODE_NO_UPDATE || mode == SHM_MODE_POLLING) &&
	    schedule->lossy_seconds == 0 && spell_ns >= schedule->hold_ns)
		return step(schedule, mode == SHM_MODE_POLLING ? SHM_MODE_NO_UPDATE : SHM_MODE_FULL,
			    true, now_ns);
	return false;
}
