// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/collector.h"

#include "lib/kernel/states.h"
#include "lib/shm/seqlock.h"

static void add_cell(struct kernel_gc *gc, const struct shm_ages_cell *cell,
		     const uint32_t timeouts_s[TIMEOUT_COUNT])
{
	uint32_t timeout_s = peek_u32(&cell->timeout_s);
	struct row_key key;
	unsigned int state;
	int setting;

	if (!cell_key_of(peek_u32(&cell->cell), &key, &state))
		return;
	setting = timeout_of_state(key.l4proto, state);
	if (!timeout_s && setting >= 0)
		timeout_s = timeouts_s[setting] ? timeouts_s[setting]
						: timeout_info((unsigned int)setting)->default_s;
	kernel_gc_add(gc, peek_u32(&cell->entries), timeout_s);
}

static void walked(struct collector *collector, const struct shm_ages *ages,
		   const uint32_t timeouts_s[TIMEOUT_COUNT], uint32_t tick_hz)
{
	struct kernel_gc gc;

	kernel_gc_init(&gc);
	for (uint32_t i = 0; i < peek_u32(&ages->cells_made) && i < SHM_AGES_CELLS; i++)
		add_cell(&gc, &ages->cell[i], timeouts_s);
	collector->interval_s = kernel_gc_interval_s(&gc, tick_hz);
	collector->translates = peek_u32(&ages->all.src_nat) || peek_u32(&ages->all.dst_nat);
}

static double met_per_s(const struct collector *collector, const struct collector_second *second)
{
	const struct gc_lookups lookups = {
		.walks_per_s = kernel_gc_walks_per_s(
			second->new_per_s * (collector->translates ? 2 : 1), &second->packets),
		.buckets = second->buckets > 0 ? (double)second->buckets : 0,
	};
	/* Asked for once in a round, after half of it in the mean. */
	double asked_per_s = second->audits_per_s > 0 && second->entries >= 1
				     ? 2 * second->audits_per_s / second->entries
				     : 0;

	return kernel_gc_met_per_s(&lookups) + asked_per_s;
}

struct fc_collector collector_second(struct collector *collector, const struct shm_ages_set *set,
				     const uint32_t timeouts_s[TIMEOUT_COUNT],
				     const struct collector_second *second)
{
	uint64_t walked_real_ns = peek_u64(&set->real_ns);

	if (!walked_real_ns)
		return (struct fc_collector){0};
	if (walked_real_ns != collector->walked_real_ns)
		walked(collector, &set->ages, timeouts_s, second->tick_hz);
	collector->walked_real_ns = walked_real_ns;
	return (struct fc_collector){
		kernel_gc_interval_among_s(collector->interval_s, &second->packets),
		met_per_s(collector, second)};
}
