// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When to compare the mirror with a dump, and how much to subscribe to.
 *
 * A resync is due: at the start; SCHEDULE_QUIET_NS after a loss (not re-armed
 * while pending, and backed off after failures: under overload a dump makes it
 * worse); on request; while silent entries exist every `silent_interval`, which doubles,
 * up to `resync_interval`, with each dump that found them unchanged; every
 * `resync_interval` at any rate. The periodic ones, and those that are asked for because
 * of silent changes, are stretched so that dumps take at most a twentieth of the time;
 * the latter come less and less often, down to every `silent_interval`, while each finds
 * more of the same.
 *
 * Overload means losses in most of the last ten seconds although the buffer is at its largest.
 * Then events are given up one step at a time, full -> without UPDATE -> polling, and taken up
 * again after a quiet time that doubles whenever a step up did not last.
 *
 * Pure: time is an argument. Durations in ns.
 */
#ifndef CONNTIDE_AGENT_SCHEDULE_H
#define CONNTIDE_AGENT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/shm/layout.h"

#define SCHEDULE_QUIET_NS	UINT64_C(1000000000)
#define SCHEDULE_BACKOFF_MAX_NS UINT64_C(30000000000)
#define SCHEDULE_COST_FACTOR	20u
#define SCHEDULE_CONFIRM_NS	UINT64_C(2000000000)
#define SCHEDULE_CONFIRM_FACTOR 5u
#define SCHEDULE_POLL_NS	UINT64_C(10000000000)
#define SCHEDULE_HOLD_MIN_NS	UINT64_C(20000000000)
#define SCHEDULE_HOLD_MAX_NS	UINT64_C(600000000000)
#define SCHEDULE_WINDOW_SECONDS 10u
#define SCHEDULE_LOSSY_SECONDS	6u

struct schedule {
	uint64_t resync_interval_ns;
	uint64_t silent_interval_ns;
	uint64_t silent_now_ns; /* silent_interval_ns, or longer: what is silent did not change */
	uint64_t look_ns;	/* least time between dumps because of silent changes */
	bool look_due;		/* due_ns is because of one */
	enum shm_mode mode;
	uint64_t due_ns; /* of a loss or a request; UINT64_MAX: none */
	uint64_t backoff_ns;
	uint64_t last_end_ns; /* of the last resync, valid or not; 0: none yet */
	uint64_t last_duration_ns;
	uint32_t lossy_seconds; /* a bit per second, youngest lowest */
	uint64_t mode_since_ns;
	uint64_t hold_ns; /* quiet time before a step up */
	bool stepped_up;  /* the last change of mode was a step up */
};

void schedule_init(struct schedule *schedule, uint64_t resync_interval_ns,
		   uint64_t silent_interval_ns, uint64_t now_ns);

void schedule_loss(struct schedule *schedule, uint64_t now_ns);
void schedule_request(struct schedule *schedule, uint64_t now_ns);
/* Silent changes were found and others are likely: a dump is due as soon as its cost allows. */
void schedule_look(struct schedule *schedule, uint64_t now_ns);
/* A dump is due as soon as its cost allows; earlier requests do not make it later. */
void schedule_repair(struct schedule *schedule, uint64_t now_ns);
/* Another dump confirms what the last one put right, SCHEDULE_CONFIRM_NS later, or after five
 * times as long as the last one took. */
void schedule_confirm(struct schedule *schedule, uint64_t now_ns);
/* For a valid dump: did it find silent changes? */
void schedule_found(struct schedule *schedule, bool silent_changes);
void schedule_resync_begun(struct schedule *schedule);
void schedule_resync_ended(struct schedule *schedule, bool valid, uint64_t began_ns,
			   uint64_t now_ns);

/* The longest time between two dumps at present. */
uint64_t schedule_interval_ns(const struct schedule *schedule, bool silent_entries);
bool schedule_resync_due(const struct schedule *schedule, bool silent_entries, uint64_t now_ns);

/* Once a second; `buffer_at_max`: it cannot be grown any further. Returns true when
 * the mode changed: subscribe accordingly and request a resync. */
bool schedule_second(struct schedule *schedule, bool lost, bool buffer_at_max, uint64_t now_ns);

#endif
