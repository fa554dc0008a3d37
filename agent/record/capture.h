// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Live events into a trace (trace.h): what conntide-record does.
 *
 * The order in which things happen is that of the agent: subscribe, then dump, so
 * that nothing falls in between. Records and the events that came meanwhile are made
 * into one list (roster.h), which is the table at t = 0: the moment at which the last
 * event of the dump was read. From then on each event becomes a line, with the time at
 * which it was read, within about a millisecond of when it happened; each second a STAT
 * line, the kernel's own count; and a SYSCTL line when a timeout has changed. A dump that
 * cannot be relied on (events lost meanwhile, hash resized, an error) is made anew;
 * after CAPTURE_DUMPS the last one is taken as it is, and `dump_doubtful` says so.
 *
 * Lost events are noted by a LOST line and counted; the receive buffer grows. Nothing
 * is dumped again: from the first loss on the lines may miss entries' births and
 * deaths, which the count of the STAT lines shows.
 *
 * Only netlink is asked, nothing is changed. Memory: bounded by the roster's limit.
 * Threads: the caller's, and the worker inside struct query. Errors: -errno with a
 * sentence in `why`.
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
	uint32_t buffer_bytes; /* receive buffer to begin with */
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
 * Opens everything, then gives up what is not needed any more. SIGINT, SIGTERM and
 * SIGHUP are blocked from here on and end the recording. capture_destroy() in any case.
 */
int capture_create(struct capture *capture, const struct capture_config *config, FILE *out,
		   char why[CAPTURE_WHY_BYTES]);
void capture_destroy(struct capture *capture);

/* The head of the trace and the table at t = 0. */
int capture_begin(struct capture *capture, char why[CAPTURE_WHY_BYTES]);

/* Until a signal, or for as long as was asked. What is buffered in `out` is flushed
 * each second and at the end. */
int capture_run(struct capture *capture, char why[CAPTURE_WHY_BYTES]);

#endif
