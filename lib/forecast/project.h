// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The population of one class pushed through its stages, on two grids of time.
 *
 * An entry of age index i (age / dt) behaves as an arrival i steps ago that is still there, so
 * one table of step survival serves both the present population and one unit of arrivals.
 * Stages are passed in their order; what leaves one in a step enters the next in the same
 * step. What leaves the last or expires is gone; the count is what has not gone.
 *
 * Entries; time from now in steps of the grid. Changes nothing but its working memory. Pure.
 */
#ifndef CONNTIDE_FORECAST_PROJECT_H
#define CONNTIDE_FORECAST_PROJECT_H

#include "lib/forecast/state.h"

#define FC_FINE_DT   3
#define FC_FINE_N    201 /* points at 0, 3, .. 600 s */
#define FC_COARSE_DT 24
#define FC_COARSE_N  151 /* points at 0, 24, .. 3600 s */
#define FC_GRID_MOST FC_FINE_N
#define FC_LATE_N    67 /* lateness in steps of FC_FINE_DT */

enum { FC_FINE, FC_COARSE, FC_GRIDS };

struct fc_grid {
	unsigned int dt_s, points;
	unsigned int sub; /* parts of a step, to place a deadline in it */
};

extern const struct fc_grid fc_grid[FC_GRIDS];

struct fc_curve {
	float stay[FC_GRID_MOST];     /* present entries still here */
	float stay_var[FC_GRID_MOST]; /* variance of it */
	float unit[FC_GRID_MOST];     /* share of entries arrived in step 0 still here */
	/* fine grid only: passing a fixed deadline in a step, whenever they go then */
	float due[FC_GRID_MOST], due_unit[FC_GRID_MOST];
	float late[FC_LATE_N]; /* past it already, by lateness */
};

struct fc_project_work {
	float late_survive[FC_LATE_N]; /* fc_late_survival(), made by the caller */
	float go[FC_STAGES][FC_AGE_BINS], end[FC_STAGES][FC_LATE_BINS], go_new[FC_AGE_BINS];
	float inflow[FC_STAGES][2][FC_GRID_MOST]; /* of present entries, of one arrival */
};

/* One class on all grids. */
void fc_project(const struct forecast *f, unsigned int class_id, struct fc_project_work *w,
		struct fc_curve curve[FC_GRIDS]);

/*
 * On the fine grid: those due by step (from 1), and those past their deadline now by lateness, who
 * are not collected yet by the chance to be still there. Added to left[].
 */
void fc_add_uncollected(const float *due, const float *late, const float *survive, float *left);

/* to[] += x of[] */
void fc_add_scaled(float *restrict to, const float *restrict of, float x, unsigned int n);

#endif
