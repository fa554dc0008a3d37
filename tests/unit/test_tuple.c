// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/flow/tuple: what people type for a flow, and what they type by mistake. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/flow/tuple.h"

static const char *parse(const char *l4proto, const char *src, const char *dst, struct ct_key *key,
			 const char **ret_wrong)
{
	const char *const words[3] = {l4proto, src, dst};

	return tuple_parse(words, key, ret_wrong);
}

static void check_address(const uint8_t address[16], int family, const char *text)
{
	uint8_t wanted[16] = {0};

	assert_int_equal(inet_pton(family, text, wanted), 1);
	assert_memory_equal(address, wanted, sizeof(wanted));
}

static void test_what_is_meant(void **state)
{
	static const struct {
		const char *words[3];
		uint8_t l4num;
		int family;
		const char *src;
		uint16_t sport;
		const char *dst;
		uint16_t dport;
	} good[] = {
		{{"tcp", "10.0.0.5:51344", "192.0.2.9:443"},
		 6,
		 AF_INET,
		 "10.0.0.5",
		 51344,
		 "192.0.2.9",
		 443},
		{{"udp", "0.0.0.0:0", "255.255.255.255:65535"},
		 17,
		 AF_INET,
		 "0.0.0.0",
		 0,
		 "255.255.255.255",
		 65535},
		{{"sctp", "[2001:db8::1]:1", "[::]:2"}, 132, AF_INET6, "2001:db8::1", 1, "::", 2},
		{{"udplite", "[::ffff:10.0.0.5]:7", "[fe80::1]:9"},
		 136,
		 AF_INET6,
		 "::ffff:10.0.0.5",
		 7,
		 "fe80::1",
		 9},
		/* Brackets do no harm. */
		{{"dccp", "[10.0.0.5]:7", "10.0.0.6:9"}, 33, AF_INET, "10.0.0.5", 7, "10.0.0.6", 9},
		{{"icmp", "10.0.0.5:17", "192.0.2.9"},
		 1,
		 AF_INET,
		 "10.0.0.5",
		 17,
		 "192.0.2.9",
		 0x0800},
		{{"icmpv6", "[2001:db8::1]:17", "2001:db8::2"},
		 58,
		 AF_INET6,
		 "2001:db8::1",
		 17,
		 "2001:db8::2",
		 0x8000},
		{{"icmpv6", "[::1]:17", "[::2]"}, 58, AF_INET6, "::1", 17, "::2", 0x8000},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(good); i++) {
		struct ct_key key;
		const char *wrong;

		memset(&key, 0xff, sizeof(key));
		assert_null(tuple_parse(good[i].words, &key, &wrong));
		assert_int_equal(key.l4num, good[i].l4num);
		assert_int_equal(key.family, good[i].family);
		assert_int_equal(key.sport, good[i].sport);
		assert_int_equal(key.dport, good[i].dport);
		assert_int_equal(key.zone, 0);
		check_address(key.src, good[i].family, good[i].src);
		check_address(key.dst, good[i].family, good[i].dst);
	}
}

/* No end of a TCP connection, in any of the ways of writing one. */
static const char *const no_end[] = {
	"",
	":",
	"::",
	":80",
	"80",
	"10.0.0.5",
	"10.0.0.5:",
	"10.0.0.5:65536",
	"10.0.0.5:99999999999999999999",
	"10.0.0.5:-1",
	"10.0.0.5:+1",
	"10.0.0.5: 80",
	"10.0.0.5:80 ",
	" 10.0.0.5:80",
	"10.0.0.5:0x50",
	"10.0.0.5:http",
	"10.0.0.5:80:81",
	"10.0.0:80",
	"10.0.0.256:80",
	"10.0.0.05:80",
	"010.0.0.5:80",
	"10.0.0.5/32:80",
	"2001:db8::1",
	"2001:db8::1:443x",
	"[",
	"[]",
	"]",
	"[]:80",
	"[:80",
	"[2001:db8::1",
	"[2001:db8::1]",
	"[2001:db8::1]:",
	"[2001:db8::1]80",
	"[2001:db8::1]x:80",
	"[2001:db8::1]:65536",
	"[2001:db8::1]:80]",
	"[[2001:db8::1]]:80",
	"[2001:db8::1%eth0]:80",
	"[2001:db8:::1]:80",
	"[1:2:3:4:5:6:7:8:9]:80",
	"example.org:80",
	"%s:80",
	"\xff:80",
	"10.0.0.5\n:80",
	/* Longer than what it is copied to, with an address in front. */
	("10.0.0.5................................................................................:"
	 "80"),
	"[::1111111111111111111111111111111111111111111111111111111111111111111111111111]:80",
	"[2001:db8::1]:0000000000000000000000000000000000000000000000000000000000000000000000000x",
};

static void test_no_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(no_end); i++) {
		struct ct_key key;
		const char *wrong = NULL;

		assert_non_null(parse("tcp", no_end[i], "192.0.2.9:443", &key, &wrong));
		assert_true(wrong == no_end[i] || !strcmp(wrong, "192.0.2.9:443"));
		assert_non_null(parse("tcp", "10.0.0.5:1", no_end[i], &key, &wrong));
		assert_string_equal(wrong, no_end[i]);
	}
}

static void test_no_tuples(void **state)
{
	static const struct {
		const char *words[3];
		unsigned int wrong;
		const char *why; /* a part of it */
	} bad[] = {
		{{"", "10.0.0.5:1", "10.0.0.6:2"}, 0, "no protocol"},
		{{"TCP", "10.0.0.5:1", "10.0.0.6:2"}, 0, "no protocol"},
		{{"6", "10.0.0.5:1", "10.0.0.6:2"}, 0, "no protocol"},
		{{"tcp ", "10.0.0.5:1", "10.0.0.6:2"}, 0, "no protocol"},
		{{"gre", "10.0.0.5:1", "10.0.0.6:2"}, 0, "no protocol"},
		{{"tcp", "10.0.0.5:1", "[2001:db8::1]:2"}, 2, "another family"},
		{{"tcp", "[::1]:1", "10.0.0.6:2"}, 2, "another family"},
		{{"tcp", "10.0.0.5", "10.0.0.6:2"}, 1, "needs a port"},
		{{"tcp", "10.0.0.5:1", "10.0.0.6"}, 2, "needs a port"},
		{{"icmp", "10.0.0.5", "10.0.0.6"}, 1, "needs an echo id"},
		{{"icmp", "10.0.0.5:1", "10.0.0.6:2"}, 2, "needs an echo id"},
		{{"icmp", "[::1]:1", "::2"}, 2, "of this protocol's family"},
		{{"icmpv6", "10.0.0.5:1", "10.0.0.6"}, 2, "of this protocol's family"},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		struct ct_key key;
		const char *wrong = NULL, *why = tuple_parse(bad[i].words, &key, &wrong);

		assert_non_null(why);
		assert_non_null(strstr(why, bad[i].why));
		assert_ptr_equal(wrong, bad[i].words[bad[i].wrong]);
	}
}

static const char *random_port(struct rng *rng, char port[8])
{
	snprintf(port, 8, "%u", (unsigned int)rng_below(rng, 65536));
	return port;
}

/* What is printed is read back as the same end. */
static void print_and_read(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	uint8_t family = rng_percent(&rng, 50) ? AF_INET : AF_INET6;
	uint8_t address[2][16] = {{0}};
	uint16_t port[2];
	char text[2][TUPLE_END_BYTES];
	struct ct_key key;
	const char *wrong;

	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int at = 0; at < (family == AF_INET ? 4u : 16u); at++)
			address[i][at] = rng_percent(&rng, 40) ? 0 : (uint8_t)rng_below(&rng, 256);
		port[i] = (uint16_t)rng_below(&rng, 65536);
		tuple_end(family, address[i], port[i], true, text[i]);
	}
	assert_seeded(seed, !parse("udp", text[0], text[1], &key, &wrong));
	assert_seeded(seed, !memcmp(key.src, address[0], 16) && !memcmp(key.dst, address[1], 16));
	assert_seeded(seed, key.sport == port[0] && key.dport == port[1] && key.family == family);
}

/* Anything may be typed: it is refused, or it is an end that is printed as one. */
static void type_anything(uint64_t seed)
{
	static const char letters[] = "0123456789abcf:.[]%/ x-";
	struct rng rng = rng_seeded(seed);
	char text[160], word[200], port[8];
	unsigned int bytes =
		(unsigned int)rng_below(&rng, rng_percent(&rng, 50) ? 12 : sizeof(text));
	struct ct_key key;
	const char *wrong;

	for (unsigned int i = 0; i < bytes; i++)
		text[i] = rng_percent(&rng, 2) ? (char)(1 + rng_below(&rng, 255))
					       : letters[rng_below(&rng, sizeof(letters) - 1)];
	text[bytes] = '\0';
	if (rng_percent(&rng, 50))
		snprintf(word, sizeof(word), "%s%s:%s", rng_percent(&rng, 50) ? "[" : "10.0.", text,
			 random_port(&rng, port));
	else
		snprintf(word, sizeof(word), "%s", text);
	if (!parse("tcp", word, "192.0.2.9:443", &key, &wrong))
		assert_seeded(seed, key.family == AF_INET);
	else
		assert_seeded(seed, wrong != NULL);
}

static void test_random(void **state)
{
	(void)state;
	unit_seeds("printed", 2000, print_and_read);
	unit_seeds("anything", 20000, type_anything);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_meant),
		cmocka_unit_test(test_no_ends),
		cmocka_unit_test(test_no_tuples),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
