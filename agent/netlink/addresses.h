// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rtnetlink's messages about addresses -> the set of local addresses. Pure.
 */
#ifndef CONNTIDE_AGENT_NETLINK_ADDRESSES_H
#define CONNTIDE_AGENT_NETLINK_ADDRESSES_H

#include <stddef.h>

#include "lib/mirror/local_addr.h"

/* Adds the address of one RTM_NEWADDR message; other types are ignored. 0; -EBADMSG when
 * the message is cut or has no address; -ENOMEM. */
int addresses_add_message(struct local_addrs *set, const void *nlmsg, size_t len);

/* All these notifications are about addresses that are in the set: nothing has changed. False
 * when in doubt. */
bool addresses_known(const struct local_addrs *set, const void *bytes, size_t len);

#endif
