// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/flow_table.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/check.h"
#include "lib/base/sparse.h"

/* The low bits of the hash are not stored: there are never fewer buckets. */
#define HASH_PLACE_BITS 12u
#define HASH_BITS	34u /* in flow.hash; above them those in flow.hash_above */
#define HASH_MASK	((UINT64_C(1) << HASH_BITS) - 1u)
#define BUCKETS_MIN	(1u << HASH_PLACE_BITS)
#define LIMIT_MIN	(1u << 20)

/* A multiple of every page size; one system call per 87,000 insertions. */
#define BACK_STEP_BYTES (UINT64_C(2) << 20)

/* Entries a bucket on average before the index grows. Those not yet split in this round have up to
 * twice as many as the others. */
#define LOAD 9u

static uint64_t hash_low(uint64_t hash)
{
	return hash >> HASH_PLACE_BITS & HASH_MASK;
}

static uint32_t hash_above(uint64_t hash)
{
	return (uint32_t)(hash >> (HASH_PLACE_BITS + HASH_BITS)) & 0x3fu;
}

/* --- memory ---------------------------------------------------------------------------- */

static void *reserve(struct flow_room *room, uint64_t elements, uint64_t element_bytes)
{
	char *base = sparse_reserve(elements * element_bytes);

	*room = (struct flow_room){.reserved = elements};
	/* Small tables stay in small pages. Where the system has no huge ones, nothing changes. */
	if (base && elements * element_bytes > BACK_STEP_BYTES)
		madvise(base + BACK_STEP_BYTES, elements * element_bytes - BACK_STEP_BYTES,
			MADV_HUGEPAGE);
	return base;
}

static void release(void *base, const struct flow_room *room, uint64_t element_bytes)
{
	sparse_free(base, room->reserved * element_bytes);
}

static bool reserve_all(struct flow_table *table, uint32_t limit)
{
	uint64_t lines = limit / LOAD + BUCKETS_MIN + 1u;

	table->records = reserve(&table->record_room, limit + UINT64_C(1), sizeof(struct flow));
	table->lines = reserve(&table->line_room, lines, sizeof(struct flow_line));
	table->overflow = reserve(&table->overflow_room, lines, sizeof(struct flow_line));
	if (table->records && table->lines && table->overflow)
		return true;
	flow_table_destroy(table);
	return false;
}

/* Makes a reserved array usable up to element `index` and somewhat further. */
static bool back(void *base, uint64_t index, uint64_t element_bytes, struct flow_room *room)
{
	uint64_t from = room->backed * element_bytes / BACK_STEP_BYTES * BACK_STEP_BYTES;
	uint64_t to = ((index + 1) * element_bytes + BACK_STEP_BYTES - 1) / BACK_STEP_BYTES *
		      BACK_STEP_BYTES;
	uint64_t end = room->reserved * element_bytes;

	if (index < room->backed)
		return true;
	if (index >= room->reserved)
		return false;
	to = to < end ? to : end;
	if (mprotect((char *)base + from, (size_t)(to - from), PROT_READ | PROT_WRITE) < 0)
		return false;
	room->backed = to / element_bytes;
	return true;
}

static bool back_record(struct flow_table *table, uint64_t index)
{
	return back(table->records, index, sizeof(struct flow), &table->record_room);
}

static bool back_line(struct flow_table *table, uint64_t index)
{
	return back(table->lines, index, sizeof(struct flow_line), &table->line_room);
}

static bool back_overflow(struct flow_table *table, uint64_t index)
{
	return back(table->overflow, index, sizeof(struct flow_line), &table->overflow_room);
}

int flow_table_create(struct flow_table *table, uint32_t limit_entries)
{
	uint32_t limit = FLOW_LIMIT_MAX;

	memset(table, 0, sizeof(*table));
	while (!reserve_all(table, limit)) {
		limit /= 2;
		if (limit < LIMIT_MIN)
			return -ENOMEM;
	}
	table->used = 1;
	table->overflow_used = 1;
	table->buckets = BUCKETS_MIN;
	table->level_mask = BUCKETS_MIN - 1;
	flow_table_set_limit(table, limit_entries);
	if (back_record(table, 1) && back_line(table, BUCKETS_MIN) && back_overflow(table, 1))
		return 0;
	flow_table_destroy(table);
	return -ENOMEM;
}

void flow_table_set_limit(struct flow_table *table, uint32_t limit_entries)
{
	table->limit_entries = limit_entries < table->record_room.reserved - 1
				       ? limit_entries
				       : (uint32_t)(table->record_room.reserved - 1);
}

void flow_table_destroy(struct flow_table *table)
{
	release(table->records, &table->record_room, sizeof(struct flow));
	release(table->lines, &table->line_room, sizeof(struct flow_line));
	release(table->overflow, &table->overflow_room, sizeof(struct flow_line));
	memset(table, 0, sizeof(*table));
}

uint64_t flow_table_bytes(const struct flow_table *table)
{
	return (uint64_t)table->used * sizeof(struct flow) +
	       ((uint64_t)table->buckets + table->overflow_used) * sizeof(struct flow_line);
}

/* --- the lines of a bucket ----------------------------------------------------------------- */

static struct flow_line *line_after(const struct flow_table *table, const struct flow_line *line)
{
	return line->more ? &table->overflow[line->more] : NULL;
}

static struct flow_line *take_overflow(struct flow_table *table, uint32_t *ret_number)
{
	struct flow_line *line;
	uint32_t number = table->overflow_free;

	if (number)
		table->overflow_free = table->overflow[number].more;
	else if (back_overflow(table, table->overflow_used))
		number = table->overflow_used++;
	else
		return NULL;
	line = &table->overflow[number];
	memset(line, 0, sizeof(*line));
	*ret_number = number;
	return line;
}

static void free_overflow(struct flow_table *table, uint32_t number)
{
	table->overflow[number].more = table->overflow_free;
	table->overflow_free = number;
}

/* Adds a slot to a bucket; false when there is no memory. */
static bool append(struct flow_table *table, struct flow_line *line, uint32_t slot)
{
	uint32_t used;

	while (line->more)
		line = &table->overflow[line->more];
	used = flow_line_used(line);
	if (used == FLOW_LINE_SLOTS) {
		struct flow_line *next = take_overflow(table, &line->more);

		if (!next)
			return false;
		line = next;
		used = 0;
	}
	line->slots[used] = slot;
	return true;
}

/* Takes a slot out of one of the lines of a bucket, of which `line` is the first; the bucket's last
 * slot takes its place. */
static void take_out(struct flow_table *table, struct flow_line *line, uint32_t *hole)
{
	struct flow_line *before = NULL;
	uint32_t used;

	while (line->more) {
		before = line;
		line = &table->overflow[line->more];
	}
	used = flow_line_used(line);
	*hole = line->slots[used - 1u];
	line->slots[used - 1u] = 0;
	if (used == 1 && before) {
		free_overflow(table, before->more);
		before->more = 0;
	}
}

/* Takes the record out of the bucket that it is in. */
static void unlink_record(struct flow_table *table, uint32_t bucket, uint32_t at)
{
	struct flow_line *line = &table->lines[bucket];
	uint32_t found;

	for (;; line = line_after(table, line)) {
		BUG_ON(!line);
		found = flow_line_where(line, ~FLOW_TAG_MASK, at << FLOW_TAG_BITS);
		if (found)
			break;
	}
	take_out(table, &table->lines[bucket], &line->slots[__builtin_ctz(found)]);
}

/* --- finding ------------------------------------------------------------------------------ */

static bool has_hash(const struct flow *flow, uint64_t hash)
{
	return flow->hash == hash_low(hash) && flow->hash_above == hash_above(hash);
}

uint32_t flow_find(const struct flow_table *table, uint64_t hash)
{
	const struct flow_line *line = &table->lines[flow_bucket(table, hash)];

	for (; line; line = line_after(table, line)) {
		uint32_t found = flow_line_where(line, FLOW_TAG_MASK, flow_tag(hash));

		for (; found; found &= found - 1u) {
			uint32_t at = flow_line_number(line, (uint32_t)__builtin_ctz(found));
			const struct flow *flow = flow_at(table, at);

			if (has_hash(flow, hash) && flow->cell_flags & FLOW_LIVE)
				return at;
		}
	}
	return FLOW_NONE;
}

/* Of two tombstones of one tick the one made during a dump counts: its number is in the cell. Which
 * of two that are alike there came later is not known; the one that leaves more doubt counts. */
static bool buried_later(const struct flow *flow, const struct flow *than)
{
	uint32_t ahead = flow->since - than->since;

	if (ahead != 0)
		return ahead < UINT32_MAX / 2;
	if (flow_cell(flow) != flow_cell(than))
		return flow_cell(flow) > flow_cell(than);
	return !(flow->cell_flags & FLOW_BORN_SEEN);
}

struct flow_found flow_search(const struct flow_table *table, uint64_t hash, uint32_t id)
{
	const struct flow_line *line = &table->lines[flow_bucket(table, hash)];
	uint32_t best = FLOW_NONE;

	for (; line; line = line_after(table, line)) {
		uint32_t found = flow_line_where(line, FLOW_TAG_MASK, flow_tag(hash));

		for (; found; found &= found - 1u) {
			uint32_t at = flow_line_number(line, (uint32_t)__builtin_ctz(found));
			const struct flow *flow = flow_at(table, at);

			if (!has_hash(flow, hash))
				continue;
			if (flow->cell_flags & FLOW_LIVE)
				return (struct flow_found){at, FLOW_NONE};
			if (flow->id == id && flow->cell_flags & FLOW_TOMBSTONE &&
			    (best == FLOW_NONE || buried_later(flow, flow_at(table, best))))
				best = at;
		}
	}
	return (struct flow_found){FLOW_NONE, best};
}

/* --- growing -------------------------------------------------------------------------------- */

/* The bucket that is split next. */
static uint32_t next_split(const struct flow_table *table)
{
	return table->buckets - (table->level_mask + 1);
}

/* Fetches the records of a bucket that will be walked soon. */
static void foresee(const struct flow_table *table, uint32_t bucket)
{
	const struct flow_line *line = &table->lines[bucket];

	for (uint32_t i = 0; i < FLOW_LINE_SLOTS && line->slots[i]; i++)
		flow_prefetch(table, flow_line_number(line, i));
	prefetch(line + 1);
	if (line->more)
		prefetch(&table->overflow[line->more]);
}

/* Does the record belong to the new bucket after the split? Bits below HASH_PLACE_BITS select the
 * bucket; the split uses a higher one. */
static bool splits_off(const struct flow_table *table, const struct flow *flow)
{
	return flow->hash & (table->level_mask + UINT64_C(1)) >> HASH_PLACE_BITS;
}

/* Two buckets never need more overflow lines than the one they were, whose lines are freed first:
 * ceil(x) + ceil(y) <= ceil(x + y) + 1. */
static void split_line(struct flow_table *table, const struct flow_line *old, uint32_t from)
{
	for (uint32_t i = 0; i < FLOW_LINE_SLOTS && old->slots[i]; i++) {
		const struct flow *flow = flow_at(table, flow_line_number(old, i));
		uint32_t to = splits_off(table, flow) ? table->buckets : from;
		bool room = append(table, &table->lines[to], old->slots[i]);

		BUG_ON(!room);
	}
}

/* Splits the next bucket in turn: one line, or a few. */
static void grow_index(struct flow_table *table)
{
	uint32_t from = next_split(table);
	struct flow_line old = table->lines[from];

	memset(&table->lines[from], 0, sizeof(old));
	split_line(table, &old, from);
	while (old.more) {
		uint32_t number = old.more;

		old = table->overflow[number];
		free_overflow(table, number);
		split_line(table, &old, from);
	}
	table->buckets++;
	if (table->buckets == (table->level_mask + 1) << 1)
		table->level_mask = table->level_mask << 1 | 1u;
	/* The order of splits is known in advance. */
	foresee(table, next_split(table));
}

/* --- records ---------------------------------------------------------------------------------- */

/* The number of a record that is free, FLOW_NONE without memory. It stays free. */
static uint32_t free_record_number(struct flow_table *table)
{
	if (table->free_head != FLOW_NONE)
		return table->free_head;
	return back_record(table, table->used) ? table->used : FLOW_NONE;
}

uint32_t flow_insert(struct flow_table *table, uint64_t hash)
{
	struct flow *flow;
	uint32_t at;

	if (table->linked >= table->limit_entries)
		return FLOW_NONE;
	if ((uint64_t)table->linked >= (uint64_t)table->buckets * LOAD &&
	    back_line(table, table->buckets))
		grow_index(table);
	at = free_record_number(table);
	if (at == FLOW_NONE || !append(table, &table->lines[flow_bucket(table, hash)],
				       at << FLOW_TAG_BITS | flow_tag(hash)))
		return FLOW_NONE;
	flow = flow_at(table, at);
	if (at == table->free_head) {
		table->free_head = flow->id;
		flow_prefetch(table, table->free_head);
	} else {
		table->used++;
	}
	memset(flow, 0, sizeof(*flow));
	flow->hash = hash_low(hash) & HASH_MASK;
	flow->hash_above = hash_above(hash) & 0x3fu;
	table->linked++;
	return at;
}

static void free_record(struct flow_table *table, uint32_t at)
{
	struct flow *flow = flow_at(table, at);

	flow->cell_flags = 0;
	flow->id = table->free_head;
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
	flow->age = hash & (BUCKETS_MIN - 1u);
}

static uint32_t tombstone_bucket(const struct flow_table *table, uint32_t at)
{
	const struct flow *flow = flow_at(table, at);

	return flow_bucket(table, (uint64_t)flow->hash << HASH_PLACE_BITS | flow->age);
}

void flow_remove_tombstone(struct flow_table *table, uint32_t at)
{
	BUG_ON(!(flow_at(table, at)->cell_flags & FLOW_TOMBSTONE));
	unlink_record(table, tombstone_bucket(table, at), at);
	free_record(table, at);
}

void flow_prefetch_tombstone(const struct flow_table *table, uint32_t at)
{
	prefetch(&table->lines[tombstone_bucket(table, at)]);
}

/* --- walking ------------------------------------------------------------------------------------
 */

/* Of the lines of the bucket that `first` begins. */
static void visit_line(struct flow_table *table, struct flow_line *first, struct flow_line *line,
		       bool (*visit)(void *arg, struct flow *flow, uint32_t at), void *arg)
{
	uint32_t i = 0;

	while (i < FLOW_LINE_SLOTS && line->slots[i]) {
		uint32_t at = flow_line_number(line, i);

		if (visit(arg, flow_at(table, at), at)) {
			/* Another one takes its place, and its turn. */
			take_out(table, first, &line->slots[i]);
			free_record(table, at);
		} else {
			i++;
		}
	}
}

bool flow_scan(struct flow_table *table, struct flow_cursor *cursor,
	       bool (*visit)(void *arg, struct flow *flow, uint32_t at), void *arg)
{
	uint64_t end = (uint64_t)cursor->bucket + cursor->step_buckets;

	for (; cursor->bucket < end && cursor->bucket < table->buckets; cursor->bucket++) {
		struct flow_line *first = &table->lines[cursor->bucket];
		struct flow_line *line = first;

		if (cursor->bucket + 1 < table->buckets)
			foresee(table, cursor->bucket + 1);
		do
			visit_line(table, first, line, visit, arg);
		/* One that has become empty was the last, and may be freed. */
		while (line->slots[0] && (line = line_after(table, line)));
	}
	return cursor->bucket >= table->buckets;
}
