// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A trace through the agent's own mirror and forecast, under the trace's clock:
 *
 *	trace line -> struct ct_event -> tracker, resync -> observer -> forecast
 *
 * What a live agent has and a replay has not: the addresses of the host, so every
 * entry counts as forwarded; and a kernel to ask. Where events are missing (lost by
 * whoever recorded) the mirror keeps entries that are gone, and lacks some that are
 * there; a live agent would find that by the kernel's count and dump the table.
 * Here the difference is carried along and told (residual), and the forecast, which
 * is given the kernel's count, takes it into account as it does between two dumps.
 *
 * DUMP lines at the start are the first dump, complete. Later ones are taken as a
 * dump that was cut: they add and correct, and remove nothing.
 *
 * The clock is the trace's, from 0. The mirror holds at most REPLAY_ENTRIES_MAX
 * entries; what is beyond is counted as refused. Borrows nothing, owns the world and
 * the forecast. Pure but for their memory. One thread.
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
	bool begun;   /* something else than a DUMP line came */
	/* For a summary. */
	uint64_t lines[TRACE_KINDS];
	uint64_t lost_events; /* that LOST lines told of */
	int64_t last_ns;
	uint32_t count, max; /* of the last STAT line */
	uint32_t count_peak;
	uint64_t drop, early_drop;
};

/* 0 or -ENOMEM; replay_destroy() in either case. */
int replay_create(struct replay *replay);
void replay_destroy(struct replay *replay);

/* The next line, but for what an EVAL line asks for. NULL, or what is wrong with it. */
const char *replay_line(struct replay *replay, const struct trace_record *rec);

/* After the last line. */
void replay_end(struct replay *replay);

/* The kernel's count as last told less what the mirror holds. */
int64_t replay_residual(const struct replay *replay);

#endif
