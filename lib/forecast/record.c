// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/record.h"

#include <string.h>

#include "lib/forecast/numbers.h"

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

void fc_record_keep(struct fc_record *re, int64_t now_s, const struct fc_count *said)
{
	unsigned int h;

	if (re->n && now_s - re->past[(re->n - 1) % FC_RECORDS].at_s < FC_RECORD_S)
		return;
	re->past[re->n % FC_RECORDS].at_s = now_s;
	for (h = 0; h < FC_RECORD_HORIZONS; h++) {
		re->past[re->n % FC_RECORDS].lo[h] = (float)said[h].lo80;
		re->past[re->n % FC_RECORDS].hi[h] = (float)said[h].hi80;
	}
	re->n++;
}

void fc_record_second(struct fc_record *re, int64_t now_s, double count, bool learn)
{
	unsigned int h, i;

	for (h = 0; h < FC_RECORD_HORIZONS; h++) {
		/* in the order in which they were kept */
		for (; re->compared[h] < re->n; re->compared[h]++) {
			bool in;

			i = re->compared[h] % FC_RECORDS;
			if (now_s < re->past[i].at_s + fc_horizon_s[h])
				break;
			in = count >= (double)re->past[i].lo[h] &&
			     count <= (double)re->past[i].hi[h];
			re->held[h] += in;
			re->scale[h] *= learn ? exp(RATE * (in ? -OUTSIDE : 1.0 - OUTSIDE)) : 1.0;
			re->scale[h] = fc_between(re->scale[h], LEAST, MOST);
		}
	}
}
