// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/event/event.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint8_t hash_secret[XXH3_SECRET_DEFAULT_SIZE];
uint64_t ct_hash_pair_secret[2];

_Static_assert(XXH3_SECRET_DEFAULT_SIZE >= XXH3_SECRET_SIZE_MIN, "secret long enough for XXH3");

/* 0 or -EIO. */
static int draw(void *bytes, size_t len)
{
	return getrandom(bytes, len, 0) == (ssize_t)len ? 0 : -EIO;
}

/* The pair's secret is drawn, not derived: of few bytes XXH3 makes a hash that depends on 32 bits
 * of its secret. */
int ct_hash_seed(void)
{
	int err = draw(hash_secret, sizeof(hash_secret));

	return err ? err : draw(ct_hash_pair_secret, sizeof(ct_hash_pair_secret));
}

void ct_hash_seed_fixed(uint64_t seed)
{
	XXH3_generateSecret_fromSeed(hash_secret, seed);
	for (uint8_t i = 0; i < 2; i++)
		ct_hash_pair_secret[i] = ct_hash_bytes(&i, sizeof(i));
}

uint64_t ct_hash(const struct ct_key *key)
{
	return XXH3_64bits_withSecret(key, sizeof(*key), hash_secret, sizeof(hash_secret));
}

uint64_t ct_hash_bytes(const void *bytes, size_t len)
{
	return XXH3_64bits_withSecret(bytes, len, hash_secret, sizeof(hash_secret));
}

static const uint8_t l4proto_by_number[256] = {
	[IPPROTO_TCP] = L4_TCP + 1,	  [IPPROTO_UDP] = L4_UDP + 1,
	[IPPROTO_SCTP] = L4_SCTP + 1,	  [IPPROTO_ICMP] = L4_ICMP + 1,
	[IPPROTO_ICMPV6] = L4_ICMPV6 + 1, [IPPROTO_GRE] = L4_GRE + 1,
};

enum l4proto ct_l4proto(uint8_t l4num)
{
	return l4proto_by_number[l4num] ? l4proto_by_number[l4num] - 1u : L4_OTHER;
}

uint16_t ct_key_port(const struct ct_key *key)
{
	switch (key->l4num) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return key->dport;
	default:
		return ct_l4proto(key->l4num) == L4_OTHER ? key->l4num : 0;
	}
}
