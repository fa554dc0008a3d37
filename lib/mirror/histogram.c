// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/histogram.h"

#include "lib/base/check.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/writer.h"

bool histogram_row_active(const struct histogram *hist, uint32_t row)
{
	return peek_u64(&hist->rowmap[row / 64u]) >> (row % 64u) & 1u;
}

static bool activate(struct histogram *hist, uint32_t row)
{
	if (histogram_row_active(hist, row))
		return true;
	if (hist->back_row && !hist->back_row(hist->back_arg, row))
		return false;
	publish_u64(&hist->rowmap[row / 64u],
		    peek_u64(&hist->rowmap[row / 64u]) | UINT64_C(1) << (row % 64u));
	return true;
}

void histogram_retire(struct histogram *hist, uint32_t row)
{
	poke_u64(&hist->rowmap[row / 64u],
		 peek_u64(&hist->rowmap[row / 64u]) & ~(UINT64_C(1) << (row % 64u)));
}

/* Once refused, a row stays refused, so that its entries are never in two places and memory is
 * not requested again for each of them. */
static bool place_row(struct histogram *hist, uint32_t row)
{
	uint64_t bit = UINT64_C(1) << (row % 64u);

	if (hist->refused[row / 64u] & bit)
		return false;
	if (activate(hist, row))
		return true;
	hist->refused[row / 64u] |= bit;
	hist->overflow_rows++;
	return false;
}

uint32_t histogram_place(struct histogram *hist, struct row_key key, unsigned int state)
{
	uint32_t cell = cell_of(key, state);

	BUG_ON(cell == CELL_INVALID);
	if (place_row(hist, cell_row(cell)))
		return cell;
	key.port = 0;
	cell = cell_of(key, state);
	activate(hist, cell_row(cell));
	return cell;
}

void histogram_enter(struct histogram *hist, uint32_t cell)
{
	uint32_t row = cell_row(cell);

	/* A row retired while empty returns with its first entry. */
	activate(hist, row);
	poke_u32(&hist->cells[cell], peek_u32(&hist->cells[cell]) + 1u);
}

void histogram_leave(struct histogram *hist, uint32_t cell)
{
	uint32_t value = peek_u32(&hist->cells[cell]);

	if (COUNT_IF(value == 0)) {
		hist->refused_decrements++;
		return;
	}
	poke_u32(&hist->cells[cell], value - 1u);
}

static struct shm_other *other_of(struct histogram *hist, uint32_t row)
{
	struct row_key key;

	if (hist->has_slot[row / 64u] >> (row % 64u) & 1u || !row_key_of(row, &key))
		return NULL;
	return &hist->slots->other[key.l4proto][key.direction];
}

void histogram_count_new(struct histogram *hist, uint32_t cell)
{
	uint32_t row = cell_row(cell);
	struct shm_other *other = other_of(hist, row);

	bump_u64(&hist->rows[row].new_entries, 1);
	if (other)
		bump_u64(&other->new_entries, 1);
}

/* Bucket i holds lifetimes below 2^(i-3) seconds. */
static unsigned int lifetime_bucket(uint64_t lifetime_ms)
{
	unsigned int i = 0;

	while (i < SHM_LIFETIME_BUCKETS - 1u && lifetime_ms >= UINT64_C(125) << i)
		i++;
	return i;
}

static void count_lifetime(struct histogram *hist, uint32_t row, uint64_t lifetime_ms)
{
	struct row_key key;

	bump_u64(&hist->rows[row].timed_entries, 1);
	bump_u64(&hist->rows[row].timed_ms, lifetime_ms);
	if (!row_key_of(row, &key))
		return;
	struct shm_lifetime *lifetime = &hist->lifetimes[key.l4proto];

	bump_u64(&lifetime->buckets[lifetime_bucket(lifetime_ms)], 1);
	bump_u64(&lifetime->sum_ms, lifetime_ms);
}

void histogram_count_destroyed(struct histogram *hist, uint32_t cell, uint64_t lifetime_ms)
{
	uint32_t row = cell_row(cell);
	struct shm_other *other = other_of(hist, row);

	bump_u64(&hist->rows[row].destroyed_entries, 1);
	if (other)
		bump_u64(&other->destroyed_entries, 1);
	if (lifetime_ms != UINT64_MAX)
		count_lifetime(hist, row, lifetime_ms);
}

uint32_t histogram_row_entries(const struct histogram *hist, uint32_t row)
{
	uint32_t cell = row_first_cell(row);
	uint32_t slots = row_state_slots(row);
	uint32_t sum = 0;

	for (uint32_t i = 0; i < slots; i++)
		sum += peek_u32(&hist->cells[cell + i]);
	return sum;
}

void histogram_attach(struct histogram *hist, struct segment *segment)
{
	hist->cells = segment_cells(segment);
	hist->rowmap = segment_rowmap(segment);
	hist->rows = segment_rows(segment);
	hist->slots = segment_slots(segment);
	hist->lifetimes = segment_lifetimes(segment);
	hist->back_row = segment_back_row;
	hist->back_arg = segment;
}
