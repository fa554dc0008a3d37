// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/stays.h"

#include <math.h>
#include <string.h>

const double fc_memory_s[FC_MEMORIES] = {60.0, 400.0, 3000.0};

#define NS_PER_S     1000000000
#define END_MEMORY_S 1200.0
#define USUAL_S	     30.0f /* exits, mean over */
#define LATE_MOST_S  80	   /* later ones of a fixed deadline were lost */
#define RULE_ROUNDS  3.0f  /* until the collector has come so often, its rule counts */
#define OLD_S	     5	   /* past their first seconds */
#define NONE_ENDED   0.05f /* what is left of one that did, when it is forgotten */

#define FEW_TIMES 3.0f /* the usual exits, and an incident has more */

_Static_assert(OLD_S < FC_BINS_FINE, "bins of a second");

/* ---- who is there ---- */

/* Of a slot's width: a shift costs a tenth of a division. */
static const unsigned int width_log2[FC_LEVELS] = {0, 3, 6, 10};

/* Where entries of this second of entry are counted. */
static int32_t *place_of(struct fc_population *p, int64_t now_s, int64_t since_s, bool unknown)
{
	unsigned int l;

	for (l = 0; l < FC_LEVELS && !unknown; l++) {
		int64_t at = since_s >> width_log2[l];

		if ((now_s >> width_log2[l]) - at < FC_SLOTS - 1)
			return &p->n[l][(uint64_t)at % FC_SLOTS];
	}
	return &p->unknown;
}

void fc_population_add(struct fc_population *p, int64_t now_s, int64_t since_s, bool unknown)
{
	p->total++;
	++*place_of(p, now_s, since_s, unknown);
}

void fc_population_remove(struct fc_population *p, int64_t now_s, int64_t since_s, bool unknown)
{
	int32_t *place = place_of(p, now_s, since_s, unknown);

	if (*place <= 0)
		place = &p->unknown;
	p->total -= p->total > 0;
	*place -= *place > 0;
}

void fc_population_fold(struct fc_population *p, int64_t now_s)
{
	unsigned int l;

	for (l = 0; l < FC_LEVELS; l++) {
		int64_t at = (now_s >> width_log2[l]) - (FC_SLOTS - 1);
		int32_t *held = &p->n[l][(uint64_t)at % FC_SLOTS], n = *held;

		if (now_s & ((1 << width_log2[l]) - 1) || at < 0 || !n)
			continue;
		*held = 0;
		*place_of(p, now_s, at << width_log2[l], false) += n;
	}
}

bool fc_population_next(const struct fc_population *p, int64_t now_s, struct fc_slot *slot)
{
	unsigned int at = slot->begun ? slot->at + 1 : 0, l = slot->level;

	slot->begun = true;
	for (; l < FC_LEVELS; l++, at = 0) {
		while (at < FC_SLOTS && !p->n[l][at])
			at++;
		if (at < FC_SLOTS)
			break;
	}
	if (l == FC_LEVELS)
		return false;
	slot->level = l;
	slot->at = at;
	slot->width_s = 1 << width_log2[l];
	slot->entries = p->n[l][at];
	now_s >>= width_log2[l];
	slot->since_s = now_s - (int64_t)(((uint64_t)now_s - at) % FC_SLOTS);
	slot->since_s = slot->since_s * slot->width_s + slot->width_s / 2;
	return true;
}

int32_t fc_population_drop(struct fc_population *p, const struct fc_slot *slot, int32_t n)
{
	int32_t *held = &p->n[slot->level][slot->at];

	n = n < *held ? n : *held;
	*held -= n;
	p->total -= n;
	return n;
}

/* ---- timeouts ---- */

void fc_cell_init(struct fc_cell *c, unsigned int class_id, unsigned int stage, uint32_t timeout_s)
{
	memset(c, 0, sizeof(*c));
	c->class_id = (uint8_t)class_id;
	c->stage = (uint8_t)stage;
	c->used = true;
	c->refreshed = stage == FC_ESTABLISHED || stage == FC_ASSURED || stage == FC_UNKNOWN;
	c->timeout_from_s = INT64_MIN;
	c->timeout_s = timeout_s;
}

uint32_t fc_cell_timeout_at(const struct fc_cell *c, int64_t since_s)
{
	return since_s >= c->timeout_from_s ? c->timeout_s : c->timeout_before_s;
}

void fc_cell_timeout(struct fc_cell *c, int64_t now_s, uint32_t timeout_s, bool sure)
{
	bool another = timeout_s != c->timeout_s;

	if (!timeout_s)
		return;
	/* Some entries of a port may have a timeout of their own: three in a row make another one
	 * that of most. */
	c->heard_times = !another ? 0 : timeout_s == c->heard_timeout_s ? c->heard_times + 1 : 1;
	c->heard_timeout_s = timeout_s;
	if (!another || (c->heard_times < 3 && c->timeout_s && !sure))
		return;
	c->timeout_from_s = c->timeout_s ? now_s : INT64_MIN;
	c->timeout_before_s = c->timeout_s;
	c->timeout_s = timeout_s;
	c->heard_times = 0;
}

bool fc_cell_fixed(const struct fc_cell *c)
{
	/* SYN/ACKs sent again move the deadline of SYN_RECV */
	return !c->refreshed && c->stage != FC_SYN_RECV;
}

/* ---- what is learnt ---- */

void fc_cell_leave(struct fc_cell *c, struct fc_late *late, const struct fc_leaving *leaving)
{
	int64_t age_s = leaving->now_ns / NS_PER_S - leaving->since_s, late_s;
	unsigned int bin = FC_AGE_BINS;

	if (!leaving->since_unknown) {
		bin = fc_bin(age_s, FC_AGE_BINS);
		late_s = age_s - (int64_t)fc_cell_timeout_at(c, leaving->since_s);
		if ((late_s >= 0 || leaving->expired) && leaving->since_s >= c->timeout_from_s) {
			c->risk_end[fc_bin(late_s, FC_LATE_BINS)] += 1.0f;
			c->ev_end[fc_bin(late_s, FC_LATE_BINS)] += leaving->expired;
		}
		if ((late_s >= 0 || leaving->expired) && fc_cell_fixed(c))
			fc_late_gone(late, late_s, (double)(leaving->now_ns % NS_PER_S) * 1e-9,
				     leaving->expired);
	}
	/* to stay until the deadline says nothing of who goes on */
	c->went[bin] += bin == FC_AGE_BINS || !leaving->expired;
	c->went_to[leaving->to] += !leaving->expired;
}

/* Charge the ages with who is of them; the deadlines with who is past them. */
static void expose(struct fc_cell *c, struct fc_late *late, int64_t now_s, bool unsure,
		   float *stayed)
{
	struct fc_slot slot = {0};

	while (fc_population_next(&c->pop, now_s, &slot)) {
		int64_t age = now_s - slot.since_s;

		stayed[fc_bin(age, FC_AGE_BINS)] += (float)slot.entries;
		age -= fc_cell_timeout_at(c, slot.since_s);
		if (age < 0 || unsure || (!c->refreshed && age > LATE_MOST_S))
			continue;
		if (slot.since_s >= c->timeout_from_s)
			c->risk_end[fc_bin(age, FC_LATE_BINS)] += (float)slot.entries;
		if (fc_cell_fixed(c) && slot.entries > 0)
			fc_late_waits(late, age, (uint32_t)slot.entries);
	}
	stayed[FC_AGE_BINS] = (float)c->pop.unknown;
}

/*
 * A good part of a stage gone within a second is an incident, not how long entries stay; but
 * where entries stay for seconds, so many go in each.
 */
static void look_for_incident(struct fc_cell *c, struct fc_seen *seen)
{
	float exits = 0.0f, usual = c->usual_exits;
	unsigned int b;

	for (b = OLD_S; b <= FC_AGE_BINS; b++)
		exits += seen->went[b];
	c->usual_exits += (fminf(exits, 2.0f * usual + 12.0f) - usual) / USUAL_S;
	seen->thrown_out = 0.0f;
	if (exits <= 12.0f + FEW_TIMES * usual || exits * 8.0f <= c->n_old)
		return;
	seen->thrown_out = exits;
	for (b = 0; b <= FC_AGE_BINS; b++) { /* else they would have stayed */
		seen->stayed[b] += seen->went[b];
		seen->went[b] = 0.0f;
	}
	memset(c->went_to, 0, sizeof(c->went_to));
}

static void learn(struct fc_cell *c, const struct fc_seen *seen, bool unsure)
{
	unsigned int m, b;

	for (b = 0; b <= FC_AGE_BINS; b++) {
		float went = seen->went[b], stayed = unsure ? 0.0f : seen->stayed[b];

		for (m = 0; m < FC_MEMORIES && (went > 0.0f || stayed > 0.0f); m++) {
			c->ev_go[m][b] += went;
			c->risk_go[m][b] += went + stayed;
			if (b < FC_AGE_BINS && stayed > 0.0f)
				c->loglik[m] += stayed * log1pf(-c->h_go[m][b]);
			if (b < FC_AGE_BINS && went > 0.0f)
				c->loglik[m] += went * logf(fmaxf(c->h_go[m][b], 1e-5f));
		}
	}
	for (b = 0; b <= FC_STAGES; b++)
		c->next[b] += (float)c->went_to[b];
}

void fc_cell_second(struct fc_cell *c, struct fc_late *late, int64_t now_s, bool unsure,
		    struct fc_seen *seen)
{
	unsigned int b;

	memset(seen, 0, sizeof(*seen));
	for (b = 0; b <= FC_AGE_BINS; b++)
		seen->went[b] = (float)c->went[b];
	if (c->pop.total > 0)
		expose(c, late, now_s, unsure, seen->stayed);
	look_for_incident(c, seen);
	learn(c, seen, unsure);
	memset(c->went, 0, sizeof(c->went));
	memset(c->went_to, 0, sizeof(c->went_to));
	if (c->pop.total <= 0 || unsure)
		return;
	c->n_old = (float)c->pop.total;
	for (b = 0; b < OLD_S; b++)
		c->n_old -= seen->stayed[b];
}

/* Lean on younger ages, over a window that grows with age. */
static void refresh_hazards(struct fc_cell *c, unsigned int m)
{
	/* closed entries wait for their timeout: before anything was seen, next to none go */
	float share = c->stage == FC_TIME_WAIT || c->stage == FC_CLOSE ? 0.02f : 1.0f;
	float ev = 0.0f, risk = 0.0f;
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++) {
		float width = b < FC_BINS_FINE ? fmaxf(0.5f, 0.35f * (float)b) : 5.5f;
		/* about exp(-1 / width) */
		float keep = width < 2.0f ? expf(-1.0f / width) : width / (width + 1.0f);
		/* without any evidence: as likely to last as it has lasted */
		float age = fc_bin_start(b), smooth;

		ev = ev * keep + c->ev_go[m][b];
		risk = risk * keep + c->risk_go[m][b];
		smooth = (ev + 0.2f) / (risk + 0.4f * (age + 2.0f) / share);
		smooth = (c->ev_go[m][b] + smooth * 8.0f) / (c->risk_go[m][b] + 8.0f);
		c->h_go[m][b] = fminf(smooth, 0.9999f);
	}
}

void fc_cell_decay(struct fc_cell *c)
{
	unsigned int m, b;
	float d;

	for (m = 0; m < FC_MEMORIES; m++) {
		d = (float)exp(-FC_DECAY_S / fc_memory_s[m]);
		for (b = 0; b <= FC_AGE_BINS; b++) {
			c->ev_go[m][b] *= d;
			c->risk_go[m][b] *= d;
		}
		c->loglik[m] *= (float)exp(-FC_DECAY_S / 150.0);
		refresh_hazards(c, m);
	}
	d = (float)exp(-FC_DECAY_S / END_MEMORY_S);
	for (b = 0; b < FC_LATE_BINS; b++) {
		c->ev_end[b] *= d;
		c->risk_end[b] *= d;
	}
	d = (float)exp(-FC_DECAY_S / 400.0);
	for (b = 0; b <= FC_STAGES; b++)
		c->next[b] *= d;
}

int32_t fc_cell_drop_late(struct fc_cell *c, int64_t now_s, int64_t late_s, int32_t n)
{
	struct fc_slot slot = {0};
	int32_t dropped = 0;

	if (c->refreshed || c->pop.total <= 0)
		return 0;
	while (dropped < n && fc_population_next(&c->pop, now_s, &slot) && !slot.level)
		if (now_s - slot.since_s - (int64_t)fc_cell_timeout_at(c, slot.since_s) >= late_s)
			dropped += fc_population_drop(&c->pop, &slot, n - dropped);
	return dropped;
}

/*
 * Entries of unknown age: by their own record. Before there is one they are
 * taken to have been there for as long again as is being watched, and longer.
 */
float fc_cell_unknown(const struct fc_cell *c, int64_t watched_s)
{
	float prior = 1.0f / ((float)watched_s + 600.0f);
	float ev = c->ev_go[1][FC_AGE_BINS] + 0.3f * c->ev_go[2][FC_AGE_BINS];
	float risk = c->risk_go[1][FC_AGE_BINS] + 0.3f * c->risk_go[2][FC_AGE_BINS];

	return (ev + 3.0f) / (risk + 3.0f / prior);
}

bool fc_cell_endless(const struct fc_cell *c)
{
	float ended = 0.0f, stayed_s = 0.0f;
	unsigned int b;

	if (c->timeout_s <= FC_ENDLESS_S)
		return false;
	for (b = 0; b < FC_AGE_BINS; b++) {
		ended += c->ev_go[FC_MEMORIES - 1][b];
		stayed_s += c->risk_go[FC_MEMORIES - 1][b];
	}
	for (b = 0; b < FC_LATE_BINS; b++)
		ended += c->ev_end[b];
	return ended < NONE_ENDED && stayed_s >= 3.0f * FC_ENDLESS_S;
}

void fc_cell_go(const struct fc_cell *c, int64_t watched_s, float *go)
{
	/* with nothing to tell them apart the longest memory leads */
	static const float prior[FC_MEMORIES] = {0.005f, 0.1f, 1.0f};
	float w[FC_MEMORIES], sum = 0.0f;
	float best = fmaxf(c->loglik[0], fmaxf(c->loglik[1], c->loglik[2]));
	unsigned int m, b;

	for (m = 0; m < FC_MEMORIES; m++)
		sum += w[m] = prior[m] * expf(fmaxf(c->loglik[m] - best, -40.0f));
	for (b = 0; b < FC_AGE_BINS; b++)
		go[b] = (w[0] * c->h_go[0][b] + w[1] * c->h_go[1][b] + w[2] * c->h_go[2][b]) / sum;
	/* older than being watched: those of unknown age are just that old */
	if (fc_cell_endless(c))
		memset(go, 0, sizeof(*go) * FC_AGE_BINS);
	else if (c->risk_go[2][FC_AGE_BINS] > 200.0f)
		for (b = fc_bin(watched_s, FC_AGE_BINS) + 1; b < FC_AGE_BINS; b++)
			go[b] = fc_cell_unknown(c, watched_s);
}

/* What stays until the first rounds of the collector may wait for it, or be in use on: for some
 * intervals the rule counts, as much as one of them would. */
static float ruled(const struct fc_cell *c, const struct fc_late *late, unsigned int bin)
{
	double stay_s = c->timeout_s + late->rule.interval_s;

	return fmaxf((float)(late->rule.interval_s * c->pop.total / stay_s) -
			     c->risk_end[bin] / RULE_ROUNDS,
		     0.0f);
}

void fc_cell_end(const struct fc_cell *c, const struct fc_late *late, float *end)
{
	float ev = 0.0f, risk = 0.0f, smooth;
	unsigned int b;

	if (!c->refreshed) {
		fc_late_hazards(late, c->ev_end, c->risk_end, end);
		return;
	}
	for (b = 0; b < FC_LATE_BINS; b++) {
		/* as far as a third of it; beyond a minute, where few are, as far as it is late */
		double width = b < 64 ? fmax(1.0, 0.3 * b) : b < FC_BINS_FINE ? 0.9 * b : 9.9;
		float keep = (float)exp(-1.0 / width);
		/* as likely to be used on as it has been used so far */
		float unseen = 0.7f / (fc_bin_start(b) + 15.0f);
		float rule = fc_late_by_rule(late, (double)fc_bin_start(b));
		float due = rule > 0.0f ? ruled(c, late, b) : 0.0f;

		ev = ev * keep + c->ev_end[b];
		risk = risk * keep + c->risk_end[b];
		smooth = (ev + 1.0f) / (risk + 1.0f / unseen);
		end[b] = fminf((c->ev_end[b] + smooth * 20.0f + rule * due) /
				       (c->risk_end[b] + 20.0f + due),
			       0.9999f);
	}
}
