// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/savings.h"

#include <math.h>
#include <string.h>

#include "exporters/advice/change.h"
#include "exporters/advice/model_detail.h"
#include "lib/kernel/gc.h"

/* Entries of before the agent started, of which nothing is known: so many do not matter. */
#define UNKNOWN_MOST  20.0
#define UNKNOWN_RATIO 0.05
/* A cell tells of the collector when so many wait, and some have nearly waited to the end. */
#define WAITING_LEAST 50.0
#define NEARLY	      0.8
#define NEARLY_LEAST  20.0

/* A walk comes every ten seconds; ages that are older than this do not stand for now. */
#define WALK_MOST_S 20.0

struct count {
	const struct whatif *whatif;
	const struct model *model;
	double lag_s;
};

static uint32_t aged_entries(const struct snap_ages_cell *cell)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < SHM_AGE_BUCKETS; i++)
		sum += cell->age[i];
	return sum;
}

static const struct phase *phase_of(const struct model *model, const struct row_key *key,
				    unsigned int state)
{
	for (size_t i = 0; i < model->count; i++) {
		const struct class *class = &model->classes[i];

		if (memcmp(&class->row->key, key, sizeof(*key)) != 0)
			continue;
		for (uint32_t k = 0; k < class->phase_count; k++)
			if (model->phases[class->first_phase + k].state == state)
				return class->basis == BASIS_MEASURED
					       ? &model->phases[class->first_phase + k]
					       : NULL;
	}
	return NULL;
}

/* No packet comes after the one that brought the entry into its state: by its nature, by
 * what the kernel told, or by how long those took that have ended. */
static bool nothing_refreshes(const struct model *model, const struct snap_ages_cell *cell)
{
	const struct phase *phase;

	if (state_waits(cell->key.l4proto, cell->state))
		return true;
	if (told_enough(cell))
		return told_unrefreshed(cell);
	phase = phase_of(model, &cell->key, cell->state);
	return phase && phase->expiring > 0 && phase->active_s < 2 && phase->left_s < 1;
}

/* An age or idle time that is asked about, seconds: who is older than `over_s` would not be
 * here. Since the walk `since_s` have passed, and those that became `gone_s` old are gone. */
struct limits {
	double over_s, gone_s, since_s;
};

/* A state that nothing refreshes: who was there has become older, and nobody that came since is
 * old. In a table that grows or has just emptied that is another number than at the walk. */
static double older_now(const struct snap_ages_cell *cell, const struct limits *limits)
{
	double over = snap_ages_older(cell->age, limits->over_s - limits->since_s);
	double gone = snap_ages_older(cell->age, limits->gone_s - limits->since_s) -
		      snap_ages_older(cell->age, limits->gone_s);

	return fmax(0, over - gone);
}

/* Entries of the cell for which the last packet was so long ago. NaN: not known. */
static double entries_over(const struct model *model, const struct snap_ages_cell *cell,
			   const struct limits *limits)
{
	double seconds = limits->over_s;
	double idle_part =
		cell->told ? snap_ages_older(cell->idle, seconds) / cell->told : (double)NAN;
	double unknown = cell->entries - aged_entries(cell);
	double older = snap_ages_older(cell->age, seconds);

	if (!nothing_refreshes(model, cell)) {
		/* None is old enough to be idle for so long. */
		if (older + unknown < 1)
			return 0;
		return told_enough(cell) ? idle_part * cell->entries : (double)NAN;
	}
	if (unknown < 1)
		return older_now(cell, limits);
	if (told_enough(cell))
		return older + unknown * idle_part;
	return unknown <= UNKNOWN_MOST ? older : (double)NAN;
}

/* What another change of the same what-if leaves nothing of. */
static bool gone_already(const struct whatif *whatif, const struct row_key *key)
{
	for (size_t i = 0; i < whatif->count; i++)
		if ((whatif->changes[i].kind == CHANGE_NOTRACK ||
		     whatif->changes[i].kind == CHANGE_KEEPALIVE) &&
		    change_names(&whatif->changes[i], key))
			return true;
	return false;
}

/* What has expired waits for the collector: of entries that come evenly and wait for
 * `timeout`, so many are older than that as came in the time since its last round. Where the
 * cell does not tell, the model does. */
static double lag_of(const struct count *count, const struct snap_ages_cell *cell, double timeout)
{
	double expired = snap_ages_older(cell->age, timeout);
	double waiting = aged_entries(cell) - expired;
	double lag_s = waiting > 0 ? timeout * expired / waiting : GC_ROUND_MAX_S;

	if (!nothing_refreshes(count->model, cell) || waiting < WAITING_LEAST ||
	    snap_ages_older(cell->age, NEARLY * timeout) < NEARLY_LEAST || lag_s > GC_ROUND_MAX_S)
		return count->model->lag_s;
	return lag_s;
}

/* With the change the rounds come as the model has it. */
static struct limits limits_of(const struct count *count, const struct snap_ages_cell *cell,
			       const struct change *change, double since_s)
{
	double timeout = count->model->settings.timeouts_s[change->timeout];
	double lag_s = lag_of(count, cell, timeout), faster = 1;

	if (count->model->lag_s > 0)
		faster = fmin(1, count->lag_s / count->model->lag_s);
	return (struct limits){change->value + lag_s * faster, timeout + lag_s, since_s};
}

/* Whole seconds since the walk of now; that of the peak is of then. */
static double since_s(const struct count *count, const struct snap_ages *ages, bool now)
{
	uint64_t now_ns = count->model->snap->taken_real_ns;

	return now && now_ns > ages->real_ns
		       ? fmin(floor((double)(now_ns - ages->real_ns) / 1e9), WALK_MOST_S)
		       : 0;
}

static double of_timeout(const struct count *count, const struct change *change,
			 const struct snap_ages *ages, bool now)
{
	double sum = 0, unknown = 0;

	if (change->value >= count->model->settings.timeouts_s[change->timeout])
		return (double)NAN;
	for (uint32_t i = 0; i < ages->cell_count; i++) {
		const struct snap_ages_cell *cell = &ages->cells[i];
		struct limits limits;
		double over;

		if (timeout_of_state(cell->key.l4proto, cell->state) != change->timeout ||
		    own_timeout_s(count->model, &cell->key, cell->state) > 0 ||
		    gone_already(count->whatif, &cell->key))
			continue;
		limits = limits_of(count, cell, change, since_s(count, ages, now));
		over = entries_over(count->model, cell, &limits);
		sum += isnan(over) ? 0 : over;
		unknown += isnan(over) ? cell->entries : 0;
	}
	/* Of a few, more or less, nothing depends. */
	return unknown <= fmax(UNKNOWN_MOST, UNKNOWN_RATIO * sum) ? sum : (double)NAN;
}

static double open_of(const struct snap_ages *ages, const struct row_key *key)
{
	static const unsigned int open[] = {ST_TCP_ESTABLISHED, ST_TCP_SYN_RECV};
	double sum = 0;

	for (unsigned int i = 0; i < 2; i++) {
		const struct snap_ages_cell *cell = snap_ages_cell(ages, key, open[i]);

		sum += cell ? cell->entries : 0;
	}
	return sum;
}

static double of_row(const struct change *change, const struct row_key *key, double entries,
		     double open)
{
	bool opened_here = key->direction == DIR_OUTBOUND || key->direction == DIR_LOOPBACK;

	if (!change_names(change, key))
		return 0;
	if (change->kind == CHANGE_RATE)
		return (1 - change->value) * entries;
	if (change->kind == CHANGE_NOTRACK)
		return entries;
	return opened_here ? fmax(0, entries - fmax(KEEPALIVE_POOL_MIN, ceil(2 * open))) : 0;
}

/* Of the rows as they are at this moment: the snapshot has them all. */
static double of_port_now(const struct count *count, const struct change *change)
{
	const struct snapshot *snap = count->model->snap;
	double sum = 0;

	for (size_t i = 0; i < snap->row_count; i++) {
		const struct snap_row *row = &snap->rows[i];
		bool tcp = row->key.l4proto == L4_TCP;

		sum += of_row(change, &row->key, row->entries,
			      tcp ? (double)row->states[ST_TCP_ESTABLISHED] +
					      row->states[ST_TCP_SYN_RECV]
				  : 0);
	}
	return sum;
}

static double of_port(const struct change *change, const struct snap_ages *ages)
{
	double sum = 0;

	for (uint32_t i = 0; i < ages->row_count; i++)
		sum += of_row(change, &ages->rows[i].key, ages->rows[i].entries,
			      open_of(ages, &ages->rows[i].key));
	return sum;
}

/* `now`: of the entries of this moment, else of those of `ages`. */
static double count_all(const struct count *count, const struct snap_ages *ages, bool now)
{
	double all = now ? (double)count->model->snap->live.mirror_entries
			 : (ages ? ages->all.entries : (double)NAN);
	double sum = 0;

	for (size_t i = 0; i < count->whatif->count; i++) {
		const struct change *change = &count->whatif->changes[i];

		if (change->kind == CHANGE_MAX || change->kind == CHANGE_BUCKETS)
			continue;
		if (change->kind != CHANGE_TIMEOUT && now)
			sum += of_port_now(count, change);
		else if (!ages)
			return (double)NAN;
		else
			sum += change->kind == CHANGE_TIMEOUT ? of_timeout(count, change, ages, now)
							      : of_port(change, ages);
	}
	/* Of a row by one change, of its cells by another: never more than there are. */
	return sum > all ? all : sum;
}

/* --- how soon ---------------------------------------------------------------------------- */

/* The longest wait of what the row holds now, or a fifth of it at least. */
static double drains_s(const struct model *model, const struct change *change)
{
	double longest = 0;

	for (size_t i = 0; i < model->count; i++) {
		const struct class *class = &model->classes[i];

		if (!change_names(change, &class->row->key))
			continue;
		for (uint32_t k = 0; k < class->phase_count; k++) {
			const struct phase *phase = &model->phases[class->first_phase + k];

			if (phase->entries >= class->row->entries / 5.0 && phase->entries)
				longest =
					fmax(longest, timeout_s(&model->settings, phase->timeout));
		}
	}
	return longest + model->lag_s;
}

static void how_soon(const struct count *count, struct savings *savings)
{
	savings->begins_s = savings->full_s = (double)NAN;
	for (size_t i = 0; i < count->whatif->count; i++) {
		const struct change *change = &count->whatif->changes[i];
		double begins = 0, full;

		if (change->kind == CHANGE_MAX || change->kind == CHANGE_BUCKETS)
			continue;
		if (change->kind == CHANGE_TIMEOUT) {
			/* Those that are there keep the deadline they have. */
			begins = change->value + count->lag_s;
			full = count->model->settings.timeouts_s[change->timeout] +
			       count->model->lag_s;
		} else {
			full = drains_s(count->model, change);
		}
		savings->begins_s =
			fmin(begins, isnan(savings->begins_s) ? begins : savings->begins_s);
		savings->full_s = fmax(full, isnan(savings->full_s) ? full : savings->full_s);
	}
}

void savings_count(const struct whatif *whatif, const struct model *model, double lag_s,
		   struct savings *savings)
{
	const struct count count = {whatif, model, lag_s};
	uint64_t now_ns = model->snap->taken_real_ns;
	const struct snap_ages *peak = snap_ages_peak(model->details->ages, now_ns);

	savings->now_entries = count_all(&count, snap_ages_now(model->details->ages, now_ns), true);
	savings->peak_entries = count_all(&count, peak, false);
	savings->peak_of_entries = peak ? peak->all.entries : (double)NAN;
	savings->peak_real_ns = peak ? peak->real_ns : 0;
	how_soon(&count, savings);
}
