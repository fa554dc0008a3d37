// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/nat_pools.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/sparse.h"

#define TABLES	      2u
#define CLEAR_RECORDS 65536u /* a second */

static size_t of_records(const struct topk *topk, size_t bytes)
{
	return ((size_t)topk->room + 1u) * bytes;
}

static struct topk *table(struct nat_pools *pools, unsigned int index)
{
	return index ? &pools->clients : &pools->used;
}

int nat_pools_create(struct nat_pools *pools, uint32_t keys)
{
	int err;

	memset(pools, 0, sizeof(*pools));
	pools->clear_table = TABLES;
	err = topk_create(&pools->used, keys);
	if (!err)
		err = topk_create(&pools->clients, keys);
	if (!err)
		err = nat_maps_create(&pools->maps);
	if (!err) {
		pools->used.no_rest = true;
		pools->clients.keyed = true;
		pools->facts = sparse_alloc(of_records(&pools->used, sizeof(*pools->facts)));
		pools->ends = sparse_alloc(of_records(&pools->used, sizeof(*pools->ends)));
		pools->addresses =
			sparse_alloc(of_records(&pools->clients, sizeof(*pools->addresses)));
		err = pools->facts && pools->ends && pools->addresses ? 0 : -ENOMEM;
	}
	if (err)
		nat_pools_destroy(pools);
	return err;
}

void nat_pools_destroy(struct nat_pools *pools)
{
	sparse_free(pools->facts, of_records(&pools->used, sizeof(*pools->facts)));
	sparse_free(pools->ends, of_records(&pools->used, sizeof(*pools->ends)));
	sparse_free(pools->addresses, of_records(&pools->clients, sizeof(*pools->addresses)));
	pools->facts = NULL;
	pools->ends = NULL;
	pools->addresses = NULL;
	nat_maps_destroy(&pools->maps);
	for (unsigned int i = 0; i < TABLES; i++)
		topk_destroy(table(pools, i));
}

/* --- which of them close --------------------------------------------------------------- */

/* What is counted beside the pool, of one that leaves its record. */
static inline void hide_facts(struct nat_pools *pools, struct nat_pool_facts *facts)
{
	if (facts->closing[0] | facts->closing[1]) {
		pools->closing_hidden[0] += facts->closing[0];
		pools->closing_hidden[1] += facts->closing[1];
		facts->closing[0] = facts->closing[1] = 0;
	}
	if (facts->client_count[0] | facts->client_count[1]) {
		topk_hide(&pools->clients, facts->bucket, facts->client_count);
		facts->client_count[0] = facts->client_count[1] = 0;
	}
}

/* `at`: record of its pool; 0: hidden. */
static void add_closing(struct nat_pools *pools, uint32_t at, unsigned int which)
{
	uint32_t *closing = at ? pools->facts[at].closing : pools->closing_hidden;

	closing[0] += which & TOPK_FIRST;
	closing[1] += which >> 1;
}

/* What the pool's facts do not have is hidden. */
static void remove_closing(struct nat_pools *pools, uint32_t at, unsigned int which)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (!(which >> i & 1u))
			continue;
		if (at && pools->facts[at].closing[i])
			pools->facts[at].closing[i]--;
		else if (pools->closing_hidden[i])
			pools->closing_hidden[i]--;
		else
			pools->closing_refused++;
	}
}

/* --- one entry ----------------------------------------------------------------------- */

/* The port, or identifier, that was chosen, and the client's own. */
static uint16_t port_of(const struct ct_event *event)
{
	return nat_is_icmp(event->key.l4num) ? event->reply_sport : event->reply_dport;
}

static bool kept_port(const struct ct_event *event)
{
	return event->key.sport == port_of(event);
}

/* Its first entry: the record may have been another pool's, which was put out. */
static void begin_pool(struct nat_pools *pools, uint32_t at, const struct ct_event *event,
		       const struct nat_place *place)
{
	struct nat_pool_facts *facts = &pools->facts[at];

	if (facts->map)
		nat_maps_release(&pools->maps, facts->map);
	facts->translated = 0;
	facts->map = 0;
	hide_facts(pools, facts);
	facts->bucket = topk_bucket(place->client_hash);
	facts->client = place->client;
	if (event->key.family == AF_INET)
		return;
	facts->client = NAT_POOL_NO_CLIENT;
	memcpy(pools->ends[at].address, event->reply_dst, 16);
	memcpy(pools->ends[at].remote, event->reply_src, 16);
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

static void add_client(struct nat_pools *pools, const struct ct_event *event,
		       const struct nat_place *place, unsigned int which)
{
	const struct topk_key key = nat_place_client_key(place);
	uint32_t at = topk_add_hashed(&pools->clients, &key, place->client_hash, which);

	if (at && event->key.family != AF_INET)
		memcpy(pools->addresses[at].address, event->key.src, 16);
}

static void add(struct nat_pools *pools, const struct told_change *told,
		const struct nat_place *place, unsigned int which)
{
	const struct ct_event *event = told->event;
	bool closing = told->flags & TOLD_CLOSING, born = told->flags & TOLD_BORN;
	uint32_t at = topk_add_hashed(&pools->used, &place->pool, place->pool_hash, which);
	const struct topk_record *record = &pools->used.records[at];
	struct nat_pool_facts *facts = &pools->facts[at];

	if (!at) {
		if (closing)
			add_closing(pools, at, which);
		add_client(pools, event, place, which);
		return;
	}
	if (topk_is_first(record, which))
		begin_pool(pools, at, event, place);
	else if (!facts->map && record->count[pools->shown] == NAT_MAP_FROM)
		facts->map = nat_maps_take(&pools->maps, at);
	if (closing)
		add_closing(pools, at, which);
	facts->translated |= event->status & CT_STATUS_SRC_NAT;
	facts->born += born;
	if (facts->map)
		add_to_map(pools, event, closing, born, which, facts->map);
	if (facts->client != place->client) {
		add_client(pools, event, place, which);
		return;
	}
	facts->client_count[0] += which & TOPK_FIRST;
	facts->client_count[1] += which >> 1;
}

static void turn(struct nat_pools *pools, const struct told_change *told,
		 const struct nat_place *place, unsigned int which)
{
	uint32_t at = topk_find_hashed(&pools->used, &place->pool, place->pool_hash);
	uint8_t map = at ? pools->facts[at].map : 0;
	bool closing = told->flags & TOLD_CLOSING;

	if (closing)
		add_closing(pools, at, which);
	else
		remove_closing(pools, at, which);
	if (map && closing)
		nat_map_set(&pools->maps, map, NAT_MAP_CLOSING, port_of(told->event), which);
	else if (map)
		nat_map_unset(&pools->maps, map, NAT_MAP_CLOSING, port_of(told->event), which);
}

static void remove_from_map(struct nat_pools *pools, const struct ct_event *event, bool closing,
			    unsigned int which, uint8_t map)
{
	nat_map_unset(&pools->maps, map, NAT_MAP_USED, port_of(event), which);
	if (closing)
		nat_map_unset(&pools->maps, map, NAT_MAP_CLOSING, port_of(event), which);
}

/* Returns the counts that do not have it: it was hidden when the pool had no room. */
static inline unsigned int remove_first(struct nat_pool_facts *facts, const struct nat_place *place,
					unsigned int which)
{
	unsigned int has = (facts->client_count[0] ? TOPK_FIRST : 0) |
			   (facts->client_count[1] ? TOPK_SECOND : 0);

	if (facts->client != place->client)
		return which;
	has &= which;
	facts->client_count[0] -= has & TOPK_FIRST;
	facts->client_count[1] -= has >> 1;
	return which ^ has;
}

static void remove_client(struct nat_pools *pools, const struct nat_place *place,
			  unsigned int which)
{
	const struct topk_key key = nat_place_client_key(place);

	topk_remove_hashed(&pools->clients, &key, place->client_hash, which);
}

static void subtract(struct nat_pools *pools, const struct told_change *told,
		     const struct nat_place *place, unsigned int which)
{
	bool closing = told->flags & TOLD_CLOSING;
	uint32_t at = topk_remove_hashed(&pools->used, &place->pool, place->pool_hash, which);
	struct nat_pool_facts *facts = &pools->facts[at];
	unsigned int left = which;

	if (closing)
		remove_closing(pools, at, which);
	if (at) {
		if (facts->map)
			remove_from_map(pools, told->event, closing, which, facts->map);
		left = remove_first(facts, place, which);
		/* Others of it were hidden when it had no room. */
		if (topk_is_free(&pools->used.records[at]))
			hide_facts(pools, facts);
	}
	if (left)
		remove_client(pools, place, left);
}

/* --- a batch ------------------------------------------------------------------------- */

/* The tables are copied, here and below, for the compiler to keep what it needs of them in
 * registers: it cannot know that no store of the loop changes them. Returns how many have a place.
 */
static unsigned int find_places(struct nat_pools *pools, const struct told_change *told,
				unsigned int count)
{
	const struct nat_port_range given = pools->settings.given;
	const struct topk used = pools->used, clients = pools->clients;
	struct nat_place *place = pools->places;

	for (const struct told_change *end = told + count; told < end; told++) {
		if (!(told->flags & TOLD_FOR_POOLS) || !nat_place_pool(given, told->event, place))
			continue;
		place->told = told;
		topk_prefetch_head(&used, place->pool_hash);
		if (!(told->flags & TOLD_POOL_TURNS)) {
			nat_place_client(told->event, place);
			topk_prefetch_head(&clients, place->client_hash);
		}
		place++;
	}
	return (unsigned int)(place - pools->places);
}

static void fetch_records(struct nat_pools *pools, unsigned int count)
{
	const struct topk used = pools->used, clients = pools->clients;

	for (unsigned int i = 0; i < count; i++) {
		const struct nat_place *place = &pools->places[i];

		topk_prefetch_record(&used, place->pool_hash);
		if (!(place->told->flags & TOLD_POOL_TURNS))
			topk_prefetch_record(&clients, place->client_hash);
	}
}

/* Which counts a change is of; `shown`: the one that is shown. */
static inline unsigned int counts_of(unsigned int shown, bool building, uint32_t flags)
{
	if (!building || !(flags & (TOLD_BUILT | TOLD_SHOWN)))
		return shown;
	return flags & TOLD_SHOWN ? shown ^ TOPK_BOTH : TOPK_BOTH;
}

static inline void count_one(struct nat_pools *pools, const struct nat_place *place,
			     unsigned int which)
{
	if (place->told->flags & TOLD_POOL_ADDS)
		add(pools, place->told, place, which);
	else if (place->told->flags & TOLD_POOL_REMOVES)
		subtract(pools, place->told, place, which);
	else
		turn(pools, place->told, place, which);
}

void nat_pools_told(struct nat_pools *pools, const struct told_change *told, unsigned int count)
{
	const unsigned int shown = TOPK_FIRST << pools->shown;
	const bool building = pools->building;
	unsigned int placed = find_places(pools, told, count);

	fetch_records(pools, placed);
	for (unsigned int i = 0; i < placed; i++) {
		const struct nat_place *place = &pools->places[i];

		count_one(pools, place, counts_of(shown, building, place->told->flags));
	}
}

void nat_pools_lost(struct nat_pools *pools, bool built)
{
	if (!pools->used.keys[pools->shown])
		return;
	pools->unsubtracted[pools->shown]++;
	pools->unsubtracted[pools->shown ^ 1u] += pools->building && built;
}

/* --- one dump -------------------------------------------------------------------------- */

/* As topk_clear() has done with the records from `from`, `done` of them. */
static void clear_facts(struct nat_pools *pools, uint32_t from, uint32_t done)
{
	for (uint32_t at = from; at < from + done; at++) {
		pools->facts[at].closing[pools->shown ^ 1u] = 0;
		pools->facts[at].client_count[pools->shown ^ 1u] = 0;
		if (topk_is_free(&pools->used.records[at]))
			hide_facts(pools, &pools->facts[at]);
	}
}

static void clear(struct nat_pools *pools, uint32_t records)
{
	while (pools->clear_table < TABLES && records > 0) {
		struct topk *topk = table(pools, pools->clear_table);
		uint32_t from = pools->clear_from;
		uint32_t next = topk_clear(topk, pools->shown ^ 1u, from, records);
		uint32_t done = (next ? next : topk->used + 1u) - from;

		if (pools->clear_table == 0)
			clear_facts(pools, from, done);
		if (pools->clear_table == 0 && !next)
			pools->closing_hidden[pools->shown ^ 1u] = 0;
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
