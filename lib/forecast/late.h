// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Expired entries that are still counted, and the collector that takes them.
 *
 * An entry past its deadline stays in the count until a lookup meets it or the collector
 * makes its round (gc_worker). Lookups are a constant chance per second; how late entries go
 * is learnt for all stages together. A round takes all at once: a second in which nearly all
 * of many late entries go is a round. Where rounds come at equal intervals the next ones are
 * known, and with them the sawtooth that they make of the count. Somebody's listing of the
 * table takes all expired entries too, at any time: rounds are those that fit one comb.
 *
 * Before a few rounds have been seen, entries of one second are no evidence of their own: they
 * stay or go together. The kernel's rule (lib/kernel/gc.h) has to do then, where the agent tells
 * what it comes to; in a trace only that a round comes within a minute.
 *
 * Seconds of the forecast's clock; lateness in seconds past the deadline. Pure.
 */
#ifndef CONNTIDE_FORECAST_LATE_H
#define CONNTIDE_FORECAST_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/forecast/forecast.h"
#include "lib/forecast/numbers.h"

#define FC_ROUNDS 12

struct fc_late {
	float ev[FC_LATE_BINS], risk[FC_LATE_BINS]; /* gone, and there, by lateness; decayed */
	uint32_t gone, left;			    /* late entries of the second under way */
	double gone_at_s;			    /* sum of when in the second */
	double seen_gone, seen_risk;		    /* decayed, outside rounds */
	double round_s[FC_ROUNDS];		    /* newest first */
	unsigned int n_rounds;
	double anchor_s, period_s; /* of the next rounds; 0: no rhythm */
	struct fc_collector rule;
	double watched_s; /* since any was late */
};

/* One entry has gone, or is there, so late; exact_s: the fraction of this second. */
void fc_late_gone(struct fc_late *l, int64_t late_s, double exact_s, int expired);
void fc_late_waits(struct fc_late *l, int64_t late_s, uint32_t entries);
/* The end of a second. */
void fc_late_second(struct fc_late *l, int64_t now_s);

/* Chance per second to go by the rule, one so late; 0: it is not known, or has nothing to say. */
float fc_late_by_rule(const struct fc_late *l, double late_s);
/* Chance per second to go, by lateness; a stage's own record (or NULL) is added to it. */
void fc_late_hazards(const struct fc_late *l, const float *ev, const float *risk, float *end);
/* Share that is still there j steps of dt_s past the deadline, seen from a step's middle. */
void fc_late_survival(const struct fc_late *l, unsigned int steps, double dt_s, float *survive);

/*
 * Expired entries that rounds of gc leave to be collected, by step of dt_s: left[0] now, and
 * due[1..n) come due. false: no rhythm is known.
 */
bool fc_late_rounds(const struct fc_late *l, int64_t now_s, const float *due, unsigned int n,
		    double dt_s, float *left);

#endif
