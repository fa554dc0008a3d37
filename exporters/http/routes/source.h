// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table behind all routes: a snapshot kept for SOURCE_MAX_AGE_NS, so that any
 * number of requests costs four scans of shared memory a second at most. The
 * kernel is never asked anything.
 *
 * After a failure the error is kept equally long, and there is no snapshot: old numbers are never
 * served as new.
 */
#ifndef CONNTIDE_HTTP_ROUTES_SOURCE_H
#define CONNTIDE_HTTP_ROUTES_SOURCE_H

#include "lib/shm/reader.h"
#include "lib/shm/snap_detail.h"
#include "lib/shm/snapshot.h"

#define SOURCE_MAX_AGE_NS UINT64_C(100000000)

struct source {
	struct shm_reader reader;
	struct snapshot snap;
	struct snap_history history;
	struct snap_detail details;
	struct snap_pasts pasts;
	uint64_t taken_boot_ns;	    /* 0: never */
	uint64_t detail_of_boot_ns; /* the snapshot it was taken with */
	uint64_t talkers_of_boot_ns;
	int error;
	uint64_t errors; /* failures other than "there is none yet" */
	const char *netns;
	char why[512]; /* a sentence, after an error */
};

/* `netns` outlives the source. 0 or -errno; a table that is not there yet is no error. */
int source_init(struct source *source, const char *runtime_dir, const char *netns);
void source_close(struct source *source);

/* NULL when there is no table that can be read: see error and why. */
const struct snapshot *source_snapshot(struct source *source, uint64_t now_boot_ns,
				       uint64_t now_real_ns);

/* After source_snapshot() gave one. NULL when reading fails. */
const struct snap_history *source_history(struct source *source, bool minutes);

/* Likewise: once for each snapshot. */
const struct snap_detail *source_detail(struct source *source);

/* Likewise: only its talkers are of this snapshot, the rest is older or was never taken. */
const struct snap_detail *source_talkers(struct source *source);

/* Likewise: past forecasts and what came of them. */
const struct snap_pasts *source_pasts(struct source *source);

/* "missing" or "unreadable", for conntide_agent_state. */
const char *source_missing_state(const struct source *source);

#endif
