// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctnetlink messages -> struct ct_event, and the requests that ask for them. The only
 * file that knows the wire format, and the only user of libnetfilter_conntrack.
 *
 * Attributes are walked by hand, and every length is checked: this is the hot path, and what is
 * skipped matters as much as what is read: unknown
 * attributes, sizes and message types are passed over, a message that lacks its
 * tuple is malformed. tests/unit compares the result with
 * nfct_nlmsg_parse() of libnetfilter_conntrack on the same bytes.
 *
 * Requests (GET of one entry) are built with libnetfilter_conntrack.
 *
 * Threads: pure functions. Errors: -errno.
 * Source: net/netfilter/nf_conntrack_netlink.c (ctnetlink_conntrack_event,
 * ctnetlink_fill_info), 5.4 to 6.18.
 */
#ifndef CONNTIDE_AGENT_NETLINK_PARSER_H
#define CONNTIDE_AGENT_NETLINK_PARSER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/event/event.h"

struct nlmsghdr;

/*
 * One netlink message -> *event. 0; -ENOMSG when it is not a conntrack entry
 * (control message, expectation, other subsystem); -EBADMSG when it is cut or
 * lacks its tuple. `len` is what is readable at nlh, at least a header.
 */
int ct_event_parse(const struct nlmsghdr *nlh, size_t len, struct ct_event *event);

/* Request messages; return their length, or -EMSGSIZE / -errno. */
int ct_request_dump(void *buf, size_t bytes, uint32_t seq);
int ct_request_get(void *buf, size_t bytes, uint32_t seq, const struct ct_key *key);

/* Walks the messages of a buffer: the first, then the one after it; NULL when there is
 * no whole message left. `left` is what is readable at the message, and is moved along. */
const struct nlmsghdr *ct_message_first(const void *bytes, size_t len, int *ret_left);
const struct nlmsghdr *ct_message_next(const struct nlmsghdr *nlh, int *left);

#endif
