// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes in, and what is learnt from it second by second. See forecast.h. */
#include "lib/forecast/forecast.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/forecast/paths.h"
#include "lib/forecast/state.h"

#define NS_PER_S     1000000000
#define RETURN_S     180  /* within which those thrown out come back */
#define COME_TWICE   1.15 /* times as many as were thrown out */
#define LOSSES_S     15	  /* after losses nothing is learnt */
#define DUMP_S	     5
#define LEAP_S	     3600 /* a clock that leaps is not lived through second by second */
#define CROWDED	     94	  /* hundredths of max: the kernel evicts */
#define OVERLOAD_S   30
#define LEARN_S	     60 /* .. the stays under a new timeout, once it has passed */
#define LEARN_MOST_S 600
#define BY_TIMEOUT   0.2 /* share of the entries it takes for a new timeout to matter */
#define RETRIES	     0.4 /* new clients for each packet dropped: they try again */

_Static_assert(sizeof(struct forecast) + sizeof(struct fc_work) <= 4u << 20, "4 MiB");

static const uint32_t default_timeout_s[FC_STAGES] = {
	120, 60, 432000, 120, 60, 30, 120, 10, 30, 30, 120, 0,
};

size_t forecast_size(void)
{
	return sizeof(struct forecast);
}

int forecast_check(const void *block, size_t size)
{
	const struct forecast *f = block;

	return size < sizeof(*f) || f->magic != FC_MAGIC || f->version != FC_VERSION ||
			       f->size != sizeof(*f)
		       ? -EPROTO
		       : 0;
}

struct forecast *forecast_create(int64_t now_ns)
{
	struct forecast *f = calloc(1, sizeof(*f) + sizeof(struct fc_work));
	unsigned int p;

	if (!f) {
		errno = ENOMEM;
		return NULL;
	}
	f->magic = FC_MAGIC;
	f->version = FC_VERSION;
	f->size = sizeof(*f);
	f->start_s = f->now_s = now_ns / NS_PER_S;
	f->unsure_until_s = f->silent_until_s = f->no_class_s = INT64_MIN / 2;
	for (p = 0; p < FC_L4PROTOS; p++)
		memcpy(f->sysctl_timeout_s[p], default_timeout_s, sizeof(default_timeout_s));
	fc_classes_init(f);
	fc_demand_init(&f->demand);
	fc_season_init(&f->season, 86400.0);
	fc_full_init(&f->full);
	fc_record_init(&f->record);
	fc_draw_fill(f->normal);
	return f;
}

void forecast_destroy(struct forecast *f)
{
	free(f);
}

static void be_silent(struct forecast *f, enum fc_silence why, int64_t until_s)
{
	if (until_s <= f->silent_until_s)
		return;
	f->silent_until_s = until_s;
	f->silence = (uint8_t)why;
}

void forecast_timeout(struct forecast *f, uint8_t l4proto, enum fc_stage stage, uint32_t timeout_s)
{
	double touched = 0.0;
	unsigned int i;

	if (l4proto >= FC_L4PROTOS || (unsigned int)stage >= FC_STAGES || !timeout_s ||
	    timeout_s > 1u << 30 || f->sysctl_timeout_s[l4proto][stage] == timeout_s)
		return;
	f->sysctl_timeout_s[l4proto][stage] = timeout_s;
	for (i = 0; i < f->n_cells; i++) {
		struct fc_cell *c = &f->cell[i];

		if (!c->used || c->stage != stage || f->cls[c->class_id].l4proto != l4proto)
			continue;
		fc_cell_timeout(c, f->now_s, timeout_s, true);
		/* where packets do not extend it, the deadline is all there is to know */
		touched += c->refreshed ? c->pop.total : 0;
	}
	if (f->have_stat && touched > BY_TIMEOUT * f->stat.count)
		be_silent(f, FC_TIMEOUTS_CHANGED,
			  f->now_s + LEARN_S +
				  (timeout_s < LEARN_MOST_S ? timeout_s : LEARN_MOST_S));
}

uint32_t forecast_timeout_of(const struct forecast *f, uint8_t l4proto, uint8_t direction,
			     uint16_t port, enum fc_stage stage)
{
	const struct fc_class *cl = fc_class_find(f, l4proto, direction, port);
	const struct fc_cell *c;

	if (!cl || (unsigned int)stage >= FC_STAGES || cl->cell[stage] == FC_NO_CELL)
		return 0;
	c = &f->cell[cl->cell[stage]];
	return c->entered > 0.0f ? c->timeout_s : 0;
}

void forecast_day(struct forecast *f, uint32_t day_s)
{
	if (day_s < 600 || day_s > 7 * 86400 || (double)day_s == f->season.day_s)
		return;
	fc_season_init(&f->season, day_s);
}

/* ---- what comes in ---- */

/*
 * Connections that were all thrown out come back as a burst. It has a known
 * size and is no new rate: what exceeds the usual is taken from it first.
 */
static void returned(struct fc_class *cl, int64_t now_s)
{
	double usual, excess;

	if (cl->to_return <= 0.0f)
		return;
	usual = cl->arrivals.mean_per_s * FC_BIN_S;
	excess = fmin(cl->arrivals.bin - usual - sqrt(usual), (double)cl->to_return);
	if (excess > 0.0) {
		cl->arrivals.bin -= excess;
		cl->to_return -= (float)excess;
	}
	/* after that, all that come are new: the rate would be found too low */
	cl->to_return *=
		(float)exp(-FC_BIN_S / (now_s - cl->thrown_out_s < RETURN_S ? 900.0 : 40.0));
	if (cl->to_return < 1.0f)
		cl->to_return = 0.0f;
}

static void end_bin(struct forecast *f)
{
	struct fc_arrivals *all[FC_CLASSES] = {NULL};
	float y[FC_CLASSES];
	bool any = false; /* whole bin: the first, seen in part, would bend the day */
	double recent = 0.0;
	unsigned int c;

	for (c = 0; c < FC_CLASSES; c++) {
		struct fc_class *cl = &f->cls[c];
		double *bin = &cl->arrivals.bin;

		if (!cl->used)
			continue;
		if (FC_HAS(FC_PART_RETURNING))
			returned(cl, f->now_s);
		if (FC_HAS(FC_PART_PULSES))
			*bin = fc_pulse_bin(&cl->pulses, *bin, f->now_s, fc_watched_s(f));
		all[c] = &cl->arrivals;
	}
	fc_demand_bin(&f->demand, all, FC_CLASSES);
	for (c = 0; c < FC_CLASSES; c++) {
		any |= all[c] && all[c]->n;
		y[c] = all[c] ? (float)fc_arrivals_last(all[c], 1) : -1.0f;
		recent += all[c] ? fc_arrivals_last(all[c], FC_SEASON_MEAN) / FC_SEASON_MEAN : 0.0;
	}
	if (FC_HAS(FC_PART_SEASON) && any)
		fc_season_bin(&f->season, (double)f->now_s, y, FC_CLASSES, recent);
}

static void end_second(struct forecast *f)
{
	bool unsure = f->now_s < f->unsure_until_s;
	struct fc_seen seen;
	unsigned int i;

	for (i = 0; i < f->n_cells; i++) {
		struct fc_cell *c = &f->cell[i];
		struct fc_class *cl = &f->cls[c->class_id];

		if (!c->used)
			continue;
		fc_cell_second(c, &f->late, f->now_s, unsure, &seen);
		if (c->stage == FC_ESTABLISHED) {
			fc_shift_second(&f->shift[c->class_id], c, &seen, f->now_s, fc_watched_s(f),
					unsure);
			cl->to_return += (float)COME_TWICE * seen.thrown_out;
			cl->thrown_out_s = seen.thrown_out > 0.0f ? f->now_s : cl->thrown_out_s;
		}
		if ((f->now_s + i) % FC_DECAY_S == 0)
			fc_cell_decay(c);
	}
	fc_shift_decide(f->shift, FC_CLASSES, f->now_s);
	fc_late_second(&f->late, f->now_s);
	f->now_s++;
	for (i = 0; i < f->n_cells; i++)
		if (f->cell[i].used && f->cell[i].pop.total > 0)
			fc_population_fold(&f->cell[i].pop, f->now_s);
}

static void advance(struct forecast *f, int64_t now_s)
{
	if (now_s - f->now_s > LEAP_S)
		f->now_s = now_s - 60;
	while (f->now_s < now_s) {
		end_second(f);
		if (f->now_s % FC_BIN_S == 0)
			end_bin(f);
	}
}

static void enter(struct forecast *f, const struct fc_move *m, int64_t since_s, bool unknown)
{
	struct fc_class *cl = fc_class_of(f, m, since_s, unknown);
	struct fc_cell *c = fc_cell_of(f, cl, m->to);
	unsigned int s;

	if (!c)
		return;
	cl->last_seen_s = f->now_s;
	if (!m->found) {
		c->entered = fminf(c->entered + 1.0f, 1e6f);
		fc_cell_timeout(c, f->now_s, m->timeout_s, false);
	}
	fc_population_add(&c->pop, f->now_s, since_s, unknown);
	if (m->from != FC_NONE || m->found)
		return;
	cl->arrivals.bin += 1.0;
	cl->first[c->stage] += 1.0f;
	f->arrivals_this_s++;
	for (s = 0; s < FC_STAGES && cl->first[c->stage] > 2000.0f; s++)
		cl->first[s] *= 0.5f;
}

/* The kernel tells whole seconds, and may tell what is set a little later. */
#define OWN_LEAST_S 2u

/* Since when an entry found with this much of its timeout left is in its stage. */
static int64_t since_of_found(const struct forecast *f, const struct fc_move *m)
{
	uint8_t proto = m->l4proto < FC_L4PROTOS ? m->l4proto : FC_L4PROTOS - 1;
	uint32_t timeout_s, own_s;

	if (m->to >= FC_STAGES || !m->timeout_s || m->to == FC_ESTABLISHED || m->to == FC_ASSURED ||
	    m->to == FC_UNKNOWN)
		return FC_SINCE_UNKNOWN;
	timeout_s = f->sysctl_timeout_s[proto][m->to];
	/* A policy or a helper sets another one: what was left of which is not known. */
	own_s = forecast_timeout_of(f, m->l4proto, m->direction, m->port, (enum fc_stage)m->to);
	if (m->timeout_s > timeout_s ||
	    (own_s && (own_s + OWN_LEAST_S < timeout_s || own_s > timeout_s + OWN_LEAST_S)))
		return FC_SINCE_UNKNOWN;
	return (m->now_ns - (int64_t)(timeout_s - m->timeout_s) * NS_PER_S) & -FC_KEEP_NS;
}

/* It says nothing of how long entries stay: swept, or thrown out to make room. */
static bool teaches_nothing(const struct forecast *f, const struct fc_move *m)
{
	if (m->to != FC_NONE || m->end == FC_END_EXPIRED)
		return false;
	return m->end == FC_END_UNKNOWN || m->end == FC_END_EVICTED ||
	       (f->have_stat && f->stat.max &&
		(uint64_t)f->stat.count * 100 > (uint64_t)f->stat.max * CROWDED);
}

static void leave(struct forecast *f, const struct fc_move *m, int64_t since_s, bool unknown)
{
	struct fc_cell *c = fc_cell_of(f, fc_class_of(f, m, since_s, unknown), m->from);
	struct fc_leaving leaving = {
		.now_ns = f->move_ns,
		.since_s = since_s,
		.since_unknown = unknown,
		.expired = m->to == FC_NONE && m->end == FC_END_EXPIRED,
		.to = m->to == FC_NONE	  ? FC_STAGES
		      : m->to < FC_STAGES ? m->to
					  : FC_UNKNOWN,
	};

	if (!c)
		return;
	fc_population_remove(&c->pop, f->now_s, since_s, unknown);
	if (leaving.to > c->stage && !teaches_nothing(f, m))
		fc_cell_leave(c, &f->late, &leaving);
}

void forecast_move(struct forecast *f, struct fc_move *m)
{
	bool unknown = m->since_ns == FC_SINCE_UNKNOWN;

	advance(f, m->now_ns / NS_PER_S);
	f->move_ns = m->now_ns;
	m->keep_since_ns = m->now_ns;
	if (m->from != FC_NONE)
		leave(f, m, unknown ? 0 : m->since_ns / NS_PER_S, unknown);
	if (m->to == FC_NONE)
		return;
	if (m->found && m->from == FC_NONE)
		m->keep_since_ns = unknown ? since_of_found(f, m) : m->since_ns;
	unknown = m->keep_since_ns == FC_SINCE_UNKNOWN;
	enter(f, m, unknown ? 0 : m->keep_since_ns / NS_PER_S, unknown);
}

void forecast_notice(struct forecast *f, enum fc_notice what, int64_t now_ns)
{
	int64_t now_s = now_ns / NS_PER_S;
	bool dumped = what == FC_RESYNCED || what == FC_SOMEBODY_DUMPED;
	unsigned int c;

	if (f->events_off && what == FC_EVENTS_ON)
		be_silent(f, FC_LOSING_EVENTS, now_s + LEARN_S);
	if (what == FC_EVENTS_OFF || what == FC_EVENTS_ON)
		f->events_off = what == FC_EVENTS_OFF;
	f->unsure_until_s = now_s + (dumped ? DUMP_S : LOSSES_S);
	for (c = 0; c < FC_CLASSES && !dumped; c++)
		f->cls[c].arrivals.censored = true;
}

/* Packets dropped at the limit were arrivals too. */
static void censored_arrivals(struct forecast *f, double dropped)
{
	double total = 1e-9;
	unsigned int c;

	for (c = 0; c < FC_CLASSES; c++)
		total += f->cls[c].arrivals.mean_per_s;
	for (c = 0; c < FC_CLASSES; c++)
		f->cls[c].arrivals.bin += RETRIES * dropped * f->cls[c].arrivals.mean_per_s / total;
}

/* Entries that only the stages have: those longest past their deadline. */
static void drop_ghosts(struct forecast *f, int32_t ghosts)
{
	int64_t late_s;
	unsigned int i;

	for (late_s = 90; late_s >= 5 && ghosts > 0; late_s -= 5)
		for (i = 0; i < f->n_cells && ghosts > 0; i++)
			if (f->cell[i].used)
				ghosts -= fc_cell_drop_late(&f->cell[i], f->now_s, late_s, ghosts);
}

static void compare_counters(struct forecast *f, const struct fc_stat *st)
{
	uint64_t drops = st->drop - f->stat.drop;

	/* events missed: the rates of this bin are not what arrived */
	if (fabs((double)st->count - fc_known_entries(f)) >
	    fabs(f->residual) + 3.0 + 0.1 * f->arrivals_this_s)
		forecast_notice(f, FC_EVENTS_LOST, st->now_ns);
	if (st->drop > f->stat.drop && drops < 1u << 20) {
		censored_arrivals(f, (double)drops);
		be_silent(f, FC_OVERLOADED, f->now_s + OVERLOAD_S);
	}
	if (st->max && FC_HAS(FC_PART_FULL))
		fc_full_second(&f->full, f->now_s, f->stat.count, st->count, st->max);
}

void forecast_second(struct forecast *f, const struct fc_stat *st)
{
	double ghosts;

	advance(f, st->now_ns / NS_PER_S);
	if (f->have_stat)
		compare_counters(f, st);
	ghosts = fc_known_entries(f) - st->count;
	if (ghosts > 3.0)
		drop_ghosts(f, (int32_t)ghosts);
	f->residual = (double)st->count - fc_known_entries(f);
	f->arrivals_this_s = 0;
	f->stat = *st;
	f->late.rule = st->collector;
	f->have_stat = true;
	fc_record_second(&f->record, f->now_s, st->count, !st->max || st->count <= 0.97 * st->max);
}
