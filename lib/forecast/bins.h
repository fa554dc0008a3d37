// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bins of age and of lateness, s: one second wide while young, wider by a constant share
 * from then on. Pure.
 */
#ifndef CONNTIDE_FORECAST_BINS_H
#define CONNTIDE_FORECAST_BINS_H

#include <stdint.h>

#define FC_AGE_FINE  128 /* bins of 1 s below this age, 7 % wide above */
#define FC_AGE_BINS  246
#define FC_LATE_FINE 64 /* likewise, 25 % wide above */
#define FC_LATE_BINS 96

/* Ages and lateness below 0 are in the first bin, those beyond the last bin in the last. */
unsigned int fc_age_bin(int64_t age_s);
unsigned int fc_late_bin(int64_t late_s);
/* Where a bin begins, s. */
double fc_age_bin_start(unsigned int bin);
double fc_late_bin_start(unsigned int bin);

#endif
