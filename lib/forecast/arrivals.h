// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many arrive, and how many will: one model for all classes.
 *
 * Arrivals are counted in bins of FC_BIN_S. An explanation (struct fc_shape) says that since
 * n bins ago the rates of those that take part are w(t) times what they were: a jump
 * (w = J), a trend (w = 1 + b t), a trend that ended e bins ago, or a jump back from then. For one
 * class its likelihood against "nothing changed" is in closed form from prefix sums; over classes
 * they multiply, with an even chance for each to take part: a step or a ramp of demand shows in
 * many classes at once, in each one weakly. The same list, weighed by one class alone, says what
 * happened to that class only. What was certain and is over is what later changes are compared
 * with.
 *
 * The noise is measured, not assumed: the spread of sums over 1, 2, 4 .. bins as a multiple of
 * the Poisson one, from second differences, which a line cannot inflate. Bursts at random and
 * demand that wanders have a spread that grows with the scale, and so look like themselves
 * instead of like a change.
 *
 * Rates per second, slopes per second squared, bins of FC_BIN_S. Pure.
 */
#ifndef CONNTIDE_FORECAST_ARRIVALS_H
#define CONNTIDE_FORECAST_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/forecast/numbers.h"
#include "lib/forecast/parts.h"

#define FC_BIN_S   5
#define FC_HISTORY 480
#define FC_SCALES  4   /* sums over 1, 2, 4, 8 bins */
#define FC_SLOPES  32  /* up and down */
#define FC_OLDEST  300 /* bins ago at which a change may have begun */
#define FC_SHAPES  5900
#define FC_NOTHING FC_SHAPES /* picked: no change */

struct fc_arrivals {	     /* of one class */
	float y[FC_HISTORY]; /* by bin, newest at `at` */
	unsigned int at, n, usable;
	double bin;		 /* arrivals in the bin under way */
	double mean_per_s;	 /* slow mean */
	bool censored;		 /* events of this bin were lost */
	bool begun;		 /* the bin of the first arrival, seen in part only, is over */
	float spread[FC_SCALES]; /* variance of sums, as a multiple of their mean */
	uint16_t pick[FC_PATHS]; /* what each path believes of this class alone */
};

enum fc_shape_kind { FC_SHAPE_JUMP, FC_SHAPE_TREND };

struct fc_shape {
	uint8_t kind;
	uint16_t began, ended; /* bins ago; 0: has not ended */
	uint8_t steep;	       /* which slope */
	float log_prior;
};

struct fc_demand {			       /* of all classes */
	float log_w[FC_SLOPES][FC_OLDEST + 1]; /* of trends, by bins since they began */
	struct fc_shape shape[FC_SHAPES];
	unsigned int n_shapes;
	float log_none;
	uint16_t pick[FC_PATHS]; /* which shared change each path believes in */
	float shared[FC_SHAPES + 1], own[FC_SHAPES + 1]; /* log weights, while they are made */
};

struct fc_sums {
	float bin[FC_HISTORY];	  /* newest first */
	double y[FC_HISTORY + 1]; /* sums over the newest k */
	unsigned int n;
};

struct fc_line { /* the rate of a class on one path, from now */
	double level, slope;
	double lasts_s; /* the slope */
};

void fc_demand_init(struct fc_demand *d);
/*
 * The end of a bin: a[0..n), NULL where there is no class. The bin in which the first arrives is
 * left out: the class was there for a part of it, and that part begins with an arrival.
 */
void fc_demand_bin(struct fc_demand *d, struct fc_arrivals *const *a, unsigned int n);

/* In the last n bins. */
double fc_arrivals_last(const struct fc_arrivals *a, unsigned int n);
void fc_arrivals_sum(const struct fc_arrivals *a, struct fc_sums *s);
/* Arrivals per second at quiet times. */
double fc_arrivals_low(const struct fc_arrivals *a);

/* One path of one class. */
struct fc_path_of {
	const float *normals; /* fc_draw_normals() */
	unsigned int class_id;
	unsigned int path;
	double low;   /* fc_arrivals_low() */
	double day_s; /* that demand follows */
};

/* The line that explains the arrivals on that path. */
struct fc_line fc_arrivals_line(const struct fc_demand *d, const struct fc_arrivals *a,
				const struct fc_sums *s, const struct fc_path_of *path);

#endif
