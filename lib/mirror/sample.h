// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A random sample of the mirror's entries, with their tuples, so that the kernel can be
 * asked for each of them: what changes without an event is found this way, wherever in the
 * table it is and however long ago its last event was.
 *
 * In the sample are the entries of one slice: those of which some bits of the keyed hash,
 * which no traffic can choose, have a value drawn at random. So long as there are no more
 * than SAMPLE_GOAL entries the slice is the whole table. It gets narrower as the table
 * grows, and another is drawn with each dump, which shows every entry: a wrong entry is
 * not outside the sample for ever.
 *
 * Memory: SAMPLE_SLOTS tuples, in buckets of SAMPLE_WAYS; of a bucket that is full one
 * gives way. `count` is right at any moment, except for entries of earlier slices and entries
 * swept by a dump, which stay until their slot is walked over.
 *
 * Threads: one. Pure. O(1) an entry, no allocation after sample_create().
 */
#ifndef CONNTIDE_MIRROR_SAMPLE_H
#define CONNTIDE_MIRROR_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"

#define SAMPLE_WAYS  8u
#define SAMPLE_SLOTS 8192u
#define SAMPLE_GOAL  4096u

struct sample {
	uint64_t *hashes;    /* by slot; 0: free */
	struct ct_key *keys; /* by slot */
	uint64_t mask;	     /* an entry is in the slice if (hash & mask) == value */
	uint64_t value;
	uint64_t random;
	uint32_t count; /* slots taken */
	uint32_t cursor;
	uint32_t thin_seconds; /* for how long there have been too few */
	/* The current round, and the last one that covered the whole table. */
	bool round_whole;
	uint64_t round_began_ns;
	uint64_t ended_began_ns; /* start of a round whose last answers may be outstanding */
	uint64_t whole_began_ns; /* 0: there was none yet */
};

/* 0 or -ENOMEM. */
int sample_create(struct sample *sample, uint64_t seed);
void sample_destroy(struct sample *sample);

void sample_put(struct sample *sample, uint64_t hash, const struct ct_key *key);
void sample_take_out(struct sample *sample, uint64_t hash);

/* The entry exists. May be called for any entry. */
static inline void sample_offer(struct sample *sample, uint64_t hash, const struct ct_key *key)
{
	if ((hash & sample->mask) == sample->value)
		sample_put(sample, hash, key);
}

/* It is gone. */
static inline void sample_drop(struct sample *sample, uint64_t hash)
{
	if ((hash & sample->mask) == sample->value)
		sample_take_out(sample, hash);
}

/* A dump begins, which will show every entry: another slice. */
void sample_turn(struct sample *sample, uint32_t table_entries);
/* Once a second: a narrower slice, if the table has grown. */
void sample_second(struct sample *sample, uint32_t table_entries);
/* It has been too small for too long: a dump is needed to fill it. */
bool sample_thin(const struct sample *sample);

/* The entry of the next slot, or NULL. */
const struct ct_key *sample_next(struct sample *sample, uint32_t table_entries, uint64_t now_ns,
				 uint64_t *ret_hash);
/* The entry is no longer in the table. */
void sample_drop_last(struct sample *sample);
/* An answer is missing: the round does not cover the table. */
void sample_unanswered(struct sample *sample);

#endif
