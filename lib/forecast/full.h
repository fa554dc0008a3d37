// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A full table is not at its limit all the time: after a drop the collector's next round
 * evicts closing and unassured entries down to 95 % (gc_worker), then arrivals fill it again.
 * The rounds keep their period, so the mean deficit by second of the round foretells the next
 * ones. Seconds of the forecast's clock, entries. Pure.
 */
#ifndef CONNTIDE_FORECAST_FULL_H
#define CONNTIDE_FORECAST_FULL_H

#include <stdint.h>

#define FC_ROUND_S 64

struct fc_full {
	int64_t last_full_s, last_evict_s;
	double period_s;
	unsigned int evictions;
	float deficit[FC_ROUND_S], mean, err; /* shares of the limit */
};

void fc_full_init(struct fc_full *fu);
/* The end of a second: the count before it and now; limit: the kernel's max, > 0. */
void fc_full_second(struct fc_full *fu, int64_t now_s, double before, double count, double limit);
/* How far below the limit it is held in t_s seconds, and how much that varies. */
double fc_full_deficit(const struct fc_full *fu, int64_t now_s, double t_s, double limit,
		       double *spread);

#endif
