// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/local_addr: which addresses are ours, and the direction by them. */
#include "agent/netlink/addresses.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "lib/mirror/local_addr.h"

static struct local_addrs set;

static int set_up(void **state)
{
	(void)state;
	local_addrs_init(&set);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	local_addrs_free(&set);
	return 0;
}

static void put_address(struct nlmsghdr *nlh, uint16_t type, int family, const char *text)
{
	uint8_t bytes[16];

	if (!text)
		return;
	assert_int_equal(inet_pton(family, text, bytes), 1);
	mnl_attr_put(nlh, type, family == AF_INET ? 4 : 16, bytes);
}

struct address {
	unsigned int ifindex;
	const char *address;
	const char *local;
	const char *broadcast;
	uint8_t prefix;
};

static struct nlmsghdr *build(void *buf, const struct address *what)
{
	const char *any = what->address ? what->address : what->local;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;
	int family = any && strchr(any, ':') ? AF_INET6 : AF_INET;

	nlh->nlmsg_type = RTM_NEWADDR;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = (uint8_t)family;
	ifa->ifa_index = what->ifindex;
	ifa->ifa_prefixlen = what->prefix;
	put_address(nlh, IFA_ADDRESS, family, what->address);
	put_address(nlh, IFA_LOCAL, family, what->local);
	put_address(nlh, IFA_BROADCAST, family, what->broadcast);
	return nlh;
}

static void add(struct address what)
{
	_Alignas(8) uint8_t buf[512];
	struct nlmsghdr *nlh = build(buf, &what);

	assert_int_equal(addresses_add_message(&set, nlh, nlh->nlmsg_len), 0);
}

static enum direction direction(const char *src, const char *dst)
{
	uint8_t from[16] = {0}, to[16] = {0};
	uint8_t family = strchr(src, ':') ? AF_INET6 : AF_INET;

	assert_int_equal(inet_pton(family, src, from), 1);
	assert_int_equal(inet_pton(family, dst, to), 1);
	return local_direction(&set, family, from, to);
}

static void add_usual(void)
{
	add((struct address){1, "127.0.0.1", "127.0.0.1", NULL, 8});
	add((struct address){1, "::1", NULL, NULL, 128});
	add((struct address){2, "192.0.2.10", "192.0.2.10", "192.0.2.255", 24});
	add((struct address){2, "2001:db8::10", NULL, NULL, 64});
	add((struct address){3, "10.0.0.1", "10.0.0.1", "10.255.255.255", 8});
	local_addrs_finish(&set);
}

static void test_four_directions(void **state)
{
	(void)state;
	add_usual();
	assert_int_equal(direction("198.51.100.1", "192.0.2.10"), DIR_INBOUND);
	assert_int_equal(direction("192.0.2.10", "198.51.100.1"), DIR_OUTBOUND);
	assert_int_equal(direction("198.51.100.1", "203.0.113.1"), DIR_FORWARDED);
	assert_int_equal(direction("192.0.2.10", "192.0.2.10"), DIR_LOOPBACK);
	assert_int_equal(direction("192.0.2.10", "10.0.0.1"), DIR_LOOPBACK);
	assert_int_equal(direction("127.0.0.1", "127.0.0.53"), DIR_LOOPBACK);
	/* A neighbour in our prefix is not us. */
	assert_int_equal(direction("198.51.100.1", "192.0.2.11"), DIR_FORWARDED);
	assert_int_equal(direction("10.0.0.2", "10.0.0.3"), DIR_FORWARDED);
}

static void test_v6(void **state)
{
	(void)state;
	add_usual();
	assert_int_equal(direction("2001:db8::99", "2001:db8::10"), DIR_INBOUND);
	assert_int_equal(direction("2001:db8::10", "2001:db8::99"), DIR_OUTBOUND);
	assert_int_equal(direction("::1", "::1"), DIR_LOOPBACK);
	assert_int_equal(direction("2001:db8::1", "2001:db8::2"), DIR_FORWARDED);
	/* IPv4 bytes are no IPv6 address. */
	assert_int_equal(direction("c000:20a::", "2001:db8::2"), DIR_FORWARDED);
	/* Multicast: from elsewhere it is we who receive it. */
	assert_int_equal(direction("fe80::7", "ff02::fb"), DIR_INBOUND);
	assert_int_equal(direction("2001:db8::10", "ff02::fb"), DIR_OUTBOUND);
}

static void test_broadcast_and_multicast(void **state)
{
	(void)state;
	add_usual();
	assert_int_equal(direction("192.0.2.77", "192.0.2.255"), DIR_INBOUND);
	assert_int_equal(direction("192.0.2.10", "192.0.2.255"), DIR_OUTBOUND);
	assert_int_equal(direction("0.0.0.0", "255.255.255.255"), DIR_INBOUND);
	assert_int_equal(direction("192.0.2.10", "255.255.255.255"), DIR_OUTBOUND);
	assert_int_equal(direction("192.0.2.77", "224.0.0.251"), DIR_INBOUND);
	assert_int_equal(direction("192.0.2.77", "239.255.255.250"), DIR_INBOUND);
	assert_int_equal(direction("192.0.2.77", "240.0.0.1"), DIR_FORWARDED);
	/* Nobody sends from a broadcast address. */
	assert_int_equal(direction("192.0.2.255", "198.51.100.1"), DIR_FORWARDED);
}

/* "10.128.0.2/32 brd 10.128.0.2", as some clouds give it: an address all the same. */
static void test_own_broadcast(void **state)
{
	char text[32];

	(void)state;
	for (unsigned int i = 1; i < 60; i++) {
		snprintf(text, sizeof(text), "10.128.0.%u", i);
		add((struct address){2, text, text, text, 32});
	}
	local_addrs_finish(&set);
	for (unsigned int i = 1; i < 60; i++) {
		snprintf(text, sizeof(text), "10.128.0.%u", i);
		assert_int_equal(direction(text, "198.51.100.1"), DIR_OUTBOUND);
		assert_int_equal(direction("198.51.100.1", text), DIR_INBOUND);
	}
}

/* IFA_ADDRESS is the peer there. */
static void test_point_to_point(void **state)
{
	(void)state;
	add((struct address){4, "172.16.0.2", "172.16.0.1", NULL, 32});
	add((struct address){4, "fd00::2", "fd00::1", NULL, 128});
	local_addrs_finish(&set);
	assert_int_equal(direction("172.16.0.1", "8.8.8.8"), DIR_OUTBOUND);
	assert_int_equal(direction("172.16.0.2", "8.8.8.8"), DIR_FORWARDED);
	assert_int_equal(direction("9.9.9.9", "172.16.0.2"), DIR_FORWARDED);
	assert_int_equal(direction("fd00::1", "fd01::1"), DIR_OUTBOUND);
	assert_int_equal(direction("fd00::2", "fd01::1"), DIR_FORWARDED);
}

/* The kernel makes a whole IPv4 prefix on lo local, but not an IPv6 one. */
static void test_prefix_on_lo(void **state)
{
	(void)state;
	add((struct address){1, "198.18.0.1", "198.18.0.1", NULL, 15});
	add((struct address){1, "203.0.113.128", "203.0.113.128", NULL, 25});
	add((struct address){1, "fd00::1", NULL, NULL, 64});
	local_addrs_finish(&set);
	assert_int_equal(direction("8.8.8.8", "198.19.255.255"), DIR_INBOUND);
	assert_int_equal(direction("8.8.8.8", "198.20.0.0"), DIR_FORWARDED);
	assert_int_equal(direction("8.8.8.8", "203.0.113.129"), DIR_INBOUND);
	assert_int_equal(direction("8.8.8.8", "203.0.113.127"), DIR_FORWARDED);
	assert_int_equal(direction("fd01::1", "fd00::1"), DIR_INBOUND);
	assert_int_equal(direction("fd01::1", "fd00::2"), DIR_FORWARDED);
	/* 127/8 and ::1 are always ours, whatever is told. */
	assert_int_equal(direction("127.1.2.3", "127.0.0.1"), DIR_LOOPBACK);
}

static void test_nothing_is_local(void **state)
{
	(void)state;
	local_addrs_finish(&set);
	assert_int_equal(direction("10.0.0.1", "10.0.0.2"), DIR_FORWARDED);
	assert_int_equal(direction("127.0.0.1", "10.0.0.2"), DIR_OUTBOUND);
}

static void test_many(void **state)
{
	struct local_addr addr = {.family = AF_INET, .prefix_bits = 32};

	(void)state;
	for (uint32_t i = 0; i < LOCAL_ADDR_MAX + 10; i++) {
		uint32_t at = htonl(0x14000000 + (LOCAL_ADDR_MAX + 10 - i) * 3);

		memcpy(addr.bytes, &at, 4);
		assert_int_equal(local_addrs_add(&set, &addr), 0);
	}
	local_addrs_finish(&set);
	assert_true(set.overflowed);
	assert_int_equal(set.count, LOCAL_ADDR_MAX);
	for (uint32_t i = 0; i < LOCAL_ADDR_MAX; i += 1000) {
		uint32_t at = htonl(0x14000000 + (LOCAL_ADDR_MAX + 10 - i) * 3);
		uint8_t here[16] = {0}, near[16] = {0}, away[16] = {8, 8, 8, 8};

		memcpy(here, &at, 4);
		memcpy(near, &at, 4);
		near[3]++;
		assert_int_equal(local_direction(&set, AF_INET, away, here), DIR_INBOUND);
		assert_int_equal(local_direction(&set, AF_INET, away, near), DIR_FORWARDED);
	}
}

/* The same set whatever the order it was told in. */
static void test_equal(void **state)
{
	struct local_addrs other;

	(void)state;
	add((struct address){2, "192.0.2.10", "192.0.2.10", "192.0.2.10", 32});
	add((struct address){2, "192.0.2.9", "192.0.2.9", NULL, 24});
	add((struct address){3, "192.0.2.9", "192.0.2.9", NULL, 24});
	local_addrs_finish(&set);
	other = set;
	local_addrs_init(&set);
	assert_false(local_addrs_equal(&set, &other));
	add((struct address){3, "192.0.2.9", "192.0.2.9", NULL, 24});
	add((struct address){2, "192.0.2.9", "192.0.2.9", NULL, 24});
	add((struct address){2, "192.0.2.10", "192.0.2.10", "192.0.2.10", 32});
	local_addrs_finish(&set);
	assert_true(local_addrs_equal(&set, &other));
	local_addrs_free(&other);
}

static void test_bad_messages(void **state)
{
	_Alignas(8) uint8_t buf[512];
	struct address what = {2, "192.0.2.10", "192.0.2.10", "192.0.2.255", 24};
	struct nlmsghdr *nlh = build(buf, &what);
	uint32_t whole = nlh->nlmsg_len;

	(void)state;
	for (uint32_t len = 0; len < whole; len++)
		assert_int_equal(addresses_add_message(&set, nlh, len), -EBADMSG);
	for (uint32_t len = 0; len < whole; len++) {
		uint8_t *block = malloc(whole);

		/* Cut, and it says so: whatever comes of it, nothing is read beyond. */
		memcpy(block, buf, whole);
		((struct nlmsghdr *)(void *)block)->nlmsg_len = len;
		block = realloc(block, len < sizeof(*nlh) ? sizeof(*nlh) : len);
		addresses_add_message(&set, block, len < sizeof(*nlh) ? sizeof(*nlh) : len);
		free(block);
	}
	local_addrs_free(&set);
	/* Without an address; an address of a wrong size; another message. */
	what = (struct address){2, NULL, NULL, NULL, 24};
	nlh = build(buf, &what);
	assert_int_equal(addresses_add_message(&set, nlh, nlh->nlmsg_len), -EBADMSG);
	mnl_attr_put_u64(nlh, IFA_LOCAL, 5);
	assert_int_equal(addresses_add_message(&set, nlh, nlh->nlmsg_len), -EBADMSG);
	nlh->nlmsg_type = RTM_DELADDR;
	assert_int_equal(addresses_add_message(&set, nlh, nlh->nlmsg_len), 0);
	nlh->nlmsg_type = RTM_NEWADDR;
	((struct ifaddrmsg *)mnl_nlmsg_get_payload(nlh))->ifa_family = AF_UNIX;
	assert_int_equal(addresses_add_message(&set, nlh, nlh->nlmsg_len), 0);
	assert_int_equal(set.count, 0);
}

/* What does not fit is not seen: the set says so, and is not the same as one that is whole. */
static void test_too_many(void **state)
{
	struct local_addrs whole;
	struct local_addr addr = {.family = AF_INET, .prefix_bits = 32};

	(void)state;
	local_addrs_init(&whole);
	for (uint32_t i = 0; i <= LOCAL_ADDR_MAX; i++) {
		memcpy(addr.bytes, &i, sizeof(i));
		assert_int_equal(local_addrs_add(&set, &addr), 0);
		if (i < LOCAL_ADDR_MAX)
			assert_int_equal(local_addrs_add(&whole, &addr), 0);
	}
	local_addrs_finish(&set);
	local_addrs_finish(&whole);
	assert_true(set.overflowed);
	assert_false(whole.overflowed);
	assert_false(local_addrs_equal(&set, &whole));
	local_addrs_free(&whole);
}

/* A router advertisement that tells of what is there once more changes nothing. */
static void test_known_addresses(void **state)
{
	static uint64_t buf[512];
	struct address what = {2, "192.0.2.10", "192.0.2.10", "192.0.2.255", 24};
	struct nlmsghdr *nlh = build(buf, &what);

	(void)state;
	assert_false(addresses_known(&set, nlh, nlh->nlmsg_len));
	add_usual();
	assert_true(addresses_known(&set, nlh, nlh->nlmsg_len));
	assert_false(addresses_known(&set, nlh, nlh->nlmsg_len - 4));
	assert_false(addresses_known(&set, nlh, 0));
	nlh->nlmsg_type = RTM_DELADDR;
	assert_false(addresses_known(&set, nlh, nlh->nlmsg_len));
	what.local = what.address = "192.0.2.11";
	nlh = build(buf, &what);
	assert_false(addresses_known(&set, nlh, nlh->nlmsg_len));
	what = (struct address){2, "192.0.2.10", "192.0.2.10", "192.0.2.127", 25};
	nlh = build(buf, &what);
	assert_false(addresses_known(&set, nlh, nlh->nlmsg_len));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_four_directions),
		TEST(test_v6),
		TEST(test_broadcast_and_multicast),
		TEST(test_own_broadcast),
		TEST(test_point_to_point),
		TEST(test_prefix_on_lo),
		TEST(test_nothing_is_local),
		TEST(test_many),
		TEST(test_equal),
		TEST(test_too_many),
		TEST(test_known_addresses),
		TEST(test_bad_messages),
	};

	return cmocka_run_group_tests_name("local_addr", tests, NULL, NULL);
}
