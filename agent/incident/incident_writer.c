// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/incident/incident_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	struct incident_store store;
	struct shm_reader from;
	struct incident_limits limits;
	uint8_t *buffer;
};

/* --- a file ----------------------------------------------------------------------------- */

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
	/* It may have been removed or replaced since the last time. */
	if (!written->err)
		written->err = incident_store_open(&writer->store);
	if (!written->err)
		written->err = incident_write_file(writer->store.dir_fd, head, writer->buffer,
						   bytes, writer->limits.readers);
	/* The new one is safe on disk; failing to drop old ones does not change that. */
	if (!written->err)
		incident_trim(writer->store.dir_fd, &writer->limits, head->id, written);
}

int incident_writer_probe(const struct incident_store *store)
{
	return store->dir_fd < 0 ? -ENOENT : probe(store->dir_fd);
}

int incident_writer_create(struct incident_writer **ret_writer, const struct incident_store *store,
			   const struct shm_reader *from, const struct incident_limits *limits)
{
	struct incident_writer *writer = calloc(1, sizeof(*writer));
	/* A stage that is being written when the agent ends is completed. */
	const struct worker_job job = {
		.serve = serve, .arg = writer, .done_fd = -1, .finish = true};
	int err = -ENOMEM;

	if (writer)
		writer->buffer = malloc(INCIDENT_FILE_MAX);
	if (writer && writer->buffer) {
		writer->store = *store;
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
	incident_store_close(&writer->store);
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
