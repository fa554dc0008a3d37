// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/local_addr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void local_addrs_init(struct local_addrs *set)
{
	memset(set, 0, sizeof(*set));
}

void local_addrs_free(struct local_addrs *set)
{
	free(set->addrs);
	local_addrs_init(set);
}

static bool is_prefix(const struct local_addr *addr)
{
	return addr->prefix_bits < (addr->family == AF_INET ? 32 : 128);
}

int local_addrs_add(struct local_addrs *set, const struct local_addr *addr)
{
	if (set->count == LOCAL_ADDR_MAX) {
		set->overflowed = true;
		return 0;
	}
	if (set->count == set->room) {
		uint32_t room = set->room ? 2 * set->room : 64;
		struct local_addr *addrs = realloc(set->addrs, room * sizeof(*addrs));

		if (!addrs)
			return -ENOMEM;
		set->addrs = addrs;
		set->room = room;
	}
	set->addrs[set->count++] = *addr;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct local_addr *x = a, *y = b;

	if (is_prefix(x) != is_prefix(y))
		return is_prefix(x) ? 1 : -1;
	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	return memcmp(x->bytes, y->bytes, sizeof(x->bytes));
}

/* For equal addresses, a local one sorts before a broadcast one: see drop_twins(). */
static int compare_all(const void *a, const void *b)
{
	const struct local_addr *x = a, *y = b;
	int order = compare(a, b);

	if (order)
		return order;
	return x->broadcast != y->broadcast ? x->broadcast - y->broadcast
					    : x->prefix_bits - y->prefix_bits;
}

/* An address may be on two interfaces, or be its own broadcast ("/32 brd" itself). */
static void drop_twins(struct local_addrs *set)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < set->count; i++) {
		const struct local_addr *addr = &set->addrs[i];
		const struct local_addr *last = kept ? &set->addrs[kept - 1] : NULL;

		if (last && compare(last, addr) == 0 &&
		    (!is_prefix(addr) || last->prefix_bits == addr->prefix_bits))
			continue;
		set->addrs[kept++] = *addr;
	}
	set->count = kept;
}

/* Whoever makes addresses collide gains a search each, as before there was a hash. */
static uint32_t bit_of(const uint8_t bytes[16])
{
	uint64_t halves[2];

	memcpy(halves, bytes, sizeof(halves));
	return (uint32_t)((halves[0] ^ halves[1] * UINT64_C(0xd6e8feb86659fd93)) *
				  UINT64_C(0x9e3779b97f4a7c15) >>
			  52);
}

_Static_assert(LOCAL_ADDR_BITS == 1u << (64 - 52), "bit_of()");

static void note_whole(struct local_addrs *set, const struct local_addr *addr)
{
	uint32_t bit = bit_of(addr->bytes);

	set->perhaps[bit / 64u] |= UINT64_C(1) << (bit % 64u);
}

static bool perhaps_whole(const struct local_addrs *set, const uint8_t bytes[16])
{
	uint32_t bit = bit_of(bytes);

	return set->perhaps[bit / 64u] >> (bit % 64u) & 1u;
}

void local_addrs_finish(struct local_addrs *set)
{
	if (set->count)
		qsort(set->addrs, set->count, sizeof(set->addrs[0]), compare_all);
	drop_twins(set);
	set->whole_count = 0;
	memset(set->perhaps, 0, sizeof(set->perhaps));
	while (set->whole_count < set->count && !is_prefix(&set->addrs[set->whole_count]))
		note_whole(set, &set->addrs[set->whole_count++]);
}

bool local_addrs_hold(const struct local_addrs *set, const struct local_addrs *other)
{
	for (uint32_t i = 0; i < other->count; i++)
		if (!set->count || !bsearch(&other->addrs[i], set->addrs, set->count,
					    sizeof(set->addrs[0]), compare_all))
			return false;
	return true;
}

bool local_addrs_equal(const struct local_addrs *a, const struct local_addrs *b)
{
	return a->count == b->count && a->overflowed == b->overflowed &&
	       (a->count == 0 || memcmp(a->addrs, b->addrs, a->count * sizeof(a->addrs[0])) == 0);
}

static bool prefix_matches(const struct local_addr *prefix, uint8_t family, const uint8_t *bytes)
{
	unsigned int whole = prefix->prefix_bits / 8u, rest = prefix->prefix_bits % 8u;

	if (prefix->family != family || memcmp(prefix->bytes, bytes, whole) != 0)
		return false;
	return rest == 0 || (prefix->bytes[whole] ^ bytes[whole]) >> (8u - rest) == 0;
}

static bool loopback_address(uint8_t family, const uint8_t bytes[16])
{
	static const uint8_t one[16] = {[15] = 1};

	return family == AF_INET ? bytes[0] == 127 : memcmp(bytes, one, sizeof(one)) == 0;
}

enum found { NOT_LOCAL, LOCAL_BROADCAST, LOCAL };

static const struct local_addr *find_whole(const struct local_addrs *set, uint8_t family,
					   const uint8_t bytes[16])
{
	struct local_addr wanted = {.family = family, .prefix_bits = family == AF_INET ? 32 : 128};

	if (!perhaps_whole(set, bytes))
		return NULL;
	memcpy(wanted.bytes, bytes, sizeof(wanted.bytes));
	return bsearch(&wanted, set->addrs, set->whole_count, sizeof(wanted), compare);
}

static enum found look_up(const struct local_addrs *set, uint8_t family, const uint8_t bytes[16])
{
	const struct local_addr *hit;

	if (loopback_address(family, bytes))
		return LOCAL;
	hit = find_whole(set, family, bytes);
	if (hit)
		return hit->broadcast ? LOCAL_BROADCAST : LOCAL;
	for (uint32_t i = set->whole_count; i < set->count; i++)
		if (prefix_matches(&set->addrs[i], family, bytes))
			return LOCAL;
	return NOT_LOCAL;
}

static bool to_everybody(uint8_t family, const uint8_t bytes[16])
{
	static const uint8_t all_ones[4] = {255, 255, 255, 255};

	if (family == AF_INET)
		return (bytes[0] & 0xf0) == 0xe0 || memcmp(bytes, all_ones, 4) == 0;
	return bytes[0] == 0xff;
}

enum direction local_direction(const struct local_addrs *set, uint8_t family, const uint8_t src[16],
			       const uint8_t dst[16])
{
	bool from_here = look_up(set, family, src) == LOCAL;
	enum found to = look_up(set, family, dst);

	if (from_here)
		return to == LOCAL ? DIR_LOOPBACK : DIR_OUTBOUND;
	if (to != NOT_LOCAL || to_everybody(family, dst))
		return DIR_INBOUND;
	return DIR_FORWARDED;
}
