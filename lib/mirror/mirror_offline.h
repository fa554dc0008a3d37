// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A mirror without a kernel: histogram in private memory, addresses, verify and
 * resync around it, and a clock that the caller moves. For conntide-replay and for
 * tests, which run the same tracker and resync as the agent.
 *
 * Whoever feeds it does what the agent's loop does: world_time() before events,
 * resync_*() around records of a dump. Nothing is asked of anybody: doubts gather
 * in `verify`, bounded, and are dropped.
 *
 * The world owns its parts. Pure but for mmap of its memory, which is sparse: what
 * is not touched costs nothing. One thread. Errors: -ENOMEM.
 */
#ifndef CONNTIDE_MIRROR_MIRROR_OFFLINE_H
#define CONNTIDE_MIRROR_MIRROR_OFFLINE_H

#include <stdint.h>
#include <stdio.h>

#include "lib/mirror/histogram.h"
#include "lib/mirror/local_addr.h"
#include "lib/mirror/resync.h"
#include "lib/mirror/tracker.h"
#include "lib/mirror/verify.h"

struct world {
	struct histogram hist;
	struct local_addrs addrs;
	struct verify verify;
	struct mirror mirror;
	struct resync resync;
};

/* The histogram's memory: everything zero, nothing shared, sparse. */
int world_histogram(struct histogram *hist);
void world_histogram_free(struct histogram *hist);

/* 0 or -errno. The time is 1000 s after boot; no address is local. */
int world_create(struct world *world, uint32_t limit_entries);
void world_destroy(struct world *world);

/* Moves the clock; world_time() also lets tombstones go that are too old. */
void world_pass(struct world *world, uint64_t ns);
void world_time(struct world *world, uint64_t boot_ns);

/* What is left of a resync after its dump, to the end. */
enum resync_result world_sweep(struct world *world);

/* The cells as `conntide cells --json` prints them. 0 or -errno. */
int world_print_cells(const struct histogram *hist, FILE *out);

#endif
