// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the agent may still do once its files are open: CAP_NET_ADMIN, which
 * dumps need at any time, and the system calls it is known to make; no other
 * socket than netlink, no listening, no exec, no new privileges.
 *
 * Before any thread is started. 0; -EPERM without CAP_NET_ADMIN; -errno.
 */
#ifndef CONNTIDE_AGENT_BASE_CONFINE_H
#define CONNTIDE_AGENT_BASE_CONFINE_H

int confine_agent(void);

#endif
