// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/incident/incident_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int incident_dir_path(const char *state_dir, const char *name, char out[INCIDENT_PATH_BYTES])
{
	if (!*name || *name == '.' || strchr(name, '/'))
		return -EINVAL;
	if ((size_t)snprintf(out, INCIDENT_PATH_BYTES, "%s/%s" INCIDENT_DIR_SUFFIX, state_dir,
			     name) >= INCIDENT_PATH_BYTES)
		return -ENAMETOOLONG;
	return 0;
}

int incident_dir_open(const char *state_dir, const char *name)
{
	char path[INCIDENT_PATH_BYTES];
	int fd = incident_dir_path(state_dir, name, path);

	if (fd < 0)
		return fd;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static void add_bad(struct incident_list *list, const char *name, int error)
{
	struct incident_bad *bad = &list->bad[list->bad_count];

	if (list->bad_count++ >= INCIDENT_BAD_KEPT)
		return;
	snprintf(bad->name, sizeof(bad->name), "%s", name);
	for (char *at = bad->name; *at; at++)
		if (*at < 0x20 || *at > 0x7e)
			*at = '?';
	bad->error = error;
}

/* Non-blocking, in case a fifo has that name. */
static int open_file(int dir_fd, const char *name, uint64_t *ret_bytes)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EBADMSG;
	if (err) {
		close(fd);
		return err;
	}
	*ret_bytes = (uint64_t)st.st_size;
	return fd;
}

static ssize_t read_up_to(int fd, void *out, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		ssize_t n = read(fd, (char *)out + at, bytes - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		at += (size_t)n;
	}
	return (ssize_t)at;
}

static int read_head(int dir_fd, const char *name, struct incident_head *head, uint64_t *ret_bytes)
{
	int fd = open_file(dir_fd, name, ret_bytes);
	uint8_t data[sizeof(*head)];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read_up_to(fd, data, sizeof(data));
	close(fd);
	return n < 0 ? (int)n : incident_check_head(data, (size_t)n, *ret_bytes, head);
}

/* Recovery shows a table with room again, which does not show what was wrong. */
static int badness(const struct incident_head *head)
{
	return head->stage == INCIDENT_RECOVERED ? -1 : (int)head->stage;
}

static int add_file(struct incident_list *list, const struct incident_head *head, uint64_t bytes)
{
	struct incident_item *item = NULL;

	for (size_t i = 0; i < list->count && !item; i++)
		if (!strcmp(list->items[i].last.id, head->id))
			item = &list->items[i];
	if (!item && list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct incident_item *items = realloc(list->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->room = room;
	}
	if (!item) {
		item = &list->items[list->count++];
		*item = (struct incident_item){.last = *head, .worst = *head};
	}
	if (head->taken_real_ns > item->last.taken_real_ns || head->stage > item->last.stage)
		item->last = *head;
	if (badness(head) > badness(&item->worst))
		item->worst = *head;
	item->stages |= 1u << head->stage;
	item->size_bytes += bytes;
	return 0;
}

static int look_at(struct incident_list *list, int dir_fd, const char *name)
{
	size_t length = strlen(name), suffix = strlen(INCIDENT_SUFFIX);
	char id[INCIDENT_ID_BYTES];
	struct incident_head head;
	unsigned int stage;
	uint64_t bytes = 0;
	int err;

	if (length < suffix || strcmp(name + length - suffix, INCIDENT_SUFFIX) != 0)
		return 0;
	if (!incident_name_parse(name, id, &stage)) {
		add_bad(list, name, -EBADMSG);
		return 0;
	}
	err = read_head(dir_fd, name, &head, &bytes);
	if (!err && (strcmp(head.id, id) != 0 || head.stage != stage))
		err = -EINVAL;
	if (!err)
		err = add_file(list, &head, bytes);
	/* Dropped while we read the directory: not an error. */
	if (err && err != -ENOENT && err != -ENOMEM)
		add_bad(list, name, err);
	list->size_bytes += bytes;
	return err == -ENOMEM ? err : 0;
}

/* The id breaks ties, and ids begin with the time: stable whatever the clock did. */
static int newest_first(const void *a, const void *b)
{
	const struct incident_item *x = a, *y = b;

	return -strcmp(x->last.id, y->last.id);
}

int incident_list_read(struct incident_list *list, int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned int names = 0;
	struct dirent *entry;
	int err = 0;

	memset(list, 0, sizeof(*list));
	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (entry = readdir(dir))) {
		list->cut = names++ == INCIDENT_DIR_ENTRIES;
		if (list->cut)
			break;
		err = look_at(list, dir_fd, entry->d_name);
	}
	closedir(dir);
	if (err) {
		incident_list_free(list);
		return err;
	}
	if (list->count)
		qsort(list->items, list->count, sizeof(list->items[0]), newest_first);
	for (size_t i = 1; i < list->count; i++)
		list->items[i].followed = 1;
	return 0;
}

void incident_list_free(struct incident_list *list)
{
	free(list->items);
	memset(list, 0, sizeof(*list));
}

const struct incident_item *incident_find(const struct incident_list *list, const char *id)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i].last.id, id))
			return &list->items[i];
	return NULL;
}

const char *incident_state(const struct incident_item *item, const uint8_t boot_id[16])
{
	if (item->last.stage_real_ns[INCIDENT_RECOVERED])
		return "over";
	if (item->followed || memcmp(item->last.boot_id, boot_id, 16) != 0)
		return "cut-off";
	return "open";
}

int incident_load(struct incident_image *image, int dir_fd, const char *id,
		  enum incident_stage stage)
{
	char name[INCIDENT_NAME_BYTES];
	uint64_t bytes;
	uint8_t *data;
	ssize_t n;
	int fd, err;

	memset(image, 0, sizeof(*image));
	if (!incident_id_good(id))
		return -ENOENT;
	incident_file_name(id, stage, name);
	fd = open_file(dir_fd, name, &bytes);
	if (fd < 0)
		return fd;
	data = bytes > INCIDENT_FILE_MAX ? NULL : malloc((size_t)bytes + 1);
	if (!data) {
		close(fd);
		return bytes > INCIDENT_FILE_MAX ? -EMSGSIZE : -ENOMEM;
	}
	n = read_up_to(fd, data, (size_t)bytes + 1);
	close(fd);
	err = n < 0 ? (int)n : incident_image_open(image, data, (size_t)n);
	if (!err && (strcmp(image->head.id, id) != 0 || image->head.stage != stage)) {
		incident_image_close(image);
		err = -EINVAL;
	}
	free(data);
	return err;
}
