// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Creates and publishes the segment: the only writable mapping of it. The agent never reads its
 * content back to decide anything.
 *
 * Both files, <name>.table and <name>.hosts (addresses of hosts), are written under
 * another name (.new) and renamed into place complete, the hosts first, over
 * whatever an earlier agent left there, so a reader never sees half a file.
 * <name>.lock (lib/base/lock_file.h) keeps a second agent from the same name. On a clean stop
 * the file stays, marked as stopped; after a crash it stays with an old heartbeat.
 *
 * Pages are allocated (fallocate) before they are touched, so a full runtime
 * directory is an error code and not a SIGBUS.
 *
 * Errors: -errno; segment_create() says in `ret_what` what could not be done.
 * Threads: one.
 */
#ifndef CONNTIDE_SHM_WRITER_H
#define CONNTIDE_SHM_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/shm/layout.h"
#include "lib/shm/reader.h"

struct segment {
	uint8_t *base;
	uint64_t size_bytes;
	struct shm_section sections[SHM_SECTION_COUNT];
	int fd;
	int hosts_fd;
	int lock_fd;
	uint64_t *backed; /* a bit per page that is allocated */
	uint32_t rows_refused;
	bool made_dir;
	bool placed; /* under their names, perhaps not ready */
	bool published;
	char runtime_dir[256];
	char lock_path[256];
	char path[256];
	char temporary[264];
	char hosts_path[256];
	char hosts_temporary[264];
};

struct segment_identity {
	const char *name; /* of the watched namespace */
	uint64_t netns_inode;
	uint64_t now_real_ns;
	uint64_t now_boot_ns;
};

/* Creates the directory if need be, takes the lock, builds the file. -EBUSY: another
 * agent holds it (its pid in *ret_pid if known). */
int segment_create(struct segment *segment, const char *runtime_dir,
		   const struct segment_identity *identity, const char **ret_what, pid_t *ret_pid);

/* Who may read it: group `gid` (mode 0640); for -1 everybody (0644) the table, and nobody
 * but the owner (0600) the hosts. 0 or -errno. */
int segment_set_readers(struct segment *segment, gid_t gid);

/*
 * This user owns the files from now on, and the directory if it was made here. Another user's
 * directory keeps its owner, and the path may lead through one: the files get their names now,
 * while that is possible, and readers get -EAGAIN until segment_publish(). 0 or -errno.
 */
int segment_hand_over(struct segment *segment, uid_t uid, gid_t gid);

/* Makes it visible under its name. 0 or -errno. */
int segment_publish(struct segment *segment);

/*
 * Checks that both files and the lock are still under their names; if they were removed or
 * replaced, restores them with the same content and instance. 0: all in place; 1: restored;
 * -EBUSY: another agent has the name now (*ret_pid, if known); -errno.
 */
int segment_keep(struct segment *segment, pid_t *ret_pid);

/* Marks a clean stop early, because the rest until segment_close() may take long. */
void segment_stopped(struct segment *segment, uint64_t now_real_ns);

/* Unmaps; a published file stays. */
void segment_close(struct segment *segment);

struct shm_live *segment_live(struct segment *segment);
struct shm_slots *segment_slots(struct segment *segment);
struct shm_rate *segment_rates(struct segment *segment);
struct shm_history *segment_history(struct segment *segment, bool minutes);
struct shm_forecast *segment_forecast(struct segment *segment);
struct shm_pasts *segment_pasts(struct segment *segment);
_Atomic uint32_t *segment_timeouts(struct segment *segment); /* [TIMEOUT_COUNT] */
struct shm_detail *segment_details(struct segment *segment); /* details, then pools */
struct shm_talkers *segment_talkers(struct segment *segment);
struct shm_nat *segment_nat(struct segment *segment);
struct shm_settings *segment_settings(struct segment *segment);
struct shm_ages_set *segment_ages(struct segment *segment); /* [SHM_AGE_SETS] */
struct shm_zones *segment_zones(struct segment *segment);
/* Of its cells none may be touched before segment_back_zone_cells() said so. */
struct shm_zone_cells *segment_zone_cells(struct segment *segment);
struct shm_table_log *segment_frames(struct segment *segment, bool minutes);
struct shm_frame_hosts_log *segment_frame_hosts(struct segment *segment, bool minutes);

/* A reader of it, for another thread; valid until segment_close(). */
void segment_reader(const struct segment *segment, struct shm_reader *reader);

/* What lib/mirror/histogram.h writes. */
_Atomic uint32_t *segment_cells(struct segment *segment);
_Atomic uint64_t *segment_rowmap(struct segment *segment);
struct shm_row *segment_rows(struct segment *segment);
struct shm_lifetime *segment_lifetimes(struct segment *segment);
/* Allocates the pages of a row; false when there is no room for them. */
bool segment_back_row(void *segment, uint32_t row);
/* The same of the first `count` zone cells. */
bool segment_back_zone_cells(struct segment *segment, uint32_t count);

/* Bytes of both files that are allocated. */
uint64_t segment_bytes(const struct segment *segment);

#endif
