// SPDX-License-Identifier: GPL-2.0-or-later
/* The forecast: what comes in, the seconds, own record, verdict. See forecast.h. */
#include "lib/forecast/priv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S    1000000000
#define ALARM_ON    0.47
#define ALARM_OFF   0.35
#define ALARM_SOON  0.6 /* within 20 min, and then */
#define ALARM_LEAST 0.2 /* within 10 */
#define COLD_S	    40
/* Shocks, which nobody could know of, are among what falls outside: more than 20 % */
#define OUTSIDE	 0.22
#define RETURN_S 180 /* within which those thrown out come back */

_Static_assert(sizeof(struct forecast) <= 8u << 20, "the forecast has 8 MiB");

static const uint32_t default_timeout_s[FC_STAGES] = {
	120, 60, 432000, 120, 60, 30, 120, 10, 30, 30, 120, 0,
};

size_t forecast_size(void)
{
	return sizeof(struct forecast);
}

struct forecast *forecast_create(int64_t now_ns)
{
	struct forecast *f = calloc(1, sizeof(*f));
	uint64_t s = 88172645463325252u;
	unsigned int i, p;

	if (!f) {
		errno = ENOMEM;
		return NULL;
	}
	f->start_s = f->now_s = now_ns / NS_PER_S;
	f->last_full_s = f->last_evict_s = INT64_MIN / 2;
	f->season.day_s = 86400.0;
	fc_stays_init(f);
	for (p = 0; p < FC_L4PROTOS; p++) {
		memcpy(f->sysctl_timeout_s[p], default_timeout_s, sizeof(default_timeout_s));
		fc_class_init(&f->cls[p], (uint8_t)p, 0, 0, true);
	}
	for (i = 0; i < 3; i++)
		f->scale[i] = 1.0;
	/* normals by Box and Muller from xorshift: a fixed table */
	for (i = 0; i < FC_NORMALS; i += 2) {
		double u[2], r;

		for (p = 0; p < 2; p++) {
			s ^= s << 13;
			s ^= s >> 7;
			s ^= s << 17;
			u[p] = ((double)(s >> 11) + 0.5) / 9007199254740992.0;
		}
		r = sqrt(-2.0 * log(u[0]));
		f->normal[i] = (float)(r * cos(6.283185307179586 * u[1]));
		f->normal[i + 1] = (float)(r * sin(6.283185307179586 * u[1]));
	}
	return f;
}

void forecast_destroy(struct forecast *f)
{
	free(f);
}

void forecast_timeout(struct forecast *f, uint8_t l4proto, enum fc_stage stage, uint32_t timeout_s)
{
	unsigned int i;

	if (l4proto >= FC_L4PROTOS || (unsigned int)stage >= FC_STAGES || !timeout_s ||
	    timeout_s > 1u << 30)
		return;
	f->sysctl_timeout_s[l4proto][stage] = timeout_s;
	for (i = 0; i < f->n_cells; i++) {
		struct fc_cell *c = &f->cell[i];

		if (c->used && c->stage == stage && f->cls[c->class_id].l4proto == l4proto) {
			c->heard_timeout_s = timeout_s;
			c->heard_times = 3;
			fc_cell_timeout(f, c, timeout_s);
		}
	}
}

void forecast_day(struct forecast *f, uint32_t day_s)
{
	if (day_s < 600 || day_s > 7 * 86400 || (double)day_s == f->season.day_s)
		return;
	memset(&f->season, 0, sizeof(f->season));
	f->season.day_s = day_s;
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
	usual = cl->rate.mean_per_s * FC_BIN_S;
	excess = cl->rate.bin_arrivals - usual - sqrt(usual);
	if (excess > 0.0) {
		excess = fmin(excess, cl->to_return);
		cl->rate.bin_arrivals -= excess;
		cl->to_return -= (float)excess;
	}
	/* after that, whoever comes is new: the rate would be found too low */
	cl->to_return *=
		(float)exp(-FC_BIN_S / (now_s - cl->thrown_out_s < RETURN_S ? 900.0 : 40.0));
	if (cl->to_return < 1.0f)
		cl->to_return = 0.0f;
}

static void advance(struct forecast *f, int64_t now_s)
{
	unsigned int c, limit = 0;

	/* a clock that leaps is not lived through second by second */
	if (now_s - f->now_s > 3600)
		f->now_s = now_s - 60;
	while (f->now_s < now_s && limit++ < 4000) {
		fc_cells_second(f);
		if (f->now_s % FC_BIN_S)
			continue;
		for (c = 0; c < FC_CLASSES; c++) {
			if (!f->cls[c].used)
				continue;
			returned(&f->cls[c], f->now_s);
			f->cls[c].rate.bin_arrivals =
				fc_pulse_bin(&f->cls[c].pulses, f->cls[c].rate.bin_arrivals,
					     f->now_s, f->now_s - f->start_s);
			fc_history_add(&f->cls[c].history, &f->cls[c].rate);
			fc_rate_bin(&f->cls[c].rate, f->now_s);
			f->cls[c].rate.counted = f->cls[c].rate.bin_arrivals;
		}
		fc_season_bin(f);
	}
}

static void enter(struct forecast *f, struct fc_move *m, int64_t since_s, bool unknown)
{
	struct fc_class *cl = fc_class_of(f, m, since_s, unknown);
	struct fc_cell *c = fc_cell_of(f, cl, m->to);

	if (!c)
		return;
	cl->last_seen_s = f->now_s;
	if (!m->found) {
		c->entered = fminf(c->entered + 1.0f, 1e6f);
		fc_cell_timeout(f, c, m->timeout_s);
	}
	fc_cell_add(f, c, since_s, unknown);
	if (m->from == FC_NONE && !m->found) {
		cl->rate.bin_arrivals += 1.0;
		cl->first[c->stage] += 1.0f;
		f->arrivals_this_s++;
		if (cl->first[c->stage] > 2000.0f) {
			unsigned int s;

			for (s = 0; s < FC_STAGES; s++)
				cl->first[s] *= 0.5f;
		}
	}
}

/* Since when an entry found with this much of its timeout left is in its stage. */
static int64_t since_of_found(const struct forecast *f, const struct fc_move *m)
{
	uint8_t proto = m->l4proto < FC_L4PROTOS ? m->l4proto : FC_L4PROTOS - 1;
	uint32_t timeout_s;

	if (m->to >= FC_STAGES || !m->timeout_s || m->to == FC_ESTABLISHED || m->to == FC_ASSURED ||
	    m->to == FC_UNKNOWN)
		return FC_SINCE_UNKNOWN;
	timeout_s = f->sysctl_timeout_s[proto][m->to];
	if (m->timeout_s > timeout_s)
		return FC_SINCE_UNKNOWN;
	return (m->now_ns - (int64_t)(timeout_s - m->timeout_s) * NS_PER_S) & -FC_KEEP_NS;
}

static void leave(struct forecast *f, const struct fc_move *m, int64_t since_s, bool unknown)
{
	struct fc_class *cl = fc_class_of(f, m, since_s, unknown);
	struct fc_cell *c = fc_cell_of(f, cl, m->from);
	bool expired = m->to == FC_NONE && m->end == FC_END_EXPIRED, crowded;
	unsigned int to = m->to == FC_NONE ? FC_STAGES : m->to < FC_STAGES ? m->to : FC_UNKNOWN;

	if (!c)
		return;
	fc_cell_remove(f, c, since_s, unknown);
	if (m->to == FC_NONE && m->end == FC_END_UNKNOWN)
		return;
	/* near the limit the kernel evicts: that is not how long entries stay */
	crowded = f->have_stat && f->stat.max &&
		  (uint64_t)f->stat.count * 100 > (uint64_t)f->stat.max * 94;
	if (m->to == FC_NONE && !expired && crowded)
		return;
	if (to < FC_STAGES && to <= c->stage)
		return;
	fc_cell_exit(f, c, since_s, unknown, to, expired);
}

void forecast_move(struct forecast *f, struct fc_move *m)
{
	bool unknown = m->since_ns == FC_SINCE_UNKNOWN;
	int64_t since_s = unknown ? 0 : m->since_ns / NS_PER_S;

	advance(f, m->now_ns / NS_PER_S);
	f->move_ns = m->now_ns;
	m->keep_since_ns = m->now_ns;
	if (m->from != FC_NONE)
		leave(f, m, since_s, unknown);
	if (m->to == FC_NONE)
		return;
	if (m->found && m->from == FC_NONE && m->since_ns != FC_SINCE_UNKNOWN)
		m->keep_since_ns = m->since_ns;
	else if (m->found && m->from == FC_NONE)
		m->keep_since_ns = since_of_found(f, m);
	unknown = m->keep_since_ns == FC_SINCE_UNKNOWN;
	enter(f, m, unknown ? 0 : m->keep_since_ns / NS_PER_S, unknown);
}

void forecast_notice(struct forecast *f, enum fc_notice what, int64_t now_ns)
{
	unsigned int c;

	f->unsure_until_s = now_ns / NS_PER_S + (what == FC_EVENTS_LOST ? 15 : 5);
	if (what != FC_EVENTS_LOST)
		return;
	for (c = 0; c < FC_CLASSES; c++)
		f->cls[c].rate.censored = true;
}

static int32_t known_entries(const struct forecast *f)
{
	unsigned int c;
	int32_t n = 0;

	for (c = 0; c < FC_CLASSES; c++)
		if (f->cls[c].used)
			n += f->cls[c].n_total;
	return n;
}

/* Packets dropped at the limit were arrivals too. */
static void censored_arrivals(struct forecast *f, uint64_t dropped)
{
	double total = 0.0;
	unsigned int c;

	for (c = 0; c < FC_CLASSES; c++)
		total += f->cls[c].used ? f->cls[c].rate.mean_per_s : 0.0;
	/* a client tries about three times: not three arrivals */
	for (c = 0; c < FC_CLASSES && total > 0.0; c++)
		if (f->cls[c].used)
			f->cls[c].rate.bin_arrivals +=
				0.4 * (double)dropped * f->cls[c].rate.mean_per_s / total;
}

static void health_past(struct forecast *f);

void forecast_second(struct forecast *f, const struct fc_stat *st)
{
	double residual;
	uint32_t before = f->stat.count;

	advance(f, st->now_ns / NS_PER_S);
	residual = (double)st->count - known_entries(f);
	if (f->have_stat) {
		/* events missed: the rates of this bin are not what arrived */
		if (fabs(residual) > fabs(f->residual) + 3.0 + 0.1 * f->arrivals_this_s)
			forecast_notice(f, FC_EVENTS_LOST, st->now_ns);
		if (st->drop > f->last_drop && st->drop - f->last_drop < 1u << 20)
			censored_arrivals(f, st->drop - f->last_drop);
	}
	if (residual < -3.0) {
		fc_cells_drop_ghosts(f, (int32_t)-residual);
		residual = (double)st->count - known_entries(f);
	}
	f->residual = residual;
	f->arrivals_this_s = 0;
	f->stat = *st;
	f->last_drop = st->drop;
	f->last_early = st->early_drop;
	if (f->have_stat)
		fc_full_second(f, before);
	f->have_stat = true;
	health_past(f);
}

/* ---- own record ---- */

static void compare(struct forecast *f, struct fc_record_entry *r, unsigned int h)
{
	double now = f->stat.count, half;
	bool in = now >= r->lo[h] && now <= r->hi[h];

	if (h == 2) {
		f->compared++;
		f->hits += in;
	}
	if (f->stat.max && now > 0.97 * f->stat.max)
		return;
	/* online conformal: the share outside goes there */
	half = in ? -OUTSIDE : 1.0 - OUTSIDE;
	f->scale[h] *= exp(0.04 * half);
	f->scale[h] = fmin(fmax(f->scale[h], 0.6), 2.5);
}

static void health_past(struct forecast *f)
{
	unsigned int i, h;

	for (i = 0; i < f->n_records; i++) {
		struct fc_record_entry *r = &f->record[i];

		for (h = 0; h < 3; h++) {
			if (r->done & 1u << h || f->now_s < r->at_s + fc_horizon_s[h])
				continue;
			r->done |= (uint8_t)(1u << h);
			compare(f, r, h);
		}
	}
}

static void keep_record(struct forecast *f, const struct fc_forecast *out)
{
	struct fc_record_entry *r;
	unsigned int h;

	if (f->n_records &&
	    f->now_s - f->record[(f->record_at + FC_RECORDS - 1) % FC_RECORDS].at_s < 10)
		return;
	r = &f->record[f->record_at];
	f->record_at = (f->record_at + 1) % FC_RECORDS;
	if (f->n_records < FC_RECORDS)
		f->n_records++;
	memset(r, 0, sizeof(*r));
	r->at_s = f->now_s;
	for (h = 0; h < 3; h++) {
		r->p50[h] = (float)out->count[h].p50;
		r->lo[h] = (float)out->count[h].lo80;
		r->hi[h] = (float)out->count[h].hi80;
	}
}

double forecast_hit_ratio(const struct forecast *f, unsigned int *compared)
{
	if (compared)
		*compared = f->compared;
	return f->compared ? (double)f->hits / f->compared : 0.0;
}

/* ---- the answer ---- */

static double soft_entries(const struct forecast *f)
{
	double n = 0.0;
	unsigned int i;

	for (i = 0; i < f->n_cells; i++) {
		const struct fc_cell *c = &f->cell[i];

		if (c->used && (c->stage == FC_SYN_SENT || c->stage == FC_SYN_RECV ||
				c->stage == FC_UNREPLIED || c->stage == FC_REPLIED))
			n += c->n_total;
	}
	return n;
}

static void decide(struct forecast *f, struct fc_forecast *out)
{
	double p = out->p_full[4], now = f->stat.count, later = out->count[2].p50;
	/* a saw is neither filling nor draining: what is between its teeth counts */
	double level = now - f->saw_now;
	double cold = COLD_S - (double)(f->now_s - f->start_s);
	unsigned int h;

	later -= f->saw_600;
	f->alarm = out->limit && (p >= (f->alarm ? ALARM_OFF : ALARM_ON) ||
				  (p >= ALARM_LEAST && out->p_full[5] >= ALARM_SOON));
	out->alarm = f->alarm;
	if (!out->limit)
		out->verdict = FC_UNLIMITED;
	else if (now >= out->limit)
		out->verdict = FC_FULL;
	else if (cold > 0.0) {
		out->verdict = FC_WATCHING;
		out->watching_s = cold;
	} else if (out->p_full[7] >= 0.5)
		out->verdict = FC_FILLING;
	else if (fabs(later - level) < 0.05 * now + 10.0)
		out->verdict = FC_STEADY;
	else
		out->verdict = later > level ? FC_LEVELS_OFF : FC_DRAINING;
	for (h = 0; h < FC_FULL_HORIZONS; h++) {
		out->p_full[h] = fmin(out->p_full[h], 1.0);
		out->p_drop[h] = fmin(out->p_drop[h], out->p_full[h]);
	}
}

void forecast_compute(struct forecast *f, struct fc_forecast *out)
{
	memset(out, 0, sizeof(*out));
	out->now_ns = f->stat.now_ns;
	out->tte_s = out->tte_early_s = out->tte_late_s = INFINITY;
	out->verdict = FC_WATCHING;
	out->watching_s = COLD_S;
	if (!f->have_stat)
		return;
	out->limit = f->stat.max;
	if (f->stat.ceiling && (!out->limit || f->stat.ceiling < out->limit))
		out->limit = f->stat.ceiling;
	out->soft_entries = soft_entries(f);
	fc_paths(f, out);
	decide(f, out);
	keep_record(f, out);
}

void fc_words(const struct fc_forecast *fc, char *buf, size_t size)
{
	double share = fc->limit ? 100.0 * fc->steady_entries / fc->limit : 0.0;

	switch (fc->verdict) {
	case FC_WATCHING:
		snprintf(buf, size, "cannot say yet: watching for %.0f s", fc->watching_s);
		break;
	case FC_FULL:
		snprintf(buf, size, "full");
		break;
	case FC_FILLING:
		if (isfinite(fc->tte_late_s))
			snprintf(buf, size, "full in about %.0f min (%.0f-%.0f)", fc->tte_s / 60.0,
				 floor(fc->tte_early_s / 60.0), ceil(fc->tte_late_s / 60.0));
		else
			snprintf(buf, size, "full in about %.0f min (%.0f or later)",
				 fc->tte_s / 60.0, floor(fc->tte_early_s / 60.0));
		break;
	case FC_UNLIMITED:
		snprintf(buf, size, "no limit; heads for %.0f entries", fc->steady_entries);
		break;
	case FC_LEVELS_OFF:
		snprintf(buf, size, "levels off at %.0f %%", share);
		break;
	case FC_DRAINING:
		snprintf(buf, size, "draining to %.0f %%", share);
		break;
	default:
		snprintf(buf, size, "steady at %.0f %%", share);
		break;
	}
}
