// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/full.h"

#include <math.h>
#include <string.h>

#define FULL_FOR_S 130 /* after the last second at the limit */

void fc_full_init(struct fc_full *fu)
{
	memset(fu, 0, sizeof(*fu));
	fu->last_full_s = fu->last_evict_s = INT64_MIN / 2;
}

static unsigned int round_at(const struct fc_full *fu, int64_t now_s, double t_s)
{
	double since = (double)(now_s - fu->last_evict_s) + t_s;

	since -= fu->period_s * floor(since / fu->period_s);
	return (unsigned int)fmin(since, FC_ROUND_S - 1);
}

static void saw_eviction(struct fc_full *fu, int64_t now_s)
{
	double gap = (double)(now_s - fu->last_evict_s);

	if (gap < 10.0)
		return;
	if (gap <= 75.0)
		fu->period_s += (fu->evictions < 2 ? 1.0 : 0.2) * (gap - fu->period_s);
	fu->evictions = gap > 300.0 ? 1 : fu->evictions + 1;
	fu->last_evict_s = now_s;
}

void fc_full_second(struct fc_full *fu, int64_t now_s, double before, double count, double limit)
{
	double part = (limit - count) / limit, expected, spread;
	float *at;

	if (before > 0.965 * limit && count < before - fmax(4.0, 0.01 * limit))
		saw_eviction(fu, now_s);
	if (count >= limit)
		fu->last_full_s = now_s;
	if (now_s - fu->last_full_s > FULL_FOR_S)
		return;
	expected = fc_full_deficit(fu, now_s, 0.0, limit, &spread) / limit;
	fu->err += 0.02f * (float)(fabs(part - expected) - (double)fu->err);
	fu->mean += 0.02f * (float)(part - (double)fu->mean);
	if (fu->evictions < 2 || fu->period_s <= 5.0)
		return;
	at = &fu->deficit[round_at(fu, now_s, 0.0)];
	*at += (*at == 0.0f ? 1.0f : 0.3f) * (float)(part - (double)*at);
}

double fc_full_deficit(const struct fc_full *fu, int64_t now_s, double t_s, double limit,
		       double *spread)
{
	if (now_s - fu->last_full_s > FULL_FOR_S) {
		*spread = 0.006 * limit; /* before it has been full */
		return 0.008 * limit;
	}
	*spread = 1.5 * limit * (double)fu->err;
	if (fu->evictions >= 3 && fu->period_s > 5.0 &&
	    now_s - fu->last_evict_s < 3 * (int64_t)fu->period_s)
		return limit * (double)fu->deficit[round_at(fu, now_s, t_s)];
	return limit * (double)fu->mean;
}
