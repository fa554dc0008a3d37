// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The output of conntide-replay: the answer to an EVAL line as one line of JSON, and at the
 * end a summary of the trace, as text or as JSON.
 *
 * Numbers are always finite: null beyond the horizon. Stream errors stay in the stream; the
 * caller checks ferror(). Threads: one.
 */
#ifndef CONNTIDE_REPLAY_REPLAY_PRINT_H
#define CONNTIDE_REPLAY_REPLAY_PRINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "exporters/replay/replay.h"
#include "lib/forecast/forecast.h"

/* `words`: with the verdict and what drives it. */
void replay_print_answer(FILE *out, uint64_t k, const struct fc_forecast *fc, bool words);

/* After replay_end(). `fc`: the forecast of the last second. */
void replay_print_summary(FILE *out, const struct replay *replay, const struct fc_forecast *fc);
void replay_print_summary_json(FILE *out, const struct replay *replay,
			       const struct fc_forecast *fc);

#endif
