// SPDX-License-Identifier: GPL-2.0-or-later
/* What the renderings of why, what-if and advice share. Pure. */
#ifndef CONNTIDE_ADVICE_WRITE_H
#define CONNTIDE_ADVICE_WRITE_H

#include <math.h>
#include <stdint.h>

#include "exporters/advice/warnings.h"
#include "exporters/render/json.h"
#include "exporters/render/services.h"
#include "lib/kernel/states.h"

/* Six digits: more are not known of anything here. NaN stays. */
static inline double write_round(double value)
{
	double scale;

	if (!isfinite(value) || fabs(value) < 1e-12)
		return isfinite(value) ? 0 : (double)NAN;
	scale = pow(10, 5 - floor(log10(fabs(value))));
	return round(value * scale) / scale;
}

/* l4proto, direction, port and service, into the object that is open. */
void write_row(struct json *json, const struct row_key *key, const struct services *services);

/* An array of sentences, in an order that never changes. */
void write_warnings(struct json *json, uint32_t warnings);

#endif
