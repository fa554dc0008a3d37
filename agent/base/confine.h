// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which user the agent runs as, and what it may still do once its files are open: CAP_NET_ADMIN,
 * which dumps always need, and the system calls it is known to make. No socket but netlink, no
 * listening, no exec, no new privileges.
 *
 * Started as root it changes to its user, CONFINE_USER. Where there is none it takes an id that
 * no account has: the last of CONFINE_ID_LAST down to CONFINE_ID_FIRST, which systemd leaves
 * free (systemd.io/UIDS-GIDS), that neither /etc/passwd nor /etc/group has. It is the same at
 * each start, so that existing files remain its own, and never the exporter's id: breaking into
 * one of the two must not allow writing what the other trusts.
 *
 * To be called before any thread is started.
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

/* The user to become; `readers`: the group that may read what it publishes, or -1. Without root,
 * or where root may not change (sandbox_may_become()), the user stays. */
struct confine_user confine_user(gid_t readers);

/* 0; -EPERM without CAP_NET_ADMIN; -errno. */
int confine_agent(const struct confine_user *user);

#endif
