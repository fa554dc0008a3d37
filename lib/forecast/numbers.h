// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The arithmetic that the parts of the forecast share: bins of age and of lateness, what chance is
 * replaced by, and quantiles. Pure.
 */
#ifndef CONNTIDE_FORECAST_NUMBERS_H
#define CONNTIDE_FORECAST_NUMBERS_H

#include <math.h>
#include <stdint.h>

/* Bins of age and of lateness, s: of one second while young, then eight to each doubling. Of n
 * bins; below 0 is in the first, beyond the last in the last. */
#define FC_BINS_FINE 128 /* of one second */
#define FC_AGE_BINS  224
#define FC_LATE_BINS 152

unsigned int fc_bin(int64_t s, unsigned int n);
/* Where a bin begins, s. */
float fc_bin_start(unsigned int bin);

/*
 * Instead of chance, fixed numbers, so that the same input gives the same forecast. A stream is
 * one quantity drawn once for each path; streams are told apart by number.
 */
#define FC_PATHS   200
#define FC_NORMALS 8192

/*
 * The middle of one of FC_PATHS equal parts of (0, 1). Over the paths each part comes once,
 * in an order that depends on the stream (tests/replay/forecast/test_forecast.c).
 */
double fc_draw_part(unsigned int stream, unsigned int path);
/* Standard normal, the i-th of a stream; of FC_NORMALS numbers that fc_draw_fill() made. */
float fc_draw_normal(const float *normals, unsigned int stream, unsigned int i);
void fc_draw_fill(float *normals);

static inline double fc_between(double x, double least, double most)
{
	return fmin(fmax(x, least), most);
}

/* In order; and what lies in the middle of equal parts of n of them. */
void fc_sort(float *x, unsigned int n);
double fc_quantile(const float *sorted, unsigned int n, double q);

#endif
