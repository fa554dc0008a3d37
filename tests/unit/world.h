// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A mirror without a kernel: histogram in private memory, addresses, verify and
 * resync around it. Included by tests/unit and tests/replay only.
 */
#ifndef CONNTIDE_TESTS_WORLD_H
#define CONNTIDE_TESTS_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/histogram.h"
#include "agent/local_addr.h"
#include "agent/resync.h"
#include "agent/tracker.h"
#include "agent/verify.h"

/* The histogram's memory: everything zero, nothing shared, sparse. */
int world_histogram(struct histogram *hist);
void world_histogram_free(struct histogram *hist);

struct world {
	struct histogram hist;
	struct local_addrs addrs;
	struct verify verify;
	struct mirror mirror;
	struct resync resync;
};

/* 0 or -errno. The time is 1000 s after boot; no address is local. */
int world_create(struct world *world, uint32_t limit_entries);
void world_destroy(struct world *world);

/* Moves the clock. */
void world_pass(struct world *world, uint64_t ns);

/* Sum of all cells of active rows. */
uint64_t world_cells(const struct histogram *hist);

/*
 * Everything the mirror counts, counted again from its records: entries, mute,
 * unassured, unknown, and each record's cell. NULL, or what does not agree.
 */
const char *world_disagrees(struct world *world);

/* What a test wants to tell of an entry; the rest of a message follows from it. */
struct told {
	enum ct_kind kind;
	uint32_t number; /* of the tuple: another one, another entry */
	uint32_t id;
	uint8_t l4num;
	uint32_t status;
	int state; /* of PROTOINFO; -1: none in the message */
};

struct ct_event world_event(struct told told);

#endif
