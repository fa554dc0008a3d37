// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The forecast as metrics: at most 31 series. While it cannot say, its series are absent, not 0
 * or NaN: an alert on an absent series does not fire, and a graph shows a gap. Its accuracy
 * stays.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "exporters/render/families.h"
#include "lib/health/health.h"

#define COUNT(list)  (sizeof(list) / sizeof((list)[0]))
#define LABELS_BYTES 320u

/* Of the eight horizons of probabilities, those that decisions depend on. */
static const uint32_t chance_horizons_s[] = {600, 3600};

struct target {
	struct families *families;
	const char *prefix;
	char labels[LABELS_BYTES];
};

static const char *with_horizon(struct target *to, uint32_t seconds, const char *bound)
{
	snprintf(to->labels, sizeof(to->labels), "%s,horizon=\"%" PRIu32 "\"%s%s%s", to->prefix,
		 seconds, bound ? ",bound=\"" : "", bound ? bound : "", bound ? "\"" : "");
	return to->labels;
}

static void add_time(struct target *to, const char *bound, uint64_t ms)
{
	snprintf(to->labels, sizeof(to->labels), "%s,bound=\"%s\"", to->prefix, bound);
	families_add_double(to->families, FAMILY_FORECAST_TIME, to->labels,
			    ms == SHM_NEVER_MS ? (double)INFINITY : (double)ms / 1e3);
}

static void add_future(struct target *to, const struct snapshot *snap)
{
	const struct snap_forecast *forecast = &snap->forecast;
	uint32_t settles_at;

	add_time(to, "early", forecast->full_early_ms);
	add_time(to, "likely", forecast->full_likely_ms);
	add_time(to, "late", forecast->full_late_ms);
	for (unsigned int i = 0; i < SHM_HORIZONS; i++) {
		const struct snap_horizon *horizon = &forecast->horizon[i];
		uint32_t seconds = snap_horizons_s[i];

		families_add_u64(to->families, FAMILY_FORECAST_ENTRIES,
				 with_horizon(to, seconds, "low"), horizon->lo80_entries);
		families_add_u64(to->families, FAMILY_FORECAST_ENTRIES,
				 with_horizon(to, seconds, "likely"), horizon->p50_entries);
		families_add_u64(to->families, FAMILY_FORECAST_ENTRIES,
				 with_horizon(to, seconds, "high"), horizon->hi80_entries);
	}
	for (size_t i = 0; i < COUNT(chance_horizons_s); i++) {
		uint32_t seconds = chance_horizons_s[i];
		const struct snap_chance *chance = snap_chance_at(forecast, seconds);

		families_add_double(to->families, FAMILY_FORECAST_FULL,
				    with_horizon(to, seconds, NULL),
				    chance->full_ppm / (double)SNAP_PPM);
		families_add_double(to->families, FAMILY_FORECAST_DROP,
				    with_horizon(to, seconds, NULL),
				    chance->drop_ppm / (double)SNAP_PPM);
	}
	if (health_settles_at(snap, &settles_at))
		families_add_u64(to->families, FAMILY_FORECAST_SETTLES, to->prefix, settles_at);
	families_add_u64(to->families, FAMILY_FORECAST_ALARM, to->prefix, forecast->alarm);
}

static void add_record(struct target *to, const struct snap_forecast *forecast)
{
	for (unsigned int i = 0; i < SHM_HORIZONS; i++) {
		const struct snap_horizon *horizon = &forecast->horizon[i];

		families_add_u64(to->families, FAMILY_FORECAST_COMPARED,
				 with_horizon(to, snap_horizons_s[i], NULL), horizon->compared);
		families_add_u64(to->families, FAMILY_FORECAST_HELD,
				 with_horizon(to, snap_horizons_s[i], NULL), horizon->held);
	}
	families_add_double(to->families, FAMILY_FORECAST_CPU, to->prefix, forecast->cost_us / 1e6);
}

void families_add_forecast(struct families *families, const struct snapshot *snap,
			   const char *prefix)
{
	const struct snap_forecast *forecast = &snap->forecast;
	struct target to = {families, prefix, ""};

	if (!forecast->valid)
		return;
	add_record(&to, forecast);
	if (!health_forecast(snap))
		return;
	add_future(&to, snap);
}
