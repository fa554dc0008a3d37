// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/http/query and routes: addresses, parameters, who may see what. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "exporters/http/message/query.h"
#include "exporters/http/routes/routes.h"
#include "exporters/http/toolkit/gate.h"

static void test_good(void **state)
{
	static struct query query;

	(void)state;
	assert_int_equal(query_parse("/a/b%20c?x=1&y=a+b%2B&z&&w=", &query), 0);
	assert_string_equal(query.path, "/a/b c");
	assert_int_equal(query.param_count, 4);
	assert_string_equal(query_value(&query, "x"), "1");
	assert_string_equal(query_value(&query, "y"), "a b+");
	assert_string_equal(query_value(&query, "z"), "");
	assert_string_equal(query_value(&query, "w"), "");
	assert_null(query_value(&query, "v"));
	assert_int_equal(query_parse("http://example.org:80/metrics?x=1", &query), 0);
	assert_string_equal(query.path, "/metrics");
	assert_int_equal(query_parse("http://example.org", &query), 0);
	assert_string_equal(query.path, "/");
	assert_int_equal(query_parse("/caf%C3%A9", &query), 0);
	assert_int_equal(query_parse("/a..b/...", &query), 0);
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",	   "a",		 "*",	      "?x",	    "/%",
		"/%4",	   "/%zz",	 "/%00",      "/%0a",	    "/\x01",
		"/\x7f",   "/%ff",	 "/%c3",      "/%ed%a0%80", "/%f5%80%80%80",
		"/%c0%af", "/..",	 "/../x",     "/x/..",	    "/x/../y",
		"/.",	   "/./x",	 "/%2e%2e/x", "/%2E./x",    "/x?a=%",
		"/x?=1",   "/x?a=1&a=2", "/x#y",      "/x?%00=1",   "http:/x",
		"ftp://x/"};
	static struct query query;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		if (query_parse(bad[i], &query) != -EINVAL || !query.error)
			fail_msg("%s", bad[i]);
	}
}

static void test_long(void **state)
{
	static struct query query;
	static char target[4000];

	(void)state;
	memset(target, 'a', sizeof(target) - 1);
	target[0] = '/';
	assert_int_equal(query_parse(target, &query), -E2BIG);
	target[QUERY_TARGET_BYTES - 1] = '\0';
	assert_int_equal(query_parse(target, &query), 0);
	strcpy(target, "/?");
	for (int i = 0; i <= (int)QUERY_PARAMS_MAX; i++)
		sprintf(target + strlen(target), "p%d&", i);
	assert_int_equal(query_parse(target, &query), -EINVAL);
}

static void random_target(uint64_t seed)
{
	static const char alphabet[] = "/%2e.?&=+#aA0\xc3\xa9";
	static struct query query;
	struct rng rng = rng_seeded(seed);
	char target[120];
	size_t bytes = 1 + rng_below(&rng, sizeof(target) - 2);

	for (size_t i = 0; i < bytes; i++)
		target[i] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
	target[0] = '/';
	target[bytes] = '\0';
	if (query_parse(target, &query) != 0) {
		assert_seeded(seed, query.error);
		return;
	}
	assert_seeded(seed, query.path[0] == '/' && !strstr(query.path, "/../"));
	for (size_t i = 0; i < query.param_count; i++)
		assert_seeded(seed,
			      query_value(&query, query.params[i].name) == query.params[i].value);
}

static void test_random(void **state)
{
	(void)state;
	unit_seeds("targets", 20000, random_target);
}

static void test_hosts_are_for_trusted_clients(void **state)
{
	struct route hosts = {.flags = ROUTE_HOSTS};
	struct route plain = {.flags = 0};

	(void)state;
	assert_true(route_allowed(&plain, false));
	assert_true(route_allowed(&plain, true));
	assert_false(route_allowed(&hosts, false));
	assert_true(route_allowed(&hosts, true));
}

static struct gate_view view_of(const char *const *headers)
{
	struct gate_view view = {NULL, NULL, NULL, NULL, NULL, false, false, false};

	for (; headers[0]; headers += 2)
		gate_see_header(&view, headers[0], headers[1]);
	return view;
}

static void test_who_is_direct(void **state)
{
	static const struct {
		const char *headers[5];
		bool direct;
	} rows[] = {
		{{"Host", "localhost:10371", NULL}, true},
		{{"Host", "127.0.0.1:10371", NULL}, true},
		{{"Host", "[::1]:10371", NULL}, true},
		{{NULL}, true},
		{{"Host", "rebound.example.org", NULL}, false},
		{{"Host", "localhost.example.org", NULL}, false},
		/* Names, all of them, although made of what addresses are made of. */
		{{"Host", "abc.de", NULL}, false},
		{{"Host", "facade.cc:10371", NULL}, false},
		{{"Host", "bad.cafe.ee", NULL}, false},
		{{"Host", "dead", NULL}, false},
		{{"Host", "1.2.3.4.de", NULL}, false},
		{{"Host", "127.1", NULL}, false}, /* no resolver's forms */
		{{"Host", "0x7f000001", NULL}, false},
		{{"Host", "::1", NULL}, false}, /* must stand in brackets */
		{{"Host", "[::1", NULL}, false},
		{{"Host", "[abc.de]", NULL}, false},
		{{"Host", "[::1]x", NULL}, false},
		{{"Host", "127.0.0.1:", NULL}, true},
		{{"Host", "127.0.0.1:80a", NULL}, false},
		{{"Host", "", NULL}, false},
		{{"Host", "LOCALHOST", NULL}, true},
		{{"Host", "[2001:db8::1]", NULL}, true},
		{{"Host", "192.0.2.7:10371", NULL}, true},
		{{"Host", "localhost", "X-Forwarded-For", "192.0.2.1", NULL}, false},
		{{"Host", "localhost", "Forwarded", "for=192.0.2.1", NULL}, false},
		{{"Host", "localhost", "Via", "1.1 proxy", NULL}, false},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct gate_view view = view_of(rows[i].headers);

		assert_int_equal(gate_is_direct(&view), rows[i].direct);
	}
}

static void test_headers_that_announce_a_body(void **state)
{
	static const char *const body[][3] = {{"Content-Length", "0", NULL},
					      {"CONTENT-length", "", NULL},
					      {"Transfer-Encoding", "identity", NULL}};
	static const char *const malformed[][5] = {{"Content-Length ", "5", NULL},
						   {"a b", "", NULL},
						   {"", "x", NULL},
						   {"Host", "a", "host", "b", NULL}};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(body); i++) {
		struct gate_view view = view_of(body[i]);

		assert_true(view.has_body);
		assert_false(gate_is_plain("GET", &view));
	}
	for (size_t i = 0; i < UNIT_COUNT(malformed); i++) {
		struct gate_view view = view_of(malformed[i]);

		assert_true(view.malformed);
		assert_false(gate_is_plain("GET", &view));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_hosts_are_for_trusted_clients),
		cmocka_unit_test(test_who_is_direct),
		cmocka_unit_test(test_headers_that_announce_a_body),
	};

	return cmocka_run_group_tests_name("http/query", tests, NULL, NULL);
}
