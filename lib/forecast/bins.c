// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/bins.h"

#include <math.h>

#define AGE_WIDER  0.07
#define LATE_WIDER 0.25

static unsigned int bin_of(int64_t s, unsigned int fine, double wider, unsigned int bins)
{
	unsigned int b;

	if (s < (int64_t)fine)
		return s < 0 ? 0 : (unsigned int)s;
	b = fine + (unsigned int)(log((double)s / fine) / wider);
	return b < bins ? b : bins - 1;
}

unsigned int fc_age_bin(int64_t age_s)
{
	return bin_of(age_s, FC_AGE_FINE, AGE_WIDER, FC_AGE_BINS);
}

unsigned int fc_late_bin(int64_t late_s)
{
	return bin_of(late_s, FC_LATE_FINE, LATE_WIDER, FC_LATE_BINS);
}

double fc_age_bin_start(unsigned int bin)
{
	return bin <= FC_AGE_FINE ? bin : FC_AGE_FINE * exp(AGE_WIDER * (bin - FC_AGE_FINE));
}

double fc_late_bin_start(unsigned int bin)
{
	return bin <= FC_LATE_FINE ? bin : FC_LATE_FINE * exp(LATE_WIDER * (bin - FC_LATE_FINE));
}
