// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many packets other network namespaces receive: their new connections remove expired entries
 * of this one too (lib/kernel/gc.h), and nothing else of them is to be seen from here.
 *
 * /proc/net/softnet_stat counts the packets of the whole machine, one line a CPU, the first column
 * in hexadecimal and 32 bits wide; /proc/net/snmp and snmp6 those that this namespace received. A
 * packet is counted by the machine at each device that it passes, network card, bond, VLAN and
 * bridge: SOFTNET_DEVICES at most. What is above that belongs to others for certain. Where packets
 * of others pass several devices, or are bridged and not tracked, fewer are looked up.
 *
 * The files are kept open and read with pread. Threads: one.
 */
#ifndef CONNTIDE_AGENT_NETLINK_SOFTNET_H
#define CONNTIDE_AGENT_NETLINK_SOFTNET_H

#include <stdint.h>

#include "lib/kernel/gc.h"

#define SOFTNET_DEVICES	    4u
#define SOFTNET_INTERVAL_NS UINT64_C(10000000000)

struct softnet_counters {
	uint32_t cpus;	  /* lines */
	uint32_t machine; /* sum of all CPUs; wraps */
	uint64_t own;
};

struct softnet {
	int machine_fd;
	int ip_fd;
	int ip6_fd;
	uint64_t read_ns; /* 0: not yet */
	struct softnet_counters last;
	int64_t own_milli_per_s; /* of the last interval; -1: not known */
	int64_t others_milli_per_s;
};

/* 0, or -EBADMSG; `counters` is added to. */
int softnet_machine(const char *text, struct softnet_counters *counters);
int softnet_ip(const char *text, struct softnet_counters *counters);
int softnet_ip6(const char *text, struct softnet_counters *counters);
/* What came between, over so long. Not known where a CPU came or went. */
void softnet_between(struct softnet *softnet, const struct softnet_counters *now, uint64_t over_ns);
/* The same for lib/kernel/gc.h; 0 where it is not known. */
struct gc_packets softnet_packets(const struct softnet *softnet);

void softnet_open(struct softnet *softnet);
void softnet_close(struct softnet *softnet);
/* Once a second; reads when an interval has passed. */
void softnet_second(struct softnet *softnet, uint64_t now_ns);

#endif
