// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

static int drop_all(void)
{
	capng_clear(CAPNG_SELECT_ALL);
	/* The bounding set needs CAP_SETPCAP; without it nothing is lost, because
	 * no-new-privileges keeps anything from being gained through it. */
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		return -EPERM;
	capng_apply(CAPNG_SELECT_BOUNDS);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	return 0;
}

int sandbox_become(const char *const *users, const char **ret_user)
{
	const struct passwd *user = NULL;

	for (; *users && !user; users++) {
		user = getpwnam(*users);
		*ret_user = *users;
	}
	if (!user)
		return -ENOENT;
	if (geteuid() != 0)
		return -EPERM;
	/* While still root: the bounding set can only be emptied with CAP_SETPCAP. */
	capng_clear(CAPNG_SELECT_BOUNDS);
	capng_apply(CAPNG_SELECT_BOUNDS);
	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return -errno;
	/* setuid(2) emptied the sets unless somebody kept them with prctl. */
	if (setuid(0) == 0)
		return -EPERM;
	return drop_all();
}

int sandbox_drop_capabilities(void)
{
	return drop_all();
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

int sandbox_allow_only(const char *const *syscalls, size_t count)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !err; i++) {
		int number = seccomp_syscall_resolve_name(syscalls[i]);

		if (number == __NR_SCMP_ERROR || number < 0)
			continue;
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	}
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}
