// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/base/log: whatever is logged, a line is one line of UTF-8 that JSON's rules allow. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/utf8.h"

static char line[8192];

/* What is written to standard error for `text`. */
static const char *logged(const char *text)
{
	int saved = dup(STDERR_FILENO), ends[2];
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_line(LOG_ERROR, "unit", "%s", text);
	dup2(saved, STDERR_FILENO);
	close(ends[1]);
	n = read(ends[0], line, sizeof(line) - 1);
	close(ends[0]);
	close(saved);
	assert_true(n > 0);
	line[n] = '\0';
	return line;
}

/* The value of "msg", and that it is a string as RFC 8259 has it. */
static void assert_sound(const char *at)
{
	assert_true(utf8_valid(at));
	assert_non_null(strchr(at, '\n'));
	assert_int_equal(strchr(at, '\n')[1], '\0');
	at = strstr(at, "\"msg\":\"") + 7;
	for (; *at != '"'; at++) {
		assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
		if (*at != '\\')
			continue;
		at++;
		assert_true(*at == '"' || *at == '\\' || *at == 'u');
		if (*at == 'u') {
			assert_int_equal(strspn(at + 1, "0123456789abcdef") >= 4, 1);
			at += 4;
		}
	}
	assert_string_equal(at, "\"}\n");
}

static void test_bytes(void **state)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{"plain", "\"plain\""},
		{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7",
		 "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7\""},
		{"a\xff"
		 "b",
		 "\"a\\ufffdb\""},
		{"cut \xe2\x82", "\"cut \\ufffd\\ufffd\""},
		{"\xc0\xaf", "\"\\ufffd\\ufffd\""},
		{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
		{"a\nb\x1b[31m\x7f", "\"a\\u000ab\\u001b[31m\\u007f\""},
		{"csi \xc2\x9b"
		 "31m",
		 "\"csi \\u009b31m\""},
		{"\"\\", "\"\\\"\\\\\""},
	};

	(void)state;
	assert_int_equal(log_set_format("json"), 0);
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		assert_sound(logged(rows[i].text));
		if (!strstr(line, rows[i].shown))
			fail_msg("%s", line);
	}
}

/* Longer than a line has room for: cut, and sound all the same. */
static void test_long(void **state)
{
	char text[4000];

	(void)state;
	for (unsigned int shift = 0; shift < 8; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 4 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4);
		assert_sound(logged(text));
		memset(text + shift, 1, sizeof(text) - 1 - shift);
		text[sizeof(text) - 1] = '\0';
		assert_sound(logged(text));
	}
}

static void random_text(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	char text[300];
	size_t bytes = rng_below(&rng, sizeof(text));

	for (size_t i = 0; i < bytes; i++)
		text[i] = (char)(1 + rng_below(&rng, 255));
	text[bytes] = '\0';
	assert_sound(logged(text));
}

static void test_random(void **state)
{
	(void)state;
	unit_seeds("texts", 500, random_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_random),
	};

	log_init("unit");
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
