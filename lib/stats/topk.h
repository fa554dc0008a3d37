// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counts per key, for keys that remote hosts choose. Entries come and go, and there may be
 * more keys than room.
 *
 * Each key has two counts, 0 and 1, which are added to and taken from independently, so
 * that one can be rebuilt while the other is shown (talkers.h).
 *
 * While every key has room the counts are exact. After that a key may have hidden entries:
 * those added while it was not in the table, and those it had when it was removed from it.
 * Hidden entries are counted by a hash of the key, in TOPK_HIDDEN buckets. For any key K and
 * any sequence of additions and removals in which nothing is removed that was not added:
 *
 * 	count(K)  <=  entries of K  <=  count(K) + hidden(bucket of K)
 *
 * with count(K) = 0 for a key that is not in the table. Proof: let h(K) be the entries of K
 * minus count(K). An addition or removal changes the entries of K by one, and by the same
 * amount either count(K) (K is in the table or gets in; for a removal, if count(K) > 0) or
 * K's bucket. Removing K from the table moves count(K) into the bucket. So a bucket is the
 * sum of h over its keys. h is never negative: it falls only at a removal while count(K) = 0,
 * when h(K) is the number of entries of K, at least one because nothing is removed that was
 * not added. A sum of non-negative numbers is no less than any of them, so h(K) <=
 * hidden(bucket of K). The choice of which key leaves does not affect the bound, only how
 * tight it is. A bucket is never negative either; a removal that would make it so is of
 * something never added, and is counted in `refused`.
 *
 * Which key leaves when the table is full: the smallest of TOPK_SAMPLE records at a random
 * place, with a probability of about one in its count (Ben Basat et al., "Randomized
 * admission policy for efficient top-k and frequency estimation", 2017), at one in
 * TOPK_ATTEMPTS attempts: a flood of keys with one entry each then costs little more than to count
 * what is hidden. A key with many entries gets in after about TOPK_ATTEMPTS of them, which stay
 * hidden, and stays. Unlike that paper, a new key does not inherit the count of the
 * one it replaced: such an estimate would not survive removals.
 *
 * Memory: 32 bytes per record, 8 bytes per key of index, and the buckets: 2.6 MiB for 65,536
 * keys, allocated as used (sparse). Time: O(1), one or two look-ups; no allocation. The hash
 * is keyed (ct_hash_pair). Threads: one. Pure but for mmap. Errors: -ENOMEM.
 */
#ifndef CONNTIDE_STATS_TOPK_H
#define CONNTIDE_STATS_TOPK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/prefetch.h"
#include "lib/event/event.h"

#define TOPK_HIDDEN   16384u
#define TOPK_SAMPLE   8u
#define TOPK_ATTEMPTS 16u /* a power of two */

/* Which of the two counts an operation changes. */
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
	uint32_t *heads;	     /* two per key, so chains are short */
	uint32_t *hidden[2];	     /* [TOPK_HIDDEN] */
	uint32_t room;		     /* keys; a power of two */
	uint32_t mask;		     /* of a hash: its place in heads */
	uint32_t used;		     /* records ever used: scans end here */
	uint32_t free_head;
	uint32_t keys[2]; /* with a count above 0 */
	uint32_t refused; /* removals of what was never added */
	bool keyed;   /* of each key address[0] is a keyed hash already, and no rest; set early */
	bool no_rest; /* no key has one: only the address is hashed; set early */
	uint64_t random;
};

/* Room for `room` keys, a power of two up to 2^20. 0 or -ENOMEM. */
int topk_create(struct topk *topk, uint32_t room);
void topk_destroy(struct topk *topk);

/* Of a key; known early, it allows prefetching. */
uint64_t topk_hash(const struct topk *topk, const struct topk_key *key);
/* In two steps, for keys that share an address, where it is not keyed. */
static inline uint64_t topk_hash_address(const uint64_t address[2])
{
	return ct_hash_pair(address);
}

/* Folds in more; `hash` is keyed, so the rest needs no key. */
static inline uint64_t topk_hash_rest(uint64_t hash, uint64_t rest)
{
	unsigned __int128 product =
		(unsigned __int128)(hash ^ rest * UINT64_C(0x9e3779b97f4a7c15)) *
		UINT64_C(0xd6e8feb86659fd93);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* What is not in the records. */
uint32_t topk_add_new(struct topk *topk, const struct topk_key *key, uint64_t hash,
		      unsigned int which);
uint32_t topk_remove_last(struct topk *topk, uint32_t at, uint64_t hash, unsigned int which);

/* The key's record; 0: none. */
static inline uint32_t topk_find_hashed(const struct topk *topk, const struct topk_key *key,
					uint64_t hash)
{
	const struct topk_record *record;
	uint32_t at = topk->heads[hash & topk->mask];

	for (; at; at = record->next) {
		record = &topk->records[at];
		if (record->address[0] == key->address[0] &&
		    record->address[1] == key->address[1] && record->rest == (uint32_t)key->rest)
			break;
	}
	return at;
}

/* Returns the key's record, valid until its counts are 0; 0: the entry is hidden. */
static inline uint32_t topk_add_hashed(struct topk *topk, const struct topk_key *key, uint64_t hash,
				       unsigned int which)
{
	uint32_t first = which & TOPK_FIRST, second = which >> 1;
	uint32_t at = topk_find_hashed(topk, key, hash);
	struct topk_record *record = &topk->records[at];

	if (!at)
		return topk_add_new(topk, key, hash, which);
	topk->keys[0] += record->count[0] ? 0 : first;
	topk->keys[1] += record->count[1] ? 0 : second;
	record->count[0] += first;
	record->count[1] += second;
	return at;
}

/* Returns the record it was in, free by now if both counts are 0; 0: it was hidden. */
static inline uint32_t topk_remove_hashed(struct topk *topk, const struct topk_key *key,
					  uint64_t hash, unsigned int which)
{
	uint32_t first = which & TOPK_FIRST, second = which >> 1;
	uint32_t at = topk_find_hashed(topk, key, hash);
	struct topk_record *record = &topk->records[at];

	if (!at || (first && record->count[0] <= 1) || (second && record->count[1] <= 1))
		return topk_remove_last(topk, at, hash, which);
	record->count[0] -= first;
	record->count[1] -= second;
	return at;
}

static inline void topk_add(struct topk *topk, const struct topk_key *key, unsigned int which)
{
	topk_add_hashed(topk, key, topk_hash(topk, key), which);
}

static inline void topk_remove(struct topk *topk, const struct topk_key *key, unsigned int which)
{
	topk_remove_hashed(topk, key, topk_hash(topk, key), which);
}

/* Of a record that topk_add_hashed() returned: was this the first of its key? */
static inline bool topk_is_first(const struct topk_record *record, unsigned int which)
{
	return record->count[0] == (which & TOPK_FIRST) && record->count[1] == which >> 1;
}

static inline bool topk_is_free(const struct topk_record *record)
{
	return !(record->count[0] | record->count[1]);
}

/* Bring the head of the chain, then its first record, into the cache. */
static inline void topk_prefetch_head(const struct topk *topk, uint64_t hash)
{
	prefetch_write(&topk->heads[hash & topk->mask]);
}

static inline void topk_prefetch_record(const struct topk *topk, uint64_t hash)
{
	prefetch_write(&topk->records[topk->heads[hash & topk->mask]]);
}

/* Where keys of this hash are counted while hidden. */
static inline uint16_t topk_bucket(uint64_t hash)
{
	return (uint16_t)(hash >> 32 & (TOPK_HIDDEN - 1u));
}

/* Counts of a key that its caller kept elsewhere: they are hidden from now on. */
static inline void topk_hide(struct topk *topk, uint16_t bucket, const uint32_t count[2])
{
	topk->hidden[0][bucket] += count[0];
	topk->hidden[1][bucket] += count[1];
}

/* count(K), and how many more entries K may have. */
uint32_t topk_count(const struct topk *topk, const struct topk_key *key, unsigned int index,
		    uint32_t *ret_more);
/* The most that any key not in the table can have. */
uint32_t topk_most_hidden(const struct topk *topk, unsigned int index);

/* Sets count `index` of `records` records to 0, starting at record `from`, first 1.
 * Returns where to continue, 0 at the end. */
uint32_t topk_clear(struct topk *topk, unsigned int index, uint32_t from, uint32_t records);

#endif
