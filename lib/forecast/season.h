// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Demand that follows the day: a level and FC_WAVES waves of a day's length and its parts.
 *
 * Each class's arrivals by bin are fitted by least squares that forgets in days; classes share
 * the matrix. Days are smooth: the shorter a wave, the more it takes to believe in it. None is
 * followed before a fifth of a day was seen. Days differ: the fit is scaled by what came lately.
 * Whether the day is worth following is asked of the data: what the fit said FC_SEASON_AHEAD bins
 * ago of all arrivals now, against the rate there was then. Only where the fit's squared error is
 * clearly below the other's do paths follow it.
 *
 * Arrivals by bin of FC_BIN_S; seconds of the forecast's clock. Pure.
 */
#ifndef CONNTIDE_FORECAST_SEASON_H
#define CONNTIDE_FORECAST_SEASON_H

#define FC_WAVES	3
#define FC_COEFS	(1 + 2 * FC_WAVES)
#define FC_SEASON_AHEAD 60
#define FC_SEASON_N	32 /* classes */

struct fc_season {
	double day_s;
	double s[FC_COEFS][FC_COEFS], v[FC_SEASON_N][FC_COEFS]; /* normal equations */
	double err_fit, err_now;				/* squared, summed, forgetting */
	unsigned int bins, compared, at;
	struct {
		double fit, now; /* of the mean arrivals by bin FC_SEASON_AHEAD later */
	} said[FC_SEASON_AHEAD];
	double weight; /* share of the paths that follow the day */
	double scale;  /* what came lately, as times the fit */
};

void fc_season_init(struct fc_season *se, double day_s);
/*
 * The end of a bin: arrivals y[c] of each class, negative where there is no class; `recent`:
 * of all classes, mean by bin over the last FC_SEASON_MEAN.
 */
#define FC_SEASON_MEAN 12
void fc_season_bin(struct fc_season *se, double now_s, const float *y, unsigned int n,
		   double recent);
/* A class's waves, of arrivals per second; and their value at a time. */
void fc_season_coefs(const struct fc_season *se, unsigned int class_id, double *c);
double fc_season_rate(const struct fc_season *se, const double *c, double at_s);

#endif
