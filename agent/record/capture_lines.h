// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lines of a recording, written to capture->out. Private to capture.c. A line that
 * could not be written is noted in capture->write_error, the first error only; nothing
 * is written after that.
 */
#ifndef CONNTIDE_AGENT_RECORD_CAPTURE_LINES_H
#define CONNTIDE_AGENT_RECORD_CAPTURE_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/record/capture.h"

void capture_write_head(struct capture *capture, uint32_t day_s);
/* All, or those that changed since they were written. */
void capture_write_timeouts(struct capture *capture, bool all);
/* One DUMP line for each entry of the roster, at t = 0. */
void capture_write_table(struct capture *capture);
void capture_write_event(struct capture *capture, const struct ct_event *event);
void capture_write_stat(struct capture *capture);
void capture_write_eval(struct capture *capture);
/* Nothing before t = 0. */
void capture_write_lost(struct capture *capture, uint64_t lost);
void capture_flush(struct capture *capture);

#endif
