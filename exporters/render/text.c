// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"

void text_init(struct text *text)
{
	memset(text, 0, sizeof(*text));
}

void text_free(struct text *text)
{
	free(text->data);
	text_init(text);
}

void text_clear(struct text *text)
{
	text->bytes = 0;
	text->failed = false;
	if (text->data)
		text->data[0] = '\0';
}

bool text_failed(const struct text *text)
{
	return text->failed;
}

char *text_steal(struct text *text, size_t *ret_bytes)
{
	char *data = text->data;

	*ret_bytes = text->bytes;
	text_init(text);
	return data;
}

/* Room for `more` bytes and a NUL. */
static bool text_reserve(struct text *text, size_t more)
{
	size_t room = text->room ? text->room : 512;
	char *data;

	if (text->failed)
		return false;
	if (more < text->room && text->bytes < text->room - more)
		return true;
	while (room - text->bytes <= more) {
		if (room > SIZE_MAX / 4) {
			text->failed = true;
			return false;
		}
		room *= 2;
	}
	data = realloc(text->data, room);
	if (!data) {
		text->failed = true;
		return false;
	}
	text->data = data;
	text->room = room;
	return true;
}

void text_add_bytes(struct text *text, const char *data, size_t bytes)
{
	if (!text_reserve(text, bytes))
		return;
	memcpy(text->data + text->bytes, data, bytes);
	text->bytes += bytes;
	text->data[text->bytes] = '\0';
}

void text_add(struct text *text, const char *string)
{
	text_add_bytes(text, string, strlen(string));
}

void text_add_char(struct text *text, char c)
{
	text_add_bytes(text, &c, 1);
}

void text_add_u64(struct text *text, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	text_add_bytes(text, digits + at, sizeof(digits) - at);
}

void text_add_format(struct text *text, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0 || !text_reserve(text, (size_t)n))
		return;
	va_start(args, fmt);
	vsnprintf(text->data + text->bytes, (size_t)n + 1, fmt, args);
	va_end(args);
	text->bytes += (size_t)n;
}

void text_pad(struct text *text, size_t from, size_t column)
{
	do {
		text_add_char(text, ' ');
	} while (!text->failed && text->bytes < from + column);
}

void text_add_double(struct text *text, double value)
{
	static const int digits[] = {6, 15, 17};
	char buffer[40];

	if (isnan(value)) {
		text_add(text, "NaN");
		return;
	}
	if (isinf(value)) {
		text_add(text, value > 0 ? "+Inf" : "-Inf");
		return;
	}
	for (size_t i = 0; i < sizeof(digits) / sizeof(digits[0]); i++) {
		snprintf(buffer, sizeof(buffer), "%.*g", digits[i], value);
		if (fabs(strtod(buffer, NULL) - value) <= 0)
			break;
	}
	text_add(text, buffer);
}

void text_add_json_string(struct text *text, const char *string)
{
	const char *s = string;

	text_add_char(text, '"');
	while (*s) {
		size_t n = utf8_bytes(s);

		if (n == 0) {
			text_add(text, "\xef\xbf\xbd");
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			text_add_char(text, '\\');
			text_add_char(text, *s);
		} else if ((unsigned char)*s < 0x20 || *s == 0x7f) {
			text_add_format(text, "\\u%04x", (unsigned char)*s);
		} else {
			text_add_bytes(text, s, n);
		}
		s += n;
	}
	text_add_char(text, '"');
}

void text_add_html(struct text *text, const char *string)
{
	for (; *string; string++) {
		switch (*string) {
		case '&':
			text_add(text, "&amp;");
			break;
		case '<':
			text_add(text, "&lt;");
			break;
		case '>':
			text_add(text, "&gt;");
			break;
		case '"':
			text_add(text, "&quot;");
			break;
		case '\'':
			text_add(text, "&#39;");
			break;
		default:
			text_add_char(text, *string);
		}
	}
}

void text_add_csv(struct text *text, const char *string)
{
	if (!strpbrk(string, ",\"\r\n")) {
		text_add(text, string);
		return;
	}
	text_add_char(text, '"');
	for (; *string; string++) {
		if (*string == '"')
			text_add_char(text, '"');
		text_add_char(text, *string);
	}
	text_add_char(text, '"');
}
