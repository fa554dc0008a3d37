// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/ports.h"

#include <string.h>

#include "lib/base/topn.h"
#include "lib/shm/seqlock.h"

#define ROW_WORDS ((ROW_COUNT + 63u) / 64u)

void ports_init(struct ports *ports, struct histogram *hist, struct shm_slots *slots,
		struct shm_rate *rates, struct shm_live *live, uint32_t slot_limit)
{
	memset(ports, 0, sizeof(*ports));
	ports->hist = hist;
	ports->slots = slots;
	ports->rates = rates;
	ports->rate_marks[0] = &live->rate_mark_boot_ns_0;
	ports->rate_marks[1] = &live->rate_mark_boot_ns_1;
	ports->slot_limit = slot_limit < SHM_SLOT_COUNT ? slot_limit : SHM_SLOT_COUNT;
}

static bool has_slot(const struct ports *ports, uint32_t row)
{
	return ports->hist->has_slot[row / 64u] >> (row % 64u) & 1u;
}

static void set_slot_bit(struct ports *ports, uint32_t row, bool on)
{
	uint64_t bit = UINT64_C(1) << (row % 64u);

	if (on)
		ports->hist->has_slot[row / 64u] |= bit;
	else
		ports->hist->has_slot[row / 64u] &= ~bit;
}

static void consider(struct ports *ports, uint32_t row, uint32_t entries)
{
	const struct topn top = TOPN(ports->found, ports->found_count, entries);

	topn_add(&top, &(struct ports_top){row, entries});
}

/* Empty, and no change since the older rate mark. */
static bool idle(const struct ports *ports, uint32_t row)
{
	const struct shm_row *counters = &ports->hist->rows[row];
	const struct shm_rate *rate = &ports->rates[row];
	uint32_t now_new = (uint32_t)peek_u64(&counters->new_entries);
	uint32_t now_gone = (uint32_t)peek_u64(&counters->destroyed_entries);

	for (unsigned int g = 0; g < 2; g++)
		if (peek_u32(&rate->new_entries[g]) != now_new ||
		    peek_u32(&rate->destroyed_entries[g]) != now_gone)
			return false;
	return true;
}

static void look_at(struct ports *ports, uint32_t row)
{
	uint32_t entries = histogram_row_entries(ports->hist, row);

	if (entries)
		consider(ports, row, entries);
	else if (!has_slot(ports, row) && idle(ports, row))
		histogram_retire(ports->hist, row);
}

static uint32_t smallest_slot(const struct ports *ports, uint64_t now_ns, uint32_t *ret_entries)
{
	uint32_t best = SHM_SLOT_COUNT;

	*ret_entries = UINT32_MAX;
	for (uint32_t i = 0; i < ports->slot_limit; i++) {
		uint32_t row = peek_u32(&ports->slots->slot[i].row);
		uint32_t entries;

		if (row == ROW_INVALID) {
			*ret_entries = 0;
			return i;
		}
		if (now_ns - ports->slot_since_ns[i] < PORTS_TENURE_NS)
			continue;
		entries = histogram_row_entries(ports->hist, row);
		if (entries < *ret_entries) {
			*ret_entries = entries;
			best = i;
		}
	}
	return best;
}

/* The slot's counts move to "other", so that no sum falls. Under slots.seq. */
static void bank(struct ports *ports, const struct shm_slot *slot)
{
	uint32_t row = peek_u32(&slot->row);
	const struct shm_row *counters;
	struct shm_other *other;
	struct row_key key;

	if (row == ROW_INVALID || !row_key_of(row, &key))
		return;
	counters = &ports->hist->rows[row];
	other = &ports->slots->other[key.l4proto][key.direction];
	poke_u64(&other->new_entries, peek_u64(&other->new_entries) +
					      peek_u64(&counters->new_entries) -
					      peek_u64(&slot->base_new_entries));
	poke_u64(&other->destroyed_entries, peek_u64(&other->destroyed_entries) +
						    peek_u64(&counters->destroyed_entries) -
						    peek_u64(&slot->base_destroyed_entries));
}

static void give_slot(struct ports *ports, uint32_t i, uint32_t row, uint64_t now_ns)
{
	struct shm_slot *slot = &ports->slots->slot[i];
	const struct shm_row *counters = &ports->hist->rows[row];
	uint32_t before = peek_u32(&slot->row);

	if (before != ROW_INVALID)
		set_slot_bit(ports, before, false);
	set_slot_bit(ports, row, true);
	seq_write_begin(&ports->slots->seq);
	bank(ports, slot);
	poke_u32(&slot->row, row);
	poke_u32(&slot->generation, peek_u32(&slot->generation) + 1u);
	poke_u64(&slot->base_new_entries, peek_u64(&counters->new_entries));
	poke_u64(&slot->base_destroyed_entries, peek_u64(&counters->destroyed_entries));
	seq_write_end(&ports->slots->seq);
	ports->slot_since_ns[i] = now_ns;
}

static void assign_slots(struct ports *ports, uint64_t now_ns)
{
	for (uint32_t i = 0; i < ports->found_count && i < ports->slot_limit; i++) {
		const struct ports_top *candidate = &ports->found[i];
		uint32_t held, slot;

		if (has_slot(ports, candidate->row))
			continue;
		slot = smallest_slot(ports, now_ns, &held);
		if (slot == SHM_SLOT_COUNT || candidate->entries <= held + held / 2u)
			return;
		give_slot(ports, slot, candidate->row, now_ns);
	}
}

static void finish_pass(struct ports *ports, uint64_t now_ns)
{
	assign_slots(ports, now_ns);
	ports->top_count = ports->found_count < SHM_TOP_PORTS ? ports->found_count : SHM_TOP_PORTS;
	memcpy(ports->top, ports->found, ports->top_count * sizeof(ports->top[0]));
	ports->found_count = 0;
	ports->word = 0;
}

/* All active rows at one moment, so that they share a time stamp. */
static void mark_rates(struct ports *ports, unsigned int generation)
{
	for (uint32_t i = 0; i < ROW_WORDS; i++) {
		uint64_t word = peek_u64(&ports->hist->rowmap[i]);

		for (; word != 0; word &= word - 1) {
			uint32_t row = i * 64u + (uint32_t)__builtin_ctzll(word);
			const struct shm_row *from = &ports->hist->rows[row];
			struct shm_rate *to = &ports->rates[row];

			poke_u32(&to->new_entries[generation],
				 (uint32_t)peek_u64(&from->new_entries));
			poke_u32(&to->destroyed_entries[generation],
				 (uint32_t)peek_u64(&from->destroyed_entries));
		}
	}
}

/* A reader that finds the marks at 0, or changed after reading the rows, knows that what it read
 * belongs to no single mark. */
static void take_mark(struct ports *ports, unsigned int generation, uint64_t now_ns)
{
	publish_i64(ports->rate_marks[generation], 0);
	mark_rates(ports, generation);
	publish_i64(ports->rate_marks[generation], (int64_t)now_ns);
	ports->rate_mark_ns[generation] = now_ns;
}

static void rates_second(struct ports *ports, uint64_t now_ns)
{
	unsigned int older = ports->rate_mark_ns[0] <= ports->rate_mark_ns[1] ? 0 : 1;

	if (now_ns - ports->rate_mark_ns[older ^ 1u] < PORTS_RATE_NS)
		return;
	take_mark(ports, older, now_ns);
	/* Both generations begin together at the start. */
	if (ports->rate_mark_ns[older ^ 1u] == 0)
		take_mark(ports, older ^ 1u, now_ns);
}

void ports_second(struct ports *ports, uint64_t now_ns)
{
	uint32_t seen = 0;

	for (; ports->word < ROW_WORDS && seen < PORTS_ROWS_PER_STEP; ports->word++) {
		uint64_t word = peek_u64(&ports->hist->rowmap[ports->word]);

		for (; word != 0; word &= word - 1, seen++)
			look_at(ports, ports->word * 64u + (uint32_t)__builtin_ctzll(word));
	}
	if (ports->word == ROW_WORDS)
		finish_pass(ports, now_ns);
	rates_second(ports, now_ns);
}
