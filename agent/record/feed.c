// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/record/feed.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/private_file.h"

int recorder_open(struct recorder *recorder, const char *path)
{
	struct stat st;
	bool created;
	int fd = private_file_open(path, &created);

	recorder->error = 0;
	recorder->file = NULL;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && (!S_ISREG(st.st_mode) || ftruncate(fd, 0) == 0))
		recorder->file = fdopen(fd, "wb");
	if (!recorder->file) {
		int err = -errno;

		close(fd);
		return err;
	}
	if (fwrite(RECORDER_MAGIC, strlen(RECORDER_MAGIC), 1, recorder->file) == 1)
		return 0;
	recorder_close(recorder);
	return -EIO;
}

struct part {
	const void *bytes;
	size_t len;
};

static void put_parts(struct recorder *recorder, uint64_t boot_ns, enum recorder_kind kind,
		      struct part first, struct part second)
{
	static const uint8_t zeros[8];
	size_t len = first.len + second.len;
	struct recorder_frame frame = {boot_ns, (uint32_t)kind, (uint32_t)len};
	size_t pad = (8 - len % 8) % 8;

	if (!recorder->file)
		return;
	if (fwrite(&frame, sizeof(frame), 1, recorder->file) == 1 &&
	    (!first.len || fwrite(first.bytes, first.len, 1, recorder->file) == 1) &&
	    (!second.len || fwrite(second.bytes, second.len, 1, recorder->file) == 1) &&
	    (!pad || fwrite(zeros, pad, 1, recorder->file) == 1))
		return;
	recorder->error = errno ? -errno : -EIO;
	fclose(recorder->file);
	recorder->file = NULL;
}

void recorder_put(struct recorder *recorder, uint64_t boot_ns, enum recorder_kind kind,
		  const void *bytes, size_t len)
{
	if (recorder->file)
		put_parts(recorder, boot_ns, kind, (struct part){bytes, len},
			  (struct part){NULL, 0});
}

void recorder_record(struct recorder *recorder, uint64_t boot_ns, uint32_t fill_mark,
		     const void *message, size_t len)
{
	struct recorder_record head = {.fill_mark = fill_mark};

	put_parts(recorder, boot_ns, RECORD_RECORD, (struct part){&head, sizeof(head)},
		  (struct part){message, len});
}

void recorder_answer(struct recorder *recorder, uint64_t boot_ns, const struct verify_item *item,
		     uint32_t asked_mark, const void *message, size_t len)
{
	struct recorder_answer head = {
		.item = *item, .asked_mark = asked_mark, .found = message != NULL};

	put_parts(recorder, boot_ns, RECORD_ANSWER, (struct part){&head, sizeof(head)},
		  (struct part){message, message ? len : 0});
}

int recorder_close(struct recorder *recorder)
{
	int err = recorder->error;

	if (recorder->file && fclose(recorder->file) != 0 && !err)
		err = -errno;
	recorder->file = NULL;
	return err;
}
