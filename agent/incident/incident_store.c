// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/incident/incident_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/lock_file.h"
#include "lib/incident/incident_dir.h"

#define LOCK_NAME "lock"

void incident_store_init(struct incident_store *store, const char *state_dir, const char *name,
			 gid_t readers)
{
	*store = (struct incident_store){.state_dir = state_dir,
					 .name = name,
					 .readers = readers,
					 .dir_fd = -1,
					 .lock_fd = -1};
}

void incident_store_close(struct incident_store *store)
{
	if (store->dir_fd >= 0)
		close(store->dir_fd);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	store->dir_fd = store->lock_fd = -1;
}

/* New files must belong to the readers' group. Where ours is another, the set-group-id bit
 * ensures that: the privilege to change groups is soon gone. */
static int set_access(int fd, gid_t readers)
{
	mode_t mode = readers == (gid_t)-1 ? 0755 : 0750;

	if (readers != (gid_t)-1 && readers != getegid()) {
		if (fchown(fd, (uid_t)-1, readers) < 0)
			return -errno;
		mode |= S_ISGID;
	}
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

/* 1: made; 0: it is there; -errno. By descriptor, not by name again: another may have put a
 * link there meanwhile. */
static int make_directory(const char *path, gid_t readers)
{
	int fd, err;

	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	err = set_access(fd, readers);
	close(fd);
	return err ? err : 1;
}

/* Does the path still name what is open? */
static bool is_current(const struct incident_store *store, const char *path)
{
	struct stat named, held;

	if (store->dir_fd < 0 || fstat(store->dir_fd, &held) < 0)
		return false;
	if (stat(path, &named) < 0)
		return errno == EACCES && held.st_nlink > 0;
	return named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

int incident_store_open(struct incident_store *store)
{
	char path[INCIDENT_PATH_BYTES];
	struct incident_store other = *store;
	pid_t pid;
	int err = incident_dir_path(store->state_dir, store->name, path);

	if (err || is_current(store, path))
		return err;
	err = make_directory(store->state_dir, store->readers);
	store->made_state_dir |= err > 0;
	if (err >= 0)
		err = make_directory(path, store->readers);
	/* "It is gone" says more than "its parent cannot be written". */
	if (err == -EACCES || err == -EROFS)
		err = access(path, F_OK) < 0 ? -errno : err;
	if (err < 0)
		return err;
	other.dir_fd = incident_dir_open(store->state_dir, store->name);
	if (other.dir_fd < 0)
		return other.dir_fd;
	other.lock_fd = lock_file_take(other.dir_fd, LOCK_NAME, &pid);
	if (other.lock_fd < 0) {
		err = other.lock_fd;
		close(other.dir_fd);
		return err;
	}
	incident_store_close(store);
	store->dir_fd = other.dir_fd;
	store->lock_fd = other.lock_fd;
	return 0;
}

int incident_store_hand_over(const struct incident_store *store, uid_t uid, gid_t gid)
{
	if (store->dir_fd < 0)
		return 0;
	if (fchown(store->dir_fd, uid, gid) < 0 || fchown(store->lock_fd, uid, gid) < 0)
		return -errno;
	if (store->made_state_dir && chown(store->state_dir, uid, gid) < 0)
		return -errno;
	return 0;
}
