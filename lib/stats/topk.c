// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/topk.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/event/event.h"

#define NONE 0u

static size_t records_bytes(const struct tally *tally)
{
	return ((size_t)tally->room + 1u) * sizeof(struct tally_record);
}

static size_t heads_bytes(const struct tally *tally)
{
	return 2u * (size_t)tally->room * sizeof(uint32_t);
}

#define HIDDEN_BYTES ((size_t)TALLY_HIDDEN * sizeof(uint32_t))

static void *sparse(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

int tally_create(struct tally *tally, uint32_t room)
{
	memset(tally, 0, sizeof(*tally));
	tally->room = room;
	tally->random = ct_hash_bytes(&room, sizeof(room)) | 1u;
	tally->records = sparse(records_bytes(tally));
	tally->heads = sparse(heads_bytes(tally));
	tally->hidden[0] = sparse(HIDDEN_BYTES);
	tally->hidden[1] = sparse(HIDDEN_BYTES);
	if (tally->records && tally->heads && tally->hidden[0] && tally->hidden[1])
		return 0;
	tally_destroy(tally);
	return -ENOMEM;
}

void tally_destroy(struct tally *tally)
{
	if (tally->records)
		munmap(tally->records, records_bytes(tally));
	if (tally->heads)
		munmap(tally->heads, heads_bytes(tally));
	for (unsigned int i = 0; i < 2; i++)
		if (tally->hidden[i])
			munmap(tally->hidden[i], HIDDEN_BYTES);
	memset(tally, 0, sizeof(*tally));
}

/* --- chains ---------------------------------------------------------------------- */

uint64_t tally_hash_address(const uint64_t address[2])
{
	return ct_hash_bytes(address, 2 * sizeof(address[0]));
}

/* Nobody outside knows the first 64 bits, so what is folded in needs no key of its own. */
uint64_t tally_hash_rest(uint64_t address_hash, uint64_t rest)
{
	unsigned __int128 product =
		(unsigned __int128)(address_hash ^ rest * UINT64_C(0x9e3779b97f4a7c15)) *
		UINT64_C(0xd6e8feb86659fd93);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t tally_hash(const struct tally_key *key)
{
	return tally_hash_rest(tally_hash_address(key->address), key->rest);
}

static uint32_t *hidden_at(const struct tally *tally, uint64_t hash, unsigned int index)
{
	return &tally->hidden[index][hash >> 32 & (TALLY_HIDDEN - 1u)];
}

static uint32_t *head_of(const struct tally *tally, uint64_t hash)
{
	return &tally->heads[hash & (2u * tally->room - 1u)];
}

static bool is(const struct tally_record *record, const struct tally_key *key)
{
	return record->address[0] == key->address[0] && record->address[1] == key->address[1] &&
	       record->rest == key->rest;
}

static uint32_t find(const struct tally *tally, const struct tally_key *key, uint64_t hash)
{
	uint32_t at = *head_of(tally, hash);

	while (at != NONE && !is(&tally->records[at], key))
		at = tally->records[at].next;
	return at;
}

static uint64_t hash_of_record(const struct tally_record *record)
{
	const struct tally_key key = {{record->address[0], record->address[1]}, record->rest};

	return tally_hash(&key);
}

/* The record's counts must be 0, or be about to become so. */
static void unlink_record(struct tally *tally, uint32_t at, uint64_t hash)
{
	uint32_t *link = head_of(tally, hash);

	while (*link != at)
		link = &tally->records[*link].next;
	*link = tally->records[at].next;
	tally->records[at].next = tally->free_head;
	tally->free_head = at;
}

static bool is_free(const struct tally_record *record)
{
	return !(record->count[0] | record->count[1]);
}

/* --- who is in ------------------------------------------------------------------- */

/* xorshift64: which keys stay in is nothing to be guessed from outside, and costs little. */
static uint32_t random_bits(struct tally *tally)
{
	tally->random ^= tally->random << 13;
	tally->random ^= tally->random >> 7;
	tally->random ^= tally->random << 17;
	return (uint32_t)(tally->random >> 32);
}

static uint32_t larger(const struct tally_record *record)
{
	return record->count[0] > record->count[1] ? record->count[0] : record->count[1];
}

/* Its counts are hidden from now on. */
static void put_out(struct tally *tally, uint32_t at)
{
	struct tally_record *record = &tally->records[at];
	uint64_t hash = hash_of_record(record);

	for (unsigned int i = 0; i < 2; i++) {
		*hidden_at(tally, hash, i) += record->count[i];
		tally->keys[i] -= record->count[i] > 0;
		record->count[i] = 0;
	}
	unlink_record(tally, at, hash);
}

/* Makes room, or does not. */
static bool admit(struct tally *tally)
{
	uint32_t bits = random_bits(tally);
	uint32_t from, best, count;

	if (bits & 3u)
		return false;
	from = 1u + (uint32_t)((uint64_t)bits * (tally->room - TALLY_SAMPLE + 1u) >> 32);
	best = from;
	for (uint32_t at = from + 1u; at < from + TALLY_SAMPLE; at++)
		if (larger(&tally->records[at]) < larger(&tally->records[best]))
			best = at;
	count = larger(&tally->records[best]);
	/* One in 1, 2, 4, 4, 8: the power of two that is not less. */
	if (count > 1 && random_bits(tally) & (UINT32_MAX >> __builtin_clz(count - 1u)))
		return false;
	put_out(tally, best);
	return true;
}

/* A record for a key that has none, or NONE. */
static uint32_t take(struct tally *tally, const struct tally_key *key, uint64_t hash)
{
	struct tally_record *record;
	uint32_t at;

	if (tally->free_head == NONE && tally->used == tally->room && !admit(tally))
		return NONE;
	at = tally->free_head;
	if (at != NONE)
		tally->free_head = tally->records[at].next;
	else
		at = ++tally->used;
	record = &tally->records[at];
	record->address[0] = key->address[0];
	record->address[1] = key->address[1];
	record->rest = (uint32_t)key->rest;
	record->next = *head_of(tally, hash);
	*head_of(tally, hash) = at;
	return at;
}

/* --- counting -------------------------------------------------------------------- */

void tally_add_hashed(struct tally *tally, const struct tally_key *key, uint64_t hash,
		      unsigned int which)
{
	uint32_t at = find(tally, key, hash);

	if (at == NONE)
		at = take(tally, key, hash);
	for (unsigned int i = 0; i < 2; i++) {
		if (!(which >> i & 1u))
			continue;
		if (at == NONE)
			++*hidden_at(tally, hash, i);
		else
			tally->keys[i] += tally->records[at].count[i]++ == 0;
	}
}

static void remove_hidden(struct tally *tally, uint64_t hash, unsigned int i)
{
	uint32_t *hidden = hidden_at(tally, hash, i);

	if (*hidden)
		--*hidden;
	else
		tally->refused++;
}

void tally_remove_hashed(struct tally *tally, const struct tally_key *key, uint64_t hash,
			 unsigned int which)
{
	uint32_t at = find(tally, key, hash);
	struct tally_record *record = &tally->records[at];

	for (unsigned int i = 0; i < 2; i++) {
		if (!(which >> i & 1u))
			continue;
		if (at == NONE || !record->count[i])
			remove_hidden(tally, hash, i);
		else
			tally->keys[i] -= --record->count[i] == 0;
	}
	if (at != NONE && is_free(record))
		unlink_record(tally, at, hash);
}

uint32_t tally_count(const struct tally *tally, const struct tally_key *key, unsigned int index,
		     uint32_t *ret_more)
{
	uint64_t hash = tally_hash(key);
	uint32_t at = find(tally, key, hash);

	*ret_more = *hidden_at(tally, hash, index);
	return at == NONE ? 0 : tally->records[at].count[index];
}

uint32_t tally_most_hidden(const struct tally *tally, unsigned int index)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < TALLY_HIDDEN; i++)
		most = tally->hidden[index][i] > most ? tally->hidden[index][i] : most;
	return most;
}

uint32_t tally_clear(struct tally *tally, unsigned int index, uint32_t from, uint32_t records)
{
	uint32_t at;

	for (at = from; at <= tally->used && records > 0; at++, records--) {
		struct tally_record *record = &tally->records[at];

		if (!record->count[index])
			continue;
		record->count[index] = 0;
		if (is_free(record))
			unlink_record(tally, at, hash_of_record(record));
	}
	if (at <= tally->used)
		return at;
	/* What was put out meanwhile had its old count hidden. */
	memset(tally->hidden[index], 0, HIDDEN_BYTES);
	tally->keys[index] = 0;
	return 0;
}
