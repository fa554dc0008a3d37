// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/routes/source.h"

#include <errno.h>
#include <string.h>

int source_init(struct source *source, const char *runtime_dir, const char *netns)
{
	memset(source, 0, sizeof(*source));
	source->netns = netns;
	snapshot_init(&source->snap);
	snap_history_init(&source->history);
	snap_detail_init(&source->details);
	snap_pasts_init(&source->pasts);
	return shm_reader_init(&source->reader, runtime_dir, netns);
}

void source_close(struct source *source)
{
	shm_reader_close(&source->reader);
	snapshot_free(&source->snap);
	snap_history_free(&source->history);
	snap_detail_free(&source->details);
	snap_pasts_free(&source->pasts);
}

static bool is_absent(int error)
{
	return error == -ENOENT || error == -ENOTDIR;
}

const struct snapshot *source_snapshot(struct source *source, uint64_t now_boot_ns,
				       uint64_t now_real_ns)
{
	int err;

	if (!source->taken_boot_ns || now_boot_ns - source->taken_boot_ns > SOURCE_MAX_AGE_NS) {
		err = shm_reader_refresh(&source->reader);
		if (!err)
			err = snapshot_take(&source->reader, now_boot_ns, now_real_ns,
					    &source->snap);
		/* Truncated under the mapping: the next request maps the file that exists then. */
		if (err == -EFAULT)
			shm_reader_close(&source->reader);
		if (err && !is_absent(err))
			source->errors++;
		if (err)
			shm_reader_explain(&source->reader, err, source->why, sizeof(source->why));
		source->error = err;
		source->taken_boot_ns = now_boot_ns;
	}
	return source->error ? NULL : &source->snap;
}

static bool taken(struct source *source, int err)
{
	if (err) {
		/* As above, even if only the hosts file was truncated. */
		if (err == -EFAULT)
			shm_reader_close(&source->reader);
		source->errors++;
		shm_reader_explain(&source->reader, err, source->why, sizeof(source->why));
	}
	return !err;
}

const struct snap_history *source_history(struct source *source, bool minutes)
{
	int err = snapshot_take_history(&source->reader, minutes, &source->history);

	return taken(source, err) ? &source->history : NULL;
}

const struct snap_detail *source_detail(struct source *source)
{
	/* Taken with the snapshot, and no more often: it is a megabyte. */
	if (source->detail_of_boot_ns != source->taken_boot_ns) {
		if (!taken(source, snapshot_take_detail(&source->reader, &source->details)))
			return NULL;
		source->detail_of_boot_ns = source->taken_boot_ns;
	}
	return &source->details;
}

const struct snap_detail *source_talkers(struct source *source)
{
	if (source->talkers_of_boot_ns != source->taken_boot_ns) {
		if (!taken(source, snapshot_take_talkers(&source->reader, &source->details)))
			return NULL;
		source->talkers_of_boot_ns = source->taken_boot_ns;
	}
	return &source->details;
}

const struct snap_pasts *source_pasts(struct source *source)
{
	int err = snapshot_take_pasts(&source->reader, &source->pasts);

	return taken(source, err) ? &source->pasts : NULL;
}

const char *source_missing_state(const struct source *source)
{
	return is_absent(source->error) ? "missing" : "unreadable";
}
