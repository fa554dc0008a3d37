// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/trust: each doubt by itself, and none without a reason. */
#include "tests/unit/unit.h"

#include "lib/mirror/trust.h"
#include "lib/shm/snapshot.h"

#define S UINT64_C(1000000000)

static const struct trust_inputs sound = {
	.mode = SHM_MODE_FULL,
	.now_ns = 1000 * S,
	.last_valid_begin_ns = 900 * S,
	.last_resync_valid = true,
	.kernel_entries = 50,
	.mirror_entries = 50,
};

static void test_exact_without_a_reason(void **state)
{
	struct trust_inputs in = sound;

	(void)state;
	assert_int_equal(trust_doubts(&in), 0);
	/* What is over: a loss before the last valid resync, an old silent change. */
	in.last_loss_ns = 899 * S;
	in.last_silent_ns = 1000 * S - TRUST_SILENT_NS;
	assert_int_equal(trust_doubts(&in), 0);
}

static void test_each_doubt(void **state)
{
	struct trust_inputs in = sound;

	(void)state;
	in.mode = SHM_MODE_STARTING;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_STARTING);
	in = sound;
	in.last_valid_begin_ns = 0;
	in.last_resync_valid = false;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_STARTING);
	in = sound;
	in.last_loss_ns = 900 * S;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_LOSS);
	in = sound;
	in.mode = SHM_MODE_NO_UPDATE;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_DEGRADED);
	in.mode = SHM_MODE_POLLING;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_DEGRADED);
	in = sound;
	in.silent_entries = 1;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_SILENT_ENTRIES);
	in = sound;
	in.unknown_entries = 1;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_UNKNOWN);
	in = sound;
	in.verify_pending = 1;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_VERIFY);
	in = sound;
	in.last_silent_ns = 999 * S;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_SILENT);
	in = sound;
	in.out_of_memory = true;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_MEMORY);
	in = sound;
	in.last_resync_valid = false;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_RESYNC);
	in = sound;
	in.not_subscribed = true;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_SUBSCRIPTION);
	in = sound;
	in.addresses_doubtful = true;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_ADDRESSES);
}

/* Either way; events read since the count excuse as many. */
static void test_residual(void **state)
{
	struct trust_inputs in = sound;

	(void)state;
	in.kernel_entries = 51;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_RESIDUAL);
	in.in_flight = 1;
	assert_int_equal(trust_doubts(&in), 0);
	in.kernel_entries = 48;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_RESIDUAL);
	in.in_flight = 2;
	assert_int_equal(trust_doubts(&in), 0);
	in.kernel_entries = -1;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_RESIDUAL);
}

/* Old connections end unheard: the host is well. More of that than there are of them is not. */
static void test_silent_entries_explain_that_too_many_are_held(void **state)
{
	struct trust_inputs in = sound;

	(void)state;
	in.silent_entries = 10;
	in.kernel_entries = 40;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_SILENT_ENTRIES);
	in.kernel_entries = 39;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_SILENT_ENTRIES | SHM_DOUBT_RESIDUAL);
	/* Nor do they explain that more are there than are held. */
	in.kernel_entries = 51;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_SILENT_ENTRIES | SHM_DOUBT_RESIDUAL);
	in.residual_is_new = true;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_SILENT_ENTRIES);
}

/* What was missed before the last valid comparison began is mended by it. */
static void test_missed_since_the_last_comparison(void **state)
{
	struct trust_inputs in = sound;

	(void)state;
	in.last_ghost_ns = 899 * S;
	in.events_off_ns = 899 * S;
	assert_int_equal(trust_doubts(&in), 0);
	in.last_ghost_ns = 901 * S;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_GHOSTS);
	in.last_ghost_ns = 0;
	in.events_off_ns = 901 * S;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_LOSS);
}

static void test_exact_means_compared_recently(void **state)
{
	struct trust_inputs in = sound;

	(void)state;
	in.interval_ns = 300 * S;
	in.verified_ns = 340 * S;
	assert_int_equal(trust_doubts(&in), 0);
	in.verified_ns = 339 * S;
	assert_int_equal(trust_doubts(&in), SHM_DOUBT_STALE);
}

static void test_share_found_within_a_minute(void **state)
{
	struct trust_reach reach = {.dump_interval_ns = 300 * S};

	(void)state;
	/* An empty table has nothing that could be wrong. */
	assert_int_equal(trust_found_share_ppm(&reach), 1000000);
	reach.table_entries = 100000;
	assert_int_equal(trust_found_share_ppm(&reach), 200000);
	/* Audits: 6,000 of 100,000 in a minute, or as many as there are in the sample. */
	reach.audits_per_s = 100;
	reach.sample_entries = 10000;
	assert_int_equal(trust_found_share_ppm(&reach), 248000);
	reach.sample_entries = 3000;
	assert_int_equal(trust_found_share_ppm(&reach), 224000);
	reach.table_entries = 3000;
	assert_int_equal(trust_found_share_ppm(&reach), 1000000);
	reach.table_entries = 100000;
	reach.dump_interval_ns = 50 * S;
	reach.dump_ns = 10 * S;
	assert_int_equal(trust_found_share_ppm(&reach), 1000000);
}

static void test_every_doubt_has_words(void **state)
{
	(void)state;
	for (unsigned int bit = 0; bit < SHM_DOUBT_BITS; bit++) {
		assert_non_null(snap_doubt_name(bit));
		assert_non_null(snap_doubt_help(bit));
	}
	assert_null(snap_doubt_name(SHM_DOUBT_BITS));
	assert_null(snap_doubt_help(UINT32_MAX));
}

static enum shm_quality quality_of(uint32_t doubts, int64_t events_mode,
				   enum shm_quality_reason wanted)
{
	enum shm_quality_reason reason;
	enum shm_quality quality = trust_quality(doubts, events_mode, &reason);

	assert_int_equal(reason, wanted);
	return quality;
}

/* Counts that are exact, states that may be old: verified. All else: not exact. */
static void test_quality(void **state)
{
	(void)state;
	assert_int_equal(quality_of(0, 2, SHM_QUALITY_REASON_NONE), SHM_QUALITY_EXACT);
	assert_int_equal(quality_of(0, -1, SHM_QUALITY_REASON_NONE), SHM_QUALITY_EXACT);
	assert_int_equal(quality_of(0, 0, SHM_QUALITY_REASON_NO_EVENTS), SHM_QUALITY_NOT_EXACT);
	assert_int_equal(quality_of(SHM_DOUBT_SILENT_ENTRIES, 1, SHM_QUALITY_REASON_OPEN_BEFORE),
			 SHM_QUALITY_VERIFIED);
	assert_int_equal(
		quality_of(SHM_DOUBT_SILENT_ENTRIES | SHM_DOUBT_LOSS, 1, SHM_QUALITY_REASON_LOSS),
		SHM_QUALITY_NOT_EXACT);
	for (unsigned int bit = 0; bit < SHM_DOUBT_BITS; bit++) {
		enum shm_quality_reason reason;

		assert_int_not_equal(trust_quality(1u << bit, 1, &reason), SHM_QUALITY_EXACT);
		assert_int_not_equal(reason, SHM_QUALITY_REASON_NONE);
		assert_string_not_equal(snap_quality_reason_name(reason), "unknown");
	}
	assert_string_equal(snap_quality_name(INT64_MIN), "not_exact");
	assert_string_equal(snap_quality_name(SHM_QUALITY_EXACT), "exact");
	assert_string_equal(snap_quality_reason_name(SHM_QUALITY_REASON_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_without_a_reason),
		cmocka_unit_test(test_each_doubt),
		cmocka_unit_test(test_residual),
		cmocka_unit_test(test_silent_entries_explain_that_too_many_are_held),
		cmocka_unit_test(test_missed_since_the_last_comparison),
		cmocka_unit_test(test_exact_means_compared_recently),
		cmocka_unit_test(test_share_found_within_a_minute),
		cmocka_unit_test(test_every_doubt_has_words),
		cmocka_unit_test(test_quality),
	};

	return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
