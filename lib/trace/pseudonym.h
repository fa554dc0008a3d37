// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replaces addresses in a trace, so that it can be given to strangers.
 *
 * A keyed permutation of all IPv4 addresses, and one of all IPv6 addresses: under one key an
 * address always gets the same pseudonym, two addresses never share one, and nothing of
 * prefixes or special ranges remains. A Feistel network of eight rounds (Luby and Rackoff,
 * "How to construct pseudorandom permutations from pseudorandom functions", 1988) over
 * SipHash-2-4 (Aumasson and Bernstein, 2012). Draw the key for one trace and forget it.
 *
 * Not hidden: how many peers a host has, on which ports, and when.
 *
 * Pure but for pseudonym_draw(). No allocation. Threads: any.
 */
#ifndef CONNTIDE_TRACE_PSEUDONYM_H
#define CONNTIDE_TRACE_PSEUDONYM_H

#include <stdint.h>

#include "lib/event/event.h"

struct pseudonym {
	uint64_t key[2];
};

/* A key from the kernel's random numbers; 0 or -errno. */
int pseudonym_draw(struct pseudonym *pseudonym);

/* Replaces both addresses of the key. A hash of it kept elsewhere becomes stale. */
void pseudonym_apply(const struct pseudonym *pseudonym, struct ct_key *key);

/* SipHash-2-4 of the 16 bytes of two little-endian words; for the unit test. */
uint64_t pseudonym_siphash(const uint64_t key[2], uint64_t first, uint64_t second);

#endif
