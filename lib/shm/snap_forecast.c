// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/snap_forecast.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shm/reader.h"
#include "lib/shm/ring.h"
#include "lib/shm/seq_retry.h"
#include "lib/shm/seqlock.h"

const uint32_t snap_horizons_s[SHM_HORIZONS] = {30, 120, 600, 3600};
const uint32_t snap_full_horizons_s[SHM_FULL_HORIZONS] = {30, 60, 120, 300, 600, 1200, 1800, 3600};

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t most(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Copied under the lock, not checked yet. */
struct raw {
	struct snap_forecast to;
	uint32_t verdict;
	uint32_t limit_kind;
	uint32_t silence;
	uint32_t reason_count;
	uint32_t horizon_s[SHM_HORIZONS];
	uint32_t full_horizon_s[SHM_FULL_HORIZONS];
	uint32_t reason_key[SHM_REASONS];
};

static void load_scalars(const struct shm_forecast *from, struct raw *raw)
{
	struct snap_forecast *to = &raw->to;

	to->computed_boot_ns = peek_u64(&from->computed_boot_ns);
	to->computed_real_ns = peek_u64(&from->computed_real_ns);
	to->full_early_ms = peek_u64(&from->full_early_ms);
	to->full_likely_ms = peek_u64(&from->full_likely_ms);
	to->full_late_ms = peek_u64(&from->full_late_ms);
	to->limit_entries = peek_u32(&from->limit_entries);
	raw->limit_kind = peek_u32(&from->limit_kind);
	raw->verdict = peek_u32(&from->verdict);
	to->alarm = peek_u32(&from->alarm) == 1;
	to->watching_s = peek_u32(&from->watching_s);
	to->count_entries = peek_u32(&from->count_entries);
	to->settles_at_entries = peek_u32(&from->settles_at_entries);
	to->soft_entries = peek_u32(&from->soft_entries);
	to->cost_us = peek_u32(&from->cost_us);
	raw->silence = peek_u32(&from->silence);
	raw->reason_count = peek_u32(&from->reason_count);
}

static void load_lists(const struct shm_forecast *from, struct raw *raw)
{
	for (unsigned int i = 0; i < SHM_HORIZONS; i++) {
		const struct shm_horizon *horizon = &from->horizon[i];
		struct snap_horizon *to = &raw->to.horizon[i];

		raw->horizon_s[i] = peek_u32(&horizon->horizon_s);
		to->p50_entries = peek_u32(&horizon->p50_entries);
		to->lo80_entries = peek_u32(&horizon->lo80_entries);
		to->hi80_entries = peek_u32(&horizon->hi80_entries);
		to->lo95_entries = peek_u32(&horizon->lo95_entries);
		to->hi95_entries = peek_u32(&horizon->hi95_entries);
		to->compared = peek_u32(&horizon->compared);
		to->held = peek_u32(&horizon->held);
	}
	for (unsigned int i = 0; i < SHM_FULL_HORIZONS; i++) {
		raw->full_horizon_s[i] = peek_u32(&from->chance[i].horizon_s);
		raw->to.chance[i].full_ppm = peek_u32(&from->chance[i].full_ppm);
		raw->to.chance[i].drop_ppm = peek_u32(&from->chance[i].drop_ppm);
	}
	for (unsigned int i = 0; i < SHM_REASONS; i++) {
		const struct shm_reason *reason = &from->reason[i];
		struct snap_reason *to = &raw->to.reason[i];

		raw->reason_key[i] = peek_u32(&reason->key);
		to->pooled = peek_u32(&reason->pooled) != 0;
		to->entries = peek_u32(&reason->entries);
		to->entries_600 = peek_u32(&reason->entries_600);
		to->settles_at_entries = peek_u32(&reason->settles_at_entries);
		to->new_milli_per_s = peek_u32(&reason->new_milli_per_s);
		to->slope_micro_per_s2 = peek_i32(&reason->slope_micro_per_s2);
	}
}

/* These become labels of metrics: only known words get through. */
static bool words_are_known(const struct raw *raw)
{
	const struct snap_forecast *to = &raw->to;

	if (to->computed_boot_ns == 0 || raw->verdict >= SHM_VERDICT_COUNT ||
	    raw->limit_kind >= SHM_LIMIT_COUNT || raw->silence >= SHM_SILENCE_COUNT ||
	    raw->reason_count > SHM_REASONS)
		return false;
	if ((raw->limit_kind == SHM_LIMIT_NONE) != (to->limit_entries == 0))
		return false;
	if (raw->verdict == SHM_VERDICT_UNLIMITED && to->limit_entries != 0)
		return false;
	/* "Full" and "at N %" need a limit. */
	if (raw->verdict != SHM_VERDICT_UNLIMITED && raw->verdict != SHM_VERDICT_WATCHING &&
	    to->limit_entries == 0)
		return false;
	for (unsigned int i = 0; i < SHM_HORIZONS; i++)
		if (raw->horizon_s[i] != snap_horizons_s[i])
			return false;
	for (unsigned int i = 0; i < SHM_FULL_HORIZONS; i++)
		if (raw->full_horizon_s[i] != snap_full_horizons_s[i])
			return false;
	return true;
}

static void order_times(struct snap_forecast *to)
{
	if (to->full_early_ms > SNAP_FORECAST_HOUR_MS)
		to->full_early_ms = SHM_NEVER_MS;
	if (to->full_likely_ms > SNAP_FORECAST_HOUR_MS)
		to->full_likely_ms = SHM_NEVER_MS;
	if (to->full_late_ms > SNAP_FORECAST_HOUR_MS)
		to->full_late_ms = SHM_NEVER_MS;
	if (to->full_early_ms > to->full_likely_ms)
		to->full_early_ms = to->full_likely_ms;
	if (to->full_late_ms < to->full_likely_ms)
		to->full_late_ms = to->full_likely_ms;
}

static void order_amounts(struct snap_forecast *to)
{
	for (unsigned int i = 0; i < SHM_HORIZONS; i++) {
		struct snap_horizon *horizon = &to->horizon[i];

		horizon->lo80_entries = least(horizon->lo80_entries, horizon->p50_entries);
		horizon->lo95_entries = least(horizon->lo95_entries, horizon->lo80_entries);
		horizon->hi80_entries = most(horizon->hi80_entries, horizon->p50_entries);
		horizon->hi95_entries = most(horizon->hi95_entries, horizon->hi80_entries);
		horizon->held = least(horizon->held, horizon->compared);
	}
	for (unsigned int i = 0; i < SHM_FULL_HORIZONS; i++) {
		struct snap_chance *chance = &to->chance[i];

		chance->full_ppm = least(chance->full_ppm, SNAP_PPM);
		chance->drop_ppm = least(chance->drop_ppm, chance->full_ppm);
	}
}

static void take_reasons(const struct raw *raw, struct snap_forecast *to)
{
	uint32_t count = 0;

	for (unsigned int i = 0; i < raw->reason_count; i++) {
		uint32_t key = raw->reason_key[i];
		struct snap_reason reason = raw->to.reason[i];

		reason.key = (struct row_key){(uint8_t)(key & 0xff), (uint8_t)(key >> 8 & 0xff),
					      (uint16_t)(key >> 16)};
		if (reason.key.l4proto < L4_COUNT && reason.key.direction < DIR_COUNT)
			to->reason[count++] = reason;
	}
	to->reason_count = count;
	memset(&to->reason[count], 0, (SHM_REASONS - count) * sizeof(to->reason[0]));
}

void snap_forecast_copy(const struct shm_forecast *from, struct snap_forecast *to)
{
	struct raw raw;
	bool read = false;

	memset(&raw, 0, sizeof(raw));
	for (int attempt = 0; attempt < SEQ_ATTEMPTS && !read; attempt++, seq_nap_if_due(attempt)) {
		uint64_t at;

		if (!seq_read_begin(&from->seq, &at))
			continue;
		load_scalars(from, &raw);
		load_lists(from, &raw);
		read = seq_read_valid(&from->seq, at);
	}
	if (!read || !words_are_known(&raw)) {
		memset(to, 0, sizeof(*to));
		return;
	}
	*to = raw.to;
	to->verdict = (enum shm_verdict)raw.verdict;
	to->limit_kind = (enum shm_limit)raw.limit_kind;
	to->silence = (enum shm_silence)raw.silence;
	if (to->verdict == SHM_VERDICT_WATCHING && to->silence == SHM_SILENCE_NONE)
		to->silence = SHM_SILENCE_STARTING;
	order_times(to);
	order_amounts(to);
	take_reasons(&raw, to);
	to->valid = true;
}

const struct snap_chance *snap_chance_at(const struct snap_forecast *forecast, uint32_t seconds)
{
	for (unsigned int i = 0; i < SHM_FULL_HORIZONS; i++)
		if (snap_full_horizons_s[i] == seconds)
			return &forecast->chance[i];
	return NULL;
}

void snap_pasts_init(struct snap_pasts *pasts)
{
	memset(pasts, 0, sizeof(*pasts));
}

void snap_pasts_free(struct snap_pasts *pasts)
{
	free(pasts->pasts);
	snap_pasts_init(pasts);
}

static void copy_past(const void *element, void *copy)
{
	const struct shm_past *from = element;
	struct snap_past *to = copy;

	to->real_ns = peek_u64(&from->real_ns);
	for (unsigned int i = 0; i < SHM_HORIZONS; i++) {
		to->p50_entries[i] = peek_u32(&from->p50_entries[i]);
		to->lo80_entries[i] = least(peek_u32(&from->lo80_entries[i]), to->p50_entries[i]);
		to->hi80_entries[i] = most(peek_u32(&from->hi80_entries[i]), to->p50_entries[i]);
		to->came_entries[i] = peek_u32(&from->came_entries[i]);
	}
	to->full_likely_s = peek_u32(&from->full_likely_s);
	if (to->full_likely_s > SNAP_FORECAST_HOUR_MS / 1000)
		to->full_likely_s = SHM_NOT_YET;
	to->alarm = peek_u32(&from->alarm) == 1;
}

int snapshot_take_pasts(struct shm_reader *reader, struct snap_pasts *pasts)
{
	const struct shm_pasts *from = shm_reader_section(reader, SHM_SECTION_PASTS);
	struct ring ring = {.slots = SHM_PASTS,
			    .from_bytes = sizeof(struct shm_past),
			    .to_bytes = sizeof(struct snap_past),
			    .copy = copy_past};
	int err;

	if (!from)
		return -ENOENT;
	if (pasts->room < SHM_PASTS) {
		struct snap_past *room = realloc(pasts->pasts, SHM_PASTS * sizeof(*room));

		if (!room)
			return -ENOMEM;
		pasts->pasts = room;
		pasts->room = SHM_PASTS;
	}
	ring.head = &from->head;
	ring.elements = from->pasts;
	ring.to = pasts->pasts;
	err = shm_guarded(ring_copy, &ring);
	pasts->count = err ? 0 : ring.count;
	return err;
}
