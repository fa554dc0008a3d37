// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/ct_stats: 32 bits per CPU made 64 in all, from netlink and from /proc. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "agent/netlink/ct_stats.h"

static struct ct_counters counters;
static _Alignas(8) uint8_t buf[1024];

static int set_up(void **state)
{
	(void)state;
	ct_counters_init(&counters);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ct_counters_free(&counters);
	return 0;
}

static struct nlmsghdr *head(uint16_t type, uint16_t cpu)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | type;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->res_id = htons(cpu);
	return nlh;
}

static int tell_cpu(uint16_t cpu, uint16_t attr, uint32_t value)
{
	struct nlmsghdr *nlh = head(IPCTNL_MSG_CT_GET_STATS_CPU, cpu);

	mnl_attr_put_u32(nlh, attr, htonl(value));
	return ct_counters_message(&counters, nlh, nlh->nlmsg_len);
}

static void test_sum_over_cpus(void **state)
{
	(void)state;
	for (uint16_t cpu = 0; cpu < 200; cpu++)
		assert_int_equal(tell_cpu(cpu, CTA_STATS_DROP, cpu), 0);
	assert_int_equal(counters.values[CT_STAT_DROP], 199 * 200 / 2);
	/* The same again adds nothing. */
	for (uint16_t cpu = 0; cpu < 200; cpu++)
		assert_int_equal(tell_cpu(cpu, CTA_STATS_DROP, cpu), 0);
	assert_int_equal(counters.values[CT_STAT_DROP], 199 * 200 / 2);
}

/* Each CPU wraps by itself; the sum never runs backwards. */
static void test_wrap_of_each_cpu(void **state)
{
	uint64_t before = 0;

	(void)state;
	for (uint64_t at = 0; at < UINT64_C(20) << 32; at += UINT64_C(3) << 30) {
		assert_int_equal(tell_cpu(3, CTA_STATS_INVALID, (uint32_t)at), 0);
		assert_int_equal(tell_cpu(0, CTA_STATS_INVALID, 17), 0);
		assert_true(counters.values[CT_STAT_INVALID] >= before);
		before = counters.values[CT_STAT_INVALID];
		assert_int_equal(before, at + 17);
	}
}

static void test_cpu_that_comes_late(void **state)
{
	(void)state;
	assert_int_equal(tell_cpu(0, CTA_STATS_FOUND, 100), 0);
	assert_int_equal(tell_cpu(500, CTA_STATS_FOUND, 7), 0);
	assert_int_equal(tell_cpu(1, CTA_STATS_FOUND, 50), 0);
	assert_int_equal(tell_cpu(0, CTA_STATS_FOUND, 101), 0);
	assert_int_equal(counters.values[CT_STAT_FOUND], 158);
}

static void test_every_attribute(void **state)
{
	static const uint16_t attrs[CT_STAT_EXPECT_CREATE] = {
		[CT_STAT_FOUND] = CTA_STATS_FOUND,
		[CT_STAT_INVALID] = CTA_STATS_INVALID,
		[CT_STAT_INSERT_FAILED] = CTA_STATS_INSERT_FAILED,
		[CT_STAT_DROP] = CTA_STATS_DROP,
		[CT_STAT_EARLY_DROP] = CTA_STATS_EARLY_DROP,
		[CT_STAT_ERROR] = CTA_STATS_ERROR,
		[CT_STAT_SEARCH_RESTART] = CTA_STATS_SEARCH_RESTART,
		[CT_STAT_CLASH_RESOLVE] = CTA_STATS_CLASH_RESOLVE,
		[CT_STAT_CHAINTOOLONG] = CTA_STATS_CHAIN_TOOLONG,
		[CT_STAT_INSERT] = CTA_STATS_INSERT,
	};

	(void)state;
	for (unsigned int i = 0; i < CT_STAT_EXPECT_CREATE; i++) {
		assert_int_equal(tell_cpu(0, attrs[i], 10 + i), 0);
		assert_int_equal(counters.values[i], 10 + i);
	}
	/* Unknown attributes, and known ones of another size, are passed over. */
	assert_int_equal(tell_cpu(0, 60, 99), 0);
	assert_int_equal(tell_cpu(0, 999, 99), 0);
	struct nlmsghdr *nlh = head(IPCTNL_MSG_CT_GET_STATS_CPU, 0);

	mnl_attr_put_u64(nlh, CTA_STATS_DROP, UINT64_MAX);
	assert_int_equal(ct_counters_message(&counters, nlh, nlh->nlmsg_len), 0);
	for (unsigned int i = 0; i < CT_STAT_EXPECT_CREATE; i++)
		assert_int_equal(counters.values[i], 10 + i);
}

static void test_bad_messages(void **state)
{
	struct nlmsghdr *nlh = head(IPCTNL_MSG_CT_GET_STATS_CPU, 0);
	uint32_t whole;

	(void)state;
	mnl_attr_put_u32(nlh, CTA_STATS_DROP, htonl(5));
	whole = nlh->nlmsg_len;
	for (uint32_t len = 0; len < whole; len++)
		assert_int_equal(ct_counters_message(&counters, nlh, len), -EBADMSG);
	for (uint32_t len = sizeof(*nlh); len < whole; len++) {
		uint8_t *block = malloc(len);

		memcpy(block, buf, len);
		((struct nlmsghdr *)(void *)block)->nlmsg_len = len;
		ct_counters_message(&counters, block, len);
		free(block);
	}
	assert_int_equal(counters.values[CT_STAT_DROP], 0);
	assert_int_equal(tell_cpu(65535, CTA_STATS_DROP, 5), -ENOMEM);
	nlh = head(IPCTNL_MSG_CT_GET_STATS, 0);
	assert_int_equal(ct_counters_message(&counters, nlh, nlh->nlmsg_len), -ENOMSG);
}

static void test_limits_message(void **state)
{
	struct ct_limits limits = CT_LIMITS_UNKNOWN;
	struct nlmsghdr *nlh = head(IPCTNL_MSG_CT_GET_STATS, 0);

	(void)state;
	mnl_attr_put_u32(nlh, CTA_STATS_GLOBAL_ENTRIES, htonl(4000000000u));
	assert_int_equal(ct_limits_message(&limits, nlh, nlh->nlmsg_len), 0);
	assert_int_equal(limits.count_entries, 4000000000);
	assert_int_equal(limits.max_entries, -1); /* kernels before 4.18 do not tell */
	mnl_attr_put_u32(nlh, CTA_STATS_GLOBAL_MAX_ENTRIES, htonl(65536));
	assert_int_equal(ct_limits_message(&limits, nlh, nlh->nlmsg_len), 0);
	assert_int_equal(limits.max_entries, 65536);
	assert_int_equal(limits.buckets, -1);
	assert_int_equal(ct_limits_message(&limits, nlh, 8), -EBADMSG);
}

static const char usual[] =
	"entries  clashres found new invalid ignore delete chainlength insert insert_failed drop "
	"early_drop icmp_error  expect_new expect_create expect_delete search_restart\n"
	"00000012  00000001 00000002 00000000 00000003 00000000 00000000 00000004 00000000 "
	"00000005 00000006 00000007 00000008  00000000 00000000 00000000 00000009\n"
	"00000012  00000010 00000020 00000000 00000030 00000000 00000000 00000040 00000000 "
	"00000050 00000060 00000070 00000080  00000000 00000000 00000000 ffffffff\n";

static void test_proc_text(void **state)
{
	(void)state;
	assert_int_equal(ct_counters_text(&counters, usual), 0);
	assert_int_equal(counters.values[CT_STAT_CLASH_RESOLVE], 0x11);
	assert_int_equal(counters.values[CT_STAT_FOUND], 0x22);
	assert_int_equal(counters.values[CT_STAT_INVALID], 0x33);
	assert_int_equal(counters.values[CT_STAT_CHAINTOOLONG], 0x44);
	assert_int_equal(counters.values[CT_STAT_INSERT_FAILED], 0x55);
	assert_int_equal(counters.values[CT_STAT_DROP], 0x66);
	assert_int_equal(counters.values[CT_STAT_EARLY_DROP], 0x77);
	assert_int_equal(counters.values[CT_STAT_ERROR], 0x88);
	assert_int_equal(counters.values[CT_STAT_SEARCH_RESTART], UINT64_C(0x100000008));
	assert_int_equal(ct_counters_text(&counters, usual), 0);
	assert_int_equal(counters.values[CT_STAT_DROP], 0x66);
}

/* Made less removed, whichever CPU did which, and beyond a wrap. */
static void test_expectations(void **state)
{
	struct nlmsghdr *nlh;

	(void)state;
	assert_int_equal(ct_expectations(&counters), -1);
	for (uint16_t cpu = 0; cpu < 2; cpu++) {
		nlh = head(IPCTNL_MSG_EXP_GET_STATS_CPU, cpu);
		/* As the kernel has it, and as it should be. */
		if (cpu)
			nlh->nlmsg_type =
				NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_GET_STATS_CPU;
		mnl_attr_put_u32(nlh, CTA_STATS_EXP_CREATE, htonl(cpu ? UINT32_MAX : 10));
		mnl_attr_put_u32(nlh, CTA_STATS_EXP_DELETE, htonl(cpu ? 2 : UINT32_MAX - 3));
		assert_int_equal(ct_counters_message(&counters, nlh, nlh->nlmsg_len), 0);
	}
	assert_int_equal(ct_expectations(&counters), 11);
	/* What the same numbers mean in the other subsystem is something else. */
	assert_int_equal(counters.values[CT_STAT_FOUND], 0);
	assert_int_equal(tell_cpu(0, CTA_STATS_EXP_CREATE, 0), 0);
	assert_int_equal(ct_expectations(&counters), 11);
}

/* Columns are found by their names: others, fewer, in another order. */
static void test_proc_text_of_other_kernels(void **state)
{
	(void)state;
	assert_int_equal(
		ct_counters_text(&counters, "drop\tfuture_thing entries found\n1 2 3 4\n5 6 7 8\n"),
		0);
	assert_int_equal(counters.values[CT_STAT_DROP], 6);
	assert_int_equal(counters.values[CT_STAT_FOUND], 12);
	/* 5.4: "searched" first, no clashres. */
	assert_int_equal(ct_counters_text(&counters, "entries  searched found\n1  2 20\n1 2 8"), 0);
	assert_int_equal(counters.values[CT_STAT_FOUND], 0x28);
}

static void test_proc_text_that_is_not(void **state)
{
	char wide[400];

	(void)state;
	assert_int_equal(ct_counters_text(&counters, ""), -EBADMSG);
	assert_int_equal(ct_counters_text(&counters, "\n"), -EBADMSG);
	assert_int_equal(ct_counters_text(&counters, "drop found\n"), 0);
	assert_int_equal(ct_counters_text(&counters, "drop found\nzzz yyy\n"), -EBADMSG);
	memset(wide, 0, sizeof(wide));
	for (unsigned int i = 0; i < 40; i++)
		strcat(wide, "drop ");
	assert_int_equal(ct_counters_text(&counters, wide), -EBADMSG);
}

static void test_chain_limit(void **state)
{
	(void)state;
	assert_int_equal(ct_chain_limit(65536), 25 * 65536);
	assert_int_equal(ct_chain_limit(0), -1);
	assert_int_equal(ct_chain_limit(-1), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_sum_over_cpus),
		TEST(test_wrap_of_each_cpu),
		TEST(test_cpu_that_comes_late),
		TEST(test_every_attribute),
		TEST(test_bad_messages),
		TEST(test_limits_message),
		TEST(test_proc_text),
		TEST(test_expectations),
		TEST(test_proc_text_of_other_kernels),
		TEST(test_proc_text_that_is_not),
		TEST(test_chain_limit),
	};

	return cmocka_run_group_tests_name("ct_stats", tests, NULL, NULL);
}
