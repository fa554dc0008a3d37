// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A table that is found is in balance, more often than not.
 *
 * In the first minutes rates are hardly known and most ages not at all, so what
 * the stages make of them is mostly error. Paths are moved towards what is there
 * now, less and less, the far ones for longer than the near ones; but not where
 * they speak of something much larger than what they do not know.
 */
#include "lib/forecast/priv.h"

#include <math.h>

#define COLD_600_S 400.0 /* for how long, at +10 min */
#define SURE_SD	   3.0	 /* a drift as large as this is believed half */

void fc_balance_cold(struct forecast *f)
{
	double watched_s = (double)(f->now_s - f->start_s), now = f->stat.count;
	unsigned int i, p;

	for (i = 0; i < FC_PATH_POINTS; i++) {
		double cold = watched_s / (COLD_600_S * sqrt(fc_path_time_s(i) / 600.0));
		double sum = 0.0, sq = 0.0, drift, var, z2;

		if (cold > 2.5)
			continue;
		for (p = 0; p < FC_PATHS; p++) {
			drift = (double)f->path[p][i] - now;
			sum += drift;
			sq += drift * drift;
		}
		drift = sum / FC_PATHS;
		var = sq / FC_PATHS - drift * drift + (double)f->path_sd[i] * (double)f->path_sd[i];
		z2 = drift * drift / (SURE_SD * SURE_SD * (fmax(var, 0.0) + 1.0));
		drift *= exp(-cold * cold) / (1.0 + z2 * z2);
		for (p = 0; p < FC_PATHS; p++)
			f->path[p][i] -= (float)drift;
	}
}
