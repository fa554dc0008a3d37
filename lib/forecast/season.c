// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/season.h"

#include <math.h>
#include <string.h>

#include "lib/forecast/numbers.h"

#define BIN_S	       5.0
#define FORGET_DAYS    1.5
#define LEAST_DAYS     0.2
#define USUAL_SWING    0.3 /* of the level; holds the fit while little of a day was seen */
#define MEAN_BINS      FC_SEASON_MEAN
#define ERROR_BINS     60.0 /* errors are remembered for */
#define LEAST_COMPARED 40
#define WORSE	       0.9 /* share of the other's squared error at which none follow, */
#define BETTER	       0.6 /* and at which most do */
#define MOST_PATHS     0.9
#define NOISE	       1.3 /* of all classes, as times the Poisson one */
#define SCALE_BINS     24.0

void fc_season_init(struct fc_season *se, double day_s)
{
	memset(se, 0, sizeof(*se));
	se->day_s = day_s;
	se->scale = 1.0;
}

static void basis(const struct fc_season *se, double at_s, double *x)
{
	double turn = 6.283185307179586 * at_s / se->day_s;
	unsigned int k;

	x[0] = 1.0;
	for (k = 1; k <= FC_WAVES; k++) {
		x[2 * k - 1] = cos(k * turn);
		x[2 * k] = sin(k * turn);
	}
}

/* c = s^-1 v by Cholesky, with the swing held by what is usual, and by how much it bends. */
static void solve(const struct fc_season *se, const double *v, double *c)
{
	double a[FC_COEFS][FC_COEFS], hold, level = se->s[0][0] > 0.0 ? v[0] / se->s[0][0] : 0.0;
	unsigned int i, j, k;

	memset(c, 0, FC_COEFS * sizeof(*c));
	if (level <= 0.0)
		return;
	hold = 1.0 / (USUAL_SWING * USUAL_SWING * level);
	for (i = 0; i < FC_COEFS; i++) {
		c[i] = v[i];
		for (j = 0; j <= i; j++) {
			a[i][j] = se->s[i][j] +
				  (i == j && i ? hold * pow((i + 1) / 2, 4) : 1e-9 * (i == j));
			for (k = 0; k < j; k++)
				a[i][j] -= a[i][k] * a[j][k];
			a[i][j] = i == j ? sqrt(fmax(a[i][j], 1e-9)) : a[i][j] / a[j][j];
			if (j < i)
				c[i] -= a[i][j] * c[j];
		}
		c[i] /= a[i][i];
	}
	for (i = FC_COEFS; i--;) {
		for (k = i + 1; k < FC_COEFS; k++)
			c[i] -= a[k][i] * c[k];
		c[i] /= a[i][i];
	}
}

double fc_season_rate(const struct fc_season *se, const double *c, double at_s)
{
	double x[FC_COEFS], sum = 0.0;
	unsigned int i;

	basis(se, at_s, x);
	for (i = 0; i < FC_COEFS; i++)
		sum += c[i] * x[i];
	return fmax(sum, 0.0);
}

/* What was foretold of the minute that is over, by either. */
static void compare(struct fc_season *se, double mean)
{
	double keep = 1.0 - 1.0 / ERROR_BINS, noise = fmax(mean, 1.0) / MEAN_BINS;
	double fit = se->said[se->at].fit, now = se->said[se->at].now;

	if (se->bins > FC_SEASON_AHEAD + MEAN_BINS) {
		/* in a steady table a mean of the past is better than that of a minute: no
		 * reason to follow */
		se->err_fit = keep * se->err_fit + (mean - fit) * (mean - fit) + NOISE * noise;
		se->err_now = keep * se->err_now + (mean - now) * (mean - now);
		se->compared++;
	}
	se->weight = 0.0;
	if (se->compared < LEAST_COMPARED || se->bins * BIN_S < LEAST_DAYS * se->day_s)
		return;
	se->weight = (WORSE - se->err_fit / fmax(se->err_now, 1e-9)) / (WORSE - BETTER);
	se->weight = MOST_PATHS * fc_between(se->weight, 0.0, 1.0);
}

void fc_season_bin(struct fc_season *se, double now_s, const float *y, unsigned int n,
		   double recent)
{
	double keep = exp(-BIN_S / (FORGET_DAYS * se->day_s)), x[FC_COEFS], c[FC_COEFS], said;
	double all[FC_COEFS] = {0};
	unsigned int i, k;

	basis(se, now_s - 0.5 * BIN_S, x);
	for (i = 0; i < FC_COEFS; i++)
		for (k = 0; k < FC_COEFS; k++)
			se->s[i][k] = keep * se->s[i][k] + x[i] * x[k];
	for (i = 0; i < n; i++)
		for (k = 0; k < FC_COEFS; k++) {
			se->v[i][k] = y[i] < 0.0f ? 0.0 : keep * se->v[i][k] + x[k] * (double)y[i];
			all[k] += se->v[i][k];
		}
	se->bins++;
	solve(se, all, c);
	said = fc_season_rate(se, c, now_s - 0.5 * MEAN_BINS * BIN_S) * se->scale;
	compare(se, recent);
	if (said > 0.0)
		se->scale *=
			exp(fc_between(log(fmax(recent, 1e-3) / said), -0.7, 0.7) / SCALE_BINS);
	se->scale = fc_between(se->scale, 0.5, 2.0);
	se->said[se->at].now = recent;
	se->said[se->at].fit =
		se->scale *
		fc_season_rate(se, c, now_s + (FC_SEASON_AHEAD - 0.5 * MEAN_BINS) * BIN_S);
	se->at = (se->at + 1) % FC_SEASON_AHEAD;
}

void fc_season_coefs(const struct fc_season *se, unsigned int class_id, double *c)
{
	unsigned int i;

	solve(se, se->v[class_id], c);
	for (i = 0; i < FC_COEFS; i++)
		c[i] *= se->scale / BIN_S;
}
