// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/base/num: what is a number, what is none, and what does not fit. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/num.h"

/* No number in any of the ways of writing one. */
static const char *const never[] = {
	"",	 " ",	" 1",  "1 ",	 "\t1",	  "1\n",   "+1",       "-1",	       "-0",
	"--1",	 "x",	"1x",  "x1",	 "0x10",  "0X10",  "1e3",      "1E3",	       "1e",
	"1p3",	 "nan", "NaN", "nan(1)", "inf",	  "INF",   "-inf",     "infinity",     "1,5",
	"1.2.3", ".5",	"5.",  ".",	 "1_000", "1'000", "\xd9\xa1", "\xef\xbc\x91", "1\xc2\xa0",
	"0b1",	 "0o7", "1%",  "%d",	 "(1)",	  "1;",	   "1/2",      "\x01",	       "\xff"};

static void test_never_numbers(void **state)
{
	uint64_t value = 77;
	uint32_t small = 77;
	double real = 77;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(never); i++) {
		assert_int_equal(num_u64(never[i], 0, UINT64_MAX, &value), -EINVAL);
		assert_int_equal(num_u32(never[i], 0, UINT32_MAX, &small), -EINVAL);
		assert_int_equal(num_double(never[i], -1e308, 1e308, &real), -EINVAL);
		assert_int_equal(num_duration_ns(never[i], 0, UINT64_MAX, &value), -EINVAL);
	}
	assert_int_equal(num_u64(NULL, 0, 1, &value), -EINVAL);
	assert_int_equal(num_double(NULL, 0, 1, &real), -EINVAL);
	assert_int_equal(num_duration_ns(NULL, 0, 1, &value), -EINVAL);
	assert_true(value == 77 && small == 77 && real == 77);
}

static void test_whole_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max, value;
		int err;
	} cases[] = {
		{"0", 0, 0, 0, 0},
		{"00000000000000000000000000000000000000007", 0, 7, 7, 0},
		{"18446744073709551615", 0, UINT64_MAX, UINT64_MAX, 0},
		{"18446744073709551616", 0, UINT64_MAX, 0, -ERANGE},
		{"184467440737095516150", 0, UINT64_MAX, 0, -ERANGE},
		{"99999999999999999999999999999999999999999", 0, UINT64_MAX, 0, -ERANGE},
		{"4294967296", 0, UINT32_MAX, 0, -ERANGE},
		{"9", 10, 20, 0, -ERANGE},
		{"10", 10, 20, 10, 0},
		{"20", 10, 20, 20, 0},
		{"21", 10, 20, 0, -ERANGE},
		{"7", 0, 5, 0, -ERANGE},
		{"1", 2, 1, 0, -ERANGE},
		{"99999999999999999999999x", 0, UINT64_MAX, 0, -EINVAL},
		{"1.5", 0, 9, 0, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		uint64_t value = 77;

		assert_int_equal(num_u64(cases[i].text, cases[i].min, cases[i].max, &value),
				 cases[i].err);
		assert_true(value == (cases[i].err ? 77 : cases[i].value));
	}
}

static void test_against_the_c_library(void **state)
{
	struct rng rng = rng_seeded(1);
	char text[40];
	uint64_t value;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		uint64_t want = rng_next(&rng) >> rng_below(&rng, 64);

		snprintf(text, sizeof(text), "%llu", (unsigned long long)want);
		assert_int_equal(num_u64(text, want, want, &value), 0);
		assert_true(value == want && value == strtoull(text, NULL, 10));
		if (want)
			assert_int_equal(num_u64(text, 0, want - 1, &value), -ERANGE);
	}
}

static void test_reals(void **state)
{
	double value = 77;

	(void)state;
	assert_int_equal(num_double("2.5", 0, 3, &value), 0);
	assert_true(value == 2.5);
	assert_int_equal(num_double("0.1", 0.1, 0.1, &value), 0);
	assert_true(value == 0.1);
	assert_int_equal(num_double("17", 0, 17, &value), 0);
	assert_true(value == 17);
	value = 77;
	assert_int_equal(num_double("3.01", 0, 3, &value), -ERANGE);
	assert_int_equal(num_double("1", 2, 3, &value), -ERANGE);
	assert_true(value == 77);
}

/* strtod(3) makes infinity of it. */
static void test_reals_too_large_for_a_double(void **state)
{
	char text[400];
	double value = 77;

	(void)state;
	memset(text, '9', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(num_double(text, 0, 1.7e308, &value), -ERANGE);
	assert_true(value == 77);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"0", 0},
		{"0s", 0},
		{"500ms", 500000000},
		{"1m30s", 90000000000},
		{"1.5h", 5400000000000},
		{"0.1s", 100000000},
		{"1d2h3m4s5ms6us7ns", 93784005006007},
		{"1ns", 1},
		{"1.9ns", 1},
		{"0.0000000019s", 1},
		{"18446744073709551615ns", UINT64_MAX},
		{"213503d", UINT64_C(213503) * 86400 * 1000000000},
	};
	static const char *const bad[] = {
		"1",	"1m1",	"30s1m", "1s1s", "1ms1m", "1 s", "1S",	       "s",	"1mm",
		"1sec", "1e3s", "-1s",	 "+1s",	 "1.s",	  ".5s", "0x1s",       "1y",	"1w",
		"nans", "infs", "1s ",	 " 1s",	 "1s\n",  "00",	 "1\xc2\xb5s", "1m-30s"};
	static const char *const large[] = {"18446744073709551616ns", "18446744073s709551616ns",
					    "213504d", "99999999999999999999999999d",
					    "18446744073.9s"};
	uint64_t ns = 77;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		assert_int_equal(num_duration_ns(bad[i], 0, UINT64_MAX, &ns), -EINVAL);
	for (size_t i = 0; i < UNIT_COUNT(large); i++)
		assert_int_equal(num_duration_ns(large[i], 0, UINT64_MAX, &ns), -ERANGE);
	assert_int_equal(num_duration_ns("1s", 0, 999999999, &ns), -ERANGE);
	assert_int_equal(num_duration_ns("1s", 1000000001, UINT64_MAX, &ns), -ERANGE);
	assert_true(ns == 77);
	for (size_t i = 0; i < UNIT_COUNT(good); i++) {
		assert_int_equal(num_duration_ns(good[i].text, 0, UINT64_MAX, &ns), 0);
		assert_true(ns == good[i].ns);
	}
}

static void test_numbers_inside(void **state)
{
	const char *at = "80/inbound", *hex = "fFx", *none = "x";
	uint64_t value = 77;

	(void)state;
	assert_int_equal(num_take_u64(&at, 65535, &value), 0);
	assert_true(value == 80);
	assert_string_equal(at, "/inbound");
	assert_int_equal(num_take_u64(&at, 65535, &value), -EINVAL);
	assert_string_equal(at, "/inbound");
	assert_int_equal(num_take_hex(&hex, 255, &value), 0);
	assert_true(value == 255);
	assert_string_equal(hex, "x");
	at = "65536";
	assert_int_equal(num_take_u64(&at, 65535, &value), -ERANGE);
	assert_string_equal(at, "65536");
	assert_int_equal(num_take_hex(&none, 255, &value), -EINVAL);
	none = NULL;
	assert_int_equal(num_take_u64(&none, 255, &value), -EINVAL);
	assert_true(value == 255);
}

static void test_take_range(void **state)
{
	static const char *const bad[] = {"",	     "1",    "1-",   "-2",  "2-1",
					  "1-65536", "1 -2", "1- 2", "1--2"};
	uint64_t first = 7, last = 7;
	const char *at = "1024-65535,80";

	(void)state;
	assert_int_equal(num_take_range(&at, '-', 65535, &first, &last), 0);
	assert_int_equal(first, 1024);
	assert_int_equal(last, 65535);
	assert_string_equal(at, ",80");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		first = last = 7;
		at = bad[i];
		assert_true(num_take_range(&at, '-', 65535, &first, &last) < 0);
		assert_ptr_equal(at, bad[i]);
		assert_true(first == 7 && last == 7);
	}
}

static void test_hex_digits(void **state)
{
	int digits = 0;

	(void)state;
	for (int c = -128; c < 128; c++) {
		bool digit = c > 0 && strchr("0123456789abcdefABCDEF", c);

		assert_int_equal(num_hex_digit((char)c) >= 0, digit);
		digits += digit;
	}
	assert_int_equal(digits, 22);
	assert_int_equal(num_hex_digit('b'), 11);
	assert_int_equal(num_hex_digit('F'), 15);
}

static void test_clamps(void **state)
{
	(void)state;
	assert_int_equal(clamp_u32(INT64_MIN), 0);
	assert_int_equal(clamp_u32(-1), 0);
	assert_int_equal(clamp_u32(5), 5);
	assert_true(clamp_u32(UINT32_MAX) == UINT32_MAX);
	assert_true(clamp_u32(INT64_C(4294967296)) == UINT32_MAX);
	assert_true(clamp_u32(INT64_MAX) == UINT32_MAX);
	assert_true(clamp_u64_to_u32(UINT32_MAX) == UINT32_MAX);
	assert_true(clamp_u64_to_u32(UINT64_C(4294967296)) == UINT32_MAX);
	assert_true(clamp_u64_to_u32(UINT64_MAX) == UINT32_MAX);
	assert_int_equal(clamp_u64_to_u32(5), 5);
	assert_true(clamp_sub_u64(3, 5) == 0 && clamp_sub_u64(5, 3) == 2);
	assert_true(clamp_sub_u64(UINT64_MAX, 0) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_numbers),
		cmocka_unit_test(test_whole_numbers),
		cmocka_unit_test(test_against_the_c_library),
		cmocka_unit_test(test_reals),
		cmocka_unit_test(test_reals_too_large_for_a_double),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_numbers_inside),
		cmocka_unit_test(test_take_range),
		cmocka_unit_test(test_hex_digits),
		cmocka_unit_test(test_clamps),
	};

	return cmocka_run_group_tests_name("num", tests, NULL, NULL);
}
