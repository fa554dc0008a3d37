// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/base/utf8: each code point, and every sequence of up to three bytes that is none. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/base/utf8.h"

/* By the table of RFC 3629, section 4, written the other way round: from the code point. */
static size_t encode(uint32_t point, char out[5])
{
	size_t n = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

	memset(out, 0, 5);
	for (size_t i = n; i-- > 1; point >>= 6)
		out[i] = (char)(0x80 | (point & 0x3f));
	out[0] = (char)(n == 1 ? point : (0xf0 << (4 - n) & 0xff) | point);
	return n;
}

static void test_every_code_point(void **state)
{
	char text[5];

	(void)state;
	for (uint32_t point = 1; point < 0x140000; point++) {
		bool good = point < 0x110000 && (point < 0xd800 || point > 0xdfff);
		size_t n = encode(point, text);

		if (utf8_bytes(text) != (good ? n : 0) || utf8_valid(text) != good)
			fail_msg("U+%04X", point);
	}
}

/* Of all texts of three bytes exactly those are valid that consist of code points. */
static void test_every_three_bytes(void **state)
{
	unsigned int valid = 0;

	(void)state;
	for (unsigned int bytes = 0x010101; bytes < 0x1000000; bytes++) {
		const char text[4] = {(char)(bytes >> 16), (char)(bytes >> 8), (char)bytes, '\0'};

		if (text[0] && text[1] && text[2])
			valid += utf8_valid(text);
	}
	/* 1+1+1, 1+2, 2+1 and 3 bytes */
	assert_int_equal(valid, 127 * 127 * 127 + 2 * 127 * 1920 + (65536 - 2048 - 2048));
}

/* A sequence that is cut short ends at the NUL, not behind it. */
static void test_nothing_behind_the_end(void **state)
{
	static const char *const cut[] = {"\xc3", "\xe2\x82", "\xe2", "\xf0\x9f\x98", "\xf0\x9f",
					  "\xf0", "\x80",     "\xff", "\xc0\x80",     ""};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cut); i++) {
		char *copy = strdup(cut[i]); /* to the byte, for AddressSanitizer */

		assert_int_equal(utf8_bytes(copy), 0);
		assert_int_equal(utf8_valid(copy), !cut[i][0]);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_point),
		cmocka_unit_test(test_every_three_bytes),
		cmocka_unit_test(test_nothing_behind_the_end),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
