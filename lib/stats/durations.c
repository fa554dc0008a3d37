// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/durations.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/shm/seqlock.h"

#define OF_ROW_BYTES ((size_t)ROW_COUNT * sizeof(uint16_t))

int stays_create(struct stays *stays, const struct histogram *hist)
{
	memset(stays, 0, sizeof(*stays));
	stays->of_row = mmap(NULL, OF_ROW_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stays->of_row == MAP_FAILED) {
		stays->of_row = NULL;
		return -ENOMEM;
	}
	stays->hist = hist;
	stays->free_count = SHM_DETAILS;
	/* The first is taken first. */
	for (uint32_t i = 0; i < SHM_DETAILS; i++)
		stays->free[i] = (uint16_t)(SHM_DETAILS - 1u - i);
	return 0;
}

void stays_destroy(struct stays *stays)
{
	if (stays->of_row)
		munmap(stays->of_row, OF_ROW_BYTES);
	stays->of_row = NULL;
}

/* --- whose is it --------------------------------------------------------------- */

static struct shm_detail *pool_of(const struct stays *stays, uint32_t row)
{
	struct row_key key;

	if (!row_key_of(row, &key))
		return NULL;
	return &stays->details[SHM_DETAILS + key.l4proto * DIR_COUNT + key.direction];
}

static void fold(struct shm_stays *into, const struct shm_stays *from)
{
	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
		bump_u64(&into->buckets[i], peek_u64(&from->buckets[i]));
	bump_u64(&into->sum_ms, peek_u64(&from->sum_ms));
}

/* What is counted is kept where the row is counted from now on. */
static void fold_into_pool(const struct stays *stays, const struct shm_detail *detail)
{
	struct shm_detail *pool = pool_of(stays, peek_u32(&detail->row));

	if (!pool)
		return;
	for (unsigned int i = 0; i < SHM_END_COUNT; i++)
		bump_u64(&pool->ends[i], peek_u64(&detail->ends[i]));
	fold(&pool->whole, &detail->whole);
	fold(&pool->tail, &detail->tail);
	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++)
		fold(&pool->states[i], &detail->states[i]);
}

static void forget(struct shm_stays *stays)
{
	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
		poke_u64(&stays->buckets[i], 0);
	poke_u64(&stays->sum_ms, 0);
}

/* To `row`, ROW_INVALID: to nobody. Readers see the generation change: layout.h. */
static void change_hands(struct stays *stays, uint32_t number, uint32_t row)
{
	struct shm_detail *detail = &stays->details[number];
	uint32_t before = peek_u32(&detail->row);

	hand_over_begin(&detail->generation);
	if (before != ROW_INVALID) {
		fold_into_pool(stays, detail);
		stays->of_row[before] = 0;
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
	stays->of_row[row] = (uint16_t)(number + 1u);
	stays->holders[number] = (struct stays_holder){
		.since_ns = stays->now_ns,
		.busy_ns = stays->now_ns,
		.destroyed_entries = (uint32_t)peek_u64(&stays->hist->rows[row].destroyed_entries),
		.weight = 1,
	};
}

static struct shm_detail *detail_of(struct stays *stays, uint32_t row)
{
	uint32_t number;

	if (row >= ROW_COUNT)
		return NULL;
	if (stays->of_row[row])
		return &stays->details[stays->of_row[row] - 1u];
	if (!stays->free_count)
		return pool_of(stays, row);
	number = stays->free[--stays->free_count];
	change_hands(stays, number, row);
	return &stays->details[number];
}

/* --- counting ------------------------------------------------------------------ */

/* Bucket i ends at 62.5 ms x 2^i, which is 1953125 x 2^(i+5) ns; the constant has 21
 * bits, so the length of the number tells the bucket or the one before it. */
unsigned int stays_bucket(uint64_t stay_ns)
{
	uint64_t units = stay_ns >> 5;
	unsigned int bits = units ? 64u - (unsigned int)__builtin_clzll(units) : 0;
	unsigned int i = bits > 21u ? bits - 21u : 0;

	if (i >= SHM_STAY_BUCKETS)
		return SHM_STAY_BUCKETS - 1u;
	i += units >= UINT64_C(1953125) << i;
	return i < SHM_STAY_BUCKETS ? i : SHM_STAY_BUCKETS - 1u;
}

static void count(struct shm_stays *stays, uint64_t stay_ns)
{
	bump_u64(&stays->buckets[stays_bucket(stay_ns)], 1);
	bump_u64(&stays->sum_ms, stay_ns / 1000000u);
}

void stays_moved(struct stays *stays, uint32_t cell, uint64_t stay_ns)
{
	struct shm_detail *detail;

	if (stay_ns == STAYS_UNKNOWN)
		return;
	detail = detail_of(stays, cell_row(cell));
	if (detail)
		count(&detail->states[cell_state(cell)], stay_ns);
}

void stays_ended(struct stays *stays, uint32_t cell, unsigned int end, uint64_t stay_ns,
		 uint64_t life_ns)
{
	struct shm_detail *detail = detail_of(stays, cell_row(cell));

	if (!detail || end >= SHM_END_COUNT)
		return;
	bump_u64(&detail->ends[end], 1);
	if (stay_ns != STAYS_UNKNOWN) {
		count(&detail->states[cell_state(cell)], stay_ns);
		count(&detail->tail, stay_ns);
	}
	if (life_ns != STAYS_UNKNOWN)
		count(&detail->whole, life_ns);
}

/* --- who has one ------------------------------------------------------------------ */

static void look_at(struct stays *stays, uint32_t number, uint32_t row)
{
	struct stays_holder *holder = &stays->holders[number];
	uint32_t destroyed = (uint32_t)peek_u64(&stays->hist->rows[row].destroyed_entries);

	holder->weight =
		histogram_row_entries(stays->hist, row) + (destroyed - holder->destroyed_entries);
	holder->destroyed_entries = destroyed;
	if (holder->weight)
		holder->busy_ns = stays->now_ns;
}

static void look_at_all(struct stays *stays)
{
	for (uint32_t i = 0; i < SHM_DETAILS; i++) {
		uint32_t row = peek_u32(&stays->details[i].row);

		if (row == ROW_INVALID)
			continue;
		look_at(stays, i, row);
		if (stays->free_count >= STAYS_SPARE ||
		    stays->now_ns - stays->holders[i].busy_ns < STAYS_QUIET_NS)
			continue;
		change_hands(stays, i, ROW_INVALID);
		stays->free[stays->free_count++] = (uint16_t)i;
	}
}

/* The least busy that has had its detail for long enough; SHM_DETAILS: none. */
static uint32_t least(const struct stays *stays)
{
	uint32_t best = SHM_DETAILS;

	for (uint32_t i = 0; i < SHM_DETAILS; i++) {
		if (stays->now_ns - stays->holders[i].since_ns < STAYS_TENURE_NS)
			continue;
		if (best == SHM_DETAILS || stays->holders[i].weight < stays->holders[best].weight)
			best = i;
	}
	return best;
}

void stays_look(struct stays *stays, const struct stays_wish *wishes, uint32_t count,
		uint64_t now_ns)
{
	stays->now_ns = now_ns;
	look_at_all(stays);
	/* While there are free ones, whoever needs one takes it. */
	for (uint32_t i = 0; i < count && !stays->free_count; i++) {
		uint32_t number;

		if (wishes[i].row >= ROW_COUNT || stays->of_row[wishes[i].row])
			continue;
		number = least(stays);
		if (number == SHM_DETAILS ||
		    wishes[i].weight / 3u * 2u <= stays->holders[number].weight)
			return;
		change_hands(stays, number, wishes[i].row);
		stays->holders[number].weight = wishes[i].weight;
	}
}
