// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/base/confine.h"

#include <stddef.h>

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
	/* what somebody removed, made again: directories, locks, files for the group */
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
	"getpid",
	"gettid",
	"tgkill",
	"exit",
	"exit_group",
};

int confine_agent(void)
{
	int err = sandbox_keep_net_admin();

	if (!err)
		err = sandbox_no_new_privileges();
	if (!err)
		err = sandbox_allow_only(allowed, sizeof(allowed) / sizeof(allowed[0]));
	return err;
}
