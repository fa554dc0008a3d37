// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Gives up privileges, in the order a process does it: sandbox_become(), then
 * sandbox_no_new_privileges(), then sandbox_allow_only(). The only user of
 * libcap-ng and libseccomp. Each returns 0 or -errno and leaves the process as it
 * was or more confined than before; a caller that gets an error ends.
 *
 * Call before any thread is started.
 */
#ifndef CONNTIDE_BASE_SANDBOX_H
#define CONNTIDE_BASE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Becomes the first of `users` (NULL at the end) that exists, with its own
 * groups and no capability at all, in every set. For a process that runs as root;
 * -EPERM otherwise, -ENOENT when none of them exists. *ret_user: which one.
 */
int sandbox_become(const char *const *users, const char **ret_user);

/* Can this process become this user, and give files to it? That takes CAP_SETUID, CAP_SETGID and
 * CAP_CHOWN, which a container with CAP_NET_ADMIN alone lacks, and a user namespace that has
 * these ids. */
bool sandbox_may_become(uid_t uid, gid_t gid);

/* Becomes this user, in this group and no other, and keeps CAP_NET_ADMIN of all capabilities.
 * 0; -EPERM, -errno. */
int sandbox_become_net_admin(uid_t uid, gid_t gid);

/* Drops every capability from every set this process can reach: for a process
 * that runs as an ordinary user but was given some. */
int sandbox_drop_capabilities(void);

/* Keeps CAP_NET_ADMIN, drops every other one from every set. 0; -EPERM when
 * there is no CAP_NET_ADMIN to keep. */
int sandbox_keep_net_admin(void);

/* True while any capability is effective, permitted or ambient. */
bool sandbox_has_capabilities(void);

/* execve() can no longer add privileges. */
int sandbox_no_new_privileges(void);

/*
 * From now on system calls other than the named ones fail with EPERM. Names
 * this architecture or libseccomp does not know are skipped. SANDBOX_NETLINK
 * stands for socket(2) of netlink only. A build with sanitizers, which make calls
 * of their own, is not filtered.
 */
#define SANDBOX_NETLINK "socket/netlink"
int sandbox_allow_only(const char *const *syscalls, size_t count);

#endif
