// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file with everything the mirror is fed, in order, so that the same mirror can be run
 * again without a kernel: events as they came from netlink, records of dumps, answers to
 * GETs, when marks began, which addresses were local, and the time. tests/replay reads it
 * and must arrive at the same cells.
 *
 * Format, version 1, host byte order: the 16 bytes of RECORDER_MAGIC, then frames: struct
 * recorder_frame followed by `len` bytes, padded to 8.
 *
 * Errors: the first one ends the recording and is kept for the caller to report; the agent
 * goes on. Threads: one. Writing may block on a slow disk: a diagnostic tool, not for
 * everyday use.
 */
#ifndef CONNTIDE_AGENT_RECORD_FEED_H
#define CONNTIDE_AGENT_RECORD_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/mirror/local_addr.h"
#include "lib/mirror/verify.h"

#define RECORDER_MAGIC "conntide-feed-1\n"

enum recorder_kind {
	RECORD_EVENT = 1,    /* a netlink message */
	RECORD_RESYNC_BEGIN, /* uint32_t: what it finds is explained */
	RECORD_RESYNC_NEXT,
	RECORD_RECORD,	  /* struct recorder_record, then a message of a dump */
	RECORD_DUMP_DONE, /* struct recorder_done */
	RECORD_ASK,	  /* a new mark */
	RECORD_ANSWER,	  /* struct recorder_answer, then the message if found */
	RECORD_ADDRESSES, /* struct local_addr ... */
	RECORD_SECOND,	  /* the sample of audits was queued */
	RECORD_LIMIT,	  /* uint32_t: entries the mirror may hold */
	RECORD_SWEEP	  /* one step: events may come between two of them */
};

struct recorder_frame {
	uint64_t boot_ns;
	uint32_t kind;
	uint32_t len;
};

struct recorder_record {
	uint32_t fill_mark;
	uint32_t _pad;
};

struct recorder_done {
	uint32_t valid;
	uint32_t _pad;
	int64_t kernel_entries;
};

struct recorder_answer {
	struct verify_item item;
	uint32_t asked_mark;
	uint32_t found;
};

struct recorder {
	FILE *file; /* NULL: not recording */
	int error;  /* -errno of what ended it */
};

int recorder_open(struct recorder *recorder, const char *path);
void recorder_put(struct recorder *recorder, uint64_t boot_ns, enum recorder_kind kind,
		  const void *bytes, size_t len);
void recorder_record(struct recorder *recorder, uint64_t boot_ns, uint32_t fill_mark,
		     const void *message, size_t len);
void recorder_answer(struct recorder *recorder, uint64_t boot_ns, const struct verify_item *item,
		     uint32_t asked_mark, const void *message, size_t len);
int recorder_close(struct recorder *recorder);

#endif
