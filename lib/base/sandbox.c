// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* Whether the bounding set can be changed: that takes CAP_SETPCAP. Without it nothing is lost, as
 * no-new-privileges prevents gaining anything through the set; but libcap-ng would write to
 * syslog that it failed. Forgets what was chosen for capng_apply(). */
static bool may_bound(void)
{
	return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
}

static int drop_all(void)
{
	bool bound = may_bound();

	capng_clear(CAPNG_SELECT_ALL);
	/* Bounds first: CAP_SETPCAP goes with the rest. */
	if (bound)
		capng_apply(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		return -EPERM;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	return 0;
}

/* A change of user clears the parent-death signal (kernel/cred.c: commit_creds), which `conntide
 * run` relies on. */
static void keep_parent_signal(int sig)
{
	if (sig)
		prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0);
}

static int parent_signal(void)
{
	int sig = 0;

	return prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0) < 0 ? 0 : sig;
}

int sandbox_become(const char *const *users, const char **ret_user)
{
	const struct passwd *user = NULL;
	int sig = parent_signal();

	for (; *users && !user; users++) {
		user = getpwnam(*users);
		*ret_user = *users;
	}
	if (!user)
		return -ENOENT;
	if (geteuid() != 0)
		return -EPERM;
	/* While still root, who has CAP_SETPCAP unless it was taken away. */
	if (may_bound()) {
		capng_clear(CAPNG_SELECT_BOUNDS);
		capng_apply(CAPNG_SELECT_BOUNDS);
	}
	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return -errno;
	keep_parent_signal(sig);
	/* setuid(2) has emptied the sets, unless prctl kept them. */
	if (setuid(0) == 0)
		return -EPERM;
	return drop_all();
}

/* Lines of three numbers: first id here, first id outside, how many. */
static bool has_id(const char *map, unsigned long id)
{
	unsigned long first, outside, count;
	FILE *file = fopen(map, "re");
	bool found = !file; /* a kernel without user namespaces has them all */

	while (file && !found && fscanf(file, "%lu %lu %lu", &first, &outside, &count) == 3)
		found = id >= first && id - first < count;
	if (file)
		fclose(file);
	return found;
}

bool sandbox_may_become(uid_t uid, gid_t gid)
{
	return capng_get_caps_process() == 0 &&
	       capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID) &&
	       capng_have_capability(CAPNG_EFFECTIVE, CAP_SETGID) &&
	       capng_have_capability(CAPNG_EFFECTIVE, CAP_CHOWN) &&
	       has_id("/proc/self/uid_map", uid) && has_id("/proc/self/gid_map", gid);
}

/* Chooses CAP_NET_ADMIN alone, and applies that to the bounding set, while CAP_SETPCAP is there. */
static int choose_net_admin(void)
{
	bool bound = may_bound();

	capng_clear(CAPNG_SELECT_ALL);
	if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
			 CAP_NET_ADMIN) != 0)
		return -EINVAL;
	if (bound)
		capng_apply(CAPNG_SELECT_BOUNDS);
	return 0;
}

int sandbox_become_net_admin(uid_t uid, gid_t gid)
{
	int sig = parent_signal();
	int err = choose_net_admin();

	if (err)
		return err;
	/* Keeps the capability over the change, and drops the rest after it. */
	if (capng_change_id((int)uid, (int)gid, CAPNG_DROP_SUPP_GRP) != 0)
		return -EPERM;
	keep_parent_signal(sig);
	if (SANITIZED)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* LeakSanitizer traces its own process */
	return setuid(0) == 0 ? -EPERM : 0;
}

int sandbox_drop_capabilities(void)
{
	return drop_all();
}

int sandbox_keep_net_admin(void)
{
	int err = choose_net_admin();

	if (err)
		return err;
	return capng_apply(CAPNG_SELECT_CAPS) == 0 ? 0 : -EPERM;
}

bool sandbox_has_capabilities(void)
{
	if (capng_get_caps_process() != 0)
		return true;
	return capng_have_capabilities(CAPNG_SELECT_CAPS) > CAPNG_NONE;
}

int sandbox_no_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int allow(scmp_filter_ctx filter, const char *name)
{
	int number;

	if (strcmp(name, SANDBOX_NETLINK) == 0)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
					SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0));
	number = seccomp_syscall_resolve_name(name);
	if (number == __NR_SCMP_ERROR || number < 0)
		return 0;
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
}

int sandbox_allow_only(const char *const *syscalls, size_t count)
{
	scmp_filter_ctx filter;
	int err;

	if (SANITIZED)
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	err = filter ? 0 : -ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = allow(filter, syscalls[i]);
	/* Also for threads that run already, with no-new-privileges for them. */
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}
