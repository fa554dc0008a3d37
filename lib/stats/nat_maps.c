// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/nat_maps.h"

#include <errno.h>
#include <string.h>

#include "lib/base/sparse.h"

#define MAP_BYTES (NAT_MAP_WORDS * sizeof(uint64_t))
/* Of the ports used, that it may not know. */
#define UNKNOWN_MOST 0.1

static size_t all_bytes(void)
{
	return (size_t)NAT_MAPS * 2u * NAT_MAP_KINDS * MAP_BYTES;
}

int nat_maps_create(struct nat_maps *maps)
{
	memset(maps, 0, sizeof(*maps));
	maps->bits = sparse_alloc(all_bytes());
	return maps->bits ? 0 : -ENOMEM;
}

void nat_maps_destroy(struct nat_maps *maps)
{
	sparse_free(maps->bits, all_bytes());
	maps->bits = NULL;
}

static void clear(struct nat_maps *maps, uint8_t map, unsigned int index)
{
	memset(nat_map_bits(maps, map, index, NAT_MAP_USED), 0, NAT_MAP_KINDS * MAP_BYTES);
}

uint8_t nat_maps_take(struct nat_maps *maps, uint32_t at)
{
	uint8_t map = 1;

	if (maps->taken == NAT_MAPS)
		return 0;
	while (maps->map[map].at)
		map++;
	maps->map[map] = (struct nat_map){.at = at};
	clear(maps, map, 0);
	clear(maps, map, 1);
	maps->taken++;
	return map;
}

void nat_maps_release(struct nat_maps *maps, uint8_t map)
{
	maps->map[map].at = 0;
	maps->taken--;
}

void nat_maps_clear(struct nat_maps *maps, unsigned int index)
{
	for (uint8_t map = 1; map <= NAT_MAPS; map++)
		if (maps->map[map].at)
			clear(maps, map, index);
}

void nat_map_set(struct nat_maps *maps, uint8_t map, enum nat_map_kind kind, uint16_t port,
		 unsigned int which)
{
	for (unsigned int i = 0; i < 2; i++)
		if (which >> i & 1u)
			nat_map_bits(maps, map, i, kind)[port / 64u] |= UINT64_C(1) << port % 64u;
}

void nat_map_unset(struct nat_maps *maps, uint8_t map, enum nat_map_kind kind, uint16_t port,
		   unsigned int which)
{
	for (unsigned int i = 0; i < 2; i++)
		if (which >> i & 1u)
			nat_map_bits(maps, map, i, kind)[port / 64u] &=
				~(UINT64_C(1) << port % 64u);
}

void nat_map_born(struct nat_maps *maps, uint8_t map, bool kept)
{
	struct nat_map *of = &maps->map[map];

	of->born++;
	of->kept += kept;
	if (of->born >= 2u * NAT_MAP_RECENT) {
		of->born /= 2u;
		of->kept /= 2u;
	}
}

static uint32_t known(const uint64_t *bits)
{
	uint32_t ports = 0;

	for (uint32_t i = 0; i < NAT_MAP_WORDS; i++)
		ports += (uint32_t)__builtin_popcountll(bits[i]);
	return ports;
}

double nat_map_failing(struct nat_maps *maps, uint8_t map, unsigned int index,
		       struct nat_port_range range, uint32_t used, bool reclaims)
{
	const uint64_t *bits = nat_map_bits(maps, map, index, NAT_MAP_USED);
	const uint64_t *closing = reclaims ? nat_map_bits(maps, map, index, NAT_MAP_CLOSING) : NULL;
	uint32_t ports = known(bits), unknown = used > ports ? used - ports : 0;

	if (unknown > used * UNKNOWN_MOST)
		return -1.0;
	return nat_failing_of(nat_search_fails(&maps->search, bits, closing, range, unknown),
			      maps->map[map].kept, maps->map[map].born);
}
