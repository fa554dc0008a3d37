// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a trace through the agent's own mirror and forecast, under the trace's clock:
 *
 * 	trace line -> struct ct_event -> tracker, resync -> observer -> forecast
 *
 * A replay lacks what a live agent has: the addresses of the host, so every entry counts as
 * forwarded; and a kernel to ask. Where events are missing from the trace the
 * mirror keeps entries that are gone and lacks some that exist; a live agent would see that
 * in the kernel's count and dump the table. Here the difference is carried along and shown
 * (residual), and the forecast, which is given the kernel's count, treats it as it does
 * between two dumps.
 *
 * DUMP lines at the start are the first, complete dump. Later ones are treated as an
 * incomplete dump: they add and correct, and remove nothing.
 *
 * The clock is the trace's, from 0. The mirror holds at most REPLAY_ENTRIES_MAX entries; the
 * rest is counted as refused. Owns the mirror and the forecast. Pure but for their memory.
 * Threads: one. Errors: -ENOMEM at creation; a wrong line is described in words.
 */
#ifndef CONNTIDE_REPLAY_REPLAY_H
#define CONNTIDE_REPLAY_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/forecast/forecast.h"
#include "lib/mirror/mirror_offline.h"
#include "lib/stats/observer.h"
#include "lib/trace/trace.h"

#define REPLAY_ENTRIES_MAX (16u << 20)

struct replay {
	struct mirror_offline offline;
	struct observer observer;
	struct forecast *forecast;
	bool dumping; /* inside a block of DUMP lines */
	bool begun;   /* a line other than DUMP was read */
	/* For a summary. */
	uint64_t lines[TRACE_KINDS];
	uint64_t lost_events; /* by the LOST lines */
	int64_t last_ns;
	uint32_t count, max; /* of the last STAT line */
	uint32_t count_peak;
	uint64_t drop, early_drop;
};

/* 0 or -ENOMEM; replay_destroy() in either case. */
int replay_create(struct replay *replay);
void replay_destroy(struct replay *replay);

/* The next line; EVAL lines are answered by the caller. NULL, or what is wrong. */
const char *replay_line(struct replay *replay, const struct trace_record *rec);

/* After the last line. */
void replay_end(struct replay *replay);

/* The kernel's last known count minus the entries in the mirror. */
int64_t replay_residual(const struct replay *replay);

#endif
