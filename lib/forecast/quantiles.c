// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From paths to what is said: quantiles of the count, and of the first moment at which
 * it has reached the limit. Counts are held below the kernel's max, as a full table
 * holds them (forecast_full.c), and their spread is scaled by own past errors.
 */
#include "lib/forecast/priv.h"

#include <math.h>
#include <stdlib.h>

/* What no path knows of: a step is first seen in a bin that it began in the middle of. */
#define TTE_MODEL 0.1

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double quantile(const float *sorted, double q)
{
	double x = q * FC_PATHS - 0.5;
	unsigned int i;

	x = fmin(fmax(x, 0.0), FC_PATHS - 1.001);
	i = (unsigned int)x;
	return sorted[i] + (x - (double)i) * (sorted[i + 1] - sorted[i]);
}

void fc_read_counts(const struct forecast *f, double limit, struct fc_forecast *out)
{
	static const unsigned int at[FC_HORIZONS] = {4, 19, FC_PATH_FINE - 1, FC_PATH_POINTS - 1};
	unsigned int h, p;

	for (h = 0; h < FC_HORIZONS; h++) {
		double m, deficit, spread, scale = f->scale[h < 3 ? h : 2];
		float v[FC_PATHS];

		for (p = 0; p < FC_PATHS; p++)
			v[p] = f->path[p][at[h]];
		qsort(v, FC_PATHS, sizeof(v[0]), by_value);
		m = quantile(v, 0.5);
		deficit = fc_full_deficit(f, fc_horizon_s[h], limit, &spread);
		for (p = 0; p < FC_PATHS; p++) {
			double cap =
				limit - deficit + spread * (double)f->normal[31 * p % FC_NORMALS];

			v[p] = (float)fmax(fmin(fmin(m + scale * (v[p] - m), cap), limit), 0.0);
		}
		qsort(v, FC_PATHS, sizeof(v[0]), by_value);
		out->count[h].p50 = fmin(fmax(quantile(v, 0.5), 0.0), limit);
		out->count[h].lo80 = quantile(v, 0.1);
		out->count[h].hi80 = quantile(v, 0.9);
		out->count[h].lo95 = quantile(v, 0.025);
		out->count[h].hi95 = quantile(v, 0.975);
	}
}

void fc_read_passage(const struct forecast *f, double limit, double arrivals_per_s,
		     struct fc_forecast *out)
{
	float when[FC_PATHS];
	unsigned int full[FC_FULL_HORIZONS] = {0};
	unsigned int p, i, h;
	double dropless;

	/* chance that a packet at the limit finds a victim in the buckets early_drop() looks at */
	dropless = 1.0 - exp(-16.0 * out->soft_entries / fmax(limit, 1.0));
	for (p = 0; p < FC_PATHS; p++) {
		double before = f->stat.count, t0 = 0.0;

		when[p] = INFINITY;
		for (i = 0; i < FC_PATH_POINTS; i++) {
			if (f->path[p][i] >= limit) {
				double share =
					(limit - before) / fmax(f->path[p][i] - before, 1e-3);

				when[p] = (float)(t0 + (fc_path_time_s(i) - t0) *
							       fmin(fmax(share, 0.0), 1.0));
				break;
			}
			before = f->path[p][i];
			t0 = fc_path_time_s(i);
		}
		if (f->stat.count >= limit)
			when[p] = 0.0f;
		for (h = 0; h < FC_FULL_HORIZONS; h++) {
			double after = (double)fc_full_horizon_s[h] - (double)when[p];

			if (after < 0.0)
				continue;
			full[h]++;
			out->p_drop[h] +=
				(1.0 - pow(dropless, 1.0 + arrivals_per_s * after)) / FC_PATHS;
		}
	}
	for (h = 0; h < FC_FULL_HORIZONS; h++)
		out->p_full[h] = (double)full[h] / FC_PATHS;
	qsort(when, FC_PATHS, sizeof(when[0]), by_value);
	/* The moment at which half of them are full: it exists when exactly half will be. */
	out->tte_s = when[FC_PATHS / 2 - 1];
	out->tte_early_s = (1.0 - TTE_MODEL) * (double)when[FC_PATHS / 10];
	out->tte_late_s = (1.0 + TTE_MODEL) * (double)when[FC_PATHS * 9 / 10];
}
