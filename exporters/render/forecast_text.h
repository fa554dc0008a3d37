// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The forecast in words, made from its numbers and their quality. The only place that words it,
 * so that terminal, HTTP, page and status agree. Pure.
 *
 *	"steady at 43 %"			"levels off at 71 %"
 *	"full in about 4 min (2-9)"		"full against the assumed limit of 1000 entries"
 *	"cannot say yet: watching for 40 s more"
 *
 * Percentages are of the limit the forecast is about, which is named where it is not
 * nf_conntrack_max. In brackets: the 10 % and the 90 % quantile.
 */
#ifndef CONNTIDE_RENDER_FORECAST_TEXT_H
#define CONNTIDE_RENDER_FORECAST_TEXT_H

#include <stdint.h>

#include "lib/shm/snapshot.h"

#define FORECAST_WORDS_BYTES 256u

/* One sentence without a full stop. Says why when it cannot say. Returns out. */
const char *forecast_words(const struct snapshot *snap, char out[FORECAST_WORDS_BYTES]);

/* "steady", "filling" ...; "unknown" when it cannot say. */
const char *forecast_verdict_code(const struct snapshot *snap);

/* "nf_conntrack_max", "the chain-length limit", "the assumed limit", "no limit". */
const char *forecast_limit_words(enum shm_limit limit);

/* "45 s", "4 min"; "not within the hour" for SHM_NEVER_MS. Returns out. */
const char *forecast_span(uint64_t ms, char out[32]);

/* When it will be full: "likely in 4 min; 1 in 10 by 2 min; 9 in 10 by 9 min", "now",
 * "likely not within the hour". Returns out. */
const char *forecast_when(const struct snapshot *snap, char out[FORECAST_WORDS_BYTES]);

/* "settles at 2900 entries, 71 % of the limit"; or that it does not, or that it cannot
 * say. Returns out. */
const char *forecast_settles(const struct snapshot *snap, char out[FORECAST_WORDS_BYTES]);

#endif
