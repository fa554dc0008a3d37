// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One entry's life in the mirror: where it is counted, how it moves, how it
 * leaves. Private to tracker.c (events) and dump.c (dumps and GETs), which
 * decide what happens; here is how. Every change of a record's cell or flags goes
 * through these functions, so that no counter can differ from the records.
 *
 * `at` is a record number, `flags` are FLOW_* of flow_table.h. Pure; one thread.
 */
#ifndef CONNTIDE_MIRROR_ENTRY_H
#define CONNTIDE_MIRROR_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mirror/tracker.h"

/* Protocol, direction by the current addresses, and port. */
struct row_key entry_row_key(const struct mirror *mirror, const struct ct_event *event);

/* The state in an event, or `otherwise` when it carries none. */
unsigned int entry_state_told(enum l4proto l4proto, const struct ct_event *event,
			      unsigned int otherwise);
bool entry_cell_unknown(uint32_t cell);
/* FLOW_SEEN_REPLY and FLOW_ASSURED as the event has them. */
uint32_t entry_status_flags(const struct ct_event *event);

/* What an answer of the kernel (a record of a dump, or of a GET) says of an entry besides its
 * state: facts, and for how long no packet has refreshed it. */
void entry_told(const struct mirror *mirror, struct flow *flow, const struct ct_event *record);

/* A new record for the event's entry; FLOW_NONE when the mirror is full. */
uint32_t entry_insert(struct mirror *mirror, const struct ct_event *event, uint32_t flags);
/* Replaces the record's entry by another incarnation. */
void entry_replace(struct mirror *mirror, uint32_t at, const struct ct_event *event,
		   uint32_t flags);
/* `event` reported it. Flags that are private to entry.c stay. */
void entry_move(struct mirror *mirror, struct flow *flow, uint32_t cell, uint32_t flags,
		const struct ct_event *event);
/* Removes it; a tombstone stays for a second, longer during a dump. `event` is the DESTROY; NULL:
 * it was found missing. */
void entry_remove(struct mirror *mirror, uint64_t hash, uint32_t at, const struct ct_key *key,
		  const struct ct_event *event);
/* A DESTROY of an entry that is not in the mirror. */
void entry_bury_unknown(struct mirror *mirror, const struct ct_event *event);

void entry_count_new(struct mirror *mirror, const struct flow *flow);
/* Stamps the record with the current mark: an event has shown it. */
void entry_stamp(struct mirror *mirror, struct flow *flow, const struct ct_event *event);

/* A second, in ticks of 2^24 ns: how long a tombstone is remembered. */
#define TOMBSTONE_TICKS 60u

#endif
