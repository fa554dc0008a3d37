// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel does when source NAT looks for a port: from which range, when it gives
 * up, and what it takes from an entry that is closing. From nf_nat_core.c
 * (nf_nat_l4proto_unique_tuple, get_unique_tuple, nf_nat_may_kill).
 *
 * Ranges, where no rule names one: the port of the client decides, and the new one is of
 * the same class.
 *
 *	class		ports		of
 *	LOW		1-511		ports below 512
 *	PRIVILEGED	600-1023	ports 512 to 1023 ("> 512 is credential passing")
 *	USER		1024-65535	all others: 64,512
 *	ID		0-65535		ICMP: the identifier of echo requests
 *
 * How it searches: up to 128 ports one after the other, then from other random places 64,
 * 32, 16 and 8: 248 of the range at most, and all of a range of up to 128 ports. When none
 * is free the packet is dropped at its confirmation; insert_failed and drop rise by one,
 * nothing is logged. So the share of new connections that fail rises before the pool is
 * full. See nat_failing_share().
 *
 * What it takes back: in the last 32 tries of each round, from Linux 6.5 on (commit
 * 4589725502871, "netfilter: snat: evict closing tcp entries on reply tuple collision"), a new
 * TCP connection may take the port of a source-NATed TCP entry in TIME_WAIT or CLOSE if
 * its sequence number is ahead of the old one's, and never an offloaded one's. The
 * closing entry is destroyed at once.
 *
 *	kernel		TIME_WAIT, CLOSE	others	known from
 *	before 6.5	held			held	source of 5.10, 6.1: no such code
 *	6.5 and later	reclaimed		held	source; 6.18: measured
 *							(tests/netns/test_nat_pools.py)
 *
 * Pure. Threads: none of its own.
 */
#ifndef CONNTIDE_KERNEL_NAT_PORTS_H
#define CONNTIDE_KERNEL_NAT_PORTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum nat_port_class {
	NAT_PORTS_LOW,
	NAT_PORTS_PRIVILEGED,
	NAT_PORTS_USER,
	NAT_PORTS_ID,
	NAT_PORTS_GIVEN, /* a range that rules name: --nat-ports */
	NAT_PORTS_CLASSES
};

struct nat_port_range {
	uint16_t first;
	uint16_t last;
};

/* Their identifier is what source NAT changes. */
static inline bool nat_is_icmp(uint8_t l4num)
{
	return l4num == IPPROTO_ICMP || l4num == IPPROTO_ICMPV6;
}

/* The protocols whose ports source NAT changes; ICMP and ICMPv6 too. */
static inline bool nat_has_ports(uint8_t l4num)
{
	return l4num == IPPROTO_TCP || l4num == IPPROTO_UDP || l4num == IPPROTO_SCTP ||
	       l4num == IPPROTO_UDPLITE || l4num == IPPROTO_DCCP || nat_is_icmp(l4num);
}

/* Of the port, or identifier, that was chosen. Never NAT_PORTS_GIVEN. */
static inline enum nat_port_class nat_port_class(uint8_t l4num, uint16_t port)
{
	if (nat_is_icmp(l4num))
		return NAT_PORTS_ID;
	if (port >= 1024)
		return NAT_PORTS_USER;
	return port < 512 ? NAT_PORTS_LOW : NAT_PORTS_PRIVILEGED;
}

/* For NAT_PORTS_GIVEN nothing is known: {0, 0}. */
struct nat_port_range nat_port_range(enum nat_port_class class);

/* `release` as uname(2) says it. False for what cannot be read. */
bool nat_reclaims_closing(const char *release);

/*
 * Expected share of new connections that find no port, when `held` of `size` cannot be had.
 * Between 0 and 1. Of all the range's ports below 129, none fails before all are held; in
 * ranges up to 4,096 tries are as good as independent: (held / size)^248; in larger ones runs
 * of taken ports fail as a whole, and the share is interpolated from what was measured
 * with masquerade (share of 64,512 ports held: share that fails):
 *	0.70: 0.0005	0.90: 0.005	0.94: 0.04	0.96: 0.10
 *	0.976: 0.18	0.982: 0.37	0.993: 0.55	1: 1
 * It is the middle of what clients make of it, and no more: a client's own port is taken
 * as it is where it is free, so free ports lie where no client draws. Where it is known which
 * ports are used, lib/kernel/nat_search.h says it for the clients there are.
 */
double nat_failing_share(uint32_t held, uint32_t size);

#endif
