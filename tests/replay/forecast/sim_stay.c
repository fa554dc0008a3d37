// SPDX-License-Identifier: GPL-2.0-or-later
/* How long connections last: drawn, survived, and drawn given an age. */
#include "sim_table.h"

/* The hyperexponential: with probability stay_shape the long one. */
#define HYPER_LONG  4.0
#define HYPER_SHORT 0.5

double stay_draw_s(const struct sim_service *sv, double scale_s, struct rng *r)
{
	switch (sv->stay) {
	case STAY_LOGNORMAL:
		return scale_s * exp(sv->stay_shape * rng_normal(r));
	case STAY_PARETO: /* scale_s is the median */
		return scale_s * pow(2.0 * rng_u(r), -1.0 / sv->stay_shape);
	case STAY_FIXED:
		return scale_s;
	case STAY_HYPER:
		return rng_exp(r, scale_s * (rng_u(r) < sv->stay_shape ? HYPER_LONG : HYPER_SHORT));
	default:
		return rng_exp(r, scale_s);
	}
}

double stay_survival(const struct sim_service *sv, double scale_s, double age_s)
{
	if (age_s <= 0.0)
		return 1.0;
	switch (sv->stay) {
	case STAY_LOGNORMAL:
		return 0.5 * erfc(log(age_s / scale_s) / sv->stay_shape / sqrt(2.0));
	case STAY_PARETO:
		return fmin(1.0, 0.5 * pow(age_s / scale_s, -sv->stay_shape));
	case STAY_FIXED:
		return age_s < scale_s ? 1.0 : 0.0;
	case STAY_HYPER:
		return sv->stay_shape * exp(-age_s / (scale_s * HYPER_LONG)) +
		       (1.0 - sv->stay_shape) * exp(-age_s / (scale_s * HYPER_SHORT));
	default:
		return exp(-age_s / scale_s);
	}
}

/* A standard normal above `low`: Robert (1995), rejection from an exponential. */
static double normal_above(struct rng *r, double low)
{
	double z, rate = 0.5 * (low + sqrt(low * low + 4.0));

	if (low <= 0.0) {
		do
			z = rng_normal(r);
		while (z < low);
		return z;
	}
	do
		z = low + rng_exp(r, 1.0 / rate);
	while (rng_u(r) > exp(-0.5 * (z - rate) * (z - rate)));
	return z;
}

double stay_beyond_s(const struct sim_service *sv, double scale_s, double age_s, struct rng *r)
{
	double p_long;

	if (age_s <= 0.0)
		return stay_draw_s(sv, scale_s, r);
	switch (sv->stay) {
	case STAY_LOGNORMAL:
		return scale_s *
		       exp(sv->stay_shape * normal_above(r, log(age_s / scale_s) / sv->stay_shape));
	case STAY_PARETO:
		return scale_s * pow(2.0 * rng_u(r) * stay_survival(sv, scale_s, age_s),
				     -1.0 / sv->stay_shape);
	case STAY_FIXED:
		return fmax(scale_s, age_s);
	case STAY_HYPER:
		p_long = sv->stay_shape * exp(-age_s / (scale_s * HYPER_LONG)) /
			 stay_survival(sv, scale_s, age_s);
		return age_s + rng_exp(r, scale_s * (rng_u(r) < p_long ? HYPER_LONG : HYPER_SHORT));
	default:
		return age_s + rng_exp(r, scale_s);
	}
}
