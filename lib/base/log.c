// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1024

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const int level_priorities[] = {3, 4, 6, 7};

static struct {
	const char *program;
	enum log_level level;
	enum log_format format;
	bool journal;
} settings = {.program = "conntide", .level = LOG_INFO};

void log_init(const char *program)
{
	settings.program = program;
	settings.journal = getenv("JOURNAL_STREAM") != NULL;
}

int log_set_level(const char *name)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			settings.level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

int log_set_format(const char *name)
{
	if (strcmp(name, "logfmt") == 0)
		settings.format = LOG_FORMAT_LOGFMT;
	else if (strcmp(name, "json") == 0)
		settings.format = LOG_FORMAT_JSON;
	else
		return -EINVAL;
	return 0;
}

bool log_wants(enum log_level level)
{
	return level <= settings.level;
}

static void timestamp(char *out, size_t bytes)
{
	struct timespec ts;
	struct tm tm;
	char day[32];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, bytes, "%s.%03ldZ", day, ts.tv_nsec / 1000000);
}

/* Quotes, backslashes and control bytes escaped: fits logfmt and JSON alike. */
static void escape(char *out, size_t bytes, const char *in)
{
	size_t n = 0;

	for (; *in && n + 7 < bytes; in++) {
		unsigned char c = (unsigned char)*in;

		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c < 0x20) {
			n += (size_t)snprintf(out + n, bytes - n, "\\u%04x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n] = '\0';
}

void log_line(enum log_level level, const char *token, const char *fmt, ...)
{
	char text[LINE_BYTES], safe[LINE_BYTES], line[2 * LINE_BYTES + 128], at[48];
	va_list ap;
	int n;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	escape(safe, sizeof(safe), text);
	timestamp(at, sizeof(at));
	if (settings.format == LOG_FORMAT_JSON)
		n = snprintf(line, sizeof(line),
			     "{\"ts\":\"%s\",\"level\":\"%s\",\"program\":\"%s\","
			     "\"subsystem\":\"%s\",\"msg\":\"%s\"}\n",
			     at, level_names[level], settings.program, token, safe);
	else if (settings.journal)
		n = snprintf(line, sizeof(line), "<%d>level=%s subsystem=%s msg=\"%s\"\n",
			     level_priorities[level], level_names[level], token, safe);
	else
		n = snprintf(line, sizeof(line),
			     "ts=%s level=%s program=%s subsystem=%s msg=\"%s\"\n", at,
			     level_names[level], settings.program, token, safe);
	/* Nowhere to report that the log itself cannot be written. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}
