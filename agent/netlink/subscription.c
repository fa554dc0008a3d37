// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/subscription.h"

#include <unistd.h>

void subscription_init(struct subscription *subscription, struct event_socket *events)
{
	*subscription = (struct subscription){.events = events, .sentinel_fd = -1};
}

static void close_sentinel(struct subscription *subscription)
{
	if (subscription->sentinel_fd >= 0)
		close(subscription->sentinel_fd);
	subscription->sentinel_fd = -1;
}

void subscription_close(struct subscription *subscription)
{
	close_sentinel(subscription);
}

/* In this order somebody listens at every moment. */
static int apply(struct subscription *subscription)
{
	int err;

	if (!subscription->groups && subscription->sentinel_fd < 0) {
		subscription->sentinel_fd = sentinel_socket_open();
		if (subscription->sentinel_fd < 0)
			return subscription->sentinel_fd;
	}
	err = event_socket_subscribe(subscription->events, subscription->groups);
	if (!err && subscription->groups)
		close_sentinel(subscription);
	return err;
}

static void try_now(struct subscription *subscription, uint64_t now_ns)
{
	uint64_t pause_ns = 2 * subscription->backoff_ns;

	subscription->err = apply(subscription);
	if (pause_ns < SUBSCRIPTION_BACKOFF_NS || !subscription->err)
		pause_ns = SUBSCRIPTION_BACKOFF_NS;
	if (pause_ns > SUBSCRIPTION_BACKOFF_MAX_NS)
		pause_ns = SUBSCRIPTION_BACKOFF_MAX_NS;
	subscription->backoff_ns = subscription->err ? pause_ns : 0;
	subscription->retry_ns = now_ns + pause_ns;
}

int subscription_set(struct subscription *subscription, uint32_t groups, uint64_t now_ns)
{
	subscription->groups = groups;
	subscription->backoff_ns = 0;
	try_now(subscription, now_ns);
	return subscription->err;
}

bool subscription_second(struct subscription *subscription, uint64_t now_ns)
{
	if (!subscription->err || now_ns < subscription->retry_ns)
		return false;
	try_now(subscription, now_ns);
	return !subscription->err;
}
