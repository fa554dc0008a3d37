// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/build_info.h"
#include "lib/base/lock_file.h"
#include "lib/shm/reader.h"
#include "lib/shm/seqlock.h"

static int back_range(struct segment *segment, uint64_t offset, uint64_t bytes)
{
	uint64_t first = offset / SHM_PAGE_BYTES, last = (offset + bytes - 1) / SHM_PAGE_BYTES;
	uint64_t before = 0; /* bytes of the mapping that are in the file before it */
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

bool segment_back_zone_cells(struct segment *segment, uint32_t count)
{
	const struct shm_section *section = &segment->sections[SHM_SECTION_ZONE_CELLS];
	uint64_t bytes = offsetof(struct shm_zone_cells, cell) +
			 (uint64_t)count * sizeof(struct shm_zone_cell);

	return back_range(segment, section->offset_bytes, bytes) == 0;
}

uint64_t segment_bytes(const struct segment *segment)
{
	struct stat st, hosts;

	if (fstat(segment->fd, &st) < 0 || fstat(segment->hosts_fd, &hosts) < 0)
		return 0;
	return (uint64_t)(st.st_blocks + hosts.st_blocks) * 512u;
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
	snprintf(header->agent_version, sizeof(header->agent_version), "%s", build_version);
	if (gethostname(header->host_name, sizeof(header->host_name) - 1) < 0)
		header->host_name[0] = '\0';
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

static bool is_sparse(enum shm_section_id id)
{
	return id == SHM_SECTION_CELLS || id == SHM_SECTION_ROWS || id == SHM_SECTION_RATES ||
	       id == SHM_SECTION_ZONE_CELLS;
}

/* Overflow rows must always be allocated, and so must everything that is not sparse. */
static int back_fixed(struct segment *segment)
{
	int err = back_range(segment, 0, SHM_PAGE_BYTES);

	if (!err)
		err = back_range(segment, shm_hosts_offset(), SHM_PAGE_BYTES);
	for (enum shm_section_id id = 0; !err && id < SHM_SECTION_COUNT; id++)
		if (!is_sparse(id))
			err = back_section(segment, id);
	if (!err && !segment_back_zone_cells(segment, 0))
		err = -ENOSPC;
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

/* A new file at `path`, of zeros. A descriptor, or -errno. */
static int create_file(const char *path, uint64_t bytes)
{
	int fd, err;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) == 0)
		return fd < 0 ? -errno : fd;
	err = -errno;
	close(fd);
	return err;
}

/* One of the two files, and where in the range of addresses its bytes are. */
struct part {
	int *fd;
	const char *path;
	const char *temporary;
	uint64_t offset;
	uint64_t bytes;
};

static void get_parts(struct segment *segment, struct part parts[2])
{
	uint64_t hosts = shm_hosts_offset();

	parts[0] = (struct part){&segment->hosts_fd, segment->hosts_path, segment->hosts_temporary,
				 hosts, segment->size_bytes - hosts};
	parts[1] = (struct part){&segment->fd, segment->path, segment->temporary, 0, hosts};
}

static int map_part(struct segment *segment, const struct part *part, int fd)
{
	return mmap(segment->base + part->offset, (size_t)part->bytes, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED
		       ? -errno
		       : 0;
}

/* The two files behind each other, in one range of addresses. */
static int map_files(struct segment *segment)
{
	struct part parts[2];
	int err = 0;

	segment->base = mmap(NULL, (size_t)segment->size_bytes, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (segment->base == MAP_FAILED) {
		segment->base = NULL;
		return -errno;
	}
	get_parts(segment, parts);
	for (unsigned int i = 0; !err && i < 2; i++) {
		*parts[i].fd = create_file(parts[i].temporary, parts[i].bytes);
		err = *parts[i].fd < 0 ? *parts[i].fd : map_part(segment, &parts[i], *parts[i].fd);
	}
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

static int make_directory(struct segment *segment)
{
	if (mkdir(segment->runtime_dir, 0755) == 0)
		segment->made_dir = true;
	else if (errno != EEXIST)
		return -errno;
	return access(segment->runtime_dir, W_OK | X_OK) < 0 ? -errno : 0;
}

static int set_names(struct segment *segment, const char *dir, const char *name)
{
	if ((size_t)snprintf(segment->path, sizeof(segment->path), "%s/%s" SHM_FILE_SUFFIX, dir,
			     name) >= sizeof(segment->path))
		return -ENAMETOOLONG;
	/* As long as the path of the table, which fits, or less. */
	snprintf(segment->hosts_path, sizeof(segment->hosts_path), "%s/%s" SHM_HOSTS_SUFFIX, dir,
		 name);
	snprintf(segment->lock_path, sizeof(segment->lock_path), "%s/%s.lock", dir, name);
	snprintf(segment->runtime_dir, sizeof(segment->runtime_dir), "%s", dir);
	snprintf(segment->hosts_temporary, sizeof(segment->hosts_temporary), "%s.new",
		 segment->hosts_path);
	snprintf(segment->temporary, sizeof(segment->temporary), "%s.new", segment->path);
	return 0;
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
	err = set_names(segment, runtime_dir, identity->name);
	if (!err)
		err = make_directory(segment);
	if (err)
		return err;
	*ret_what = "cannot lock the runtime directory";
	segment->lock_fd = lock_file_take(AT_FDCWD, segment->lock_path, ret_pid);
	err = segment->lock_fd < 0 ? segment->lock_fd : 0;
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

/* The hosts first, so that a reader that finds the table finds them, too. */
static int place(struct segment *segment)
{
	if (rename(segment->hosts_temporary, segment->hosts_path) < 0 ||
	    rename(segment->temporary, segment->path) < 0)
		return -errno;
	segment->placed = true;
	return 0;
}

int segment_hand_over(struct segment *segment, uid_t uid, gid_t gid)
{
	const int fds[] = {segment->fd, segment->hosts_fd, segment->lock_fd};

	for (unsigned int i = 0; i < 3; i++)
		if (fchown(fds[i], uid, gid) < 0)
			return -errno;
	if (segment->made_dir && chown(segment->runtime_dir, uid, gid) < 0)
		return -errno;
	return place(segment);
}

int segment_publish(struct segment *segment)
{
	struct shm_header *header = (void *)segment->base;
	int err = 0;

	publish_u64(&header->ready, SHM_MAGIC);
	if (!segment->placed)
		err = place(segment);
	segment->published = !err;
	return err;
}

/* --- when somebody removes it ----------------------------------------------------- */

/* Where the path cannot be checked, as below a directory only root may enter, the file counts as
 * in place until it has no name left. */
static bool names_file(const char *path, int fd)
{
	struct stat named, held;

	if (fstat(fd, &held) < 0)
		return false;
	if (stat(path, &named) < 0)
		return errno == EACCES && held.st_nlink > 0;
	return named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

/* Copies the allocated pages, into a file where they are allocated as well. */
static int copy_part(const struct segment *segment, const struct part *part, int fd)
{
	uint64_t end = (part->offset + part->bytes) / SHM_PAGE_BYTES;

	for (uint64_t i = part->offset / SHM_PAGE_BYTES; i < end; i++) {
		off_t at = (off_t)(i * SHM_PAGE_BYTES - part->offset);
		ssize_t n;

		if (!(segment->backed[i / 64] >> (i % 64) & 1u))
			continue;
		n = pwrite(fd, segment->base + i * SHM_PAGE_BYTES, SHM_PAGE_BYTES, at);
		if (n != (ssize_t)SHM_PAGE_BYTES)
			return n < 0 ? -errno : -ENOSPC;
	}
	return 0;
}

/* The same bytes, addresses and readers, in a new file. */
static int move_part(struct segment *segment, const struct part *part)
{
	int fd = create_file(part->temporary, part->bytes);
	struct stat st;
	int err = fd < 0 ? fd : copy_part(segment, part, fd);

	if (!err && (fstat(*part->fd, &st) < 0 || fchown(fd, (uid_t)-1, st.st_gid) < 0 ||
		     fchmod(fd, st.st_mode & 0777) < 0))
		err = -errno;
	if (!err)
		err = map_part(segment, part, fd);
	if (!err) {
		close(*part->fd);
		*part->fd = fd;
	} else if (fd >= 0) {
		close(fd);
		unlink(part->temporary);
	}
	return err;
}

static int put_back(struct segment *segment, pid_t *ret_pid)
{
	struct part parts[2];
	int lock_fd, err;

	err = make_directory(segment);
	if (err)
		return err;
	if (!names_file(segment->lock_path, segment->lock_fd)) {
		lock_fd = lock_file_take(AT_FDCWD, segment->lock_path, ret_pid);
		if (lock_fd < 0)
			return lock_fd;
		close(segment->lock_fd);
		segment->lock_fd = lock_fd;
	}
	get_parts(segment, parts);
	err = move_part(segment, &parts[0]);
	if (!err)
		err = move_part(segment, &parts[1]);
	return err ? err : place(segment);
}

int segment_keep(struct segment *segment, pid_t *ret_pid)
{
	int err;

	*ret_pid = 0;
	if (names_file(segment->path, segment->fd) &&
	    names_file(segment->hosts_path, segment->hosts_fd) &&
	    names_file(segment->lock_path, segment->lock_fd))
		return 0;
	err = put_back(segment, ret_pid);
	/* The directory was still being removed: now it is gone, and can be made. */
	if (err == -ENOENT)
		err = put_back(segment, ret_pid);
	return err ? err : 1;
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
		/* A file that is never published would only fill the runtime directory. */
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
