// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The bits of the hash that select the slice and the slot differ from each other and from those
 * that find the record. */
#define SLICE_SHIFT 46u
#define SLICE_BITS  18u
#define SLOT_SHIFT  32u

/* Above this, buckets begin to overflow. */
#define CROWDED (SAMPLE_SLOTS / 4 * 3)

/* A sample is too small with fewer than half of these, or of the table if that is smaller. */
#define THIN_GOAL    (SAMPLE_GOAL / 2)
#define THIN_SECONDS 3u

_Static_assert(SAMPLE_SLOTS <= 1u << (SLICE_SHIFT - SLOT_SHIFT), "bits are apart");

int sample_create(struct sample *sample, uint64_t seed)
{
	memset(sample, 0, sizeof(*sample));
	sample->random = seed | 1u;
	sample->hashes = calloc(SAMPLE_SLOTS, sizeof(sample->hashes[0]));
	sample->keys = calloc(SAMPLE_SLOTS, sizeof(sample->keys[0]));
	if (sample->hashes && sample->keys)
		return 0;
	sample_destroy(sample);
	return -ENOMEM;
}

void sample_destroy(struct sample *sample)
{
	free(sample->hashes);
	free(sample->keys);
	memset(sample, 0, sizeof(*sample));
}

/* In half-full buckets most entries are in their own slot, the others in the same bucket. */
static uint32_t home_slot(uint64_t hash)
{
	return (uint32_t)(hash >> SLOT_SHIFT) & (SAMPLE_SLOTS - 1u);
}

static uint32_t first_slot(uint64_t hash)
{
	return home_slot(hash) & ~(SAMPLE_WAYS - 1u);
}

static bool in_slice(const struct sample *sample, uint64_t hash)
{
	return (hash & sample->mask) == sample->value;
}

/* In a full bucket an entry of another slice is replaced, otherwise any. */
static uint32_t victim(const struct sample *sample, uint32_t first, uint64_t hash)
{
	for (uint32_t i = 0; i < SAMPLE_WAYS; i++)
		if (!in_slice(sample, sample->hashes[first + i]))
			return first + i;
	return first + ((uint32_t)hash & (SAMPLE_WAYS - 1u));
}

static void put_elsewhere(struct sample *sample, uint64_t hash, const struct ct_key *key)
{
	uint32_t first = first_slot(hash);
	uint32_t slot = SAMPLE_SLOTS;

	for (uint32_t i = first; i < first + SAMPLE_WAYS; i++) {
		if (sample->hashes[i] == hash)
			return;
		if (!sample->hashes[i])
			slot = i;
	}
	if (slot == SAMPLE_SLOTS)
		slot = victim(sample, first, hash);
	else
		sample->count++;
	sample->hashes[slot] = hash;
	sample->keys[slot] = *key;
}

void sample_put(struct sample *sample, uint64_t hash, const struct ct_key *key)
{
	uint32_t home = home_slot(hash);

	if (sample->hashes[home] == hash)
		return;
	if (sample->hashes[home]) {
		put_elsewhere(sample, hash, key);
		return;
	}
	sample->hashes[home] = hash;
	sample->keys[home] = *key;
	sample->count++;
}

static void free_slot(struct sample *sample, uint32_t slot)
{
	sample->hashes[slot] = 0;
	sample->count--;
}

void sample_take_out(struct sample *sample, uint64_t hash)
{
	uint32_t home = home_slot(hash);
	uint32_t first = first_slot(hash);

	if (sample->hashes[home] == hash && hash) {
		free_slot(sample, home);
		return;
	}
	for (uint32_t i = first; i < first + SAMPLE_WAYS; i++) {
		if (hash && sample->hashes[i] == hash) {
			free_slot(sample, i);
			return;
		}
	}
}

/* xorshift64, as in verify.c. */
static uint64_t next_random(struct sample *sample)
{
	sample->random ^= sample->random << 13;
	sample->random ^= sample->random >> 7;
	sample->random ^= sample->random << 17;
	return sample->random;
}

static uint64_t slice_mask(uint32_t table_entries)
{
	uint32_t bits = 0;

	while (bits < SLICE_BITS && table_entries >> bits > SAMPLE_GOAL)
		bits++;
	return ((UINT64_C(1) << bits) - 1u) << SLICE_SHIFT;
}

void sample_turn(struct sample *sample, uint32_t table_entries)
{
	sample->mask = slice_mask(table_entries);
	sample->value = next_random(sample) & sample->mask;
}

void sample_second(struct sample *sample, uint32_t table_entries)
{
	uint64_t mask = slice_mask(table_entries);
	uint32_t enough = table_entries < THIN_GOAL ? table_entries : THIN_GOAL;

	sample->thin_seconds = sample->count < enough / 2 ? sample->thin_seconds + 1 : 0;
	if (sample->count <= CROWDED || mask <= sample->mask)
		return;
	/* Entries in the narrower slice stay; the others are dropped when they are reached. */
	sample->value |= next_random(sample) & (mask & ~sample->mask);
	sample->mask = mask;
}

bool sample_thin(const struct sample *sample)
{
	return sample->thin_seconds >= THIN_SECONDS;
}

static void begin_round(struct sample *sample, uint32_t table_entries, uint64_t now_ns)
{
	if (sample->round_whole && sample->count >= table_entries)
		sample->ended_began_ns = sample->round_began_ns;
	sample->round_began_ns = now_ns;
	sample->round_whole = sample->mask == 0 && sample->count >= table_entries;
}

const struct ct_key *sample_next(struct sample *sample, uint32_t table_entries, uint64_t now_ns,
				 uint64_t *ret_hash)
{
	uint32_t slot;

	/* The last requests are a second old. */
	if (sample->ended_began_ns && sample->ended_began_ns < sample->round_began_ns &&
	    now_ns > sample->round_began_ns) {
		sample->whole_began_ns = sample->ended_began_ns;
		sample->ended_began_ns = 0;
	}
	if (sample->cursor % SAMPLE_SLOTS == 0)
		begin_round(sample, table_entries, now_ns);
	slot = sample->cursor++ % SAMPLE_SLOTS;
	*ret_hash = sample->hashes[slot];
	if (!*ret_hash)
		return NULL;
	if (in_slice(sample, *ret_hash))
		return &sample->keys[slot];
	free_slot(sample, slot);
	return NULL;
}

void sample_drop_last(struct sample *sample)
{
	free_slot(sample, (sample->cursor - 1u) % SAMPLE_SLOTS);
}

void sample_unanswered(struct sample *sample)
{
	sample->round_whole = false;
	sample->ended_began_ns = 0;
}
