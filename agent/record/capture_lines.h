// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lines of a recording, written to capture->out. Private to capture.c. The first write
 * error is kept in capture->write_error; nothing is written after it.
 */
#ifndef CONNTIDE_AGENT_RECORD_CAPTURE_LINES_H
#define CONNTIDE_AGENT_RECORD_CAPTURE_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/record/capture.h"

void capture_write_head(struct capture *capture, uint32_t day_s);
/* All of them, or those that changed since they were last written. */
void capture_write_timeouts(struct capture *capture, bool all);
/* One DUMP line for each entry of the list, at t = 0. */
void capture_write_table(struct capture *capture);
void capture_write_event(struct capture *capture, const struct ct_event *event);
void capture_write_stat(struct capture *capture);
void capture_write_eval(struct capture *capture);
/* Writes nothing before t = 0. */
void capture_write_lost(struct capture *capture, uint64_t lost);
void capture_flush(struct capture *capture);

#endif
