// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/incident/incident_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/worker.h"
#include "agent/incident/trigger.h"
#include "lib/incident/incident_dir.h"
#include "lib/incident/incident_pack.h"

/* One name is enough: the directory is locked. What a crash left is overwritten. */
#define TEMPORARY "writing.new"

struct incident_writer {
	struct worker worker;
	/* Request and answer: they change hands, see agent/base/worker.h. */
	struct incident_head head;
	struct incident_written written;
	/* The thread's own from here on. */
	int dir_fd;
	struct shm_reader from;
	struct incident_limits limits;
	uint8_t *buffer;
};

/* --- the directory ------------------------------------------------------------------ */

/* Incidents hold addresses of hosts: they are for the readers' group, or where there is
 * none for the owner alone. New files shall be the readers' group's. Where ours is not that, the
 * set-group-id bit sees to it, for changing groups is a privilege that is soon gone. */
static int make_directory(const char *path, gid_t readers)
{
	bool grouped = readers != (gid_t)-1 && readers != getegid();
	mode_t mode = readers == (gid_t)-1 ? 0700 : 0750;
	int fd, err = 0;

	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	/* By descriptor: in a directory others may write, the name may be another's by now. */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if ((grouped && fchown(fd, (uid_t)-1, readers) < 0) ||
	    fchmod(fd, grouped ? mode | S_ISGID : mode) < 0)
		err = -errno;
	close(fd);
	return err;
}

int incident_dir_prepare(const char *state_dir, const char *name, gid_t readers)
{
	char path[INCIDENT_PATH_BYTES];
	int err = incident_dir_path(state_dir, name, path);
	int fd;

	if (!err)
		err = make_directory(state_dir, readers);
	if (!err)
		err = make_directory(path, readers);
	if (err)
		return err;
	fd = incident_dir_open(state_dir, name);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int open_temporary(int dir_fd)
{
	int fd;

	unlinkat(dir_fd, TEMPORARY, 0);
	fd = openat(dir_fd, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	return fd < 0 ? -errno : fd;
}

static int probe(int dir_fd)
{
	int fd = open_temporary(dir_fd);

	if (fd < 0)
		return fd;
	close(fd);
	return unlinkat(dir_fd, TEMPORARY, 0) < 0 ? -errno : 0;
}

/* --- a file ----------------------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, data, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int incident_write_file(int dir_fd, const struct incident_head *head, const void *data,
			size_t bytes, gid_t readers)
{
	char name[INCIDENT_NAME_BYTES];
	int fd = open_temporary(dir_fd);
	int err;

	if (fd < 0)
		return fd;
	err = fchmod(fd, readers == (gid_t)-1 ? 0600 : 0640) < 0 ? -errno : 0;
	if (!err)
		err = write_all(fd, data, bytes);
	if (!err && fsync(fd) < 0)
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	incident_file_name(head->id, head->stage, name);
	if (!err && renameat(dir_fd, TEMPORARY, dir_fd, name) < 0)
		err = -errno;
	if (err)
		unlinkat(dir_fd, TEMPORARY, 0);
	else if (fsync(dir_fd) < 0)
		err = -errno;
	return err;
}

static void drop(int dir_fd, const struct incident_item *item)
{
	char name[INCIDENT_NAME_BYTES];

	for (unsigned int stage = 0; stage < INCIDENT_STAGES; stage++) {
		if (!(item->stages & 1u << stage))
			continue;
		incident_file_name(item->last.id, (enum incident_stage)stage, name);
		unlinkat(dir_fd, name, 0);
	}
}

/* Of our own names; what else lies there is not ours to remove. */
static void drop_damaged(int dir_fd, const struct incident_list *list)
{
	for (size_t i = 0; i < list->bad_count && i < INCIDENT_BAD_KEPT; i++) {
		char id[INCIDENT_ID_BYTES];
		unsigned int stage;

		if (incident_name_parse(list->bad[i].name, id, &stage))
			unlinkat(dir_fd, list->bad[i].name, 0);
	}
}

int incident_trim(int dir_fd, const struct incident_limits *limits, const char *current_id,
		  struct incident_written *ret_kept)
{
	bool damaged_dropped = false;

	for (;;) {
		struct incident_list list;
		int err = incident_list_read(&list, dir_fd);
		int victim = -1;
		bool damaged;

		if (err)
			return err;
		ret_kept->kept = (uint32_t)list.count;
		ret_kept->kept_bytes = list.size_bytes;
		if (list.count <= limits->max_count && list.size_bytes <= limits->max_bytes) {
			incident_list_free(&list);
			return 0;
		}
		damaged = list.bad_count > 0 && !damaged_dropped;
		if (damaged)
			drop_damaged(dir_fd, &list);
		else
			victim = incident_trigger_victim(&list, limits->max_count, current_id);
		if (victim >= 0)
			drop(dir_fd, &list.items[victim]);
		damaged_dropped |= damaged;
		incident_list_free(&list);
		if (!damaged && victim < 0)
			return 0;
		if (fsync(dir_fd) < 0)
			return -errno;
	}
}

/* --- the thread -------------------------------------------------------------------------- */

static void serve(void *arg)
{
	struct incident_writer *writer = arg;
	struct incident_head *head = &writer->head;
	struct incident_written *written = &writer->written;
	size_t bytes = 0;

	*written = (struct incident_written){.stage = head->stage};
	written->err = incident_pack(&writer->from, head, writer->buffer, &bytes);
	if (!written->err)
		written->err = incident_write_file(writer->dir_fd, head, writer->buffer, bytes,
						   writer->limits.readers);
	/* It is safe by now: that old ones could not be dropped does not undo it. */
	if (!written->err)
		incident_trim(writer->dir_fd, &writer->limits, head->id, written);
}

int incident_writer_create(struct incident_writer **ret_writer, int dir_fd,
			   const struct shm_reader *from, const struct incident_limits *limits)
{
	struct incident_writer *writer = calloc(1, sizeof(*writer));
	/* What is being kept when the agent ends is kept. */
	const struct worker_job job = {
		.serve = serve, .arg = writer, .done_fd = -1, .finish = true};
	int err = writer ? probe(dir_fd) : -ENOMEM;

	if (!err) {
		writer->buffer = malloc(INCIDENT_FILE_MAX);
		err = writer->buffer ? 0 : -ENOMEM;
	}
	if (!err) {
		writer->dir_fd = dir_fd;
		writer->from = *from;
		writer->limits = *limits;
		err = worker_start(&writer->worker, &job);
	}
	if (err) {
		if (writer)
			free(writer->buffer);
		free(writer);
		return err;
	}
	*ret_writer = writer;
	return 0;
}

void incident_writer_destroy(struct incident_writer *writer)
{
	if (!writer)
		return;
	worker_stop(&writer->worker);
	close(writer->dir_fd);
	free(writer->buffer);
	free(writer);
}

bool incident_writer_post(struct incident_writer *writer, const struct incident_head *head)
{
	if (worker_busy(&writer->worker))
		return false;
	writer->head = *head;
	worker_post(&writer->worker);
	return true;
}

bool incident_writer_collect(struct incident_writer *writer, struct incident_written *ret_written)
{
	if (!worker_collect(&writer->worker))
		return false;
	*ret_written = writer->written;
	return true;
}
