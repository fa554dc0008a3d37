// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/num.h"

/* Others may replace the file at the same moment; that cannot go on for long. */
#define ATTEMPTS 8

bool lock_file_holds(int lock_fd, int dir_fd, const char *name)
{
	struct stat held, named;

	return fstat(lock_fd, &held) == 0 &&
	       fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* A descriptor; -EAGAIN: another process was first, or a file that others could open was removed.
 */
static int open_private(int dir_fd, const char *name)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = openat(dir_fd, name, flags);
	struct stat st;
	int err = 0;

	/* Two steps: O_CREAT on another user's file in a sticky directory is refused, even to
	 * root (fs.protected_regular), and the agent's user is another one. */
	if (fd < 0 && errno == ENOENT)
		fd = openat(dir_fd, name, flags | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return errno == EEXIST ? -EAGAIN : -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_mode & 077)
		err = unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : -EAGAIN;
	if (!err)
		return fd;
	close(fd);
	return err;
}

static pid_t read_pid(int fd)
{
	char text[32];
	uint32_t pid;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return num_u32(text, 1, INT_MAX, &pid) == 0 ? (pid_t)pid : 0;
}

static int write_pid(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	return ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n ? -EIO : 0;
}

int lock_file_take(int dir_fd, const char *name, pid_t *ret_pid)
{
	int err = -EAGAIN;

	*ret_pid = 0;
	for (int i = 0; i < ATTEMPTS && err == -EAGAIN; i++) {
		int fd = open_private(dir_fd, name);

		if (fd < 0) {
			err = fd;
			continue;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			err = errno == EWOULDBLOCK ? -EBUSY : -errno;
			*ret_pid = read_pid(fd);
		} else {
			err = lock_file_holds(fd, dir_fd, name) ? write_pid(fd) : -EAGAIN;
		}
		if (!err)
			return fd;
		close(fd);
	}
	return err;
}
