// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A machine that is not there: an nginx that opens a connection to its upstream for each
 * request, a resolver, a few logins, and from time to time a SYN flood that fills the table.
 * It says what the kernel would: events, the count, and what was dropped and evicted.
 *
 * The rules of the table are the kernel's in short: a full table evicts an unassured entry for
 * a new one where it finds one, else it drops the packet.
 *
 * Deterministic but for its seed. Pure: time is given, in steps of MACHINE_STEP_NS; events leave
 * through the callback. Owned by the caller; machine_free() frees what it points to. One thread.
 */
#ifndef CONNTIDE_AGENT_DEMO_MACHINE_H
#define CONNTIDE_AGENT_DEMO_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"

#define MACHINE_STEP_NS	     UINT64_C(100000000)
#define MACHINE_MAX_ENTRIES  16384u
#define MACHINE_BUCKETS	     16384u
#define MACHINE_LOOP_S	     360u /* the flood comes back every six minutes */
#define MACHINE_FLOOD_FROM_S 60u
#define MACHINE_FLOOD_TO_S   160u

struct machine_entry;

struct machine {
	void (*event)(void *arg, const struct ct_event *event);
	void *arg;
	struct machine_entry *entries; /* MACHINE_MAX_ENTRIES */
	uint32_t *wheel;	       /* first entry due in a step, by step */
	uint32_t free;		       /* first free entry */
	uint32_t count;
	uint32_t next_id;
	uint64_t step;	 /* since the start */
	uint64_t origin; /* the step from which floods are counted */
	uint64_t random;
	uint64_t dropped;
	uint64_t evicted;
	int32_t busy;	/* more requests than the mean, in 2 % of it, or fewer */
	double owed[4]; /* parts of a new entry that a step left over, by kind */
};

/* 0 or -ENOMEM. */
int machine_init(struct machine *machine, uint64_t seed);
void machine_free(struct machine *machine);

/* One step. `calm`: no flood, whatever the time. */
void machine_step(struct machine *machine, bool calm);

/* The address of this machine, IPv4. */
extern const uint8_t machine_address[4];

#endif
