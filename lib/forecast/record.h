// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The forecast's accuracy: past intervals, and whether they held. Later intervals are widened
 * or narrowed so that the share outside is what it should be (online conformal prediction),
 * for each horizon. Seconds of the forecast's clock, entries. Pure.
 */
#ifndef CONNTIDE_FORECAST_RECORD_H
#define CONNTIDE_FORECAST_RECORD_H

#include "lib/forecast/forecast.h"

#define FC_RECORDS	   80 /* one every FC_RECORD_S seconds for longer than the last horizon */
#define FC_RECORD_S	   10
#define FC_RECORD_HORIZONS 3 /* the first of fc_horizon_s */

struct fc_record {
	struct {
		int64_t at_s;
		float lo[FC_RECORD_HORIZONS], hi[FC_RECORD_HORIZONS];
	} past[FC_RECORDS];
	unsigned int n; /* kept so far; the i-th is in past[i % FC_RECORDS] */
	double scale[FC_RECORD_HORIZONS];
	unsigned int compared[FC_RECORD_HORIZONS], held[FC_RECORD_HORIZONS];
};

void fc_record_init(struct fc_record *re);
/* What was said now of each horizon. */
void fc_record_keep(struct fc_record *re, int64_t now_s, const struct fc_count *said);
/* The end of a second; learn: whether it may scale what comes. */
void fc_record_second(struct fc_record *re, int64_t now_s, double count, bool learn);

#endif
