// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A line of the trace format <-> struct ct_event, both ways, and the names of timeouts in
 * traces. What a line holds, and what it cannot hold:
 *
 *  - the original tuple; for ICMP the two port columns are id and type << 8 | code, for GRE
 *    its keys, as in struct ct_key. No zone and no reply tuple: entries of two zones with
 *    the same tuple become one.
 *  - `proto` by name, else by number; an unknown name counts as "other".
 *  - `state`: the kernel's names for TCP and SCTP, else UNREPLIED, REPLIED, ASSURED;
 *    OFFLOADED for an entry in a flowtable; UNKNOWN where the kernel did not report it. Any
 *    other name is read as UNKNOWN.
 *  - `assured`; that an entry was answered is derived from it or from the state REPLIED, so
 *    the status bit SEEN_REPLY of an unassured TCP entry is lost.
 *  - `timeout`: 0 means something in a DESTROY only.
 *  - the port id of a program that changed the entry is lost.
 *
 * CTA_ID has 32 bits; longer ids written by others are folded.
 *
 * Pure. Threads: none of its own; call ct_hash_seed() or ct_hash_seed_fixed() first.
 */
#ifndef CONNTIDE_TRACE_TRACE_EVENT_H
#define CONNTIDE_TRACE_TRACE_EVENT_H

#include <stdint.h>

#include "lib/event/event.h"
#include "lib/trace/trace.h"

/* A DUMP, NEW, UPDATE or DESTROY line. NULL, or the column that is wrong (static
 * text): not an address, or addresses of two families. */
const char *trace_to_event(const struct trace_record *rec, struct ct_event *event);

/* Fills in the entry; the caller sets kind and t_ns. */
void trace_from_event(const struct ct_event *event, struct trace_record *rec);

/* enum timeout_id of a SYSCTL line, its name with or without "nf_conntrack_"; -1. */
int trace_timeout(const char *name);
/* The name to write; NULL for an id out of range. */
const char *trace_timeout_name(unsigned int id);

#endif
