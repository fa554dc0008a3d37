// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When expired entries go. They are counted until a look-up meets them in its
 * chain, or the collector (gc_worker, net/netfilter/nf_conntrack_core.c) comes
 * round: every 1 to 60 s, at intervals of the mean remaining timeout. Where packets
 * are many for the number of buckets, look-ups take them within seconds; where they
 * are few, the collector takes all at once, and the count is a saw whose teeth are as
 * high as what expires between two rounds.
 *
 * The projection knows the mean lateness only. Here the rounds are recognised, and
 * the difference they make is added to the projected count.
 */
#include "agent/forecast_priv.h"

#include <math.h>

#define ROUND_MAX_S 60.0	/* GC_SCAN_INTERVAL_MAX */
#define LATE_S 3		/* late enough to have been overlooked by look-ups */
#define LATE_LEAST 4		/* so many at once are a round */
#define ENOUGH_ROUNDS 3
#define MEMORY_S 300.0
#define JITTER_UNKNOWN 0.2
#define JITTER_LEAST 0.03

/* Below this the hazard of one past its deadline cannot be: the collector comes. */
float fc_collector_floor(const struct forecast *f, double late_s)
{
	if (f->collector.rounds >= ENOUGH_ROUNDS)
		return 0.0f;	/* what was seen tells more */
	return late_s < ROUND_MAX_S ? (float)(1.0 / (ROUND_MAX_S + 2.0 - late_s)) : 0.5f;
}

void fc_collector_exit(struct forecast *f, int64_t late_s)
{
	f->collector.expired_now++;
	f->collector.late_now += late_s >= LATE_S;
}

/* n entries are past their deadline, by so much, at the end of a second. */
void fc_collector_overdue(struct forecast *f, int64_t late_s, int32_t n)
{
	struct fc_collector *co = &f->collector;

	/* who outlived a round has not expired: packets came without an event */
	if (co->rounds && late_s > f->now_s - co->last_round_s)
		return;
	co->overdue += n;
	if (late_s >= LATE_S - 1)
		co->late_overdue += n;
}

static void saw_round(struct forecast *f)
{
	struct fc_collector *co = &f->collector;
	double gap = (double)(f->now_s - co->last_round_s);

	/* a round through a large table takes seconds */
	if (co->rounds && gap < 3.0) {
		co->last_round_s = f->now_s;
		return;
	}
	if (co->rounds && gap < ROUND_MAX_S + 10.0) {
		co->jitter = 0.5 * (co->jitter + fabs(gap - co->period_s) / gap);
		co->period_s = co->rounds == 1 ? gap : 0.5 * (co->period_s + gap);
		co->due_per_s = co->rounds == 1 ? co->expired / gap : 0.5 * (co->due_per_s + co->expired / gap);
	} else {
		co->period_s = ROUND_MAX_S;
		co->jitter = JITTER_UNKNOWN;
	}
	co->expired = 0.0;
	co->rounds++;
	co->last_round_s = f->now_s;
}

/* Before the population of the second that is over is looked at. */
void fc_collector_second(struct forecast *f)
{
	struct fc_collector *co = &f->collector;
	double keep = exp(-1.0 / MEMORY_S);
	bool round = co->late_now >= LATE_LEAST && co->late_now * 4 >= co->late_overdue * 3;

	co->expired += co->expired_now;
	if (round) {
		saw_round(f);
	} else {
		co->taken = keep * co->taken + co->expired_now;
		co->waited_s = keep * co->waited_s + co->overdue + 0.5 * co->expired_now;
	}
	co->expired_now = co->late_now = co->overdue = co->late_overdue = 0;
}

/* Rate at which look-ups meet one that has expired. */
static double taken_per_s(const struct fc_collector *co)
{
	return (co->taken + 0.5) / (co->waited_s + 2.0);
}

/* Mean of what waits for the collector when `1` expires a second. */
static double mean_late_s(double per_s, double period_s)
{
	double x = per_s * period_s;

	if (x < 1e-3)
		return 0.5 * period_s;
	return (1.0 - (1.0 - exp(-x)) / x) / per_s;
}

/* What there is of the saw at each moment, by the mean lateness alone. */
static void mean_waiting(const struct fc_collector *co, double late_s, const float *time_s,
			 const float *due, unsigned int n, float *mean)
{
	double at = co->overdue_last, t = 0.0, before = 0.0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		double dt = (double)time_s[i] - t, keep = exp(-dt / late_s);

		at = at * keep + fmax((double)due[i] - before, 0.0) / dt * late_s * (1.0 - keep);
		mean[i] = (float)at;
		t = (double)time_s[i];
		before = (double)due[i];
	}
}

struct saw {
	double per_s, period_s, next_s;	/* next: of the coming round, from now */
};

static void add_saw(struct saw saw, double waiting, const float *keep, const float *time_s,
		    const float *due, unsigned int n, float *path)
{
	double t = 0.0, before = 0.0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		double at = (double)time_s[i], dt = at - t, since = dt, left = (double)keep[i];
		double out = fmax((double)due[i] - before, 0.0);

		if (saw.next_s <= at) {		/* the last round within this step */
			saw.next_s += saw.period_s * floor((at - saw.next_s) / saw.period_s);
			since = at - saw.next_s;
			saw.next_s += saw.period_s;
			waiting = 0.0;
			left = exp(-saw.per_s * since);
		}
		waiting = waiting * left + out * (since / dt) * sqrt(left);
		path[i] += (float)waiting;
		t = at;
		before = (double)due[i];
	}
}

static bool has_rounds(const struct forecast *f, double late_s)
{
	const struct fc_collector *co = &f->collector;

	return co->rounds >= 2 && f->now_s - co->last_round_s <= (int64_t)(2.0 * ROUND_MAX_S) &&
	       late_s >= 3.0;
}

/*
 * due[i]: entries whose deadline passes up to time_s[i], as a mean. Adds to each
 * path what waits for the collector then, less what the projection's mean lateness
 * has of it already. Each path has a period of its own: nobody knows it better.
 */
void fc_collector_add(struct forecast *f, const float *time_s, const float *due, unsigned int n)
{
	const struct fc_collector *co = &f->collector;
	double late_s = mean_late_s(taken_per_s(co), co->period_s);
	float mean[FC_TIMES], keep[FC_TIMES];
	struct saw saw = {.per_s = taken_per_s(co)};
	unsigned int p, i;

	if (!has_rounds(f, late_s))
		return;
	f->level_600 = 0.0;
	for (p = 0; p < FC_PATHS; p++)
		f->level_600 += (double)f->path[p][FC_AT_600] / FC_PATHS;
	mean_waiting(co, late_s, time_s, due, n, mean);
	for (i = 0; i < n; i++)
		keep[i] = (float)exp(-saw.per_s * (double)(time_s[i] - (i ? time_s[i - 1] : 0.0f)));
	for (p = 0; p < FC_PATHS; p++) {
		double z = (double)f->normal[(911 + 7 * p) % FC_NORMALS];

		saw.period_s = fmax(co->period_s * (1.0 + fmax(co->jitter, JITTER_LEAST) * z), 2.0);
		saw.next_s = fmax((double)(co->last_round_s - f->now_s) + saw.period_s, 0.5);
		add_saw(saw, co->overdue_last, keep, time_s, due, n, f->path[p]);
		for (i = 0; i < n; i++)
			f->path[p][i] -= mean[i];
	}
}

bool fc_collector_saw(const struct forecast *f, double *above)
{
	const struct fc_collector *co = &f->collector;
	double late_s = mean_late_s(taken_per_s(co), co->period_s);

	*above = co->overdue_last - co->due_per_s * late_s;
	return has_rounds(f, late_s);
}
