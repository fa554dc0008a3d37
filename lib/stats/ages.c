// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/ages.h"

#include <string.h>

#include "lib/forecast/forecast.h"
#include "lib/shm/seqlock.h"
#include "lib/stats/observer.h"

#define NONE UINT32_MAX

/* --- which are counted ----------------------------------------------------------------- */

static uint32_t first_place(uint32_t key)
{
	return (key * UINT32_C(2654435761)) >> 25;
}

_Static_assert(AGES_PLACES == 1u << (32 - 25), "as many as first_place() names");
_Static_assert(AGES_PLACES > 2 * SHM_AGES_CELLS && AGES_PLACES > 2 * SHM_AGES_ROWS,
	       "a search ends at a free place");

static void places_clear(struct ages_place places[AGES_PLACES])
{
	for (uint32_t i = 0; i < AGES_PLACES; i++)
		places[i].key = NONE;
}

static void places_add(struct ages_place places[AGES_PLACES], uint32_t key, uint32_t index)
{
	uint32_t at = first_place(key);

	while (places[at].key != NONE)
		at = (at + 1) % AGES_PLACES;
	places[at] = (struct ages_place){key, index};
}

/* NONE: it is not counted by itself. */
static uint32_t places_find(const struct ages_place places[AGES_PLACES], uint32_t key)
{
	uint32_t at = first_place(key);

	while (places[at].key != NONE && places[at].key != key)
		at = (at + 1) % AGES_PLACES;
	return places[at].key == key ? places[at].index : NONE;
}

/* --- the walk -------------------------------------------------------------------------- */

static void count_one(_Atomic uint32_t *word)
{
	poke_u32(word, peek_u32(word) + 1u);
}

static void count_row(struct shm_ages_row *row, uint32_t facts)
{
	_Atomic uint32_t *const kinds[FACT_KINDS] = {&row->src_nat, &row->dst_nat, &row->helper,
						     &row->ipv6, &row->zoned};

	count_one(&row->entries);
	for (unsigned int i = 0; i < FACT_KINDS; i++)
		if (facts >> i & 1u)
			count_one(kinds[i]);
}

static void count_cell(const struct mirror *mirror, struct shm_ages_cell *cell, bool own_timeout,
		       const struct flow *flow)
{
	uint64_t ticks = flow_tick(mirror->now_ns) - flow->since;
	uint32_t age_s = (uint32_t)((ticks << FLOW_TICK_SHIFT) / UINT64_C(1000000000));

	count_one(&cell->entries);
	if (!(flow->cell_flags & FLOW_SINCE_UNKNOWN))
		count_one(&cell->age[age_bucket(age_s)]);
	if (!(flow->facts & FACT_IDLE) || own_timeout)
		return;
	count_one(&cell->told);
	if (flow->facts & FACT_REFRESHED)
		count_one(&cell->refreshed);
	count_one(&cell->idle[flow->facts >> FACT_IDLE_SHIFT]);
}

static bool visit(void *arg, struct flow *flow, uint32_t at)
{
	struct ages *ages = arg;
	uint32_t index;

	(void)at;
	if (!(flow->cell_flags & FLOW_LIVE))
		return false;
	count_row(&ages->made.all, flow->facts);
	index = places_find(ages->rows, cell_row(flow_cell(flow)));
	if (index != NONE)
		count_row(&ages->made.row[index], flow->facts);
	index = places_find(ages->cells, flow_cell(flow));
	if (index != NONE)
		count_cell(ages->mirror, &ages->made.cell[index], ages->own_timeout[index], flow);
	return false;
}

void ages_init(struct ages *ages, struct mirror *mirror, struct shm_ages_set *sets)
{
	memset(ages, 0, sizeof(*ages));
	ages->mirror = mirror;
	ages->sets = sets;
}

static uint32_t timeout_of(const struct ages *ages, uint32_t cell)
{
	struct row_key key;
	unsigned int state;

	if (!ages->forecast || !cell_key_of(cell, &key, &state))
		return 0;
	return forecast_timeout_of(ages->forecast, key.l4proto, key.direction, key.port,
				   (enum fc_stage)observer_stage(key.l4proto, state));
}

static bool differs(const struct mirror *mirror, int timeout, uint32_t told_s)
{
	uint32_t setting_s = timeout < 0 ? 0 : mirror->timeouts_s[timeout];

	/* The kernel tells whole seconds. */
	return told_s + 2 < setting_s || told_s > setting_s + 2;
}

/* A policy or a helper sets it. TCP has two of its own, for what is not acknowledged. */
static bool is_own(const struct mirror *mirror, uint32_t cell, uint32_t told_s)
{
	struct row_key key;
	unsigned int state;

	if (!told_s || !cell_key_of(cell, &key, &state))
		return false;
	return differs(mirror, timeout_of_state(key.l4proto, state), told_s) &&
	       (key.l4proto != L4_TCP || (differs(mirror, TIMEOUT_TCP_UNACKNOWLEDGED, told_s) &&
					  differs(mirror, TIMEOUT_TCP_MAX_RETRANS, told_s)));
}

void ages_begin(struct ages *ages, const uint32_t *cells, uint32_t cell_count, const uint32_t *rows,
		uint32_t row_count)
{
	struct shm_ages *made = &ages->made;

	if (ages->walking || !ages->sets)
		return;
	memset(made, 0, sizeof(*made));
	places_clear(ages->cells);
	places_clear(ages->rows);
	poke_u32(&made->all.row, ROW_INVALID);
	poke_u32(&made->rows_made, row_count);
	poke_u32(&made->cells_made, cell_count);
	for (uint32_t i = 0; i < row_count; i++) {
		poke_u32(&made->row[i].row, rows[i]);
		places_add(ages->rows, rows[i], i);
	}
	for (uint32_t i = 0; i < cell_count; i++) {
		poke_u32(&made->cell[i].cell, cells[i]);
		poke_u32(&made->cell[i].timeout_s, timeout_of(ages, cells[i]));
		ages->own_timeout[i] =
			is_own(ages->mirror, cells[i], peek_u32(&made->cell[i].timeout_s));
		places_add(ages->cells, cells[i], i);
	}
	ages->cursor = (struct flow_cursor){0, AGES_STEP_BUCKETS};
	ages->walking = true;
}

/* --- publishing -------------------------------------------------------------------------- */

static void publish(struct shm_ages_set *set, const struct shm_ages *made, uint64_t real_ns)
{
	const _Atomic uint32_t *from = (const _Atomic uint32_t *)made;
	_Atomic uint32_t *to = (_Atomic uint32_t *)&set->ages;

	seq_write_begin(&set->seq);
	poke_u64(&set->real_ns, real_ns);
	for (size_t i = 0; i < sizeof(*made) / sizeof(*from); i++)
		poke_u32(&to[i], peek_u32(&from[i]));
	seq_write_end(&set->seq);
}

/* The set of the ten minutes of now: empty, of an hour ago, or of now. */
static void keep_fullest(struct ages *ages, uint64_t now_real_ns)
{
	uint64_t span = now_real_ns / AGES_SPAN_NS;
	struct shm_ages_set *set = &ages->sets[1 + span % (SHM_AGE_SETS - 1u)];
	uint64_t at = peek_u64(&set->real_ns);

	if (at / AGES_SPAN_NS != span || peek_u32(&set->ages.all.entries) == 0 ||
	    peek_u32(&ages->made.all.entries) >= peek_u32(&set->ages.all.entries))
		publish(set, &ages->made, now_real_ns);
}

void ages_second(struct ages *ages, uint64_t now_real_ns, uint32_t count_entries)
{
	if (!ages->walking || !flow_scan(&ages->mirror->table, &ages->cursor, visit, ages))
		return;
	ages->walking = false;
	poke_u32(&ages->made.count_entries, count_entries);
	publish(&ages->sets[0], &ages->made, now_real_ns);
	keep_fullest(ages, now_real_ns);
}
