// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/health/level.h"

#include <string.h>

#include "lib/base/clock.h"

#define PPM 1000000

/* On from `on` upwards, held from `hold` upwards. */
struct bound {
	int64_t on_ppm;
	int64_t hold_ppm;
};

static const struct bound fill_critical = {950000, 930000};
static const struct bound fill_high = {800000, 780000};
static const struct bound pool_critical = {940000, 920000};
static const struct bound pool_high = {850000, 830000};
static const struct bound failing_critical = {100000, 50000};
static const struct bound failing_high = {10000, 5000};

/* No counter tells of expectations that the kernel refuses: it refuses all at the limit. */
static const struct bound expectations_critical = {PPM, 980000};

/* A cause as it is this second. */
struct cause {
	enum shm_level_reason reason;
	bool on;
	bool held; /* still keeps a level that is on */
	int64_t value;
};

void level_init(struct level *level)
{
	memset(level, 0, sizeof(*level));
}

static void count_rises(struct level *level, const struct level_input *in)
{
	level->at = (level->at + 1) % LEVEL_RISE_S;
	for (unsigned int i = 0; i < LEVEL_COUNTERS; i++)
		level->rose[i][level->at] = 0;
	if (!in->counters_known)
		return;
	for (unsigned int i = 0; i < LEVEL_COUNTERS; i++) {
		uint64_t now = in->counters[i], before = level->last[i];
		uint64_t rose = level->seen && now > before ? now - before : 0;

		level->rose[i][level->at] = rose < UINT32_MAX ? (uint32_t)rose : UINT32_MAX;
		level->last[i] = now;
	}
	level->seen = true;
}

static uint64_t sum_of(const struct level *level, enum level_counter counter)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < LEVEL_RISE_S; i++)
		sum += level->rose[counter][i];
	return sum;
}

int64_t level_milli_per_s(const struct level *level, enum level_counter counter)
{
	return (int64_t)(sum_of(level, counter) * 1000 / LEVEL_RISE_S);
}

static struct cause rising(const struct level *level, enum level_counter counter,
			   enum shm_level_reason reason)
{
	struct cause cause = {.reason = reason};
	uint64_t sum = sum_of(level, counter);

	cause.on = cause.held = sum > 0;
	/* At least one: 0 means it has ended. */
	cause.value = (int64_t)((sum + LEVEL_RISE_S - 1) / LEVEL_RISE_S);
	return cause;
}

static struct cause beyond(int64_t ppm, struct bound bound, enum shm_level_reason reason)
{
	struct cause cause = {
		.reason = reason, .on = ppm >= bound.on_ppm, .held = ppm >= bound.hold_ppm};

	cause.value = ppm;
	return cause;
}

static int64_t fill_ppm(const struct level_input *in)
{
	if (in->limit_entries <= 0 || in->count_entries <= 0)
		return 0;
	return (int64_t)((double)in->count_entries * PPM / (double)in->limit_entries);
}

/* The first cause that is on is the reason; causes that only hold keep the earlier reason. */
static void judge(struct level_hold *hold, const struct cause *causes, size_t count,
		  uint64_t now_ns, uint64_t hold_ns)
{
	const struct cause *found = NULL;
	bool held = false;

	for (size_t i = 0; i < count; i++) {
		if (causes[i].on && !found)
			found = &causes[i];
		held |= causes[i].held;
	}
	if (found) {
		hold->on = true;
		hold->reason = found->reason;
		hold->value = found->value;
	} else if (hold->on) {
		for (size_t i = 0; i < count; i++)
			if (causes[i].reason == hold->reason)
				hold->value =
					causes[i].held || hold->reason == SHM_LEVEL_REASON_FILL
						? causes[i].value
						: 0;
	}
	if (found || (hold->on && held))
		hold->until_ns = now_ns + hold_ns;
	else if (now_ns >= hold->until_ns)
		hold->on = false;
}

/* Of new connections, those that did not become entries; 0: too few, or not known. */
static int64_t failing_ppm(const struct level *level, const struct level_input *in)
{
	uint64_t failed = sum_of(level, LEVEL_INSERT_FAILED);
	uint64_t refused = sum_of(level, LEVEL_CHAIN_DROPS);

	failed -= refused < failed ? refused : failed;
	if (failed < LEVEL_FAILED_MIN || in->new_unknown || sum_of(level, LEVEL_LOST_EVENTS) > 0)
		return 0;
	return (int64_t)(failed * PPM / (failed + sum_of(level, LEVEL_NEW_ENTRIES)));
}

static void judge_full(struct level *level, const struct level_input *in)
{
	struct cause causes[] = {
		rising(level, LEVEL_DROPS, SHM_LEVEL_REASON_DROPPING),
		rising(level, LEVEL_EARLY_DROPS, SHM_LEVEL_REASON_EVICTING),
		{.reason = SHM_LEVEL_REASON_AT_LIMIT},
	};

	if (in->limit_entries > 0 && fill_ppm(in) < PPM / 2)
		causes[0].on = causes[0].held = false;
	causes[2].on = causes[2].held =
		in->limit_entries > 0 && in->count_entries >= in->limit_entries;
	causes[2].value = in->count_entries;
	judge(&level->holds[SHM_LEVEL_FULL], causes, 3, in->now_ns, 30 * NS_PER_S);
}

static int64_t full_ms(const struct level_input *in)
{
	return in->forecast_full_ms == SHM_NEVER_MS ? -1 : (int64_t)in->forecast_full_ms;
}

static void judge_critical(struct level *level, const struct level_input *in)
{
	const struct cause causes[] = {
		beyond(fill_ppm(in), fill_critical, SHM_LEVEL_REASON_FILL),
		{SHM_LEVEL_REASON_FULL_SOON, in->forecast_alarm, in->forecast_alarm, full_ms(in)},
		beyond(in->nat_pool_ppm, pool_critical, SHM_LEVEL_REASON_NAT_POOL),
		rising(level, LEVEL_CHAIN_DROPS, SHM_LEVEL_REASON_CHAINS),
		beyond(in->expectations_ppm, expectations_critical,
		       SHM_LEVEL_REASON_EXPECTATIONS_REFUSED),
		beyond(failing_ppm(level, in), failing_critical, SHM_LEVEL_REASON_INSERT_FAILED),
	};

	judge(&level->holds[SHM_LEVEL_CRITICAL], causes, sizeof(causes) / sizeof(causes[0]),
	      in->now_ns, 30 * NS_PER_S);
}

static void judge_high(struct level *level, const struct level_input *in)
{
	const struct cause causes[] = {
		beyond(fill_ppm(in), fill_high, SHM_LEVEL_REASON_FILL),
		{SHM_LEVEL_REASON_FULL_WITHIN_HOUR, in->forecast_filling, in->forecast_filling,
		 full_ms(in)},
		beyond(in->nat_pool_ppm, pool_high, SHM_LEVEL_REASON_NAT_POOL),
		beyond(in->expectations_ppm, pool_high, SHM_LEVEL_REASON_EXPECTATIONS),
		beyond(failing_ppm(level, in), failing_high, SHM_LEVEL_REASON_INSERT_FAILED),
	};

	judge(&level->holds[SHM_LEVEL_HIGH], causes, sizeof(causes) / sizeof(causes[0]), in->now_ns,
	      60 * NS_PER_S);
}

static void settle(struct level *level, enum shm_level to, enum shm_level_reason reason,
		   int64_t value, uint64_t now_real_ns)
{
	if (to != level->level || !level->since_real_ns)
		level->since_real_ns = now_real_ns;
	level->level = to;
	level->reason = reason;
	level->value = value;
}

void level_second(struct level *level, const struct level_input *in)
{
	count_rises(level, in);
	judge_full(level, in);
	judge_critical(level, in);
	judge_high(level, in);
	for (unsigned int to = SHM_LEVEL_FULL; to >= SHM_LEVEL_HIGH; to--) {
		const struct level_hold *hold = &level->holds[to];

		if (!hold->on)
			continue;
		settle(level, (enum shm_level)to, hold->reason, hold->value, in->now_real_ns);
		return;
	}
	if (in->count_entries < 0)
		settle(level, SHM_LEVEL_UNKNOWN, SHM_LEVEL_REASON_NO_COUNT, 0, in->now_real_ns);
	else if (in->no_events)
		settle(level, SHM_LEVEL_UNKNOWN, SHM_LEVEL_REASON_NO_EVENTS, 0, in->now_real_ns);
	else
		settle(level, SHM_LEVEL_OK, SHM_LEVEL_REASON_NONE, fill_ppm(in), in->now_real_ns);
}
