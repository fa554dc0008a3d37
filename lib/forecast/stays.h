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
 * times weighed by how well each foretold the recent exits of its group of ages. Expiry by the
 * time past the deadline, so that a changed timeout moves it along. An entry that came under
 * another timeout teaches nothing about expiry, and one that was evicted nothing at all.
 *
 * Ages are differences of whole seconds of the forecast's clock. Pure.
 */
#ifndef CONNTIDE_FORECAST_STAYS_H
#define CONNTIDE_FORECAST_STAYS_H

#include "lib/forecast/bins.h"
#include "lib/forecast/exits.h"
#include "lib/forecast/forecast.h"
#include "lib/forecast/late.h"
#include "lib/forecast/population.h"

#define FC_MEMORIES 3 /* forgetting times */
#define FC_GROUPS   6 /* of ages, each with its own weights of the memories */
#define FC_EPOCHS   4 /* timeouts that were in force lately */

extern const double fc_memory_s[FC_MEMORIES];

/* What every event touches comes first. */
struct fc_cell {
	uint8_t class_id, stage;
	bool used, refreshed;		 /* packets extend the timeout without an event */
	float entered;			 /* decayed count */
	int32_t n_old, old_exits;	 /* past their first seconds; of those, gone this second */
	int64_t epoch_from_s[FC_EPOCHS]; /* newest first */
	uint32_t epoch_timeout_s[FC_EPOCHS];
	uint32_t heard_timeout_s, heard_times;
	struct fc_population pop;
	float usual_exits; /* of those past their first seconds, a second */
	/* going on to another stage or ended early, by age; one more bin: unknown age */
	float ev_go[FC_MEMORIES][FC_AGE_BINS + 1], risk_go[FC_MEMORIES][FC_AGE_BINS + 1];
	float h_go[FC_MEMORIES][FC_AGE_BINS];
	float loglik[FC_MEMORIES][FC_GROUPS];
	float ev_end[FC_LATE_BINS], risk_end[FC_LATE_BINS]; /* expiry, by lateness */
	float next[FC_STAGES + 1];			    /* where to; the last: gone early */
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

/* What that was, all but the cell. Not by value: read as a whole right after it was written field
 * by field it waits for the writes. */
void fc_cell_exit(const struct fc_cell *c, struct fc_late *late, const struct fc_leaving *leaving,
		  struct fc_exit *ret_exit);
/* It stayed until its deadline: that says nothing of who goes on. */
static inline bool fc_exit_at_deadline(const struct fc_exit *e)
{
	return e->to == FC_NONE && e->bin < FC_AGE_BINS;
}

/* The second is over: these have left it. */
void fc_cell_left(struct fc_cell *c, const struct fc_exit *e);
/* Of them, those that are known to be no incident, and did not end at their deadline. */
void fc_cell_learn(struct fc_cell *c, const struct fc_exit *e);

/* The end of a second: n_at (FC_AGE_BINS + 1) out: who is of what age. unsure: learn nothing. */
void fc_cell_second(struct fc_cell *c, struct fc_late *late, int64_t now_s, bool unsure,
		    float *n_at);
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
