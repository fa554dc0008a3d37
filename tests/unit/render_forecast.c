// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/render/forecast*: words at the edges of rounding; nothing out of bounds. */
#include "tests/unit/unit.h"

#include <string.h>

#include "exporters/http/page/forecast_html.h"
#include "exporters/render/families.h"
#include "exporters/render/forecast.h"
#include "exporters/render/forecast_text.h"
#include "lib/health/health.h"

#define S   UINT64_C(1000)
#define MIN (60 * S)

static struct snapshot snapshot_of(enum shm_verdict verdict)
{
	struct snapshot snap;

	snapshot_init(&snap);
	snap.agent = SNAP_AGENT_UP;
	snap.age_ns = 0;
	snap.live.mode = SHM_MODE_FULL;
	snap.live.heartbeat_boot_ns = 100;
	snap.live.count_entries = 400;
	snap.live.max_entries = 1000;
	snap.forecast = (struct snap_forecast){.valid = true,
					       .computed_boot_ns = 100,
					       .verdict = verdict,
					       .limit_kind = SHM_LIMIT_MAX,
					       .limit_entries = 1000,
					       .count_entries = 400,
					       .settles_at_entries = 500,
					       .full_early_ms = SHM_NEVER_MS,
					       .full_likely_ms = SHM_NEVER_MS,
					       .full_late_ms = SHM_NEVER_MS};
	return snap;
}

static void test_times(void **state)
{
	static const struct {
		uint64_t early_ms, likely_ms, late_ms;
		const char *words;
	} table[] = {
		{0, 0, 0, "full in less than 1 s"},
		{1 * S, 2 * S, 3 * S, "full in about 2 s (1-3)"},
		{30 * S, 89 * S, 120 * S, "full in about 89 s (30-120)"},
		{30 * S, 90 * S, 120 * S, "full in about 2 min (0-2)"},
		{4 * MIN, 4 * MIN, 4 * MIN, "full in about 4 min"},
		{4 * MIN + 1, 5 * MIN, 5 * MIN + 1, "full in about 5 min (4-6)"},
		{59 * MIN, 60 * MIN, SHM_NEVER_MS, "full in about 60 min (59 or later)"},
		{59 * MIN, SHM_NEVER_MS, SHM_NEVER_MS,
		 "full within the hour, more likely than not"},
	};
	struct snapshot snap = snapshot_of(SHM_VERDICT_FILLING);
	char words[FORECAST_WORDS_BYTES];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(table); i++) {
		snap.forecast.full_early_ms = table[i].early_ms;
		snap.forecast.full_likely_ms = table[i].likely_ms;
		snap.forecast.full_late_ms = table[i].late_ms;
		assert_string_equal(forecast_words(&snap, words), table[i].words);
	}
	snap.forecast.full_early_ms = 50 * MIN;
	snap.forecast.full_likely_ms = SHM_NEVER_MS;
	assert_string_equal(forecast_when(&snap, words),
			    "likely not within the hour; 1 in 10 by 50 min");
}

static void test_levels(void **state)
{
	struct snapshot snap = snapshot_of(SHM_VERDICT_LEVELS_OFF);
	char words[FORECAST_WORDS_BYTES];

	(void)state;
	assert_string_equal(forecast_words(&snap, words), "levels off at 50 %");
	snap.forecast.settles_at_entries = 4;
	assert_string_equal(forecast_words(&snap, words), "levels off at 0.4 %");
	snap.forecast.settles_at_entries = 0;
	assert_string_equal(forecast_words(&snap, words), "levels off at 0 %");
	snap.forecast.verdict = SHM_VERDICT_STEADY;
	snap.forecast.settles_at_entries = 400;
	assert_string_equal(forecast_words(&snap, words), "steady at 40 %");
	/* The longest there can be is not cut. */
	snap.forecast.verdict = SHM_VERDICT_LEVELS_OFF;
	snap.forecast.limit_kind = SHM_LIMIT_CHAIN;
	snap.forecast.limit_entries = snap.forecast.settles_at_entries = UINT32_MAX;
	snap.agent = SNAP_AGENT_SILENT;
	snap.age_ns = UINT64_MAX - 1;
	forecast_words(&snap, words);
	assert_non_null(strstr(words, "as things stand"));
}

static void test_when_it_may_speak(void **state)
{
	struct snapshot snap = snapshot_of(SHM_VERDICT_STEADY);

	(void)state;
	assert_true(health_forecast(&snap) && health_forecast_shown(&snap));
	snap.live.heartbeat_boot_ns += (int64_t)SNAP_SILENT_NS;
	assert_true(health_forecast(&snap));
	snap.live.heartbeat_boot_ns++;
	assert_false(health_forecast(&snap) || health_forecast_shown(&snap));
	/* Whatever a segment says: no overflow on the way. */
	snap.live.heartbeat_boot_ns = INT64_MIN;
	snap.forecast.computed_boot_ns = UINT64_MAX;
	health_forecast(&snap);
	snap = snapshot_of(SHM_VERDICT_STEADY);
	snap.agent = SNAP_AGENT_SILENT;
	assert_true(!health_forecast(&snap) && health_forecast_shown(&snap));
	snap = snapshot_of(SHM_VERDICT_WATCHING);
	assert_false(health_forecast(&snap) || health_forecast_shown(&snap));
	snap = snapshot_of(SHM_VERDICT_STEADY);
	snap.live.mode = SHM_MODE_POLLING;
	assert_false(health_forecast(&snap) || health_forecast_shown(&snap));
}

/* Anything the copy lets through can be rendered, by everybody, in bounded size. */
static void random_forecast(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	struct snapshot snap = snapshot_of((enum shm_verdict)rng_below(&rng, SHM_VERDICT_COUNT));
	struct snap_forecast *forecast = &snap.forecast;
	struct families families;
	struct text out;

	forecast->limit_kind = (enum shm_limit)rng_below(&rng, SHM_LIMIT_COUNT);
	forecast->limit_entries = forecast->limit_kind ? 1 + rng_below(&rng, UINT32_MAX) : 0;
	forecast->settles_at_entries = rng_below(&rng, UINT32_MAX);
	forecast->full_likely_ms = rng_percent(&rng, 50) ? rng_below(&rng, 3600001) : SHM_NEVER_MS;
	forecast->full_early_ms = forecast->full_likely_ms == SHM_NEVER_MS
					  ? SHM_NEVER_MS
					  : rng_below(&rng, 1 + (uint32_t)forecast->full_likely_ms);
	for (unsigned int i = 0; i < SHM_HORIZONS; i++)
		forecast->horizon[i].hi80_entries = rng_below(&rng, UINT32_MAX);
	families_init(&families);
	families_add_forecast(&families, &snap, "netns=\"host\"");
	assert_seeded(seed, families.count <= 31 && families.count >= 9);
	families_free(&families);
	text_init(&out);
	render_forecast_html(&snap, NULL, 1, &out);
	render_forecast_json(&snap, &out);
	render_forecast_text(&snap, NULL, &out);
	assert_seeded(seed, !text_failed(&out) && out.bytes < 20000);
	assert_seeded(seed, !strstr(out.data, "nan") && !strstr(out.data, "inf"));
	text_free(&out);
}

static void test_anything_can_be_rendered(void **state)
{
	(void)state;
	unit_seeds("forecasts", 500, random_forecast);
}

static void test_last_rows(void **state)
{
	struct snap_past room[3] = {{.real_ns = 1}, {.real_ns = 0}, {.real_ns = 2}};
	struct snap_pasts pasts = {room, 3, 3};
	struct text out;

	(void)state;
	text_init(&out);
	render_pasts(&pasts, 600, 0, ROWS_NDJSON, &out);
	assert_int_equal(2, (strstr(out.data, "\n") != NULL) +
				    (strrchr(out.data, '\n') != strchr(out.data, '\n')));
	text_clear(&out);
	render_pasts(&pasts, 0, 1, ROWS_NDJSON, &out);
	assert_non_null(strstr(out.data, "\"seconds\":3600"));
	assert_null(strstr(out.data, "\"seconds\":600"));
	text_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_when_it_may_speak),
		cmocka_unit_test(test_anything_can_be_rendered),
		cmocka_unit_test(test_last_rows),
	};

	return cmocka_run_group_tests_name("render/forecast", tests, NULL, NULL);
}
