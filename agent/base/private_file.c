// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return -ELOOP;
	if (S_ISREG(st->st_mode))
		return st->st_uid == geteuid() && st->st_nlink == 1 ? 0 : -EPERM;
	return st->st_uid == geteuid() || st->st_uid == 0 ? 0 : -EPERM;
}

static int open_existing(const char *path)
{
	struct stat st;
	int fd, err;

	/* Checked before it is opened as well: opening a stranger's fifo would block. */
	if (lstat(path, &st) < 0)
		return -errno;
	err = check(&st);
	if (err)
		return err;
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) < 0 ? -errno : check(&st);
	if (!err && S_ISREG(st.st_mode) && fchmod(fd, 0600) < 0)
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

int private_file_open(const char *path, bool *ret_created)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	*ret_created = fd >= 0;
	if (fd >= 0)
		return fd;
	return errno == EEXIST ? open_existing(path) : -errno;
}
