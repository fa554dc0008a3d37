// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The entries of the kernel's table as a recording knows them: a dump and the events during
 * it merged into one list without duplicates, and afterwards the last known state of each
 * entry, for events that do not carry it. The mirror (lib/mirror/tracker.h) keeps no tuples;
 * a trace needs them.
 *
 * During a dump (ct_cache_dump_begin() to ct_cache_dump_end()) events and records are mixed,
 * and both may show the same entry. The caller subscribes before the dump begins and empties
 * the event queue before each chunk. Then the event wins: it is newer than the record, or its
 * successors are still queued. A record of an entry that an event has shown, alive or dead,
 * is therefore ignored, except for a state that no event carried. Tombstones are kept until
 * the dump ends.
 *
 * Found by the keyed hash of the tuple; bounded by a limit set at creation; memory is touched
 * only where used. O(1) per event, no allocation after ct_cache_create(). Entries beyond the
 * limit are counted, and recorded without their history. Threads: one. Pure but for mmap.
 * Errors: -ENOMEM.
 */
#ifndef CONNTIDE_AGENT_RECORD_CT_CACHE_H
#define CONNTIDE_AGENT_RECORD_CT_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"

#define CT_CACHE_LIMIT_MAX (16u << 20)

struct ct_cache_entry {
	struct ct_event event; /* the last one of it, with the state filled in */
	uint64_t at_ns;	       /* when that was */
	uint32_t next;	       /* in its chain, or the next free one */
	bool buried;	       /* destroyed during the dump */
	bool by_event;	       /* shown by an event since the dump began */
};

struct ct_cache {
	struct ct_cache_entry *entries; /* [0] is not used */
	uint32_t *heads;
	uint32_t limit_entries;
	uint32_t bucket_mask;
	uint32_t used; /* records ever used */
	uint32_t free_head;
	uint32_t live;
	bool dump_running;
	uint64_t refused; /* beyond the limit */
};

int ct_cache_create(struct ct_cache *cache, uint32_t limit_entries);
void ct_cache_destroy(struct ct_cache *cache);

/* Forgets everything and begins a new list. */
void ct_cache_dump_begin(struct ct_cache *cache);
void ct_cache_record(struct ct_cache *cache, const struct ct_event *record, uint64_t now_ns);
void ct_cache_dump_end(struct ct_cache *cache);

/*
 * NEW, UPDATE or DESTROY. Fills in the last known state if *event has none. False: no
 * line is needed: an UPDATE that was overtaken, or a message of a dying entry, whose
 * DESTROY follows.
 */
bool ct_cache_event(struct ct_cache *cache, struct ct_event *event, uint64_t now_ns);

/* All live entries, unordered: *cursor is 0 first; NULL at the end. */
const struct ct_cache_entry *ct_cache_next(const struct ct_cache *cache, uint32_t *cursor);

#endif
