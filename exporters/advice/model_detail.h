// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * For model.c: what the stays of a detail say about an arrival of any
 * of its rows. Pure.
 */
#ifndef CONNTIDE_ADVICE_MODEL_DETAIL_H
#define CONNTIDE_ADVICE_MODEL_DETAIL_H

#include "exporters/advice/model_data.h"

/* Stays of one state, by what ended them: packets, or the timeout. */
struct split {
	double left[SHM_STAY_BUCKETS];	   /* by bucket... */
	double middle_s[SHM_STAY_BUCKETS]; /* ...and how long those were, about */
	double left_s;			   /* time in all */
	double expired, expired_s;
};

struct view {
	const struct snap_row_detail *detail; /* NULL: none */
	uint32_t row;			      /* of a detail of its own */
	uint64_t states[STATE_SLOTS_MAX];     /* entries of its rows */
	bool measured;			      /* the rest means something */
	double lives;
	double left_s[STATE_SLOTS_MAX];
	double expiring[STATE_SLOTS_MAX];
	double active_s[STATE_SLOTS_MAX];
	double stay_s[STATE_SLOTS_MAX];
};

struct views {
	struct view *own; /* sorted by row */
	size_t own_count;
	struct view pools[L4_COUNT][DIR_COUNT];
};

/* 0 or -ENOMEM; views_free() in either case. */
int views_init(struct views *views, const struct snap_detail *details);
void views_free(struct views *views);
/* Its own, or the pool's; never NULL. */
struct view *view_of(struct views *views, const struct snap_row *row);
/* After states[] are filled: everything else. */
void views_derive(struct views *views, const struct model *model);

/* Seconds; 0: no timeout is known. */
double timeout_s(const struct settings *settings, int timeout);
/* Of a phase: its own where it has one. */
double phase_timeout_s(const struct settings *settings, const struct phase *phase);
/*
 * With which the entries of a row come into a state where that is no setting of the kernel's: a
 * timeout policy (nft ct timeout, iptables CT --timeout) or a helper (SIP's registrations) sets it.
 * 0: it is the setting's, or is not known: the row is not among the largest, or has no class.
 */
double own_timeout_s(const struct model *model, const struct row_key *key, unsigned int state);
/* That, or else the setting's. */
double state_timeout_s(const struct model *model, const struct row_key *key, unsigned int state);

/*
 * Nothing that stayed for less than the timeout was ended by it. What stayed for longer
 * was, or was refreshed on the way. In the bucket that the timeout is in, so many
 * expired as those of the buckets above let expect when lags are spread evenly over the
 * collector's interval; or, where nothing refreshes and next to nothing is shorter, as
 * the sum of all has it. `wait_s`: how long each of the expired ones took; 0: not known,
 * but nothing refreshes them; negative: they were refreshed; ALL_EXPIRE: all of that bucket did.
 */
#define ALL_EXPIRE (-2.0)
void split_stays(const struct snap_stays *stays, double timeout, double interval_s, double wait_s,
		 struct split *split);
/* The time of those that packets ended, each cut at `most_s`. */
double split_left_s(const struct split *split, double most_s);

/* Nothing refreshes it: the stay is the timeout and the lag, or a successor ends it. */
bool state_waits(unsigned int l4proto, unsigned int state);

/* The kernel was asked for the idle time of so many of the cell's entries that they stand for
 * all; and hardly one of them was refreshed after it came into its state. */
bool told_enough(const struct snap_ages_cell *cell);
bool told_unrefreshed(const struct snap_ages_cell *cell);

/* Mean lag of the stays that nothing refreshes; model->lag_s stays as it is when too few
 * are known, or what they say cannot be. */
void measure_lag(struct model *model, const struct snapshot *snap,
		 const struct snap_detail *details);

#endif
