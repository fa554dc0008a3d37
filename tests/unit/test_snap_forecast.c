// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/shm/snap_forecast: what is shown is what was written, and nothing that was
 * written wrong is shown.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/shm/reader.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/snapshot.h"
#include "lib/shm/writer.h"

static char dir[64];
static struct segment segment;
static struct shm_reader reader;
static struct snapshot snap;
static struct shm_forecast *forecast;

/* A filling table: everything known, nothing equal to anything else. */
static void fill(struct shm_forecast *to)
{
	poke_u64(&to->computed_boot_ns, 9);
	poke_u64(&to->computed_real_ns, 10);
	poke_u64(&to->full_early_ms, 120000);
	poke_u64(&to->full_likely_ms, 240000);
	poke_u64(&to->full_late_ms, SHM_NEVER_MS);
	poke_u32(&to->limit_entries, 4096);
	poke_u32(&to->limit_kind, SHM_LIMIT_MAX);
	poke_u32(&to->verdict, SHM_VERDICT_FILLING);
	poke_u32(&to->alarm, 1);
	poke_u32(&to->watching_s, 0);
	poke_u32(&to->count_entries, 1240);
	poke_u32(&to->settles_at_entries, 9000);
	poke_u32(&to->soft_entries, 14);
	poke_u32(&to->cost_us, 1900);
	poke_u32(&to->reason_count, 2);
	for (unsigned int i = 0; i < SHM_HORIZONS; i++) {
		poke_u32(&to->horizon[i].horizon_s, snap_horizons_s[i]);
		poke_u32(&to->horizon[i].lo95_entries, 100 + i);
		poke_u32(&to->horizon[i].lo80_entries, 200 + i);
		poke_u32(&to->horizon[i].p50_entries, 300 + i);
		poke_u32(&to->horizon[i].hi80_entries, 400 + i);
		poke_u32(&to->horizon[i].hi95_entries, 500 + i);
		poke_u32(&to->horizon[i].compared, 60 + i);
		poke_u32(&to->horizon[i].held, 50 + i);
	}
	for (unsigned int i = 0; i < SHM_FULL_HORIZONS; i++) {
		poke_u32(&to->chance[i].horizon_s, snap_full_horizons_s[i]);
		poke_u32(&to->chance[i].full_ppm, 1000 * i);
		poke_u32(&to->chance[i].drop_ppm, 500 * i);
	}
	for (unsigned int i = 0; i < 2; i++) {
		poke_u32(&to->reason[i].key, L4_UDP | DIR_FORWARDED << 8 | (53 + i) << 16);
		poke_u32(&to->reason[i].entries, 70 + i);
		poke_u32(&to->reason[i].entries_600, 80 + i);
	}
	atomic_store(&to->reason[1].slope_micro_per_s2, -7);
}

static int set_up(void **state)
{
	const struct segment_identity identity = {.name = "unit", .netns_inode = 1};
	const char *what;
	pid_t pid;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/conntide-unit-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(dir) || segment_create(&segment, dir, &identity, &what, &pid) < 0 ||
	    segment_publish(&segment) < 0 || shm_reader_init(&reader, dir, "unit") < 0)
		return -1;
	forecast = segment_forecast(&segment);
	snapshot_init(&snap);
	return shm_reader_refresh(&reader);
}

static int tear_down(void **state)
{
	static const char *const names[] = {"unit.table", "unit.hosts", "unit.lock"};
	char path[96];

	(void)state;
	shm_reader_close(&reader);
	snapshot_free(&snap);
	segment_close(&segment);
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static const struct snap_forecast *take(void)
{
	assert_int_equal(snapshot_take(&reader, 1, 1, &snap), 0);
	return &snap.forecast;
}

static void test_nothing_before_the_first(void **state)
{
	(void)state;
	assert_false(take()->valid);
}

static void test_shown_as_written(void **state)
{
	const struct snap_forecast *shown;

	(void)state;
	fill(forecast);
	shown = take();
	assert_true(shown->valid && shown->alarm);
	assert_int_equal(shown->verdict, SHM_VERDICT_FILLING);
	assert_int_equal(shown->limit_kind, SHM_LIMIT_MAX);
	assert_int_equal(shown->limit_entries, 4096);
	assert_int_equal(shown->full_early_ms, 120000);
	assert_int_equal(shown->full_likely_ms, 240000);
	assert_true(shown->full_late_ms == SHM_NEVER_MS);
	assert_int_equal(shown->cost_us, 1900);
	assert_int_equal(shown->horizon[2].lo80_entries, 202);
	assert_int_equal(shown->horizon[3].hi95_entries, 503);
	assert_int_equal(shown->horizon[1].held, 51);
	assert_int_equal(shown->chance[7].drop_ppm, 3500);
	assert_int_equal(shown->reason_count, 2);
	assert_int_equal(shown->reason[1].key.l4proto, L4_UDP);
	assert_int_equal(shown->reason[1].key.direction, DIR_FORWARDED);
	assert_int_equal(shown->reason[1].key.port, 54);
	assert_int_equal(shown->reason[1].slope_micro_per_s2, -7);
}

/* Words with no meaning, or that contradict each other: no forecast. */
static void test_broken_words(void **state)
{
	const struct {
		_Atomic uint32_t *at;
		uint32_t value;
	} table[] = {
		{&forecast->verdict, SHM_VERDICT_COUNT},
		{&forecast->verdict, UINT32_MAX},
		{&forecast->verdict, SHM_VERDICT_UNLIMITED},
		{&forecast->limit_kind, SHM_LIMIT_COUNT},
		{&forecast->limit_kind, SHM_LIMIT_NONE},
		{&forecast->limit_entries, 0},
		{&forecast->reason_count, SHM_REASONS + 1},
		{&forecast->reason_count, UINT32_MAX},
		{&forecast->horizon[0].horizon_s, 31},
		{&forecast->horizon[3].horizon_s, 30},
		{&forecast->chance[7].horizon_s, 0},
	};

	(void)state;
	fill(forecast);
	for (size_t i = 0; i < UNIT_COUNT(table); i++) {
		uint32_t before = peek_u32(table[i].at);

		assert_true(take()->valid);
		poke_u32(table[i].at, table[i].value);
		if (take()->valid)
			fail_msg("row %zu is shown", i);
		poke_u32(table[i].at, before);
	}
	poke_u64(&forecast->computed_boot_ns, 0);
	assert_false(take()->valid);
}

static void test_amounts_are_put_in_order(void **state)
{
	const struct snap_forecast *shown;

	(void)state;
	fill(forecast);
	poke_u64(&forecast->full_early_ms, 300000);
	poke_u64(&forecast->full_late_ms, 200000);
	poke_u32(&forecast->horizon[0].lo80_entries, UINT32_MAX);
	poke_u32(&forecast->horizon[0].hi80_entries, 0);
	poke_u32(&forecast->horizon[0].hi95_entries, 1);
	poke_u32(&forecast->horizon[1].held, 1000);
	poke_u32(&forecast->chance[0].full_ppm, UINT32_MAX);
	poke_u32(&forecast->chance[1].drop_ppm, UINT32_MAX);
	poke_u32(&forecast->alarm, 77);
	poke_u32(&forecast->reason[0].key, 0xffff);
	shown = take();
	assert_true(shown->valid);
	assert_int_equal(shown->full_early_ms, 240000);
	assert_int_equal(shown->full_late_ms, 240000);
	assert_int_equal(shown->horizon[0].lo80_entries, 300);
	assert_int_equal(shown->horizon[0].hi80_entries, 300);
	assert_int_equal(shown->horizon[0].hi95_entries, 300);
	assert_int_equal(shown->horizon[1].held, 61);
	assert_int_equal(shown->chance[0].full_ppm, SNAP_PPM);
	assert_int_equal(shown->chance[1].drop_ppm, 1000);
	assert_false(shown->alarm);
	assert_int_equal(shown->reason_count, 1);
	assert_int_equal(shown->reason[0].key.port, 54);
	/* Beyond the hour that is looked at is never. */
	poke_u64(&forecast->full_likely_ms, SNAP_FORECAST_HOUR_MS + 1);
	shown = take();
	assert_true(shown->full_likely_ms == SHM_NEVER_MS && shown->full_late_ms == SHM_NEVER_MS);
	assert_int_equal(shown->full_early_ms, 300000);
}

/* Its writer died inside a write: no forecast, but all the rest, and soon. */
static void test_lock_left_taken(void **state)
{
	struct timespec from, to;

	(void)state;
	fill(forecast);
	seq_write_begin(&forecast->seq);
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_false(take()->valid);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec - from.tv_sec < 5);
	seq_write_end(&forecast->seq);
	assert_true(take()->valid);
}

static atomic_bool quit;

static void *write_torn(void *arg)
{
	uint32_t n = 0;

	(void)arg;
	while (!atomic_load(&quit)) {
		n = n % 1000 + 1;
		seq_write_begin(&forecast->seq);
		poke_u32(&forecast->count_entries, n);
		for (unsigned int i = 0; i < SHM_HORIZONS; i++)
			poke_u32(&forecast->horizon[i].compared, 1000000 + n);
		poke_u32(&forecast->settles_at_entries, n);
		seq_write_end(&forecast->seq);
		usleep(10);
	}
	return NULL;
}

static void test_torn_reads_are_repeated(void **state)
{
	pthread_t writer;
	unsigned int valid = 0;

	(void)state;
	fill(forecast);
	poke_u32(&forecast->settles_at_entries, peek_u32(&forecast->count_entries));
	for (unsigned int i = 0; i < SHM_HORIZONS; i++)
		poke_u32(&forecast->horizon[i].compared,
			 1000000 + peek_u32(&forecast->count_entries));
	assert_int_equal(pthread_create(&writer, NULL, write_torn, NULL), 0);
	for (int turn = 0; turn < 3000; turn++) {
		const struct snap_forecast *shown = take();

		valid += shown->valid;
		if (shown->valid && (shown->settles_at_entries != shown->count_entries ||
				     shown->horizon[3].compared != 1000000 + shown->count_entries))
			fail_msg("torn: %u %u", shown->count_entries, shown->settles_at_entries);
	}
	atomic_store(&quit, true);
	pthread_join(writer, NULL);
	assert_true(valid > 0);
}

static void test_timeouts(void **state)
{
	_Atomic uint32_t *timeouts = segment_timeouts(&segment);

	(void)state;
	take();
	assert_int_equal(snap.timeouts_s[TIMEOUT_UDP], 0);
	poke_u32(&timeouts[TIMEOUT_TCP_SYN_SENT], 120);
	poke_u32(&timeouts[TIMEOUT_COUNT - 1], 30);
	take();
	assert_int_equal(snap.timeouts_s[TIMEOUT_TCP_SYN_SENT], 120);
	assert_int_equal(snap.timeouts_s[TIMEOUT_COUNT - 1], 30);
}

static void append_past(struct shm_pasts *pasts, uint64_t n)
{
	struct shm_past *past = &pasts->pasts[n % SHM_PASTS];

	poke_u64(&past->real_ns, n + 1);
	for (unsigned int i = 0; i < SHM_HORIZONS; i++) {
		poke_u32(&past->p50_entries[i], 100);
		poke_u32(&past->lo80_entries[i], n % 2 ? 90 : 110);
		poke_u32(&past->hi80_entries[i], n % 2 ? 120 : 80);
		poke_u32(&past->came_entries[i], n % 2 ? 95 : SHM_NOT_YET);
	}
	poke_u32(&past->full_likely_s, n % 2 ? 3601 : 600);
	poke_u32(&past->alarm, n % 2);
	publish_u64(&pasts->head, n + 1);
}

static void test_pasts(void **state)
{
	struct shm_pasts *from = segment_pasts(&segment);
	struct snap_pasts pasts;

	(void)state;
	snap_pasts_init(&pasts);
	assert_int_equal(snapshot_take_pasts(&reader, &pasts), 0);
	assert_int_equal(pasts.count, 0);
	for (uint64_t n = 0; n < SHM_PASTS + 10; n++)
		append_past(from, n);
	assert_int_equal(snapshot_take_pasts(&reader, &pasts), 0);
	/* The slot that the writer may be in is left out. */
	assert_int_equal(pasts.count, SHM_PASTS - 1);
	assert_int_equal(pasts.pasts[0].real_ns, 12);
	assert_int_equal(pasts.pasts[0].came_entries[0], 95);
	assert_true(pasts.pasts[0].alarm && pasts.pasts[0].full_likely_s == SHM_NOT_YET);
	assert_int_equal(pasts.pasts[1].came_entries[0], SHM_NOT_YET);
	assert_int_equal(pasts.pasts[1].lo80_entries[3], 100);
	assert_int_equal(pasts.pasts[1].hi80_entries[3], 100);
	assert_int_equal(pasts.pasts[1].full_likely_s, 600);
	/* A head out of nowhere: no more than there are slots. */
	publish_u64(&from->head, UINT64_MAX - 3);
	assert_int_equal(snapshot_take_pasts(&reader, &pasts), 0);
	assert_true(pasts.count <= SHM_PASTS);
	snap_pasts_free(&pasts);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(snap_verdict_name(SHM_VERDICT_LEVELS_OFF), "levels-off");
	assert_string_equal(snap_verdict_name(SHM_VERDICT_UNLIMITED), "unlimited");
	assert_string_equal(snap_verdict_name(SHM_VERDICT_COUNT), "unknown");
	assert_string_equal(snap_limit_name(SHM_LIMIT_ASSUMED), "assumed");
	assert_string_equal(snap_limit_name(SHM_LIMIT_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_before_the_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shown_as_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_amounts_are_put_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lock_left_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_torn_reads_are_repeated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_timeouts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pasts, set_up, tear_down),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("snap_forecast", tests, NULL, NULL);
}
