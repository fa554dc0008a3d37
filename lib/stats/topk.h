// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many entries each key has, for keys that remote hosts choose; entries come and
 * go, and there may be more keys than room.
 *
 * Two counts are kept under each key, of two tallies that are added to and taken from
 * independently, so that one can be built anew while the other is shown (talkers.h).
 *
 * While all keys have room, counts are exact. When they have not, a key may have hidden
 * entries: those added while it was not in the table, and those it had when it was put
 * out. Hidden entries are not forgotten: they are counted by a hash of the key, in
 * TOPK_HIDDEN buckets. The bound, for any key K and any sequence of additions and
 * removals in which nothing is removed that was not added:
 *
 *	count(K)  <=  entries of K  <=  count(K) + hidden(bucket of K)
 *
 * with count(K) = 0 for a key that is not in the table. Proof: let h(K) be the entries of
 * K minus count(K). An addition or removal changes the entries of K by one, and either
 * count(K) or the bucket of K by the same: count(K) if K is in the table, or gets in (a
 * removal: if count(K) > 0), else the bucket. Putting K out takes count(K) from the count
 * and adds it to the bucket. So the bucket always is the sum of h over its keys. And h
 * is never negative: it falls only with a removal while count(K) = 0, before which h(K)
 * is the number of entries of K, at least one since nothing is removed that was not
 * added. A sum of numbers that are not negative is no less than any of them: h(K) <=
 * hidden(bucket of K). What the bound does not need is that keys are put out cleverly;
 * that only decides how good it is. It also follows that a bucket is never negative; a
 * removal that would make it so is of something never added, and is counted in
 * `refused`.
 *
 * Who gets in when the table is full: of TOPK_SAMPLE records at a random place the
 * least is put out, with a probability of about one in its count (Ben Basat et al.,
 * "Randomized admission policy for efficient top-k and frequency estimation", 2017),
 * every fourth time. So a key that has many entries gets in after a few of them, and
 * stays; keys with one entry put out one another. The estimate of that paper (the count
 * of who was put out, inherited) is not taken over: it would not survive removals.
 *
 * Memory: 32 bytes a record, 8 bytes a key of index, and the buckets: 2.6 MiB for 65,536
 * keys, made when needed (sparse). Time: O(1), a look-up or two; no allocation.
 * The hash is keyed (ct_hash_bytes). One thread; pure but for mmap. Errors: -ENOMEM.
 */
#ifndef CONNTIDE_STATS_TOPK_H
#define CONNTIDE_STATS_TOPK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/prefetch.h"

#define TOPK_HIDDEN 16384u
#define TOPK_SAMPLE 8u

/* Which tallies an operation is about. */
#define TOPK_FIRST  1u
#define TOPK_SECOND 2u
#define TOPK_BOTH   3u

struct topk_key {
	uint64_t address[2]; /* 16 bytes in network order */
	uint64_t rest;	     /* 32 bits are kept */
};

struct topk_record {
	uint64_t address[2];
	uint32_t rest;
	uint32_t next;	   /* in its chain, or the next free one; 0: none */
	uint32_t count[2]; /* both 0: free */
};

_Static_assert(sizeof(struct topk_record) == 32, "two to a cache line");

struct topk {
	struct topk_record *records; /* [0] is not used */
	uint32_t *heads;	     /* two a key: chains are short */
	uint32_t *hidden[2];	     /* [TOPK_HIDDEN] */
	uint32_t room;		     /* keys; a power of two */
	uint32_t used;		     /* records ever taken: scans end there */
	uint32_t free_head;
	uint32_t keys[2]; /* that have a count */
	uint32_t refused; /* removals of what was never added */
	uint64_t random;
};

/* Room for `room` keys, a power of two up to 2^20. 0 or -ENOMEM. */
int topk_create(struct topk *topk, uint32_t room);
void topk_destroy(struct topk *topk);

/* `hash` is topk_hash() of the key: whoever knows it early can prefetch what it leads to. */
uint64_t topk_hash(const struct topk_key *key);
/* In two steps, for keys that share an address. */
uint64_t topk_hash_address(const uint64_t address[2]);
uint64_t topk_hash_rest(uint64_t address_hash, uint64_t rest);
/* The key's record from now on, until its counts are 0; 0: none, its entry is hidden. */
uint32_t topk_add_hashed(struct topk *topk, const struct topk_key *key, uint64_t hash,
			 unsigned int which);
void topk_remove_hashed(struct topk *topk, const struct topk_key *key, uint64_t hash,
			unsigned int which);

static inline void topk_add(struct topk *topk, const struct topk_key *key, unsigned int which)
{
	topk_add_hashed(topk, key, topk_hash(key), which);
}

static inline void topk_remove(struct topk *topk, const struct topk_key *key, unsigned int which)
{
	topk_remove_hashed(topk, key, topk_hash(key), which);
}

/* Bring the head of the chain, then its first record, into the cache. */
static inline void topk_prefetch_head(const struct topk *topk, uint64_t hash)
{
	prefetch_write(&topk->heads[hash & (2u * topk->room - 1u)]);
}

static inline void topk_prefetch_record(const struct topk *topk, uint64_t hash)
{
	prefetch_write(&topk->records[topk->heads[hash & (2u * topk->room - 1u)]]);
}

/* count(K), and how much more K may have. */
uint32_t topk_count(const struct topk *topk, const struct topk_key *key, unsigned int index,
		    uint32_t *ret_more);
/* The most that any key not in the table can have. */
uint32_t topk_most_hidden(const struct topk *topk, unsigned int index);

/* Sets one tally (0 or 1) to nothing, `records` from record `from` on at a time; begin
 * with 1. The next to go on with, 0 at the end. */
uint32_t topk_clear(struct topk *topk, unsigned int index, uint32_t from, uint32_t records);

#endif
