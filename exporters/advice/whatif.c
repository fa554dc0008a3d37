// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/whatif.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/health/health.h"

static bool moves_entries(const struct whatif_result *result)
{
	return result->steady_then < result->steady_now || result->steady_then > result->steady_now;
}

double whatif_now(const struct whatif_result *result)
{
	return result->model->shown_entries;
}

double whatif_then(const struct whatif_result *result)
{
	const struct model *model = result->model;

	if (!moves_entries(result))
		return model->shown_entries;
	return result->steady_now > 0 ? result->steady_then * model->scale
				      : model->shown_entries + result->steady_then;
}

static double full_s(uint64_t ms)
{
	return ms == SHM_NEVER_MS ? (double)INFINITY : (double)ms / 1e3;
}

void whatif_full_now(const struct snapshot *snap, struct whatif_full *full)
{
	const struct snap_forecast *forecast = &snap->forecast;

	*full = (struct whatif_full){health_forecast_shown(snap), full_s(forecast->full_early_ms),
				     full_s(forecast->full_likely_ms),
				     full_s(forecast->full_late_ms)};
}

/* The lower of the two that are set; infinite: there is none. */
static double limit_of(const struct settings *settings)
{
	double limit = settings->max_entries > 0 ? settings->max_entries : (double)INFINITY;

	return settings->chain_limit_entries > 0 ? fmin(limit, settings->chain_limit_entries)
						 : limit;
}

void whatif_full_then(const struct whatif_result *result, const struct snapshot *snap,
		      struct whatif_full *full)
{
	double limit = limit_of(&result->then), before = limit_of(&result->model->settings);
	bool settles = !isnan(result->model->settles_at_entries);
	/* How soon: nothing to wait for where only the limit is raised. */
	double full_force_s = moves_entries(result) ? result->counted.full_s : 0;

	whatif_full_now(snap, full);
	if (!full->known || (!moves_entries(result) && !(limit < before) && !(limit > before)))
		return;
	full->known = settles && whatif_then(result) < limit && full_force_s <= full->likely_s &&
		      result->model->entries < limit;
	full->early_s = full->likely_s = full->late_s = (double)INFINITY;
}

double whatif_fill(double entries, const struct settings *settings)
{
	return settings->max_entries > 0 ? entries / settings->max_entries : (double)NAN;
}

double whatif_memory_bytes(double entries, const struct settings *settings)
{
	return entries * ENTRY_BYTES + settings->buckets * BUCKET_BYTES;
}

bool change_names(const struct change *change, const struct row_key *key)
{
	return change->l4proto == key->l4proto && change->port == key->port &&
	       (change->direction < 0 || change->direction == key->direction);
}

/* Connections open at one time, before anything of a close was seen. */
static double open_entries(const struct model *model, const struct class *class)
{
	double open = 0;

	for (uint32_t i = 0; i < class->phase_count; i++) {
		const struct phase *phase = &model->phases[class->first_phase + i];

		if (phase->state != ST_TCP_ESTABLISHED && phase->state != ST_TCP_SYN_RECV)
			continue;
		open += class->basis == BASIS_MEASURED ? class->new_per_s * phase->left_s
						       : phase->entries;
	}
	return open;
}

/* The pool is twice what is busy; a connection is reopened after this many requests. */
static void keep_alive(const struct whatif_result *result, size_t i, double *added)
{
	const struct class *class = &result->model->classes[i];
	double pool = fmax(KEEPALIVE_POOL_MIN, ceil(2 * open_entries(result->model, class)));

	result->times[i] /= KEEPALIVE_REQUESTS;
	*added = fmin(pool, result->class_now[i]);
}

static bool opened_here(const struct row_key *key)
{
	return key->direction == DIR_OUTBOUND || key->direction == DIR_LOOPBACK;
}

/* One change that names a port, for all classes it names. */
static void apply_port(const struct change *change, struct whatif_result *result, double *added)
{
	const struct model *model = result->model;
	bool found = false, reached = false;

	for (size_t i = 0; i < model->count; i++) {
		const struct row_key *key = &model->classes[i].row->key;

		if (!change_names(change, key))
			continue;
		found = true;
		if (change->kind == CHANGE_KEEPALIVE && !opened_here(key))
			continue;
		reached = true;
		result->touched[i] = true;
		if (change->kind == CHANGE_RATE)
			result->times[i] *= change->value;
		else if (change->kind == CHANGE_NOTRACK)
			result->times[i] = 0;
		else
			keep_alive(result, i, &added[i]);
	}
	if (!found)
		result->warnings |= WARN(NOTHING_THERE);
	else if (!reached)
		result->warnings |= WARN(KEEPALIVE_LEG);
	if (change->kind == CHANGE_NOTRACK)
		result->warnings |=
			WARN(NAT) | WARN(BOTH_DIRECTIONS) | WARN(STATEFUL_RULES) | WARN(REBOOT);
}

static void touch_timeout(struct whatif_result *result, int timeout)
{
	const struct model *model = result->model;

	for (size_t i = 0; i < model->count; i++) {
		const struct class *class = &model->classes[i];

		for (uint32_t j = 0; j < class->phase_count; j++) {
			const struct phase *phase = &model->phases[class->first_phase + j];

			if (phase->timeout != timeout)
				continue;
			result->touched[i] = true;
			if (phase->standing_entries >= 1)
				result->warnings |= WARN(AT_MOST);
		}
	}
}

static void apply_timeout(const struct change *change, struct whatif_result *result)
{
	double now = result->model->settings.timeouts_s[change->timeout];
	bool shorter = change->value < now;

	result->then.timeouts_s[change->timeout] = change->value;
	result->warnings |= WARN(NOT_RETROACTIVE) | WARN(REBOOT) | WARN(POLICY);
	touch_timeout(result, change->timeout);
	switch (change->timeout) {
	case TIMEOUT_TCP_MAX_RETRANS:
	case TIMEOUT_TCP_UNACKNOWLEDGED:
		result->warnings |= WARN(UNSEEN_TIMEOUT);
		break;
	case TIMEOUT_TCP_ESTABLISHED:
		result->warnings |= WARN(KUBE_PROXY) | (shorter ? WARN(IDLE_CUT) : 0);
		break;
	case TIMEOUT_TCP_CLOSE_WAIT:
		result->warnings |= WARN(KUBE_PROXY);
		break;
	case TIMEOUT_TCP_TIME_WAIT:
	case TIMEOUT_TCP_LAST_ACK:
	case TIMEOUT_TCP_FIN_WAIT:
	case TIMEOUT_TCP_CLOSE:
		result->warnings |= shorter ? WARN(LATE_SEGMENTS) : 0;
		break;
	default:
		result->warnings |=
			shorter && timeout_info((unsigned int)change->timeout)->l4proto != L4_TCP
				? WARN(IDLE_CUT)
				: 0;
	}
}

static void apply_size(const struct change *change, struct whatif_result *result)
{
	const struct settings *now = &result->model->settings;

	result->warnings |= WARN(INITIAL_NETNS) | WARN(REBOOT) | WARN(BOOT_ORDER);
	if (change->kind == CHANGE_BUCKETS) {
		result->warnings |= WARN(REHASH);
		result->then.buckets = change->value;
		/* The mean length of a chain is what the limit is about. */
		if (now->buckets > 0)
			result->then.chain_limit_entries =
				now->chain_limit_entries * change->value / now->buckets;
		return;
	}
	result->warnings |= WARN(KUBE_PROXY);
	result->then.max_entries = change->value;
	if (change->value <= 0)
		result->warnings |= WARN(UNLIMITED);
	else if (now->max_entries <= 0 || change->value < now->max_entries)
		result->warnings |= WARN(SHRINK);
}

static void warn_of_result(struct whatif_result *result)
{
	const struct model *model = result->model;
	const struct settings *then = &result->then;
	const struct settings *now = &model->settings;
	bool resized = then->max_entries > now->max_entries ||
		       then->max_entries < now->max_entries || then->buckets > now->buckets ||
		       then->buckets < now->buckets;

	for (size_t i = 0; i < model->count; i++) {
		if (isnan(model->classes[i].new_per_s) && model->classes[i].row->entries)
			result->warnings |= WARN(NO_RATES);
		if (result->touched[i] && model->classes[i].basis != BASIS_MEASURED)
			result->warnings |= WARN(GUESS);
	}
	if (then->max_entries > 0 && whatif_then(result) > then->max_entries)
		result->warnings |= WARN(TOO_SMALL);
	if (resized && then->chain_limit_entries > 0 &&
	    (then->max_entries <= 0 || then->chain_limit_entries < then->max_entries))
		result->warnings |= WARN(HASH_SMALL);
}

static void by_class(const struct model *model, const double *phases, double *classes)
{
	for (size_t i = 0; i < model->count; i++) {
		const struct class *class = &model->classes[i];

		classes[i] = 0;
		for (uint32_t j = 0; j < class->phase_count; j++)
			classes[i] += phases[class->first_phase + j];
	}
}

static double *doubles(size_t count)
{
	return calloc(count + 1, sizeof(double));
}

static int make_room(const struct model *model, struct whatif_result *result)
{
	result->times = doubles(model->count);
	result->class_now = doubles(model->count);
	result->class_then = doubles(model->count);
	result->phase_now = doubles(model->phase_count);
	result->phase_then = doubles(model->phase_count);
	result->touched = calloc(model->count + 1, sizeof(bool));
	return result->times && result->class_now && result->class_then && result->phase_now &&
			       result->phase_then && result->touched
		       ? 0
		       : -ENOMEM;
}

static void run(const struct whatif *whatif, struct whatif_result *result, double *added)
{
	const struct model *model = result->model;
	struct scenario now = {.then = &model->settings, .phase_entries = result->phase_now};
	struct scenario then = {.then = &result->then,
				.times = result->times,
				.added = added,
				.phase_entries = result->phase_then};

	result->steady_now = model_run(model, &now);
	by_class(model, result->phase_now, result->class_now);
	for (size_t i = 0; i < model->count; i++)
		result->times[i] = 1;
	for (size_t i = 0; i < whatif->count; i++) {
		const struct change *change = &whatif->changes[i];

		if (change->kind == CHANGE_TIMEOUT)
			apply_timeout(change, result);
		else if (change->kind == CHANGE_MAX || change->kind == CHANGE_BUCKETS)
			apply_size(change, result);
		else
			apply_port(change, result, added);
	}
	result->steady_then = model_run(model, &then);
	result->lag_then_s = then.lag_s;
	result->interval_then_s = then.interval_s;
	by_class(model, result->phase_then, result->class_then);
	for (size_t i = 0; i < model->count; i++)
		result->class_then[i] += added[i];
	savings_count(whatif, model, then.lag_s, &result->counted);
	warn_of_result(result);
}

int whatif_run(const struct whatif *whatif, const struct model *model, struct whatif_result *result)
{
	double *added = doubles(model->count);
	int err;

	memset(result, 0, sizeof(*result));
	result->model = model;
	result->then = model->settings;
	err = make_room(model, result);
	if (!added)
		err = -ENOMEM;
	if (!err)
		run(whatif, result, added);
	free(added);
	return err;
}

void whatif_free(struct whatif_result *result)
{
	free(result->times);
	free(result->class_now);
	free(result->class_then);
	free(result->phase_now);
	free(result->phase_then);
	free(result->touched);
	memset(result, 0, sizeof(*result));
}
