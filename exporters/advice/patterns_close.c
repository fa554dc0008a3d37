// SPDX-License-Identifier: GPL-2.0-or-later
/* Patterns of connections that are closed, or are not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/advice/model_detail.h"
#include "exporters/advice/patterns.h"

static bool is_tcp(const struct snap_row *row)
{
	return row->key.l4proto == L4_TCP;
}

/* --- TIME_WAIT -------------------------------------------------------------------------- */

/* Every table of a server that closes connections has some; a pile is what holds two
 * fifths of the table on one port, about half of what a proxy's two sides hold. */
#define TIME_WAIT_SHARE 0.4

void pattern_time_wait(struct look *look)
{
	for (size_t i = 0; i < look->model->count; i++) {
		const struct class *class = &look->model->classes[i];
		const struct snap_row *row = class->row;
		double waiting = row->states[ST_TCP_TIME_WAIT];
		double timeout = look->model->settings.timeouts_s[TIMEOUT_TCP_TIME_WAIT];
		struct finding *finding;
		char text[32], rate[64] = "";

		if (!is_tcp(row) || waiting < look->min_entries ||
		    look_share(look, waiting) < TIME_WAIT_SHARE ||
		    look_has(look, PATTERN_UPSTREAM, &row->key) ||
		    look_has(look, PATTERN_HEALTH_CHECKS, &row->key))
			continue;
		finding = look_add(look, PATTERN_TIME_WAIT, CONFIDENCE_SURE, waiting);
		if (!finding)
			return;
		finding_row(finding, &row->key, ST_TCP_TIME_WAIT);
		if (!isnan(class->new_per_s))
			snprintf(rate, sizeof(rate), "; %.4g new ones a second make that many",
				 class->new_per_s);
		finding_summary(
			finding,
			"%.0f of %u entries of %s are closed connections in TIME_WAIT, which the "
			"kernel keeps for %.0f s and until it collects them%s",
			waiting, row->entries, row_text(&row->key, text), timeout, rate);
		finding_figure(finding, "time_wait_entries", waiting);
		finding_figure(finding, "row_entries", row->entries);
		finding_figure(finding, "established_entries", row->states[ST_TCP_ESTABLISHED]);
		finding_figure(finding, "new_per_second", class->new_per_s);
		finding_figure(finding, "time_wait_timeout_seconds", timeout);
		finding_figure(finding, "time_wait_seconds",
			       look_stay_s(look, class, ST_TCP_TIME_WAIT));
		finding_figure(finding, "established_seconds",
			       look_stay_s(look, class, ST_TCP_ESTABLISHED));
	}
}

/* --- connections that do not end --------------------------------------------------------- */

/* The kernel's default is five days. From a day on, what is not closed properly
 * outlives anything that is watched here. */
#define IDLE_TIMEOUT_S 86400.0
#define IDLE_SHARE     0.25
#define IDLE_OPEN      0.8 /* of its row */
/* Of those that began since the agent did, so few have ended. A stable pool of
 * connections ends as many as it begins. */
#define IDLE_ENDED 0.2
/* Below this the ends may just not have come. */
#define IDLE_WATCH_S 600.0

/* What the kernel was asked of a part of them: how many of them all have been idle for so
 * long. NaN: too few were asked. */
#define IDLE_LONG_S 600.0
#define IDLE_SURE   0.5
#define IDLE_BUSY   0.1

/* NULL: the kernel was asked of too few. */
static const struct snap_ages_cell *open_cell(const struct look *look, const struct row_key *key)
{
	const struct snap_ages *ages =
		snap_ages_now(look->details->ages, look->snap->taken_real_ns);
	const struct snap_ages_cell *cell = snap_ages_cell(ages, key, ST_TCP_ESTABLISHED);

	return cell && told_enough(cell) ? cell : NULL;
}

static double idle_share(const struct snap_ages_cell *cell, double seconds)
{
	return cell ? snap_ages_older(cell->idle, seconds) / cell->told : (double)NAN;
}

/* Whoever is older than a keepalive takes to come was seen by one or by other packets: a pool that
 * is kept alive. Of what was open before the agent started the age is that of the agent. */
static bool kept_alive(const struct look *look, const struct snap_ages_cell *cell)
{
	double known = snap_ages_older(cell->age, 0), old = snap_ages_older(cell->age, UNUSED_S);

	if (look->model->watch_s >= UNUSED_S)
		old += cell->entries - known;
	return old > cell->entries / 2.0 &&
	       idle_share(cell, UNUSED_S) * cell->entries < IDLE_BUSY * old;
}

/* Hardly one has been idle for a minute: in use, however few end. Of young ones, which
 * nothing has refreshed yet, that says nothing. */
static bool in_use(const struct look *look, const struct snap_ages_cell *cell)
{
	return cell && ((cell->refreshed > cell->told / 2 &&
			 snap_ages_older(cell->idle, 60) < IDLE_BUSY * cell->told) ||
			kept_alive(look, cell));
}

/* By how few have ended, where it is not known how idle they are. */
static bool hardly_ends(const struct look *look, const struct snap_row *row)
{
	return (double)row->new_entries >= look->min_entries &&
	       (double)row->destroyed_entries <= IDLE_ENDED * (double)row->new_entries;
}

static void idle_is_known(const struct look *look, const struct snap_row *row,
			  const struct snap_ages_cell *cell, struct finding *finding)
{
	double idle = idle_share(cell, IDLE_LONG_S), unused = idle_share(cell, UNUSED_S);
	double open = row->states[ST_TCP_ESTABLISHED];
	double timeout = look->model->settings.timeouts_s[TIMEOUT_TCP_ESTABLISHED];
	char text[32];

	if (idle < IDLE_SURE)
		return;
	finding->confidence = unused >= IDLE_SURE ? CONFIDENCE_SURE : CONFIDENCE_LIKELY;
	finding->unsure =
		unused >= IDLE_SURE
			? NULL
			: "keepalives come every two hours: a pool that is kept alive and "
			  "hardly used looks the same until then";
	finding_summary(finding,
			"%.0f of the %.0f open connections of %s have been idle for ten minutes or "
			"longer, by the kernel's deadlines. One that is left without a close stays "
			"for %.1f days",
			idle * open, open, row_text(&row->key, text), timeout / 86400);
	finding_figure(finding, "idle_entries", idle * open);
}

void pattern_idle_established(struct look *look)
{
	double timeout = look->model->settings.timeouts_s[TIMEOUT_TCP_ESTABLISHED];

	for (size_t i = 0; timeout >= IDLE_TIMEOUT_S && i < look->model->count; i++) {
		const struct class *class = &look->model->classes[i];
		const struct snap_row *row = class->row;
		double open = row->states[ST_TCP_ESTABLISHED];
		struct finding *finding;
		const struct snap_ages_cell *cell = is_tcp(row) ? open_cell(look, &row->key) : NULL;
		bool watched;
		char text[32];

		if (!is_tcp(row) || open < look->min_entries ||
		    look_share(look, open) < IDLE_SHARE || open < IDLE_OPEN * row->entries ||
		    (!(idle_share(cell, IDLE_LONG_S) >= IDLE_SURE) && !hardly_ends(look, row)) ||
		    in_use(look, cell) || look_has(look, PATTERN_LEFTOVERS, &row->key))
			continue;
		watched = look->model->watch_s >= IDLE_WATCH_S;
		finding = look_add(look, PATTERN_IDLE_ESTABLISHED,
				   watched ? CONFIDENCE_LIKELY : CONFIDENCE_NOT_SURE, open);
		if (!finding)
			return;
		finding->unsure =
			watched ? "conntrack does not tell whether a connection is idle or "
				  "in use: this is about how few end"
				: "the agent has not run for long; they may be in use and end "
				  "soon";
		finding_row(finding, &row->key, ST_TCP_ESTABLISHED);
		finding_summary(
			finding,
			"%.0f connections of %s are open; of %.0f begun in %.0f s only %.0f have "
			"ended. One that is left without a close stays for %.1f days",
			open, row_text(&row->key, text), (double)row->new_entries,
			look->model->watch_s, (double)row->destroyed_entries, timeout / 86400);
		finding_figure(finding, "established_entries", open);
		finding_figure(finding, "new_entries", (double)row->new_entries);
		finding_figure(finding, "destroyed_entries", (double)row->destroyed_entries);
		finding_figure(finding, "watched_seconds", look->model->watch_s);
		finding_figure(finding, "new_per_second", class->new_per_s);
		finding_figure(finding, "established_timeout_seconds", timeout);
		if (cell)
			idle_is_known(look, row, cell, finding);
	}
}

/* One side has closed and the other has not: a moment, in a connection that ends well. */
#define CLOSE_WAIT_SHARE 0.1
#define CLOSE_WAIT_OF	 0.3 /* of its row */

void pattern_close_wait(struct look *look)
{
	double timeout = look->model->settings.timeouts_s[TIMEOUT_TCP_CLOSE_WAIT];

	for (size_t i = 0; i < look->model->count; i++) {
		const struct class *class = &look->model->classes[i];
		const struct snap_row *row = class->row;
		double waiting = row->states[ST_TCP_CLOSE_WAIT];
		struct finding *finding;
		char text[32];

		if (!is_tcp(row) || waiting < look->min_entries ||
		    look_share(look, waiting) < CLOSE_WAIT_SHARE ||
		    waiting < CLOSE_WAIT_OF * row->entries)
			continue;
		finding = look_add(look, PATTERN_CLOSE_WAIT, CONFIDENCE_SURE, waiting);
		if (!finding)
			return;
		finding_row(finding, &row->key, ST_TCP_CLOSE_WAIT);
		finding_summary(
			finding,
			"in %.0f of %u entries of %s one side has closed and the other does not; "
			"the kernel keeps each for %.0f s, the program its socket for ever",
			waiting, row->entries, row_text(&row->key, text), timeout);
		finding_figure(finding, "close_wait_entries", waiting);
		finding_figure(finding, "row_entries", row->entries);
		finding_figure(finding, "new_per_second", class->new_per_s);
		finding_figure(finding, "close_wait_timeout_seconds", timeout);
		finding_figure(finding, "close_wait_seconds",
			       look_stay_s(look, class, ST_TCP_CLOSE_WAIT));
	}
}
