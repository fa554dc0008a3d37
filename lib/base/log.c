// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/utf8.h"

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

/* Control characters, also those of U+0080 to U+009F: terminals obey them. */
static bool is_control(const char *in, size_t bytes)
{
	unsigned char first = (unsigned char)in[0], second = (unsigned char)in[1];

	return (bytes == 1 && (first < 0x20 || first == 0x7f)) ||
	       (bytes == 2 && first == 0xc2 && second < 0xa0);
}

/* Escapes quotes, backslashes and control characters, and replaces bytes that are not UTF-8:
 * valid in logfmt and in JSON. */
static void escape(char *out, size_t room, const char *in)
{
	size_t n = 0;

	while (*in && n + 7 < room) {
		size_t bytes = utf8_bytes(in);

		if (bytes == 0) {
			n += (size_t)snprintf(out + n, room - n, "\\ufffd");
			bytes = 1;
		} else if (*in == '"' || *in == '\\') {
			out[n++] = '\\';
			out[n++] = *in;
		} else if (is_control(in, bytes)) {
			n += (size_t)snprintf(out + n, room - n, "\\u%04x",
					      (unsigned char)in[bytes - 1]);
		} else {
			memcpy(out + n, in, bytes);
			n += bytes;
		}
		in += bytes;
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
	/* Nothing can report that the log itself cannot be written. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}
