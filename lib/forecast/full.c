// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A full table is not at its limit all the time: after a drop the collector's
 * next round evicts closing and unassured entries down to 95 % (gc_worker),
 * then arrivals fill it again. The rounds keep their period, so the mean
 * deficit by second of the round foretells the next ones.
 */
#include "lib/forecast/priv.h"

#include <math.h>

#define FULL_FOR_S 130 /* after the last second at the limit */

static unsigned int round_at(const struct forecast *f, double t_s)
{
	double since = (double)(f->now_s - f->last_evict_s) + t_s;

	since -= f->evict_period_s * floor(since / f->evict_period_s);
	return (unsigned int)fmin(since, FC_ROUND_S - 1);
}

static bool has_rounds(const struct forecast *f)
{
	return f->evictions >= 3 && f->evict_period_s > 5.0 &&
	       f->now_s - f->last_evict_s < 3 * (int64_t)f->evict_period_s;
}

static void saw_eviction(struct forecast *f)
{
	double gap = (double)(f->now_s - f->last_evict_s);

	if (gap < 10.0)
		return;
	if (gap <= 75.0)
		f->evict_period_s = f->evictions < 2
					    ? gap
					    : f->evict_period_s + 0.2 * (gap - f->evict_period_s);
	f->evictions = gap > 300.0 ? 1 : f->evictions + 1;
	f->last_evict_s = f->now_s;
}

void fc_full_second(struct forecast *f, uint32_t before)
{
	double limit = f->stat.max, count = f->stat.count, part, expected, spread;
	unsigned int at;

	if (!f->stat.max)
		return;
	if (before > 0.965 * limit && count < before - fmax(4.0, 0.01 * limit))
		saw_eviction(f);
	if (count >= limit)
		f->last_full_s = f->now_s;
	if (f->now_s - f->last_full_s > FULL_FOR_S)
		return;
	part = (limit - count) / limit;
	expected = fc_full_deficit(f, 0.0, limit, &spread) / limit;
	f->deficit_err += 0.02f * (float)(fabs(part - expected) - f->deficit_err);
	f->deficit_mean += 0.02f * (float)(part - f->deficit_mean);
	if (f->evictions < 2 || f->evict_period_s <= 5.0)
		return;
	at = round_at(f, 0.0);
	f->deficit[at] += (f->deficit[at] == 0.0f ? 1.0f : 0.3f) * (float)(part - f->deficit[at]);
}

double fc_full_deficit(const struct forecast *f, double t_s, double limit, double *spread)
{
	if (f->now_s - f->last_full_s > FULL_FOR_S || f->last_full_s < f->start_s) {
		*spread = 0.006 * limit; /* before it has been full */
		return 0.008 * limit;
	}
	*spread = 1.5 * limit * f->deficit_err;
	if (has_rounds(f))
		return limit * f->deficit[round_at(f, t_s)];
	return limit * f->deficit_mean;
}
