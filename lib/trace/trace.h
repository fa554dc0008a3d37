// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The trace format, version 1: reader and writer.
 *
 * ASCII lines, comma separated, times in integer ns since the start; described in
 * docs/man/conntide-trace.5. A reader skips lines whose kind it does not know and columns
 * beyond those it knows; a malformed line is an error that names its number. This writer
 * adds one kind, LOST: how many events it missed, as far as it knows.
 *
 * No allocation; the caller owns the streams. Threads: one per reader.
 */
#ifndef CONNTIDE_TRACE_TRACE_H
#define CONNTIDE_TRACE_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TRACE_VERSION  1
#define TRACE_LINE_MAX 1024
#define TRACE_NAME_MAX 48

enum trace_kind {
	TRACE_META,
	TRACE_SYSCTL,
	TRACE_DUMP,
	TRACE_NEW,
	TRACE_UPDATE,
	TRACE_DESTROY,
	TRACE_STAT,
	TRACE_EVAL,
	TRACE_LOST,
	TRACE_KINDS
};

struct trace_entry { /* DUMP, NEW, UPDATE, DESTROY */
	uint64_t id;
	char proto[16], src[TRACE_NAME_MAX], dst[TRACE_NAME_MAX], state[20];
	uint16_t sport, dport;
	bool assured;
	uint32_t timeout_s; /* just set; DUMP: remaining; DESTROY: left over */
};

struct trace_record {
	enum trace_kind kind;
	int64_t t_ns;
	union {
		struct {
			uint32_t version, max, buckets, day_s, horizon_s;
		} meta;
		struct {
			char name[TRACE_NAME_MAX];
			uint32_t value_s;
		} sysctl;
		struct trace_entry entry;
		struct {
			uint32_t count, max;
			uint64_t drop, early_drop;
		} stat;
		uint64_t eval;
		uint64_t lost; /* events the recorder missed */
	};
};

struct trace_reader {
	FILE *in;
	unsigned long line; /* of the record returned last, or of the error */
	const char *error;  /* what was wrong, for a message; static text */
	int64_t last_ns;
};

/* Starts reading; the stream remains the caller's. */
void trace_reader_init(struct trace_reader *r, FILE *in);

/*
 * The next record of a known kind. 1: got one, 0: end of input, -EBADMSG:
 * malformed line (r->line, r->error), -EPROTO: another version of the format, -EIO.
 */
int trace_read(struct trace_reader *r, struct trace_record *rec);

/* Write one record as a line. 0 or -EIO. */
int trace_write(FILE *out, const struct trace_record *rec);

#endif
