// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/kernel/nat_search.h"

#include <stddef.h>
#include <string.h>

#define WORDS	    NAT_MAP_WORDS
#define WHOLE_PORTS 128u /* the first round covers all of such a range */
#define BORN_LEAST  20u

static bool get(const uint64_t *map, uint32_t at)
{
	return map[at / 64u] >> at % 64u & 1u;
}

static uint32_t count(const uint64_t *map)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < WORDS; i++)
		bits += (uint32_t)__builtin_popcountll(map[i]);
	return bits;
}

/* 64 bits from place `at` of the ring on. */
static uint64_t take(const uint64_t *ring, uint32_t at)
{
	uint64_t low = ring[at / 64u % WORDS], high = ring[(at / 64u + 1u) % WORDS];

	return at % 64u ? low >> at % 64u | high << (64u - at % 64u) : low;
}

/* to[x] = a[x] and b[x + by]; `to` is another array. */
static void both(uint64_t *to, const uint64_t *a, const uint64_t *b, uint32_t by)
{
	for (uint32_t i = 0; i < WORDS; i++)
		to[i] = a[i] & take(b, i * 64u + by);
}

/* Runs of `length` become runs of twice that: a place is set where one begins. */
static void twice(struct nat_search *search, uint64_t *runs, uint32_t length)
{
	both(search->other, runs, runs, length);
	memcpy(runs, search->other, sizeof(search->other));
}

/* The port that each 16-bit number leads to, as a ring of bits. */
static void unroll(uint64_t *map, uint64_t *ring, struct nat_port_range range)
{
	uint32_t size = (uint32_t)range.last - range.first + 1u, at = 0;

	memset(ring, 0, WORDS * sizeof(*ring));
	for (uint32_t i = 0; i < NAT_MAP_PORTS; i++) {
		ring[i / 64u] |= (uint64_t)get(map, range.first + at) << i % 64u;
		at = at + 1u < size ? at + 1u : 0;
	}
	memcpy(map, ring, WORDS * sizeof(*ring));
}

/* Sets `unknown` bits of those that are not, each as likely as another. */
static void scatter(uint64_t *map, struct nat_port_range range, uint32_t unknown)
{
	uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
	uint32_t zeros = 0;

	for (uint32_t port = range.first; port <= range.last; port++)
		zeros += !get(map, port);
	for (uint32_t port = range.first; port <= range.last && unknown; port++) {
		if (get(map, port))
			continue;
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		if ((random >> 32) * zeros >> 32 < unknown) {
			map[port / 64u] |= UINT64_C(1) << port % 64u;
			unknown--;
		}
		zeros--;
	}
}

static double share(const uint64_t *ring)
{
	return (double)count(ring) / NAT_MAP_PORTS;
}

/* Of places from which the five rounds fail; `used` and `held` are rings and become runs of 32. */
static double rounds(struct nat_search *search)
{
	double fails = 1.0;

	for (uint32_t length = 1; length < 32; length *= 2) {
		twice(search, search->used, length);
		twice(search, search->held, length);
		if (length >= 4)
			fails *= share(search->held); /* 8, 16 and 32 in a row */
	}
	both(search->ring, search->used, search->held, 32);
	fails *= share(search->ring);
	/* 96 that are used, then 32 that are held. */
	both(search->ring, search->used, search->used, 32);
	both(search->other, search->ring, search->used, 64);
	both(search->ring, search->other, search->held, 96);
	return fails * share(search->ring);
}

double nat_search_fails(struct nat_search *search, const uint64_t *used, const uint64_t *closing,
			struct nat_port_range range, uint32_t unknown)
{
	uint32_t size = (uint32_t)range.last - range.first + 1u;

	memcpy(search->used, used, sizeof(search->used));
	scatter(search->used, range, unknown);
	for (uint32_t i = 0; i < WORDS; i++)
		search->held[i] = search->used[i] & ~(closing ? closing[i] : 0);
	unroll(search->used, search->ring, range);
	unroll(search->held, search->ring, range);
	if (size <= WHOLE_PORTS)
		return count(search->held) == NAT_MAP_PORTS ? 1.0 : 0.0;
	return rounds(search);
}

/*
 * Of those whose own port is free all succeed, of the others `1 - fails`: kept / born =
 * (1 - taken) / (1 - taken * fails), so much for those that can be seen.
 */
double nat_failing_of(double fails, uint32_t kept, uint32_t born)
{
	double share_kept, taken;

	if (born < BORN_LEAST || fails >= 1.0)
		return fails;
	share_kept = kept < born ? (double)kept / born : 1.0;
	taken = (1.0 - share_kept) / (1.0 - share_kept * fails);
	return taken * fails;
}
