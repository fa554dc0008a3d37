// SPDX-License-Identifier: GPL-2.0-or-later
/* Few entries to each of many ports: a scan, where nobody answers; peer-to-peer traffic, where
 * some do and they go to many addresses. */
#include <math.h>

#include "exporters/advice/patterns.h"

/* No set of services uses that many ports. */
#define MANY_PORTS   300u
#define MANY_SHARE   0.2
#define MANY_PER_ROW 3u
/* A scan is answered by a few services; of peers many have gone, and many have not. */
#define ANSWERED_MIN   0.1
#define UNANSWERED_MIN 0.1
/* Peers are everywhere; of a media server or a scanned host one address holds most. */
#define DESTINATION_MOST 0.1

struct spread {
	struct row_key key; /* port 0: of all */
	uint32_t ports;
	double entries;
	double new_per_s;
	uint32_t quiet_ports; /* of those without any answer... */
	double quiet_entries;
	double quiet_new_per_s;
};

static double unanswered(const struct snap_row *row)
{
	if (row->key.l4proto == L4_TCP)
		return row_unanswered(row) + row->states[ST_TCP_SYN_RECV] +
		       row->states[ST_TCP_CLOSE];
	return row->key.l4proto == L4_UDP ? row->states[ST_GENERIC_UNREPLIED] : 0;
}

static void spread_over(const struct look *look, struct spread *spread)
{
	for (size_t i = 0; i < look->model->count; i++) {
		const struct class *class = &look->model->classes[i];
		const struct snap_row *row = class->row;
		double rate = class->new_per_s > 0 ? class->new_per_s : 0;

		if (row->key.l4proto != spread->key.l4proto ||
		    row->key.direction != spread->key.direction || row->entries == 0 ||
		    row->entries > MANY_PER_ROW)
			continue;
		spread->ports++;
		spread->entries += row->entries;
		spread->new_per_s += rate;
		if (unanswered(row) < row->entries)
			continue;
		spread->quiet_ports++;
		spread->quiet_entries += row->entries;
		spread->quiet_new_per_s += rate;
	}
}

static bool from_elsewhere(const struct spread *spread)
{
	return spread->key.direction != DIR_OUTBOUND && spread->key.direction != DIR_LOOPBACK;
}

static void name_host(const struct look *look, const struct spread *spread, double entries,
		      struct finding *finding)
{
	const struct snap_talker *host =
		from_elsewhere(spread) ? look_source_of(look, entries) : NULL;

	if (!host)
		return;
	finding->has_host = finding->host_is_source = true;
	finding->host = *host;
	finding_figure(finding, "host_entries", host->entries);
	finding_figure(finding, "host_share", look_share(look, host->entries));
}

/* Of what goes there, the part to the largest address; NaN: not known. */
static double largest_destination(const struct look *look, double entries)
{
	const struct snap_talker_list *list = &look->details->talkers[SHM_TALKER_DESTINATION];

	return list->count ? list->talkers[0].entries / entries : (double)NAN;
}

/* --- peers ------------------------------------------------------------------------------------ */

static bool is_peers(const struct look *look, const struct spread *spread)
{
	double answered = spread->entries - spread->quiet_entries;

	return spread->ports >= MANY_PORTS && spread->entries >= look->min_entries &&
	       look_share(look, spread->entries) >= MANY_SHARE &&
	       answered >= ANSWERED_MIN * spread->entries &&
	       spread->quiet_entries >= UNANSWERED_MIN * spread->entries &&
	       !(largest_destination(look, spread->entries) > DESTINATION_MOST);
}

static void add_peers(struct look *look, const struct spread *spread)
{
	double destination = largest_destination(look, spread->entries);
	struct finding *finding =
		look_add(look, PATTERN_PEER_TO_PEER, CONFIDENCE_LIKELY, spread->entries);

	if (!finding)
		return;
	finding_row(finding, &spread->key, -1);
	finding_summary(finding,
			"%.0f entries of %s %s go to %u different ports, few to each, and to many "
			"addresses; %.0f %% of them were answered: that is how peers are called, "
			"not how ports are scanned",
			spread->entries, l4proto_info(spread->key.l4proto)->name,
			direction_name(spread->key.direction), spread->ports,
			100 * (1 - spread->quiet_entries / spread->entries));
	finding_figure(finding, "ports", spread->ports);
	finding_figure(finding, "peer_entries", spread->entries);
	finding_figure(finding, "answered_entries", spread->entries - spread->quiet_entries);
	finding_figure(finding, "unanswered_entries", spread->quiet_entries);
	finding_figure(finding, "new_per_second", spread->new_per_s);
	finding_figure(finding, "largest_destination_share", destination);
	finding_figure(finding, "sources", look_sources(look));
	name_host(look, spread, spread->entries, finding);
	if (isnan(destination))
		finding->unsure = "it is not known to how many addresses they go";
	else if (from_elsewhere(spread) && !finding->has_host)
		finding->unsure = "no single host holds most of them";
	else
		finding->confidence = CONFIDENCE_SURE;
}

void pattern_peer_to_peer(struct look *look)
{
	static const uint8_t protocols[] = {L4_TCP, L4_UDP};

	for (unsigned int direction = 0; direction < DIR_COUNT; direction++)
		for (unsigned int i = 0; i < 2; i++) {
			struct spread spread = {.key = {protocols[i], (uint8_t)direction, 0}};

			spread_over(look, &spread);
			if (is_peers(look, &spread))
				add_peers(look, &spread);
		}
}

/* --- a scan ----------------------------------------------------------------------------------- */

static void add_scan(struct look *look, const struct spread *spread)
{
	double destination = largest_destination(look, spread->quiet_entries);
	struct finding *finding =
		look_add(look, PATTERN_PORT_SCAN, CONFIDENCE_SURE, spread->quiet_entries);

	if (!finding)
		return;
	if (spread->key.l4proto == L4_UDP && destination < DESTINATION_MOST) {
		finding->confidence = CONFIDENCE_LIKELY;
		finding->unsure = "they go to many addresses: peer-to-peer traffic that nobody "
				  "answers looks the same";
	}
	finding_row(finding, &spread->key, -1);
	finding_summary(finding,
			"%.0f entries of %s %s go to %u different ports, few to each, and none is "
			"answered",
			spread->quiet_entries, l4proto_info(spread->key.l4proto)->name,
			direction_name(spread->key.direction), spread->quiet_ports);
	finding_figure(finding, "ports", spread->quiet_ports);
	finding_figure(finding, "scan_entries", spread->quiet_entries);
	finding_figure(finding, "new_per_second", spread->quiet_new_per_s);
	finding_figure(finding, "sources", look_sources(look));
	name_host(look, spread, spread->quiet_entries, finding);
}

void pattern_port_scan(struct look *look)
{
	static const uint8_t protocols[] = {L4_TCP, L4_UDP};

	for (unsigned int direction = 0; direction < DIR_COUNT; direction++)
		for (unsigned int i = 0; i < 2; i++) {
			struct spread spread = {.key = {protocols[i], (uint8_t)direction, 0}};

			spread_over(look, &spread);
			if (spread.quiet_ports >= MANY_PORTS &&
			    spread.quiet_entries >= look->min_entries &&
			    look_share(look, spread.quiet_entries) >= MANY_SHARE &&
			    !look_has(look, PATTERN_PEER_TO_PEER, &spread.key))
				add_scan(look, &spread);
		}
}
