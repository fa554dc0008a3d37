// SPDX-License-Identifier: GPL-2.0-or-later
/* From numbers to one verdict: what it is about, the number beside it and the word for it are
 * of the same moment, an hour from now. Pure. */
#ifndef CONNTIDE_FORECAST_VERDICT_H
#define CONNTIDE_FORECAST_VERDICT_H

#include "lib/forecast/state.h"

/* saw_now: how far the count is above the middle of the collector's sawtooth. */
void fc_verdict(const struct forecast *f, double saw_now, struct fc_forecast *out);

#endif
