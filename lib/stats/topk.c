// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/topk.h"

#include <errno.h>
#include <string.h>

#include "lib/base/sparse.h"
#include "lib/event/event.h"

#define NONE 0u

static size_t records_bytes(const struct topk *topk)
{
	return ((size_t)topk->room + 1u) * sizeof(struct topk_record);
}

static size_t heads_bytes(const struct topk *topk)
{
	return 2u * (size_t)topk->room * sizeof(uint32_t);
}

#define HIDDEN_BYTES ((size_t)TOPK_HIDDEN * sizeof(uint32_t))

int topk_create(struct topk *topk, uint32_t room)
{
	memset(topk, 0, sizeof(*topk));
	topk->room = room;
	topk->mask = 2u * room - 1u;
	topk->random = ct_hash_bytes(&room, sizeof(room)) | 1u;
	topk->records = sparse_alloc(records_bytes(topk));
	topk->heads = sparse_alloc(heads_bytes(topk));
	topk->hidden[0] = sparse_alloc(HIDDEN_BYTES);
	topk->hidden[1] = sparse_alloc(HIDDEN_BYTES);
	if (topk->records && topk->heads && topk->hidden[0] && topk->hidden[1])
		return 0;
	topk_destroy(topk);
	return -ENOMEM;
}

void topk_destroy(struct topk *topk)
{
	sparse_free(topk->records, records_bytes(topk));
	sparse_free(topk->heads, heads_bytes(topk));
	for (unsigned int i = 0; i < 2; i++)
		sparse_free(topk->hidden[i], HIDDEN_BYTES);
	memset(topk, 0, sizeof(*topk));
}

/* --- chains ---------------------------------------------------------------------- */

uint64_t topk_hash(const struct topk *topk, const struct topk_key *key)
{
	if (topk->keyed)
		return topk_hash_rest(key->address[0], key->address[1]);
	if (topk->no_rest)
		return topk_hash_address(key->address);
	return topk_hash_rest(topk_hash_address(key->address), key->rest);
}

static uint32_t *hidden_at(const struct topk *topk, uint64_t hash, unsigned int index)
{
	return &topk->hidden[index][topk_bucket(hash)];
}

static uint32_t *head_of(const struct topk *topk, uint64_t hash)
{
	return &topk->heads[hash & topk->mask];
}

static uint64_t hash_of_record(const struct topk *topk, const struct topk_record *record)
{
	const struct topk_key key = {{record->address[0], record->address[1]}, record->rest};

	return topk_hash(topk, &key);
}

/* The record's counts are 0, or will be by the end of the caller. */
static void unlink_record(struct topk *topk, uint32_t at, uint64_t hash)
{
	uint32_t *link = head_of(topk, hash);

	while (*link != at)
		link = &topk->records[*link].next;
	*link = topk->records[at].next;
	topk->records[at].next = topk->free_head;
	topk->free_head = at;
}

/* --- admission ------------------------------------------------------------------- */

/* xorshift64: cheap, and remote hosts cannot guess which keys stay. */
static uint32_t random_bits(struct topk *topk)
{
	topk->random ^= topk->random << 13;
	topk->random ^= topk->random >> 7;
	topk->random ^= topk->random << 17;
	return (uint32_t)(topk->random >> 32);
}

static uint32_t larger(const struct topk_record *record)
{
	return record->count[0] > record->count[1] ? record->count[0] : record->count[1];
}

/* Moves its counts into the bucket. */
static void put_out(struct topk *topk, uint32_t at)
{
	struct topk_record *record = &topk->records[at];
	uint64_t hash = hash_of_record(topk, record);

	for (unsigned int i = 0; i < 2; i++) {
		*hidden_at(topk, hash, i) += record->count[i];
		topk->keys[i] -= record->count[i] > 0;
		record->count[i] = 0;
	}
	unlink_record(topk, at, hash);
}

/* Frees a record, or not. */
static bool admit(struct topk *topk)
{
	uint32_t bits = random_bits(topk);
	uint32_t from, best, count;

	if (bits & (TOPK_ATTEMPTS - 1u))
		return false;
	from = 1u + (uint32_t)((uint64_t)bits * (topk->room - TOPK_SAMPLE + 1u) >> 32);
	best = from;
	for (uint32_t at = from + 1u; at < from + TOPK_SAMPLE; at++)
		if (larger(&topk->records[at]) < larger(&topk->records[best]))
			best = at;
	count = larger(&topk->records[best]);
	/* One in 1, 2, 4, 4, 8: the power of two that is not less. */
	if (count > 1 && random_bits(topk) & (UINT32_MAX >> __builtin_clz(count - 1u)))
		return false;
	put_out(topk, best);
	return true;
}

/* --- counting -------------------------------------------------------------------- */

static uint32_t hide(struct topk *topk, uint64_t hash, unsigned int which)
{
	*hidden_at(topk, hash, 0) += which & TOPK_FIRST;
	*hidden_at(topk, hash, 1) += which >> 1;
	return NONE;
}

/* There is a record for it: a free one, or one that was never used. */
static inline uint32_t take(struct topk *topk, const struct topk_key *key, uint64_t hash,
			    unsigned int which)
{
	uint32_t *head = head_of(topk, hash), at = topk->free_head;
	struct topk_record *record;

	if (at == NONE)
		at = ++topk->used;
	record = &topk->records[at];
	if (topk->free_head != NONE)
		topk->free_head = record->next;
	record->address[0] = key->address[0];
	record->address[1] = key->address[1];
	record->rest = (uint32_t)key->rest;
	record->next = *head;
	*head = at;
	topk->keys[0] += which & TOPK_FIRST;
	topk->keys[1] += which >> 1;
	record->count[0] = which & TOPK_FIRST;
	record->count[1] = which >> 1;
	return at;
}

static __attribute__((noinline)) uint32_t add_full(struct topk *topk, const struct topk_key *key,
						   uint64_t hash, unsigned int which)
{
	return admit(topk) ? take(topk, key, hash, which) : hide(topk, hash, which);
}

/* What is seldom needed is a function of its own: this one needs no stack then. */
uint32_t topk_add_new(struct topk *topk, const struct topk_key *key, uint64_t hash,
		      unsigned int which)
{
	if (topk->free_head == NONE && topk->used == topk->room)
		return add_full(topk, key, hash, which);
	return take(topk, key, hash, which);
}

static void remove_hidden(struct topk *topk, uint64_t hash, unsigned int i)
{
	uint32_t *hidden = hidden_at(topk, hash, i);

	if (*hidden)
		--*hidden;
	else
		topk->refused++;
}

uint32_t topk_remove_last(struct topk *topk, uint32_t at, uint64_t hash, unsigned int which)
{
	struct topk_record *record = &topk->records[at];

	for (unsigned int i = 0; i < 2; i++) {
		if (!(which >> i & 1u))
			continue;
		if (at == NONE || !record->count[i])
			remove_hidden(topk, hash, i);
		else
			topk->keys[i] -= --record->count[i] == 0;
	}
	if (at != NONE && topk_is_free(record))
		unlink_record(topk, at, hash);
	return at;
}

uint32_t topk_count(const struct topk *topk, const struct topk_key *key, unsigned int index,
		    uint32_t *ret_more)
{
	uint64_t hash = topk_hash(topk, key);
	uint32_t at = topk_find_hashed(topk, key, hash);

	*ret_more = *hidden_at(topk, hash, index);
	return at == NONE ? 0 : topk->records[at].count[index];
}

uint32_t topk_most_hidden(const struct topk *topk, unsigned int index)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < TOPK_HIDDEN; i++)
		most = topk->hidden[index][i] > most ? topk->hidden[index][i] : most;
	return most;
}

uint32_t topk_clear(struct topk *topk, unsigned int index, uint32_t from, uint32_t records)
{
	uint32_t at;

	for (at = from; at <= topk->used && records > 0; at++, records--) {
		struct topk_record *record = &topk->records[at];

		if (!record->count[index])
			continue;
		record->count[index] = 0;
		if (topk_is_free(record))
			unlink_record(topk, at, hash_of_record(topk, record));
	}
	if (at <= topk->used)
		return at;
	/* Records removed during the clearing had their old count hidden. */
	memset(topk->hidden[index], 0, HIDDEN_BYTES);
	topk->keys[index] = 0;
	return 0;
}
