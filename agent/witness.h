// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What entries do, told to whoever keeps statistics of it: the one place where
 * the mirror's changes leave it for the forecast, for how long entries stay and for
 * who holds them. The mirror (entry.c) calls witness_tell() for each entry that
 * appears, changes its cell or goes, and never looks at what becomes of it.
 *
 * Owns nothing: what it feeds is borrowed and must outlive it. NULL members are
 * left out. O(1), no allocation, no system call. One thread.
 */
#ifndef CONNTIDE_AGENT_WITNESS_H
#define CONNTIDE_AGENT_WITNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/ct_event.h"
#include "agent/flow_table.h"
#include "lib/shm/layout.h"

struct forecast;

struct witness {
	struct forecast *forecast;
	bool crowded; /* the table is so full that the kernel evicts; set once a second */
};

/* One change of one entry. */
struct sighting {
	uint64_t now_ns;
	const struct flow *flow;       /* as it was before; for one that appeared: as it is */
	uint32_t from_cell;	       /* CELL_INVALID: it appeared */
	uint32_t to_cell;	       /* CELL_INVALID: it went */
	bool found;		       /* it appeared, but was there before */
	const struct ct_key *key;      /* NULL: not known (swept) */
	const struct ct_event *event;  /* what told of it; NULL: nothing did (swept, replaced) */
	/* Out: since when it is in to_cell, in ticks; and whether that is known. */
	uint32_t since;
	bool since_known;
};

void witness_tell(struct witness *witness, struct sighting *seen);

/* enum fc_stage of a protocol's state. */
uint8_t witness_stage(unsigned int l4proto, unsigned int state);

/* How an entry ended, by what is known of it: enum shm_end. */
unsigned int witness_end(const struct witness *witness, const struct sighting *seen);

#endif
