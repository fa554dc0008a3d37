// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One entry, asked for by its tuple: one exact CT_GET and its answer, never a dump. Asked for by
 * the tuple of its answers it is found as well (the kernel keeps each entry under both).
 *
 * Errors: -errno; -ENOENT: there is no such entry; -EPERM without CAP_NET_ADMIN.
 */
#ifndef CONNTIDE_AGENT_FLOW_LOOKUP_H
#define CONNTIDE_AGENT_FLOW_LOOKUP_H

#include "lib/event/event.h"

struct looked_up {
	struct ct_event event;
	uint32_t mark;
};

/* `confined`: first gives up all but CAP_NET_ADMIN and the system calls it takes. */
int flow_look_up(const struct ct_key *key, bool confined, struct looked_up *ret_flow);

#endif
