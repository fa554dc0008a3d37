// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/advice/host.h and exporters/cli/host_facts.h: hosts as they are met, and what is
 * said of them. */
#include "exporters/advice/host.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporters/cli/host_facts.h"

static void good_host(struct host_facts *facts)
{
	host_facts_init(facts);
	strcpy(facts->release, "6.18.5");
	strcpy(facts->version, "#1 SMP");
	facts->conntrack = facts->ctnetlink = facts->net_admin = facts->may_have = true;
	facts->events = 2;
	facts->count = 1000;
	facts->max = facts->buckets = 262144;
	facts->place = HOST_PLACE_INIT;
	facts->cores = 4;
	facts->available_bytes = INT64_C(8) << 30;
}

static const struct host_item *item(struct host_facts *facts, enum host_item_id id)
{
	static struct host_report report;

	host_judge(facts, &report);
	return &report.items[id];
}

static void test_good_host(void **state)
{
	struct host_report report;
	struct host_facts facts;

	(void)state;
	good_host(&facts);
	host_judge(&facts, &report);
	for (int i = 0; i < HOST_ITEM_COUNT; i++) {
		assert_int_equal(report.items[i].word, HOST_OK);
		assert_string_equal(report.items[i].change, "");
	}
	assert_int_equal(host_exit_status(&report), 0);
}

static void test_events(void **state)
{
	struct host_facts facts;
	const struct host_item *events;

	(void)state;
	good_host(&facts);
	facts.events = 0;
	events = item(&facts, HOST_ITEM_EVENTS);
	assert_int_equal(events->word, HOST_CRITICAL);
	assert_string_equal(events->change, "sysctl -w net.netfilter.nf_conntrack_events=2");
	facts.events = 1;
	assert_int_equal(item(&facts, HOST_ITEM_EVENTS)->word, HOST_OK);
	facts.events = -1;
	assert_int_equal(item(&facts, HOST_ITEM_EVENTS)->word, HOST_NOTE);
}

static void test_hash(void **state)
{
	struct host_facts facts;
	const struct host_item *hash;

	(void)state;
	good_host(&facts);
	facts.max = 4 * 65536;
	facts.buckets = 65536;
	assert_int_equal(item(&facts, HOST_ITEM_HASH)->word, HOST_OK);
	facts.max++;
	hash = item(&facts, HOST_ITEM_HASH);
	assert_int_equal(hash->word, HOST_WARNING);
	assert_string_equal(hash->change, "sysctl -w net.netfilter.nf_conntrack_buckets=65536");
	facts.max = 2000000;
	hash = item(&facts, HOST_ITEM_HASH);
	assert_int_equal(hash->word, HOST_CRITICAL);
	assert_string_equal(hash->change, "sysctl -w net.netfilter.nf_conntrack_buckets=524288");
	/* It cannot be set from within a container. */
	facts.place = HOST_PLACE_OTHER;
	assert_string_equal(item(&facts, HOST_ITEM_HASH)->change, "");
	facts.max = 0;
	assert_int_equal(item(&facts, HOST_ITEM_HASH)->word, HOST_NOTE);
}

static void test_rights(void **state)
{
	struct host_facts facts;

	(void)state;
	good_host(&facts);
	facts.net_admin = false;
	assert_int_equal(item(&facts, HOST_ITEM_RIGHTS)->word, HOST_NOTE);
	facts.may_have = false;
	assert_int_equal(item(&facts, HOST_ITEM_RIGHTS)->word, HOST_CRITICAL);
	/* An agent that runs elsewhere, as beside an exporter's container, has what it needs. */
	facts.agent_up = true;
	assert_int_equal(item(&facts, HOST_ITEM_RIGHTS)->word, HOST_OK);
}

static void test_netns_is_said_loudly(void **state)
{
	struct host_facts facts;
	const struct host_item *netns;

	(void)state;
	good_host(&facts);
	facts.place = HOST_PLACE_OTHER;
	netns = item(&facts, HOST_ITEM_NETNS);
	assert_int_equal(netns->word, HOST_WARNING);
	assert_non_null(strstr(netns->text, "NOT the host's"));
}

static void test_memory(void **state)
{
	struct host_facts facts;

	(void)state;
	good_host(&facts);
	facts.available_bytes = INT64_C(150) << 20;
	assert_int_equal(item(&facts, HOST_ITEM_MEMORY)->word, HOST_WARNING);
	/* 262144 entries of 384 bytes and as many buckets of 8. */
	assert_non_null(strstr(item(&facts, HOST_ITEM_MEMORY)->text, "98 full"));
}

static void test_kernel(void **state)
{
	static const struct {
		const char *release, *version;
		enum host_word word;
		const char *says;
	} kernels[] = {
		{"6.18.5", "#1", HOST_OK, "all that"},
		{"6.1.0-37-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025-05-22)",
		 HOST_WARNING, "6.1.153"},
		{"6.1.0-41-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)",
		 HOST_NOTE, "6.5"},
		{"6.1.0-10-amd64", "#1 SMP Debian 6.1.12-1", HOST_WARNING, "chains"},
		{"5.15.0-100-generic", "#110-Ubuntu SMP", HOST_NOTE, "unless its maker"},
		{"5.14.0-427.el9.x86_64", "#1 SMP", HOST_NOTE, "always on"},
		{"4.19.1", "#1", HOST_WARNING, "ids"},
		{"six", "#1", HOST_NOTE, "nothing is known"},
	};
	struct host_facts facts;

	(void)state;
	good_host(&facts);
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		const struct host_item *kernel;

		strcpy(facts.release, kernels[i].release);
		strcpy(facts.version, kernels[i].version);
		kernel = item(&facts, HOST_ITEM_KERNEL);
		if (!strstr(kernel->text, kernels[i].says))
			fail_msg("%s: %s", kernels[i].release, kernel->text);
		assert_int_equal(kernel->word, kernels[i].word);
	}
}

static void assert_fits(const struct host_report *report)
{
	struct text out;
	size_t lines = 0;

	text_init(&out);
	host_text(report, &out);
	assert_false(text_failed(&out));
	for (const char *line = out.data; *line; line += strcspn(line, "\n") + 1) {
		assert_in_range(strcspn(line, "\n"), 0, 80);
		lines++;
	}
	assert_in_range(lines, 5, 31);
	text_free(&out);
}

static void worst_host(struct host_facts *facts)
{
	host_facts_init(facts);
	strcpy(facts->release, "5.15.0-100-generic-of-somebody");
	strcpy(facts->version, "#1");
	facts->conntrack = true;
	facts->events = 0;
	facts->count = facts->max = INT64_C(1) << 33;
	facts->buckets = 1024;
	facts->place = HOST_PLACE_OTHER;
	facts->listener_count = 40;
	for (size_t i = 0; i < HOST_LISTENERS_MAX; i++)
		facts->listeners[i] = (struct host_listener){2147483647, "a-long-name-too", 9};
	facts->kube_proxy = (struct host_kube_proxy){true, 32768, 131072, 86400, 3600};
	facts->cores = 256;
	facts->available_bytes = 1;
}

static void test_one_screen(void **state)
{
	struct host_report report;
	struct host_facts facts;

	(void)state;
	good_host(&facts);
	host_judge(&facts, &report);
	assert_fits(&report);
	worst_host(&facts);
	host_judge(&facts, &report);
	assert_int_equal(host_exit_status(&report), 2);
	assert_fits(&report);
}

/* --- facts -------------------------------------------------------------------------------- */

static char root[] = "/tmp/conntide-host-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *content, size_t bytes)
{
	char whole[256];
	int fd;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(whole, 0755);
		*at = '/';
	}
	fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC, 0444);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, bytes), (ssize_t)bytes);
	close(fd);
}

static void put_text(const char *path, const char *content)
{
	put(path, content, strlen(content));
}

#define NETFILTER "/proc/sys/net/netfilter/"

static void test_facts(void **state)
{
	static const char cmdline[] = "/usr/local/bin/kube-proxy\0--config=/etc/kube.conf\0"
				      "--conntrack-min=200000\0--v=2";
	struct host_report report;
	struct host_facts facts;

	(void)state;
	put_text(NETFILTER "nf_conntrack_events", "1\n");
	put_text(NETFILTER "nf_conntrack_max", "131072\n");
	put_text(NETFILTER "nf_conntrack_buckets", "65536\n");
	put_text(NETFILTER "nf_conntrack_count", "17\n");
	put_text("/proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n"
				      "CapBnd:\t0000000000001000\n");
	put_text("/proc/meminfo", "MemTotal:  4000 kB\nMemAvailable:    2048 kB\n");
	put_text("/proc/self/net/netlink",
		 "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n"
		 "00000000b1 12  77  00000007 0 0 0 2 5 563\n"	 /* new, update, destroy */
		 "00000000b2 12  78  00000400 0 0 0 2 9 564\n"	 /* another group */
		 "00000000b3 0   79  00000007 0 0 0 2 9 565\n"	 /* another protocol */
		 "00000000b4 12  80  00000004 0 0 0 2 0 566\n"); /* ours */
	put_text("/proc/77/comm", "conntrackd\n");
	put_text("/proc/80/comm", "conntide-agent\n");
	put_text("/proc/91/comm", "kube-proxy\n");
	put("/proc/91/cmdline", cmdline, sizeof(cmdline));
	put_text("/proc/91/root/etc/kube.conf",
		 "kind: KubeProxyConfiguration\nconntrack:\n  maxPerCore: 1000\n"
		 "  tcpEstablishedTimeout: 24h0m0s\n");
	host_facts_read(root, &facts);
	assert_int_equal(facts.events, 1);
	assert_int_equal(facts.max, 131072);
	assert_int_equal(facts.buckets, 65536);
	assert_int_equal(facts.count, 17);
	assert_true(facts.conntrack);
	assert_false(facts.net_admin);
	assert_true(facts.may_have);
	assert_int_equal(facts.available_bytes, 2048 * 1024);
	/* Nobody may write the buckets: not the first namespace. */
	assert_int_equal(facts.place, HOST_PLACE_OTHER);
	assert_int_equal(facts.listener_count, 1);
	assert_int_equal(facts.listeners[0].pid, 77);
	assert_string_equal(facts.listeners[0].name, "conntrackd");
	assert_int_equal(facts.listeners[0].drops, 5);
	assert_true(facts.kube_proxy.runs);
	assert_int_equal(facts.kube_proxy.max_per_core, 1000);
	assert_int_equal(facts.kube_proxy.min, 200000);
	assert_int_equal(facts.kube_proxy.established_s, 86400);
	assert_int_equal(facts.kube_proxy.close_wait_s, -1);
	host_judge(&facts, &report);
	/* Fewer cores than 200 have less than the minimum. */
	assert_non_null(strstr(report.items[HOST_ITEM_KUBE_PROXY].text, "to 200000 when"));
	put_text("/proc/sys/net/nf_conntrack_max", "131072\n");
	host_facts_read(root, &facts);
	assert_int_equal(facts.place, HOST_PLACE_INIT);
}

static void test_nothing_is_known(void **state)
{
	struct host_facts facts;

	(void)state;
	host_facts_read("/nonexistent", &facts);
	assert_false(facts.conntrack || facts.net_admin || facts.may_have);
	assert_int_equal(facts.max, -1);
	assert_int_equal(facts.place, HOST_PLACE_UNKNOWN);
	assert_int_equal(facts.available_bytes, -1);
	assert_int_equal(item(&facts, HOST_ITEM_MODULE)->word, HOST_NOTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_host),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_netns_is_said_loudly),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_one_screen),
		cmocka_unit_test_setup_teardown(test_facts, make_root, remove_root),
		cmocka_unit_test(test_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
