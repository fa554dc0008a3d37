// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/nat_pools.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/sparse.h"

#define TABLES	      3u
#define CLEAR_RECORDS 65536u /* a second */

static size_t names_bytes(const struct nat_pools *pools)
{
	return ((size_t)pools->used.room + 1u) * sizeof(struct nat_pool_name);
}

static size_t addresses_bytes(const struct nat_pools *pools)
{
	return ((size_t)pools->clients.room + 1u) * sizeof(struct nat_pool_client);
}

static struct topk *table(struct nat_pools *pools, unsigned int index)
{
	struct topk *const tables[TABLES] = {&pools->used, &pools->closing, &pools->clients};

	return tables[index];
}

int nat_pools_create(struct nat_pools *pools, uint32_t keys)
{
	int err = 0;

	memset(pools, 0, sizeof(*pools));
	pools->clear_table = TABLES;
	for (unsigned int i = 0; i < TABLES && !err; i++)
		err = topk_create(table(pools, i), keys);
	if (!err)
		err = nat_maps_create(&pools->maps);
	if (!err) {
		pools->names = sparse_alloc(names_bytes(pools));
		pools->addresses = sparse_alloc(addresses_bytes(pools));
		err = pools->names && pools->addresses ? 0 : -ENOMEM;
	}
	if (err)
		nat_pools_destroy(pools);
	return err;
}

void nat_pools_destroy(struct nat_pools *pools)
{
	sparse_free(pools->names, names_bytes(pools));
	sparse_free(pools->addresses, addresses_bytes(pools));
	pools->names = NULL;
	pools->addresses = NULL;
	nat_maps_destroy(&pools->maps);
	for (unsigned int i = 0; i < TABLES; i++)
		topk_destroy(table(pools, i));
}

/* --- keys -------------------------------------------------------------------------- */

static bool is_icmp(uint8_t l4num)
{
	return l4num == IPPROTO_ICMP || l4num == IPPROTO_ICMPV6;
}

static enum nat_port_class class_of(const struct nat_pools *pools, const struct ct_event *event)
{
	const struct nat_port_range *given = &pools->settings.given;
	uint16_t port = event->reply_dport;

	if (is_icmp(event->key.l4num))
		return NAT_PORTS_ID;
	if (given->last && port >= given->first && port <= given->last)
		return NAT_PORTS_GIVEN;
	return nat_port_class(event->key.l4num, port);
}

/* IPv4 addresses fit into the key; a keyed hash of 64 bits stands for both IPv6 addresses. */
static struct topk_key pool_key(const struct nat_pools *pools, const struct ct_event *event)
{
	uint16_t remote_port = is_icmp(event->key.l4num) ? 0 : event->reply_sport;
	struct topk_key key = {.rest = event->key.family};

	key.address[1] = (uint64_t)remote_port << 48 | (uint64_t)event->reply_zone << 32 |
			 (uint64_t)event->key.l4num << 8 | class_of(pools, event);
	if (event->key.family == AF_INET) {
		uint32_t ends[2];

		memcpy(&ends[0], event->reply_dst, 4);
		memcpy(&ends[1], event->reply_src, 4);
		key.address[0] = (uint64_t)ends[1] << 32 | ends[0];
	} else {
		uint8_t ends[32];

		memcpy(ends, event->reply_dst, 16);
		memcpy(ends + 16, event->reply_src, 16);
		key.address[0] = ct_hash_bytes(ends, sizeof(ends));
	}
	return key;
}

static struct topk_key client_key(const struct ct_event *event, uint64_t pool_hash)
{
	struct topk_key key = {.address = {pool_hash, 0}, .rest = event->key.family};

	if (event->key.family == AF_INET)
		memcpy(&key.address[1], event->key.src, 4);
	else
		key.address[1] = ct_hash_bytes(event->key.src, 16);
	return key;
}

/* The pool alone. */
static bool pool_of(const struct nat_pools *pools, const struct ct_event *event,
		    struct nat_place *place)
{
	if (!(event->has & CT_HAS_REPLY) || !nat_has_ports(event->key.l4num))
		return false;
	place->pool = pool_key(pools, event);
	place->pool_hash = topk_hash(&place->pool);
	return true;
}

static bool place_of(const struct nat_pools *pools, const struct ct_event *event,
		     struct nat_place *place)
{
	if (!pool_of(pools, event, place))
		return false;
	place->client = client_key(event, place->pool_hash);
	place->client_hash = topk_hash(&place->client);
	return true;
}

/* A batch may hold the end of one entry and the next of the same original tuple, which another
 * outside address or another backend got. */
static bool is_foreseen(const struct nat_pools_foreseen *foreseen, const struct ct_event *event)
{
	return event->hash && foreseen->tuple_hash == event->hash &&
	       foreseen->reply_sport == event->reply_sport &&
	       foreseen->reply_dport == event->reply_dport &&
	       foreseen->reply_zone == event->reply_zone &&
	       !memcmp(foreseen->reply_src, event->reply_src, sizeof(foreseen->reply_src)) &&
	       !memcmp(foreseen->reply_dst, event->reply_dst, sizeof(foreseen->reply_dst));
}

/* As foreseen, or worked out into *room; NULL: in no pool. */
static const struct nat_place *find_place(const struct nat_pools *pools,
					  const struct ct_event *event, struct nat_place *room)
{
	const struct nat_pools_foreseen *foreseen =
		&pools->foreseen[event->hash % NAT_POOLS_FORESEEN];

	if (is_foreseen(foreseen, event))
		return &foreseen->place;
	return place_of(pools, event, room) ? room : NULL;
}

/* --- one entry ----------------------------------------------------------------------- */

static unsigned int bit(unsigned int index)
{
	return index ? TOPK_SECOND : TOPK_FIRST;
}

/* The port, or identifier, that was chosen, and the client's own. */
static uint16_t port_of(const struct ct_event *event)
{
	return is_icmp(event->key.l4num) ? event->reply_sport : event->reply_dport;
}

static bool kept_port(const struct ct_event *event)
{
	return event->key.sport == port_of(event);
}

/* Its first entry: the record may have been another pool's. */
static void name_anew(struct nat_pools *pools, struct nat_pool_name *name)
{
	if (name->map)
		nat_maps_release(&pools->maps, name->map);
	name->translated = 0;
	name->map = 0;
}

static void add_to_map(struct nat_pools *pools, const struct ct_event *event, bool closing,
		       bool born, unsigned int which, uint8_t map)
{
	nat_map_set(&pools->maps, map, NAT_MAP_USED, port_of(event), which);
	if (closing)
		nat_map_set(&pools->maps, map, NAT_MAP_CLOSING, port_of(event), which);
	if (born)
		nat_map_born(&pools->maps, map, kept_port(event));
}

static void add(struct nat_pools *pools, const struct ct_event *event, bool closing, bool born,
		unsigned int which)
{
	struct nat_pool_name *name;
	struct nat_place room;
	const struct nat_place *place = find_place(pools, event, &room);
	uint32_t at;

	if (!place)
		return;
	at = topk_add_hashed(&pools->used, &place->pool, place->pool_hash, which);
	if (at) {
		const struct topk_record *record = &pools->used.records[at];

		name = &pools->names[at];
		if (record->count[0] <= 1 && record->count[1] <= 1)
			name_anew(pools, name);
		memcpy(name->address, event->reply_dst, sizeof(name->address));
		memcpy(name->remote, event->reply_src, sizeof(name->remote));
		name->translated |= event->status & CT_STATUS_SRC_NAT;
		name->born += born;
		if (!name->map && record->count[pools->shown] == NAT_MAP_FROM)
			name->map = nat_maps_take(&pools->maps, at);
		if (name->map)
			add_to_map(pools, event, closing, born, which, name->map);
	}
	if (closing)
		topk_add_hashed(&pools->closing, &place->pool, place->pool_hash, which);
	at = topk_add_hashed(&pools->clients, &place->client, place->client_hash, which);
	if (at)
		memcpy(pools->addresses[at].address, event->key.src, 16);
}

/* The counts that have an entry. */
static unsigned int counts_with(const struct nat_pools *pools, bool built)
{
	return pools->building && built ? TOPK_BOTH : bit(pools->shown);
}

void nat_pools_appeared(struct nat_pools *pools, const struct ct_event *event, bool closing,
			bool born, bool built)
{
	add(pools, event, closing, born, counts_with(pools, built));
}

void nat_pools_shown(struct nat_pools *pools, const struct ct_event *event, bool closing)
{
	if (pools->building)
		add(pools, event, closing, false, bit(pools->shown ^ 1u));
}

/* The map of an entry's pool; 0: none. */
static uint8_t map_of(const struct nat_pools *pools, const struct nat_place *place)
{
	if (!pools->maps.taken)
		return 0;
	return pools->names[topk_find_hashed(&pools->used, &place->pool, place->pool_hash)].map;
}

void nat_pools_turned(struct nat_pools *pools, const struct ct_event *event, bool closing,
		      bool built)
{
	unsigned int which = counts_with(pools, built);
	struct nat_place place;
	uint8_t map;

	if (!pool_of(pools, event, &place))
		return;
	map = map_of(pools, &place);
	if (closing)
		topk_add_hashed(&pools->closing, &place.pool, place.pool_hash, which);
	else
		topk_remove_hashed(&pools->closing, &place.pool, place.pool_hash, which);
	if (map && closing)
		nat_map_set(&pools->maps, map, NAT_MAP_CLOSING, port_of(event), which);
	else if (map)
		nat_map_unset(&pools->maps, map, NAT_MAP_CLOSING, port_of(event), which);
}

void nat_pools_went(struct nat_pools *pools, const struct ct_event *event, bool closing, bool built)
{
	unsigned int which = counts_with(pools, built);
	struct nat_place room;
	const struct nat_place *place = find_place(pools, event, &room);
	uint8_t map;

	if (!place)
		return;
	map = pools->names[topk_remove_hashed(&pools->used, &place->pool, place->pool_hash, which)]
		      .map;
	if (map)
		nat_map_unset(&pools->maps, map, NAT_MAP_USED, port_of(event), which);
	if (closing) {
		topk_remove_hashed(&pools->closing, &place->pool, place->pool_hash, which);
		if (map)
			nat_map_unset(&pools->maps, map, NAT_MAP_CLOSING, port_of(event), which);
	}
	topk_remove_hashed(&pools->clients, &place->client, place->client_hash, which);
}

void nat_pools_lost(struct nat_pools *pools, bool built)
{
	if (!pools->used.keys[pools->shown])
		return;
	pools->unsubtracted[pools->shown]++;
	pools->unsubtracted[pools->shown ^ 1u] += pools->building && built;
}

void nat_pools_foresee(struct nat_pools *pools, const struct ct_event *event)
{
	struct nat_pools_foreseen *foreseen = &pools->foreseen[event->hash % NAT_POOLS_FORESEEN];
	struct nat_place *place = &foreseen->place;

	foreseen->tuple_hash = 0;
	if (!place_of(pools, event, place))
		return;
	foreseen->tuple_hash = event->hash;
	foreseen->reply_sport = event->reply_sport;
	foreseen->reply_dport = event->reply_dport;
	foreseen->reply_zone = event->reply_zone;
	memcpy(foreseen->reply_src, event->reply_src, sizeof(foreseen->reply_src));
	memcpy(foreseen->reply_dst, event->reply_dst, sizeof(foreseen->reply_dst));
	topk_prefetch_head(&pools->used, place->pool_hash);
	topk_prefetch_head(&pools->clients, place->client_hash);
}

void nat_pools_foresee_records(const struct nat_pools *pools, const struct ct_event *event)
{
	const struct nat_pools_foreseen *foreseen =
		&pools->foreseen[event->hash % NAT_POOLS_FORESEEN];

	if (foreseen->tuple_hash != event->hash)
		return;
	topk_prefetch_record(&pools->used, foreseen->place.pool_hash);
	topk_prefetch_record(&pools->clients, foreseen->place.client_hash);
}

/* --- one dump -------------------------------------------------------------------------- */

static void clear(struct nat_pools *pools, uint32_t records)
{
	while (pools->clear_table < TABLES && records > 0) {
		struct topk *topk = table(pools, pools->clear_table);
		uint32_t from = pools->clear_from;
		uint32_t next = topk_clear(topk, pools->shown ^ 1u, from, records);
		uint32_t done = (next ? next : topk->used + 1u) - from;

		records = done < records ? records - done : 0;
		pools->clear_from = next ? next : 1;
		pools->clear_table += next == 0;
	}
}

static void throw_away(struct nat_pools *pools)
{
	pools->clear_table = 0;
	pools->clear_from = 1;
	pools->unsubtracted[pools->shown ^ 1u] = 0;
	nat_maps_clear(&pools->maps, pools->shown ^ 1u);
}

void nat_pools_begin(struct nat_pools *pools)
{
	clear(pools, UINT32_MAX);
	pools->unsubtracted[pools->shown ^ 1u] = 0;
	pools->building = true;
}

void nat_pools_drop(struct nat_pools *pools)
{
	if (!pools->building)
		return;
	pools->building = false;
	throw_away(pools);
}

void nat_pools_complete(struct nat_pools *pools)
{
	if (!pools->building)
		return;
	pools->building = false;
	pools->shown ^= 1u;
	throw_away(pools);
}

void nat_pools_tidy(struct nat_pools *pools)
{
	if (!pools->building)
		clear(pools, CLEAR_RECORDS);
}
