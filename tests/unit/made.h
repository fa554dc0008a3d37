// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Made-up tables for the tests of exporters/advice: a snapshot and its story, put
 * together row by row, as an agent would have published them after an hour under a
 * steady load. Fails the test when there is no room.
 */
#ifndef CONNTIDE_TESTS_MADE_H
#define CONNTIDE_TESTS_MADE_H

#include "exporters/advice/advice.h"

#define MADE_ROWS    4096u
#define MADE_DETAILS 64u

struct made {
	struct snapshot snap;
	struct snap_detail details;
	struct snap_row rows[MADE_ROWS];
	struct snap_row_detail rows_detail[MADE_DETAILS];
	struct snap_frame minutes[SHM_FRAMES];
	struct snap_frame hour[SHM_FRAMES];
	struct shm_ages_set age_sets[SHM_AGE_SETS]; /* filled by made_look(), but for facts */
	struct snap_ages ages[SHM_AGE_SETS];
	struct {
		uint32_t cell, told, refreshed, idle_s;
		uint32_t told_too, idle_too_s; /* of some others */
		uint32_t age_s;		       /* 0: as make_ages() has it */
	} idle;				       /* of one cell */
	struct {
		uint32_t cell, timeout_s;
	} own; /* likewise */
	/* Filled by made_look() and made_advice(). */
	struct model model;
	struct why why;
	struct advice advice;
};

/* 262,144 entries and buckets, default timeouts, an agent that has run for two hours. */
struct made *made_new(void);
void made_free(struct made *made);

/* The row of that key, new or old. */
struct snap_row *made_row(struct made *made, unsigned int l4proto, unsigned int direction,
			  unsigned int port);
void made_state(struct snap_row *row, unsigned int state, uint32_t entries);
void made_rate(struct snap_row *row, double per_s);

/* `count` stays of `seconds` each, in a state of the row, by its own detail. */
void made_stays(struct made *made, const struct snap_row *row, unsigned int state, uint64_t count,
		double seconds);
/* `count` lives of `seconds` each, with an end. */
void made_lives(struct made *made, const struct snap_row *row, uint64_t count, double seconds);

/*
 * Short TCP connections in their steady state: open for `open_s`, then the timeout of
 * TIME_WAIT and `lag_s`; with 1000 of them seen.
 */
struct snap_row *made_short(struct made *made, unsigned int direction, unsigned int port,
			    double per_s, double open_s, double lag_s);

/* Entries come into that state with another timeout than the setting's. */
void made_timeout(struct made *made, const struct snap_row *row, unsigned int state,
		  uint32_t timeout_s);

/* Parts of the row's entries: src_nat, dst_nat, helper, ipv6, zoned. */
void made_facts(struct made *made, const struct snap_row *row, const uint32_t parts[5]);

/* A mixed table that shows no pattern. */
struct made *made_healthy(void);
/* nginx without upstream keepalive: so many connections a second there, 25 in front; they vary. */
struct made *made_nginx(double up_per_s);

/* What the kernel told of so many entries of the cell: idle for so long, refreshed in it.
 * Call it after made_state(), before made_look(). */
void made_idle(struct made *made, const struct snap_row *row, unsigned int state, uint32_t told,
	       uint32_t refreshed, uint32_t idle_s);

/* After it: of so many others in the same cell that; and all are that old in it. */
void made_idle_too(struct made *made, uint32_t told, uint32_t idle_s);
void made_idle_age(struct made *made, uint32_t age_s);

void made_talker(struct made *made, enum shm_talker_kind kind, uint32_t address, uint32_t entries,
		 unsigned int l4proto, unsigned int port);

/* The last `count` frames of ten seconds, or of a minute, as the rows are now. */
void made_frames(struct made *made, size_t count);
void made_hour(struct made *made, size_t count);

/* New entries of the ten-second frames go up and down by a fifth, of all rows alike, around
 * the same mean over any minute. */
void made_vary(struct made *made);
/* The same for one row by itself, out of step with made_vary(). */
void made_vary_row(struct made *made, const struct row_key *key);

/* So many new entries of that row come a frame of ten seconds later. */
void made_move(struct made *made, const struct row_key *key, size_t frame, uint32_t new_entries);

void made_look(struct made *made);
void made_advice(struct made *made);

/* NULL: not named. */
const struct finding *made_finding(const struct made *made, const char *id);
const struct advice_item *made_item(const struct made *made, const char *id);
/* NaN: there is none. */
double made_figure(const struct finding *finding, const char *name);

/* After another look: it is named, so sure, and says why it is not; or nothing is. */
void made_assert_named(struct made *made, const char *id, enum confidence confidence);
void made_assert_none(struct made *made);

/* Runs a what-if given as words separated by spaces; the result is the caller's. */
void made_whatif(const struct made *made, const char *words, struct whatif_result *result);
/* Steady entries after it. */
double made_then(const struct made *made, const char *words);

#endif
