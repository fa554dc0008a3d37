// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/base/options: an option by its whole name, and what is said about an old one. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/base/options.h"

static void test_names_are_whole(void **state)
{
	static const char *const others[] = {
		"",	    "-",       "--",	   "netns", "-netns", "--netn", "--netnsx",
		"--netns-", "--Netns", "---netns", "--n",   "=",      "--="};
	const char *value = "untouched";

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(others); i++)
		assert_false(option_is(others[i], "netns", &value));
	assert_string_equal(value, "untouched");
}

static void test_values(void **state)
{
	const char *value = "untouched";

	(void)state;
	assert_true(option_is("--netns", "netns", &value));
	assert_null(value);
	assert_true(option_is("--netns=", "netns", &value));
	assert_string_equal(value, "");
	assert_true(option_is("--netns=a=b", "netns", &value));
	assert_string_equal(value, "a=b");
}

static void test_hints(void **state)
{
	(void)state;
	assert_string_equal(option_hint("--name"), ": use --netns");
	assert_string_equal(option_hint("--name=blue"), ": use --netns");
	assert_string_equal(option_hint("--mute-interval"), ": use --silent-interval");
	assert_string_equal(option_hint("--names"), "");
	assert_string_equal(option_hint("name"), "");
	assert_string_equal(option_hint("-x"), "");
}

static void test_messages_are_one_line(void **state)
{
	char message[OPTION_MESSAGE_BYTES + 1], big[2000];

	(void)state;
	assert_string_equal(option_message(message, "prog", "unknown option", "--name"),
			    "prog: unknown option --name: use --netns; see prog --help\n");
	assert_string_equal(option_message(message, "prog", "only one", NULL),
			    "prog: only one; see prog --help\n");
	assert_string_equal(option_message(message, "prog", "not", "a\nb\x7f\x1b[0m"),
			    "prog: not a?b??[0m; see prog --help\n");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	message[OPTION_MESSAGE_BYTES] = 77;
	option_message(message, "prog", big, big);
	assert_int_equal(strlen(message), OPTION_MESSAGE_BYTES - 1);
	assert_int_equal(message[OPTION_MESSAGE_BYTES - 2], '\n');
	assert_int_equal(message[OPTION_MESSAGE_BYTES], 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_whole),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_messages_are_one_line),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
