// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/numbers.h"

#include <stdlib.h>

/* ---- bins ---- */

#define FINE_LOG2 7
#define EACH_LOG2 3 /* bins to a doubling */

_Static_assert(FC_BINS_FINE == 1 << FINE_LOG2, "as it says");

unsigned int fc_bin(int64_t s, unsigned int n)
{
	unsigned int doubling, bin;

	if (s < FC_BINS_FINE)
		return s < 0 ? 0 : (unsigned int)s;
	doubling = 63u - FINE_LOG2 - (unsigned int)__builtin_clzll((unsigned long long)s);
	/* the leading bits, of which the first is always set */
	bin = FC_BINS_FINE + (doubling << EACH_LOG2) - (1u << EACH_LOG2) +
	      (unsigned int)(s >> (doubling + FINE_LOG2 - EACH_LOG2));
	return bin < n ? bin : n - 1;
}

float fc_bin_start(unsigned int bin)
{
	unsigned int beyond = bin - FC_BINS_FINE, each = 1u << EACH_LOG2;

	if (bin < FC_BINS_FINE)
		return (float)bin;
	return (float)((each + beyond % each) << (beyond / each + FINE_LOG2 - EACH_LOG2));
}

/* ---- instead of chance ---- */

/* Without a common factor with FC_PATHS: a step of that size meets every path once. */
static const uint8_t step[] = {73, 101, 67, 29, 83, 37, 151, 113, 59, 187, 131, 171};

_Static_assert(FC_PATHS == 200, "the steps have neither 2 nor 5 as a factor");

static uint32_t mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ x >> 16;
}

double fc_draw_part(unsigned int stream, unsigned int path)
{
	uint32_t start = mix(stream + 1u);

	return ((path * step[stream % sizeof(step)] + start % FC_PATHS) % FC_PATHS + 0.5) /
	       FC_PATHS;
}

float fc_draw_normal(const float *normals, unsigned int stream, unsigned int i)
{
	return normals[(mix(stream + 1u) + i) % FC_NORMALS];
}

/* Box and Muller, from xorshift. */
void fc_draw_fill(float *normals)
{
	uint64_t s = 88172645463325252u;
	unsigned int i, k;

	for (i = 0; i < FC_NORMALS; i += 2) {
		double u[2], r;

		for (k = 0; k < 2; k++) {
			s ^= s << 13;
			s ^= s >> 7;
			s ^= s << 17;
			u[k] = ((double)(s >> 11) + 0.5) / 9007199254740992.0;
		}
		r = sqrt(-2.0 * log(u[0]));
		normals[i] = (float)(r * cos(6.283185307179586 * u[1]));
		normals[i + 1] = (float)(r * sin(6.283185307179586 * u[1]));
	}
}

/* ---- quantiles ---- */

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

void fc_sort(float *x, unsigned int n)
{
	qsort(x, n, sizeof(x[0]), by_value);
}

double fc_quantile(const float *sorted, unsigned int n, double q)
{
	double x = fc_between(q * n - 0.5, 0.0, n - 1.001);
	unsigned int i = (unsigned int)x;

	return (double)sorted[i] + (x - (double)i) * (double)(sorted[i + 1] - sorted[i]);
}
