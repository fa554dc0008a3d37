// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/snap_ages.h"

#include <math.h>
#include <string.h>

#include "lib/shm/seq_retry.h"
#include "lib/shm/seqlock.h"

/* The walk of a large mirror takes a while; older than this is of another time. */
#define NOW_NS	UINT64_C(120000000000)
#define HOUR_NS UINT64_C(3600000000000)

static uint32_t part(const _Atomic uint32_t *word, uint32_t whole)
{
	uint32_t value = peek_u32(word);

	return value < whole ? value : whole;
}

static void copy_row(const struct shm_ages_row *from, struct snap_ages_row *to)
{
	to->entries = peek_u32(&from->entries);
	to->src_nat = part(&from->src_nat, to->entries);
	to->dst_nat = part(&from->dst_nat, to->entries);
	to->helper = part(&from->helper, to->entries);
	to->ipv6 = part(&from->ipv6, to->entries);
	to->zoned = part(&from->zoned, to->entries);
}

/* No more in all than `whole`. */
static void copy_buckets(const _Atomic uint32_t *from, uint32_t whole, uint32_t *to)
{
	for (unsigned int i = 0; i < SHM_AGE_BUCKETS; i++) {
		to[i] = part(&from[i], whole);
		whole -= to[i];
	}
}

static bool copy_cell(const struct shm_ages_cell *from, struct snap_ages_cell *to)
{
	if (!cell_key_of(peek_u32(&from->cell), &to->key, &to->state))
		return false;
	to->entries = peek_u32(&from->entries);
	to->told = part(&from->told, to->entries);
	to->refreshed = part(&from->refreshed, to->told);
	to->timeout_s = peek_u32(&from->timeout_s);
	copy_buckets(from->age, to->entries, to->age);
	copy_buckets(from->idle, to->told, to->idle);
	return true;
}

static void copy_set(const struct shm_ages_set *from, struct snap_ages *to)
{
	uint32_t rows = part(&from->ages.rows_made, SHM_AGES_ROWS);
	uint32_t cells = part(&from->ages.cells_made, SHM_AGES_CELLS);

	memset(to, 0, sizeof(*to));
	to->real_ns = peek_u64(&from->real_ns);
	to->count_entries = peek_u32(&from->ages.count_entries);
	copy_row(&from->ages.all, &to->all);
	for (uint32_t i = 0; i < rows; i++) {
		struct snap_ages_row *row = &to->rows[to->row_count];

		copy_row(&from->ages.row[i], row);
		to->row_count += row_key_of(peek_u32(&from->ages.row[i].row), &row->key);
	}
	for (uint32_t i = 0; i < cells; i++)
		to->cell_count += copy_cell(&from->ages.cell[i], &to->cells[to->cell_count]);
}

void snap_ages_copy(const struct shm_ages_set *from, struct snap_ages *sets)
{
	for (unsigned int i = 0; i < SHM_AGE_SETS; i++) {
		bool whole = false;

		for (int attempt = 0; !whole && attempt < SEQ_ATTEMPTS;
		     attempt++, seq_nap_if_due(attempt)) {
			uint64_t at;

			if (!seq_read_begin(&from[i].seq, &at))
				continue;
			copy_set(&from[i], &sets[i]);
			whole = seq_read_valid(&from[i].seq, at);
		}
		if (!whole)
			memset(&sets[i], 0, sizeof(sets[i]));
	}
}

static bool within(const struct snap_ages *ages, uint64_t now_real_ns, uint64_t span_ns)
{
	return ages->real_ns && ages->real_ns < now_real_ns + NOW_NS &&
	       now_real_ns < ages->real_ns + span_ns;
}

const struct snap_ages *snap_ages_now(const struct snap_ages *sets, uint64_t now_real_ns)
{
	return sets && within(&sets[0], now_real_ns, NOW_NS) ? &sets[0] : NULL;
}

const struct snap_ages *snap_ages_peak(const struct snap_ages *sets, uint64_t now_real_ns)
{
	const struct snap_ages *peak = NULL;

	for (unsigned int i = 0; sets && i < SHM_AGE_SETS; i++)
		if (within(&sets[i], now_real_ns, HOUR_NS) &&
		    (!peak || sets[i].all.entries > peak->all.entries))
			peak = &sets[i];
	return peak;
}

const struct snap_ages_row *snap_ages_row(const struct snap_ages *ages, const struct row_key *key)
{
	for (uint32_t i = 0; ages && i < ages->row_count; i++)
		if (!memcmp(&ages->rows[i].key, key, sizeof(*key)))
			return &ages->rows[i];
	return NULL;
}

const struct snap_ages_cell *snap_ages_cell(const struct snap_ages *ages, const struct row_key *key,
					    unsigned int state)
{
	for (uint32_t i = 0; ages && i < ages->cell_count; i++)
		if (ages->cells[i].state == state &&
		    !memcmp(&ages->cells[i].key, key, sizeof(*key)))
			return &ages->cells[i];
	return NULL;
}

double snap_age_edge_s(unsigned int bucket)
{
	return bucket ? exp2((bucket - 1) / 4.0) : 0;
}

double snap_ages_older(const uint32_t buckets[SHM_AGE_BUCKETS], double seconds)
{
	double sum = 0;

	for (unsigned int i = 0; i < SHM_AGE_BUCKETS; i++) {
		double low = snap_age_edge_s(i), high = snap_age_edge_s(i + 1);

		if (seconds <= low)
			sum += buckets[i];
		else if (seconds < high)
			sum += buckets[i] * (high - seconds) / (high - low);
	}
	return sum;
}
