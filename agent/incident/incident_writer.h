// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes incidents, on a thread of its own: a disk may stall, the agent must not. The
 * thread reads the segment as any reader does; it shares nothing else with the agent.
 *
 * A stage is written under another name, synced, renamed into place, and the directory
 * synced: a crash leaves it whole or not there. Only then are older incidents dropped, if there
 * are too many (incident_trigger_victim()), so that a failed write (a full disk) costs no older
 * incident. For a moment there is one file more than the limits say.
 *
 * incident_store.h finds the directory; it may be removed or replaced meanwhile.
 *
 * Threads: all functions are called by one. Errors: -errno.
 */
#ifndef CONNTIDE_AGENT_INCIDENT_INCIDENT_WRITER_H
#define CONNTIDE_AGENT_INCIDENT_INCIDENT_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/incident/incident_store.h"
#include "lib/incident/incident.h"

struct incident_limits {
	uint32_t max_count;
	uint64_t max_bytes;
	gid_t readers; /* group that may read, or -1: everybody */
};

struct incident_written {
	int stage;
	int err;
	uint32_t kept; /* incidents kept now; valid when err is 0 */
	uint64_t kept_bytes;
};

struct incident_writer;

/* Can files be made there? 0 or -errno. */
int incident_writer_probe(const struct incident_store *store);

/* Starts the thread. `from` is a reader of the segment, copied; the mapping outlives the
 * writer. Takes over `store`, on success only. */
int incident_writer_create(struct incident_writer **ret_writer, const struct incident_store *store,
			   const struct shm_reader *from, const struct incident_limits *limits);
/* Waits for a write under way. */
void incident_writer_destroy(struct incident_writer *writer);

/* False while the one before is being written. `head` as incident_pack() wants it. */
bool incident_writer_post(struct incident_writer *writer, const struct incident_head *head);

/* The result of the last write, once; false if none is ready. */
bool incident_writer_collect(struct incident_writer *writer, struct incident_written *ret_written);

/* The two halves of what the thread does, for callers that run their own. */
int incident_write_file(int dir_fd, const struct incident_head *head, const void *data,
			size_t bytes, gid_t readers);
int incident_trim(int dir_fd, const struct incident_limits *limits, const char *current_id,
		  struct incident_written *ret_kept);

#endif
