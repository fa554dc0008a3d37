// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A line of the trace format <-> struct ct_event, both ways, and the names of
 * timeouts in traces. What a line holds and what of an event it cannot hold:
 *
 *  - the original tuple; for ICMP the two port columns are id and type << 8 | code,
 *    for GRE its keys, as in struct ct_key. No zone, no reply tuple: entries of two
 *    zones with one tuple are taken for one.
 *  - `proto` by name, else by number; a name that is not known counts as "other".
 *  - `state`: the kernel's names for TCP and SCTP, else UNREPLIED, REPLIED,
 *    ASSURED; OFFLOADED for an entry in a flowtable; UNKNOWN where the kernel did
 *    not tell. Any other name is read like UNKNOWN.
 *  - `assured`; that an entry was answered follows from it or from the state REPLIED,
 *    so a TCP entry without it has lost its status bit SEEN_REPLY.
 *  - `timeout`: of 0 only a DESTROY tells something.
 *  - who asked for a change (portid) is lost.
 *
 * CTA_ID has 32 bits; longer ids of other writers are folded.
 *
 * Pure. Threads: none of its own; ct_hash_seed() or _fixed() comes first.
 */
#ifndef CONNTIDE_TRACE_TRACE_EVENT_H
#define CONNTIDE_TRACE_TRACE_EVENT_H

#include <stdint.h>

#include "lib/event/event.h"
#include "lib/trace/trace.h"

/* A DUMP, NEW, UPDATE or DESTROY line. NULL, or the column that is wrong (static
 * text): addresses that are none, or of two families. */
const char *trace_to_event(const struct trace_record *rec, struct ct_event *event);

/* `kind` and t_ns of *rec are the caller's; the entry is filled in. */
void trace_from_event(const struct ct_event *event, struct trace_record *rec);

/* enum timeout_id of a SYSCTL line, its name with or without "nf_conntrack_"; -1. */
int trace_timeout(const char *name);
/* The name to write; NULL for an id out of range. */
const char *trace_timeout_name(unsigned int id);

#endif
