// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events + mirror -> cells: the rules by which the mirror follows the kernel.
 *
 * The cell that is decremented is always the one the record says the entry is
 * in, never one that an event names. Rules, after the kernel's guarantees and
 * the lack of them (net/netfilter/nf_conntrack_{core,ecache,netlink}.c):
 *
 *  1 DESTROY of the resident with this id: remove it, leave a tombstone. A clash
 *    entry (status bit 12): count, ignore. Another id: ignore, doubt.
 *  2 NEW or UPDATE of a dying entry: as 1.
 *  3 NEW: insert, or replace in place what is there (a DESTROY was lost, or the
 *    id was reused: CTA_ID does not identify an incarnation).
 *  4 UPDATE: of an unknown entry: insert; of another id: as 3; else apply. The
 *    state changes only if PROTOINFO is there, and not if the status lost
 *    SEEN_REPLY or ASSURED: those never go away, so the message is an old one;
 *    or the id was reused unheard, so the entry is asked for.
 *  5 An insertion over a tombstone younger than a second of the same id: accept,
 *    but doubt: it may be the late message of an entry that is gone. Not so a NEW
 *    when the NEW of the entry in the tombstone was read: an entry has only one.
 *
 * Marks order events against dumps and GETs, which are filled at another time
 * than they are read: mirror_mark() begins a new mark after each request, each
 * event stamps its record with the mark that runs, and an answer is older than
 * an event stamped with a mark later than the answer's request.
 *
 * Pure: time comes with mirror_set_time(); no I/O, no allocation. One thread.
 */
#ifndef CONNTIDE_MIRROR_TRACKER_H
#define CONNTIDE_MIRROR_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"
#include "lib/kernel/timeouts.h"
#include "lib/mirror/change.h"
#include "lib/mirror/flow_table.h"
#include "lib/mirror/histogram.h"
#include "lib/mirror/local_addr.h"
#include "lib/mirror/sample.h"
#include "lib/mirror/verify.h"

struct mirror_counters {
	uint64_t events[CT_KINDS];
	uint64_t clash_events;
	uint64_t stale_updates;	  /* dropped as overtaken */
	uint64_t refused_entries; /* mirror at its limit */
	uint64_t repairs_state;
	uint64_t repairs_missing;
	uint64_t repairs_ghost;
	uint64_t repairs_replaced;
	uint64_t audits_match;
	uint64_t audits_mismatch;
	uint64_t tombstone_skips;
	uint64_t new_entries;
	uint64_t destroyed_entries;
};

/* Tombstones by age, linked through flow.stamp. Several queues that take turns are one, of which
 * the next few are known in advance. */
struct tombstone_queue {
	uint32_t oldest;
	uint32_t youngest;
};

#define TOMBSTONE_QUEUES 16u

struct mirror {
	struct flow_table table;
	struct histogram *hist;
	const struct local_addrs *addrs;
	struct verify *verify;
	struct entry_hook *hook; /* NULL: no statistics are kept */
	uint64_t now_ns;	 /* boot clock */
	uint64_t last_silent_ns; /* last confirmed silent change; 0 never */
	uint64_t last_ghost_ns;	 /* last entry found gone whose end should have been reported; 0
				    never */
	uint64_t found_total;	 /* entries that got FLOW_FOUND */
	struct sample sample;
	uint32_t timeouts_s[TIMEOUT_COUNT]; /* in force; 0: not known, and no idle time is */
	uint32_t mark;			    /* 1 .. FLOW_MARK_MASK */
	uint32_t dump;			    /* number of the last dump begun; 0: there was none */
	uint8_t epoch;			    /* of that dump, 1 .. FLOW_EPOCH_MAX in turn */
	bool dump_running;		    /* keep tombstones */
	bool corrections_silent;	    /* corrections are silent changes, not lost events */
	struct tombstone_queue tombstone_queues[TOMBSTONE_QUEUES];
	uint32_t buried; /* tombstones so far; the queues take them in turn */
	uint32_t dug_up; /* that went so far, in the same turn */
	uint32_t tombstones;
	uint32_t entries; /* live */
	uint32_t silent_entries;
	uint32_t unassured_entries;
	uint32_t unknown_entries; /* state unknown */
	struct mirror_counters counters;
};

/* hist, addrs and verify are borrowed and must outlive the mirror; so is the hook, which is set
 * in the struct before the first event or not at all. */
/* 0 or -ENOMEM. */
int mirror_create(struct mirror *mirror, uint32_t limit_entries, struct histogram *hist,
		  const struct local_addrs *addrs, struct verify *verify);
void mirror_destroy(struct mirror *mirror);

void mirror_set_time(struct mirror *mirror, uint64_t boot_ns);

/* Starts a new mark; returns the previous one. */
uint32_t mirror_mark(struct mirror *mirror);

void mirror_event(struct mirror *mirror, const struct ct_event *event);

/* Once a second: how many entries of the sample to ask for, see sample.h. */
void mirror_audit(struct mirror *mirror, uint32_t most);

/* Corrections made by dumps and answers so far, of all kinds. */
uint64_t mirror_repairs(const struct mirror *mirror);

/* Drops tombstones older than a second, unless a dump runs. */
void mirror_purge_tombstones(struct mirror *mirror);

/*
 * The answer to a GET: `found` is NULL when the kernel knows no such entry.
 * `asked_mark`: mirror_mark() when the request went out.
 */
void mirror_answer(struct mirror *mirror, const struct verify_item *item,
		   const struct ct_event *found, uint32_t asked_mark);

/* --- for resync.c ------------------------------------------------------- */

/* Event stamped later than `mark`? FLOW_MARK_NONE is never later. */
bool mirror_mark_later(const struct flow *flow, uint32_t mark);
/* Was the DESTROY of this incarnation read since the dump that runs began? */
bool mirror_buried_in_dump(const struct mirror *mirror, const struct ct_event *record);
uint32_t mirror_insert_record(struct mirror *mirror, const struct ct_event *event);
void mirror_apply_record(struct mirror *mirror, uint32_t at, const struct ct_event *event);
void mirror_replace_record(struct mirror *mirror, uint32_t at, const struct ct_event *event);
void mirror_fill_unknown(struct mirror *mirror, uint32_t at, const struct ct_event *event);
/* An event or a record has shown the entry: it is counted by address from now on. */
void mirror_shown(struct mirror *mirror, struct flow *flow, const struct ct_event *event);
/* No new count by address is being built; the record says so. */
void mirror_counted_reset(const struct mirror *mirror, struct flow *flow);
/* The entry is gone, unheard; the record is about to be removed by its scan. */
void mirror_sweep_record(struct mirror *mirror, struct flow *flow);

#endif
