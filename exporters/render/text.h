// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A text that grows. Running out of memory is remembered and every later call
 * does nothing, so that callers check once, at the end, with text_failed().
 *
 * Ownership: the struct is the caller's; text_free() frees what it points to,
 * text_steal() hands that over (free() it). `data` is always a string once
 * anything was added; it may hold no NUL of its own.
 */
#ifndef CONNTIDE_RENDER_TEXT_H
#define CONNTIDE_RENDER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *data; /* NULL while empty */
	size_t bytes;
	size_t room;
	size_t columns; /* of the terminal it is for; 0: lines may be of any length */
	bool failed;
};

void text_init(struct text *text);
void text_free(struct text *text);
void text_clear(struct text *text);
bool text_failed(const struct text *text);
char *text_steal(struct text *text, size_t *ret_bytes);

void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const char *data, size_t bytes);
void text_add_char(struct text *text, char c);
void text_add_u64(struct text *text, uint64_t value);
void text_add_format(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Pads with spaces to `column` characters after `from`; at least one space. */
void text_pad(struct text *text, size_t from, size_t column);

/* Shortest of %.6g, %.15g, %.17g that reads back as the same number; "NaN", "+Inf", "-Inf". */
void text_add_double(struct text *text, double value);

/* With quotes; control characters, quotes and backslashes escaped; bytes that are
 * not UTF-8 become U+FFFD. */
void text_add_json_string(struct text *text, const char *string);

/* & < > " ' as entities, for HTML text and attributes. */
void text_add_html(struct text *text, const char *string);

/* One CSV field after RFC 4180: quoted where it has to be. */
void text_add_csv(struct text *text, const char *string);

#endif
