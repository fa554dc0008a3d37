// SPDX-License-Identifier: GPL-2.0-or-later
/* Finds the fullest pools and the clients that hold most of them, by walking through the counts. */
#include <string.h>
#include <sys/socket.h>

#include "lib/stats/nat_pools.h"

#define SIZES (NAT_PORTS_CLASSES * 2u)

static enum nat_port_class key_class(const uint64_t address[2])
{
	return (enum nat_port_class)((uint8_t)address[1] % NAT_PORTS_CLASSES);
}

static uint8_t key_family(const uint64_t address[2])
{
	return (uint8_t)(address[1] >> 16);
}

static uint32_t span(struct nat_port_range range)
{
	return range.last ? (uint32_t)range.last - range.first + 1u : 0;
}

static struct nat_port_range range_of(const struct nat_pools *pools, enum nat_port_class class)
{
	return class == NAT_PORTS_GIVEN ? pools->settings.given : nat_port_range(class);
}

/* Ports of a pool; never 0. */
static uint32_t size_of(const struct nat_pools *pools, enum nat_port_class class, bool translated)
{
	uint32_t size = span(range_of(pools, class));

	if (!size)
		return 1;
	if (class == NAT_PORTS_ID)
		return size;
	if (pools->settings.assume_ports)
		return pools->settings.assume_ports < size ? pools->settings.assume_ports : size;
	if (!translated && class == NAT_PORTS_USER && pools->settings.local_ports)
		return pools->settings.local_ports;
	return size;
}

struct candidate {
	uint32_t at;
	uint64_t score; /* used / size, in units of 2^-32 */
};

struct search {
	uint64_t score_of_port[SIZES];
	struct candidate best[NAT_POOLS_TOP];
	uint32_t found;
	uint32_t translated;
};

static void consider(struct search *search, uint32_t at, uint64_t score)
{
	uint32_t i;

	if (search->found == NAT_POOLS_TOP && score <= search->best[NAT_POOLS_TOP - 1u].score)
		return;
	i = search->found < NAT_POOLS_TOP ? search->found++ : NAT_POOLS_TOP - 1u;
	for (; i > 0 && search->best[i - 1u].score < score; i--)
		search->best[i] = search->best[i - 1u];
	search->best[i] = (struct candidate){at, score};
}

static void walk(const struct nat_pools *pools, struct search *search)
{
	const struct topk *used = &pools->used;

	for (unsigned int i = 0; i < SIZES; i++)
		search->score_of_port[i] =
			(UINT64_C(1) << 32) / size_of(pools, (enum nat_port_class)(i / 2), i % 2);
	for (uint32_t at = 1; at <= used->used; at++) {
		uint32_t count = used->records[at].count[pools->shown];
		unsigned int translated;

		if (!count)
			continue;
		translated = pools->facts[at].translated != 0;
		search->translated += translated;
		consider(search, at,
			 count * search->score_of_port[key_class(used->records[at].address) * 2u +
						       translated]);
	}
}

static void name_ends(const struct nat_pools *pools, uint32_t at, struct nat_pool *pool)
{
	const struct topk_record *record = &pools->used.records[at];
	uint32_t ends[2] = {(uint32_t)record->address[0], (uint32_t)(record->address[0] >> 32)};

	if (key_family(record->address) == AF_INET) {
		memcpy(pool->address, &ends[0], 4);
		memcpy(pool->remote, &ends[1], 4);
		return;
	}
	memcpy(pool->address, pools->ends[at].address, sizeof(pool->address));
	memcpy(pool->remote, pools->ends[at].remote, sizeof(pool->remote));
}

static void describe(const struct nat_pools *pools, uint32_t at, struct nat_pool *pool)
{
	const struct topk_record *record = &pools->used.records[at];
	const struct topk_key key = {{record->address[0], record->address[1]}, record->rest};
	const struct nat_pool_facts *facts = &pools->facts[at];
	enum nat_port_class class = key_class(record->address);
	uint32_t less = pools->unsubtracted[pools->shown];

	memset(pool, 0, sizeof(*pool));
	name_ends(pools, at, pool);
	pool->remote_port = (uint16_t)(record->address[1] >> 48);
	pool->zone = (uint16_t)(record->address[1] >> 32);
	pool->l4num = (uint8_t)(record->address[1] >> 8);
	pool->family = key_family(record->address);
	pool->class = (uint8_t) class;
	pool->translated = facts->translated != 0;
	pool->used = topk_count(&pools->used, &key, pools->shown, &pool->more);
	pool->closing = facts->closing[pools->shown];
	if (pool->closing > pool->used)
		pool->closing = pool->used;
	pool->error = less < pool->used ? less : pool->used;
	pool->size = size_of(pools, class, pool->translated);
	if (!pools->settings.assume_ports)
		pool->range = range_of(pools, class);
	if (!pool->translated && class == NAT_PORTS_USER)
		pool->range = (struct nat_port_range){0, 0};
	pool->born = facts->born;
	pool->client_used = facts->client_count[pools->shown];
	if (pool->client_used)
		memcpy(pool->client, &(uint32_t){(uint32_t)facts->client}, 4);
	pool->at = at;
	pool->hash = topk_hash(&pools->used, &key);
	pool->map = facts->map;
}

/* Pools by the low bits of their hash: 0 is none, else the place in the list and one. */
#define SLOTS 256u

static void name_client(const struct nat_pools *pools, uint32_t at, struct nat_pool *pool)
{
	uint32_t address = (uint32_t)pools->clients.records[at].address[1];

	memset(pool->client, 0, sizeof(pool->client));
	if (pool->family == AF_INET)
		memcpy(pool->client, &address, 4);
	else
		memcpy(pool->client, pools->addresses[at].address, sizeof(pool->client));
}

static void find_clients(const struct nat_pools *pools, struct nat_pool *list, uint32_t count)
{
	const struct topk *clients = &pools->clients;
	uint8_t slots[SLOTS] = {0};

	for (uint32_t i = 0; i < count; i++) {
		uint32_t slot = (uint32_t)list[i].hash % SLOTS;

		while (slots[slot])
			slot = (slot + 1u) % SLOTS;
		slots[slot] = (uint8_t)(i + 1u);
	}
	for (uint32_t at = 1; at <= clients->used; at++) {
		const struct topk_record *record = &clients->records[at];
		uint32_t slot = (uint32_t)record->address[0] % SLOTS;

		for (; slots[slot]; slot = (slot + 1u) % SLOTS) {
			struct nat_pool *pool = &list[slots[slot] - 1u];

			if (pool->hash != record->address[0] ||
			    record->count[pools->shown] <= pool->client_used)
				continue;
			pool->client_used = record->count[pools->shown];
			name_client(pools, at, pool);
		}
	}
}

uint32_t nat_pools_largest(const struct nat_pools *pools, struct nat_pool list[NAT_POOLS_TOP],
			   uint32_t *ret_translated, uint32_t *ret_hidden)
{
	struct search search = {.found = 0};

	walk(pools, &search);
	for (uint32_t i = 0; i < search.found; i++)
		describe(pools, search.best[i].at, &list[i]);
	find_clients(pools, list, search.found);
	*ret_translated = search.translated;
	*ret_hidden = topk_most_hidden(&pools->used, pools->shown);
	return search.found;
}

/* --- maps of ports ----------------------------------------------------------------- */

/* A map of a pool that is not in the list given. */
static void free_one(struct nat_pools *pools, const struct nat_pool *list, uint32_t count)
{
	for (uint8_t map = 1; map <= NAT_MAPS; map++) {
		uint32_t at = pools->maps.map[map].at;
		bool listed = false;

		for (uint32_t i = 0; i < count; i++)
			listed |= list[i].at == at;
		if (listed || !at)
			continue;
		if (pools->facts[at].map == map)
			pools->facts[at].map = 0;
		nat_maps_release(&pools->maps, map);
		return;
	}
}

void nat_pools_map(struct nat_pools *pools, struct nat_pool *list, uint32_t count)
{
	if (count > NAT_MAPS)
		count = NAT_MAPS;
	for (uint32_t i = 0; i < count; i++) {
		if (list[i].map || !list[i].translated || list[i].used < NAT_MAP_FROM)
			continue;
		if (pools->maps.taken == NAT_MAPS)
			free_one(pools, list, count);
		list[i].map = nat_maps_take(&pools->maps, list[i].at);
		pools->facts[list[i].at].map = list[i].map;
	}
}

double nat_pools_failing(struct nat_pools *pools, const struct nat_pool *pool, bool reclaims)
{
	if (!pool->map || !pool->range.last)
		return -1.0;
	return nat_map_failing(&pools->maps, pool->map, pools->shown, pool->range, pool->used,
			       reclaims);
}

bool nat_pools_ask(struct nat_pools *pools, const struct nat_pool *pool)
{
	struct nat_map *map = &pools->maps.map[pool->map];

	if (!pool->map || map->asked)
		return false;
	map->asked = true;
	return true;
}
