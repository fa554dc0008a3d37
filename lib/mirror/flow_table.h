// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mirror's memory: one 24-byte record per conntrack entry, found by the
 * keyed hash of its original tuple and zone.
 *
 * The index is made of cache lines: a bucket is one line of 15 slots, each a record's number and
 * six bits of its hash, so that an event reads one line of the index and, but for one in ten, no
 * record but its own. Linear hashing (Litwin, "Linear hashing: a new tool for file and table
 * addressing", 1980) over buckets: the index grows by one line every nine insertions, so there is
 * no moment of rehashing and no second copy. A bucket that has more is continued in overflow
 * lines; slots of a bucket are dense, only the last of its lines has free ones, at its end. The
 * cost an entry is 24 bytes of record and less than 8 of index at any size from 100,000 on.
 *
 * Address space is reserved at the start, for any limit to come, and made usable 2 MiB at a time,
 * so that nothing is ever copied and a system that counts promises of memory is promised no more
 * than is needed; in huge pages beyond the first 2 MiB, where the system offers them (madvise).
 * Records are reused before new ones are taken.
 *
 * A record keeps 58 bits of the hash (40 stored, 6 in its slot, 12 by its place), not the
 * tuple. Two live entries are taken for one with probability n / 2^58 per new
 * entry, one in 2.9e11 at a million entries; the next resync repairs it.
 *
 * A record number is valid until the record is removed; FLOW_NONE is none, and can be looked at:
 * it is neither live nor a tombstone.
 * A record is live or a tombstone (see tracker.h); both are in the index.
 * Threads: one. Errors: -ENOMEM, -ENOSPC at the limit. Pure but for mmap.
 */
#ifndef CONNTIDE_MIRROR_FLOW_TABLE_H
#define CONNTIDE_MIRROR_FLOW_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/prefetch.h"
#include "lib/mirror/age.h"
#include "lib/mirror/flow_line.h"

#define FLOW_NONE 0u

/* Flags share a word with the cell, whose numbers fit 24 bits. */
#define FLOW_CELL_BITS	   24u
#define FLOW_CELL_MASK	   0x00ffffffu
#define FLOW_LIVE	   (1u << 24)
#define FLOW_TOMBSTONE	   (1u << 25)
#define FLOW_SILENT	   (1u << 26) /* silent: may change without an event */
#define FLOW_SEEN_REPLY	   (1u << 27)
#define FLOW_ASSURED	   (1u << 28)
#define FLOW_BORN_SEEN	   (1u << 29) /* its NEW was received: the age is true */
#define FLOW_SINCE_UNKNOWN (1u << 30) /* when it entered its state is not known */
#define FLOW_COUNTED	   (1u << 31) /* for talkers.h: which count includes it */

/* Stamp: epoch of the last dump that showed it (0: none), FLOW_FOUND, and mark of its last event.
 * FLOW_FOUND is set with FLOW_SILENT when a dump after a loss corrected the entry: its event may
 * have been lost, so another dump that finds it unchanged clears both. */
#define FLOW_MARK_MASK	 0x007fffffu
#define FLOW_MARK_NONE	 0u
#define FLOW_FOUND	 0x00800000u
#define FLOW_EPOCH_SHIFT 24u
#define FLOW_EPOCH_MAX	 3u
#define FLOW_STAMP_MASK	 0x03ffffffu

/* What an answer of the kernel said of an entry, and when it was last refreshed. */
#define FACT_SRC_NAT   (1u << 0)
#define FACT_DST_NAT   (1u << 1)
#define FACT_HELPER    (1u << 2)
#define FACT_IPV6      (1u << 3)
#define FACT_ZONED     (1u << 4)
#define FACT_KINDS     5u
#define FACT_KINDS_ALL ((1u << FACT_KINDS) - 1u)
#define FACT_IDLE      (1u << 5) /* an answer since it is in its state told its idle time... */
#define FACT_REFRESHED (1u << 6) /* ...which was shorter than its time in the state */
/* Above them: the bucket of that idle time, see age_bucket(). */
#define FACT_IDLE_SHIFT 7u
#define FACT_MASK	0x3fffu

/*
 * Times are in ticks of 2^24 ns (16.8 ms) of the boot clock and wrap after 2.28
 * years: only differences mean anything.
 */
#define FLOW_TICK_SHIFT 24u

struct flow {
	uint64_t hash : 34;  /* bits 12..45 of the hash */
	uint64_t age : 16;   /* ticks from birth to `since`, packed; see flow_bury() */
	uint64_t facts : 14; /* FACT_* */
	uint32_t id;	     /* CTA_ID; of a free record the next one */
	uint32_t cell_flags;
	uint32_t since; /* tick of the last change of state, see observer.h; tombstone: of death */
	uint32_t stamp : 26;	 /* live: see above; tombstone: a younger one */
	uint32_t hash_above : 6; /* bits 46..51 of the hash */
};

_Static_assert(sizeof(struct flow) == 24, "the memory goal of the mirror stands on this");

/* Elements of an array in address space. */
struct flow_room {
	uint64_t reserved; /* for which there is address space... */
	uint64_t backed;   /* ...and that are usable now */
};

struct flow_table {
	struct flow *records;	    /* [0] is not used */
	struct flow_line *lines;    /* by bucket */
	struct flow_line *overflow; /* [0] is not used */
	struct flow_room record_room;
	struct flow_room line_room;
	struct flow_room overflow_room;
	uint32_t limit_entries; /* insertions fail beyond this */
	uint32_t used;		/* records ever used, [0] included */
	uint32_t free_head;
	uint32_t overflow_used; /* overflow lines ever used, [0] included */
	uint32_t overflow_free;
	uint32_t linked; /* records in the index, tombstones included */
	uint32_t buckets;
	uint32_t level_mask; /* 2^level - 1, 2^level <= buckets < 2^(level+1) */
};

/* The largest limit there can be. */
#define FLOW_LIMIT_MAX ((64u << 20) - 1u)

_Static_assert(FLOW_LIMIT_MAX >> (32u - FLOW_TAG_BITS) == 0, "a number fits into a slot");

/* 0 or -ENOMEM. The limit is lower than requested where address space is short. */
int flow_table_create(struct flow_table *table, uint32_t limit_entries);
/* Takes effect from now on. Existing records stay, even beyond a lower limit. */
void flow_table_set_limit(struct flow_table *table, uint32_t limit_entries);
void flow_table_destroy(struct flow_table *table);

/* Bytes of records and index touched so far. */
uint64_t flow_table_bytes(const struct flow_table *table);

static inline struct flow *flow_at(const struct flow_table *table, uint32_t at)
{
	return &table->records[at];
}

/* The live record with this hash, or FLOW_NONE. */
uint32_t flow_find(const struct flow_table *table, uint64_t hash);

/* For those who ask for the tombstone where there is no live record, in one search. Returned by
 * value: no stack is needed for it. */
struct flow_found {
	uint32_t live;	    /* as flow_find() */
	uint32_t tombstone; /* the youngest one of this id; FLOW_NONE where a live one was found */
};

struct flow_found flow_search(const struct flow_table *table, uint64_t hash, uint32_t id);

/* A new record in the index, all fields but the hash zero. FLOW_NONE at
 * the limit. Moves no other record. */
uint32_t flow_insert(struct flow_table *table, uint64_t hash);

/* Unlinks and frees. The record must be linked under this hash. */
void flow_remove(struct flow_table *table, uint64_t hash, uint32_t at);

/* Turns a live record into a tombstone that can later be removed without its
 * hash: its age gives way to the hash bits that its place stood for. Of its flags
 * FLOW_BORN_SEEN stays. */
void flow_bury(struct flow_table *table, uint64_t hash, uint32_t at);
void flow_remove_tombstone(struct flow_table *table, uint32_t at);
/* Brings what flow_remove_tombstone() will change of the index into the cache. */
void flow_prefetch_tombstone(const struct flow_table *table, uint32_t at);

/* Position of a scan; {0, n} to begin, n buckets per call. */
struct flow_cursor {
	uint32_t bucket;
	uint32_t step_buckets;
};

/*
 * Walks all buckets, a bounded number a call. `visit` returns true to
 * have its record removed, and changes nothing else of the table. What is
 * in the index from the first call to the last is seen at least once, and twice only
 * if its bucket was split meanwhile. Returns true when the end was reached.
 */
bool flow_scan(struct flow_table *table, struct flow_cursor *cursor,
	       bool (*visit)(void *arg, struct flow *flow, uint32_t at), void *arg);

static inline uint32_t flow_bucket(const struct flow_table *table, uint64_t hash)
{
	uint32_t bucket = (uint32_t)hash & (table->level_mask << 1 | 1u);

	return bucket < table->buckets ? bucket : bucket & table->level_mask;
}

/*
 * Bring the line of the index, then the record, then what the bucket is continued in into the
 * cache. Each is read to find the next one, so do one step for many hashes before the next step:
 * these reads wait for memory all at once, those of flow_find() one after the other.
 */
static inline void flow_prefetch_line(const struct flow_table *table, uint64_t hash)
{
	prefetch_write(&table->lines[flow_bucket(table, hash)]);
}

static inline uint32_t flow_tag(uint64_t hash)
{
	return (uint32_t)(hash >> 52) & FLOW_TAG_MASK;
}

/* It may stand in two lines. */
static inline void flow_prefetch(const struct flow_table *table, uint32_t at)
{
	prefetch(flow_at(table, at));
	prefetch((const char *)flow_at(table, at + 1u) - 1);
}

static inline void flow_prefetch_line_of(const struct flow_table *table,
					 const struct flow_line *line, uint64_t hash)
{
	uint32_t found = flow_line_where(line, FLOW_TAG_MASK, flow_tag(hash));

	for (; found; found &= found - 1u)
		flow_prefetch(table, flow_line_number(line, (uint32_t)__builtin_ctz(found)));
}

static inline void flow_prefetch_record(const struct flow_table *table, uint64_t hash)
{
	const struct flow_line *line = &table->lines[flow_bucket(table, hash)];

	flow_prefetch_line_of(table, line, hash);
	if (line->more)
		prefetch(&table->overflow[line->more]);
}

static inline void flow_prefetch_overflow(const struct flow_table *table, uint64_t hash)
{
	const struct flow_line *line = &table->lines[flow_bucket(table, hash)];

	if (line->more)
		flow_prefetch_line_of(table, &table->overflow[line->more], hash);
}

static inline uint32_t flow_tick(uint64_t boot_ns)
{
	return (uint32_t)(boot_ns >> FLOW_TICK_SHIFT);
}

static inline void flow_set_stamp(struct flow *flow, uint32_t stamp)
{
	flow->stamp = stamp & FLOW_STAMP_MASK;
}

static inline void flow_set_facts(struct flow *flow, uint32_t facts)
{
	flow->facts = facts & FACT_MASK;
}

static inline uint32_t flow_cell(const struct flow *flow)
{
	return flow->cell_flags & FLOW_CELL_MASK;
}

#endif
