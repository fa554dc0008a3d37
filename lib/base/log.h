// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One line per event on standard error, logfmt or JSON, with a level and the
 * subsystem as token. Included by top-layer files only: everything below returns -errno and
 * leaves the message to its caller (checked by tests/lint).
 *
 * Under systemd (JOURNAL_STREAM set) lines carry the <n> priority prefix and no
 * time of their own. Threads: a line is one write(2), so lines do not mix.
 */
#ifndef CONNTIDE_BASE_LOG_H
#define CONNTIDE_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* `program` must outlive the process's logging. */
void log_init(const char *program);

/* "error", "warn", "info", "debug": 0, or -EINVAL and nothing changed. */
int log_set_level(const char *name);

/* "logfmt" or "json": 0, or -EINVAL and nothing changed. */
int log_set_format(const char *name);

bool log_wants(enum log_level level);

void log_line(enum log_level level, const char *token, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(token, ...) log_line(LOG_ERROR, token, __VA_ARGS__)
#define log_warn(token, ...)  log_line(LOG_WARN, token, __VA_ARGS__)
#define log_info(token, ...)  log_line(LOG_INFO, token, __VA_ARGS__)
#define log_debug(token, ...) log_line(LOG_DEBUG, token, __VA_ARGS__)

#endif
