// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/fixture_ages.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/shm/seqlock.h"
#include "lib/stats/ages.h"

static struct shm_ages_row *row_of_set(struct shm_ages *ages, uint32_t row)
{
	uint32_t count = peek_u32(&ages->rows_made);

	for (uint32_t i = 0; i < count; i++)
		if (peek_u32(&ages->row[i].row) == row)
			return &ages->row[i];
	if (count == SHM_AGES_ROWS)
		return NULL;
	poke_u32(&ages->row[count].row, row);
	poke_u32(&ages->rows_made, count + 1);
	return &ages->row[count];
}

static struct shm_ages_cell *cell_of_set(struct shm_ages *ages, uint32_t cell)
{
	uint32_t count = peek_u32(&ages->cells_made);

	for (uint32_t i = 0; i < count; i++)
		if (peek_u32(&ages->cell[i].cell) == cell)
			return &ages->cell[i];
	if (count == SHM_AGES_CELLS)
		return NULL;
	poke_u32(&ages->cell[count].cell, cell);
	poke_u32(&ages->cells_made, count + 1);
	return &ages->cell[count];
}

static void add(_Atomic uint32_t *word, uint32_t n)
{
	poke_u32(word, peek_u32(word) + n);
}

double fixture_ages_span_s(uint32_t timeout_s)
{
	return timeout_s > 600 ? 7200 : timeout_s + 30.0;
}

void fixture_ages_cell(struct shm_ages_set *set, uint32_t number, uint32_t entries, double span_s)
{
	struct shm_ages *ages = &set->ages;
	struct shm_ages_cell *cell = cell_of_set(ages, number);
	struct shm_ages_row *row = row_of_set(ages, cell_row(number));
	uint32_t before = cell ? peek_u32(&cell->entries) : 0;
	uint32_t slices = entries < 4096 ? entries : 4096;

	if (!cell || !row)
		return;
	memset(cell, 0, sizeof(*cell));
	poke_u32(&cell->cell, number);
	poke_u32(&cell->entries, entries);
	for (uint64_t i = 0; i < slices; i++) {
		unsigned int bucket = age_bucket((uint32_t)(span_s * ((double)i + 0.5) / slices));
		uint32_t n = (uint32_t)(entries * (i + 1) / slices - entries * i / slices);

		add(&cell->age[bucket], n);
	}
	add(&row->entries, entries - before);
	add(&ages->all.entries, entries - before);
	add(&ages->count_entries, entries - before);
	poke_u64(&set->real_ns, clock_real_ns());
}

void fixture_ages_facts(struct shm_ages_set *set, uint32_t number, const uint32_t parts[5])
{
	struct shm_ages_row *row = row_of_set(&set->ages, number);
	struct shm_ages_row *all = &set->ages.all;

	if (!row)
		return;
	poke_u32(&row->src_nat, parts[0]);
	poke_u32(&row->dst_nat, parts[1]);
	poke_u32(&row->helper, parts[2]);
	poke_u32(&row->ipv6, parts[3]);
	poke_u32(&row->zoned, parts[4]);
	add(&all->src_nat, parts[0]);
	add(&all->dst_nat, parts[1]);
	add(&all->helper, parts[2]);
	add(&all->ipv6, parts[3]);
	add(&all->zoned, parts[4]);
}
