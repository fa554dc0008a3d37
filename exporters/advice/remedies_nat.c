// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/remedies_nat.h"

#include <math.h>
#include <stdio.h>

#include "exporters/advice/remedies.h"

#define USER_PORTS     64512u
#define RANDOM_MATTERS 4096u /* see nat_failing_share() */

/* What fails was never held: as many more as fail now. */
unsigned int nat_addresses_needed(const struct snap_nat_pool *pool)
{
	double failing = pool->failing_share < 0.5 ? pool->failing_share : 0.5;
	double needed = pool->held / (1.0 - failing) / (NAT_GOAL_RATIO * pool->size);

	return needed < 2 ? 2u : (unsigned int)ceil(needed);
}

bool nat_remedy_helps(enum nat_remedy remedy, const struct snap_nat_pool *pool)
{
	switch (remedy) {
	case NAT_REMEDY_ADDRESSES:
		return true;
	case NAT_REMEDY_KEEPALIVE:
		return pool->l4proto == L4_TCP;
	case NAT_REMEDY_RANGE:
		return pool->first_port >= 1024 && pool->size < USER_PORTS;
	case NAT_REMEDY_RANDOM:
		return pool->size > RANDOM_MATTERS;
	default:
		return false;
	}
}

const char *nat_remedy_id(enum nat_remedy remedy)
{
	static const char *const ids[NAT_REMEDIES] = {"nat-addresses", "nat-keepalive", "nat-range",
						      "nat-random"};

	return ids[remedy];
}

static void fill_addresses(const struct snap_nat_pool *pool, struct advice_item *item)
{
	unsigned int needed = nat_addresses_needed(pool);
	int bits = pool->ipv6 ? 128 : 32;
	char rule[160], xt[96];

	snprintf(item->title, sizeof(item->title), "%u outside addresses instead of one", needed);
	for (unsigned int i = 2; i <= needed && i <= 3; i++) {
		remedy_say(item, TOOL_SHELL, "ip address add ADDRESS%u/%d dev INTERFACE", i, bits);
		remedy_say(item, TOOL_UNDO, "ip address del ADDRESS%u/%d dev INTERFACE", i, bits);
	}
	if (needed > 3) {
		remedy_say(item, TOOL_SHELL, "# and so on, up to ADDRESS%u", needed);
		snprintf(rule, sizeof(rule), "snat %s to ADDRESS1-ADDRESS%u",
			 pool->ipv6 ? "ip6" : "ip", needed);
	} else {
		snprintf(rule, sizeof(rule),
			 "snat %s to numgen inc mod %u map '{ 0 : ADDRESS1, 1 : ADDRESS2%s }'",
			 pool->ipv6 ? "ip6" : "ip", needed, needed > 2 ? ", 2 : ADDRESS3" : "");
	}
	/* Consecutive addresses; a client keeps one of them towards one destination. */
	snprintf(xt, sizeof(xt), "-j SNAT --to-source ADDRESS1-ADDRESS%u", needed);
	remedy_translate(item, "nat_addresses", rule, xt);
}

static void fill_keepalive(const struct snap_nat_pool *pool, struct advice_item *item)
{
	const struct row_key key = {L4_TCP, DIR_OUTBOUND, pool->remote_port};
	double idle = ceil(pool->new_per_s);

	snprintf(item->title, sizeof(item->title),
		 "let clients keep connections to tcp/%u open and use them again",
		 pool->remote_port);
	remedy_keepalive(item, &key, 1, idle < 8 ? 8 : idle > 1000 ? 1000 : idle, true);
}

static void fill_range(const struct snap_nat_pool *pool, struct advice_item *item)
{
	const char *l4proto = l4proto_info(pool->l4proto)->name;
	char rule[64], xt[64];

	snprintf(item->title, sizeof(item->title), "a wider range: %u ports instead of %u",
		 USER_PORTS, pool->size);
	snprintf(rule, sizeof(rule), "meta l4proto %s masquerade to :1024-65535", l4proto);
	snprintf(xt, sizeof(xt), "-p %s -j MASQUERADE --to-ports 1024-65535", l4proto);
	remedy_translate(item, "nat_range", rule, xt);
	remedy_say(item, TOOL_SHELL,
		   "# then start conntide-agent without --nat-ports, or with 1024-65535");
}

static void fill_random(const struct snap_nat_pool *pool, struct advice_item *item)
{
	(void)pool;
	snprintf(item->title, sizeof(item->title),
		 "random ports: fewer failures below 98 %%, no more ports");
	remedy_nat(item);
}

void nat_remedy_fill(enum nat_remedy remedy, const struct snap_nat_pool *pool,
		     struct advice_item *item)
{
	static void (*const fills[NAT_REMEDIES])(const struct snap_nat_pool *,
						 struct advice_item *) = {
		[NAT_REMEDY_ADDRESSES] = fill_addresses,
		[NAT_REMEDY_KEEPALIVE] = fill_keepalive,
		[NAT_REMEDY_RANGE] = fill_range,
		[NAT_REMEDY_RANDOM] = fill_random,
	};

	item->families = pool->ipv6 ? FAMILY_IPV6 : FAMILY_IPV4;
	fills[remedy](pool, item);
}
