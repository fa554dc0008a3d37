// SPDX-License-Identifier: GPL-2.0-or-later
/* The answer, of what was learnt and of a changed copy. See forecast.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/forecast/forecast.h"
#include "lib/forecast/paths.h"
#include "lib/forecast/state.h"
#include "lib/forecast/verdict.h"

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

/* ---- the answer ---- */

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
	fc_verdict(f, w->saw_now, out);
}

void forecast_compute(struct forecast *f, struct fc_forecast *out)
{
	double lo[FC_RECORD_HORIZONS], hi[FC_RECORD_HORIZONS];
	unsigned int h;

	answer(f, work_of(f), out);
	f->alarm = out->alarm;
	for (h = 0; h < FC_RECORD_HORIZONS; h++) {
		lo[h] = out->count[h].lo80;
		hi[h] = out->count[h].hi80;
	}
	if (f->have_stat)
		fc_record_keep(&f->record, f->now_s, lo, hi);
}

/* ---- what if ---- */

static void empty(struct fc_population *p)
{
	memset(p, 0, sizeof(*p));
}

static void scale_arrivals(struct fc_class *cl, double times)
{
	struct fc_arrivals *a = &cl->arrivals;
	unsigned int i;

	for (i = 0; i < FC_HISTORY; i++)
		a->y[i] *= (float)times;
	a->mean_per_s *= times;
	cl->to_return *= (float)times;
	for (i = 0; i < FC_PULSES; i++)
		cl->pulses.size[i] *= (float)times;
}

static bool change_class(struct forecast *f, const struct fc_change *ch)
{
	unsigned int c, s, k;

	for (c = 0; c < FC_CLASSES; c++) {
		struct fc_class *cl = &f->cls[c];

		if (!cl->used || cl->pooled || cl->l4proto != ch->l4proto || cl->port != ch->port ||
		    cl->direction != ch->direction)
			continue;
		scale_arrivals(cl, ch->kind == FC_RATE ? fmax(ch->value, 0.0) : 0.0);
		for (k = 0; k < FC_COEFS; k++)
			f->season.v[c][k] *= ch->kind == FC_RATE ? fmax(ch->value, 0.0) : 0.0;
		for (s = 0; s < FC_STAGES; s++)
			if (cl->cell[s] != FC_NO_CELL &&
			    (ch->kind == FC_WITHOUT ||
			     (ch->kind == FC_CAPPED && (s == FC_ESTABLISHED || s == FC_ASSURED))))
				empty(&f->cell[cl->cell[s]].pop);
		f->pool += ch->kind == FC_CAPPED ? fmax(ch->value, 0.0) : 0.0;
		return true;
	}
	return false;
}

static bool change(struct forecast *f, const struct fc_change *ch)
{
	if (ch->kind == FC_LIMIT) {
		f->stat.max = (uint32_t)fmin(fmax(ch->value, 0.0), UINT32_MAX);
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
