// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The flight recorder within the agent: feeds agent/incidents.h once a second, and has
 * agent/incident_write.h keep what that says. Nothing here stops the agent: without a
 * directory that can be written there is one warning, and no recorder.
 *
 * In the order of the agent's start: flight_init(); flight_prepare() while privileges
 * are there; flight_start() once the segment is there and before the sandbox is
 * missed; flight_second(); flight_close() before the segment is unmapped. Threads: one.
 */
#ifndef CONNTIDE_AGENT_FLIGHT_H
#define CONNTIDE_AGENT_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/incident_write.h"
#include "agent/incidents.h"

struct agent;

struct flight {
	int dir_fd; /* -1: none, or the writer's */
	gid_t readers;
	struct incidents logic;
	struct incident_writer *writer; /* NULL: off */
	int last_err;			/* told already */
	uint64_t recorded;		/* incidents with a file, since the agent started */
	uint64_t writes_ok;
	uint64_t writes_failed;
	uint64_t kept;
};

void flight_init(struct flight *flight);
void flight_prepare(struct agent *agent, gid_t readers);
void flight_start(struct agent *agent);
void flight_second(struct agent *agent);
void flight_close(struct flight *flight);

#endif
