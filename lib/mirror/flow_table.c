// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/flow_table.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/check.h"
#include "lib/base/sparse.h"

/* The ten low bits of the hash are not stored: there are never fewer buckets. */
#define HASH_PLACE_BITS 10u
#define BUCKETS_MIN	(1u << HASH_PLACE_BITS)
#define LIMIT_MIN	(1u << 20)

/* A multiple of every page size; one system call per 75,000 insertions. */
#define BACK_STEP_BYTES (UINT64_C(2) << 20)

/* Entries a bucket on average before the index grows: 5/4. */
#define LOAD_NUM 5u
#define LOAD_DEN 4u

static uint32_t hash_low(uint64_t hash)
{
	return (uint32_t)(hash >> HASH_PLACE_BITS);
}

static uint16_t hash_high(uint64_t hash)
{
	return (uint16_t)(hash >> (HASH_PLACE_BITS + 32u));
}

static bool reserve_both(struct flow_table *table, uint32_t limit)
{
	table->record_room = (uint64_t)limit + 1;
	table->bucket_room = (uint64_t)limit * LOAD_DEN / LOAD_NUM + BUCKETS_MIN + 1;
	table->records = sparse_reserve(table->record_room * sizeof(struct flow));
	if (!table->records)
		return false;
	table->heads = sparse_reserve(table->bucket_room * sizeof(uint32_t));
	if (table->heads)
		return true;
	sparse_free(table->records, table->record_room * sizeof(struct flow));
	table->records = NULL;
	return false;
}

/* Makes a reserved array usable up to element `index` and somewhat further. */
static bool back(void *base, uint64_t index, uint64_t element_bytes, uint64_t room,
		 uint64_t *backed)
{
	uint64_t from = *backed * element_bytes / BACK_STEP_BYTES * BACK_STEP_BYTES;
	uint64_t to = ((index + 1) * element_bytes + BACK_STEP_BYTES - 1) / BACK_STEP_BYTES *
		      BACK_STEP_BYTES;
	uint64_t end = room * element_bytes;

	if (index < *backed)
		return true;
	if (index >= room)
		return false;
	to = to < end ? to : end;
	if (mprotect((char *)base + from, (size_t)(to - from), PROT_READ | PROT_WRITE) < 0)
		return false;
	*backed = to / element_bytes;
	return true;
}

static bool back_record(struct flow_table *table, uint64_t index)
{
	return back(table->records, index, sizeof(struct flow), table->record_room,
		    &table->record_backed);
}

static bool back_bucket(struct flow_table *table, uint64_t index)
{
	return back(table->heads, index, sizeof(uint32_t), table->bucket_room,
		    &table->bucket_backed);
}

int flow_table_create(struct flow_table *table, uint32_t limit_entries)
{
	uint32_t limit = FLOW_LIMIT_MAX;

	memset(table, 0, sizeof(*table));
	while (!reserve_both(table, limit)) {
		limit /= 2;
		if (limit < LIMIT_MIN)
			return -ENOMEM;
	}
	table->used = 1;
	table->buckets = BUCKETS_MIN;
	table->level_mask = BUCKETS_MIN - 1;
	flow_table_set_limit(table, limit_entries);
	if (back_record(table, 1) && back_bucket(table, BUCKETS_MIN))
		return 0;
	flow_table_destroy(table);
	return -ENOMEM;
}

void flow_table_set_limit(struct flow_table *table, uint32_t limit_entries)
{
	table->limit_entries = limit_entries < table->record_room - 1
				       ? limit_entries
				       : (uint32_t)(table->record_room - 1);
}

void flow_table_destroy(struct flow_table *table)
{
	sparse_free(table->records, table->record_room * sizeof(struct flow));
	sparse_free(table->heads, table->bucket_room * sizeof(uint32_t));
	memset(table, 0, sizeof(*table));
}

uint64_t flow_table_bytes(const struct flow_table *table)
{
	return (uint64_t)table->used * sizeof(struct flow) +
	       (uint64_t)table->buckets * sizeof(uint32_t);
}

uint32_t flow_find(const struct flow_table *table, uint64_t hash)
{
	uint32_t low = hash_low(hash);
	uint16_t high = hash_high(hash);
	uint32_t at = table->heads[flow_bucket(table, hash)];

	for (; at != FLOW_NONE; at = flow_at(table, at)->next) {
		const struct flow *flow = flow_at(table, at);

		if (flow->hash_low == low && flow->hash_high == high &&
		    flow->cell_flags & FLOW_LIVE)
			break;
	}
	return at;
}

/* Of two tombstones of one tick the one made during a dump counts: its number is in the cell. */
static bool buried_later(const struct flow *flow, const struct flow *than)
{
	uint32_t ahead = flow->since - than->since;

	return ahead == 0 ? flow_cell(flow) > flow_cell(than) : ahead < UINT32_MAX / 2;
}

uint32_t flow_find_tombstone(const struct flow_table *table, uint64_t hash, uint32_t id)
{
	uint32_t low = hash_low(hash);
	uint16_t high = hash_high(hash);
	uint32_t at = table->heads[flow_bucket(table, hash)];
	uint32_t best = FLOW_NONE;

	for (; at != FLOW_NONE; at = flow_at(table, at)->next) {
		const struct flow *flow = flow_at(table, at);

		if (flow->hash_low == low && flow->hash_high == high && flow->id == id &&
		    flow->cell_flags & FLOW_TOMBSTONE &&
		    (best == FLOW_NONE || buried_later(flow, flow_at(table, best))))
			best = at;
	}
	return best;
}

/* The bucket that a record of bucket `from` belongs to after the split. The bits below
 * HASH_PLACE_BITS select the bucket; the split uses a higher bit. */
static uint32_t bucket_after_split(const struct flow_table *table, const struct flow *flow,
				   uint32_t from)
{
	uint32_t high_bit = table->level_mask + 1;

	return flow->hash_low & (high_bit >> HASH_PLACE_BITS) ? from + high_bit : from;
}

/* The order of splits is known in advance, so the first and second record of the next chains are
 * prefetched. Beyond `from` are always at least BUCKETS_MIN more buckets. */
#define SPLIT_AHEAD 8u

static void foresee_splits(const struct flow_table *table, uint32_t from)
{
	uint32_t soon = table->heads[from + SPLIT_AHEAD];

	prefetch(flow_at(table, table->heads[from + 2u * SPLIT_AHEAD]));
	prefetch(flow_at(table, flow_at(table, soon)->next));
}

/* Splits the next bucket in turn: one chain, a few records. */
static void grow_index(struct flow_table *table)
{
	uint32_t from = table->buckets - (table->level_mask + 1);
	uint32_t at = table->heads[from];
	uint32_t kept = FLOW_NONE, moved = FLOW_NONE;

	foresee_splits(table, from);
	while (at != FLOW_NONE) {
		struct flow *flow = flow_at(table, at);
		uint32_t next = flow->next;

		if (bucket_after_split(table, flow, from) == from) {
			flow->next = kept;
			kept = at;
		} else {
			flow->next = moved;
			moved = at;
		}
		at = next;
	}
	table->heads[from] = kept;
	table->heads[table->buckets] = moved;
	table->buckets++;
	if (table->buckets == (table->level_mask + 1) << 1)
		table->level_mask = table->level_mask << 1 | 1u;
}

uint32_t flow_insert(struct flow_table *table, uint64_t hash)
{
	struct flow *flow;
	uint32_t at, bucket;

	if (table->linked >= table->limit_entries)
		return FLOW_NONE;
	if ((uint64_t)table->linked * LOAD_DEN >= (uint64_t)table->buckets * LOAD_NUM &&
	    table->buckets < table->bucket_room && back_bucket(table, table->buckets))
		grow_index(table);
	at = table->free_head;
	if (at != FLOW_NONE)
		table->free_head = flow_at(table, at)->next;
	else if (back_record(table, table->used))
		at = table->used++;
	else
		return FLOW_NONE;
	flow = flow_at(table, at);
	memset(flow, 0, sizeof(*flow));
	flow->hash_low = hash_low(hash);
	flow->hash_high = hash_high(hash);
	bucket = flow_bucket(table, hash);
	flow->next = table->heads[bucket];
	table->heads[bucket] = at;
	table->linked++;
	return at;
}

static void unlink_record(struct flow_table *table, uint32_t bucket, uint32_t at)
{
	uint32_t *link = &table->heads[bucket];

	while (*link != at) {
		BUG_ON(*link == FLOW_NONE);
		link = &flow_at(table, *link)->next;
	}
	*link = flow_at(table, at)->next;
}

static void free_record(struct flow_table *table, uint32_t at)
{
	struct flow *flow = flow_at(table, at);

	flow->cell_flags = 0;
	flow->next = table->free_head;
	table->free_head = at;
	table->linked--;
}

void flow_remove(struct flow_table *table, uint64_t hash, uint32_t at)
{
	unlink_record(table, flow_bucket(table, hash), at);
	free_record(table, at);
}

void flow_bury(struct flow_table *table, uint64_t hash, uint32_t at)
{
	struct flow *flow = flow_at(table, at);

	flow->cell_flags = FLOW_TOMBSTONE | (flow->cell_flags & FLOW_BORN_SEEN);
	flow->age = (uint16_t)(hash & (BUCKETS_MIN - 1u));
}

void flow_remove_tombstone(struct flow_table *table, uint32_t at)
{
	const struct flow *flow = flow_at(table, at);

	BUG_ON(!(flow->cell_flags & FLOW_TOMBSTONE));
	flow_remove(table, (uint64_t)flow->hash_low << HASH_PLACE_BITS | flow->age, at);
}

bool flow_scan(struct flow_table *table, struct flow_cursor *cursor,
	       bool (*visit)(void *arg, struct flow *flow, uint32_t at), void *arg)
{
	uint32_t end = cursor->bucket + cursor->step_buckets;

	for (; cursor->bucket < end && cursor->bucket < table->buckets; cursor->bucket++) {
		uint32_t *link = &table->heads[cursor->bucket];

		while (*link != FLOW_NONE) {
			uint32_t at = *link;
			struct flow *flow = flow_at(table, at);
			uint32_t next = flow->next;

			if (visit(arg, flow, at)) {
				*link = next;
				free_record(table, at);
			} else {
				link = &flow->next;
			}
		}
	}
	return cursor->bucket >= table->buckets;
}

uint16_t flow_age_pack(uint32_t ticks)
{
	unsigned int shift = 0;

	while (ticks >> shift >= 4096u)
		shift++;
	/* Normalised: the mantissa's leading 1 (bit 11) is implied once shift > 0. */
	if (ticks < 2048u)
		return (uint16_t)ticks;
	return (uint16_t)((shift + 1u) << 11 | ((ticks >> shift) & 2047u));
}

uint32_t flow_age_unpack(uint16_t age)
{
	unsigned int exponent = age >> 11;
	uint32_t mantissa = age & 2047u;

	return exponent == 0 ? mantissa : (mantissa | 2048u) << (exponent - 1u);
}
