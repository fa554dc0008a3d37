// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/base/confine.h"

#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/sandbox.h"

static const char *const allowed[] = {
	/* the loop */
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_wait",
	"poll",
	"ppoll",
	"read",
	"write",
	"writev",
	"close",
	"clock_gettime",
	"clock_nanosleep",
	"nanosleep",
	"timerfd_create",
	"timerfd_settime",
	"signalfd4",
	"eventfd2",
	"fcntl",
	/* netlink */
	SANDBOX_NETLINK,
	"bind",
	"getsockname",
	"getsockopt",
	"setsockopt",
	"recvfrom",
	"recvmmsg",
	"recvmsg",
	"sendmsg",
	"sendto",
	/* files: /proc, the segment, the recording */
	"openat",
	"pread64",
	"lseek",
	"fstat",
	"newfstatat",
	"stat",
	"statx",
	"access",
	"faccessat",
	"faccessat2",
	"fallocate",
	"ftruncate",
	"rename",
	"renameat",
	"renameat2",
	"unlink",
	"unlinkat",
	/* incidents: listed, written, synced */
	"getdents64",
	"fchmod",
	"fsync",
	/* making again what somebody removed: directories, locks, files for the group */
	"mkdir",
	"mkdirat",
	"flock",
	"pwrite64",
	"fchown",
	/* memory, threads, the end */
	"brk",
	"mmap",
	"munmap",
	"mprotect",
	"mremap",
	"madvise",
	"futex",
	"clone",
	"clone3",
	"set_robust_list",
	"rseq",
	"sched_yield",
	"restart_syscall",
	"rt_sigreturn",
	"rt_sigaction",
	"rt_sigprocmask",
	"sigaltstack",
	"getrandom",
	"getegid",
	"geteuid",
	"getpid",
	"gettid",
	"tgkill",
	"exit",
	"exit_group",
};

/*
 * From the files themselves: getpwnam() may talk to a name service over sockets, which this
 * process has no other use for.
 */
static bool find_user(const char *name, uid_t uid, struct confine_user *ret_user)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *user;
	bool found = false;

	while (file && !found && (user = fgetpwent(file))) {
		found = name ? strcmp(user->pw_name, name) == 0 : user->pw_uid == uid;
		if (found)
			*ret_user = (struct confine_user){true, user->pw_uid, user->pw_gid};
	}
	if (file)
		fclose(file);
	return found;
}

static bool has_group(gid_t gid)
{
	FILE *file = fopen("/etc/group", "re");
	const struct group *group;
	bool found = false;

	while (file && !found && (group = fgetgrent(file)))
		found = group->gr_gid == gid;
	if (file)
		fclose(file);
	return found;
}

static struct confine_user unallocated_user(void)
{
	struct confine_user user = {.change = false}, taken;
	uid_t id = CONFINE_ID_LAST;

	while (id >= CONFINE_ID_FIRST && (find_user(NULL, id, &taken) || has_group(id)))
		id--;
	if (id >= CONFINE_ID_FIRST)
		user = (struct confine_user){true, id, id};
	return user;
}

struct confine_user confine_user(gid_t readers)
{
	struct confine_user user = {.change = false};

	if (geteuid() != 0)
		return user;
	/* An account of that name with root's id is not another user. */
	if (!find_user(CONFINE_USER, 0, &user) || user.uid == 0)
		user = unallocated_user();
	if (readers != (gid_t)-1)
		user.gid = readers;
	user.change = user.change && sandbox_may_become(user.uid, user.gid);
	return user;
}

int confine_agent(const struct confine_user *user)
{
	int err = user->change ? sandbox_become_net_admin(user->uid, user->gid)
			       : sandbox_keep_net_admin();

	if (!err)
		err = sandbox_no_new_privileges();
	if (!err)
		err = sandbox_allow_only(allowed, sizeof(allowed) / sizeof(allowed[0]));
	return err;
}
