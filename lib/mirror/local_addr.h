// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The addresses of the namespace, and the direction of an entry by them.
 *
 * Source is who dialled (original source); destination is where packets really
 * go (reply source, so after DNAT). Both local: loopback; source local:
 * outbound; destination local: inbound; neither: forwarded. A masqueraded
 * connection is therefore forwarded, a redirected one inbound, and a port
 * forwarded to a host behind the gateway is forwarded.
 *
 * Local are all addresses of all interfaces, 127.0.0.0/8, ::1, and the IPv4
 * prefixes of addresses on a loopback interface (the kernel makes those local
 * as a whole: fib_add_ifaddr). For a packet from elsewhere a broadcast address
 * of ours and multicast count as local, since it is we who receive it.
 *
 * Bounded at LOCAL_ADDR_MAX addresses; beyond, `overflowed` is set and what is
 * missing counts as not local. Threads: a set is filled by one thread and read
 * by one other after it was handed over.
 */
#ifndef CONNTIDE_MIRROR_LOCAL_ADDR_H
#define CONNTIDE_MIRROR_LOCAL_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernel/states.h"

#define LOCAL_ADDR_MAX 65536u

struct local_addr {
	uint8_t bytes[16]; /* IPv4: first four */
	uint8_t family;
	uint8_t prefix_bits; /* 32 or 128, less for IPv4 on a loopback interface */
	uint8_t broadcast;   /* 1: local only as a destination */
	uint8_t _pad;
};

#define LOCAL_ADDR_BITS 4096u

struct local_addrs {
	struct local_addr *addrs; /* whole addresses sorted, then prefixes */
	uint32_t count;
	uint32_t whole_count;
	uint32_t room;
	bool overflowed;
	/* One bit by a hash of each whole address: most addresses are not local, and one look says
	 * so. */
	uint64_t perhaps[LOCAL_ADDR_BITS / 64u];
};

void local_addrs_init(struct local_addrs *set);
void local_addrs_free(struct local_addrs *set);

/* 0 or -ENOMEM; beyond the bound the set is marked as overflowed. */
int local_addrs_add(struct local_addrs *set, const struct local_addr *addr);
/* Sorts; must be called after the last addition and before the first look-up. */
void local_addrs_finish(struct local_addrs *set);
/* Is each address of `other` in the set, with the same prefix? */
bool local_addrs_hold(const struct local_addrs *set, const struct local_addrs *other);
bool local_addrs_equal(const struct local_addrs *a, const struct local_addrs *b);

enum direction local_direction(const struct local_addrs *set, uint8_t family, const uint8_t src[16],
			       const uint8_t dst[16]);

#endif
