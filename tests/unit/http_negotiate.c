// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/http/negotiate: who gets what. */
#include "tests/unit/unit.h"

#include <string.h>

#include "exporters/http/message/negotiate.h"

static const struct offer offers[] = {
	{"application", "json", NULL}, {"text", "csv", NULL}, {"text", "plain", NULL}};

static void test_offers(void **state)
{
	static const struct {
		const char *accept;
		int chosen;
	} rows[] = {
		{NULL, 0},
		{"", 0},
		{"*/*", 0},
		{"text/*", 1},
		{"text/plain", 2},
		{"TEXT/Plain", 2},
		{"text/csv;q=0.5, text/plain;q=0.6", 2},
		{"text/csv;q=0.6, text/plain;q=0.5", 1},
		{"*/*;q=0.1, text/plain;q=0", 0},
		{"text/*;q=0.9, text/csv;q=0.1, */*;q=0.2", 2},
		{"application/json;q=0, */*", 1},
		{"image/png", -1},
		{"application/json;q=0", -1},
		{"application/json;q=2", -1},
		{"application/json;q=1.001", -1},
		{"application/json;q=0.5555", -1},
		{"application/json;q=x", -1},
		{"application/json ; q=0.3 , text/csv ; q = 0.2", 0},
		{",,, ,text/csv,,", 1},
		{"application/json;charset=\"a,b;c\"", 0},
		{"application/json;version=7, text/csv;q=0.1", 1},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 0},
		{"garbage garbage", -1},
		{"text", -1},
		{"/", -1},
		{"\"", -1},
		{"application/json;x=\"\\", 0},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++)
		if (negotiate(rows[i].accept, offers, UNIT_COUNT(offers)) != rows[i].chosen)
			fail_msg("%s: %d", rows[i].accept,
				 negotiate(rows[i].accept, offers, UNIT_COUNT(offers)));
}

static void test_metrics_reply_holds_nothing_of_the_client(void **state)
{
	char type[128];

	(void)state;
	negotiate_metrics("application/openmetrics-text;version=1.0.0;escaping=dots", type,
			  sizeof(type));
	assert_string_equal(type, "application/openmetrics-text; version=1.0.0; charset=utf-8; "
				  "escaping=dots");
	negotiate_metrics(
		"application/openmetrics-text;version=1.0.0;escaping=\"x\r\nSet-Cookie: a\"", type,
		sizeof(type));
	assert_string_equal(type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
	assert_int_equal(negotiate_metrics("nothing/known", type, sizeof(type)), METRICS_TEXT_004);
	assert_int_equal(negotiate_metrics("application/openmetrics-text;q=0.1,text/plain", type,
					   sizeof(type)),
			 METRICS_TEXT_004);
	assert_int_equal(
		negotiate_metrics("text/plain,application/openmetrics-text", type, sizeof(type)),
		METRICS_OPENMETRICS);
}

static void test_gzip(void **state)
{
	(void)state;
	assert_true(negotiate_gzip("gzip"));
	assert_true(negotiate_gzip("deflate, GZIP;q=0.1"));
	assert_true(negotiate_gzip("*"));
	assert_true(negotiate_gzip("x-gzip"));
	assert_false(negotiate_gzip(NULL));
	assert_false(negotiate_gzip(""));
	assert_false(negotiate_gzip("identity"));
	assert_false(negotiate_gzip("gzip;q=0"));
	assert_false(negotiate_gzip("*, gzip;q=0.0"));
	assert_false(negotiate_gzip("gzipped"));
}

static void test_etag(void **state)
{
	(void)state;
	assert_true(etag_matches("\"a\"", "\"a\""));
	assert_true(etag_matches("\"x\", W/\"a\" ,\"b\"", "\"a\""));
	assert_true(etag_matches("*", "\"a\""));
	assert_false(etag_matches(NULL, "\"a\""));
	assert_false(etag_matches("", "\"a\""));
	assert_false(etag_matches("\"ab\"", "\"a\""));
	assert_false(etag_matches("a", "\"a\""));
}

/* Random bytes: an answer, and none of them out of bounds (ASan looks). */
static void random_accept(uint64_t seed)
{
	static const char alphabet[] = "a/*;q=0.1,\" \\textplain";
	struct rng rng = rng_seeded(seed);
	char accept[200], type[128];
	size_t bytes = rng_below(&rng, sizeof(accept) - 1);

	for (size_t i = 0; i < bytes; i++)
		accept[i] = rng_percent(&rng, 90) ? alphabet[rng_below(&rng, sizeof(alphabet) - 1)]
						  : (char)(1 + rng_below(&rng, 255));
	accept[bytes] = '\0';
	negotiate_metrics(accept, type, sizeof(type));
	assert_seeded(seed, strstr(type, "version="));
	assert_seeded(seed, negotiate(accept, offers, UNIT_COUNT(offers)) < 3);
	negotiate_gzip(accept);
	etag_matches(accept, "\"a\"");
}

static void test_random(void **state)
{
	(void)state;
	unit_seeds("accept", 20000, random_accept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_metrics_reply_holds_nothing_of_the_client),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_etag),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("http/negotiate", tests, NULL, NULL);
}
