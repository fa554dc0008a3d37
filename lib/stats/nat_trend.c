// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/nat_trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shm/seqlock.h"

_Static_assert(SHM_NAT_POOLS == NAT_POOLS_TOP, "all that are found are published");

#define WINDOWS		6u
#define RECENT		3u
#define HORIZON_FACTOR	20.0
#define FAILING_FULL	0.1
#define MEASURE_SECONDS 10u
/* Below it the share is next to nothing, whatever ports are used. */
#define NAT_MAPPED_RATIO 0.5

void nat_trend_init(struct nat_trend *trend)
{
	memset(trend, 0, sizeof(*trend));
	trend->summary.ratio_ppm = trend->summary.local_ratio_ppm = -1;
	trend->summary.early_ms = trend->summary.likely_ms = trend->summary.late_ms = -1;
}

/* --- when it is full ----------------------------------------------------------------- */

uint32_t nat_trend_full(uint32_t size)
{
	uint32_t low = 0, high = size;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2u;

		if (nat_failing_share(middle, size) >= FAILING_FULL)
			high = middle;
		else
			low = middle + 1u;
	}
	return low;
}

/* The answer of one window: new connections at its rate, leaving at its share. */
static double window_time(const struct nat_trend_sample *from, const struct nat_trend_sample *to,
			  double seconds, double now, double full)
{
	double born = (double)(to->born - from->born) / seconds;
	double net = ((double)to->held - (double)from->held) / seconds;
	double mean = ((double)to->held + (double)from->held) / 2.0;
	double left = born - net, settles;

	if (now >= full)
		return 0.0;
	if (born <= 0.0 || net <= 0.0)
		return (double)INFINITY;
	if (left <= 0.0 || mean <= 0.0)
		return (full - now) / net;
	left /= mean;
	settles = born / left;
	if (settles <= full || settles <= now)
		return (double)INFINITY;
	return log((settles - now) / (settles - full)) / left;
}

static int ascending(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static struct nat_trend_time by_windows(const struct nat_trend_sample *last, uint32_t seconds,
					double full)
{
	struct nat_trend_time time = {.known = true};
	double times[WINDOWS];
	double now = last->held;

	for (uint32_t i = 0; i < WINDOWS; i++) {
		const struct nat_trend_sample *to = last - (size_t)i * seconds;

		times[i] = window_time(to - seconds, to, seconds, now, full);
	}
	time.new_per_s =
		(double)(last->born - (last - (size_t)RECENT * seconds)->born) / (RECENT * seconds);
	qsort(times, RECENT, sizeof(times[0]), ascending);
	time.likely_s = times[RECENT / 2u];
	qsort(times, WINDOWS, sizeof(times[0]), ascending);
	time.early_s = times[0];
	time.late_s = times[WINDOWS - 1u];
	return time;
}

struct nat_trend_time nat_trend_time(const struct nat_trend_sample *samples, uint32_t count,
				     uint32_t size)
{
	static const uint32_t widths[] = {1, 2, 5, 10};
	struct nat_trend_time time = {(double)INFINITY, (double)INFINITY, (double)INFINITY, 0.0,
				      false};
	double full = nat_trend_full(size);

	for (unsigned int i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		uint32_t looked_at = widths[i] * WINDOWS;

		if (count <= looked_at)
			break;
		time = by_windows(&samples[count - 1u], widths[i], full);
		if (time.likely_s <= HORIZON_FACTOR * looked_at)
			break;
	}
	return time;
}

/* --- one second --------------------------------------------------------------------- */

static uint32_t held_of(const struct nat_pool *pool, bool reclaims)
{
	return reclaims ? pool->used - pool->closing : pool->used;
}

static double ratio_of(const struct nat_pool *pool, bool reclaims)
{
	return (double)held_of(pool, reclaims) / pool->size;
}

/* Pools that are still listed keep their places; the others give way. */
static void follow(struct nat_trend *trend)
{
	for (uint32_t i = 0; i < NAT_POOLS_TOP; i++) {
		struct nat_followed *followed = &trend->followed[i];
		bool listed = false;

		for (uint32_t j = 0; j < trend->count && followed->hash; j++)
			listed |= trend->list[j].hash == followed->hash &&
				  trend->list[j].at == followed->at;
		if (!listed)
			followed->hash = 0;
	}
}

/* There are as many places as pools in the list. */
static struct nat_followed *followed_of(struct nat_trend *trend, const struct nat_pool *pool)
{
	struct nat_followed *empty = NULL;

	for (uint32_t i = 0; i < NAT_POOLS_TOP; i++) {
		struct nat_followed *followed = &trend->followed[i];

		if (followed->hash == pool->hash && followed->at == pool->at)
			return followed;
		if (!followed->hash)
			empty = followed;
	}
	if (empty)
		*empty = (struct nat_followed){.hash = pool->hash, .at = pool->at};
	return empty;
}

static struct nat_trend_time time_of(const struct nat_followed *followed, uint32_t size)
{
	struct nat_trend_sample ordered[NAT_TREND_SECONDS];
	uint32_t count = followed->count < NAT_TREND_SECONDS ? followed->count : NAT_TREND_SECONDS;

	for (uint32_t i = 0; i < count; i++)
		ordered[i] = followed->samples[(followed->count - count + i) % NAT_TREND_SECONDS];
	return nat_trend_time(ordered, count, size);
}

static uint64_t failures_at(const struct nat_trend *trend, uint32_t seconds_ago)
{
	return trend->failures[(trend->seconds - seconds_ago) % NAT_TREND_SECONDS];
}

/* Seconds since the first failure within the last ten; 0: no failure. */
static uint32_t failing_seconds(const struct nat_trend *trend)
{
	uint32_t back = trend->seconds < MEASURE_SECONDS ? trend->seconds : MEASURE_SECONDS;

	while (back > 0 && failures_at(trend, back) == failures_at(trend, back - 1u))
		back--;
	return back;
}

/* Of the new connections since then; the failed ones have no entry. */
static double measured_share(const struct nat_trend *trend, const struct nat_followed *followed,
			     uint32_t back)
{
	uint32_t known = followed->count - 1u;
	const struct nat_trend_sample *last = &followed->samples[known % NAT_TREND_SECONDS];
	const struct nat_trend_sample *first =
		&followed->samples[(known - (back < known ? back : known)) % NAT_TREND_SECONDS];
	double failed = (double)(failures_at(trend, 0) - failures_at(trend, back));

	return failed / (failed + (double)(last->born - first->born));
}

static void count_failures(struct nat_trend *trend, const struct nat_trend_second *second,
			   bool crowded)
{
	uint64_t failed = second->insert_failed - second->chaintoolong;

	if (trend->counters_seen && crowded && failed > trend->failed_before &&
	    second->counters_known)
		trend->summary.failures += failed - trend->failed_before;
	trend->failed_before = failed;
	trend->counters_seen = second->counters_known;
	trend->seconds++;
	trend->failures[trend->seconds % NAT_TREND_SECONDS] = trend->summary.failures;
}

static uint32_t to_ms(double seconds)
{
	return seconds < 4e6 ? (uint32_t)(seconds * 1000.0) : SHM_NAT_NEVER;
}

static uint32_t to_ppm(double share)
{
	return (uint32_t)(share * 1e6);
}

static void write_address(_Atomic uint64_t to[2], const uint8_t address[16])
{
	uint64_t words[2];

	memcpy(words, address, sizeof(words));
	poke_u64(&to[0], words[0]);
	poke_u64(&to[1], words[1]);
}

struct outlook {
	struct nat_trend_time time;
	uint32_t held;
	uint32_t failing_ppm;
	uint32_t expected_ppm;
	bool measured;
};

static void write_pool(struct shm_nat_pool *to, const struct nat_pool *pool,
		       const struct outlook *outlook, bool reclaims)
{
	uint32_t flags = (pool->translated ? SHM_NAT_TRANSLATED : 0u) |
			 (outlook->measured ? SHM_NAT_MEASURED : 0u) |
			 (reclaims ? SHM_NAT_RECLAIMS : 0u);

	write_address(to->address, pool->address);
	write_address(to->remote, pool->remote);
	write_address(to->client, pool->client);
	poke_u32(&to->key,
		 pool->family | (uint32_t)pool->l4num << 8 | (uint32_t)pool->remote_port << 16);
	poke_u32(&to->zone_flags, pool->zone | flags << 16);
	poke_u32(&to->range, pool->range.first | (uint32_t)pool->range.last << 16);
	poke_u32(&to->used, pool->used);
	poke_u32(&to->closing, pool->closing);
	poke_u32(&to->held, outlook->held);
	poke_u32(&to->size, pool->size);
	poke_u32(&to->error, pool->error);
	poke_u32(&to->more, pool->more);
	poke_u32(&to->client_used, pool->client_used);
	poke_u32(&to->new_milli_per_s, (uint32_t)(outlook->time.new_per_s * 1000.0));
	poke_u32(&to->failing_ppm, outlook->failing_ppm);
	poke_u32(&to->expected_ppm, outlook->expected_ppm);
	poke_u32(&to->early_ms, to_ms(outlook->time.early_s));
	poke_u32(&to->likely_ms, to_ms(outlook->time.likely_s));
	poke_u32(&to->late_ms, to_ms(outlook->time.late_s));
}

static void sort_by_ratio(struct nat_pool *list, uint32_t count, bool reclaims)
{
	for (uint32_t i = 1; i < count; i++) {
		struct nat_pool pool = list[i];
		uint32_t at = i;

		for (; at > 0 && ratio_of(&list[at - 1u], reclaims) < ratio_of(&pool, reclaims);
		     at--)
			list[at] = list[at - 1u];
		list[at] = pool;
	}
}

static void summarize(struct nat_trend_summary *summary, const struct nat_pool *pool,
		      const struct outlook *outlook)
{
	int64_t ratio_ppm = (int64_t)outlook->held * 1000000 / pool->size;
	uint32_t likely_ms = to_ms(outlook->time.likely_s);

	if (!pool->translated) {
		if (ratio_ppm > summary->local_ratio_ppm)
			summary->local_ratio_ppm = ratio_ppm;
		return;
	}
	if (ratio_ppm > summary->ratio_ppm) {
		summary->ratio_ppm = ratio_ppm;
		summary->l4num = pool->l4num;
		summary->remote_port = pool->remote_port;
		summary->held = outlook->held;
		summary->size = pool->size;
		summary->failing_ppm = outlook->failing_ppm;
	}
	if (likely_ms == SHM_NAT_NEVER ||
	    (summary->likely_ms >= 0 && summary->likely_ms <= (int64_t)likely_ms))
		return;
	summary->early_ms = to_ms(outlook->time.early_s);
	summary->likely_ms = likely_ms;
	summary->late_ms = outlook->time.late_s < 4e6 ? (int64_t)to_ms(outlook->time.late_s) : -1;
}

/* How many translated pools are full enough to be the cause of failures. */
static uint32_t crowded_pools(const struct nat_trend *trend, bool reclaims)
{
	uint32_t crowded = 0;

	for (uint32_t i = 0; i < trend->count; i++)
		crowded += trend->list[i].translated &&
			   ratio_of(&trend->list[i], reclaims) >= NAT_FULL_RATIO;
	return crowded;
}

/* Pools that begin to matter and whose map lacks what came before it. */
static bool ask_for_dump(const struct nat_trend *trend, struct nat_pools *pools, bool reclaims)
{
	bool ask = false;

	for (uint32_t i = 0; i < trend->count; i++)
		if (trend->list[i].translated &&
		    ratio_of(&trend->list[i], reclaims) >= NAT_MAPPED_RATIO)
			ask |= nat_pools_ask(pools, &trend->list[i]);
	return ask;
}

/* By which ports are used, where that is known; else by how many. */
static double expected_share(struct nat_pools *pools, const struct nat_pool *pool, bool reclaims)
{
	uint32_t held = held_of(pool, reclaims);
	double share = -1.0;

	/* A program's own connection is refused a port when there is none at all. */
	if (!pool->translated)
		return held < pool->size ? 0.0 : 1.0;
	if (ratio_of(pool, reclaims) >= NAT_MAPPED_RATIO)
		share = nat_pools_failing(pools, pool, reclaims);
	return share < 0.0 ? nat_failing_share(held, pool->size) : share;
}

static struct outlook outlook_of(struct nat_trend *trend, const struct nat_pool *pool,
				 double expected, bool reclaims, bool alone)
{
	struct nat_followed *followed = followed_of(trend, pool);
	struct outlook outlook = {
		.held = held_of(pool, reclaims),
		.expected_ppm = to_ppm(expected),
		.time = {(double)INFINITY, (double)INFINITY, (double)INFINITY, 0.0, false}};
	uint32_t back;

	outlook.failing_ppm = outlook.expected_ppm;
	if (!followed)
		return outlook;
	followed->samples[followed->count++ % NAT_TREND_SECONDS] =
		(struct nat_trend_sample){outlook.held, pool->born};
	outlook.time = time_of(followed, pool->size);
	if (pool->translated && expected >= FAILING_FULL)
		outlook.time.early_s = outlook.time.likely_s = outlook.time.late_s = 0.0;
	back = failing_seconds(trend);
	if (back && alone && pool->translated && ratio_of(pool, reclaims) >= NAT_FULL_RATIO) {
		outlook.measured = true;
		outlook.failing_ppm = to_ppm(measured_share(trend, followed, back));
	}
	return outlook;
}

void nat_trend_second(struct nat_trend *trend, struct nat_pools *pools, struct shm_nat *to,
		      const struct nat_trend_second *second)
{
	struct nat_trend_summary summary = {.ratio_ppm = -1, .local_ratio_ppm = -1};
	uint32_t missed, crowded;

	summary.early_ms = summary.likely_ms = summary.late_ms = -1;
	nat_pools_tidy(pools);
	trend->count = nat_pools_largest(pools, trend->list, &summary.pools, &missed);
	sort_by_ratio(trend->list, trend->count, second->reclaims);
	nat_pools_map(pools, trend->list, trend->count);
	trend->needs_dump = ask_for_dump(trend, pools, second->reclaims);
	follow(trend);
	crowded = crowded_pools(trend, second->reclaims);
	count_failures(trend, second, crowded > 0);
	summary.failures = trend->summary.failures;
	seq_write_begin(&to->seq);
	poke_u64(&to->taken_boot_ns, second->now_boot_ns);
	poke_u32(&to->count, trend->count);
	poke_u32(&to->tracked, pools->used.keys[pools->shown]);
	poke_u32(&to->room, pools->used.room);
	poke_u32(&to->missed, missed);
	for (uint32_t i = 0; i < trend->count; i++) {
		double expected = expected_share(pools, &trend->list[i], second->reclaims);
		struct outlook outlook = outlook_of(trend, &trend->list[i], expected,
						    second->reclaims, crowded == 1);

		write_pool(&to->pool[i], &trend->list[i], &outlook, second->reclaims);
		summarize(&summary, &trend->list[i], &outlook);
	}
	seq_write_end(&to->seq);
	trend->summary = summary;
}
