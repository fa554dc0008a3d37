// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/fixture_forecast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/snapshot.h"

static bool used;

void forecast_beat(struct shm_forecast *forecast, uint64_t boot_ns, uint64_t real_ns)
{
	if (!used)
		return;
	poke_u64(&forecast->computed_boot_ns, boot_ns);
	poke_u64(&forecast->computed_real_ns, real_ns);
}

static void begin(struct shm_forecast *forecast)
{
	if (!used) {
		used = true;
		forecast_beat(forecast, clock_boot_ns(), clock_real_ns());
		for (unsigned int i = 0; i < SHM_HORIZONS; i++)
			poke_u32(&forecast->horizon[i].horizon_s, snap_horizons_s[i]);
		for (unsigned int i = 0; i < SHM_FULL_HORIZONS; i++)
			poke_u32(&forecast->chance[i].horizon_s, snap_full_horizons_s[i]);
	}
	seq_write_begin(&forecast->seq);
}

static bool set_scalar(struct shm_forecast *forecast, const char *name, unsigned long long value)
{
	const struct {
		const char *name;
		_Atomic uint64_t *wide;
		_Atomic uint32_t *narrow;
	} fields[] = {
		{"full_early_ms", &forecast->full_early_ms, NULL},
		{"full_likely_ms", &forecast->full_likely_ms, NULL},
		{"full_late_ms", &forecast->full_late_ms, NULL},
		{"computed_boot_ns", &forecast->computed_boot_ns, NULL},
		{"limit_entries", NULL, &forecast->limit_entries},
		{"limit_kind", NULL, &forecast->limit_kind},
		{"verdict", NULL, &forecast->verdict},
		{"alarm", NULL, &forecast->alarm},
		{"watching_s", NULL, &forecast->watching_s},
		{"silence", NULL, &forecast->silence},
		{"count_entries", NULL, &forecast->count_entries},
		{"settles_at_entries", NULL, &forecast->settles_at_entries},
		{"soft_entries", NULL, &forecast->soft_entries},
		{"cost_us", NULL, &forecast->cost_us},
		{"reason_count", NULL, &forecast->reason_count},
		{"horizon_s", NULL, &forecast->horizon[0].horizon_s},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strcmp(name, fields[i].name) != 0)
			continue;
		if (fields[i].wide)
			poke_u64(fields[i].wide, value);
		else
			poke_u32(fields[i].narrow, (uint32_t)value);
		return true;
	}
	return false;
}

static void set_horizon(struct shm_horizon *horizon, const unsigned int n[7])
{
	poke_u32(&horizon->lo95_entries, n[0]);
	poke_u32(&horizon->lo80_entries, n[1]);
	poke_u32(&horizon->p50_entries, n[2]);
	poke_u32(&horizon->hi80_entries, n[3]);
	poke_u32(&horizon->hi95_entries, n[4]);
	poke_u32(&horizon->compared, n[5]);
	poke_u32(&horizon->held, n[6]);
}

static bool set_reason(struct shm_reason *reason, const char *line)
{
	char l4proto[16], direction[16];
	unsigned int n[6];
	int slope;

	if (sscanf(line, "reason %*u %15s %15s %u %u %u %u %u %u %d", l4proto, direction, &n[0],
		   &n[1], &n[2], &n[3], &n[4], &n[5], &slope) != 9)
		return false;
	poke_u32(&reason->key, (uint32_t)l4proto_by_name(l4proto) |
				       (uint32_t)direction_by_name(direction) << 8 | n[0] << 16);
	poke_u32(&reason->pooled, n[1]);
	poke_u32(&reason->entries, n[2]);
	poke_u32(&reason->entries_600, n[3]);
	poke_u32(&reason->settles_at_entries, n[4]);
	poke_u32(&reason->new_milli_per_s, n[5]);
	atomic_store_explicit(&reason->slope_micro_per_s2, slope, memory_order_relaxed);
	return true;
}

static bool add_past(struct shm_pasts *pasts, const char *line)
{
	uint64_t head = peek_u64(&pasts->head);
	struct shm_past *past = &pasts->pasts[head % SHM_PASTS];
	char came[16], full[16];
	unsigned int n[4];

	if (sscanf(line, "past %u %u %u %15s %15s %u", &n[0], &n[1], &n[2], came, full, &n[3]) != 6)
		return false;
	for (unsigned int i = 0; i < SHM_HORIZONS; i++) {
		poke_u32(&past->p50_entries[i], n[0]);
		poke_u32(&past->lo80_entries[i], n[1]);
		poke_u32(&past->hi80_entries[i], n[2]);
		poke_u32(&past->came_entries[i],
			 came[0] == '-' ? SHM_NOT_YET : (uint32_t)strtoul(came, NULL, 10));
	}
	poke_u32(&past->full_likely_s,
		 full[0] == '-' ? SHM_NOT_YET : (uint32_t)strtoul(full, NULL, 10));
	poke_u32(&past->alarm, n[3]);
	poke_u64(&past->real_ns, clock_real_ns());
	publish_u64(&pasts->head, head + 1);
	return true;
}

static bool write_command(const char *line, struct shm_forecast *forecast)
{
	unsigned int i, n[7];
	unsigned long long value;
	char name[32];

	if (sscanf(line, "forecast %31s %llu", name, &value) == 2)
		return set_scalar(forecast, name, value);
	if (sscanf(line, "outlook %u %u %u %u %u %u %u %u", &i, &n[0], &n[1], &n[2], &n[3], &n[4],
		   &n[5], &n[6]) == 8) {
		set_horizon(&forecast->horizon[i % SHM_HORIZONS], n);
		return true;
	}
	if (sscanf(line, "chance %u %u %u", &i, &n[0], &n[1]) == 3) {
		poke_u32(&forecast->chance[i % SHM_FULL_HORIZONS].full_ppm, n[0]);
		poke_u32(&forecast->chance[i % SHM_FULL_HORIZONS].drop_ppm, n[1]);
		return true;
	}
	return sscanf(line, "reason %u", &i) == 1 &&
	       set_reason(&forecast->reason[i % SHM_REASONS], line);
}

bool forecast_command(const char *line, struct shm_forecast *forecast, struct shm_pasts *pasts)
{
	bool done;

	if (!strncmp(line, "past ", 5))
		return add_past(pasts, line);
	if (!strcmp(line, "hang-forecast")) {
		seq_write_begin(&forecast->seq);
		return true;
	}
	if (strncmp(line, "forecast ", 9) && strncmp(line, "outlook ", 8) &&
	    strncmp(line, "chance ", 7) && strncmp(line, "reason ", 7))
		return false;
	begin(forecast);
	done = write_command(line, forecast);
	seq_write_end(&forecast->seq);
	return done;
}
