// SPDX-License-Identifier: GPL-2.0-or-later
/* What one entry carries besides what the mirror keeps of it. Pure. */
#ifndef CONNTIDE_AGENT_NETLINK_ENTRY_MARK_H
#define CONNTIDE_AGENT_NETLINK_ENTRY_MARK_H

#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;

/* CTA_MARK of a whole message that ct_event_parse() understood; 0 where it has none. */
uint32_t ct_entry_mark(const struct nlmsghdr *nlh, size_t len);

#endif
