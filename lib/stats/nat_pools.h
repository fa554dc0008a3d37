// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many ports each NAT pool uses. The kernel keeps the reply tuples of a zone unique, so
 * the entries with one
 *
 *	(l4proto, reply destination, reply source, reply source port, zone)
 *
 * are the used ports of one outside address towards one destination: a counter, not a set of
 * ports. A pool is that and the class its ports are from (lib/kernel/nat_ports.h),
 * since each class is a range of its own. ICMP has no remote port: 0.
 *
 * Entries whose source was changed (IPS_SRC_NAT) are counted, and those of this host itself
 * (outbound), which use ports of the same address. A pool without a translated entry
 * is *local*: what this host can open towards one destination, bounded by
 * ip_local_port_range, an estimate: the sockets' own rules of reuse are not known here.
 *
 * Entries whose port newer kernels reclaim are *closing*: source-NATed TCP entries in TIME_WAIT
 * or CLOSE. Each client (original source) of a pool is counted, too: the first one beside the pool.
 *
 * The mirror keeps no tuple. Events and records of dumps carry both tuples, so their entries are
 * added and subtracted exactly. Entries swept after a dump, or replaced by another one without an
 * event, cannot be subtracted: as in talkers.h each dump builds a second
 * count (FLOW_COUNTED says whether an entry is in it), which takes the place of the first
 * when the dump was valid. In between up to `unsubtracted` entries are counted too many.
 * One case is not covered by that bound: an entry whose NEW was lost, under the key and the id of
 * one whose DESTROY was lost, with another address; a dump follows every loss.
 *
 *	used - error  <=  truth  <=  used + more	(lib/stats/topk.h)
 *
 * `closing` is exact while every pool has room, and afterwards never more than there are.
 *
 * Memory: two tables of NAT_POOLS_KEYS (topk.h) and 32 bytes a pool, 7.3 MiB at most; where there
 * is IPv6 3 MiB of addresses, which IPv4 has in its keys; and 0.5 MiB of nat_maps.h. All of it is
 * NAT_POOLS_BYTES, made when needed, whatever the table holds. Cost: a look-up of the pool and one
 * of the client, unless it is the pool's first, when an entry comes and when it goes, one of the
 * pool when it begins to close;
 * entries in no pool cost a comparison. No allocation but at the start, O(1). One thread.
 * Errors: -ENOMEM.
 */
#ifndef CONNTIDE_STATS_NAT_POOLS_H
#define CONNTIDE_STATS_NAT_POOLS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"
#include "lib/kernel/nat_ports.h"
#include "lib/kernel/states.h"
#include "lib/stats/nat_maps.h"
#include "lib/stats/nat_place.h"
#include "lib/stats/told.h"
#include "lib/stats/topk.h"

#define NAT_POOLS_KEYS 65536u
/* Pools that are followed and published. */
#define NAT_POOLS_TOP 32u
/* All memory, with NAT_POOLS_KEYS and every page of it touched. */
#define NAT_POOLS_BYTES (11u << 20)

struct nat_pools_settings {
	struct nat_port_range given; /* --nat-ports; {0, 0}: none */
	uint32_t assume_ports;	     /* --assume-nat-ports; 0: none */
	uint32_t local_ports; /* size of ip_local_port_range less what is reserved; 0: unknown */
};

/* Of a pool, beside its record. */
struct nat_pool_facts {
	uint32_t born;	     /* entries that events said were new, ever; of the record */
	uint32_t closing[2]; /* as record->count */
	uint8_t translated;  /* not 0: some entry's source was changed */
	uint8_t map;	     /* of its ports, see nat_maps.h; 0: none */
	uint16_t bucket;     /* of the first client, in `clients`; see topk_hide() */
	/* Who had its first entry, and how many: of most pools the only client. IPv4 alone. */
	uint64_t client;
	uint32_t client_count[2]; /* as record->count */
};

/* No key of an IPv4 client. */
#define NAT_POOL_NO_CLIENT UINT64_MAX

_Static_assert(sizeof(struct nat_pool_facts) == 32, "two to a cache line");

/* Of an IPv6 pool; IPv4 addresses are in the key. */
struct nat_pool_ends {
	uint8_t address[16];
	uint8_t remote[16];
};

/* Of an IPv6 client, likewise. */
struct nat_pool_client {
	uint8_t address[16];
};

struct nat_pools {
	struct topk used;
	struct topk clients;		   /* but first ones; key: hash of the pool, the client */
	struct nat_pool_facts *facts;	   /* by record of `used` */
	struct nat_pool_ends *ends;	   /* by record of `used` */
	struct nat_pool_client *addresses; /* by record of `clients` */
	struct nat_maps maps;
	struct nat_pools_settings settings;
	unsigned int shown; /* which count: 0 or 1 */
	bool building;
	unsigned int clear_table; /* of the count thrown away; 2: nothing left to clear */
	uint32_t clear_from;
	uint32_t unsubtracted[2];
	uint32_t closing_hidden[2];	     /* closing entries that no pool's facts have */
	uint32_t closing_refused;	     /* removals of what was never added */
	struct nat_place places[TOLD_BATCH]; /* of the batch that is counted */
};

/* One pool, as nat_pools_largest() finds it. */
struct nat_pool {
	uint8_t address[16]; /* IPv4: the first four */
	uint8_t remote[16];
	uint16_t remote_port;
	uint16_t zone;
	uint8_t l4num;
	uint8_t family;
	uint8_t class; /* enum nat_port_class */
	bool translated;
	uint32_t used;
	uint32_t closing;
	uint32_t error; /* how many fewer it may be */
	uint32_t more;	/* ...or more */
	uint32_t size;
	struct nat_port_range range; /* {0, 0}: not known, or assumed by number alone */
	uint32_t born;		     /* see nat_pool_facts; only differences are meaningful */
	uint32_t at;		     /* record: another one is another pool */
	uint8_t client[16];	     /* who holds most of it... */
	uint32_t client_used;	     /* ...this many; 0: not known */
	uint64_t hash;
	uint8_t map; /* of its ports; 0: none */
};

/* `keys`: room of each table, a power of two. */
int nat_pools_create(struct nat_pools *pools, uint32_t keys);
void nat_pools_destroy(struct nat_pools *pools);

/*
 * Is the entry in a pool? `outbound`: the direction of its cell. The answer must not change
 * during its life, or it must be removed and added again.
 */
static inline bool nat_pools_counts(const struct ct_event *event, bool outbound)
{
	return event->status & CT_STATUS_SRC_NAT || outbound;
}

/* Of TCP; other protocols have other states. */
static inline bool nat_pools_closing_state(unsigned int state)
{
	return state >= ST_TCP_TIME_WAIT && state <= ST_TCP_SYN_SENT2;
}

/* The kernel can reclaim the port of this entry in this state. */
static inline bool nat_pools_closing(const struct ct_event *event, unsigned int state)
{
	return nat_pools_closing_state(state) && event->key.l4num == IPPROTO_TCP &&
	       event->status & CT_STATUS_SRC_NAT;
}

/* Those of TOLD_FOR_POOLS are counted; see told.h. */
void nat_pools_told(struct nat_pools *pools, const struct told_change *told, unsigned int count);

/* An entry appeared; `born`: an event said that it is new. `built`: also in the count that is
 * being built, which will not be shown it. */
static inline void nat_pools_appeared(struct nat_pools *pools, const struct ct_event *event,
				      bool closing, bool born, bool built)
{
	const struct told_change told = {event, TOLD_POOL_ADDS | (closing ? TOLD_CLOSING : 0) |
							(born ? TOLD_BORN : 0) |
							(built ? TOLD_BUILT : 0)};

	nat_pools_told(pools, &told, 1);
}

/* The count that is being built, if one is, gets it now. */
static inline void nat_pools_shown(struct nat_pools *pools, const struct ct_event *event,
				   bool closing)
{
	const struct told_change told = {event, TOLD_POOL_ADDS | TOLD_SHOWN |
							(closing ? TOLD_CLOSING : 0)};

	if (pools->building)
		nat_pools_told(pools, &told, 1);
}

/* It begins or ceases to close. `built`: the count that is being built has it. */
static inline void nat_pools_turned(struct nat_pools *pools, const struct ct_event *event,
				    bool closing, bool built)
{
	const struct told_change told = {event, TOLD_POOL_TURNS | (closing ? TOLD_CLOSING : 0) |
							(built ? TOLD_BUILT : 0)};

	nat_pools_told(pools, &told, 1);
}

/* It went. */
static inline void nat_pools_went(struct nat_pools *pools, const struct ct_event *event,
				  bool closing, bool built)
{
	const struct told_change told = {event, TOLD_POOL_REMOVES | (closing ? TOLD_CLOSING : 0) |
							(built ? TOLD_BUILT : 0)};

	nat_pools_told(pools, &told, 1);
}

/* An entry went; its pool, if any, is not known. */
void nat_pools_lost(struct nat_pools *pools, bool built);

/* A dump begins; its count is thrown away; it is complete and takes over. */
void nat_pools_begin(struct nat_pools *pools);
void nat_pools_drop(struct nat_pools *pools);
void nat_pools_complete(struct nat_pools *pools);

/* Once a second: clears part of the discarded count. */
void nat_pools_tidy(struct nat_pools *pools);

/*
 * The fullest pools, by used / size, each with the client that holds most of it; returns how many.
 * A walk through two tables, of half a millisecond each when they are full; once a second.
 * ret_translated: pools of translated entries. ret_hidden: no pool outside the list
 * has more ports used that are not counted.
 */
uint32_t nat_pools_largest(const struct nat_pools *pools, struct nat_pool list[NAT_POOLS_TOP],
			   uint32_t *ret_translated, uint32_t *ret_hidden);

/* Once a second, with the list: the first NAT_MAPS of it get the maps, from others. */
void nat_pools_map(struct nat_pools *pools, struct nat_pool *list, uint32_t count);

/* Share of new connections of a pool of the list that find no port, from which are used; see
 * nat_map_failing(). Negative: not known. */
double nat_pools_failing(struct nat_pools *pools, const struct nat_pool *pool, bool reclaims);

/* True once for each map: the pool of the list needs a dump, for what came before it. */
bool nat_pools_ask(struct nat_pools *pools, const struct nat_pool *pool);

#endif
