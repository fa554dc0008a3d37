// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A mirror without a kernel: histogram in private memory, addresses, verify and
 * resync around it, and a clock that the caller moves. For conntide-replay and for
 * tests, which run the same tracker and resync as the agent.
 *
 * The caller does what the agent's loop does: mirror_offline_time() before events,
 * resync_*() around records of a dump. Nothing is asked of anybody: doubts gather
 * in `verify`, bounded, and are dropped.
 *
 * It owns its parts. Pure but for mmap of its memory, which is sparse: what
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

struct mirror_offline {
	struct histogram hist;
	struct local_addrs addrs;
	struct verify verify;
	struct mirror mirror;
	struct resync resync;
};

/* The histogram's memory: everything zero, nothing shared, sparse. */
int mirror_offline_histogram(struct histogram *hist);
void mirror_offline_histogram_free(struct histogram *hist);

/* 0 or -errno. The time is 1000 s after boot; no address is local. */
int mirror_offline_create(struct mirror_offline *offline, uint32_t limit_entries);
void mirror_offline_destroy(struct mirror_offline *offline);

/* Moves the clock; mirror_offline_time() also lets tombstones go that are too old. */
void mirror_offline_pass(struct mirror_offline *offline, uint64_t ns);
void mirror_offline_time(struct mirror_offline *offline, uint64_t boot_ns);

/* What is left of a resync after its dump, to the end. */
enum resync_result mirror_offline_sweep(struct mirror_offline *offline);

/* The cells as `conntide cells --json` prints them. 0 or -errno. */
int mirror_offline_print_cells(const struct histogram *hist, FILE *out);

#endif
