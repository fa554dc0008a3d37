// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What conntide-replay says: the answer to an EVAL line as one line of JSON, and at
 * the end a summary of the trace, for people or as JSON.
 *
 * Numbers are always finite: what is not within the horizon is null. Errors of the
 * stream stay in it (ferror()); the caller looks. One thread.
 */
#ifndef CONNTIDE_REPLAY_REPLAY_PRINT_H
#define CONNTIDE_REPLAY_REPLAY_PRINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "exporters/replay/replay.h"
#include "lib/forecast/forecast.h"

/* `words`: with the verdict and what it rests on. */
void replay_print_answer(FILE *out, uint64_t k, const struct fc_forecast *fc, bool words);

/* After replay_end(). `fc`: of the last second. */
void replay_print_summary(FILE *out, const struct replay *replay, const struct fc_forecast *fc);
void replay_print_summary_json(FILE *out, const struct replay *replay,
			       const struct fc_forecast *fc);

#endif
