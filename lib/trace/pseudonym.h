// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Addresses replaced by others, so that a trace can be shown to strangers.
 *
 * A keyed permutation of all IPv4 addresses, and one of all IPv6 addresses: the same
 * address has the same pseudonym under one key, two addresses never share one, and
 * nothing of prefixes or of special ranges is left. It is a Feistel network of eight
 * rounds (Luby and Rackoff, "How to construct pseudorandom permutations from
 * pseudorandom functions", 1988) over SipHash-2-4 (Aumasson and Bernstein, 2012). The
 * key is to be drawn for one trace and forgotten.
 *
 * What it does not hide: who talks to how many, on which ports, and when.
 *
 * Pure but for pseudonym_draw(). No allocation.
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

/* Replaces both addresses of the key. Its hash, kept elsewhere, is not touched. */
void pseudonym_apply(const struct pseudonym *pseudonym, struct ct_key *key);

/* SipHash-2-4 of the 16 bytes of two little-endian words; for the unit test. */
uint64_t pseudonym_siphash(const uint64_t key[2], uint64_t first, uint64_t second);

#endif
