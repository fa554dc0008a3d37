// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where an entry counts in lib/stats/nat_pools.h: the key of its pool and of its client there,
 * with their hashes. Inline, since each event of a translated connection asks for it.
 *
 * Pure. Threads: none of its own.
 */
#ifndef CONNTIDE_STATS_NAT_PLACE_H
#define CONNTIDE_STATS_NAT_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/event/event.h"
#include "lib/kernel/nat_ports.h"
#include "lib/stats/told.h"
#include "lib/stats/topk.h"

/* Of one change that has a pool. Its key has no rest: that is 0 in a struct that was zeroed once,
 * and stays so. */
struct nat_place {
	const struct told_change *told;
	struct topk_key pool;
	uint64_t pool_hash;
	uint64_t client; /* IPv4: the address, IPv6: its hash */
	uint64_t client_hash;
};

static inline bool nat_place_is_given(struct nat_port_range given, uint16_t port)
{
	return given.last && port >= given.first && port <= given.last;
}

/* IPv4 addresses fit into the key; of IPv6 a keyed hash of 64 bits stands for both. */
static inline uint64_t nat_place_ends(const struct ct_event *event)
{
	uint32_t ends[2];
	uint8_t wide[32];

	if (event->key.family == AF_INET) {
		memcpy(&ends[0], event->reply_dst, 4);
		memcpy(&ends[1], event->reply_src, 4);
		return (uint64_t)ends[1] << 32 | ends[0];
	}
	memcpy(wide, event->reply_dst, 16);
	memcpy(wide + 16, event->reply_src, 16);
	return ct_hash_bytes(wide, sizeof(wide));
}

/* The pool alone; false: in none. `given`: the range of NAT_PORTS_GIVEN, {0, 0}: none. */
static inline bool nat_place_pool(struct nat_port_range given, const struct ct_event *event,
				  struct nat_place *place)
{
	uint64_t l4num = event->key.l4num, remote_port = event->reply_sport;
	enum nat_port_class class;

	if (!(event->has & CT_HAS_REPLY) || !nat_has_ports((uint8_t)l4num))
		return false;
	class = nat_port_class((uint8_t)l4num, event->reply_dport);
	if (class == NAT_PORTS_ID)
		remote_port = 0;
	else if (nat_place_is_given(given, event->reply_dport))
		class = NAT_PORTS_GIVEN;
	place->pool.address[0] = nat_place_ends(event);
	place->pool.address[1] = remote_port << 48 | (uint64_t)event->reply_zone << 32 |
				 (uint64_t)event->key.family << 16 | l4num << 8 | class;
	place->pool_hash = topk_hash_address(place->pool.address);
	return true;
}

/* The client, in the pool that the place has. As its hash is keyed, the client is folded into it
 * (topk.h, `keyed`). */
static inline void nat_place_client(const struct ct_event *event, struct nat_place *place)
{
	uint32_t address;

	if (event->key.family == AF_INET) {
		memcpy(&address, event->key.src, 4);
		place->client = address;
	} else {
		place->client = ct_hash_bytes(event->key.src, 16);
	}
	place->client_hash = topk_hash_rest(place->pool_hash, place->client);
}

static inline struct topk_key nat_place_client_key(const struct nat_place *place)
{
	return (struct topk_key){.address = {place->pool_hash, place->client}};
}

#endif
