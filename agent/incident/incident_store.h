// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The directory that incidents are kept in, <state-dir>/<name>.incidents: made if need be,
 * locked against a second agent, and found again when somebody removes or replaces it while
 * the agent runs.
 *
 * All files are opened below its descriptor. Each use checks the path first: if it names another
 * directory, or none, that one is opened, or made, and locked. Where the path can no longer be
 * checked, because privileges are gone, the open directory stays in use.
 *
 * The lock is a file only its owner can open, because anyone who may read the directory may
 * flock(2) it.
 *
 * Errors: -errno; -EBUSY: another agent keeps its incidents there; -ENOENT: it is gone and
 * cannot be made. One thread at a time.
 */
#ifndef CONNTIDE_AGENT_INCIDENT_INCIDENT_STORE_H
#define CONNTIDE_AGENT_INCIDENT_INCIDENT_STORE_H

#include <stdbool.h>
#include <sys/types.h>

struct incident_store {
	const char *state_dir; /* borrowed, as is name */
	const char *name;
	gid_t readers; /* group that may read, or -1: everybody */
	int dir_fd;    /* -1: not open */
	int lock_fd;
	bool made_state_dir;
};

/* Opens nothing yet. */
void incident_store_init(struct incident_store *store, const char *state_dir, const char *name,
			 gid_t readers);

/* Makes sure that dir_fd is of the directory that has the name now. */
int incident_store_open(struct incident_store *store);

/* This user owns it from now on; the state directory too, if it was made here. */
int incident_store_hand_over(const struct incident_store *store, uid_t uid, gid_t gid);

void incident_store_close(struct incident_store *store);

#endif
