// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/config: defaults, each option, and what is refused with which words. */
#include "lib/base/build_info.h"
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/config.h"

static struct config config;
static char message[CONFIG_MESSAGE_BYTES];

static enum config_result parse(const char *a, const char *b, const char *c)
{
	/* Texts of *config point into these. */
	static char storage[4][128];
	const char *words[] = {"conntide-agent", a, b, c, NULL};
	char *argv[5] = {NULL};
	int argc = 0;

	message[0] = '\0';
	for (; words[argc]; argc++) {
		snprintf(storage[argc], sizeof(storage[argc]), "%s", words[argc]);
		argv[argc] = storage[argc];
	}
	return config_parse(&config, argc, argv, message);
}

static void assert_refused(const char *a, const char *b, const char *words)
{
	assert_int_equal(parse(a, b, NULL), CONFIG_USAGE_ERROR);
	if (!strstr(message, words))
		fail_msg("\"%s\" does not say \"%s\"", message, words);
	assert_null(strchr(message, '\n'));
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(NULL, NULL, NULL), CONFIG_RUN);
	assert_string_equal(config.runtime_dir, "/run/conntide");
	assert_string_equal(config.netns, "host");
	assert_null(config.group);
	assert_null(config.record_path);
	assert_int_equal(config.event_buffer_bytes, 64 << 20);
	assert_int_equal(config.event_buffer_max_bytes, 256 << 20);
	assert_int_equal(config.pace_us, 1000);
	assert_int_equal(config.resync_interval_s, 300);
	assert_int_equal(config.silent_interval_s, 60);
	assert_int_equal(config.audit_rate, 160);
	assert_int_equal(config.max_entries, 0);
	assert_int_equal(config.top_ports, 16);
	assert_string_equal(config.state_dir, "/var/lib/conntide");
	assert_int_equal(config.incidents_max, 64);
	assert_int_equal(config.incidents_max_bytes, 64 << 20);
	assert_true(config.sandbox);
}

static void test_every_option(void **state)
{
	static const struct {
		const char *name;
		size_t field;
		unsigned long min, max;
	} numbers[] = {
		{"--event-buffer", offsetof(struct config, event_buffer_bytes), 4096, 1u << 28},
		{"--event-buffer-max", offsetof(struct config, event_buffer_max_bytes), 67108864,
		 1u << 30},
		{"--pace", offsetof(struct config, pace_us), 0, 100000},
		{"--resync-interval", offsetof(struct config, resync_interval_s), 1, 86400},
		{"--silent-interval", offsetof(struct config, silent_interval_s), 1, 86400},
		{"--audit-rate", offsetof(struct config, audit_rate), 0, 256},
		{"--max-entries", offsetof(struct config, max_entries), 1024, 67108864},
		{"--top-ports", offsetof(struct config, top_ports), 1, 64},
		{"--assume-nat-ports", offsetof(struct config, assume_nat_ports), 1, 65536},
		{"--incidents-max", offsetof(struct config, incidents_max), 4, 1024},
		{"--incidents-max-bytes", offsetof(struct config, incidents_max_bytes), 8u << 20,
		 1u << 30},
	};
	static const struct {
		const char *name;
		size_t field;
	} texts[] = {
		{"--state-dir", offsetof(struct config, state_dir)},
		{"--runtime-dir", offsetof(struct config, runtime_dir)},
		{"--netns", offsetof(struct config, netns)},
		{"--group", offsetof(struct config, group)},
		{"--record", offsetof(struct config, record_path)},
		{"--log.level", offsetof(struct config, log_level)},
		{"--log.format", offsetof(struct config, log_format)},
	};
	char value[32];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(numbers); i++) {
		const uint32_t *field = (void *)((char *)&config + numbers[i].field);

		snprintf(value, sizeof(value), "%lu", numbers[i].min);
		assert_int_equal(parse(numbers[i].name, value, NULL), CONFIG_RUN);
		assert_int_equal(*field, numbers[i].min);
		snprintf(value, sizeof(value), "%lu", numbers[i].max);
		assert_int_equal(parse(numbers[i].name, value, NULL), CONFIG_RUN);
		assert_int_equal(*field, numbers[i].max);
	}
	for (size_t i = 0; i < UNIT_COUNT(texts); i++) {
		const char *const *field = (void *)((char *)&config + texts[i].field);

		assert_int_equal(parse(texts[i].name, "some-text", NULL), CONFIG_RUN);
		assert_string_equal(*field, "some-text");
	}
	assert_int_equal(parse("--netns=equals", NULL, NULL), CONFIG_RUN);
	assert_string_equal(config.netns, "equals");
	assert_int_equal(parse("--no-sandbox", NULL, NULL), CONFIG_RUN);
	assert_false(config.sandbox);
}

static void test_bad_numbers(void **state)
{
	static const char *const bad[] = {
		"",	     "x",   "-1", " 5",	 "5x",
		"0x10",	     "1e3", "+5", "5.0", "99999999999999999999999",
		"4294967297"};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		assert_refused("--resync-interval", bad[i], "is not a number from 1 to 86400");
	assert_refused("--resync-interval", "0", "from 1 to 86400");
	assert_refused("--top-ports", "65", "from 1 to 64");
	assert_refused("--audit-rate", "257", "from 0 to 256");
	assert_refused("--max-entries", "1023", "from 1024");
	assert_refused("--event-buffer", "4095", "from 4096");
}

static void test_ports(void **state)
{
	static const char *const bad[] = {
		"",	 "x",	 "1",  "0-5",		"5-4",		"1-65536",
		"1-2-3", "-1-5", "1-", "20000 - 29999", "123456-200000"};

	(void)state;
	assert_int_equal(parse("--nat-ports", "20000-29999", NULL), CONFIG_RUN);
	assert_int_equal(config.nat_ports.first, 20000);
	assert_int_equal(config.nat_ports.last, 29999);
	assert_int_equal(parse("--nat-ports", "1-65535", NULL), CONFIG_RUN);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		assert_refused("--nat-ports", bad[i], "is not a range of ports from 1 to 65535");
}

static void test_bad_words(void **state)
{
	(void)state;
	assert_refused("--no-such-option", NULL, "--no-such-option");
	assert_refused("-x", NULL, "-x");
	assert_refused("-xy", NULL, "-x");
	assert_refused("--resync-interval", NULL, "needs a value");
	assert_refused("word", NULL, "unexpected argument \"word\"");
	assert_refused("--", "word", "word");
	assert_refused("--netns", "", "--netns");
	assert_refused("--netns", "a/b", "--netns");
	assert_refused("--netns", "..", "--netns");
	assert_refused("--netns", ".hidden", "--netns");
	assert_refused("--netns", "0123456789012345678901234567890123456789012345678", "--netns");
	assert_refused("--netns", "two\nlines", "--netns");
	assert_refused("--name", "blue", "unknown option \"--name\": use --netns");
	assert_refused("--name=blue", NULL, "use --netns");
	assert_refused("--no-sandbox=yes", NULL, "--no-sandbox");
}

static void test_buffers_must_fit(void **state)
{
	(void)state;
	assert_int_equal(parse("--event-buffer=8192", "--event-buffer-max=8192", NULL), CONFIG_RUN);
	assert_refused("--event-buffer=8193", "--event-buffer-max=8192", "more than");
	assert_int_equal(parse("--event-buffer=1073741824", NULL, NULL), CONFIG_RUN);
	assert_int_equal(config.event_buffer_max_bytes, 1073741824);
}

static void test_texts(void **state)
{
	static const char *const options[] = {"--runtime-dir",	   "--netns",  "--event-buffer",
					      "--resync-interval", "--record", "--version"};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(parse(i ? "--help" : "-h", NULL, NULL), CONFIG_TEXT);
		for (size_t n = 0; n < UNIT_COUNT(options); n++)
			assert_non_null(strstr(message, options[n]));
		assert_non_null(strstr(message, "Exit status"));
		assert_true(strlen(message) < CONFIG_MESSAGE_BYTES - 1);
	}
	assert_int_equal(parse("--version", NULL, NULL), CONFIG_TEXT);
	assert_non_null(strstr(message, build_version));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),     cmocka_unit_test(test_ports),
		cmocka_unit_test(test_every_option), cmocka_unit_test(test_bad_numbers),
		cmocka_unit_test(test_bad_words),    cmocka_unit_test(test_buffers_must_fit),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
