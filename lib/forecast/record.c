// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/record.h"

#include <math.h>
#include <string.h>

/* Shocks, which cannot be foreseen, are among what falls outside: more than 20 % */
#define OUTSIDE 0.22
#define RATE	0.04
#define LEAST	0.6
#define MOST	2.5

void fc_record_init(struct fc_record *re)
{
	unsigned int h;

	memset(re, 0, sizeof(*re));
	for (h = 0; h < FC_RECORD_HORIZONS; h++)
		re->scale[h] = 1.0;
}

void fc_record_keep(struct fc_record *re, int64_t now_s, const double *lo, const double *hi)
{
	unsigned int h;

	if (re->n && now_s - re->past[(re->at + FC_RECORDS - 1) % FC_RECORDS].at_s < FC_RECORD_S)
		return;
	re->past[re->at].at_s = now_s;
	re->past[re->at].done = 0;
	for (h = 0; h < FC_RECORD_HORIZONS; h++) {
		re->past[re->at].lo[h] = (float)lo[h];
		re->past[re->at].hi[h] = (float)hi[h];
	}
	re->at = (re->at + 1) % FC_RECORDS;
	re->n = re->n < FC_RECORDS ? re->n + 1 : FC_RECORDS;
}

void fc_record_second(struct fc_record *re, int64_t now_s, const unsigned int *horizon_s,
		      double count, bool learn)
{
	unsigned int i, h;

	for (i = 0; i < re->n; i++) {
		for (h = 0; h < FC_RECORD_HORIZONS; h++) {
			bool in = count >= (double)re->past[i].lo[h] &&
				  count <= (double)re->past[i].hi[h];

			if (re->past[i].done & 1u << h || now_s < re->past[i].at_s + horizon_s[h])
				continue;
			re->past[i].done |= (uint8_t)(1u << h);
			re->compared[h]++;
			re->held[h] += in;
			if (!learn)
				continue;
			re->scale[h] *= exp(RATE * (in ? -OUTSIDE : 1.0 - OUTSIDE));
			re->scale[h] = fmin(fmax(re->scale[h], LEAST), MOST);
		}
	}
}
