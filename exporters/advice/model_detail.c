// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/advice/model_detail.h"

/* So few lives say nothing about the next ones. */
#define LIVES_MIN 20u
/* A deadline can have been seen to pass only after it, the collector and some more. */
#define WATCH_MARGIN_S 75.0
/* No entry that waits unrefreshed stays longer than its timeout and this. */
#define LAG_MAX_S	65.0
#define LAG_SAMPLES_MIN 50.0
/* What successors end in between blurs what the others waited, beyond this part. */
#define LAG_PURE 0.95
/* The kernel tells whole seconds; and what is set may be told a little later. */
#define OWN_LEAST_S 2.0

static int view_compare(const void *left, const void *right)
{
	const struct view *a = left;
	const struct view *b = right;

	return a->row < b->row ? -1 : a->row > b->row;
}

int views_init(struct views *views, const struct snap_detail *details)
{
	memset(views, 0, sizeof(*views));
	views->own = calloc(details->detail_count + 1, sizeof(*views->own));
	if (!views->own)
		return -ENOMEM;
	for (size_t i = 0; i < details->detail_count; i++) {
		const struct snap_row_detail *detail = &details->details[i];
		struct view *view =
			detail->pool ? &views->pools[detail->key.l4proto][detail->key.direction]
				     : &views->own[views->own_count++];

		view->detail = detail;
		view->row = row_of(detail->key);
	}
	qsort(views->own, views->own_count, sizeof(*views->own), view_compare);
	return 0;
}

void views_free(struct views *views)
{
	free(views->own);
	views->own = NULL;
}

struct view *view_of(struct views *views, const struct snap_row *row)
{
	struct view key = {.row = row_of(row->key)};
	struct view *own = bsearch(&key, views->own, views->own_count, sizeof(key), view_compare);

	return own ? own : &views->pools[row->key.l4proto][row->key.direction];
}

double timeout_s(const struct settings *settings, int timeout)
{
	return timeout < 0 ? 0 : settings->timeouts_s[timeout];
}

double phase_timeout_s(const struct settings *settings, const struct phase *phase)
{
	return phase->own_timeout_s > 0 ? phase->own_timeout_s
					: timeout_s(settings, phase->timeout);
}

/* TCP has two of its own, for connections that are not acknowledged. */
static bool is_setting(const struct model *model, const struct row_key *key, int timeout,
		       double told_s)
{
	static const int tcp[] = {TIMEOUT_TCP_UNACKNOWLEDGED, TIMEOUT_TCP_MAX_RETRANS};
	bool is = fabs(told_s - timeout_s(&model->settings, timeout)) <= OWN_LEAST_S;

	for (unsigned int i = 0; key->l4proto == L4_TCP && i < 2; i++)
		is |= fabs(told_s - timeout_s(&model->settings, tcp[i])) <= OWN_LEAST_S;
	return is;
}

double own_timeout_s(const struct model *model, const struct row_key *key, unsigned int state)
{
	const struct snap_ages_cell *cell = snap_ages_cell(
		snap_ages_now(model->details->ages, model->snap->taken_real_ns), key, state);
	int timeout = timeout_of_state(key->l4proto, state);

	if (!cell || !cell->timeout_s || timeout < 0 ||
	    is_setting(model, key, timeout, cell->timeout_s))
		return 0;
	return cell->timeout_s;
}

double state_timeout_s(const struct model *model, const struct row_key *key, unsigned int state)
{
	double own_s = own_timeout_s(model, key, state);

	return own_s > 0 ? own_s
			 : timeout_s(&model->settings, timeout_of_state(key->l4proto, state));
}

static double above_of(const struct snap_stays *stays, unsigned int bucket)
{
	double above = 0;

	for (unsigned int i = bucket + 1; i < SHM_STAY_BUCKETS; i++)
		above += (double)stays->buckets[i];
	return above;
}

/* When next to nothing is in shorter buckets, the sum tells how long those of this one
 * were: the more of them expired, the longer. Negative: it does not tell. */
static double expired_by_sum(const struct snap_stays *stays, unsigned int bucket, double timeout,
			     double interval_s)
{
	double low = bucket ? snap_stay_edge_s(bucket - 1) : 0;
	double high = snap_stay_edge_s(bucket);
	double n = (double)stays->buckets[bucket];
	double left_mean_s = (low + timeout) / 2;
	double below = 0, rest_s = stays->sum_s;

	for (unsigned int i = 0; i < bucket; i++) {
		below += (double)stays->buckets[i];
		rest_s -= (double)stays->buckets[i] * snap_stay_edge_s(i) / 2;
	}
	if (timeout <= low || below > (1 - LAG_PURE) * (double)stays->count)
		return -1;
	rest_s -= above_of(stays, bucket) * (high + fmax(high, timeout + interval_s)) / 2;
	return n * fmin(1, fmax(0, (rest_s / n - left_mean_s) / (timeout - left_mean_s)));
}

/* How many of the bucket that the timeout is in, it ended. */
static double expired_of(const struct snap_stays *stays, unsigned int bucket, double timeout,
			 double interval_s, bool waits)
{
	double n = (double)stays->buckets[bucket];
	double within_s = snap_stay_edge_s(bucket) - timeout;
	double by_sum = waits && n > 0 ? expired_by_sum(stays, bucket, timeout, interval_s) : -1;

	if (by_sum >= 0)
		return by_sum;
	/* Every lag may lie within it. */
	if (interval_s <= within_s)
		return n;
	return fmin(n, above_of(stays, bucket) * within_s / (interval_s - within_s));
}

/* The sum of all is exact, the middles of buckets are not; but packets ended none later
 * than the timeout would have. Stays longer than can be were under an earlier one. */
static double left_time_s(const struct snap_stays *stays, const struct split *split, double timeout,
			  double wait_s)
{
	double most_s = 0;

	if (split->expired <= 0)
		return stays->sum_s;
	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
		most_s += split->left[i] * fmin(snap_stay_edge_s(i), timeout);
	if (wait_s > 0)
		return fmin(most_s, fmax(0, stays->sum_s - split->expired * wait_s));
	return fmin(split->left_s, fmax(0, stays->sum_s - split->expired * timeout));
}

void split_stays(const struct snap_stays *stays, double timeout, double interval_s, double wait_s,
		 struct split *split)
{
	double low = 0, scale;

	memset(split, 0, sizeof(*split));
	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++) {
		double high = snap_stay_edge_s(i);
		double n = (double)stays->buckets[i];
		double expired = timeout <= 0 || high <= timeout ? 0
				 : low < timeout && wait_s > ALL_EXPIRE
					 ? expired_of(stays, i, timeout, interval_s, wait_s >= 0)
					 : n;

		split->expired += expired;
		split->left[i] = n - expired;
		split->middle_s[i] = isinf(high)		       ? low
				     : timeout > low && timeout < high ? (low + timeout) / 2
				     : low > 0			       ? sqrt(low * high)
								       : high / 2;
		split->left_s += split->left[i] * split->middle_s[i];
		low = high;
	}
	scale = left_time_s(stays, split, timeout, wait_s);
	if (split->left_s > 0)
		for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
			split->middle_s[i] *= scale / split->left_s;
	split->left_s = scale;
	split->expired_s = stays->sum_s - split->left_s;
}

double split_left_s(const struct split *split, double most_s)
{
	double sum = 0;

	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
		sum += split->left[i] * fmin(split->middle_s[i], most_s);
	return sum;
}

bool state_waits(unsigned int l4proto, unsigned int state)
{
	return l4proto == L4_TCP &&
	       (state == ST_TCP_TIME_WAIT || state == ST_TCP_CLOSE || state == ST_TCP_SYN_SENT);
}

/* What closes no connections ends by its deadline: packets move it to another state at once, or
 * within seconds. All of the bucket that the deadline is in have expired. */
static bool ends_by_deadline(unsigned int l4proto)
{
	return l4proto != L4_TCP && l4proto != L4_SCTP;
}

/* This deadline cannot have passed yet. */
static bool too_early(const struct model *model, double timeout)
{
	return timeout > 0 && timeout <= LONG_TIMEOUT_S &&
	       model->watch_s < timeout + WATCH_MARGIN_S;
}

/* Rows that share a detail have each their own, if any. */
static double view_timeout_s(const struct model *model, const struct view *view, unsigned int state)
{
	const struct row_key *key = &view->detail->key;

	return view->detail->pool
		       ? timeout_s(&model->settings, timeout_of_state(key->l4proto, state))
		       : state_timeout_s(model, key, state);
}

static void derive_state(const struct model *model, struct view *view, unsigned int state)
{
	unsigned int l4proto = view->detail->key.l4proto;
	double timeout = view_timeout_s(model, view, state);
	const struct snap_stays *stays = &view->detail->states[state];
	struct split split;
	double waiting;

	split_stays(stays, timeout, model->interval_s,
		    state_waits(l4proto, state) ? timeout + model->lag_s
		    : ends_by_deadline(l4proto) ? ALL_EXPIRE
						: -1,
		    &split);
	waiting = too_early(model, timeout) ? (double)view->states[state] : 0;
	view->left_s[state] = split.left_s / view->lives;
	view->stay_s[state] = stays->count ? stays->sum_s / (double)stays->count : (double)NAN;
	view->expiring[state] = (split.expired + waiting) / view->lives;
	if (split.expired > 0 && !state_waits(l4proto, state))
		view->active_s[state] =
			fmax(0, split.expired_s / split.expired - timeout - model->lag_s);
}

/*
 * Lives: those seen from beginning to end, and those whose deadline cannot have
 * seen pass; but a life has only one stay that expires.
 */
static void derive(const struct model *model, struct view *view)
{
	unsigned int l4proto = view->detail ? view->detail->key.l4proto : 0;
	double expired = 0;

	if (!view->detail)
		return;
	view->lives = (double)view->detail->whole.count;
	for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++) {
		double timeout = view_timeout_s(model, view, state);
		struct split split;

		split_stays(&view->detail->states[state], timeout, model->interval_s,
			    state_waits(l4proto, state) ? 0
			    : ends_by_deadline(l4proto) ? ALL_EXPIRE
							: -1,
			    &split);
		if (too_early(model, timeout))
			view->lives += (double)view->states[state];
		else
			expired += split.expired;
	}
	view->lives = fmax(view->lives, expired);
	view->measured = view->lives >= LIVES_MIN;
	for (unsigned int state = 0; view->measured && state < STATE_SLOTS_MAX; state++)
		derive_state(model, view, state);
}

void views_derive(struct views *views, const struct model *model)
{
	for (size_t i = 0; i < views->own_count; i++)
		derive(model, &views->own[i]);
	for (unsigned int p = 0; p < L4_COUNT; p++)
		for (unsigned int d = 0; d < DIR_COUNT; d++)
			derive(model, &views->pools[p][d]);
}

/* So many answers of the kernel: a part of them is off by a twentieth at most. */
#define TOLD_ENOUGH 100u
/* What so few do does not matter. */
#define REFRESHED_MOST 0.05

bool told_enough(const struct snap_ages_cell *cell)
{
	return cell->told >= TOLD_ENOUGH || (cell->told && cell->told >= cell->entries / 2);
}

bool told_unrefreshed(const struct snap_ages_cell *cell)
{
	return told_enough(cell) && cell->refreshed <= REFRESHED_MOST * cell->told;
}

static bool nothing_refreshes(const struct snap_ages *ages, const struct row_key *key,
			      unsigned int state)
{
	const struct snap_ages_cell *cell = snap_ages_cell(ages, key, state);

	return state_waits(key->l4proto, state) || (cell && told_unrefreshed(cell));
}

void measure_lag(struct model *model, const struct snapshot *snap,
		 const struct snap_detail *details)
{
	const struct snap_ages *ages = snap_ages_now(details->ages, snap->taken_real_ns);

	double late_s = 0, count = 0;

	for (size_t i = 0; i < details->detail_count; i++) {
		const struct snap_row_detail *detail = &details->details[i];

		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++) {
			const struct row_key *key = &detail->key;
			double timeout = detail->pool
						 ? timeout_s(&model->settings,
							     timeout_of_state(key->l4proto, state))
						 : state_timeout_s(model, key, state);
			struct split split;

			if (detail->pool ? !state_waits(detail->key.l4proto, state)
					 : !nothing_refreshes(ages, &detail->key, state))
				continue;
			split_stays(&detail->states[state], timeout, model->interval_s,
				    ends_by_deadline(detail->key.l4proto) ? ALL_EXPIRE : 0, &split);
			if (split.expired < LAG_PURE * (double)detail->states[state].count)
				continue;
			count += split.expired;
			late_s += split.expired_s - split.expired * timeout;
		}
	}
	if (count >= LAG_SAMPLES_MIN && late_s >= 0 && late_s / count <= LAG_MAX_S)
		model->lag_s = late_s / count;
}
