// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How likely the kernel's search for a NAT port is to find none, from which ports are taken
 * (nf_nat_core.c, nf_nat_l4proto_unique_tuple). How full a pool is does not tell: the
 * search runs on from a few random places, so long runs of taken ports fail as a whole, and
 * where clients draw their ports from decides how long those runs are.
 *
 * In ranges of more than 128 ports, five rounds, of 128, 64, 32, 16 and 8 ports in a row, each
 * from a 16-bit random number on, modulo the size of the range. In the last 32 tries of a
 * round ports of closing entries count as free where the kernel reclaims them
 * (nat_reclaims_closing()). The share of places from which a round finds none is counted, and the
 * rounds are independent: the product is exact for the ports given.
 *
 * The search begins only where the client's own port is taken, unless the rule says
 * fully-random: nat_failing_of() is the share of new connections that fail, from the
 * share of recent ones that kept their client's port.
 *
 * Pure, some 30 microseconds. Maps: one bit per port, NAT_MAP_WORDS words.
 */
#ifndef CONNTIDE_KERNEL_NAT_SEARCH_H
#define CONNTIDE_KERNEL_NAT_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/kernel/nat_ports.h"

#define NAT_MAP_PORTS 65536u
#define NAT_MAP_WORDS (NAT_MAP_PORTS / 64u)

/* Scratch, and the ring that the random number runs around in. */
struct nat_search {
	uint64_t used[NAT_MAP_WORDS];
	uint64_t held[NAT_MAP_WORDS];
	uint64_t ring[NAT_MAP_WORDS];
	uint64_t other[NAT_MAP_WORDS];
};

/*
 * `closing`: those of `used` that can be reclaimed; NULL: none. `unknown`: this many more are used,
 * it is not known which; they are taken to be anywhere among the free ones. Between 0 and 1. A
 * range of up to 128 ports is searched whole.
 */
double nat_search_fails(struct nat_search *search, const uint64_t *used, const uint64_t *closing,
			struct nat_port_range range, uint32_t unknown);

/*
 * Share of new connections that fail, of those that search `fails`, where of `born` recent ones
 * that did not fail `kept` have their client's port. With few of them: as if all had to search.
 */
double nat_failing_of(double fails, uint32_t kept, uint32_t born);

#endif
