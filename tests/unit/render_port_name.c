// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/render/port_name: what has no ports is shown without one, wherever people read it. */
#include "exporters/render/port_name.h"
#include "tests/unit/unit.h"

#include <string.h>

#include "exporters/advice/patterns.h"
#include "exporters/render/incidents.h"
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

/* A whole row in one field: people read it, programs take it apart. */
static const struct {
	struct row_key key;
	const char *text, *csv, *summary;
} fields[] = {
	{{L4_TCP, DIR_INBOUND, 443}, "tcp/inbound/443=", "tcp/inbound/443=", "tcp/443 inbound: "},
	{{L4_GRE, DIR_INBOUND, 0}, "gre/inbound=", "gre/inbound/0=", "gre inbound: "},
	{{L4_OTHER, DIR_FORWARDED, 50},
	 "50/forwarded=",
	 "other/forwarded/50=",
	 "protocol 50 forwarded: "},
};

static void assert_begins_a_field(const struct text *text, const char *field)
{
	const char *at = strstr(text->data, field);

	assert_non_null(at);
	assert_non_null(strchr(" ,\n", at[-1]));
}

static void history_says(const struct row_key *key, enum rows_format format, const char *says)
{
	struct snap_sample sample = {.real_ns = 1000000000, .top = {{*key, 7}}};
	const struct snap_history history = {1000000000, &sample, 1, 1};
	const struct snap_settings settings = {0};
	struct text text;

	text_init(&text);
	render_history(&history, &settings, 0, 0, format, &text);
	assert_begins_a_field(&text, says);
	text_free(&text);
}

static void incidents_say(struct incident_item *item, enum rows_format format, const char *says)
{
	static const uint8_t boot_id[16];
	const struct incident_list list = {.items = item, .count = 1, .room = 1};
	struct text text;

	text_init(&text);
	render_incidents(&list, boot_id, NULL, 0, format, &text);
	assert_begins_a_field(&text, says);
	text_free(&text);
}

static void incident_says(struct incident_item *item, const char *says)
{
	static const uint8_t boot_id[16];
	const struct incident_view view = {
		.item = item, .boot_id = boot_id, .shown = &item->worst, .problem = ""};
	struct text text;

	text_init(&text);
	text_incident(&view, &text);
	assert_begins_a_field(&text, says);
	text_free(&text);
}

static void test_fields(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct incident_item item = {0};

		history_says(&fields[i].key, ROWS_TEXT, fields[i].text);
		history_says(&fields[i].key, ROWS_CSV, fields[i].csv);
		item.worst.top_cell = cell_of(fields[i].key, 0);
		item.worst.top_row_entries = item.worst.top_cell_entries = 7;
		incidents_say(&item, ROWS_TEXT, fields[i].text);
		incidents_say(&item, ROWS_CSV, fields[i].csv);
		incident_says(&item, fields[i].summary);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),
					   cmocka_unit_test(test_tables),
					   cmocka_unit_test(test_fields)};

	return cmocka_run_group_tests_name("render_port_name", tests, NULL, NULL);
}
