// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/trace/pseudonym.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define ROUNDS 8u

int pseudonym_draw(struct pseudonym *pseudonym)
{
	ssize_t n = getrandom(pseudonym->key, sizeof(pseudonym->key), 0);

	return n == (ssize_t)sizeof(pseudonym->key) ? 0 : -EIO;
}

static uint64_t rotl(uint64_t x, unsigned int bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], unsigned int rounds)
{
	while (rounds--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] = rotl(v[0], 32) + v[3];
		v[2] += v[1];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[2] = rotl(v[2], 32);
	}
}

uint64_t pseudonym_siphash(const uint64_t key[2], uint64_t first, uint64_t second)
{
	const uint64_t words[] = {first, second, UINT64_C(16) << 56};
	uint64_t v[4] = {
		key[0] ^ UINT64_C(0x736f6d6570736575),
		key[1] ^ UINT64_C(0x646f72616e646f6d),
		key[0] ^ UINT64_C(0x6c7967656e657261),
		key[1] ^ UINT64_C(0x7465646279746573),
	};

	for (unsigned int i = 0; i < 3; i++) {
		v[3] ^= words[i];
		sip_rounds(v, 2);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Half an address is in the low bits of a word; the number of the round and the size
 * of the half keep the functions of rounds and of families apart. */
static uint64_t round_of(const struct pseudonym *pseudonym, uint64_t half, unsigned int round,
			 size_t half_bytes)
{
	uint64_t mask = half_bytes == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * half_bytes) - 1;

	return pseudonym_siphash(pseudonym->key, half, half_bytes << 8 | round) & mask;
}

static uint64_t load(const uint8_t *from, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | from[i];
	return value;
}

static void store(uint8_t *to, size_t bytes, uint64_t value)
{
	for (size_t i = bytes; i > 0; i--, value >>= 8)
		to[i - 1] = (uint8_t)value;
}

static void replace(const struct pseudonym *pseudonym, uint8_t *address, size_t bytes)
{
	size_t half = bytes / 2;
	uint64_t left = load(address, half), right = load(address + half, half);

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t next = left ^ round_of(pseudonym, right, round, half);

		left = right;
		right = next;
	}
	store(address, half, left);
	store(address + half, half, right);
}

void pseudonym_apply(const struct pseudonym *pseudonym, struct ct_key *key)
{
	size_t bytes = key->family == AF_INET ? 4 : 16;

	replace(pseudonym, key->src, bytes);
	replace(pseudonym, key->dst, bytes);
}
