// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/shift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_S	      10  /* a new moment */
#define WATCH_S	      240 /* before there is a usual to compare with */
#define LEAST_EXITS   60.0f
#define MOST_GONE     1.2f /* cumulative hazard: seven of ten */
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
#define N_LONGER 9
static const float longer[N_LONGER] = {1.0f, 0.01f, 0.1f, 0.4f, 2.0f, 2.83f, 4.0f, 5.66f, 8.0f};
static const float never[FC_SHIFTS - N_LONGER] = {0.15f, 0.3f, 0.5f, 0.75f};

static float width_s(unsigned int bin)
{
	return fc_bin_start(bin + 1) - fc_bin_start(bin);
}

static void longer_table(const float *usual, float times, float *h)
{
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++) {
		int64_t at = (int64_t)((fc_bin_start(b) + 0.5f) / times);

		/* some go as ever: an age at which none left before may be one four times as late
		 */
		h[b] = fminf(fmaxf(usual[fc_bin(at, FC_AGE_BINS)] / times, AS_EVER * usual[b]),
			     0.95f);
	}
}

static void never_table(const float *usual, float share, float *h)
{
	double left = 1.0;
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++) {
		double alive = (1.0 - (double)share) * left;

		h[b] = (float)((double)usual[b] * alive / (alive + (double)share)) + 1e-6f;
		left *= exp(-(double)(usual[b] * width_s(b)));
	}
}

/* Are stays short enough, for how long they have been watched, that most ends were seen? */
static bool is_known(const struct fc_shift *sh, const struct fc_cell *c, int64_t watched_s)
{
	unsigned int b, until = fc_bin(watched_s / 2, FC_AGE_BINS);
	float gone = 0.0f;

	if (watched_s < WATCH_S || sh->usual_exits < LEAST_EXITS)
		return false;
	for (b = 0; b < until; b++)
		gone += c->h_go[FC_MEMORIES - 1][b] * width_s(b);
	return gone > MOST_GONE;
}

static void refresh_usual(struct fc_shift *sh, const struct fc_cell *c, int64_t watched_s)
{
	unsigned int s;

	sh->ready = is_known(sh, c, watched_s);
	if (!sh->ready) {
		sh->n = 0;
		return;
	}
	memcpy(sh->h[0], c->h_go[FC_MEMORIES - 1], sizeof(sh->h[0]));
	for (s = 1; s < FC_SHIFTS; s++) {
		if (s < N_LONGER)
			longer_table(sh->h[0], longer[s], sh->h[s]);
		else
			never_table(sh->h[0], never[s - N_LONGER], sh->h[s]);
	}
}

/* The one to give up: of two close together, for how long ago they are, one is enough. */
static unsigned int least_moment(const struct fc_shift *sh, int64_t now_s)
{
	const struct fc_moment *m = sh->moment;
	unsigned int i, drop = 1;
	double least = INFINITY;

	for (i = 1; i + 1 < sh->n; i++) {
		double gap = (double)(m[i - 1].since_s - m[i + 1].since_s) /
			     (double)(now_s - m[i + 1].since_s);

		if (i != sh->best && gap < least) {
			least = gap;
			drop = i;
		}
	}
	return drop;
}

static void add_moment(struct fc_shift *sh, int64_t now_s)
{
	unsigned int at = sh->n < FC_MOMENTS ? sh->n++ : least_moment(sh, now_s);

	memmove(sh->moment + 1, sh->moment, at * sizeof(sh->moment[0]));
	sh->moment[0] = (struct fc_moment){.since_s = now_s};
}

/* Credit every moment with the exits and stays of those who came since. */
static void weigh(struct fc_shift *sh, const struct fc_seen *seen, int64_t now_s)
{
	float sum[FC_SHIFTS] = {0}, usual = 0.0f;
	unsigned int b = 0, s, j;

	for (j = 0; j < sh->n; j++) { /* newest first: youngest only */
		struct fc_moment *m = &sh->moment[j];

		for (; b < fc_bin(now_s - m->since_s, FC_AGE_BINS); b++) {
			float stayed = seen->stayed[b], went = seen->went[b];

			usual += stayed * sh->h[0][b];
			for (s = 0; s < FC_SHIFTS && (stayed > 0.0f || went > 0.0f); s++)
				sum[s] += (went > 0.0f ? went * logf(fmaxf(sh->h[s][b], 1e-6f))
						       : 0.0f) -
					  stayed * sh->h[s][b];
		}
		m->expected += usual;
		for (s = 0; s < FC_SHIFTS; s++)
			m->loglik[s] += sum[s];
	}
}

/*
 * Weigh the explanations of a moment, as another class's weights (or all alike) expect them. The
 * log odds that one of them holds: what is usual is an estimate too, and from few exits it says
 * little about many.
 */
static double weigh_shifts(struct fc_shift *sh, const struct fc_moment *m, const float *expected)
{
	float trust = sh->usual_exits / (sh->usual_exits + m->expected + 1.0f), most = -INFINITY;
	double sum = 0.0;
	unsigned int s;

	/* not with fmax(): over floats it breaks gcc 12 for arm64 (in vect_transform_reduction) */
	for (s = 1; s < FC_SHIFTS; s++)
		if (m->loglik[s] > most)
			most = m->loglik[s];
	sh->weight[0] = 0.0f;
	for (s = 1; s < FC_SHIFTS; s++) {
		sh->weight[s] = expf(trust * (m->loglik[s] - most)) *
				(expected ? expected[s] + OWN_WAY : 1.0f / (FC_SHIFTS - 1));
		sum += (double)sh->weight[s];
	}
	for (s = 1; s < FC_SHIFTS; s++)
		sh->weight[s] /= (float)sum;
	return (double)(trust * (most - m->loglik[0])) + log(sum);
}

static void find_best(struct fc_shift *sh)
{
	double odds[FC_MOMENTS] = {0.0}, sum = 0.0;
	unsigned int j;

	sh->best = 0;
	for (j = 0; j < sh->n; j++) {
		odds[j] = weigh_shifts(sh, &sh->moment[j], NULL);
		if (odds[j] > odds[sh->best])
			sh->best = j;
	}
	for (j = 0; j < sh->n; j++)
		sum += exp(odds[j] - odds[sh->best]);
	sh->log_odds = odds[sh->best] + log(sum * CHANGES_PER_S * EVERY_S);
}

/* What is usual now is the new habit. */
static void settle(struct fc_shift *sh, struct fc_cell *c, int64_t now_s, int64_t watched_s)
{
	float h[FC_AGE_BINS];
	unsigned int m, b;

	sh->changed_s = sh->moment[sh->best].since_s;
	weigh_shifts(sh, &sh->moment[sh->best], NULL);
	fc_shift_hazards(sh, c, now_s, h);
	for (m = 1; m < FC_MEMORIES; m++)
		for (b = 0; b < FC_AGE_BINS; b++) {
			c->risk_go[m][b] = fmaxf(c->risk_go[m][b], 20.0f);
			c->ev_go[m][b] = h[b] * c->risk_go[m][b];
			c->h_go[m][b] = h[b];
		}
	refresh_usual(sh, c, watched_s);
	sh->n = 0;
	sh->log_odds = -INFINITY;
	sh->changed_s = INT64_MAX;
}

void fc_shift_init(struct fc_shift *sh)
{
	memset(sh, 0, sizeof(*sh));
	sh->log_odds = -INFINITY;
	sh->changed_s = INT64_MAX;
}

void fc_shift_second(struct fc_shift *sh, struct fc_cell *c, const struct fc_seen *seen,
		     int64_t now_s, int64_t watched_s, bool unsure)
{
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++)
		sh->usual_exits += seen->went[b];
	if (unsure) {
		sh->n = sh->log_odds < SURE ? 0 : sh->n;
		return;
	}
	if (sh->ready) {
		weigh(sh, seen, now_s);
		if (now_s % EVERY_S == 0) {
			add_moment(sh, now_s);
			find_best(sh);
		}
		if (sh->log_odds > SURE && now_s - sh->moment[sh->best].since_s > SETTLED_S)
			settle(sh, c, now_s, watched_s);
	}
	if (now_s % REFRESH_S == 0 && (!sh->ready || sh->log_odds < MAYBE)) {
		sh->usual_exits *= (float)exp(-REFRESH_S / fc_memory_s[FC_MEMORIES - 1]);
		refresh_usual(sh, c, watched_s);
	}
}

/* Those whose stays are long have nothing to show yet; unless what they show speaks against it. */
static void follow(struct fc_shift *sh, const struct fc_shift *leader, int64_t now_s)
{
	int64_t near_s = 15 + (now_s - leader->changed_s) / 10, nearest = near_s + 1;
	unsigned int j, at = 0;

	for (j = 0; j < sh->n; j++) {
		int64_t d = llabs(sh->moment[j].since_s - leader->changed_s);

		if (d < nearest) {
			nearest = d;
			at = j;
		}
	}
	if (nearest <= near_s && weigh_shifts(sh, &sh->moment[at], leader->weight) + SHARED > 0.0)
		sh->changed_s = sh->moment[at].since_s;
}

void fc_shift_decide(struct fc_shift *all, unsigned int n, int64_t now_s)
{
	struct fc_shift *leader = NULL;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct fc_shift *sh = &all[i];

		sh->changed_s = INT64_MAX;
		if (!sh->ready || !sh->n || sh->log_odds < SURE)
			continue;
		weigh_shifts(sh, &sh->moment[sh->best], NULL);
		sh->changed_s = sh->moment[sh->best].since_s;
		if (!leader || sh->log_odds > leader->log_odds)
			leader = sh;
	}
	for (i = 0; leader && i < n; i++)
		if (all[i].ready && &all[i] != leader)
			follow(&all[i], leader, now_s);
}

void fc_shift_hazards(const struct fc_shift *sh, const struct fc_cell *c, int64_t now_s, float *h)
{
	unsigned int s, b, seen = fc_bin(now_s - sh->changed_s, FC_AGE_BINS);

	for (b = 0; b < FC_AGE_BINS; b++) {
		h[b] = 0.0f;
		for (s = 1; s < FC_SHIFTS; s++)
			h[b] += sh->weight[s] * sh->h[s][b];
		/* the shortest memory holds few others by now */
		if (b < seen && (double)(now_s - sh->changed_s) > 2.0 * fc_memory_s[0])
			h[b] = (c->ev_go[0][b] + OWN_WEIGHT * h[b]) /
			       (c->risk_go[0][b] + OWN_WEIGHT);
	}
}
