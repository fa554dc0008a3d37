// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which events the event socket listens to, and what happens while it does not. A change that the
 * kernel refuses is tried again after one second, two, four and so on up to
 * SUBSCRIPTION_BACKOFF_MAX_NS; until it succeeds nothing is exact.
 *
 * Without a listener the kernel creates entries without the extension that reports changes,
 * for their whole life (nf_conntrack_ecache.c: nf_ct_ecache_ext_add). So while no group is
 * wanted a sentinel listens and receives nothing; it is closed only when the event socket
 * listens again.
 *
 * Borrows the event socket; owns the sentinel. Errors: -errno. One thread; time is an
 * argument.
 */
#ifndef CONNTIDE_AGENT_NETLINK_SUBSCRIPTION_H
#define CONNTIDE_AGENT_NETLINK_SUBSCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/netlink/sockets.h"

#define SUBSCRIPTION_BACKOFF_NS	    UINT64_C(1000000000)
#define SUBSCRIPTION_BACKOFF_MAX_NS UINT64_C(32000000000)

struct subscription {
	struct event_socket *events;
	uint32_t groups; /* NLSOCK_*, as wanted */
	int sentinel_fd; /* -1: none */
	int err;	 /* of the last attempt; 0: it listens as wanted */
	uint64_t retry_ns;
	uint64_t backoff_ns;
};

void subscription_init(struct subscription *subscription, struct event_socket *events);
/* Closes the sentinel; the event socket is not its own. */
void subscription_close(struct subscription *subscription);

/* Listens to exactly these groups from now on. 0, or -errno: it will be tried again. */
int subscription_set(struct subscription *subscription, uint32_t groups, uint64_t now_ns);

/* Once a second: tries again what is due. True when that succeeded: events were missed. */
bool subscription_second(struct subscription *subscription, uint64_t now_ns);

#endif
