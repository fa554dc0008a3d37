// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long entries stay in a stage: occurrence over exposure.
 *
 * A cell is one stage of one class: who is in it by age, and how they leave. Every second
 * each bin of age is charged with the entries it holds (exposure) and credited with those that
 * left (events); events / exposure is the chance per second to leave at that age. Entries that
 * were there before, or still are, count for what was seen of them: left truncation and right
 * censoring need no further care (Kaplan, Meier 1958; Aalen 1978).
 *
 * Two competing risks. Going on (next stage, or an early end) by age, with three forgetting
 * times weighed by how well each foretold the recent exits. Expiry by the time past the deadline,
 * so that a changed timeout moves it along. An entry that came under another timeout teaches
 * nothing about expiry, and one that was evicted nothing at all.
 *
 * Ages are differences of whole seconds of the forecast's clock. Pure.
 */
#ifndef CONNTIDE_FORECAST_STAYS_H
#define CONNTIDE_FORECAST_STAYS_H

#include "lib/forecast/forecast.h"
#include "lib/forecast/late.h"
#include "lib/forecast/numbers.h"

/*
 * Who is in a stage, by second of entry: rings that grow coarser with age. Level l holds
 * FC_SLOTS slots of 1, 8, 64, 1024 seconds; what leaves one level moves into the next, so that
 * any entry is found by when it came, in O(1).
 */
#define FC_LEVELS 4
#define FC_SLOTS  256

struct fc_population {
	int32_t total, unknown; /* unknown: since when is not known */
	int32_t n[FC_LEVELS][FC_SLOTS];
};

/* Entries that came within the same slot, for walking through all of known age. */
struct fc_slot {
	unsigned int level, at; /* zero before the first */
	bool begun;
	int64_t since_s; /* the slot's middle */
	int width_s;
	int32_t entries;
};

void fc_population_add(struct fc_population *p, int64_t now_s, int64_t since_s, bool unknown);
void fc_population_remove(struct fc_population *p, int64_t now_s, int64_t since_s, bool unknown);
/* Once a second, after now_s was raised by one. */
void fc_population_fold(struct fc_population *p, int64_t now_s);
/* The next slot that holds somebody; false: there is none. */
bool fc_population_next(const struct fc_population *p, int64_t now_s, struct fc_slot *slot);
/* Takes at most n out of a slot; how many it took. */
int32_t fc_population_drop(struct fc_population *p, const struct fc_slot *slot, int32_t n);

#define FC_MEMORIES 3 /* forgetting times */

extern const double fc_memory_s[FC_MEMORIES];

/* What every event touches comes first. */
struct fc_cell {
	uint8_t class_id, stage;
	bool used, refreshed;		      /* packets extend the timeout without an event */
	float entered;			      /* decayed count */
	uint32_t timeout_s, timeout_before_s; /* in force, since; and before */
	int64_t timeout_from_s;
	uint32_t heard_timeout_s, heard_times; /* another, how often in a row */
	uint32_t went_to[FC_STAGES + 1];       /* in the second under way; the last: gone early */
	struct fc_population pop;
	float n_old, usual_exits; /* of those past their first seconds: how many, and a second */
	/* going on to another stage or ended early, by age; one more bin: unknown age */
	uint32_t went[FC_AGE_BINS + 1]; /* in the second under way */
	float ev_go[FC_MEMORIES][FC_AGE_BINS + 1], risk_go[FC_MEMORIES][FC_AGE_BINS + 1];
	float h_go[FC_MEMORIES][FC_AGE_BINS];
	float loglik[FC_MEMORIES];
	float ev_end[FC_LATE_BINS], risk_end[FC_LATE_BINS]; /* expiry, by lateness */
	float next[FC_STAGES + 1];			    /* where to */
};

void fc_cell_init(struct fc_cell *c, unsigned int class_id, unsigned int stage, uint32_t timeout_s);

/* The timeout in force from now on; one odd flow is no change, `sure` is. */
void fc_cell_timeout(struct fc_cell *c, int64_t now_s, uint32_t timeout_s, bool sure);
uint32_t fc_cell_timeout_at(const struct fc_cell *c, int64_t since_s);
/* Its deadline is known to the second once it is entered. */
bool fc_cell_fixed(const struct fc_cell *c);

/* An entry leaves the cell. */
struct fc_leaving {
	int64_t now_ns;
	int64_t since_s;
	bool since_unknown;
	bool expired;
	unsigned int to; /* enum fc_stage; FC_STAGES: it ended */
};

void fc_cell_leave(struct fc_cell *c, struct fc_late *late, const struct fc_leaving *leaving);

/* A second of a cell, by age; the last bin: age unknown. */
struct fc_seen {
	float stayed[FC_AGE_BINS + 1];
	float went[FC_AGE_BINS + 1]; /* but for those who stayed until their deadline */
	float thrown_out;	     /* in an incident, of which nothing is learnt */
};

/* The end of a second. unsure: nothing is learnt of those who stay. */
void fc_cell_second(struct fc_cell *c, struct fc_late *late, int64_t now_s, bool unsure,
		    struct fc_seen *seen);
/* Every FC_DECAY_S seconds. */
#define FC_DECAY_S 4
void fc_cell_decay(struct fc_cell *c);
/* At most n of those late_s past a fixed deadline: they were lost, not kept. How many. */
int32_t fc_cell_drop_late(struct fc_cell *c, int64_t now_s, int64_t late_s, int32_t n);

/*
 * None has ended, although so many have stayed for so long that, were the mean stay
 * FC_ENDLESS_S, three would have (one table in twenty has none then); and they may stay for
 * longer than that. They are taken to stay until their timeout: else an age that nobody has
 * reached yet would pass for one at which they go.
 */
#define FC_ENDLESS_S 3600
bool fc_cell_endless(const struct fc_cell *c);

/* Chance per second to go on, by age, and to expire, by lateness. */
void fc_cell_go(const struct fc_cell *c, int64_t watched_s, float *go);
void fc_cell_end(const struct fc_cell *c, const struct fc_late *late, float *end);
/* Of those whose age is not known. */
float fc_cell_unknown(const struct fc_cell *c, int64_t watched_s);

#endif
