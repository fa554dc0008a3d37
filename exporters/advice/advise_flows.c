// SPDX-License-Identifier: GPL-2.0-or-later
/* What to do about peers that are called, and about connections of which one way passes here. */
#include <math.h>

#include "exporters/advice/advise.h"
#include "exporters/advice/facts.h"
#include "exporters/advice/patterns.h"
#include "exporters/advice/remedies.h"

static void saves_all(struct advice_item *item, const struct finding *finding, double part)
{
	item->saves_entries = finding->entries * part;
	item->saves_ratio = finding->share * part;
	item->memory_bytes_delta = -item->saves_entries * ENTRY_BYTES;
}

void advise_peers(struct maker *maker, const struct finding *finding)
{
	const struct row_key *key = &finding->rows[0];
	bool own = key->direction == DIR_OUTBOUND || key->direction == DIR_LOOPBACK;
	struct advice_item *item =
		maker_item(maker, finding, MERIT_CAUSE, "%s-%s", pattern_info(finding->pattern)->id,
			   l4proto_info(key->l4proto)->name);

	if (!item)
		return;
	if (own) {
		saves_all(item, finding, 1);
		maker_title(item, "limit the program on this host that calls these peers");
		remedy_own_scan(item, key);
	} else {
		saves_all(item, finding, 0.5);
		item->warnings = WARN(REBOOT);
		maker_title(item, "limit connections per source, at half of what the peers hold");
		remedy_one_host(item, fmax(100, floor(finding->entries / 2.0)));
	}
	if (key->l4proto != L4_UDP)
		return;
	advise_timeout(maker, finding, TIMEOUT_UDP, UDP_S, NULL);
	advise_timeout(maker, finding, TIMEOUT_UDP_STREAM, UDP_STREAM_S, NULL);
}

/* Where it is set is not known, and so not what may be taken back. */
void advise_long_timeout(struct maker *maker, const struct finding *finding)
{
	const struct row_key *key = &finding->rows[0];
	bool helper = facts_helped(maker->why->snap, maker->why->details, key);
	struct advice_item *item = maker_item(maker, finding, MERIT_CAUSE, "%s-%s-%u",
					      pattern_info(finding->pattern)->id,
					      l4proto_info(key->l4proto)->name, key->port);
	char text[32];

	if (!item)
		return;
	item->saves_entries = item->saves_ratio = item->memory_bytes_delta = (double)NAN;
	if (helper)
		maker_title(item, "%s: ask for shorter registrations, or do without the helper",
			    row_text(key, text));
	else
		maker_title(item, "%s: shorten its timeout policy, or remove it",
			    row_text(key, text));
	remedy_own_timeout(item, helper);
}

/* Nothing that is done to the table routes packets: it comes first whatever it saves. */
void advise_asymmetric(struct maker *maker, const struct finding *finding)
{
	struct advice_item *item =
		maker_item(maker, finding, MERIT_CAUSE, "%s", pattern_info(finding->pattern)->id);

	if (!item)
		return;
	saves_all(item, finding, 1);
	maker_title(item, "let both ways of these connections pass here, or neither");
	remedy_routes(item);
	for (uint32_t i = 0; i < finding->row_count; i++)
		if (finding->rows[i].port)
			advise_notrack(maker, finding, &finding->rows[i]);
	if (finding->state == ST_TCP_SYN_SENT)
		advise_timeout(maker, finding, TIMEOUT_TCP_SYN_SENT, SYN_SENT_S, NULL);
}
