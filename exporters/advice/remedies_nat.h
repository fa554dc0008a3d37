// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What helps a NAT pool that runs out: more addresses, connections that are used again, a
 * wider range, and random ports where those help. Each is an item of its own. Names in
 * capitals are for the operator to fill in. Pure.
 */
#ifndef CONNTIDE_ADVICE_REMEDIES_NAT_H
#define CONNTIDE_ADVICE_REMEDIES_NAT_H

#include <stdbool.h>

#include "exporters/advice/advice_item.h"
#include "lib/shm/snap_nat.h"

enum nat_remedy {
	NAT_REMEDY_ADDRESSES,
	NAT_REMEDY_KEEPALIVE, /* TCP */
	NAT_REMEDY_RANGE,     /* rules name one, and there is a wider */
	NAT_REMEDY_RANDOM,    /* ranges so large that runs of taken ports matter */
	NAT_REMEDIES
};

bool nat_remedy_helps(enum nat_remedy remedy, const struct snap_nat_pool *pool);
const char *nat_remedy_id(enum nat_remedy remedy);
/* Title and commands. */
void nat_remedy_fill(enum nat_remedy remedy, const struct snap_nat_pool *pool,
		     struct advice_item *item);

/* So many outside addresses that none is more than NAT_GOAL_RATIO full at the load of now. */
#define NAT_GOAL_RATIO 0.7
unsigned int nat_addresses_needed(const struct snap_nat_pool *pool);

#endif
