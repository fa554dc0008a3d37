// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/pace.h"

#include "tests/unit/unit.h"

#define MS    UINT64_C(1000000)
#define LARGE (64u << 20)
#define TURNS 100u

/* How long the pause is where a read takes no time. */
static uint64_t pause_after(struct pace *pace, uint32_t events, uint32_t buffer_bytes,
			    uint64_t now_ns)
{
	return pace_until(pace, events, buffer_bytes, now_ns, now_ns) - now_ns;
}

/* The pause that a steady rate leads to; reading takes no time. */
static uint64_t settled(struct pace *pace, uint64_t events_per_s, uint32_t buffer_bytes)
{
	uint64_t now = pace->read_ns, pause = pace->pause_ns;

	for (unsigned int i = 0; i < TURNS; i++) {
		now += pause;
		pause = pause_after(pace, (uint32_t)(events_per_s * pause / 1000000000u),
				    buffer_bytes, now);
	}
	return pause;
}

static void follows_the_rate(void **state)
{
	struct pace pace;

	(void)state;
	pace_init(&pace, MS);
	assert_true(settled(&pace, 10, LARGE) == PACE_MOST_NS);
	/* 512 events take 5.12 ms; whole events are counted. */
	assert_in_range(settled(&pace, 100000, LARGE), 5 * MS, 53 * MS / 10);
	assert_true(settled(&pace, 1000000, LARGE) == MS);
}

static void goes_up_by_doubling_and_down_at_once(void **state)
{
	struct pace pace;
	uint64_t now = 0;

	(void)state;
	pace_init(&pace, MS);
	assert_true(pause_after(&pace, 0, LARGE, now += MS) == 2 * MS);
	assert_true(pause_after(&pace, 0, LARGE, now += 2 * MS) == 4 * MS);
	assert_true(pause_after(&pace, 0, LARGE, now += 4 * MS) == PACE_MOST_NS);
	assert_true(pause_after(&pace, 0, LARGE, now += 8 * MS) == PACE_MOST_NS);
	assert_true(pause_after(&pace, 100000, LARGE, now += 8 * MS) == MS);
}

static void leaves_room_in_a_small_buffer(void **state)
{
	struct pace pace;

	(void)state;
	pace_init(&pace, MS);
	assert_true(settled(&pace, 1000, 8192) == MS);
	for (uint32_t buffer = 4096; buffer <= 16u << 20; buffer *= 2) {
		uint64_t pause = settled(&pace, 50000, buffer);
		uint64_t bytes = 2 * 50000 * pause / 1000000000u * PACE_EVENT_BYTES;

		assert_true(pause == MS || bytes <= buffer / PACE_SHARE + 4 * PACE_EVENT_BYTES);
	}
}

/* Whatever the rate was before: a flood fills no more of the buffer than it did in steady
 * pauses, with 200,000 events a second. */
static void leaves_room_for_a_flood_after_a_calm(void **state)
{
	struct pace pace;

	(void)state;
	for (uint32_t buffer = 425984; buffer <= LARGE; buffer *= 2) {
		uint64_t pause;

		pace_init(&pace, MS);
		pause = settled(&pace, 10, buffer);
		assert_true(pause == MS ||
			    200000 * pause / 1000000000u * PACE_EVENT_BYTES < buffer / 8u);
	}
	/* The last buffer was large enough for the longest. */
	assert_true(pace.pause_ns >= 4 * MS);
}

static void never_sleeps_for_long(void **state)
{
	struct pace pace;

	(void)state;
	pace_init(&pace, 2 * MS);
	assert_true(settled(&pace, 10, LARGE) == PACE_MOST_NS);
	pace_init(&pace, 100 * MS);
	assert_true(settled(&pace, 10, LARGE) == 100 * MS);
}

/* What the kernel may add when it wakes the reader. */
#define WAKING (3 * MS / 2)

/* On the way to the rate or later, no read begins over 8 ms after the one before, or after the
 * work that keeps the reader from it; `burst` turns bring their events together. */
static void stays_fresh(uint64_t least_ns, uint64_t events_per_s, uint32_t buffer_bytes,
			unsigned int burst)
{
	uint64_t read = 0, told = 0;
	struct pace pace;

	pace_init(&pace, least_ns);
	for (unsigned int i = 0; i < TURNS; i++) {
		/* Most turns apply a batch; some do what is due once a second. */
		uint64_t work = i % 7 ? i % 3 * MS / 2 : i % 12 * MS;
		uint64_t due = i % burst ? told : events_per_s * read / 1000000000u;
		uint64_t next =
			pace_until(&pace, (uint32_t)(due - told), buffer_bytes, read, read + work);

		told = due;
		assert_true(next >= read + work);
		assert_true(next == read + work || next + WAKING <= read + 8 * MS);
		/* No pause is shorter than the least, unless that time is up. */
		assert_true(next >= read + work + least_ns || next + 2 * MS >= read + 8 * MS ||
			    next == read + work);
		read = next;
	}
}

/* At any rate from 1,000 events a second, in any buffer, with any least pause up to it: nobody
 * reads numbers older than that. */
static void numbers_stay_fresh(void **state)
{
	static const uint64_t least_ns[] = {MS / 10, MS, 2 * MS, 5 * MS, 13 * MS / 2};

	(void)state;
	for (unsigned int i = 0; i < sizeof(least_ns) / sizeof(least_ns[0]); i++)
		for (uint32_t buffer = 4096; buffer <= 256u << 20; buffer *= 4)
			for (uint64_t rate = 1000; rate <= 4000000; rate += rate / 2)
				for (unsigned int burst = 1; burst <= 5; burst++)
					stays_fresh(least_ns[i], rate, buffer, burst);
}

static void none_where_none_is_wanted(void **state)
{
	struct pace pace;

	(void)state;
	pace_init(&pace, 0);
	assert_true(settled(&pace, 1000, LARGE) == 0);
}

static void survives_any_time_and_count(void **state)
{
	static const uint64_t times[] = {0, UINT64_MAX, 1, UINT64_MAX / 2, 0, UINT64_MAX};
	struct pace pace;

	(void)state;
	pace_init(&pace, MS);
	for (unsigned int i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		assert_in_range(pause_after(&pace, UINT32_MAX, UINT32_MAX, times[i]), MS, 8 * MS);
		assert_in_range(pause_after(&pace, 0, 0, times[i]), MS, 8 * MS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_rate),
		cmocka_unit_test(goes_up_by_doubling_and_down_at_once),
		cmocka_unit_test(leaves_room_in_a_small_buffer),
		cmocka_unit_test(leaves_room_for_a_flood_after_a_calm),
		cmocka_unit_test(never_sleeps_for_long),
		cmocka_unit_test(numbers_stay_fresh),
		cmocka_unit_test(none_where_none_is_wanted),
		cmocka_unit_test(survives_any_time_and_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
