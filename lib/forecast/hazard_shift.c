// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes of how long connections stay established.
 *
 * When servers slow down or stop closing, what came before leaves as ever and
 * what comes now stays longer: to ages nobody of the new kind has reached yet.
 * Hazards by age alone learn that only as the new ones grow old. So, for
 * several moments in the past, those who came since are compared with what
 * the usual hazards would do to them if all stays were k times as long
 * (accelerated failure time), or if a share p of them never ended (cure
 * model). Where one of these explains them much better, entries since that
 * moment are projected by it at the ages they have not reached.
 */
#include "lib/forecast/priv.h"

#include <math.h>
#include <string.h>

#define EVERY_S	      10  /* a new moment */
#define WATCH_S	      240 /* before there is a usual to compare with */
#define LEAST_EXITS   60.0f
#define MOST_GONE     1.2 /* cumulative hazard: seven of ten */
#define CHANGES_PER_S (1.0 / 6000.0)
#define SURE	      3.0   /* log odds to act on */
#define MAYBE	      -2.0  /* .. from which on what is usual is not learnt on */
#define SHARED	      0.5   /* log odds that a change in one class is in another too */
#define OWN_WAY	      0.01f /* chance of each explanation, whatever the other class has */
#define SETTLED_S     900   /* the new habit is the usual one from here */
#define REFRESH_S     30
#define AS_EVER	      0.05f
#define OWN_WEIGHT    30.0f /* exposure the explanation counts for, against what was seen */

/* How many times as long; beyond these, the share that never ends. */
static const float longer[FC_SHIFTS - FC_NEVERS] = {1.0f,  0.01f, 0.1f,	 0.4f, 2.0f,
						    2.83f, 4.0f,  5.66f, 8.0f};
static const float never[FC_NEVERS] = {0.15f, 0.3f, 0.5f, 0.75f};

static void shift_table(const float *usual, float times, float *h)
{
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++) {
		double at = (fc_age_bin_start(b) + 0.5) / times;
		unsigned int i = fc_age_bin((int64_t)at);

		/* some go as ever: an age nobody left at before is not ruled out four times as late
		 */
		h[b] = fminf(fmaxf(usual[i] / times, AS_EVER * usual[b]), 0.95f);
	}
}

static void never_table(const float *usual, float share, float *h)
{
	double left = 1.0;
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++) {
		double width = fc_age_bin_start(b + 1) - fc_age_bin_start(b),
		       alive = (1.0 - share) * left;

		h[b] = (float)(usual[b] * alive / (alive + share)) + 1e-6f;
		left *= exp(-width * usual[b]);
	}
}

/* Are stays short enough, for how long they have been watched, that most ends were seen? */
static bool is_known(const struct forecast *f, const struct fc_hazard_shift *rg,
		     const struct fc_cell *c)
{
	unsigned int b, until = fc_age_bin((f->now_s - f->start_s) / 2);
	double gone = 0.0;

	if (f->now_s - f->start_s < WATCH_S || rg->usual_exits < LEAST_EXITS)
		return false;
	for (b = 0; b < until; b++)
		gone += (double)c->h_go[FC_MEMORIES - 1][b] *
			(fc_age_bin_start(b + 1) - fc_age_bin_start(b));
	return gone > MOST_GONE;
}

static void refresh_usual(const struct forecast *f, struct fc_hazard_shift *rg,
			  const struct fc_cell *c)
{
	unsigned int s;

	rg->ready = is_known(f, rg, c);
	if (!rg->ready) {
		rg->n = 0;
		return;
	}
	memcpy(rg->h[0], c->h_go[FC_MEMORIES - 1], sizeof(rg->h[0]));
	for (s = 1; s < FC_SHIFTS; s++) {
		if (s < FC_SHIFTS - FC_NEVERS)
			shift_table(rg->h[0], longer[s], rg->h[s]);
		else
			never_table(rg->h[0], never[s - (FC_SHIFTS - FC_NEVERS)], rg->h[s]);
	}
}

/* Of two moments close together, for how long ago they are, one is enough. */
static void drop_moment(struct fc_hazard_shift *rg, int64_t now_s)
{
	unsigned int i, drop = 1;
	double least = INFINITY;

	for (i = 1; i + 1 < rg->n; i++) { /* newest first */
		double gap = (double)(rg->since_s[i - 1] - rg->since_s[i + 1]) /
			     (double)(now_s - rg->since_s[i + 1]);

		if (i != rg->best && gap < least) {
			least = gap;
			drop = i;
		}
	}
	if (rg->best > drop)
		rg->best--;
	rg->n--;
	memmove(rg->since_s + drop, rg->since_s + drop + 1,
		(rg->n - drop) * sizeof(rg->since_s[0]));
	memmove(rg->expected + drop, rg->expected + drop + 1,
		(rg->n - drop) * sizeof(rg->expected[0]));
	memmove(rg->loglik + drop, rg->loglik + drop + 1, (rg->n - drop) * sizeof(rg->loglik[0]));
}

static void add_moment(struct fc_hazard_shift *rg, int64_t now_s)
{
	if (rg->n == FC_MOMENTS)
		drop_moment(rg, now_s);
	memmove(rg->since_s + 1, rg->since_s, rg->n * sizeof(rg->since_s[0]));
	memmove(rg->expected + 1, rg->expected, rg->n * sizeof(rg->expected[0]));
	memmove(rg->loglik + 1, rg->loglik, rg->n * sizeof(rg->loglik[0]));
	rg->best++;
	rg->n++;
	rg->since_s[0] = now_s;
	rg->expected[0] = 0.0f;
	memset(rg->loglik[0], 0, sizeof(rg->loglik[0]));
}

/* Credit every moment with the exits and stays of those who came since. */
static void weigh(struct fc_hazard_shift *rg, const float *n_at, int64_t now_s)
{
	float sum[FC_SHIFTS] = {0}, usual = 0.0f;
	unsigned int b = 0, s, j;

	for (j = 0; j < rg->n; j++) { /* newest first: youngest only */
		unsigned int until = fc_age_bin(now_s - rg->since_s[j]);

		for (; b < until; b++) {
			usual += n_at[b] * rg->h[0][b];
			if (n_at[b] > 0.0f)
				for (s = 0; s < FC_SHIFTS; s++)
					sum[s] -= n_at[b] * rg->h[s][b];
			if (rg->exits[b])
				for (s = 0; s < FC_SHIFTS; s++)
					sum[s] += (float)rg->exits[b] *
						  logf(fmaxf(rg->h[s][b], 1e-6f));
		}
		rg->expected[j] += usual;
		for (s = 0; s < FC_SHIFTS; s++)
			rg->loglik[j][s] += sum[s];
	}
}

/*
 * How much likelier explanation s makes what came since moment j. What is usual
 * is an estimate too: from few exits it says little about many.
 */
static double evidence(const struct fc_hazard_shift *rg, unsigned int j, unsigned int s)
{
	float trust = rg->usual_exits / (rg->usual_exits + rg->expected[j] + 1.0f);

	return (double)(trust * (rg->loglik[j][s] - rg->loglik[j][0]));
}

static void find_best(struct fc_hazard_shift *rg)
{
	double most = -INFINITY, total = 0.0;
	unsigned int j, s;

	for (j = 0; j < rg->n; j++)
		for (s = 1; s < FC_SHIFTS; s++) {
			double l = evidence(rg, j, s);

			if (l > most) {
				most = l;
				rg->best = j;
			}
		}
	for (j = 0; j < rg->n; j++)
		for (s = 1; s < FC_SHIFTS; s++)
			total += exp(evidence(rg, j, s) - most);
	rg->log_odds = rg->n ? most + log(total * CHANGES_PER_S * EVERY_S / FC_SHIFTS) : -INFINITY;
}

/* Weigh the explanations of moment j, as another class's weights (or all alike) expect them. */
static double weigh_shifts(struct fc_hazard_shift *rg, unsigned int j, const float *expected)
{
	float most = -INFINITY, sum = 0.0f, l[FC_SHIFTS];
	unsigned int s;

	rg->weight[0] = 0.0f;
	for (s = 1; s < FC_SHIFTS; s++) {
		l[s] = (float)evidence(rg, j, s);
		most = fmaxf(most, l[s]);
	}
	for (s = 1; s < FC_SHIFTS; s++) {
		rg->weight[s] = expf(l[s] - most) *
				(expected ? expected[s] + OWN_WAY : 1.0f / (FC_SHIFTS - 1));
		sum += rg->weight[s];
	}
	for (s = 1; s < FC_SHIFTS; s++)
		rg->weight[s] /= sum;
	return (double)most + log((double)sum);
}

/* What is usual now is the new habit. */
static void settle(const struct forecast *f, struct fc_hazard_shift *rg, struct fc_cell *c,
		   const float *h)
{
	unsigned int m, b;

	for (m = 1; m < FC_MEMORIES; m++)
		for (b = 0; b < FC_AGE_BINS; b++) {
			c->risk_go[m][b] = fmaxf(c->risk_go[m][b], 20.0f);
			c->ev_go[m][b] = h[b] * c->risk_go[m][b];
			c->h_go[m][b] = h[b];
		}
	refresh_usual(f, rg, c);
	rg->n = 0;
	rg->log_odds = -INFINITY;
	rg->changed_s = INT64_MAX;
}

void fc_hazard_shift_init(struct fc_hazard_shift *rg)
{
	memset(rg, 0, sizeof(*rg));
	rg->log_odds = -INFINITY;
	rg->changed_s = INT64_MAX;
}

void fc_hazard_shift_exit(struct fc_hazard_shift *rg, unsigned int bin)
{
	if (bin >= FC_AGE_BINS || rg->exits[bin] == UINT16_MAX)
		return;
	rg->exits[bin]++;
	rg->usual_exits += 1.0f;
}

void fc_hazard_shift_unsure(struct fc_hazard_shift *rg)
{
	memset(rg->exits, 0, sizeof(rg->exits));
	if (rg->log_odds < SURE)
		rg->n = 0;
}

void fc_hazard_shift_second(struct forecast *f, struct fc_cell *c, const float *n_at)
{
	struct fc_hazard_shift *rg = &f->hazard_shift[c->class_id];

	if (rg->ready) {
		weigh(rg, n_at, f->now_s);
		if (f->now_s % EVERY_S == 0) {
			add_moment(rg, f->now_s);
			find_best(rg);
		}
	}
	if (rg->ready && rg->log_odds > SURE && f->now_s - rg->since_s[rg->best] > SETTLED_S) {
		float h[FC_AGE_BINS];

		rg->changed_s = rg->since_s[rg->best];
		weigh_shifts(rg, rg->best, NULL);
		fc_hazard_shift_hazards(f, c, h);
		settle(f, rg, c, h);
	}
	if (f->now_s % REFRESH_S == 0 && (!rg->ready || rg->log_odds < MAYBE)) {
		rg->usual_exits *= (float)exp(-REFRESH_S / fc_memory_s[FC_MEMORIES - 1]);
		refresh_usual(f, rg, c);
	}
	memset(rg->exits, 0, sizeof(rg->exits));
}

/*
 * What slows one service often slows others. Those whose stays are long have
 * nothing to show for it yet; they follow unless what they show speaks against it.
 */
static void follow(struct fc_hazard_shift *rg, const struct fc_hazard_shift *leader, int64_t now_s)
{
	int64_t near_s = 15 + (now_s - leader->changed_s) / 10, nearest = near_s + 1;
	unsigned int j, at = 0;

	for (j = 0; j < rg->n; j++) {
		int64_t d = rg->since_s[j] - leader->changed_s;

		d = d < 0 ? -d : d;
		if (d < nearest) {
			nearest = d;
			at = j;
		}
	}
	if (nearest <= near_s && weigh_shifts(rg, at, leader->weight) + SHARED > 0.0)
		rg->changed_s = rg->since_s[at];
}

void fc_hazard_shift_decide(struct forecast *f)
{
	struct fc_hazard_shift *leader = NULL;
	unsigned int i;

	for (i = 0; i < FC_CLASSES; i++) {
		struct fc_hazard_shift *rg = &f->hazard_shift[i];

		rg->changed_s = INT64_MAX;
		if (!f->cls[i].used || !rg->ready || !rg->n || rg->log_odds < SURE)
			continue;
		weigh_shifts(rg, rg->best, NULL);
		rg->changed_s = rg->since_s[rg->best];
		if (!leader || rg->log_odds > leader->log_odds)
			leader = rg;
	}
	for (i = 0; leader && i < FC_CLASSES; i++)
		if (f->cls[i].used && f->hazard_shift[i].ready && &f->hazard_shift[i] != leader)
			follow(&f->hazard_shift[i], leader, f->now_s);
}

int64_t fc_hazard_shift_since_s(const struct forecast *f, const struct fc_cell *c)
{
	return c->stage == FC_ESTABLISHED ? f->hazard_shift[c->class_id].changed_s : INT64_MAX;
}

void fc_hazard_shift_hazards(const struct forecast *f, const struct fc_cell *c, float *h)
{
	const struct fc_hazard_shift *rg = &f->hazard_shift[c->class_id];
	unsigned int s, b, seen = fc_age_bin(f->now_s - rg->changed_s);

	for (b = 0; b < FC_AGE_BINS; b++) {
		h[b] = 0.0f;
		for (s = 1; s < FC_SHIFTS; s++)
			h[b] += rg->weight[s] * rg->h[s][b];
		/* the shortest memory holds few others by now */
		if (b < seen && (double)(f->now_s - rg->changed_s) > 2.0 * fc_memory_s[0])
			h[b] = (c->ev_go[0][b] + OWN_WEIGHT * h[b]) /
			       (c->risk_go[0][b] + OWN_WEIGHT);
	}
}
