// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/shift.h"

#include <math.h>
#include <stdlib.h>
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
#define N_LONGER 9
static const float longer[N_LONGER] = {1.0f, 0.01f, 0.1f, 0.4f, 2.0f, 2.83f, 4.0f, 5.66f, 8.0f};
static const float never[FC_SHIFTS - N_LONGER] = {0.15f, 0.3f, 0.5f, 0.75f};

static void longer_table(const float *usual, float times, float *h)
{
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++) {
		double at = (fc_age_bin_start(b) + 0.5) / (double)times;

		/* some go as ever: an age at which none left before may be one four times as late
		 */
		h[b] = fminf(fmaxf(usual[fc_age_bin((int64_t)at)] / times, AS_EVER * usual[b]),
			     0.95f);
	}
}

static void never_table(const float *usual, float share, float *h)
{
	double left = 1.0;
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++) {
		double width = fc_age_bin_start(b + 1) - fc_age_bin_start(b),
		       alive = (1.0 - (double)share) * left;

		h[b] = (float)((double)usual[b] * alive / (alive + (double)share)) + 1e-6f;
		left *= exp(-width * (double)usual[b]);
	}
}

/* Are stays short enough, for how long they have been watched, that most ends were seen? */
static bool is_known(const struct fc_shift *sh, const struct fc_cell *c, int64_t watched_s)
{
	unsigned int b, until = fc_age_bin(watched_s / 2);
	double gone = 0.0;

	if (watched_s < WATCH_S || sh->usual_exits < LEAST_EXITS)
		return false;
	for (b = 0; b < until; b++)
		gone += (double)c->h_go[FC_MEMORIES - 1][b] *
			(fc_age_bin_start(b + 1) - fc_age_bin_start(b));
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

/* From moment `at` on, all are moved by one place. */
static void move_moments(struct fc_shift *sh, unsigned int to, unsigned int from, unsigned int n)
{
	memmove(sh->since_s + to, sh->since_s + from, n * sizeof(sh->since_s[0]));
	memmove(sh->expected + to, sh->expected + from, n * sizeof(sh->expected[0]));
	memmove(sh->loglik + to, sh->loglik + from, n * sizeof(sh->loglik[0]));
}

/* Of two moments close together, for how long ago they are, one is enough. */
static void drop_moment(struct fc_shift *sh, int64_t now_s)
{
	unsigned int i, drop = 1;
	double least = INFINITY;

	for (i = 1; i + 1 < sh->n; i++) { /* newest first */
		double gap = (double)(sh->since_s[i - 1] - sh->since_s[i + 1]) /
			     (double)(now_s - sh->since_s[i + 1]);

		if (i != sh->best && gap < least) {
			least = gap;
			drop = i;
		}
	}
	sh->best -= sh->best > drop;
	sh->n--;
	move_moments(sh, drop, drop + 1, sh->n - drop);
}

static void add_moment(struct fc_shift *sh, int64_t now_s)
{
	if (sh->n == FC_MOMENTS)
		drop_moment(sh, now_s);
	move_moments(sh, 1, 0, sh->n);
	sh->best++;
	sh->n++;
	sh->since_s[0] = now_s;
	sh->expected[0] = 0.0f;
	memset(sh->loglik[0], 0, sizeof(sh->loglik[0]));
}

/* Credit every moment with the exits and stays of those who came since. */
static void weigh(struct fc_shift *sh, const float *n_at, int64_t now_s)
{
	float sum[FC_SHIFTS] = {0}, usual = 0.0f;
	unsigned int b = 0, s, j;

	for (j = 0; j < sh->n; j++) { /* newest first: youngest only */
		unsigned int until = fc_age_bin(now_s - sh->since_s[j]);

		for (; b < until; b++) {
			usual += n_at[b] * sh->h[0][b];
			if (n_at[b] > 0.0f)
				for (s = 0; s < FC_SHIFTS; s++)
					sum[s] -= n_at[b] * sh->h[s][b];
			if (sh->exits[b])
				for (s = 0; s < FC_SHIFTS; s++)
					sum[s] += (float)sh->exits[b] *
						  logf(fmaxf(sh->h[s][b], 1e-6f));
		}
		sh->expected[j] += usual;
		for (s = 0; s < FC_SHIFTS; s++)
			sh->loglik[j][s] += sum[s];
	}
}

/*
 * How much likelier explanation s makes what came since moment j. What is usual
 * is an estimate too: from few exits it says little about many.
 */
static double evidence(const struct fc_shift *sh, unsigned int j, unsigned int s)
{
	float trust = sh->usual_exits / (sh->usual_exits + sh->expected[j] + 1.0f);

	return (double)(trust * (sh->loglik[j][s] - sh->loglik[j][0]));
}

static void find_best(struct fc_shift *sh)
{
	double most = -INFINITY, total = 0.0;
	unsigned int j, s;

	for (j = 0; j < sh->n; j++)
		for (s = 1; s < FC_SHIFTS; s++)
			if (evidence(sh, j, s) > most) {
				most = evidence(sh, j, s);
				sh->best = j;
			}
	for (j = 0; j < sh->n; j++)
		for (s = 1; s < FC_SHIFTS; s++)
			total += exp(evidence(sh, j, s) - most);
	sh->log_odds = sh->n ? most + log(total * CHANGES_PER_S * EVERY_S / FC_SHIFTS) : -INFINITY;
}

/* Weigh the explanations of moment j, as another class's weights (or all alike) expect them. */
static double weigh_shifts(struct fc_shift *sh, unsigned int j, const float *expected)
{
	double most = -INFINITY, sum = 0.0;
	unsigned int s;

	/* not with fmax(): over floats it breaks gcc 12 for arm64 (in vect_transform_reduction) */
	for (s = 1; s < FC_SHIFTS; s++)
		if (evidence(sh, j, s) > most)
			most = evidence(sh, j, s);
	sh->weight[0] = 0.0f;
	for (s = 1; s < FC_SHIFTS; s++) {
		sh->weight[s] = (float)exp(evidence(sh, j, s) - most) *
				(expected ? expected[s] + OWN_WAY : 1.0f / (FC_SHIFTS - 1));
		sum += (double)sh->weight[s];
	}
	for (s = 1; s < FC_SHIFTS; s++)
		sh->weight[s] /= (float)sum;
	return most + log(sum);
}

/* What is usual now is the new habit. */
static void settle(struct fc_shift *sh, struct fc_cell *c, int64_t now_s, int64_t watched_s)
{
	float h[FC_AGE_BINS];
	unsigned int m, b;

	sh->changed_s = sh->since_s[sh->best];
	weigh_shifts(sh, sh->best, NULL);
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

void fc_shift_exit(struct fc_shift *sh, unsigned int bin, uint32_t n)
{
	uint32_t room;

	if (bin >= FC_AGE_BINS)
		return;
	room = UINT16_MAX - sh->exits[bin];
	n = n < room ? n : room;
	sh->exits[bin] = (uint16_t)(sh->exits[bin] + n);
	sh->usual_exits += (float)n;
}

void fc_shift_unsure(struct fc_shift *sh)
{
	memset(sh->exits, 0, sizeof(sh->exits));
	if (sh->log_odds < SURE)
		sh->n = 0;
}

void fc_shift_second(struct fc_shift *sh, struct fc_cell *c, const float *n_at, int64_t now_s,
		     int64_t watched_s)
{
	if (sh->ready) {
		weigh(sh, n_at, now_s);
		if (now_s % EVERY_S == 0) {
			add_moment(sh, now_s);
			find_best(sh);
		}
	}
	if (sh->ready && sh->log_odds > SURE && now_s - sh->since_s[sh->best] > SETTLED_S)
		settle(sh, c, now_s, watched_s);
	if (now_s % REFRESH_S == 0 && (!sh->ready || sh->log_odds < MAYBE)) {
		sh->usual_exits *= (float)exp(-REFRESH_S / fc_memory_s[FC_MEMORIES - 1]);
		refresh_usual(sh, c, watched_s);
	}
	memset(sh->exits, 0, sizeof(sh->exits));
}

/* Those whose stays are long have nothing to show yet; unless what they show speaks against it. */
static void follow(struct fc_shift *sh, const struct fc_shift *leader, int64_t now_s)
{
	int64_t near_s = 15 + (now_s - leader->changed_s) / 10, nearest = near_s + 1;
	unsigned int j, at = 0;

	for (j = 0; j < sh->n; j++) {
		int64_t d = llabs(sh->since_s[j] - leader->changed_s);

		if (d < nearest) {
			nearest = d;
			at = j;
		}
	}
	if (nearest <= near_s && weigh_shifts(sh, at, leader->weight) + SHARED > 0.0)
		sh->changed_s = sh->since_s[at];
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
		weigh_shifts(sh, sh->best, NULL);
		sh->changed_s = sh->since_s[sh->best];
		if (!leader || sh->log_odds > leader->log_odds)
			leader = sh;
	}
	for (i = 0; leader && i < n; i++)
		if (all[i].ready && &all[i] != leader)
			follow(&all[i], leader, now_s);
}

void fc_shift_hazards(const struct fc_shift *sh, const struct fc_cell *c, int64_t now_s, float *h)
{
	unsigned int s, b, seen = fc_age_bin(now_s - sh->changed_s);

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
