// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The parts that have to earn their place: compiled without one of them the forecast must be
 * worse (make forecast-ablation; tests/replay/forecast/bounds.parts). FC_PARTS_OFF is 0 but in
 * those builds.
 */
#ifndef CONNTIDE_FORECAST_PARTS_H
#define CONNTIDE_FORECAST_PARTS_H

#ifndef FC_PARTS_OFF
#define FC_PARTS_OFF 0
#endif

enum fc_part {
	FC_PART_SHARED = 1,	 /* changes that several classes share */
	FC_PART_TRENDS = 2,	 /* changes of demand other than jumps */
	FC_PART_SPREAD = 4,	 /* the measured noise of arrivals */
	FC_PART_SHIFT = 8,	 /* stays that change */
	FC_PART_ROUNDS = 16,	 /* the collector's rhythm */
	FC_PART_SEASON = 32,	 /* the day */
	FC_PART_PULSES = 64,	 /* jobs by the clock */
	FC_PART_FULL = 128,	 /* what holds the count below the limit */
	FC_PART_RETURNING = 256, /* the evicted that come back at once */
	FC_PART_SCALE = 512,	 /* intervals scaled by past errors */
};

#define FC_HAS(part) (!(FC_PARTS_OFF & (part)))

#endif
