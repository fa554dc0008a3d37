// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What-if and forecast agree: a what-if that changes nothing says what the forecast says, for
 * whatever the forecast may say; one that does says nothing that contradicts it. And what a
 * what-if costs on the largest tables.
 */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exporters/render/forecast.h"
#include "lib/health/health.h"
#include "tests/unit/made.h"

#define MOMENTS 2000

static uint32_t below(uint64_t *seed, uint32_t n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((*seed >> 33) % n);
}

static uint64_t some_ms(uint64_t *seed)
{
	return below(seed, 4) ? below(seed, 3600000) : SHM_NEVER_MS;
}

static void any_forecast(struct snapshot *snap, uint64_t *seed)
{
	struct snap_forecast *forecast = &snap->forecast;

	forecast->valid = below(seed, 10) > 0;
	forecast->computed_boot_ns = (uint64_t)snap->live.heartbeat_boot_ns;
	forecast->verdict = (enum shm_verdict)below(seed, SHM_VERDICT_COUNT);
	forecast->silence = (enum shm_silence)(below(seed, 3) ? SHM_SILENCE_NONE
							      : below(seed, SHM_SILENCE_COUNT));
	forecast->settles_at_entries = below(seed, 40000);
	forecast->limit_entries = 1 + below(seed, 40000);
	forecast->full_early_ms = some_ms(seed);
	forecast->full_likely_ms = some_ms(seed);
	forecast->full_late_ms = some_ms(seed);
	snap->live.max_entries = forecast->limit_entries;
	snap->live.level = below(seed, SHM_LEVEL_COUNT);
}

/* The value of a member that is a number, in an object if `within` is one; NaN: null. */
static double member(const struct text *json, const char *within, const char *name)
{
	const char *at = json->data, *number;
	char quoted[64];

	if (within) {
		snprintf(quoted, sizeof(quoted), "\"%s\":", within);
		at = strstr(at, quoted);
		assert_non_null(at);
		at += strlen(quoted);
		at += strspn(at, " \t\n");
		if (!strncmp(at, "null", 4))
			return (double)NAN;
	}
	snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	number = strstr(at, quoted);
	assert_non_null(number);
	number += strlen(quoted);
	number += strspn(number, " \t\n");
	return strncmp(number, "null", 4) ? strtod(number, NULL) : (double)NAN;
}

static bool is_object(const struct text *json, const char *name)
{
	const char *at;
	char quoted[64];

	snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	at = strstr(json->data, quoted);
	assert_non_null(at);
	at += strlen(quoted);
	return at[strspn(at, " \t\n")] == '{';
}

static void same(const struct text *a, const char *in_a, const char *name_a, const struct text *b,
		 const char *in_b, const char *name_b)
{
	double x = member(a, in_a, name_a), y = member(b, in_b, name_b);

	if (isnan(x) != isnan(y) || fabs(x - y) > 1e-9 * fabs(x))
		fail_msg("%s %s: %g, %s %s: %g", in_a ? in_a : "", name_a, x, in_b ? in_b : "",
			 name_b, y);
}

static void ask(struct made *made, const char *words, struct text *out)
{
	struct whatif whatif = {0};
	struct whatif_result result;
	char why[WHATIF_WHY_BYTES];

	text_init(out);
	if (*words) {
		char key[64];

		snprintf(key, sizeof(key), "%s", words);
		key[strcspn(words, "=")] = '\0';
		assert_int_equal(whatif_add(&whatif, key, strchr(words, '=') + 1, why), 0);
	}
	assert_int_equal(whatif_run(&whatif, &made->model, &result), 0);
	whatif_json(&whatif, &result, &made->snap, NULL, out);
	whatif_free(&result);
}

static void check_moment(struct made *made)
{
	/* Nothing is changed; or nothing of this table. */
	static const char *const nothing[] = {"", "notrack=udp/9", "timeout.udp=7",
					      "rate.tcp/4444=3", "rate.tcp/80=1"};
	static const char *const times[] = {"early", "likely", "late"};
	struct text forecast, whatif;

	text_init(&forecast);
	render_forecast_json(&made->snap, &forecast);
	assert_int_equal(model_build(&made->snap, &made->details, &made->model), 0);
	for (unsigned int i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		ask(made, nothing[i], &whatif);
		same(&forecast, NULL, "settles_at_entries", &whatif, NULL, "settles_at_entries");
		same(&whatif, NULL, "settles_at_entries", &whatif, NULL, "settles_at_entries_then");
		for (unsigned int t = 0; t < 3; t++) {
			same(&forecast, "time_to_full_seconds", times[t], &whatif,
			     "time_to_full_seconds", times[t]);
			same(&whatif, "time_to_full_seconds", times[t], &whatif,
			     "time_to_full_seconds_then", times[t]);
		}
		text_free(&whatif);
	}
	ask(made, "notrack=tcp/8080", &whatif);
	same(&forecast, NULL, "settles_at_entries", &whatif, NULL, "settles_at_entries");
	assert_false(member(&whatif, NULL, "settles_at_entries_then") >
		     member(&whatif, NULL, "settles_at_entries"));
	text_free(&whatif);
	text_free(&forecast);
	model_free(&made->model);
}

static void test_agree_at_every_moment(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (unsigned int i = 0; i < MOMENTS; i++) {
		struct made *made = made_nginx(1 + below(&seed, 60));

		made_look(made);
		model_free(&made->model);
		any_forecast(&made->snap, &seed);
		check_moment(made);
		made_free(made);
	}
}

/* Full in 50 s: a larger limit above where it settles helps, one below it is not said to, nor
 * a timeout that is in force too late. */
static void test_full_then(void **state)
{
	struct made *made = made_nginx(25);
	struct snap_forecast *forecast = &made->snap.forecast;
	struct text out;

	(void)state;
	forecast->verdict = SHM_VERDICT_FILLING;
	forecast->settles_at_entries = 20000;
	forecast->limit_entries = 8192;
	forecast->full_early_ms = 40000;
	forecast->full_likely_ms = 50000;
	forecast->full_late_ms = 70000;
	made->snap.live.max_entries = made->snap.live.limit_entries = 8192;
	forecast->valid = true;
	forecast->computed_boot_ns = (uint64_t)made->snap.live.heartbeat_boot_ns;
	made_look(made);
	ask(made, "max=32768", &out);
	assert_true(is_object(&out, "time_to_full_seconds_then"));
	assert_true(isnan(member(&out, "time_to_full_seconds_then", "early")));
	text_free(&out);
	ask(made, "max=16384", &out);
	assert_false(is_object(&out, "time_to_full_seconds_then"));
	text_free(&out);
	ask(made, "timeout.tcp_time_wait=1", &out);
	assert_true(member(&out, NULL, "settles_at_entries_then") < 8192);
	assert_false(is_object(&out, "time_to_full_seconds_then"));
	text_free(&out);
	made_free(made);
}

/* --- what it costs ------------------------------------------------------------------------ */

#define COST_ROWS    131072u /* every port of two protocols, as a scan makes them */
#define COST_MS_MOST 1000.0  /* three times what it takes on a busy machine of 2020, and more */

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return 1e3 * (double)now.tv_sec + (double)now.tv_nsec / 1e6;
}

static struct snap_row *rows_of_a_scan(void)
{
	struct snap_row *rows = calloc(COST_ROWS, sizeof(*rows));

	assert_non_null(rows);
	for (uint32_t i = 0; i < COST_ROWS; i++) {
		rows[i].key =
			(struct row_key){i & 1 ? L4_UDP : L4_TCP, DIR_INBOUND, (uint16_t)(i >> 1)};
		rows[i].slot = -1;
		rows[i].new_per_s = rows[i].destroyed_per_s = 1;
		rows[i].mean_lifetime_s = (double)NAN;
		made_state(&rows[i], i & 1 ? ST_GENERIC_UNREPLIED : ST_TCP_SYN_SENT, 2);
	}
	return rows;
}

/* Thirty-two changes of a table that holds every port. */
static void test_cost(void **state)
{
	struct made *made = made_nginx(25);
	struct whatif whatif = {.count = WHATIF_CHANGES_MAX};
	struct snap_row *rows = rows_of_a_scan();
	struct whatif_result result;
	struct text out;
	double began;

	(void)state;
	for (unsigned int i = 0; i < WHATIF_CHANGES_MAX; i++)
		whatif.changes[i] = (struct change){.kind = CHANGE_NOTRACK,
						    .l4proto = L4_TCP,
						    .direction = -1,
						    .port = (int)i + 1};
	made_look(made);
	model_free(&made->model);
	made->snap.rows = rows;
	made->snap.row_count = COST_ROWS;
	began = cpu_ms();
	assert_int_equal(model_build(&made->snap, &made->details, &made->model), 0);
	assert_int_equal(whatif_run(&whatif, &made->model, &result), 0);
	text_init(&out);
	whatif_json(&whatif, &result, &made->snap, NULL, &out);
	began = cpu_ms() - began;
	printf("a what-if of %u changes, %u rows: %.0f ms of CPU\n", WHATIF_CHANGES_MAX, COST_ROWS,
	       began);
	assert_true(began < COST_MS_MOST);
	text_free(&out);
	whatif_free(&result);
	made_free(made);
	free(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agree_at_every_moment),
		cmocka_unit_test(test_full_then),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
