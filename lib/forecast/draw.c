// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/draw.h"

#include <math.h>
#include <stdint.h>

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
