// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads the table that conntide-agent publishes, from a program of one's own: no privilege, no
 * question to the kernel, no copy of the segment's layout.
 *
 *	cc -o mine mine.c $(pkg-config --cflags --libs conntide)
 *
 *	struct conntide_table *table;
 *	struct conntide_status status;
 *
 *	if (conntide_open(NULL, NULL, &table) == 0 && conntide_read(table) == 0 &&
 *	    conntide_status(table, &status) == 0)
 *		printf("%s, %lld entries\n", status.level, (long long)status.entries);
 *	conntide_close(table);
 *
 * Functions return 0 or -errno; conntide_error() makes a sentence of the last failure. Strings
 * are constant, but for those that conntide_error() and the status give: they live until the next
 * conntide_read() or conntide_close(). One table belongs to one thread. The first read of a
 * process installs a handler of SIGBUS, which passes on what is not conntide's.
 *
 * Structs grow at their end only, with the minor version of the library.
 */
#ifndef CONNTIDE_H
#define CONNTIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct conntide_table;

struct conntide_status {
	bool fresh;	      /* an agent runs, and the numbers are of the last seconds */
	double age_seconds;   /* of the numbers; negative: not known */
	int64_t entries;      /* the kernel's count */
	int64_t max;	      /* nf_conntrack_max; 0: no limit */
	int64_t limit;	      /* what ends the table: that, or the length of chains; 0: nothing */
	double fill_ratio;    /* entries / limit; negative: no limit */
	const char *level;    /* "OK", "HIGH", "CRITICAL", "FULL", "UNKNOWN" */
	const char *reason;   /* why, in words */
	const char *quality;  /* "exact", "verified", "not_exact" */
	int64_t settles_at;   /* entries; negative: the forecast cannot say */
	double full_seconds;  /* until it is full, most likely; negative: never, or not known */
	double dropped_per_s; /* packets, because the table was full */
	double evicted_per_s; /* entries, to make room */
	double chain_per_s;   /* packets, because a chain was too long */
	double insert_failed_per_s;
};

/* One state of one port. */
struct conntide_cell {
	const char *l4proto;   /* "tcp" ... */
	const char *direction; /* "inbound", "outbound", "forwarded", "loopback" */
	const char *state;     /* "ESTABLISHED" ..., "unreplied", "replied", "assured" */
	uint16_t port;	       /* destination port of the original tuple */
	uint32_t entries;
};

/* NULL for what is usual: /run/conntide, host. *ret_table also after a failure, for the reason;
 * NULL only when memory ran out. */
int conntide_open(const char *runtime_dir, const char *name, struct conntide_table **ret_table);

/* Takes the table as it is now. What was read before is gone, also after a failure. */
int conntide_read(struct conntide_table *table);

/* Of what was read last; -ENODATA before that. */
int conntide_status(struct conntide_table *table, struct conntide_status *ret_status);

/* At most `room` cells with entries; returns how many there are, which may be more. */
size_t conntide_cells(const struct conntide_table *table, struct conntide_cell *cells, size_t room);

/* What failed last, with what to do; "" when nothing did. */
const char *conntide_error(const struct conntide_table *table);

/* NULL does no harm. */
void conntide_close(struct conntide_table *table);

#ifdef __cplusplus
}
#endif

#endif
