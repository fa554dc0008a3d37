// SPDX-License-Identifier: GPL-2.0-or-later
/* Patterns of connections that do not come about, of UDP, and of hosts. */
#include <math.h>

#include "exporters/advice/model_detail.h"
#include "exporters/advice/patterns.h"

/* --- nobody answers ------------------------------------------------------------------------ */

/* A healthy table has next to none of these: an answer comes within milliseconds. */
#define SYN_SHARE 0.05
#define SYN_OF	  0.5 /* of its row */
/* So many entries a source and more are a client that tries again and again; fewer are
 * sources that come once, as invented ones do. */
#define TRIES_PER_SOURCE 4.0
/* Of a dead backend one address holds most; a tenth and less are many addresses. */
#define SERVICE_MOST 0.5
#define SERVICE_FEW  0.1

static bool many_sources(const struct look *look, double entries)
{
	double sources = look_sources(look);

	return sources > 0 && sources * TRIES_PER_SOURCE >= entries;
}

static void add_dead(struct look *look, const struct class *class)
{
	const struct snap_row *row = class->row;
	const struct snap_talker *service = look_service(look, &row->key);
	double waiting = row_unanswered(row);
	double one = service ? (double)service->entries / row->entries : (double)NAN;
	struct finding *finding = look_add(look, PATTERN_DEAD_BACKEND,
					   one >= SERVICE_MOST ? CONFIDENCE_SURE
					   : one < SERVICE_FEW ? CONFIDENCE_NOT_SURE
							       : CONFIDENCE_LIKELY,
					   waiting);
	char text[32];

	if (!finding)
		return;
	if (one < SERVICE_FEW)
		finding->unsure = "no single address holds many of them: it may be a scan over "
				  "addresses";
	else if (finding->confidence == CONFIDENCE_LIKELY)
		finding->unsure = "it is not known that they go to one address";
	finding_row(finding, &row->key, ST_TCP_SYN_SENT);
	if (one >= SERVICE_FEW) {
		finding->has_host = true;
		finding->host = *service;
	}
	finding_summary(
		finding,
		"%.0f of %u entries of %s got no answer to their SYN; each stays for %.0f s",
		waiting, row->entries, row_text(&row->key, text),
		look->model->settings.timeouts_s[TIMEOUT_TCP_SYN_SENT]);
	finding_figure(finding, "syn_sent_entries", waiting);
	finding_figure(finding, "row_entries", row->entries);
	finding_figure(finding, "established_entries", row->states[ST_TCP_ESTABLISHED]);
	finding_figure(finding, "new_per_second", class->new_per_s);
	finding_figure(finding, "largest_destination_share", one);
	finding_figure(finding, "syn_sent_timeout_seconds",
		       look->model->settings.timeouts_s[TIMEOUT_TCP_SYN_SENT]);
}

void pattern_dead_backend(struct look *look)
{
	for (size_t i = 0; i < look->model->count; i++) {
		const struct snap_row *row = look->model->classes[i].row;
		double waiting = row->key.l4proto == L4_TCP ? row_unanswered(row) : 0;

		if (row->key.direction == DIR_INBOUND || waiting < look->min_entries ||
		    waiting < SYN_OF * row->entries || look_share(look, waiting) < SYN_SHARE ||
		    look_has(look, PATTERN_ASYMMETRIC, &row->key))
			continue;
		/* Through a router: many sources that come once are a flood. */
		if (row->key.direction == DIR_FORWARDED && many_sources(look, waiting))
			continue;
		add_dead(look, &look->model->classes[i]);
	}
}

/* --- half-open, from outside ---------------------------------------------------------------- */

static void add_flood(struct look *look, const struct class *class)
{
	const struct snap_row *row = class->row;
	double answered = row->states[ST_TCP_SYN_RECV];
	double half = answered + row_unanswered(row);
	bool many = many_sources(look, half);
	struct finding *finding = look_add(
		look, PATTERN_SYN_FLOOD,
		many && answered >= SYN_OF * half ? CONFIDENCE_SURE : CONFIDENCE_LIKELY, half);
	char text[32];

	if (!finding)
		return;
	if (answered < SYN_OF * half)
		finding->unsure = "they are not answered: the service may hang, or a filter behind "
				  "conntrack drops them";
	else if (!many)
		finding->unsure =
			look_sources(look) > 0
				? "they come from few addresses: it may be one client whose "
				  "way back is broken"
				: "it is not known from how many addresses they come";
	finding_row(finding, &row->key,
		    answered >= SYN_OF * half ? ST_TCP_SYN_RECV : ST_TCP_SYN_SENT);
	finding_summary(finding,
			"%.0f of %u entries of %s are half open: a SYN came and the handshake was "
			"never finished",
			half, row->entries, row_text(&row->key, text));
	finding_figure(finding, "syn_recv_entries", answered);
	finding_figure(finding, "syn_sent_entries", row_unanswered(row));
	finding_figure(finding, "established_entries", row->states[ST_TCP_ESTABLISHED]);
	finding_figure(finding, "row_entries", row->entries);
	finding_figure(finding, "new_per_second", class->new_per_s);
	finding_figure(finding, "sources", look_sources(look));
	finding_figure(finding, "syn_recv_timeout_seconds",
		       look->model->settings.timeouts_s[TIMEOUT_TCP_SYN_RECV]);
}

void pattern_syn_flood(struct look *look)
{
	for (size_t i = 0; i < look->model->count; i++) {
		const struct snap_row *row = look->model->classes[i].row;
		double half;

		if (row->key.l4proto != L4_TCP || row->key.direction == DIR_OUTBOUND ||
		    row->key.direction == DIR_LOOPBACK)
			continue;
		half = row->states[ST_TCP_SYN_RECV] + row_unanswered(row);
		if (half < look->min_entries || half < SYN_OF * row->entries ||
		    look_share(look, half) < SYN_SHARE ||
		    look_has(look, PATTERN_DEAD_BACKEND, &row->key) ||
		    look_has(look, PATTERN_ASYMMETRIC, &row->key))
			continue;
		add_flood(look, &look->model->classes[i]);
	}
}

/* --- short UDP exchanges -------------------------------------------------------------------- */

#define UDP_SHARE 0.25
/* Longer exchanges become assured after two seconds. */
#define UDP_SHORT 0.7
/* Mostly without an answer it is no query any more. */
#define UDP_UNREPLIED 0.8
/* Entries stay for a minute at most: fewer a second do not make the minimum. */
#define UDP_STAY_MAX_S 90.0

void pattern_udp_storm(struct look *look)
{
	for (size_t i = 0; i < look->model->count; i++) {
		const struct class *class = &look->model->classes[i];
		const struct snap_row *row = class->row;
		double unreplied = row->states[ST_GENERIC_UNREPLIED];
		double brief = unreplied + row->states[ST_GENERIC_REPLIED];
		bool deaf = unreplied >= UDP_UNREPLIED * brief;
		struct finding *finding;
		unsigned int state;
		double stay_s;
		char text[32];

		if (row->key.l4proto != L4_UDP || brief < look->min_entries ||
		    look_share(look, brief) < UDP_SHARE || brief < UDP_SHORT * row->entries ||
		    class->new_per_s < look->min_entries / UDP_STAY_MAX_S)
			continue;
		finding = look_add(look, PATTERN_UDP_STORM,
				   isnan(class->new_per_s) || deaf ? CONFIDENCE_LIKELY
								   : CONFIDENCE_SURE,
				   brief);
		if (!finding)
			return;
		if (deaf)
			finding->unsure =
				"most of them get no answer: a flood, or a server that is "
				"down";
		else if (isnan(class->new_per_s))
			finding->unsure = "the rate is not known yet";
		state = deaf ? ST_GENERIC_UNREPLIED : ST_GENERIC_REPLIED;
		stay_s = state_timeout_s(look->model, &row->key, state);
		finding_row(finding, &row->key, (int)state);
		finding_summary(
			finding,
			"%.0f of %u entries of %s are single exchanges, each from a port of its "
			"own; each stays for %.0f s after the answer",
			brief, row->entries, row_text(&row->key, text), stay_s);
		finding_figure(finding, "unreplied_entries", unreplied);
		finding_figure(finding, "replied_entries", row->states[ST_GENERIC_REPLIED]);
		finding_figure(finding, "assured_entries", row->states[ST_GENERIC_ASSURED]);
		finding_figure(finding, "new_per_second", class->new_per_s);
		finding_figure(finding, "udp_timeout_seconds", stay_s);
		if (look_service(look, &row->key)) {
			finding->has_host = true;
			finding->host = *look_service(look, &row->key);
		}
	}
}

/* --- long UDP exchanges ---------------------------------------------------------------------- */

/* Who has paused for longer has hung up, mostly: calls and tunnels say something every half
 * minute to keep NAT open. */
#define UDP_PAUSE_S 35.0
/* Those that talk are in use, however many there are. */
#define UDP_PAUSED 0.5

/* NaN: the kernel was asked of too few. */
static double paused_ratio(const struct look *look, const struct row_key *key)
{
	const struct snap_ages *ages =
		snap_ages_now(look->details->ages, look->snap->taken_real_ns);
	const struct snap_ages_cell *cell = snap_ages_cell(ages, key, ST_GENERIC_ASSURED);

	return cell && told_enough(cell) ? snap_ages_older(cell->idle, UDP_PAUSE_S) / cell->told
					 : (double)NAN;
}

void pattern_udp_streams(struct look *look)
{
	for (size_t i = 0; i < look->model->count; i++) {
		const struct class *class = &look->model->classes[i];
		const struct snap_row *row = class->row;
		double lasting = row->states[ST_GENERIC_ASSURED];
		double paused = paused_ratio(look, &row->key);
		double stay_s = state_timeout_s(look->model, &row->key, ST_GENERIC_ASSURED);
		struct finding *finding;
		char text[32];

		if (row->key.l4proto != L4_UDP || lasting < look->min_entries ||
		    look_share(look, lasting) < UDP_SHARE || lasting < UDP_SHORT * row->entries ||
		    !(paused >= UDP_PAUSED))
			continue;
		finding = look_add(look, PATTERN_UDP_STREAMS, CONFIDENCE_SURE, lasting);
		if (!finding)
			return;
		finding_row(finding, &row->key, ST_GENERIC_ASSURED);
		finding_summary(
			finding,
			"%.0f of %u entries of %s are streams, and %.0f %% of them have said "
			"nothing for half a minute; each stays for %.0f s after its last "
			"packet",
			lasting, row->entries, row_text(&row->key, text), 100 * paused, stay_s);
		finding_figure(finding, "assured_entries", lasting);
		finding_figure(finding, "paused_ratio", paused);
		finding_figure(finding, "new_per_second", class->new_per_s);
		finding_figure(finding, "udp_timeout_stream_seconds", stay_s);
		if (look_service(look, &row->key)) {
			finding->has_host = true;
			finding->host = *look_service(look, &row->key);
		}
	}
}

/* --- one host -------------------------------------------------------------------------------- */

/* Two fifths of what comes from elsewhere: four times its part among ten sources. Of fewer
 * one always holds a large part, and a server may have but one client that is a proxy; behind a
 * router, where there are hosts beside it, four fifths are the part of four. */
#define HOST_SHARE     0.4
#define HOST_SOURCES   10.0
#define HOST_SHARE_FEW 0.8
#define HOST_FEW       4.0
#define HOST_FORWARDED 0.9

static double forwarded_entries(const struct look *look)
{
	double sum = 0;

	for (size_t i = 0; i < look->model->count; i++)
		if (look->model->classes[i].row->key.direction == DIR_FORWARDED)
			sum += look->model->classes[i].row->entries;
	return sum;
}

static double host_share(const struct look *look, double foreign)
{
	double sources = look_sources(look);

	if (sources >= HOST_SOURCES)
		return HOST_SHARE;
	return sources >= HOST_FEW && forwarded_entries(look) >= HOST_FORWARDED * foreign
		       ? HOST_SHARE_FEW
		       : (double)INFINITY;
}

void pattern_one_host(struct look *look)
{
	double least, foreign = look->entries - look_own_entries(look);
	const struct snap_talker *host = look_stranger(look, &least);
	struct finding *finding;

	if (!host || least < look->min_entries || !(least >= host_share(look, foreign) * foreign) ||
	    look_share(look, least) < HOST_SHARE / 2)
		return;
	finding = look_add(look, PATTERN_ONE_HOST, CONFIDENCE_LIKELY, least);
	if (!finding)
		return;
	finding->unsure = "a proxy, a load balancer or NAT in front of many hosts looks the same";
	finding->has_host = true;
	finding->host_is_source = true;
	finding->host = *host;
	finding_summary(
		finding,
		"one address is the source of at least %.0f entries, of %.0f that come from "
		"elsewhere; there are %.0f sources",
		least, foreign, look_sources(look));
	finding_figure(finding, "host_entries", host->entries);
	finding_figure(finding, "host_error_entries", host->error_entries);
	finding_figure(finding, "foreign_entries", foreign);
	finding_figure(finding, "sources", look_sources(look));
}
