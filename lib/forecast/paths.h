// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From curves to a fixed number of paths that the count may take, and from those to what is
 * said.
 *
 * The count is linear in the arrivals: what is there thins out as the curves say, and a rate
 * a + b min(s, D) adds a R0(t) + b (R1(t) - R1(t - D)), with R0 and R1 the first and second
 * integral of the share of arrivals still there. A path has a line for each class, or the
 * day's wave where that is followed. Paths come in mirrored pairs.
 *
 * Time to full is first passage of the limit. Counts are held below the kernel's max, as a
 * full table holds them, and their spread is scaled by past errors.
 *
 * Reads what was learnt and changes nothing but its working memory. Pure.
 */
#ifndef CONNTIDE_FORECAST_PATHS_H
#define CONNTIDE_FORECAST_PATHS_H

#include "lib/forecast/project.h"

/* points of a path: every 6 s up to 600 s, then every second coarse one */
#define FC_PATH_DT    6
#define FC_PATH_FINE  (600 / FC_PATH_DT)
#define FC_PATH_FAR_S (2 * FC_COARSE_DT)
#define FC_POINTS     (FC_PATH_FINE + 3000 / FC_PATH_FAR_S)

struct fc_response { /* of the count at the points of a path, to arrivals of one class */
	float r0[FC_POINTS], r1[FC_POINTS]; /* see above */
	float day[FC_POINTS];		    /* to those that follow the day */
	float r1_grid[FC_GRIDS][FC_GRID_MOST];
	struct fc_line mean; /* its rate */
};

struct fc_work {
	struct fc_project_work project;
	struct fc_curve curve[FC_GRIDS]; /* of one class */
	struct fc_response response;
	struct fc_sums sums;
	float path[FC_PATHS][FC_POINTS], mean[FC_POINTS], sd[FC_POINTS];
	float due[FC_FINE_N], late[FC_LATE_N], flat[FC_FINE_N], left[FC_FINE_N];
	double saw_now; /* the count above the middle of what rounds make of it */
	double rate_per_s;
	double later; /* entries that it is beyond the hour's, where it settles */
};

/* Fills the numbers of *out (not verdict and alarm), whose limit is set. */
void fc_paths(const struct forecast *f, struct fc_work *w, struct fc_forecast *out);
/* Of those, the times and chances: when the paths in *w reach the limit. */
void fc_read_passage(const struct forecast *f, const struct fc_work *w, struct fc_forecast *out);

#endif
