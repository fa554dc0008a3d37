// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/netlink/softnet: the packets of other namespaces. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "agent/netlink/softnet.h"

#define S UINT64_C(1000000000)

/* As Linux 6.18 prints them, cut. */
static const char machine_text[] = "0000002c 00000000 00000000 00000000\n"
				   "ffffffff 00000000 00000001 00000000\n";
static const char ip_text[] = "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors\n"
			      "Ip: 2 64 7324 0 0\n"
			      "Icmp: InMsgs InErrors\n";
static const char ip6_text[] = "Ip6InReceives                   \t10\n"
			       "Ip6InHdrErrors                  \t0\n";

static void test_texts(void **state)
{
	struct softnet_counters counters = {0};

	(void)state;
	assert_int_equal(softnet_machine(machine_text, &counters), 0);
	assert_int_equal(counters.cpus, 2);
	assert_int_equal(counters.machine, 0x2b); /* 32 bits */
	assert_int_equal(softnet_ip(ip_text, &counters), 0);
	assert_int_equal(softnet_ip6(ip6_text, &counters), 0);
	assert_int_equal(counters.own, 7334);
}

static void test_other_texts(void **state)
{
	struct softnet_counters counters = {0};
	char text[sizeof(ip_text)];

	(void)state;
	assert_int_equal(softnet_machine("", &counters), -EBADMSG);
	assert_int_equal(softnet_machine("\n", &counters), -EBADMSG);
	assert_int_equal(softnet_machine("0000002c 00", &counters), -EBADMSG);
	assert_int_equal(softnet_machine("100000000 00\n", &counters), -EBADMSG);
	assert_int_equal(softnet_ip("Ip: Forwarding InReceives \nIp: 1 2\n", &counters), -EBADMSG);
	assert_int_equal(softnet_ip6("Ip6InReceives\n", &counters), -EBADMSG);
	assert_int_equal(softnet_ip6("", &counters), -EBADMSG);
	/* Cut anywhere before the number. */
	for (size_t i = 0; i < (size_t)(strstr(ip_text, "7324") - ip_text); i++) {
		memcpy(text, ip_text, i);
		text[i] = '\0';
		assert_int_equal(softnet_ip(text, &counters), -EBADMSG);
	}
	assert_int_equal(counters.own, 0);
}

static void says(struct softnet *softnet, const struct softnet_counters *now, int64_t own,
		 int64_t others)
{
	softnet_between(softnet, now, 10 * S);
	assert_int_equal(softnet->own_milli_per_s, own);
	assert_int_equal(softnet->others_milli_per_s, others);
}

static void test_others(void **state)
{
	struct softnet softnet = {.last = {.cpus = 2, .machine = UINT32_MAX - 100, .own = 1000}};
	struct softnet_counters now = {.cpus = 2, .machine = 99, .own = 1000};

	(void)state;
	says(&softnet, &now, 0, 20000); /* wrapped */
	/* One's own are counted at each device: up to four times. */
	now.own += 30;
	says(&softnet, &now, 3000, 8000);
	assert_true(softnet_packets(&softnet).own_per_s == 3);
	assert_true(softnet_packets(&softnet).others_per_s == 8);
	now.own += 30;
	says(&softnet, &now, 6000, 0);
	now.cpus = 1;
	says(&softnet, &now, -1, -1);
	assert_true(softnet_packets(&softnet).own_per_s == 0);
	assert_true(softnet_packets(&softnet).others_per_s == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts),
					   cmocka_unit_test(test_other_texts),
					   cmocka_unit_test(test_others)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
