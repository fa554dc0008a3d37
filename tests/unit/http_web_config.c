// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/http/web_config, auth and web: files, passwords, rates. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "exporters/http/toolkit/auth.h"
#include "exporters/http/toolkit/web.h"
#include "exporters/http/toolkit/web_config.h"

/* bcrypt of "secret", cost 4. */
#define HASH_REST "SALTSALTSALTSALTSALTSOo1IqF9jyjPyCqAeYcTJ6lc2fDXN4vN."
#define HASH	  "$2b$04$" HASH_REST

static char path[] = "/tmp/conntide-web-XXXXXX";

static int load(const char *text, struct web_config *config, char why[512])
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	why[0] = '\0';
	return web_config_load(path, config, why, 512);
}

static void test_everything(void **state)
{
	struct web_config config;
	char why[512];

	(void)state;
	assert_int_equal(
		load("tls_server_config:\n  cert_file: /a/b.crt\n  key_file: b.key\n"
		     "  client_auth_type: RequireAndVerifyClientCert\n"
		     "  client_ca_file: ca.crt\n  client_allowed_sans: [a, b]\n"
		     "  min_version: TLS13\n  cipher_suites:\n    - TLS_AES_128_GCM_SHA256\n"
		     "http_server_config:\n  http2: true\n  headers:\n"
		     "    x-frame-options: deny\n"
		     "basic_auth_users:\n  alice: " HASH "\n"
		     "rate_limit:\n  interval: 500ms\n  burst: 7\n",
		     &config, why),
		0);
	assert_true(config.tls);
	assert_string_equal(config.cert_file, "/a/b.crt");
	assert_string_equal(config.key_file, "/tmp/b.key");
	assert_int_equal(config.client_auth, CLIENT_AUTH_REQUIRE_VERIFY);
	assert_int_equal(config.client_allowed_sans.count, 2);
	assert_int_equal(config.min_version, TLS_VERSION_13);
	assert_int_equal(config.user_count, 1);
	assert_string_equal(config.headers[0].name, "X-Frame-Options");
	assert_true(config.rate_per_s > 1.99 && config.rate_per_s < 2.01 &&
		    config.rate_burst > 6.99);
	web_config_free(&config);
}

static void test_empty(void **state)
{
	static const char *const empty[] = {
		"", "\n", "# nothing\n", "basic_auth_users:\n", "{}", "tls_server_config: null\n"};
	struct web_config config;
	char why[512];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(empty); i++) {
		assert_int_equal(load(empty[i], &config, why), 0);
		assert_false(config.tls || config.user_count);
		web_config_free(&config);
	}
}

static void test_broken(void **state)
{
	static const char *const broken[] = {
		"x",
		"[]",
		"x: y",
		"tls_server_config: [a]",
		"tls_server_config:\n  cert_file: [a]",
		"tls_server_config:\n  cert_file: a",
		"tls_server_config:\n  cert_file: a\n  key_file: b\n  min_version: TLS9",
		"tls_server_config:\n  cert_file: a\n  key_file: b\n  client_auth_type: Maybe",
		"tls_server_config:\n  cert_file: a\n  key_file: b\n  client_ca_file: c",
		"tls_server_config:\n  cert_file: a\n  key_file: b\n"
		"  client_auth_type: RequireAndVerifyClientCert",
		"tls_server_config:\n  cert_file: a\n  key_file: b\n  min_version: TLS13\n"
		"  max_version: TLS12",
		"http_server_config:\n  http2: maybe",
		"http_server_config:\n  headers:\n    X-Other: a",
		"http_server_config:\n  headers:\n    X-Frame-Options: \"a\\nb\"",
		"basic_auth_users:\n  a: b",
		"basic_auth_users:\n  a: " HASH "x",
		"basic_auth_users:\n  \"a:b\": " HASH,
		"basic_auth_users:\n  a: " HASH "\n  a: " HASH,
		"rate_limit:\n  interval: often",
		"rate_limit:\n  burst: many\n  size: 1",
		/* Nine spellings of one header: more than there is room for. */
		"http_server_config:\n  headers:\n    X-Frame-Options: a\n    x-Frame-Options: a\n"
		"    X-frame-Options: a\n    x-frame-Options: a\n    X-Frame-options: a\n"
		"    x-Frame-options: a\n    X-frame-options: a\n    x-frame-options: a\n"
		"    X-FRAME-OPTIONS: a\n",
		"http_server_config:\n  headers:\n    X-Frame-Options: a\n    x-frame-options: b",
		"http_server_config:\n  http2: \"true\"",
		"http_server_config:\n  http2: tRUE",
		"http_server_config:\n  http2: 1",
		"rate_limit:\n  interval: 1s\n  burst: nan",
		"rate_limit:\n  interval: 1s\n  burst: abc",
		"rate_limit:\n  interval: 1s\n  burst: -1",
		"rate_limit:\n  interval: 1s\n  burst: 1.5",
		"rate_limit:\n  interval: 1s\n  burst: 1e3",
		"rate_limit:\n  interval: 1s\n  burst: inf",
		"rate_limit:\n  interval: 1s\n  burst: 0x10",
		"rate_limit:\n  interval: 1s\n  burst: \"3\"",
		"rate_limit:\n  interval: 1s\n  burst: 99999999999999999999",
		"rate_limit:\n  interval: 1s\n  burst: [3]",
		"rate_limit:\n  interval: nan",
		"rate_limit:\n  interval: inf",
		"rate_limit:\n  interval: 1",
		"rate_limit:\n  interval: 1s30",
		"rate_limit:\n  interval: -1s",
		"rate_limit:\n  interval: 1e3s",
		"rate_limit:\n  interval: \"\"",
		"basic_auth_users:\n  a: $2y$03$" HASH_REST,
		"basic_auth_users:\n  a: $2y$18$" HASH_REST,
		"basic_auth_users:\n  a: $2y$31$" HASH_REST,
		"a: &x [*x]",
		"? [a]\n: b",
		"\x80",
		"a: b: c",
	};
	struct web_config config;
	char why[512];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(broken); i++) {
		if (load(broken[i], &config, why) != -EINVAL || !strstr(why, "line "))
			fail_msg("%s: %s", broken[i], why);
		assert_false(config.tls || config.user_count);
	}
	assert_int_equal(web_config_load("/nonexistent", &config, why, sizeof(why)), -ENOENT);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		double per_s;
	} rows[] = {{"1s", 1},		{"1m30s", 1 / 90.0}, {"500ms", 2}, {"1.5s", 1 / 1.5},
		    {"1h", 1 / 3600.0}, {"250us", 4000},     {"0", 0},	   {"0s", 0}};
	struct web_config config;
	char why[512], text[128];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		snprintf(text, sizeof(text), "rate_limit:\n  interval: %s\n  burst: 7\n",
			 rows[i].text);
		if (load(text, &config, why) != 0)
			fail_msg("%s: %s", text, why);
		assert_float_equal(config.rate_per_s, rows[i].per_s, 1e-6);
		assert_float_equal(config.rate_burst, 7, 1e-9);
		web_config_free(&config);
	}
}

/* Each header once, all there are: they fit. */
static void test_all_headers(void **state)
{
	struct web_config config;
	char why[512];

	(void)state;
	assert_int_equal(load("http_server_config:\n  headers:\n    content-security-policy: a\n"
			      "    X-Frame-Options: a\n    X-Content-Type-Options: a\n"
			      "    X-XSS-Protection: a\n    strict-transport-security: a\n",
			      &config, why),
			 0);
	assert_int_equal(config.header_count, 5);
	assert_string_equal(config.headers[0].name, "Content-Security-Policy");
	web_config_free(&config);
}

static void test_no_file(void **state)
{
	struct web_config config;
	char why[512];

	(void)state;
	assert_int_equal(web_config_load("/dev/zero", &config, why, sizeof(why)), -EFBIG);
	assert_int_equal(web_config_load("/tmp", &config, why, sizeof(why)), -EFBIG);
}

static void test_passwords(void **state)
{
	struct web_config config;
	struct auth auth;
	uint64_t now = UINT64_C(1000000000);
	char why[512];

	(void)state;
	assert_int_equal(load("basic_auth_users:\n  alice: " HASH "\n", &config, why), 0);
	assert_int_equal(auth_init(&auth, NULL), 0);
	assert_int_equal(auth_check(&auth, &config, NULL, now), AUTH_DENIED);
	assert_int_equal(auth_check(&auth, &config, "Basic", now), AUTH_DENIED);
	assert_int_equal(auth_check(&auth, &config, "Basic YWxpY2U6d3Jvbmc=", now), AUTH_DENIED);
	for (int i = 0; i < 100; i++) /* remembered: costs no guess */
		assert_int_equal(auth_check(&auth, &config, "Basic YWxpY2U6d3Jvbmc=", now),
				 AUTH_DENIED);
	web_config_free(&config);
	assert_int_equal(auth_check(&auth, &config, NULL, now), AUTH_OK);
}

static enum auth_result settled(struct auth *auth, const struct web_config *config,
				const char *header, uint64_t now)
{
	enum auth_result result;

	while ((result = auth_check(auth, config, header, now)) == AUTH_PENDING) {
		usleep(1000);
		auth_collect(auth);
	}
	return result;
}

/* With a worker nobody waits for a hash, and what is known is answered at once. */
static void test_hashes_are_computed_elsewhere(void **state)
{
	static const char *const wrong = "Basic YWxpY2U6d3Jvbmc=";
	struct web_config config;
	struct auth auth;
	unsigned int pending = 0, refused = 0;
	char why[512], header[64];

	(void)state;
	assert_int_equal(load("basic_auth_users:\n  alice: " HASH "\n", &config, why), 0);
	assert_int_equal(auth_init(&auth, auth_worker_start()), 0);
	assert_non_null(auth.worker);
	assert_int_equal(auth_check(&auth, &config, wrong, 1), AUTH_PENDING);
	assert_int_equal(settled(&auth, &config, wrong, 1), AUTH_DENIED);
	assert_int_equal(auth_check(&auth, &config, wrong, 1), AUTH_DENIED);
	/* Bounded: of many at once some wait, the others are told to come back. */
	for (int i = 0; i < 40; i++) {
		snprintf(header, sizeof(header), "Basic YTp%c%c%c%c=", 'A' + i % 26, 'B' + i / 26,
			 'C', 'A');
		switch (auth_check(&auth, &config, header, 1)) {
		case AUTH_PENDING:
			pending++;
			break;
		case AUTH_TOO_MANY:
			refused++;
			break;
		default:
			fail_msg("answered at once: %s", header);
		}
	}
	assert_true(pending <= 10 && refused >= 30);
	while (auth_collect(&auth))
		usleep(1000);
	/* Answers for the users of before are no answers for those of now. */
	assert_int_equal(auth_init(&auth, auth.worker), 0);
	assert_int_equal(auth_check(&auth, &config, wrong, 1), AUTH_PENDING);
	assert_int_equal(auth_init(&auth, auth.worker), 0);
	while (auth_collect(&auth))
		usleep(1000);
	assert_int_equal(auth_check(&auth, &config, wrong, 1), AUTH_PENDING);
	auth_worker_stop(auth.worker);
	web_config_free(&config);
}

static void test_guesses_are_counted(void **state)
{
	struct web_config config;
	struct auth auth;
	uint64_t now = UINT64_C(1000000000);
	unsigned int denied = 0, refused = 0;
	char why[512], header[64];

	(void)state;
	assert_int_equal(load("basic_auth_users:\n  alice: " HASH "\n", &config, why), 0);
	auth_init(&auth, NULL);
	for (int i = 0; i < 40; i++) {
		/* "a:" and three letters */
		snprintf(header, sizeof(header), "Basic YTp%c%c%c%c=", 'A' + i % 26, 'B' + i / 26,
			 'C', 'A');
		if (auth_check(&auth, &config, header, now) == AUTH_DENIED)
			denied++;
		else
			refused++;
	}
	assert_true(denied >= 10 && denied <= 12 && refused >= 28);
	now += UINT64_C(1000000000);
	assert_int_equal(auth_check(&auth, &config, "Basic YTpYWVo=", now), AUTH_DENIED);
	web_config_free(&config);
}

static void test_base64(void **state)
{
	static const char *const bad[] = {
		"YQ",	  "YQ=",      "=",	"==",	"====", "YQ==YQ==", "Y=Q=",
		"YWJj\n", "\nYWJj",   "YW\tJj", "YW-j", "YW_j", "YWJj ",    "\xc3YWJ",
		"YWJj=",  "YWJj====", "AA==",	"YQBh", "Y Q=="};
	char out[16];

	(void)state;
	assert_true(tls_base64_decode("YQ==", out, sizeof(out)));
	assert_string_equal(out, "a");
	assert_true(tls_base64_decode("YWJj", out, sizeof(out)));
	assert_string_equal(out, "abc");
	assert_true(tls_base64_decode("", out, sizeof(out)));
	assert_false(tls_base64_decode("A", out, sizeof(out)));
	assert_false(tls_base64_decode("YQ===", out, sizeof(out)));
	assert_false(tls_base64_decode("Y Q=", out, sizeof(out)));
	assert_false(tls_base64_decode("AAAA", out, sizeof(out)));
	assert_false(tls_base64_decode("YWJjYWJjYWJjYWJjYWJjYWJj", out, sizeof(out)));
	/* 15 bytes fit, 16 do not. */
	assert_true(tls_base64_decode("YWJjYWJjYWJjYWJjYWJj", out, sizeof(out)));
	assert_int_equal(strlen(out), 15);
	assert_false(tls_base64_decode("YWJjYWJjYWJjYWJjYWJjYQ==", out, sizeof(out)));
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		if (tls_base64_decode(bad[i], out, sizeof(out)))
			fail_msg("\"%s\" is \"%s\"", bad[i], out);
}

static void test_rate(void **state)
{
	struct web web = {.tokens = 2};
	uint64_t now = UINT64_C(1000000000);

	(void)state;
	web.config.rate_per_s = 10;
	web.config.rate_burst = 2;
	assert_true(web_rate_allows(&web, now));
	assert_true(web_rate_allows(&web, now));
	assert_false(web_rate_allows(&web, now));
	now += UINT64_C(100000001);
	assert_true(web_rate_allows(&web, now));
	assert_false(web_rate_allows(&web, now));
	now += UINT64_C(100000000000);
	for (int i = 0; i < 2; i++)
		assert_true(web_rate_allows(&web, now));
	assert_false(web_rate_allows(&web, now));
}

static int make_file(void **state)
{
	(void)state;
	return mkstemp(path) < 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_all_headers),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_passwords),
		cmocka_unit_test(test_hashes_are_computed_elsewhere),
		cmocka_unit_test(test_guesses_are_counted),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests_name("http/web_config", tests, make_file, remove_file);
}
