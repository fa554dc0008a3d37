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

_Static_assert(OLD_S < FC_AGE_FINE, "bins of a second");
_Static_assert(FC_LATE_BINS < FC_EXIT_EARLY, "it is no bin");

static unsigned int group_of(unsigned int bin)
{
	static const unsigned int until[FC_GROUPS - 1] = {2, 8, 32, 128, 153};
	unsigned int g = 0;

	while (g < FC_GROUPS - 1 && bin >= until[g])
		g++;
	return g;
}

void fc_cell_init(struct fc_cell *c, unsigned int class_id, unsigned int stage, uint32_t timeout_s)
{
	unsigned int i;

	memset(c, 0, sizeof(*c));
	c->class_id = (uint8_t)class_id;
	c->stage = (uint8_t)stage;
	c->used = true;
	c->refreshed = stage == FC_ESTABLISHED || stage == FC_ASSURED || stage == FC_UNKNOWN;
	for (i = 0; i < FC_EPOCHS; i++)
		c->epoch_from_s[i] = INT64_MIN;
	c->epoch_timeout_s[0] = timeout_s;
}

uint32_t fc_cell_timeout_at(const struct fc_cell *c, int64_t since_s)
{
	unsigned int i;

	for (i = 0; i + 1 < FC_EPOCHS; i++)
		if (since_s >= c->epoch_from_s[i])
			break;
	return c->epoch_timeout_s[i];
}

void fc_cell_timeout(struct fc_cell *c, int64_t now_s, uint32_t timeout_s, bool sure)
{
	if (!timeout_s)
		return;
	if (timeout_s == c->epoch_timeout_s[0]) {
		/* Some entries of a port may have a timeout of their own: three in a row
		 * make another one that of most. */
		c->heard_times = 0;
		return;
	}
	if (timeout_s != c->heard_timeout_s) {
		c->heard_timeout_s = timeout_s;
		c->heard_times = 0;
	}
	if (++c->heard_times < 3 && c->epoch_timeout_s[0] && !sure)
		return;
	memmove(c->epoch_from_s + 1, c->epoch_from_s, sizeof(c->epoch_from_s[0]) * (FC_EPOCHS - 1));
	memmove(c->epoch_timeout_s + 1, c->epoch_timeout_s,
		sizeof(c->epoch_timeout_s[0]) * (FC_EPOCHS - 1));
	c->epoch_from_s[0] = c->epoch_timeout_s[1] ? now_s : INT64_MIN;
	c->epoch_timeout_s[0] = timeout_s;
	c->heard_times = 0;
}

bool fc_cell_fixed(const struct fc_cell *c)
{
	/* SYN/ACKs sent again move the deadline of SYN_RECV */
	return !c->refreshed && c->stage != FC_SYN_RECV;
}

static bool expired(const struct fc_exit *e)
{
	return e->to == FC_NONE;
}

void fc_cell_left(struct fc_cell *c, const struct fc_exit *e)
{
	float n = (float)e->n;
	unsigned int m;

	/* who leaves was at risk; who stays is counted at the end of the second */
	for (m = 0; m < FC_MEMORIES; m++)
		c->risk_go[m][e->bin] += n;
	if (e->late != FC_EXIT_EARLY) {
		c->risk_end[e->late] += n;
		c->ev_end[e->late] += expired(e) ? n : 0.0f;
	}
	if (!expired(e) && e->bin >= OLD_S)
		c->old_exits += (int32_t)e->n;
}

void fc_cell_learn(struct fc_cell *c, const struct fc_exit *e)
{
	float n = (float)e->n;
	unsigned int m;

	for (m = 0; m < FC_MEMORIES; m++) {
		c->ev_go[m][e->bin] += n;
		if (e->bin < FC_AGE_BINS)
			c->loglik[m][group_of(e->bin)] +=
				n * logf(fmaxf(c->h_go[m][e->bin], 1e-5f));
	}
	if (!expired(e))
		c->next[e->to] += n;
}

void fc_cell_exit(const struct fc_cell *c, struct fc_late *late, const struct fc_leaving *leaving,
		  struct fc_exit *ret_exit)
{
	int64_t now_ns = leaving->now_ns, since_s = leaving->since_s;
	int64_t age_s = now_ns / NS_PER_S - since_s, late_s;

	ret_exit->bin = FC_AGE_BINS;
	ret_exit->late = FC_EXIT_EARLY;
	ret_exit->to = (uint8_t)(leaving->expired ? FC_NONE : leaving->to);
	ret_exit->n = 1;
	if (leaving->since_unknown)
		return;
	ret_exit->bin = (uint16_t)fc_age_bin(age_s);
	late_s = age_s - (int64_t)fc_cell_timeout_at(c, since_s);
	if (late_s < 0 && !leaving->expired)
		return;
	if (since_s >= c->epoch_from_s[0])
		ret_exit->late = (uint8_t)fc_late_bin(late_s);
	if (fc_cell_fixed(c))
		fc_late_gone(late, late_s, (double)(now_ns % NS_PER_S) * 1e-9, leaving->expired);
}

/* Charge the ages with who is of them; the deadlines with who is past them. */
static void expose(struct fc_cell *c, struct fc_late *late, int64_t now_s, bool unsure, float *n_at)
{
	struct fc_slot slot = {0};

	while (fc_population_next(&c->pop, now_s, &slot)) {
		int64_t since = slot.since_s + slot.width_s / 2, age = now_s - since;

		n_at[fc_age_bin(age)] += (float)slot.entries;
		age -= fc_cell_timeout_at(c, since);
		if (age < 0 || unsure || (!c->refreshed && age > LATE_MOST_S))
			continue;
		if (since >= c->epoch_from_s[0])
			c->risk_end[fc_late_bin(age)] += (float)slot.entries;
		if (fc_cell_fixed(c) && slot.entries > 0)
			fc_late_waits(late, age, (uint32_t)slot.entries);
	}
	n_at[FC_AGE_BINS] = (float)c->pop.unknown;
}

void fc_cell_second(struct fc_cell *c, struct fc_late *late, int64_t now_s, bool unsure,
		    float *n_at)
{
	unsigned int m, b;

	memset(n_at, 0, sizeof(float) * (FC_AGE_BINS + 1));
	if (c->pop.total > 0)
		expose(c, late, now_s, unsure, n_at);
	c->usual_exits +=
		(fminf((float)c->old_exits, 2.0f * c->usual_exits + 12.0f) - c->usual_exits) /
		USUAL_S;
	c->old_exits = 0;
	if (c->pop.total <= 0 || unsure)
		return;
	c->n_old = c->pop.total - (int32_t)(n_at[0] + n_at[1] + n_at[2] + n_at[3] + n_at[4]);
	for (m = 0; m < FC_MEMORIES; m++) {
		for (b = 0; b <= FC_AGE_BINS; b++) {
			if (n_at[b] <= 0.0f)
				continue;
			c->risk_go[m][b] += n_at[b];
			if (b < FC_AGE_BINS)
				c->loglik[m][group_of(b)] += n_at[b] * log1pf(-c->h_go[m][b]);
		}
	}
}

/* Lean on younger ages, over a window that grows with age. */
static void refresh_hazards(struct fc_cell *c, unsigned int m)
{
	/* closed entries wait for their timeout: before anything was seen, next to none go */
	float share = c->stage == FC_TIME_WAIT || c->stage == FC_CLOSE ? 0.02f : 1.0f;
	float ev = 0.0f, risk = 0.0f;
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++) {
		float width = b < FC_AGE_FINE ? fmaxf(0.5f, 0.35f * (float)b) : 7.0f;
		/* about exp(-1 / width) */
		float keep = width < 2.0f ? expf(-1.0f / width) : width / (width + 1.0f);
		/* without any evidence: as likely to last as it has lasted */
		float age = b < FC_AGE_FINE ? (float)b : (float)fc_age_bin_start(b), smooth;

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
		for (b = 0; b < FC_GROUPS; b++)
			c->loglik[m][b] *= (float)exp(-FC_DECAY_S / 150.0);
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

	if (c->epoch_timeout_s[0] <= FC_ENDLESS_S)
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
	float w[FC_GROUPS][FC_MEMORIES], best, sum;
	unsigned int m, b, g;

	for (g = 0; g < FC_GROUPS; g++) {
		best = fmaxf(c->loglik[0][g], fmaxf(c->loglik[1][g], c->loglik[2][g]));
		sum = 0.0f;
		for (m = 0; m < FC_MEMORIES; m++)
			sum += w[g][m] = prior[m] * expf(fmaxf(c->loglik[m][g] - best, -40.0f));
		for (m = 0; m < FC_MEMORIES; m++)
			w[g][m] /= sum;
	}
	for (b = 0; b < FC_AGE_BINS; b++) {
		g = group_of(b);
		go[b] = w[g][0] * c->h_go[0][b] + w[g][1] * c->h_go[1][b] + w[g][2] * c->h_go[2][b];
	}
	/* older than being watched: those of unknown age are just that old */
	if (fc_cell_endless(c))
		memset(go, 0, sizeof(*go) * FC_AGE_BINS);
	else if (c->risk_go[2][FC_AGE_BINS] > 200.0f)
		for (b = fc_age_bin(watched_s) + 1; b < FC_AGE_BINS; b++)
			go[b] = fc_cell_unknown(c, watched_s);
}

/* What stays until the first rounds of the collector may wait for it, or be in use on: for some
 * intervals the rule counts, as much as one of them would. */
static float ruled(const struct fc_cell *c, const struct fc_late *late, unsigned int bin)
{
	double stay_s = c->epoch_timeout_s[0] + late->rule.interval_s;

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
		double width = fmax(1.0, 0.3 * (b < FC_LATE_FINE ? b : 12.0));
		float keep = (float)exp(-1.0 / width);
		/* as likely to be used on as it has been used so far */
		float unseen = (float)(0.7 / (fc_late_bin_start(b) + 15.0));
		float rule = fc_late_by_rule(late, fc_late_bin_start(b));
		float due = rule > 0.0f ? ruled(c, late, b) : 0.0f;

		ev = ev * keep + c->ev_end[b];
		risk = risk * keep + c->risk_end[b];
		smooth = (ev + 1.0f) / (risk + 1.0f / unseen);
		end[b] = fminf((c->ev_end[b] + smooth * 20.0f + rule * due) /
				       (c->risk_end[b] + 20.0f + due),
			       0.9999f);
	}
}
