// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keeps incidents on disk: once a second it asks the trigger (trigger.h) whether something
 * is worth keeping, and has a thread write it (incident_writer.h). It is given all it looks at
 * and does not know the agent. Nothing here stops the agent: where the directory cannot be
 * written it warns once, and nothing is kept.
 *
 * In this order: init; prepare while the process may still create directories; start once
 * the segment is mapped and before system calls are restricted; second once a second;
 * close before the segment is unmapped.
 *
 * Threads: one. Errors are logged here, each once; none is returned.
 */
#ifndef CONNTIDE_AGENT_INCIDENT_INCIDENT_RECORDER_H
#define CONNTIDE_AGENT_INCIDENT_INCIDENT_RECORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/incident/incident_writer.h"
#include "agent/incident/trigger.h"

struct shm_reader;

struct incident_recorder {
	struct incident_store store; /* closed, or the writer's while it runs */
	bool wanted;		     /* a state directory is set */
	int prepare_err;
	struct incident_limits limits;
	struct incident_trigger trigger;
	struct incident_writer *writer; /* NULL: nothing is kept */
	int last_err;			/* told already */
	uint64_t recorded;		/* incidents with a file, since the agent started */
	uint64_t writes_ok;
	uint64_t writes_failed;
	uint64_t kept;
};

void incident_recorder_init(struct incident_recorder *recorder, uint64_t now_ns);

/* Opens <state_dir>/<name>.incidents; an empty state_dir: nothing is kept. */
void incident_recorder_prepare(struct incident_recorder *recorder, const char *state_dir,
			       const char *name, const struct incident_limits *limits);

/* The directory is this user's from now on: the agent is about to become it. 0 or -errno. */
int incident_recorder_hand_over(struct incident_recorder *recorder, uid_t uid, gid_t gid);

/* Starts the thread that reads the segment through `from`, and goes on with the incident that
 * an earlier agent of this boot and namespace left open. */
void incident_recorder_start(struct incident_recorder *recorder, const struct shm_reader *from,
			     uint64_t now_real_ns);

/* NULL: only collect what was written; there is no sample yet. */
void incident_recorder_second(struct incident_recorder *recorder,
			      const struct incident_trigger_input *in);

void incident_recorder_close(struct incident_recorder *recorder);

#endif
