// SPDX-License-Identifier: GPL-2.0-or-later
/* Patterns of connections that are closed, or are not. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/advice/model_detail.h"
#include "exporters/advice/patterns.h"

static double closing(const struct snap_row *row)
{
	return (double)row->states[ST_TCP_FIN_WAIT] + row->states[ST_TCP_CLOSE_WAIT] +
	       row->states[ST_TCP_LAST_ACK] + row->states[ST_TCP_TIME_WAIT] +
	       row->states[ST_TCP_CLOSE];
}

static bool is_tcp(const struct snap_row *row)
{
	return row->key.l4proto == L4_TCP;
}

static bool opened_here(const struct snap_row *row)
{
	return row->key.direction == DIR_OUTBOUND || row->key.direction == DIR_LOOPBACK;
}

static double stay_in(const struct model *model, const struct class *class, unsigned int state)
{
	for (uint32_t i = 0; i < class->phase_count; i++)
		if (model->phases[class->first_phase + i].state == state)
			return model->phases[class->first_phase + i].stay_s;
	return (double)NAN;
}

/* --- a proxy that opens a connection upstream for each it accepts ---------------------- */

/* Of an upstream that is reused, the open ones are the most; of one that is not, they
 * are gone at once and what remains waits. */
#define UPSTREAM_CLOSING 0.5
#define UPSTREAM_OPEN	 0.2
/* The two sides hold half each; the upstream one must hold a fifth of the table. */
#define UPSTREAM_SHARE 0.2
/* One for one. Caches answer some, several upstreams share some: half to double is
 * likely the same thing; a fifth more or less is what counting at two moments does. */
#define RATIO_SURE   1.25
#define RATIO_LIKELY 2.0
/* Below this rate per second counts say more than arrivals. */
#define RATE_MIN 0.5
/* Frames in which both sides must move together before chance is ruled out. */
#define TOGETHER_MIN   4u
#define TOGETHER_RATIO 1.5
#define TOGETHER_NEW   10u

static bool is_upstream(const struct look *look, const struct snap_row *row)
{
	return is_tcp(row) && opened_here(row) && row->entries >= look->min_entries / 4 &&
	       closing(row) >= UPSTREAM_CLOSING * row->entries &&
	       row->states[ST_TCP_ESTABLISHED] <= UPSTREAM_OPEN * row->entries;
}

/* What comes in: from elsewhere; or, all on one host, over loopback, where nothing but
 * habit tells the two sides apart: 80 before 8080. */
static bool is_front(const struct snap_row *row, const struct snap_row *upstream)
{
	return is_tcp(row) && row != upstream &&
	       (row->key.direction == DIR_INBOUND ||
		(row->key.direction == DIR_LOOPBACK && upstream->key.direction == DIR_LOOPBACK &&
		 row->key.port < upstream->key.port));
}

struct pair {
	const struct class *front;
	const struct class *upstream;
	double ratio;
};

/* Upstream per inbound, by arrivals where there are any, else by what waits. */
static double pair_ratio(const struct class *front, const struct class *upstream)
{
	if (front->new_per_s >= RATE_MIN && upstream->new_per_s >= RATE_MIN)
		return upstream->new_per_s / front->new_per_s;
	if (front->new_per_s >= RATE_MIN || upstream->new_per_s >= RATE_MIN)
		return (double)NAN;
	return closing(front->row) > 0 ? closing(upstream->row) / closing(front->row) : (double)NAN;
}

static double off(double ratio)
{
	return ratio > 1 ? ratio : 1 / ratio;
}

static bool find_front(const struct look *look, const struct class *upstream, struct pair *best)
{
	bool found = false;

	*best = (struct pair){.upstream = upstream, .ratio = (double)INFINITY};
	for (size_t i = 0; i < look->model->count; i++) {
		const struct class *front = &look->model->classes[i];
		double ratio;

		if (!is_front(front->row, upstream->row))
			continue;
		ratio = pair_ratio(front, upstream);
		if (!(off(ratio) <= RATIO_LIKELY) || (found && off(ratio) >= off(best->ratio)))
			continue;
		*best = (struct pair){front, upstream, ratio};
		found = true;
	}
	return found;
}

static const struct snap_frame_row *frame_row(const struct snap_frame *frame,
					      const struct row_key *key)
{
	for (uint32_t i = 0; i < frame->row_count; i++)
		if (!memcmp(&frame->rows[i].key, key, sizeof(*key)))
			return &frame->rows[i];
	return NULL;
}

/* Ten-second intervals in which both had arrivals, and in how many they were alike. */
static uint32_t move_together(const struct look *look, const struct pair *pair, uint32_t *ret_of)
{
	const struct snap_table_log *frames = &look->details->minutes;
	uint32_t together = 0;

	*ret_of = 0;
	for (size_t i = 0; i < frames->count; i++) {
		const struct snap_frame_row *front =
			frame_row(&frames->frames[i], &pair->front->row->key);
		const struct snap_frame_row *up =
			frame_row(&frames->frames[i], &pair->upstream->row->key);
		double ratio;

		if (!front || !up || front->new_entries + up->new_entries < 2 * TOGETHER_NEW)
			continue;
		ratio = front->new_entries
				? (double)up->new_entries / front->new_entries / pair->ratio
				: (double)INFINITY;
		++*ret_of;
		together += off(ratio) <= TOGETHER_RATIO;
	}
	return together;
}

static void add_upstream(struct look *look, const struct pair *pair)
{
	const struct snap_row *front = pair->front->row;
	const struct snap_row *up = pair->upstream->row;
	uint32_t of, together = move_together(look, pair, &of);
	enum confidence confidence = CONFIDENCE_LIKELY;
	char front_text[32], up_text[32];
	struct finding *finding;

	if (off(pair->ratio) <= RATIO_SURE && of >= TOGETHER_MIN && 4 * together >= 3 * of &&
	    front->key.direction == DIR_INBOUND)
		confidence = CONFIDENCE_SURE;
	else if (of >= TOGETHER_MIN && 2 * together < of)
		confidence = CONFIDENCE_NOT_SURE;
	finding = look_add(look, PATTERN_UPSTREAM, confidence, up->entries);
	if (!finding)
		return;
	if (confidence == CONFIDENCE_NOT_SURE)
		finding->unsure =
			"the two rates are alike on average, but they do not move together";
	else if (confidence == CONFIDENCE_LIKELY && front->key.direction == DIR_LOOPBACK)
		finding->unsure = "both sides are on loopback: which is the front is not known";
	else if (confidence == CONFIDENCE_LIKELY)
		finding->unsure =
			of < TOGETHER_MIN
				? "it was not seen for long enough that the two sides move "
				  "together"
				: "the two rates are not quite one to one";
	finding_row(finding, &up->key, ST_TCP_TIME_WAIT);
	finding->other_side = true;
	finding->other = front->key;
	finding_summary(
		finding,
		"%s has %.2f new connections for each of %s, and %.0f of its %u entries wait "
		"after a close: the proxy does not reuse its upstream connections, and each "
		"request leaves two entries instead of one",
		row_text(&up->key, up_text), pair->ratio, row_text(&front->key, front_text),
		closing(up), up->entries);
	finding_figure(finding, "upstream_new_per_second", pair->upstream->new_per_s);
	finding_figure(finding, "inbound_new_per_second", pair->front->new_per_s);
	finding_figure(finding, "upstream_per_inbound", pair->ratio);
	finding_figure(finding, "upstream_entries", up->entries);
	finding_figure(finding, "upstream_time_wait_entries", up->states[ST_TCP_TIME_WAIT]);
	finding_figure(finding, "upstream_established_entries", up->states[ST_TCP_ESTABLISHED]);
	finding_figure(finding, "inbound_entries", front->entries);
	finding_figure(finding, "inbound_time_wait_entries", front->states[ST_TCP_TIME_WAIT]);
	finding_figure(finding, "upstream_established_seconds",
		       stay_in(look->model, pair->upstream, ST_TCP_ESTABLISHED));
	finding_figure(finding, "time_wait_timeout_seconds",
		       look->model->settings.timeouts_s[TIMEOUT_TCP_TIME_WAIT]);
	finding_figure(finding, "intervals_alike", together);
	finding_figure(finding, "intervals_compared", of);
}

void pattern_upstream(struct look *look)
{
	for (size_t i = 0; i < look->model->count; i++) {
		const struct class *upstream = &look->model->classes[i];
		struct pair pair;

		if (!is_upstream(look, upstream->row) ||
		    upstream->row->entries < look->min_entries ||
		    look_share(look, upstream->row->entries) < UPSTREAM_SHARE)
			continue;
		if (find_front(look, upstream, &pair) &&
		    !look_has(look, PATTERN_UPSTREAM, &pair.front->row->key))
			add_upstream(look, &pair);
	}
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
		char text[32];

		if (!is_tcp(row) || waiting < look->min_entries ||
		    look_share(look, waiting) < TIME_WAIT_SHARE ||
		    look_has(look, PATTERN_UPSTREAM, &row->key))
			continue;
		finding = look_add(look, PATTERN_TIME_WAIT, CONFIDENCE_SURE, waiting);
		if (!finding)
			return;
		finding_row(finding, &row->key, ST_TCP_TIME_WAIT);
		finding_summary(
			finding,
			"%.0f of %u entries of %s are closed connections in TIME_WAIT, which the "
			"kernel keeps for %.0f s and until it collects them; %.4g new ones a "
			"second make that many",
			waiting, row->entries, row_text(&row->key, text), timeout,
			isnan(class->new_per_s) ? 0 : class->new_per_s);
		finding_figure(finding, "time_wait_entries", waiting);
		finding_figure(finding, "row_entries", row->entries);
		finding_figure(finding, "established_entries", row->states[ST_TCP_ESTABLISHED]);
		finding_figure(finding, "new_per_second", class->new_per_s);
		finding_figure(finding, "time_wait_timeout_seconds", timeout);
		finding_figure(finding, "time_wait_seconds",
			       stay_in(look->model, class, ST_TCP_TIME_WAIT));
		finding_figure(finding, "established_seconds",
			       stay_in(look->model, class, ST_TCP_ESTABLISHED));
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

static double idle_share(const struct look *look, const struct row_key *key)
{
	const struct snap_ages *ages =
		snap_ages_now(look->details->ages, look->snap->taken_real_ns);
	const struct snap_ages_cell *cell = snap_ages_cell(ages, key, ST_TCP_ESTABLISHED);

	return cell && told_enough(cell) ? snap_ages_older(cell->idle, IDLE_LONG_S) / cell->told
					 : (double)NAN;
}

/* Hardly one has been idle for a minute: in use, however few end. Of young ones, which
 * nothing has refreshed yet, that says nothing. */
static bool in_use(const struct look *look, const struct row_key *key)
{
	const struct snap_ages *ages =
		snap_ages_now(look->details->ages, look->snap->taken_real_ns);
	const struct snap_ages_cell *cell = snap_ages_cell(ages, key, ST_TCP_ESTABLISHED);

	return cell && told_enough(cell) && cell->refreshed > cell->told / 2 &&
	       snap_ages_older(cell->idle, 60) < IDLE_BUSY * cell->told;
}

/* By how few have ended, where it is not known how idle they are. */
static bool hardly_ends(const struct look *look, const struct snap_row *row)
{
	return (double)row->new_entries >= look->min_entries &&
	       (double)row->destroyed_entries <= IDLE_ENDED * (double)row->new_entries;
}

static void idle_is_known(const struct look *look, const struct snap_row *row, double idle,
			  struct finding *finding)
{
	double open = row->states[ST_TCP_ESTABLISHED];
	double timeout = look->model->settings.timeouts_s[TIMEOUT_TCP_ESTABLISHED];
	char text[32];

	if (idle < IDLE_SURE)
		return;
	finding->confidence = CONFIDENCE_SURE;
	finding->unsure = NULL;
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
		double idle = is_tcp(row) ? idle_share(look, &row->key) : 0;
		bool watched;
		char text[32];

		if (!is_tcp(row) || open < look->min_entries ||
		    look_share(look, open) < IDLE_SHARE || open < IDLE_OPEN * row->entries ||
		    (!(idle >= IDLE_SURE) && !hardly_ends(look, row)) || in_use(look, &row->key))
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
		if (!isnan(idle))
			idle_is_known(look, row, idle, finding);
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
			       stay_in(look->model, class, ST_TCP_CLOSE_WAIT));
	}
}
