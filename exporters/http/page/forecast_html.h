// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The forecast on the page: the verdict, a chart, and the facts behind it, as HTML
 * with classes of the page's style sheet; no style or script of its own.
 *
 * The chart is an inline SVG: entries of the last hour, then the hour to come as a fan
 * (80 % interval) around the median, and the limit where it is in reach. Its
 * size is bounded: at most one point a column. Pure: `now_real_ns` is the caller's.
 */
#ifndef CONNTIDE_HTTP_PAGE_FORECAST_HTML_H
#define CONNTIDE_HTTP_PAGE_FORECAST_HTML_H

#include <stdint.h>

#include "exporters/render/text.h"
#include "lib/shm/snapshot.h"

/* `history`: seconds, oldest first; NULL: no chart of the past. */
void render_forecast_html(const struct snapshot *snap, const struct snap_history *history,
			  uint64_t now_real_ns, struct text *out);

/* Rules for what the above writes; colours are variables the page sets. */
extern const char forecast_style[];

#endif
