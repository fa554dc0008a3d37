// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The entries of the kernel's table as a recording knows them: a dump and the events
 * around it made into one list without doubles, and afterwards the last known state
 * of each entry, for events that do not tell it. The mirror (tracker.h) keeps no
 * tuples; a trace needs them.
 *
 * While a dump runs (ct_cache_dump_begin() .. ct_cache_dump_end()) events and records
 * come mixed, and an entry may be told of by both. Whoever calls has subscribed
 * before the dump began and empties the queue of events before each chunk. Then the
 * event wins: what it tells is either newer than the record, or its successors are
 * still to come. So a record is ignored if an event told of the entry, dead or alive,
 * but for a state that no event told. Tombstones are kept until the dump ends.
 *
 * Found by the keyed hash of the tuple; bounded by a limit given at the start, with
 * memory that is touched only where used. O(1) an event, no allocation after
 * ct_cache_create(). What does not fit is counted, and recorded without its history.
 * Pure but for mmap. One thread. Errors: -ENOMEM.
 */
#ifndef CONNTIDE_AGENT_RECORD_CT_CACHE_H
#define CONNTIDE_AGENT_RECORD_CT_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"

#define CT_CACHE_LIMIT_MAX (16u << 20)

struct ct_cache_entry {
	struct ct_event event; /* the last that told of it, its state completed */
	uint64_t at_ns;	       /* when that was */
	uint32_t next;	       /* in its chain, or the next free one */
	bool buried;	       /* gone while the dump runs */
	bool by_event;	       /* told of by an event since the dump began */
};

struct ct_cache {
	struct ct_cache_entry *entries; /* [0] is not used */
	uint32_t *heads;
	uint32_t limit_entries;
	uint32_t bucket_mask;
	uint32_t used; /* ever taken */
	uint32_t free_head;
	uint32_t live;
	bool dump_running;
	uint64_t refused; /* found no room */
};

int ct_cache_create(struct ct_cache *cache, uint32_t limit_entries);
void ct_cache_destroy(struct ct_cache *cache);

/* Forgets everything; events and records from now on make a new list. */
void ct_cache_dump_begin(struct ct_cache *cache);
void ct_cache_record(struct ct_cache *cache, const struct ct_event *record, uint64_t now_ns);
void ct_cache_dump_end(struct ct_cache *cache);

/*
 * NEW, UPDATE or DESTROY. Completes *event by the state last known, if it tells
 * none. False: nothing happened that is worth a line: an UPDATE that was overtaken,
 * or a message of a dying entry, whose DESTROY follows.
 */
bool ct_cache_event(struct ct_cache *cache, struct ct_event *event, uint64_t now_ns);

/* All live entries, in no order: *cursor 0 to begin; NULL at the end. */
const struct ct_cache_entry *ct_cache_next(const struct ct_cache *cache, uint32_t *cursor);

#endif
