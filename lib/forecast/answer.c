// SPDX-License-Identifier: GPL-2.0-or-later
/* The answer, of what was learnt and of a changed copy. See forecast.h. */
#include "lib/forecast/forecast.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/forecast/paths.h"
#include "lib/forecast/state.h"

#define ALARM_ON    0.47
#define ALARM_OFF   0.35
#define ALARM_SOON  0.6 /* within 20 min, and then */
#define ALARM_LEAST 0.2 /* within 10 */
#define COLD_S	    40
#define HALF_KNOWN  0.25 /* of the count, that is in no stage */

/* Working memory lies behind what was learnt. */
static struct fc_work *work_of(struct forecast *f)
{
	return (struct fc_work *)(f + 1);
}

double forecast_hit_ratio(const struct forecast *f, unsigned int h, unsigned int *compared)
{
	unsigned int n = h < FC_RECORD_HORIZONS ? f->record.compared[h] : 0;

	if (compared)
		*compared = n;
	return n ? (double)f->record.held[h] / n : 0.0;
}

static void silence(const struct forecast *f, struct fc_forecast *out)
{
	double unknown = fabs(f->residual) - 10.0;

	out->silence = FC_SAYS;
	out->watching_s = 0.0;
	if (f->events_off) {
		out->silence = FC_NO_EVENTS;
	} else if (fc_watched_s(f) < COLD_S) {
		out->silence = FC_STARTING;
		out->watching_s = (double)(COLD_S - fc_watched_s(f));
	} else if (f->now_s < f->silent_until_s) {
		out->silence = f->silence;
		out->watching_s = (double)(f->silent_until_s - f->now_s);
	} else if (unknown > HALF_KNOWN * f->stat.count) {
		out->silence = FC_LOSING_EVENTS;
		out->watching_s = COLD_S;
	}
}

/*
 * From numbers to one verdict: what it is about, the number beside it and the word for it are
 * of the same moment, an hour from now. saw_now: how far the count is above the middle of the
 * collector's sawtooth.
 */
static void verdict(const struct forecast *f, double saw_now, struct fc_forecast *out)
{
	double p = out->p_full[4], now = f->stat.count, later = out->steady_entries;

	silence(f, out);
	out->alarm = out->limit && out->silence != FC_NO_EVENTS &&
		     (p >= (f->alarm ? ALARM_OFF : ALARM_ON) ||
		      (p >= ALARM_LEAST && out->p_full[5] >= ALARM_SOON));
	/* a saw is neither filling nor draining: what is between its teeth counts */
	now -= saw_now;
	if (out->limit && f->stat.count >= out->limit)
		out->verdict = FC_FULL;
	else if (out->silence != FC_SAYS)
		out->verdict = FC_WATCHING;
	else if (!out->limit)
		out->verdict = FC_UNLIMITED;
	else if (out->p_full[FC_FULL_HORIZONS - 1] >= 0.5)
		out->verdict = FC_FILLING;
	else if (fabs(later - now) < 0.05 * now + 10.0)
		out->verdict = FC_STEADY;
	else
		out->verdict = later > now ? FC_LEVELS_OFF : FC_DRAINING;
	/* full or not is said by the chance alone: the level beside it stays below the limit */
	if (out->limit && out->verdict != FC_FILLING && out->verdict != FC_FULL)
		out->steady_entries = fmin(out->steady_entries, out->limit);
}

static double soft_entries(const struct forecast *f)
{
	double n = 0.0;
	unsigned int i;

	for (i = 0; i < f->n_cells; i++) {
		unsigned int s = f->cell[i].stage;

		if (f->cell[i].used &&
		    (s == FC_SYN_SENT || s == FC_SYN_RECV || s == FC_UNREPLIED || s == FC_REPLIED))
			n += f->cell[i].pop.total;
	}
	return n;
}

static void answer(const struct forecast *f, struct fc_work *w, struct fc_forecast *out)
{
	memset(out, 0, sizeof(*out));
	out->now_ns = f->stat.now_ns;
	out->tte_s = out->tte_early_s = out->tte_late_s = INFINITY;
	if (f->have_stat) {
		out->limit = f->stat.max;
		if (f->stat.ceiling && (!out->limit || f->stat.ceiling < out->limit))
			out->limit = f->stat.ceiling;
		out->soft_entries = soft_entries(f);
		fc_paths(f, w, out);
	}
	verdict(f, w->saw_now, out);
}

void forecast_compute(struct forecast *f, struct fc_forecast *out)
{
	answer(f, work_of(f), out);
	f->alarm = out->alarm;
	if (f->have_stat)
		fc_record_keep(&f->record, f->now_s, out->count);
}

/* ---- what if ---- */

/* `times` as many arrive. */
static void scale_arrivals(struct forecast *f, struct fc_class *cl, double times)
{
	double *season = f->season.v[cl - f->cls];
	unsigned int i;

	for (i = 0; i < FC_HISTORY; i++)
		cl->arrivals.y[i] *= (float)times;
	cl->arrivals.mean_per_s *= times;
	cl->to_return *= (float)times;
	for (i = 0; i < FC_PULSES; i++)
		cl->pulses.last[i].size *= (float)times;
	for (i = 0; i < FC_COEFS; i++)
		season[i] *= times;
}

static bool change_class(struct forecast *f, const struct fc_change *ch)
{
	const struct fc_class *found = fc_class_find(f, ch->l4proto, ch->direction, ch->port);
	struct fc_class *cl = found ? &f->cls[found - f->cls] : NULL;
	unsigned int s;

	if (!cl)
		return false;
	scale_arrivals(f, cl, ch->kind == FC_RATE ? fmax(ch->value, 0.0) : 0.0);
	for (s = 0; s < FC_STAGES; s++)
		if (cl->cell[s] != FC_NO_CELL &&
		    (ch->kind == FC_WITHOUT ||
		     (ch->kind == FC_CAPPED && (s == FC_ESTABLISHED || s == FC_ASSURED))))
			f->cell[cl->cell[s]].pop = (struct fc_population){0};
	f->pool += ch->kind == FC_CAPPED ? fmax(ch->value, 0.0) : 0.0;
	return true;
}

static bool change(struct forecast *f, const struct fc_change *ch)
{
	if (ch->kind == FC_LIMIT) {
		f->stat.max = (uint32_t)fc_between(ch->value, 0.0, UINT32_MAX);
		return true;
	}
	if (ch->kind == FC_TIMEOUT) {
		if (ch->l4proto >= FC_L4PROTOS || ch->stage >= FC_STAGES || !(ch->value >= 1.0))
			return false;
		forecast_timeout(f, ch->l4proto, (enum fc_stage)ch->stage,
				 (uint32_t)fmin(ch->value, 1 << 30));
		return true;
	}
	return change_class(f, ch);
}

int forecast_compute_with(const struct forecast *f, const struct fc_change *ch, unsigned int n,
			  struct fc_forecast *out, unsigned int *ret_unknown)
{
	struct forecast *copy = malloc(sizeof(*copy) + sizeof(struct fc_work));
	unsigned int i, unknown = 0;
	double before, after;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, f, sizeof(*copy));
	before = fc_known_entries(copy);
	for (i = 0; i < n; i++)
		unknown += !change(copy, &ch[i]);
	after = fc_known_entries(copy) + copy->pool;
	copy->stat.count = (uint32_t)fmax((double)copy->stat.count + after - before, 0.0);
	copy->silent_until_s = f->silent_until_s;
	work_of(copy)->saw_now = 0.0;
	answer(copy, work_of(copy), out);
	free(copy);
	if (ret_unknown)
		*ret_unknown = unknown;
	return 0;
}

/* ---- in words ---- */

static void filling(const struct fc_forecast *fc, char *buf, size_t size)
{
	char late[32] = " or later";

	if (isfinite(fc->tte_late_s))
		snprintf(late, sizeof(late), "-%.0f", ceil(fc->tte_late_s / 60.0));
	snprintf(buf, size, "full in about %.0f min (%.0f%s)", fc->tte_s / 60.0,
		 floor(fc->tte_early_s / 60.0), late);
}

static void silent(const struct fc_forecast *fc, char *buf, size_t size)
{
	static const char *const why[] = {
		[FC_SAYS] = "watching",
		[FC_STARTING] = "watching",
		[FC_LOSING_EVENTS] = "events were lost, watching",
		[FC_OVERLOADED] = "the table was full, watching",
		[FC_TIMEOUTS_CHANGED] = "a timeout was changed, watching",
	};

	if (fc->silence == FC_NO_EVENTS)
		snprintf(buf, size, "cannot say: the kernel makes no events");
	else
		snprintf(buf, size, "cannot say yet: %s for %.0f s", why[fc->silence],
			 fc->watching_s);
}

void fc_words(const struct fc_forecast *fc, char *buf, size_t size)
{
	static const char *const moves[] = {
		[FC_STEADY] = "stays at",
		[FC_LEVELS_OFF] = "levels off at",
		[FC_DRAINING] = "draining to",
	};

	if (fc->verdict == FC_WATCHING)
		silent(fc, buf, size);
	else if (fc->verdict == FC_FULL)
		snprintf(buf, size, "full");
	else if (fc->verdict == FC_FILLING)
		filling(fc, buf, size);
	else if (fc->verdict == FC_UNLIMITED)
		snprintf(buf, size, "no limit; settles at %.0f entries", fc->steady_entries);
	else
		snprintf(buf, size, "%s %.0f %%", moves[fc->verdict],
			 fc->limit ? 100.0 * fc->steady_entries / fc->limit : 0.0);
}
