// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The incidents of one table, as they are on disk: <state-dir>/<name>.incidents. Reads
 * only; the agent's writer uses the same list to know what it may drop.
 *
 * A file that cannot be read, is no incident or is damaged is listed in `bad` with a
 * reason and otherwise left out; the rest is served. Bounded: INCIDENT_DIR_ENTRIES
 * names are looked at, INCIDENT_BAD_KEPT bad ones are named.
 *
 * Errors: -errno of opening the directory; -ENOENT: none has been kept yet.
 * Ownership: incident_list_free() frees what the list points to.
 */
#ifndef CONNTIDE_INCIDENT_INCIDENT_DIR_H
#define CONNTIDE_INCIDENT_INCIDENT_DIR_H

#include "lib/incident/incident.h"

#define INCIDENT_DIR_ENTRIES 8192u
#define INCIDENT_BAD_KEPT    16u

/* All files with one id. */
struct incident_item {
	struct incident_head last;  /* the newest stage: has what is known of the whole incident */
	struct incident_head worst; /* the worst stage that has a file: shown by default */
	uint32_t stages;	    /* a bit for each stage that has a file */
	uint32_t followed;	    /* 1: a later one of the same table exists */
	uint64_t size_bytes;
};

struct incident_bad {
	char name[INCIDENT_NAME_BYTES]; /* as printable text, perhaps cut */
	int error;
};

struct incident_list {
	struct incident_item *items; /* newest first */
	size_t count;
	size_t room;
	uint64_t size_bytes; /* of all files, bad ones too */
	struct incident_bad bad[INCIDENT_BAD_KEPT];
	size_t bad_count; /* may be more than are named */
	bool cut;	  /* there are more names than were examined */
};

#define INCIDENT_PATH_BYTES 512u

/* <state_dir>/<name>.incidents. 0, -EINVAL for what is no name, or -ENAMETOOLONG. */
int incident_dir_path(const char *state_dir, const char *name, char out[INCIDENT_PATH_BYTES]);

/* Opens <state_dir>/<name>.incidents: a descriptor or -errno. */
int incident_dir_open(const char *state_dir, const char *name);

/* Of an open directory; `*list` zeroed or freed before. 0 or -errno. */
int incident_list_read(struct incident_list *list, int dir_fd);
void incident_list_free(struct incident_list *list);

const struct incident_item *incident_find(const struct incident_list *list, const char *id);

/* Where an incident stands: "over"; "open" when no end was seen yet; "cut-off" when none
 * will be, because the machine was rebooted or a later incident has begun. `boot_id` of now. */
const char *incident_state(const struct incident_item *item, const uint8_t boot_id[16]);

/* Reads and checks one stage. 0, -errno, or as incident_image_open(). */
int incident_load(struct incident_image *image, int dir_fd, const char *id,
		  enum incident_stage stage);

#endif
