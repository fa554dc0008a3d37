// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/why.h"

#include <math.h>
#include <string.h>

#include "exporters/advice/patterns.h"

/* "The last minutes": the moment nearest to this long ago, and no nearer than a minute. */
#define MINUTES_S     300.0
#define MINUTES_MIN_S 60.0
/* Less than this part of the table is noise. */
#define GROWTH_SHARE 0.01
/* The hour before those minutes; of fewer frames a mean says nothing. */
#define HOUR_S	    3900.0
#define HOUR_FRAMES 10u

static double frame_age_s(const struct snapshot *snap, const struct snap_frame *frame)
{
	return snap->taken_real_ns > frame->real_ns
		       ? (double)(snap->taken_real_ns - frame->real_ns) / 1e9
		       : 0;
}

/* What a frame says about a cell. One that is not listed had at most what the last of a
 * full list had: half of that is off by half at most. */
static double frame_entries(const struct snap_frame *frame, const struct row_key *key, int state)
{
	for (uint32_t i = 0; i < frame->cell_count; i++)
		if (frame->cells[i].state == state &&
		    !memcmp(&frame->cells[i].key, key, sizeof(*key)))
			return frame->cells[i].entries;
	return frame->cell_count == SHM_FRAME_CELLS
		       ? frame->cells[SHM_FRAME_CELLS - 1].entries / 2.0
		       : 0;
}

static double frame_host(const struct snap_frame *frame, const struct snap_talker *host)
{
	for (uint32_t i = 0; i < frame->host_count; i++)
		if (frame->hosts[i].ipv6 == host->ipv6 &&
		    !memcmp(frame->hosts[i].address, host->address, sizeof(host->address)))
			return frame->hosts[i].entries;
	return frame->host_count == SHM_FRAME_HOSTS ? frame->hosts[SHM_FRAME_HOSTS - 1].entries : 0;
}

/* The frames that a comparison is with: one, or those of an hour. */
struct table_before {
	const struct snap_frame *frames;
	size_t count;
};

static double past_entries(const struct table_before *past, const struct row_key *key, int state)
{
	double sum = 0;

	for (size_t i = 0; i < past->count; i++)
		sum += frame_entries(&past->frames[i], key, state);
	return sum / (double)past->count;
}

static void insert_growth(struct change_of_table *change, const struct growth *growth)
{
	double by = growth->entries - growth->before_entries;
	uint32_t at = change->row_count;

	while (at > 0 && change->rows[at - 1].entries - change->rows[at - 1].before_entries < by)
		at--;
	if (at == WHY_GROWTHS)
		return;
	if (change->row_count < WHY_GROWTHS)
		change->row_count++;
	memmove(&change->rows[at + 1], &change->rows[at],
		(change->row_count - 1 - at) * sizeof(change->rows[0]));
	change->rows[at] = *growth;
}

static bool matters(const struct snapshot *snap, double grew)
{
	return grew >= 1 && grew >= GROWTH_SHARE * (double)snap->live.mirror_entries;
}

/* Nothing grew by more than it has now: most cells need not be looked up. */
static bool may_grow(const struct snapshot *snap, const struct change_of_table *change,
		     uint32_t entries)
{
	const struct growth *last = &change->rows[WHY_GROWTHS - 1];

	return matters(snap, entries) &&
	       (change->row_count < WHY_GROWTHS || entries > last->entries - last->before_entries);
}

static void compare_cells(const struct snapshot *snap, const struct table_before *past,
			  struct change_of_table *change)
{
	for (size_t i = 0; i < snap->row_count; i++) {
		const struct snap_row *row = &snap->rows[i];

		for (int state = 0; state < (int)STATE_SLOTS_MAX; state++) {
			struct growth growth = {row->key, state, row->states[state], 0};

			if (!may_grow(snap, change, growth.entries))
				continue;
			growth.before_entries = past_entries(past, &row->key, state);
			if (matters(snap, growth.entries - growth.before_entries))
				insert_growth(change, &growth);
		}
	}
}

static void compare_hosts(const struct snapshot *snap, const struct snap_detail *details,
			  const struct table_before *past, struct change_of_table *change)
{
	const struct snap_talker_list *list = &details->talkers[SHM_TALKER_SOURCE];

	for (uint32_t i = 0; i < list->count && change->host_count < WHY_HOSTS; i++) {
		struct host_growth *host = &change->hosts[change->host_count];

		host->host = list->talkers[i];
		host->before_entries = 0;
		for (size_t j = 0; j < past->count; j++)
			host->before_entries += frame_host(&past->frames[j], &host->host);
		host->before_entries /= (double)past->count;
		change->host_count += matters(snap, host->host.entries - host->before_entries);
	}
}

static void compare(const struct snapshot *snap, const struct snap_detail *details,
		    const struct table_before *past, struct change_of_table *change)
{
	change->known = past->count != 0;
	if (!change->known)
		return;
	change->entries = (double)snap->live.count_entries;
	for (size_t i = 0; i < past->count; i++)
		change->before_entries += past->frames[i].count_entries / (double)past->count;
	compare_cells(snap, past, change);
	compare_hosts(snap, details, past, change);
}

static void compare_minutes(const struct snapshot *snap, const struct snap_detail *details,
			    struct change_of_table *change)
{
	struct table_before past = {NULL, 0};
	double best = (double)INFINITY;

	for (size_t i = 0; i < details->minutes.count; i++) {
		const struct snap_frame *frame = &details->minutes.frames[i];
		double age = frame_age_s(snap, frame);

		if (age < MINUTES_MIN_S || fabs(age - MINUTES_S) >= best)
			continue;
		best = fabs(age - MINUTES_S);
		past = (struct table_before){frame, 1};
		change->over_s = age;
	}
	/* An agent that was away for long has only frames of before. */
	if (past.count && change->over_s > 2 * MINUTES_S)
		past.count = 0;
	compare(snap, details, &past, change);
}

static void compare_hour(const struct snapshot *snap, const struct snap_detail *details,
			 struct change_of_table *change)
{
	const struct snap_table_log *frames = &details->hour;
	struct table_before past = {frames->frames, 0};

	for (size_t i = 0; i < frames->count; i++) {
		double age = frame_age_s(snap, &frames->frames[i]);

		if (age > HOUR_S)
			past.frames = &frames->frames[i + 1];
		else if (age > MINUTES_S)
			past.count++;
	}
	if (past.count < HOUR_FRAMES)
		past.count = 0;
	else
		change->over_s = (double)past.count * frames->interval_s;
	compare(snap, details, &past, change);
}

static int largest_state(const struct snap_row *row)
{
	int best = 0;

	for (int state = 1; state < (int)STATE_SLOTS_MAX; state++)
		if (row->states[state] > row->states[best])
			best = state;
	return best;
}

static const struct snap_row_detail *detail_of(const struct snap_detail *details,
					       const struct row_key *key)
{
	for (size_t i = 0; i < details->detail_count; i++)
		if (!details->details[i].pool &&
		    !memcmp(&details->details[i].key, key, sizeof(*key)))
			return &details->details[i];
	return NULL;
}

static void find_holders(struct why *why)
{
	for (size_t i = 0; i < why->model->count; i++) {
		const struct class *class = &why->model->classes[i];
		uint32_t at = why->holder_count;

		while (at > 0 && why->holders[at - 1].row->entries < class->row->entries)
			at--;
		if (at == WHY_HOLDERS || class->row->entries == 0)
			continue;
		if (why->holder_count < WHY_HOLDERS)
			why->holder_count++;
		memmove(&why->holders[at + 1], &why->holders[at],
			(why->holder_count - 1 - at) * sizeof(why->holders[0]));
		why->holders[at] = (struct holder){.row = class->row,
						   .state = largest_state(class->row),
						   .new_per_s = class->new_per_s,
						   .stay_s = class->row->mean_lifetime_s};
	}
	for (uint32_t i = 0; i < why->holder_count; i++) {
		struct holder *holder = &why->holders[i];

		holder->share =
			(double)holder->row->entries / (double)why->snap->live.mirror_entries;
		holder->detail = detail_of(why->details, &holder->row->key);
	}
}

void why_look(const struct snapshot *snap, const struct snap_detail *details,
	      const struct model *model, struct why *why)
{
	memset(why, 0, sizeof(*why));
	why->snap = snap;
	why->details = details;
	why->model = model;
	find_holders(why);
	compare_minutes(snap, details, &why->minutes);
	compare_hour(snap, details, &why->hour);
	patterns_look(why);
}
