// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/collector.h"

#include <math.h>

void collector_init(struct collector *collector)
{
	collector->entries = GC_BIAS_ENTRIES;
	collector->left_s = GC_BIAS_ENTRIES * GC_MAX_S;
}

void collector_add(struct collector *collector, double entries, double timeout_s)
{
	/* Time left is spread evenly over 0 .. timeout; then the mean of what is cut. */
	double mean_s = timeout_s <= GC_CLAMP_S
				? timeout_s / 2
				: GC_CLAMP_S - GC_CLAMP_S * GC_CLAMP_S / (2 * timeout_s);

	if (!(entries > 0) || !(timeout_s > 0))
		return;
	collector->entries += 2 * entries;
	collector->left_s += 2 * entries * fmax(mean_s, GC_MIN_S);
}

double collector_interval_s(const struct collector *collector)
{
	return fmin(fmax(collector->left_s / collector->entries, GC_MIN_S), GC_MAX_S);
}

double collector_lag_s(double interval_s, double inserts_per_s, double buckets)
{
	/* Either of the entry's two chains is walked so often. */
	double hazard_per_s = buckets > 0 ? 2 * inserts_per_s / buckets : 0;
	double x = hazard_per_s * interval_s;

	/* The mean of the smaller of a uniform and an exponential time. */
	if (!(x > 1e-4))
		return interval_s / 2;
	return (1 - (1 - exp(-x)) / x) / hazard_per_s;
}
