// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries that were open before the agent started and that nobody uses. */
#include <math.h>

#include "exporters/advice/model_detail.h"
#include "exporters/advice/patterns.h"

#define LEFT_SHARE 0.25
/* The port goes on being used, and its connections end: half of at least so many. These, which do
 * not, are not how it is used. */
#define TURNOVER_MIN   100u
#define TURNOVER_ENDED 0.5
/* Where nothing ends, a tenth in use and the rest silent is how a pool looks. */
#define POOL_USED 0.1
/* Found after a loss, they may have begun since: more than that part of them and it is not sure. */
#define UNHEARD_MOST 0.05

#define TOLD_NEARLY_ALL 0.9

/* Of one cell, all in entries. */
struct left {
	double before; /* in their state since before the agent started */
	double unused; /* of those, without a packet for UNUSED_S */
	double half_s; /* for which half of the unused ones have had none, at least */
	bool turnover;
};

static double aged(const struct snap_ages_cell *cell)
{
	return snap_ages_older(cell->age, 0);
}

static double half_idle_s(const struct snap_ages_cell *cell)
{
	double half = snap_ages_older(cell->idle, UNUSED_S) / 2, above = 0;
	unsigned int at = SHM_AGE_BUCKETS;

	while (at > 0 && above < half)
		above += cell->idle[--at];
	return snap_age_edge_s(at);
}

/* Those that began since may be as idle only when they are as old. Where nearly all were asked,
 * they are those that were: who is busy tells least often. */
static bool count_left(const struct snap_ages_cell *cell, const struct snap_row *row,
		       struct left *left)
{
	double idle;

	if (!cell || !told_enough(cell))
		return false;
	idle = snap_ages_older(cell->idle, UNUSED_S);
	if (cell->told < TOLD_NEARLY_ALL * cell->entries)
		idle *= (double)cell->entries / cell->told;
	left->before = cell->entries - aged(cell);
	left->unused = fmin(left->before, idle - snap_ages_older(cell->age, UNUSED_S));
	left->unused = floor(fmin(left->unused, row->states[cell->state]));
	left->half_s = half_idle_s(cell);
	left->turnover =
		row->new_entries >= TURNOVER_MIN &&
		(double)row->destroyed_entries >= TURNOVER_ENDED * (double)row->new_entries;
	return true;
}

static const char *why_unsure(const struct look *look, const struct left *left)
{
	if ((double)look->snap->live.repairs_missing > UNHEARD_MOST * left->unused)
		return "events were lost: some of them may have begun since conntide started";
	return left->turnover ? NULL
			      : "no connections of this port end: ones that are kept open and "
				"silent on purpose, without keepalives, look the same";
}

static void add(struct look *look, const struct snap_row *row, unsigned int state,
		const struct left *left)
{
	const char *unsure = why_unsure(look, left);
	struct finding *finding =
		look_add(look, PATTERN_LEFTOVERS, unsure ? CONFIDENCE_LIKELY : CONFIDENCE_SURE,
			 left->unused);
	double timeout = state_timeout_s(look->model, &row->key, state);
	char text[32];

	if (!finding)
		return;
	finding->unsure = unsure;
	finding_row(finding, &row->key, (int)state);
	finding_summary(
		finding,
		"%.0f of %u entries of %s were open before conntide started, and no packet "
		"has come for two and a quarter hours or longer (keepalives come every two), "
		"half of them for %.3g h. Nobody renews them, and each stays for %.1f days "
		"after its last packet",
		left->unused, row->entries, row_text(&row->key, text), left->half_s / 3600,
		timeout / 86400);
	finding_figure(finding, "left_entries", left->unused);
	finding_figure(finding, "open_before_entries", left->before);
	finding_figure(finding, "state_entries", row->states[state]);
	finding_figure(finding, "half_idle_seconds", left->half_s);
	finding_figure(finding, "new_entries", (double)row->new_entries);
	finding_figure(finding, "destroyed_entries", (double)row->destroyed_entries);
	finding_figure(finding, "watched_seconds", look->model->watch_s);
	finding_figure(finding, "timeout_seconds", timeout);
}

void pattern_leftovers(struct look *look)
{
	const struct snap_ages *ages =
		snap_ages_now(look->details->ages, look->snap->taken_real_ns);

	for (size_t i = 0; i < look->model->count; i++) {
		const struct snap_row *row = look->model->classes[i].row;

		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++) {
			struct left left;

			if (row->states[state] < look->min_entries ||
			    look_share(look, row->states[state]) < LEFT_SHARE ||
			    !count_left(snap_ages_cell(ages, &row->key, state), row, &left) ||
			    left.unused < look->min_entries ||
			    look_share(look, left.unused) < LEFT_SHARE ||
			    (!left.turnover &&
			     left.before - left.unused >= POOL_USED * left.before))
				continue;
			add(look, row, state, &left);
		}
	}
}
