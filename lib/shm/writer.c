// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/num.h"
#include "lib/shm/reader.h"
#include "lib/shm/seqlock.h"

static int back_range(struct segment *segment, uint64_t offset, uint64_t bytes)
{
	uint64_t first = offset / SHM_PAGE_BYTES, last = (offset + bytes - 1) / SHM_PAGE_BYTES;
	uint64_t before = 0; /* bytes of the mapping that are in the file before */
	int fd = segment->fd;
	bool missing = false;

	for (uint64_t i = first; i <= last; i++)
		missing |= !(segment->backed[i / 64] >> (i % 64) & 1u);
	if (!missing)
		return 0;
	if (first * SHM_PAGE_BYTES >= shm_hosts_offset()) {
		fd = segment->hosts_fd;
		before = shm_hosts_offset();
	}
	if (fallocate(fd, 0, (off_t)(first * SHM_PAGE_BYTES - before),
		      (off_t)((last - first + 1) * SHM_PAGE_BYTES)) < 0)
		return -errno;
	for (uint64_t i = first; i <= last; i++)
		segment->backed[i / 64] |= UINT64_C(1) << (i % 64);
	return 0;
}

static int back_section(struct segment *segment, enum shm_section_id id)
{
	const struct shm_section *section = &segment->sections[id];

	return back_range(segment, section->offset_bytes, section->size_bytes);
}

bool segment_back_row(void *arg, uint32_t row)
{
	struct segment *segment = arg;
	const struct shm_section *cells = &segment->sections[SHM_SECTION_CELLS];
	const struct shm_section *rows = &segment->sections[SHM_SECTION_ROWS];
	const struct shm_section *rates = &segment->sections[SHM_SECTION_RATES];

	if (back_range(segment, cells->offset_bytes + (uint64_t)row_first_cell(row) * 4u,
		       row_state_slots(row) * 4u) == 0 &&
	    back_range(segment, rows->offset_bytes + (uint64_t)row * rows->element_bytes,
		       rows->element_bytes) == 0 &&
	    back_range(segment, rates->offset_bytes + (uint64_t)row * rates->element_bytes,
		       rates->element_bytes) == 0)
		return true;
	segment->rows_refused++;
	return false;
}

static void *section(struct segment *segment, enum shm_section_id id)
{
	return segment->base + segment->sections[id].offset_bytes;
}

struct shm_live *segment_live(struct segment *segment)
{
	return section(segment, SHM_SECTION_LIVE);
}

struct shm_slots *segment_slots(struct segment *segment)
{
	return section(segment, SHM_SECTION_SLOTS);
}

struct shm_rate *segment_rates(struct segment *segment)
{
	return section(segment, SHM_SECTION_RATES);
}

struct shm_history *segment_history(struct segment *segment, bool minutes)
{
	return section(segment, minutes ? SHM_SECTION_MINUTES : SHM_SECTION_SECONDS);
}

struct shm_forecast *segment_forecast(struct segment *segment)
{
	return section(segment, SHM_SECTION_FORECAST);
}

struct shm_pasts *segment_pasts(struct segment *segment)
{
	return section(segment, SHM_SECTION_PASTS);
}

_Atomic uint32_t *segment_timeouts(struct segment *segment)
{
	return section(segment, SHM_SECTION_TIMEOUTS);
}

struct shm_detail *segment_details(struct segment *segment)
{
	return section(segment, SHM_SECTION_DETAILS);
}

struct shm_talkers *segment_talkers(struct segment *segment)
{
	return section(segment, SHM_SECTION_TALKERS);
}

struct shm_table_log *segment_frames(struct segment *segment, bool minutes)
{
	return section(segment, minutes ? SHM_SECTION_FRAMES_LONG : SHM_SECTION_FRAMES_SHORT);
}

struct shm_frame_hosts_log *segment_frame_hosts(struct segment *segment, bool minutes)
{
	return section(segment,
		       minutes ? SHM_SECTION_FRAME_HOSTS_LONG : SHM_SECTION_FRAME_HOSTS_SHORT);
}

void segment_reader(const struct segment *segment, struct shm_reader *reader)
{
	memset(reader, 0, sizeof(*reader));
	reader->base = segment->base;
	reader->size_bytes = segment->size_bytes;
	for (unsigned int i = 0; i < SHM_SECTION_COUNT; i++)
		reader->sections[i] = segment->sections[i].offset_bytes;
}

_Atomic uint32_t *segment_cells(struct segment *segment)
{
	return section(segment, SHM_SECTION_CELLS);
}

_Atomic uint64_t *segment_rowmap(struct segment *segment)
{
	return section(segment, SHM_SECTION_ROWMAP);
}

struct shm_row *segment_rows(struct segment *segment)
{
	return section(segment, SHM_SECTION_ROWS);
}

struct shm_lifetime *segment_lifetimes(struct segment *segment)
{
	return section(segment, SHM_SECTION_LIFETIMES);
}

uint64_t segment_bytes(const struct segment *segment)
{
	struct stat st, hosts;

	if (fstat(segment->fd, &st) < 0 || fstat(segment->hosts_fd, &hosts) < 0)
		return 0;
	return (uint64_t)(st.st_blocks + hosts.st_blocks) * 512u;
}

static int take_lock(struct segment *segment, const char *dir, const char *name, pid_t *ret_pid)
{
	char path[256], text[32];
	uint32_t pid;
	ssize_t n;

	*ret_pid = 0;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s.lock", dir, name) >= sizeof(path))
		return -ENAMETOOLONG;
	segment->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (segment->lock_fd < 0)
		return -errno;
	if (flock(segment->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		n = read(segment->lock_fd, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		if (num_u32(text, 1, INT_MAX, &pid) == 0)
			*ret_pid = (pid_t)pid;
		return -EBUSY;
	}
	/* Only for the message above: the lock itself is what counts. */
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(segment->lock_fd, 0) < 0 || pwrite(segment->lock_fd, text, (size_t)n, 0) != n)
		return -EIO;
	return 0;
}

static int fill_header(struct segment *segment, const struct segment_identity *identity)
{
	struct shm_header *header = (void *)segment->base;
	struct shm_hosts_header *hosts = (void *)(segment->base + shm_hosts_offset());
	int err = boot_id_read(header->boot_id);

	if (err)
		return err;
	if (getrandom(&header->instance_id, sizeof(header->instance_id), 0) !=
	    sizeof(header->instance_id))
		return -EIO;
	header->magic = SHM_MAGIC;
	header->version_major = SHM_VERSION_MAJOR;
	header->version_minor = SHM_VERSION_MINOR;
	header->header_bytes = sizeof(*header);
	header->total_bytes = segment->size_bytes;
	header->created_real_ns = identity->now_real_ns;
	header->created_boot_ns = identity->now_boot_ns;
	header->netns_inode = identity->netns_inode;
	header->agent_pid = (uint32_t)getpid();
	header->section_count = SHM_SECTION_COUNT;
	snprintf(header->agent_version, sizeof(header->agent_version), "%s", CONNTIDE_VERSION);
	snprintf(header->netns_name, sizeof(header->netns_name), "%s", identity->name);
	memcpy(header->sections, segment->sections, sizeof(header->sections));
	header->hosts_offset_bytes = shm_hosts_offset();
	hosts->magic = SHM_MAGIC;
	hosts->version_major = SHM_VERSION_MAJOR;
	hosts->version_minor = SHM_VERSION_MINOR;
	hosts->header_bytes = sizeof(*hosts);
	hosts->total_bytes = header->total_bytes - header->hosts_offset_bytes;
	hosts->instance_id = header->instance_id;
	return 0;
}

/* Overflow rows must always be there; so must everything that is not sparse. */
static int back_fixed(struct segment *segment)
{
	int err = back_range(segment, 0, SHM_PAGE_BYTES);

	if (!err)
		err = back_range(segment, shm_hosts_offset(), SHM_PAGE_BYTES);
	for (enum shm_section_id id = 0; !err && id < SHM_SECTION_COUNT; id++)
		if (id != SHM_SECTION_CELLS && id != SHM_SECTION_ROWS && id != SHM_SECTION_RATES)
			err = back_section(segment, id);
	for (unsigned int p = 0; !err && p < L4_COUNT; p++) {
		for (unsigned int d = 0; !err && d < DIR_COUNT; d++) {
			struct row_key key = {(uint8_t)p, (uint8_t)d, 0};

			err = segment_back_row(segment, row_of(key)) ? 0 : -ENOSPC;
		}
	}
	return err;
}

static void init_contents(struct segment *segment)
{
	struct shm_slots *slots = segment_slots(segment);

	for (unsigned int i = 0; i < SHM_SLOT_COUNT; i++)
		poke_u32(&slots->slot[i].row, ROW_INVALID);
	segment_history(segment, false)->interval_ns = UINT64_C(1000000000);
	segment_history(segment, true)->interval_ns = UINT64_C(60000000000);
	segment_pasts(segment)->interval_ns = UINT64_C(60000000000);
	segment_frames(segment, false)->interval_ns = UINT64_C(10000000000);
	segment_frames(segment, true)->interval_ns = UINT64_C(60000000000);
	segment_frame_hosts(segment, false)->interval_ns = UINT64_C(10000000000);
	segment_frame_hosts(segment, true)->interval_ns = UINT64_C(60000000000);
	for (unsigned int i = 0; i < SHM_DETAILS; i++)
		poke_u32(&segment_details(segment)[i].row, ROW_INVALID);
	for (unsigned int i = 0; i < SHM_DETAIL_POOLS; i++) {
		struct row_key key = {(uint8_t)(i / DIR_COUNT), (uint8_t)(i % DIR_COUNT), 0};

		poke_u32(&segment_details(segment)[SHM_DETAILS + i].row, row_of(key));
	}
}

/* A new file at `path`, and its bytes at `at`. -errno or its descriptor in *ret_fd. */
static int map_new(const char *path, uint8_t *at, uint64_t bytes, int *ret_fd)
{
	unlink(path);
	*ret_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*ret_fd < 0 || ftruncate(*ret_fd, (off_t)bytes) < 0 ||
	    mmap(at, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, *ret_fd, 0) ==
		    MAP_FAILED)
		return -errno;
	return 0;
}

/* The two files behind each other, in one range of addresses. */
static int map_files(struct segment *segment)
{
	uint64_t hosts = shm_hosts_offset();
	int err;

	segment->base = mmap(NULL, (size_t)segment->size_bytes, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (segment->base == MAP_FAILED) {
		segment->base = NULL;
		return -errno;
	}
	err = map_new(segment->temporary, segment->base, hosts, &segment->fd);
	if (!err)
		err = map_new(segment->hosts_temporary, segment->base + hosts,
			      segment->size_bytes - hosts, &segment->hosts_fd);
	if (err) {
		munmap(segment->base, (size_t)segment->size_bytes);
		segment->base = NULL;
	}
	return err;
}

static int build_file(struct segment *segment, const struct segment_identity *identity)
{
	int err;

	segment->size_bytes = shm_layout(segment->sections);
	segment->backed =
		calloc((size_t)(segment->size_bytes / SHM_PAGE_BYTES / 64 + 2), sizeof(uint64_t));
	if (!segment->backed)
		return -ENOMEM;
	err = map_files(segment);
	if (!err)
		err = back_fixed(segment);
	if (!err)
		err = fill_header(segment, identity);
	if (!err)
		init_contents(segment);
	return err;
}

static int make_directory(const char *dir)
{
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	return access(dir, W_OK | X_OK) < 0 ? -errno : 0;
}

int segment_create(struct segment *segment, const char *runtime_dir,
		   const struct segment_identity *identity, const char **ret_what, pid_t *ret_pid)
{
	int err;

	memset(segment, 0, sizeof(*segment));
	segment->fd = -1;
	segment->hosts_fd = -1;
	segment->lock_fd = -1;
	*ret_pid = 0;
	*ret_what = "cannot use the runtime directory";
	err = make_directory(runtime_dir);
	if (err)
		return err;
	if ((size_t)snprintf(segment->path, sizeof(segment->path), "%s/%s" SHM_FILE_SUFFIX,
			     runtime_dir, identity->name) >= sizeof(segment->path))
		return -ENAMETOOLONG;
	/* As long as the path of the table, which fits. */
	snprintf(segment->hosts_path, sizeof(segment->hosts_path), "%s/%s" SHM_HOSTS_SUFFIX,
		 runtime_dir, identity->name);
	snprintf(segment->hosts_temporary, sizeof(segment->hosts_temporary), "%s.new",
		 segment->hosts_path);
	snprintf(segment->temporary, sizeof(segment->temporary), "%s.new", segment->path);
	*ret_what = "cannot lock the runtime directory";
	err = take_lock(segment, runtime_dir, identity->name, ret_pid);
	if (!err) {
		*ret_what = "cannot write the shared memory";
		err = build_file(segment, identity);
	}
	if (err)
		segment_close(segment);
	return err;
}

int segment_set_readers(struct segment *segment, gid_t gid)
{
	const int fds[] = {segment->fd, segment->hosts_fd};

	if (gid == (gid_t)-1)
		return fchmod(segment->fd, 0644) < 0 || fchmod(segment->hosts_fd, 0600) < 0 ? -errno
											    : 0;
	for (unsigned int i = 0; i < 2; i++)
		if (fchown(fds[i], (uid_t)-1, gid) < 0 || fchmod(fds[i], 0640) < 0)
			return -errno;
	return 0;
}

int segment_publish(struct segment *segment)
{
	struct shm_header *header = (void *)segment->base;

	publish_u64(&header->ready, SHM_MAGIC);
	if (rename(segment->hosts_temporary, segment->hosts_path) < 0 ||
	    rename(segment->temporary, segment->path) < 0)
		return -errno;
	segment->published = true;
	return 0;
}

void segment_stopped(struct segment *segment, uint64_t now_real_ns)
{
	struct shm_header *header = (void *)segment->base;

	if (header)
		publish_u64(&header->stopped, now_real_ns);
}

void segment_close(struct segment *segment)
{
	if (segment->base)
		munmap(segment->base, (size_t)segment->size_bytes);
	if (segment->fd >= 0) {
		close(segment->fd);
		/* What nobody will see would only fill the runtime directory. */
		if (!segment->published)
			unlink(segment->temporary);
	}
	if (segment->hosts_fd >= 0) {
		close(segment->hosts_fd);
		if (!segment->published)
			unlink(segment->hosts_temporary);
	}
	if (segment->lock_fd >= 0)
		close(segment->lock_fd);
	free(segment->backed);
	segment->base = NULL;
	segment->backed = NULL;
	segment->fd = -1;
	segment->hosts_fd = -1;
	segment->lock_fd = -1;
}
