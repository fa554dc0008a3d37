// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/host_facts.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/base/num.h"

#define NETFILTER	 "/proc/sys/net/netfilter/"
#define CONNTRACK_GROUPS 0x7u /* NEW, UPDATE, DESTROY: the first three */
#define LINE_BYTES	 512

static FILE *open_file(const char *root, const char *path)
{
	char whole[PATH_MAX];

	if (snprintf(whole, sizeof(whole), "%s%s", root, path) >= (int)sizeof(whole))
		return NULL;
	return fopen(whole, "re");
}

static bool exists(const char *root, const char *path, struct stat *st)
{
	char whole[PATH_MAX];

	return snprintf(whole, sizeof(whole), "%s%s", root, path) < (int)sizeof(whole) &&
	       stat(whole, st) == 0;
}

/* The first line without its end; false when there is none. */
static bool read_line(const char *root, const char *path, char *line, size_t bytes)
{
	FILE *file = open_file(root, path);
	bool read = file && fgets(line, (int)bytes, file);

	if (file)
		fclose(file);
	if (read)
		line[strcspn(line, "\n")] = '\0';
	return read;
}

static int64_t read_number(const char *root, const char *path)
{
	char line[32];
	uint64_t value;

	if (!read_line(root, path, line, sizeof(line)) || num_u64(line, 0, INT64_MAX, &value) < 0)
		return -1;
	return (int64_t)value;
}

/* --- sysctls, modules, rights ------------------------------------------------------------- */

static void read_sysctls(const char *root, struct host_facts *facts)
{
	struct stat st;

	facts->events = read_number(root, NETFILTER "nf_conntrack_events");
	facts->count = read_number(root, NETFILTER "nf_conntrack_count");
	facts->max = read_number(root, NETFILTER "nf_conntrack_max");
	facts->buckets = read_number(root, NETFILTER "nf_conntrack_buckets");
	facts->established_s = read_number(root, NETFILTER "nf_conntrack_tcp_timeout_established");
	facts->close_wait_s = read_number(root, NETFILTER "nf_conntrack_tcp_timeout_close_wait");
	facts->conntrack = facts->max >= 0;
	/* Others than the first namespace may not write it (since 5.13), and do not have the
	 * old name of the limit. */
	if (exists(root, "/proc/sys/net/nf_conntrack_max", &st))
		facts->place = HOST_PLACE_INIT;
	else if (exists(root, NETFILTER "nf_conntrack_buckets", &st))
		facts->place = st.st_mode & S_IWUSR ? HOST_PLACE_INIT : HOST_PLACE_OTHER;
	facts->ctnetlink = exists(root, "/sys/module/nf_conntrack_netlink", &st);
}

/* A line of /proc/self/status: its value in hexadecimal. */
static bool status_set(const char *line, const char *name, uint64_t *ret_set)
{
	size_t bytes = strlen(name);

	if (strncmp(line, name, bytes) != 0)
		return false;
	line += bytes + strspn(line + bytes, ":\t ");
	return num_take_hex(&line, UINT64_MAX, ret_set) == 0;
}

static void read_rights(const char *root, struct host_facts *facts)
{
	const uint64_t net_admin = UINT64_C(1) << CAP_NET_ADMIN;
	FILE *file = open_file(root, "/proc/self/status");
	char line[LINE_BYTES];
	uint64_t set;

	while (file && fgets(line, sizeof(line), file)) {
		if (status_set(line, "CapEff", &set))
			facts->net_admin = set & net_admin;
		else if (status_set(line, "CapBnd", &set))
			facts->may_have = set & net_admin;
	}
	if (file)
		fclose(file);
}

static void read_memory(const char *root, struct host_facts *facts)
{
	FILE *file = open_file(root, "/proc/meminfo");
	char line[LINE_BYTES];
	uint64_t kib;

	while (file && fgets(line, sizeof(line), file)) {
		const char *at = line + strlen("MemAvailable:");

		if (strncmp(line, "MemAvailable:", strlen("MemAvailable:")) != 0)
			continue;
		at += strspn(at, " ");
		if (num_take_u64(&at, INT64_MAX / 1024, &kib) == 0)
			facts->available_bytes = (int64_t)kib * 1024;
	}
	if (file)
		fclose(file);
}

/* --- other listeners ---------------------------------------------------------------------- */

static void add_listener(const char *root, struct host_facts *facts, unsigned int pid,
			 int64_t drops)
{
	struct host_listener *one;
	char path[64], name[32] = "";

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	if (pid <= INT_MAX)
		read_line(root, path, name, sizeof(name));
	if (!strncmp(name, "conntide", strlen("conntide")))
		return;
	if (facts->listener_count < HOST_LISTENERS_MAX) {
		one = &facts->listeners[facts->listener_count];
		one->pid = (pid_t)pid;
		snprintf(one->name, sizeof(one->name), "%.15s", name);
		one->drops = drops;
	}
	facts->listener_count++;
}

static void read_listeners(const char *root, struct host_facts *facts)
{
	FILE *file = open_file(root, "/proc/self/net/netlink");
	char line[LINE_BYTES];

	while (file && fgets(line, sizeof(line), file)) {
		unsigned int protocol, pid, groups;
		unsigned long long drops;

		/* sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode */
		if (sscanf(line, "%*s %u %u %x %*s %*s %*s %*s %llu", &protocol, &pid, &groups,
			   &drops) == 4 &&
		    protocol == NETLINK_NETFILTER && groups & CONNTRACK_GROUPS)
			add_listener(root, facts, pid, (int64_t)drops);
	}
	if (file)
		fclose(file);
}

/* --- kube-proxy ----------------------------------------------------------------------------- */

/* 24h0m0s of its flags and files. */
static int64_t seconds(const char *text)
{
	char word[32];
	uint64_t ns;

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(text, " \t\r\n\"#"), text);
	return num_duration_ns(word, 0, UINT64_MAX, &ns) < 0 ? -1 : (int64_t)(ns / 1000000000u);
}

static int64_t number(const char *text)
{
	uint64_t value;

	return num_take_u64(&text, INT64_MAX, &value) < 0 ? -1 : (int64_t)value;
}

/* "name: value" or "--name=value"; the names of both are known. */
static void take_setting(struct host_kube_proxy *kube, const char *name, size_t bytes,
			 const char *value)
{
	static const struct {
		const char *flag;
		const char *key;
		size_t at;
		bool is_time;
	} settings[] = {
		{"--conntrack-max-per-core", "maxPerCore",
		 offsetof(struct host_kube_proxy, max_per_core), false},
		{"--conntrack-min", "min", offsetof(struct host_kube_proxy, min), false},
		{"--conntrack-tcp-timeout-established", "tcpEstablishedTimeout",
		 offsetof(struct host_kube_proxy, established_s), true},
		{"--conntrack-tcp-timeout-close-wait", "tcpCloseWaitTimeout",
		 offsetof(struct host_kube_proxy, close_wait_s), true},
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		int64_t *to = (int64_t *)(void *)((char *)kube + settings[i].at);

		if ((strlen(settings[i].flag) != bytes ||
		     strncmp(name, settings[i].flag, bytes) != 0) &&
		    (strlen(settings[i].key) != bytes ||
		     strncmp(name, settings[i].key, bytes) != 0))
			continue;
		value += strspn(value, " \"");
		*to = settings[i].is_time ? seconds(value) : number(value);
	}
}

/* Its configuration, as its own mount namespace has it. */
static void read_kube_config(const char *root, const char *pid, const char *config,
			     struct host_kube_proxy *kube)
{
	char path[PATH_MAX], line[LINE_BYTES];
	FILE *file;

	if (snprintf(path, sizeof(path), "/proc/%s/root%s", pid, config) >= (int)sizeof(path))
		return;
	file = open_file(root, path);
	while (file && fgets(line, sizeof(line), file)) {
		const char *name = line + strspn(line, " ");

		take_setting(kube, name, strcspn(name, ":"), name + strcspn(name, ":") + 1);
	}
	if (file)
		fclose(file);
}

static void read_kube_proxy(const char *root, const char *pid, struct host_kube_proxy *kube)
{
	char path[PATH_MAX], *word = NULL;
	size_t room = 0;
	FILE *file;

	kube->runs = true;
	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	file = open_file(root, path);
	while (file && getdelim(&word, &room, '\0', file) > 0) {
		char *equals = strchr(word, '=');

		if (!equals)
			continue;
		if (!strncmp(word, "--config=", strlen("--config=")))
			read_kube_config(root, pid, equals + 1, kube);
		take_setting(kube, word, (size_t)(equals - word), equals + 1);
	}
	free(word);
	if (file)
		fclose(file);
}

static void find_kube_proxy(const char *root, struct host_facts *facts)
{
	char path[PATH_MAX], name[32];
	const struct dirent *entry;
	DIR *proc;

	if (snprintf(path, sizeof(path), "%s/proc", root) >= (int)sizeof(path))
		return;
	proc = opendir(path);
	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (read_line(root, path, name, sizeof(name)) && !strcmp(name, "kube-proxy"))
			read_kube_proxy(root, entry->d_name, &facts->kube_proxy);
	}
	if (proc)
		closedir(proc);
}

void host_facts_read(const char *root, struct host_facts *facts)
{
	struct utsname kernel;
	long cores = sysconf(_SC_NPROCESSORS_CONF);

	host_facts_init(facts);
	if (uname(&kernel) == 0) {
		snprintf(facts->release, sizeof(facts->release), "%s", kernel.release);
		snprintf(facts->version, sizeof(facts->version), "%s", kernel.version);
	}
	facts->cores = cores > 0 ? (uint32_t)cores : 1;
	read_sysctls(root, facts);
	read_rights(root, facts);
	read_memory(root, facts);
	read_listeners(root, facts);
	find_kube_proxy(root, facts);
}
