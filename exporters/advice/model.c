// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/advice/model_detail.h"
#include "lib/health/health.h"
#include "lib/kernel/gc.h"

#define LAST_MINUTE 6u /* frames */
#define LAST_THREE  18u
/* A mean that falls by more has come to its end, and is no chance. */
#define ENDED_RATIO 0.67
/* Frames end so long ago at most, or they are not of now. */
#define FRAME_FRESH_NS UINT64_C(30000000000)

/* How many there are, and how many come. */
struct turnover {
	double entries;
	double new_per_s;
};

const char *basis_name(enum basis basis)
{
	static const char *const names[] = {"measured", "timeouts", "present"};

	return names[basis];
}

static bool table_log_fresh(const struct snapshot *snap, const struct snap_table_log *frames)
{
	const struct snap_frame *last = frames->count ? &frames->frames[frames->count - 1] : NULL;

	return last && snap->taken_real_ns < last->real_ns + FRAME_FRESH_NS &&
	       last->real_ns < snap->taken_real_ns + FRAME_FRESH_NS;
}

/* Mean over the last `wanted` frames; NaN when the row is not in all of them. */
static double frame_rate(const struct snap_table_log *frames, const struct row_key *key,
			 size_t wanted)
{
	double sum = 0;

	if (frames->count < wanted)
		return (double)NAN;
	for (size_t i = frames->count - wanted; i < frames->count; i++) {
		const struct snap_frame *frame = &frames->frames[i];
		uint32_t j = 0;

		while (j < frame->row_count && memcmp(&frame->rows[j].key, key, sizeof(*key)) != 0)
			j++;
		if (j == frame->row_count)
			return (double)NAN;
		sum += frame->rows[j].new_entries;
	}
	return sum / ((double)wanted * frames->interval_s);
}

double arrivals_per_s(const struct snapshot *snap, const struct snap_detail *details,
		      const struct snap_row *row)
{
	double minute, three;

	if (!table_log_fresh(snap, &details->minutes))
		return row->new_per_s;
	minute = frame_rate(&details->minutes, &row->key, LAST_MINUTE);
	three = frame_rate(&details->minutes, &row->key, LAST_THREE);
	if (isnan(minute))
		return row->new_per_s;
	return three > minute ? three : minute;
}

/* The same to come: of a load that has just ended the minutes before say nothing. */
static double lasting_per_s(const struct snapshot *snap, const struct snap_detail *details,
			    const struct snap_row *row, double arrivals)
{
	double minute = frame_rate(&details->minutes, &row->key, LAST_MINUTE);

	return table_log_fresh(snap, &details->minutes) && minute < ENDED_RATIO * arrivals
		       ? minute
		       : arrivals;
}

static void settle(struct phase *phase, const struct class *class, double per_arrival_s)
{
	double turnover = isnan(class->new_per_s) ? 0 : class->new_per_s * per_arrival_s;

	phase->standing_entries = fmax(0, phase->entries - turnover);
}

/* Too few lives: arrivals go where entries wait now. */
static void guess_phases(const struct model *model, struct class *class, struct phase *phases)
{
	double flow = 0;

	class->basis = isnan(class->new_per_s) ? BASIS_PRESENT : BASIS_TIMEOUTS;
	for (unsigned int i = 0; i < class->phase_count; i++) {
		double timeout = phase_timeout_s(&model->settings, &phases[i]);

		if (timeout > 0 && timeout <= LONG_TIMEOUT_S)
			flow += phases[i].entries / (timeout + model->lag_s);
	}
	for (unsigned int i = 0; i < class->phase_count; i++) {
		double timeout = phase_timeout_s(&model->settings, &phases[i]);

		if (class->basis == BASIS_TIMEOUTS && timeout > 0 && timeout <= LONG_TIMEOUT_S)
			phases[i].expiring =
				flow > 0 ? phases[i].entries / (timeout + model->lag_s) / flow : 0;
		else
			phases[i].standing_entries = phases[i].entries;
	}
}

static void measured_phases(const struct model *model, const struct view *view, struct class *class,
			    struct phase *phases)
{
	class->basis = BASIS_MEASURED;
	for (unsigned int i = 0; i < class->phase_count; i++) {
		struct phase *phase = &phases[i];
		double timeout = phase_timeout_s(&model->settings, phase);

		phase->left_s = view->left_s[phase->state];
		phase->expiring = view->expiring[phase->state];
		phase->active_s = view->active_s[phase->state];
		phase->stay_s = view->stay_s[phase->state];
		phase->lives = view->lives;
		if (state_waits(class->row->key.l4proto, phase->state))
			phase->waiting = &view->detail->states[phase->state];
		/* What outlasts any watching; and what no timeout that is known holds. */
		if (timeout > LONG_TIMEOUT_S || phase->timeout < 0)
			settle(phase, class,
			       phase->left_s + phase->expiring *
						       (phase->active_s + timeout + model->lag_s));
	}
}

static void add_class(struct model *model, const struct snap_row *row, const struct view *view,
		      double new_per_s)
{
	struct class *class = &model->classes[model->count++];
	struct phase *phases = &model->phases[model->phase_count];

	*class = (struct class){
		.row = row, .new_per_s = new_per_s, .first_phase = (uint32_t)model->phase_count};
	for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++) {
		if (!row->states[state] &&
		    !(view->measured && (view->left_s[state] > 0 || view->expiring[state] > 0)))
			continue;
		phases[class->phase_count++] = (struct phase){
			.state = (uint8_t)state,
			.timeout = (int16_t)timeout_of_state(row->key.l4proto, state),
			.own_timeout_s = own_timeout_s(model, &row->key, state),
			.entries = row->states[state],
			.stay_s = (double)NAN};
	}
	model->phase_count += class->phase_count;
	if (view->measured && !isnan(new_per_s))
		measured_phases(model, view, class, phases);
	else
		guess_phases(model, class, phases);
}

static void take_settings(const struct snapshot *snap, struct model *model)
{
	const struct snap_live *live = &snap->live;

	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++)
		model->settings.timeouts_s[i] =
			snap->timeouts_s[i] ? snap->timeouts_s[i] : timeout_info(i)->default_s;
	model->settings.max_entries = live->max_entries > 0 ? (double)live->max_entries : 0;
	model->settings.buckets = live->buckets > 0 ? (double)live->buckets : 0;
	model->settings.chain_limit_entries =
		live->chain_limit_entries > 0 ? (double)live->chain_limit_entries : 0;
	model->settings.tick_hz = (unsigned int)live->tick_hz;
	model->packets.own_per_s = fmax((double)live->own_packets_milli_per_s / 1000, 0);
	model->packets.others_per_s = fmax((double)live->other_packets_milli_per_s / 1000, 0);
	model->audits_per_s = live->table_audits_per_s > 0 ? (double)live->table_audits_per_s : 0;
	model->entries = live->count_entries > 0 ? (double)live->count_entries : 0;
	if (live->heartbeat_boot_ns > live->started_boot_ns && live->started_boot_ns != 0)
		model->watch_s =
			((double)live->heartbeat_boot_ns - (double)live->started_boot_ns) / 1e9;
}

/* Where entries are translated, NAT looks for a tuple that is free with each new one. */
static unsigned int walks_an_entry(const struct snapshot *snap, const struct snap_detail *details)
{
	const struct snap_ages *ages = snap_ages_now(details->ages, snap->taken_real_ns);

	return ages && (ages->all.src_nat || ages->all.dst_nat) ? 2 : 1;
}

static double interval_s(const struct model *model, const struct kernel_gc *gc)
{
	return kernel_gc_interval_among_s(kernel_gc_interval_s(gc, model->settings.tick_hz),
					  &model->packets);
}

static double lag_of(const struct model *model, double interval_s, double buckets,
		     const struct turnover *turnover)
{
	const struct gc_lookups lookups = {
		.walks_per_s = kernel_gc_walks_per_s(
			turnover->new_per_s * walks_an_entry(model->snap, model->details),
			&model->packets),
		.buckets = buckets,
		.round_s = model->audits_per_s > 0 ? turnover->entries / model->audits_per_s : 0,
	};

	return kernel_gc_lag_s(interval_s, &lookups);
}

/* Before anything is known about the phases: what is there, and its timeouts. */
static void guess_lag(const struct snapshot *snap, struct model *model)
{
	struct turnover turnover = {.entries = model->entries};
	struct kernel_gc gc;

	kernel_gc_init(&gc);
	for (size_t i = 0; i < snap->row_count; i++) {
		const struct snap_row *row = &snap->rows[i];

		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++)
			kernel_gc_add(&gc, row->states[state],
				      state_timeout_s(model, &row->key, state));
		turnover.new_per_s += row->new_per_s > 0 ? row->new_per_s : 0;
	}
	model->interval_s = interval_s(model, &gc);
	model->lag_s = lag_of(model, model->interval_s, model->settings.buckets, &turnover);
}

static size_t count_phases(struct views *views, const struct snapshot *snap)
{
	size_t count = 0;

	for (size_t i = 0; i < snap->row_count; i++) {
		const struct view *view = view_of(views, &snap->rows[i]);

		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++)
			count += snap->rows[i].states[state] || view->left_s[state] > 0 ||
				 view->expiring[state] > 0;
	}
	return count;
}

static int build(const struct snapshot *snap, const struct snap_detail *details,
		 struct views *views, struct model *model)
{
	for (size_t i = 0; i < snap->row_count; i++) {
		struct view *view = view_of(views, &snap->rows[i]);

		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++)
			view->states[state] += snap->rows[i].states[state];
	}
	views_derive(views, model);
	model->classes = calloc(snap->row_count + 1, sizeof(*model->classes));
	model->phases = calloc(count_phases(views, snap) + 1, sizeof(*model->phases));
	if (!model->classes || !model->phases)
		return -ENOMEM;
	for (size_t i = 0; i < snap->row_count; i++) {
		const struct snap_row *row = &snap->rows[i];
		double new_per_s = arrivals_per_s(snap, details, row);

		add_class(model, row, view_of(views, row), new_per_s);
		model->classes[i].lasting_per_s = lasting_per_s(snap, details, row, new_per_s);
	}
	return 0;
}

/* --- scenarios ------------------------------------------------------------------ */

static double arrivals(const struct model *model, const struct scenario *scenario, size_t i)
{
	double rate = model->classes[i].lasting_per_s;

	return (isnan(rate) ? 0 : rate) * (scenario->times ? scenario->times[i] : 1);
}

/* The standing ones go down with their timeout, in the end; they were its guess. */
static double standing(const struct model *model, const struct scenario *scenario,
		       const struct phase *phase, size_t i)
{
	double now = phase_timeout_s(&model->settings, phase);
	double then = phase_timeout_s(scenario->then, phase);
	double times = scenario->times ? scenario->times[i] : 1;

	return phase->standing_entries * times * (now > 0 ? then / now : 1);
}

/* Per arrival. */
static double left_s(const struct model *model, const struct phase *phase,
		     const struct settings *then, double lag_s)
{
	double now_s = phase_timeout_s(&model->settings, phase);
	double then_s = phase_timeout_s(then, phase);
	struct split split;

	if (!phase->waiting || then_s >= now_s)
		return phase->left_s;
	split_stays(phase->waiting, now_s, model->interval_s, now_s + model->lag_s, &split);
	return split_left_s(&split, then_s + lag_s) / phase->lives;
}

static void model_gc(const struct model *model, struct scenario *scenario)
{
	struct turnover turnover = {0};
	struct kernel_gc gc;

	kernel_gc_init(&gc);
	for (size_t i = 0; i < model->count; i++) {
		const struct class *class = &model->classes[i];
		double rate = arrivals(model, scenario, i);

		turnover.new_per_s += rate;
		for (uint32_t j = 0; j < class->phase_count; j++) {
			const struct phase *phase = &model->phases[class->first_phase + j];
			double timeout = phase_timeout_s(scenario->then, phase);
			double live = rate * (left_s(model, phase, scenario->then, 0) +
					      phase->expiring * (phase->active_s + timeout)) +
				      standing(model, scenario, phase, i);

			kernel_gc_add(&gc, live, timeout);
			turnover.entries += live;
		}
	}
	scenario->interval_s = interval_s(model, &gc);
	scenario->lag_s = lag_of(model, scenario->interval_s, scenario->then->buckets, &turnover);
}

double model_run(const struct model *model, struct scenario *scenario)
{
	double sum = 0;

	/* What was measured stands; the computed lags only say how it changes. */
	model_gc(model, scenario);
	scenario->lag_s =
		fmin(model->lag_s * scenario->lag_s / model->reckoned_lag_s, GC_ROUND_MAX_S);
	for (size_t i = 0; i < model->count; i++) {
		const struct class *class = &model->classes[i];
		double rate = arrivals(model, scenario, i);

		for (uint32_t j = 0; j < class->phase_count; j++) {
			const struct phase *phase = &model->phases[class->first_phase + j];
			double stay_s = phase->active_s + phase_timeout_s(scenario->then, phase) +
					scenario->lag_s;
			double left = left_s(model, phase, scenario->then, scenario->lag_s);
			double entries = rate * (left + phase->expiring * stay_s) +
					 standing(model, scenario, phase, i);

			if (scenario->phase_entries)
				scenario->phase_entries[class->first_phase + j] = entries;
			sum += entries;
		}
		sum += scenario->added ? scenario->added[i] : 0;
	}
	return sum;
}

static void set_scale(const struct snapshot *snap, struct model *model)
{
	uint32_t settles_at;

	model->settles_at_entries =
		health_settles_at(snap, &settles_at) ? (double)settles_at : (double)NAN;
	model->shown_entries =
		isnan(model->settles_at_entries) ? model->entries : model->settles_at_entries;
	model->scale = model->steady_entries > 0 ? model->shown_entries / model->steady_entries : 1;
}

/* --- all of it ------------------------------------------------------------------- */

int model_build(const struct snapshot *snap, const struct snap_detail *details, struct model *model)
{
	struct scenario now = {.then = &model->settings};
	struct views *views = malloc(sizeof(*views));
	int err = -ENOMEM;

	memset(model, 0, sizeof(*model));
	model->snap = snap;
	model->details = details;
	if (views)
		err = views_init(views, details);
	if (!err) {
		take_settings(snap, model);
		guess_lag(snap, model);
		measure_lag(model, snap, details);
		err = build(snap, details, views, model);
		views_free(views);
	}
	free(views);
	if (err)
		return err;
	model_gc(model, &now);
	model->reckoned_lag_s = now.lag_s;
	model->interval_s = now.interval_s;
	model->steady_entries = model_run(model, &now);
	set_scale(snap, model);
	return 0;
}

void model_free(struct model *model)
{
	free(model->classes);
	free(model->phases);
	memset(model, 0, sizeof(*model));
}
