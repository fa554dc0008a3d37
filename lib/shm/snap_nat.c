// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/snap_nat.h"

#include <math.h>
#include <string.h>

#include "lib/event/event.h"
#include "lib/shm/seq_retry.h"
#include "lib/shm/seqlock.h"

/* AF_INET and AF_INET6 of Linux: the segment never leaves the machine. */
#define FAMILY_IPV4 2u
#define FAMILY_IPV6 10u

static double seconds(uint32_t ms)
{
	return ms == SHM_NAT_NEVER ? (double)INFINITY : ms / 1000.0;
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
	return value < most ? value : most;
}

static void take_address(const _Atomic uint64_t from[2], bool ipv6, uint8_t to[16])
{
	const uint64_t words[2] = {peek_u64(&from[0]), peek_u64(&from[1])};

	memcpy(to, words, ipv6 ? 16 : 4);
}

static void take_counts(const struct shm_nat_pool *from, struct snap_nat_pool *to)
{
	to->used = peek_u32(&from->used);
	to->closing = at_most(peek_u32(&from->closing), to->used);
	to->held = at_most(peek_u32(&from->held), to->used);
	to->size = peek_u32(&from->size);
	to->size = to->size ? to->size : 1u;
	to->error = at_most(peek_u32(&from->error), to->used);
	to->more = at_most(peek_u32(&from->more), UINT32_MAX - to->used);
	to->client_used = at_most(peek_u32(&from->client_used), to->used);
	to->ratio = (double)to->held / to->size;
	to->new_per_s = peek_u32(&from->new_milli_per_s) / 1000.0;
	to->failing_share = at_most(peek_u32(&from->failing_ppm), 1000000u) / 1e6;
	to->expected_share = at_most(peek_u32(&from->expected_ppm), 1000000u) / 1e6;
	to->early_s = seconds(peek_u32(&from->early_ms));
	to->likely_s = seconds(peek_u32(&from->likely_ms));
	to->late_s = seconds(peek_u32(&from->late_ms));
}

static bool copy_pool(const struct shm_nat_pool *from, struct snap_nat_pool *to)
{
	uint32_t key = peek_u32(&from->key), zone_flags = peek_u32(&from->zone_flags);
	uint32_t range = peek_u32(&from->range);
	unsigned int family = key & 0xff;

	memset(to, 0, sizeof(*to));
	if (family != FAMILY_IPV4 && family != FAMILY_IPV6)
		return false;
	to->ipv6 = family == FAMILY_IPV6;
	to->l4num = (uint8_t)(key >> 8);
	to->l4proto = (uint8_t)ct_l4proto(to->l4num);
	to->remote_port = (uint16_t)(key >> 16);
	to->zone = (uint16_t)zone_flags;
	to->translated = zone_flags >> 16 & SHM_NAT_TRANSLATED;
	to->measured = zone_flags >> 16 & SHM_NAT_MEASURED;
	to->reclaims = zone_flags >> 16 & SHM_NAT_RECLAIMS;
	to->first_port = (uint16_t)range;
	to->last_port = (uint16_t)(range >> 16);
	take_address(from->address, to->ipv6, to->address);
	take_address(from->remote, to->ipv6, to->remote);
	take_address(from->client, to->ipv6, to->client);
	take_counts(from, to);
	return to->used != 0;
}

void snap_nat_copy(const struct shm_nat *from, struct snap_nat *nat)
{
	for (int attempt = 0; attempt < SEQ_ATTEMPTS; attempt++, seq_nap_if_due(attempt)) {
		uint32_t count;
		uint64_t at;

		if (!seq_read_begin(&from->seq, &at))
			continue;
		memset(nat, 0, sizeof(*nat));
		nat->taken_boot_ns = peek_u64(&from->taken_boot_ns);
		nat->tracked = peek_u32(&from->tracked);
		nat->room = peek_u32(&from->room);
		nat->missed = peek_u32(&from->missed);
		count = at_most(peek_u32(&from->count), SHM_NAT_POOLS);
		for (uint32_t i = 0; i < count; i++)
			nat->count += copy_pool(&from->pool[i], &nat->pools[nat->count]);
		if (!seq_read_valid(&from->seq, at))
			continue;
		nat->valid = nat->taken_boot_ns != 0;
		return;
	}
	memset(nat, 0, sizeof(*nat));
}
