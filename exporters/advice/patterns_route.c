// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Asymmetric routing: this router sees one way of each connection. Of requests alone the SYN
 * makes an entry that waits for an answer, and all that follows is invalid; of answers alone
 * the SYN-ACK is invalid, and the next packet makes an entry that was never answered, towards
 * the client's own port.
 */
#include <math.h>
#include <string.h>

#include "exporters/advice/patterns.h"

/* As many as a dead backend must hold. */
#define REQUESTS_SHARE 0.05
#define REQUESTS_OF    0.5
/* Invalid packets for each new entry: the ACK of the handshake, the request, the close. To a
 * dead backend no more than the SYN is sent again, which is not invalid. */
#define INVALID_MIN 1.0
/* They come with the entries: alike in three of four intervals, three at least. */
#define ALIKE_RATIO 2.0
#define ALIKE_MIN   3u
#define ALIKE_NEW   10.0
#define RECENT_SPAN 18u

/* Clients choose ports from here up; and that many ports are no set of services. */
#define CLIENT_PORT   1024u
#define ANSWERS_PORTS 300u
#define ANSWERS_SHARE 0.2
/* Nearly all of them were never answered. */
#define ANSWERS_UNASSURED 0.8
/* The SYN-ACK of each, at least of most. */
#define ANSWERS_INVALID_MIN 0.5

/* New entries of some rows, and invalid packets, in the last three minutes. */
struct invalids {
	double new_entries;
	double invalid;
	uint32_t of, alike; /* intervals that have enough new ones; those that are like the mean */
};

static bool requests_only(const struct snap_row *row)
{
	return row->key.l4proto == L4_TCP && row->key.direction == DIR_FORWARDED &&
	       row->entries > 0 && row_unanswered(row) >= REQUESTS_OF * row->entries;
}

static double opened(const struct snap_row *row)
{
	return (double)row->states[ST_TCP_ESTABLISHED] + row->states[ST_TCP_FIN_WAIT] +
	       row->states[ST_TCP_CLOSE_WAIT] + row->states[ST_TCP_LAST_ACK];
}

static bool answers_only(const struct snap_row *row)
{
	return row->key.l4proto == L4_TCP && row->key.direction == DIR_FORWARDED &&
	       row->key.port >= CLIENT_PORT && row->entries > 0 &&
	       opened(row) >= REQUESTS_OF * row->entries;
}

/* Of an interval, of the finding's rows. */
static double new_of(const struct finding *finding, const struct snap_frame *frame)
{
	double sum = 0;

	for (uint32_t i = 0; i < frame->row_count; i++)
		for (uint32_t j = 0; j < finding->row_count; j++)
			if (!memcmp(&finding->rows[j], &frame->rows[i].key,
				    sizeof(finding->rows[j])))
				sum += frame->rows[i].new_entries;
	return sum;
}

static void count_invalids(const struct look *look, const struct finding *finding,
			   struct invalids *invalids)
{
	const struct snap_table_log *frames = &look->details->minutes;
	size_t first = frames->count > RECENT_SPAN ? frames->count - RECENT_SPAN : 0;
	double mean;

	memset(invalids, 0, sizeof(*invalids));
	for (size_t i = first; i < frames->count; i++) {
		invalids->new_entries += new_of(finding, &frames->frames[i]);
		invalids->invalid += frames->frames[i].invalid;
	}
	mean = invalids->new_entries > 0 ? invalids->invalid / invalids->new_entries : 0;
	for (size_t i = first; i < frames->count; i++) {
		double entries = new_of(finding, &frames->frames[i]);
		double ratio = frames->frames[i].invalid / fmax(1, entries) / fmax(1e-9, mean);

		if (entries < ALIKE_NEW)
			continue;
		invalids->of++;
		invalids->alike += ratio <= ALIKE_RATIO && ratio >= 1 / ALIKE_RATIO;
	}
}

static void add_figures(struct finding *finding, const struct invalids *invalids)
{
	finding_figure(finding, "invalid_packets", invalids->invalid);
	finding_figure(finding, "invalid_per_new",
		       invalids->invalid / fmax(1, invalids->new_entries));
	finding_figure(finding, "intervals_alike", invalids->alike);
	finding_figure(finding, "intervals_compared", invalids->of);
}

/* --- requests alone ------------------------------------------------------------------------- */

/* The largest of them; how many entries they are all together. */
static double add_requests(const struct look *look, struct finding *finding)
{
	double waiting = 0;

	for (size_t i = 0; i < look->model->count; i++)
		if (requests_only(look->model->classes[i].row))
			waiting += row_unanswered(look->model->classes[i].row);
	for (size_t i = 0; i < look->model->count; i++) {
		const struct snap_row *row = look->model->classes[i].row;

		if (requests_only(row) && row_unanswered(row) >= waiting / (2 * WHY_ROWS))
			finding_row(finding, &row->key, ST_TCP_SYN_SENT);
	}
	return waiting;
}

static void look_at_requests(struct look *look)
{
	struct finding rows = {.row_count = 0}, *finding;
	double waiting = add_requests(look, &rows);
	struct invalids invalids;
	bool together;

	if (waiting < look->min_entries || look_share(look, waiting) < REQUESTS_SHARE)
		return;
	count_invalids(look, &rows, &invalids);
	if (invalids.invalid < INVALID_MIN * fmax(1, invalids.new_entries))
		return;
	together = invalids.of >= ALIKE_MIN && 4 * invalids.alike >= 3 * invalids.of;
	finding = look_add(look, PATTERN_ASYMMETRIC, together ? CONFIDENCE_SURE : CONFIDENCE_LIKELY,
			   waiting);
	if (!finding)
		return;
	if (!together)
		finding->unsure = "it was not seen for long enough that the invalid packets come "
				  "with the new entries";
	add_requests(look, finding);
	finding_summary(finding,
			"%.0f forwarded connections wait for an answer to their SYN, yet their "
			"clients go on: %.1f packets for each new one are invalid. The answers "
			"take another way than through this router",
			waiting, invalids.invalid / fmax(1, invalids.new_entries));
	finding_figure(finding, "syn_sent_entries", waiting);
	finding_figure(finding, "syn_sent_timeout_seconds",
		       look->model->settings.timeouts_s[TIMEOUT_TCP_SYN_SENT]);
	add_figures(finding, &invalids);
}

/* --- answers alone -------------------------------------------------------------------------- */

/* Of TCP connections that are open, how many were never answered: what is left of all that are
 * not assured once those are taken away that never are. */
static double never_answered(const struct look *look)
{
	double left = (double)look->snap->live.unassured_entries;

	for (size_t i = 0; i < look->model->count; i++) {
		const struct snap_row *row = look->model->classes[i].row;

		if (row->key.l4proto == L4_TCP)
			left -= row_unanswered(row) + row->states[ST_TCP_SYN_RECV];
		else if (row->key.l4proto != L4_SCTP)
			left -= (double)row->states[ST_GENERIC_UNREPLIED] +
				row->states[ST_GENERIC_REPLIED];
	}
	return left;
}

static void look_at_answers(struct look *look)
{
	const struct row_key key = {L4_TCP, DIR_FORWARDED, 0};
	double unanswered = never_answered(look), entries = 0, rate = 0, per_new;
	struct finding *finding;
	uint32_t ports = 0;

	for (size_t i = 0; i < look->model->count; i++) {
		const struct class *class = &look->model->classes[i];

		if (!answers_only(class->row))
			continue;
		ports++;
		entries += opened(class->row);
		rate += class->new_per_s > 0 ? class->new_per_s : 0;
	}
	if (ports < ANSWERS_PORTS || entries < look->min_entries ||
	    look_share(look, entries) < ANSWERS_SHARE || unanswered < ANSWERS_UNASSURED * entries)
		return;
	/* Frames name the largest ports alone: of all new ones theirs are as many as of all
	 * entries. */
	per_new = look->recent.new_entries > 0 ? look->recent.invalid / look->recent.new_entries *
							 look->entries / entries
					       : (double)NAN;
	finding = look_add(look, PATTERN_ASYMMETRIC,
			   per_new >= ANSWERS_INVALID_MIN ? CONFIDENCE_SURE : CONFIDENCE_LIKELY,
			   entries);
	if (!finding)
		return;
	if (finding->confidence != CONFIDENCE_SURE)
		finding->unsure = "hardly any packet was invalid in the last minutes: they may be "
				  "connections that were open before they were tracked";
	finding_row(finding, &key, ST_TCP_ESTABLISHED);
	finding_summary(finding,
			"%.0f forwarded connections to %u ports of clients were picked up in the "
			"middle and never answered: this router sees the answers of a service, and "
			"its requests take another way",
			entries, ports);
	finding_figure(finding, "picked_up_entries", entries);
	finding_figure(finding, "never_answered_entries", fmin(unanswered, entries));
	finding_figure(finding, "ports", ports);
	finding_figure(finding, "new_per_second", rate);
	finding_figure(finding, "invalid_packets", look->recent.invalid);
	finding_figure(finding, "invalid_per_new", per_new);
	finding_figure(finding, "unacknowledged_timeout_seconds",
		       look->model->settings.timeouts_s[TIMEOUT_TCP_UNACKNOWLEDGED]);
}

void pattern_asymmetric(struct look *look)
{
	look_at_requests(look);
	look_at_answers(look);
}
