// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything that reads netlink messages: any bytes must give an event or an error,
 * and nothing may be read outside of them. The input is a run of messages, as a
 * datagram holds them; the first byte chooses the reader.
 */
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "agent/netlink/addresses.h"
#include "agent/netlink/ct_stats.h"
#include "agent/netlink/parser.h"
#include "lib/base/check.h"
#include "lib/event/event.h"
#include "lib/mirror/local_addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_event(const uint8_t *message, size_t len)
{
	struct ct_event event;
	uint8_t request[1024];

	if (ct_event_parse((const void *)message, len, &event) < 0)
		return;
	BUG_ON(event.kind >= CT_KINDS);
	BUG_ON(event.hash != ct_hash(&event.key));
	ct_request_get(request, sizeof(request), 1, &event.key);
}

static void read_message(uint8_t kind, const uint8_t *message, size_t len)
{
	struct ct_counters counters;
	struct ct_limits limits = CT_LIMITS_UNKNOWN;
	struct local_addrs addrs;

	switch (kind % 3) {
	case 0:
		read_event(message, len);
		break;
	case 1:
		ct_counters_init(&counters);
		if (ct_counters_message(&counters, message, len) < 0)
			ct_limits_message(&limits, message, len);
		ct_counters_free(&counters);
		break;
	default:
		local_addrs_init(&addrs);
		addresses_add_message(&addrs, message, len);
		local_addrs_finish(&addrs);
		local_addrs_free(&addrs);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *block;
	size_t at = 0;

	if (size < 1)
		return 0;
	/* Aligned as a receive buffer is, and no byte longer than the input. */
	size--;
	block = malloc(size ? size : 1);
	memcpy(block, data + 1, size);
	read_message(data[0], block, size);
	while (size - at >= sizeof(struct nlmsghdr)) {
		uint32_t len = ((const struct nlmsghdr *)(void *)(block + at))->nlmsg_len;

		read_message(data[0], block + at, size - at);
		if (len < sizeof(struct nlmsghdr) || len > size - at)
			break;
		at += (len + 3u) & ~3u;
		if (at > size)
			break;
	}
	free(block);
	return 0;
}
