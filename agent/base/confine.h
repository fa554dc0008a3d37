// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * As whom the agent runs, and what it may still do once its files are open: CAP_NET_ADMIN, which
 * dumps need at any time, and the system calls it is known to make; no other
 * socket than netlink, no listening, no exec, no new privileges.
 *
 * Started as root it changes to its user, CONFINE_USER. Where there is none it takes an id that
 * no account has: the last of CONFINE_ID_LAST down to CONFINE_ID_FIRST, which systemd leaves
 * free (systemd.io/UIDS-GIDS), that neither /etc/passwd nor /etc/group has. It is the same at
 * each start, so that files of the last one are still its own, and never the exporter's: who
 * breaks into one of the two shall not write what the other trusts.
 *
 * Before any thread is started.
 */
#ifndef CONNTIDE_AGENT_BASE_CONFINE_H
#define CONNTIDE_AGENT_BASE_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>

#define CONFINE_USER	 "conntide-agent"
#define CONFINE_ID_FIRST 60578u
#define CONFINE_ID_LAST	 61183u

struct confine_user {
	bool change; /* false: stay who we are */
	uid_t uid;
	gid_t gid;
};

/* As whom to go on; `readers`: the group that may read what it publishes, or -1. It stays who
 * it is when it is not root, or root that may not change (sandbox_may_become()). */
struct confine_user confine_user(gid_t readers);

/* 0; -EPERM without CAP_NET_ADMIN; -errno. */
int confine_agent(const struct confine_user *user);

#endif
