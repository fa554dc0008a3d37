// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What chance is replaced by: fixed numbers, so that the same input gives the same
 * forecast. A stream is one quantity drawn once for each path; streams are told apart by
 * number. Pure.
 */
#ifndef CONNTIDE_FORECAST_DRAW_H
#define CONNTIDE_FORECAST_DRAW_H

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

#endif
