// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records live events into a trace (lib/trace/trace.h): what conntide-record does.
 *
 * In the agent's order: subscribe, then dump, so that nothing falls in between. The dump and
 * the events that arrived during it are merged into one list (ct_cache.h): the table at t = 0,
 * the moment at which the last event during the dump was read. From then on each event
 * becomes a line, timestamped when it was read, within about a millisecond of when it
 * happened; once a second a STAT line with the kernel's own count; and a SYSCTL line when a
 * timeout changes. An unreliable dump (events lost, hash resized, an error) is repeated; after
 * CAPTURE_DUMPS attempts the last one is used, and `dump_doubtful` is set.
 *
 * Lost events are noted in a LOST line and counted, and the receive buffer grows. No further
 * dump is made: from the first loss on, the trace may lack births and deaths of entries,
 * which the count in the STAT lines shows.
 *
 * Only asks netlink, changes nothing. Memory: bounded by the limit of the list. Threads: the
 * caller's, and the worker inside struct query. Errors: -errno with a sentence in `why`.
 */
#ifndef CONNTIDE_AGENT_RECORD_CAPTURE_H
#define CONNTIDE_AGENT_RECORD_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/netlink/ct_stats.h"
#include "agent/netlink/ct_timeouts.h"
#include "agent/netlink/query.h"
#include "agent/netlink/sockets.h"
#include "agent/record/ct_cache.h"
#include "lib/trace/pseudonym.h"

#define CAPTURE_WHY_BYTES 256u
#define CAPTURE_DUMPS	  5u

struct capture_config {
	uint64_t seconds;      /* 0: until a signal */
	uint32_t eval_s;       /* between EVAL lines; 0: none */
	uint32_t buffer_bytes; /* initial receive buffer */
	bool anonymise;
	bool sandbox;
};

struct capture {
	struct capture_config config;
	FILE *out; /* borrowed */
	struct event_socket events;
	struct query *query;
	struct ct_cache cache;
	struct pseudonym pseudonym;
	struct ct_proc proc;
	struct ct_limits limits;
	struct ct_counters counters;
	struct ct_timeouts timeouts;
	uint32_t timeouts_written_s[TIMEOUT_COUNT];
	int timer_fd;
	int signal_fd;
	uint64_t now_ns;   /* boot clock, of the last read */
	uint64_t began_ns; /* t = 0; 0: not yet */
	uint64_t seconds;  /* since then */
	uint64_t evals;
	bool drained;
	bool quit;
	int write_error; /* -errno, of the output */
	/* For the report at the end. */
	bool dump_doubtful;
	bool counters_missing;
	uint64_t dumped_entries;
	uint64_t event_lines;
	uint64_t lost_events;
	uint64_t malformed_events;
};

/*
 * Opens everything, then drops the privileges that are no longer needed. SIGINT, SIGTERM
 * and SIGHUP are blocked from here on and end the recording. Call capture_destroy() even
 * after an error.
 */
int capture_create(struct capture *capture, const struct capture_config *config, FILE *out,
		   char why[CAPTURE_WHY_BYTES]);
void capture_destroy(struct capture *capture);

/* Writes the head of the trace and the table at t = 0. */
int capture_begin(struct capture *capture, char why[CAPTURE_WHY_BYTES]);

/* Records until a signal or for config.seconds. Flushes `out` every second and at the
 * end. */
int capture_run(struct capture *capture, char why[CAPTURE_WHY_BYTES]);

#endif
