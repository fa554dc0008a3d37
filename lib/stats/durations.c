// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/durations.h"

#include <errno.h>
#include <string.h>

#include "lib/base/sparse.h"
#include "lib/shm/seqlock.h"

#define OF_ROW_BYTES ((size_t)ROW_COUNT * sizeof(uint16_t))

int durations_create(struct durations *durations, const struct histogram *hist)
{
	memset(durations, 0, sizeof(*durations));
	durations->of_row = sparse_alloc(OF_ROW_BYTES);
	if (!durations->of_row)
		return -ENOMEM;
	durations->hist = hist;
	durations->free_count = SHM_DETAILS;
	/* Taken from the end: detail 0 is assigned first. */
	for (uint32_t i = 0; i < SHM_DETAILS; i++)
		durations->free[i] = (uint16_t)(SHM_DETAILS - 1u - i);
	return 0;
}

void durations_destroy(struct durations *durations)
{
	sparse_free(durations->of_row, OF_ROW_BYTES);
	durations->of_row = NULL;
}

/* --- details and rows --------------------------------------------------------------- */

static struct shm_detail *pool_of(const struct durations *durations, uint32_t row)
{
	struct row_key key;

	if (!row_key_of(row, &key))
		return NULL;
	return &durations->details[SHM_DETAILS + key.l4proto * DIR_COUNT + key.direction];
}

static void fold(struct shm_stays *into, const struct shm_stays *from)
{
	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
		bump_u64(&into->buckets[i], peek_u64(&from->buckets[i]));
	bump_u64(&into->sum_ms, peek_u64(&from->sum_ms));
}

/* The counts move to where the row will be counted. */
static void fold_into_pool(const struct durations *durations, const struct shm_detail *detail)
{
	struct shm_detail *pool = pool_of(durations, peek_u32(&detail->row));

	if (!pool)
		return;
	for (unsigned int i = 0; i < SHM_END_COUNT; i++)
		bump_u64(&pool->ends[i], peek_u64(&detail->ends[i]));
	fold(&pool->whole, &detail->whole);
	fold(&pool->tail, &detail->tail);
	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++)
		fold(&pool->states[i], &detail->states[i]);
}

static void forget(struct shm_stays *durations)
{
	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
		poke_u64(&durations->buckets[i], 0);
	poke_u64(&durations->sum_ms, 0);
}

/* Up and down in turn: a count of one is neither kept for good nor always lost. */
static uint64_t halve(_Atomic uint64_t *count, bool up)
{
	uint64_t before = peek_u64(count), after = (before + up) / 2u;

	poke_u64(count, after);
	return before - after;
}

static void halve_stays(struct shm_stays *stays, bool up)
{
	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
		halve(&stays->buckets[i], up);
	halve(&stays->sum_ms, up);
}

static uint64_t lives_of(const struct shm_detail *detail)
{
	uint64_t lives = 0;

	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
		lives += peek_u64(&detail->whole.buckets[i]);
	return lives;
}

/* Every half of its counts of one moment: readers see the generation change. */
static uint64_t forget_half(struct shm_detail *detail, bool up)
{
	uint64_t ends = 0;

	hand_over_begin(&detail->generation);
	for (unsigned int i = 0; i < SHM_END_COUNT; i++)
		ends += halve(&detail->ends[i], up);
	halve_stays(&detail->whole, up);
	halve_stays(&detail->tail, up);
	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++)
		halve_stays(&detail->states[i], up);
	hand_over_end(&detail->generation);
	return ends;
}

static void forget_old(struct durations *durations)
{
	bool up = durations->now_ns / DURATIONS_FORGET_NS % 2u;

	if (!durations->forgot_ns)
		durations->forgot_ns = durations->now_ns;
	if (durations->now_ns - durations->forgot_ns < DURATIONS_FORGET_NS)
		return;
	durations->forgot_ns = durations->now_ns;
	for (uint32_t i = 0; i < SHM_DETAILS + SHM_DETAIL_POOLS; i++)
		if (lives_of(&durations->details[i]) >= DURATIONS_LIVES_KEPT)
			durations->forgotten_ends += forget_half(&durations->details[i], up);
}

/* Gives the detail to `row`, or to no row (ROW_INVALID). Readers see the generation
 * change: layout.h. */
static void change_hands(struct durations *durations, uint32_t number, uint32_t row)
{
	struct shm_detail *detail = &durations->details[number];
	uint32_t before = peek_u32(&detail->row);

	hand_over_begin(&detail->generation);
	if (before != ROW_INVALID) {
		fold_into_pool(durations, detail);
		durations->of_row[before] = 0;
	}
	poke_u32(&detail->row, row);
	for (unsigned int i = 0; i < SHM_END_COUNT; i++)
		poke_u64(&detail->ends[i], 0);
	forget(&detail->whole);
	forget(&detail->tail);
	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++)
		forget(&detail->states[i]);
	hand_over_end(&detail->generation);
	if (row == ROW_INVALID)
		return;
	durations->of_row[row] = (uint16_t)(number + 1u);
	durations->holders[number] = (struct durations_holder){
		.since_ns = durations->now_ns,
		.busy_ns = durations->now_ns,
		.destroyed_entries =
			(uint32_t)peek_u64(&durations->hist->rows[row].destroyed_entries),
		.weight = 1,
	};
}

static struct shm_detail *detail_of(struct durations *durations, uint32_t row)
{
	uint32_t number;

	if (row >= ROW_COUNT)
		return NULL;
	if (durations->of_row[row])
		return &durations->details[durations->of_row[row] - 1u];
	if (!durations->free_count)
		return pool_of(durations, row);
	number = durations->free[--durations->free_count];
	change_hands(durations, number, row);
	return &durations->details[number];
}

/* --- counting ------------------------------------------------------------------ */

/* Bucket i ends at 62.5 ms x 2^i, which is 1953125 x 2^(i+5) ns; the constant has 21
 * bits, so the length of the number tells the bucket or the one before it. */
unsigned int durations_bucket(uint64_t stay_ns)
{
	uint64_t units = stay_ns >> 5;
	unsigned int bits = units ? 64u - (unsigned int)__builtin_clzll(units) : 0;
	unsigned int i = bits > 21u ? bits - 21u : 0;

	if (i >= SHM_STAY_BUCKETS)
		return SHM_STAY_BUCKETS - 1u;
	i += units >= UINT64_C(1953125) << i;
	return i < SHM_STAY_BUCKETS ? i : SHM_STAY_BUCKETS - 1u;
}

static void count(struct shm_stays *durations, uint64_t stay_ns)
{
	bump_u64(&durations->buckets[durations_bucket(stay_ns)], 1);
	bump_u64(&durations->sum_ms, stay_ns / 1000000u);
}

void durations_moved(struct durations *durations, uint32_t cell, uint64_t stay_ns)
{
	struct shm_detail *detail;

	if (stay_ns == DURATIONS_UNKNOWN)
		return;
	detail = detail_of(durations, cell_row(cell));
	if (detail)
		count(&detail->states[cell_state(cell)], stay_ns);
}

void durations_ended(struct durations *durations, uint32_t cell, unsigned int end, uint64_t stay_ns,
		     uint64_t life_ns)
{
	struct shm_detail *detail = detail_of(durations, cell_row(cell));

	if (!detail || end >= SHM_END_COUNT)
		return;
	bump_u64(&detail->ends[end], 1);
	if (stay_ns != DURATIONS_UNKNOWN) {
		count(&detail->states[cell_state(cell)], stay_ns);
		count(&detail->tail, stay_ns);
	}
	if (life_ns != DURATIONS_UNKNOWN)
		count(&detail->whole, life_ns);
}

/* --- assignment ------------------------------------------------------------------ */

static void look_at(struct durations *durations, uint32_t number, uint32_t row)
{
	struct durations_holder *holder = &durations->holders[number];
	uint32_t destroyed = (uint32_t)peek_u64(&durations->hist->rows[row].destroyed_entries);

	holder->weight = histogram_row_entries(durations->hist, row) +
			 (destroyed - holder->destroyed_entries);
	holder->destroyed_entries = destroyed;
	if (holder->weight)
		holder->busy_ns = durations->now_ns;
}

static void look_at_all(struct durations *durations)
{
	for (uint32_t i = 0; i < SHM_DETAILS; i++) {
		uint32_t row = peek_u32(&durations->details[i].row);

		if (row == ROW_INVALID)
			continue;
		look_at(durations, i, row);
		if (durations->free_count >= DURATIONS_SPARE ||
		    durations->now_ns - durations->holders[i].busy_ns < DURATIONS_QUIET_NS)
			continue;
		change_hands(durations, i, ROW_INVALID);
		durations->free[durations->free_count++] = (uint16_t)i;
	}
}

/* The least busy holder past its tenure; SHM_DETAILS: none. */
static uint32_t least(const struct durations *durations)
{
	uint32_t best = SHM_DETAILS;

	for (uint32_t i = 0; i < SHM_DETAILS; i++) {
		if (durations->now_ns - durations->holders[i].since_ns < DURATIONS_TENURE_NS)
			continue;
		if (best == SHM_DETAILS ||
		    durations->holders[i].weight < durations->holders[best].weight)
			best = i;
	}
	return best;
}

void durations_look(struct durations *durations, const struct durations_wish *wishes,
		    uint32_t count, uint64_t now_ns)
{
	durations->now_ns = now_ns;
	forget_old(durations);
	look_at_all(durations);
	/* While details are free, a row takes one when it needs it. */
	for (uint32_t i = 0; i < count && !durations->free_count; i++) {
		uint32_t number;

		if (wishes[i].row >= ROW_COUNT || durations->of_row[wishes[i].row])
			continue;
		number = least(durations);
		if (number == SHM_DETAILS ||
		    (uint64_t)wishes[i].weight * 2u <=
			    (uint64_t)durations->holders[number].weight * 3u)
			return;
		change_hands(durations, number, wishes[i].row);
		durations->holders[number].weight = wishes[i].weight;
	}
}
