// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/softnet.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/num.h"

/* A line is 140 bytes long; the first of snmp's are the first of the file. */
#define MACHINE_BYTES (256u << 10)
#define OWN_BYTES     1024u

int softnet_machine(const char *text, struct softnet_counters *counters)
{
	while (*text) {
		const char *end = strchr(text, '\n');
		uint64_t packets;

		if (num_take_hex(&text, UINT32_MAX, &packets) < 0 || !end)
			return -EBADMSG;
		counters->machine += (uint32_t)packets;
		counters->cpus++;
		text = end + 1;
	}
	return counters->cpus ? 0 : -EBADMSG;
}

/* Ip: <names>, and in the next line Ip: <numbers>. The third of each is InReceives. */
int softnet_ip(const char *text, struct softnet_counters *counters)
{
	static const char names[] = "Ip: Forwarding DefaultTTL InReceives ";
	uint64_t value = 0;

	if (strncmp(text, names, sizeof(names) - 1) != 0)
		return -EBADMSG;
	text = strstr(text, "\nIp: ");
	if (!text)
		return -EBADMSG;
	text += strlen("\nIp:");
	for (unsigned int i = 0; i < 3; i++)
		if (*text++ != ' ' || num_take_u64(&text, UINT64_MAX, &value) < 0)
			return -EBADMSG;
	counters->own += value;
	return 0;
}

int softnet_ip6(const char *text, struct softnet_counters *counters)
{
	static const char name[] = "Ip6InReceives";
	uint64_t value;

	if (strncmp(text, name, sizeof(name) - 1) != 0)
		return -EBADMSG;
	text += sizeof(name) - 1;
	text += strspn(text, " \t");
	if (num_take_u64(&text, UINT64_MAX, &value) < 0)
		return -EBADMSG;
	counters->own += value;
	return 0;
}

static int64_t milli_per_s(uint64_t packets, uint64_t over_ns)
{
	return (int64_t)((double)packets * 1e12 / (double)over_ns);
}

static void not_known(struct softnet *softnet)
{
	softnet->own_milli_per_s = softnet->others_milli_per_s = -1;
}

void softnet_between(struct softnet *softnet, const struct softnet_counters *now, uint64_t over_ns)
{
	const struct softnet_counters *last = &softnet->last;
	uint64_t machine = (uint32_t)(now->machine - last->machine);
	uint64_t own = now->own - last->own, devices = own * SOFTNET_DEVICES;

	not_known(softnet);
	if (now->cpus != last->cpus || !over_ns)
		return;
	softnet->own_milli_per_s = milli_per_s(own, over_ns);
	softnet->others_milli_per_s =
		milli_per_s(machine > devices ? machine - devices : 0, over_ns);
}

struct gc_packets softnet_packets(const struct softnet *softnet)
{
	return (struct gc_packets){
		.own_per_s = fmax((double)softnet->own_milli_per_s / 1000, 0),
		.others_per_s = fmax((double)softnet->others_milli_per_s / 1000, 0),
	};
}

static int open_proc(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC);
}

void softnet_open(struct softnet *softnet)
{
	*softnet = (struct softnet){
		.machine_fd = open_proc("/proc/net/softnet_stat"),
		.ip_fd = open_proc("/proc/net/snmp"),
		.ip6_fd = open_proc("/proc/net/snmp6"),
	};
	not_known(softnet);
}

void softnet_close(struct softnet *softnet)
{
	int *const fds[] = {&softnet->machine_fd, &softnet->ip_fd, &softnet->ip6_fd};

	for (unsigned int i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* To the end of the file, or of `text`. */
static bool read_text(int fd, char *text, size_t bytes)
{
	size_t n = 0;
	ssize_t got = fd < 0 ? -1 : 1;

	while (got > 0 && n < bytes - 1) {
		got = pread(fd, text + n, bytes - 1 - n, (off_t)n);
		n += got > 0 ? (size_t)got : 0;
	}
	text[n] = '\0';
	return got >= 0;
}

/* Without IPv6 there is no file of it. */
static bool read_all(const struct softnet *softnet, struct softnet_counters *counters)
{
	char *text = malloc(MACHINE_BYTES);
	bool known;

	*counters = (struct softnet_counters){0};
	if (!text)
		return false;
	known = read_text(softnet->machine_fd, text, MACHINE_BYTES) &&
		softnet_machine(text, counters) == 0 &&
		read_text(softnet->ip_fd, text, OWN_BYTES) && softnet_ip(text, counters) == 0 &&
		(softnet->ip6_fd < 0 ||
		 (read_text(softnet->ip6_fd, text, OWN_BYTES) && softnet_ip6(text, counters) == 0));
	free(text);
	return known;
}

void softnet_second(struct softnet *softnet, uint64_t now_ns)
{
	struct softnet_counters now;

	if (softnet->read_ns && now_ns - softnet->read_ns < SOFTNET_INTERVAL_NS)
		return;
	if (!read_all(softnet, &now)) {
		softnet->read_ns = 0;
		not_known(softnet);
		return;
	}
	if (softnet->read_ns)
		softnet_between(softnet, &now, now_ns - softnet->read_ns);
	softnet->last = now;
	softnet->read_ns = now_ns;
}
