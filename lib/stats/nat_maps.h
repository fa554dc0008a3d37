// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which ports of the fullest NAT pools are used: a bit per port, for NAT_MAPS pools. From
 * them the share of new connections that find no port is computed (lib/kernel/nat_search.h).
 *
 * A pool gets a map when it has NAT_MAP_FROM entries and a map is free; once a second the fullest
 * pools get those of less full ones. What came before that is not in the map until the next dump:
 * how many there are is known, not which, and a hundred holes in long runs are enough to be wrong
 * by a factor of three. So the caller asks for a dump where it matters. As in nat_pools.h a dump
 * builds a second map beside the first.
 *
 * Also how many of the recent new connections kept their client's port: of the last
 * NAT_MAP_RECENT to twice as many.
 *
 * Memory: 32 KiB for each map, 512 KiB in all, allocated when written to. Cost: an
 * entry in no map a comparison; one in a map sets a bit, and clears it. One thread. Errors:
 * -ENOMEM.
 */
#ifndef CONNTIDE_STATS_NAT_MAPS_H
#define CONNTIDE_STATS_NAT_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernel/nat_search.h"

#define NAT_MAPS       16u
#define NAT_MAP_FROM   128u
#define NAT_MAP_RECENT 512u

enum nat_map_kind { NAT_MAP_USED, NAT_MAP_CLOSING, NAT_MAP_KINDS };

struct nat_map {
	uint32_t at; /* record of the pool; 0: free */
	uint32_t born;
	uint32_t kept;
	bool asked; /* for a dump, since it has this map */
};

struct nat_maps {
	struct nat_map map[NAT_MAPS + 1u]; /* [0] is not used */
	uint64_t *bits; /* of map 1 count 0: used, closing; count 1: used, closing; of map 2... */
	struct nat_search search;
	uint32_t taken; /* how many maps have a pool */
};

int nat_maps_create(struct nat_maps *maps);
void nat_maps_destroy(struct nat_maps *maps);

/* An empty map for the pool, or 0 if none is free. */
uint8_t nat_maps_take(struct nat_maps *maps, uint32_t at);
void nat_maps_release(struct nat_maps *maps, uint8_t map);
/* Throws one of the two counts away, of every map. */
void nat_maps_clear(struct nat_maps *maps, unsigned int index);

/* Of count `index`. */
static inline uint64_t *nat_map_bits(const struct nat_maps *maps, uint8_t map, unsigned int index,
				     enum nat_map_kind kind)
{
	uint32_t number = ((map - 1u) * 2u + index) * NAT_MAP_KINDS + kind;

	return maps->bits + (size_t)number * NAT_MAP_WORDS;
}

/* `which`: of the counts, as in lib/stats/topk.h. */
void nat_map_set(struct nat_maps *maps, uint8_t map, enum nat_map_kind kind, uint16_t port,
		 unsigned int which);
void nat_map_unset(struct nat_maps *maps, uint8_t map, enum nat_map_kind kind, uint16_t port,
		   unsigned int which);
/* A new connection; `kept`: with its client's port. */
void nat_map_born(struct nat_maps *maps, uint8_t map, bool kept);

/*
 * Share of new connections that fail, in [0, 1]. `used`: how many entries the pool has. Negative
 * where the map has too few of them to tell. `reclaims`: closing ones can be reclaimed.
 */
double nat_map_failing(struct nat_maps *maps, uint8_t map, unsigned int index,
		       struct nat_port_range range, uint32_t used, bool reclaims);

#endif
