// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/render/port_name: what has no ports is shown without one, wherever people read it. */
#include "exporters/render/port_name.h"
#include "tests/unit/unit.h"

#include <string.h>

#include "exporters/advice/patterns.h"
#include "lib/kernel/states.h"

static const struct {
	uint8_t l4proto;
	uint16_t port;
	const char *name, *text, *csv;
} cases[] = {
	{L4_TCP, 443, "tcp/443", "tcp 443", "tcp,443"},
	{L4_SCTP, 3868, "sctp/3868", "sctp 3868", "sctp,3868"},
	{L4_GRE, 0, "gre", "gre -", "gre,0"},
	{L4_ICMPV6, 0, "icmpv6", "icmpv6 -", "icmpv6,0"},
	{L4_OTHER, 50, "protocol 50", "50 -", "other,50"},
	{L4_OTHER, 255, "protocol 255", "255 -", "other,255"},
};

static void test_names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct row_key key = {cases[i].l4proto, DIR_FORWARDED, cases[i].port};
		char name[PORT_NAME_BYTES], row[ROW_TEXT_BYTES], expected[64];

		assert_string_equal(port_name(key.l4proto, key.port, name), cases[i].name);
		snprintf(expected, sizeof(expected), "%s forwarded", cases[i].name);
		assert_string_equal(row_text(&key, row), expected);
	}
}

/* The last line, with single blanks. */
static const char *last_line(const struct text *text, char out[64])
{
	const char *at = text->data + text->bytes - 1;
	size_t n = 0;

	while (at > text->data && at[-1] != '\n')
		at--;
	for (; *at && *at != '\n' && *at != '\r'; at++)
		if (*at != ' ' || (n && out[n - 1] != ' '))
			out[n++] = *at;
	while (n && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
	return out;
}

static const char *rows_of(enum rows_format format, unsigned int at, char out[64])
{
	static const struct column columns[] = {{"l4proto", 8, "PROTO", "string", ""},
						{"port", 6, "PORT", "integer", ""}};
	struct rows rows;
	struct text text;

	text_init(&text);
	rows_begin(&rows, &text, format, columns, 2);
	rows_protocol(&rows, cases[at].l4proto, cases[at].port);
	rows_port_of(&rows, cases[at].l4proto, cases[at].port);
	rows_end(&rows);
	last_line(&text, out);
	text_free(&text);
	return out;
}

/* For programs both stay as they are. */
static void test_tables(void **state)
{
	char line[64];

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(rows_of(ROWS_TEXT, i, line), cases[i].text);
		assert_string_equal(rows_of(ROWS_CSV, i, line), cases[i].csv);
	}
	assert_string_equal(rows_of(ROWS_NDJSON, 4, line), "{\"l4proto\":\"other\",\"port\":50}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),
					   cmocka_unit_test(test_tables)};

	return cmocka_run_group_tests_name("render_port_name", tests, NULL, NULL);
}
