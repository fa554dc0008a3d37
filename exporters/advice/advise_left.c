// SPDX-License-Identifier: GPL-2.0-or-later
/* What to do about entries that nobody uses. */
#include <math.h>

#include "exporters/advice/advise.h"
#include "exporters/advice/facts.h"
#include "exporters/advice/model_detail.h"
#include "exporters/advice/patterns.h"
#include "exporters/advice/relief.h"
#include "exporters/advice/remedies.h"

/* conntrack lists the table for each entry that it deletes: measured with 1.4.7, in 262,144 buckets
 * that hold 5,000 to 125,000 entries. */
#define BUCKET_LISTED_S 15e-9
#define ENTRY_LISTED_S	2.35e-6

/* What is left of a deadline tells for how long no packet came; below this the kernel has shortened
 * it, for data that is not acknowledged. */
static double shortened_s(const struct settings *settings)
{
	return fmax(settings->timeouts_s[TIMEOUT_TCP_UNACKNOWLEDGED],
		    settings->timeouts_s[TIMEOUT_TCP_MAX_RETRANS]);
}

/* What remains is listed once less for each that has gone. */
static double deleting_s(const struct model *model, double entries)
{
	double listed = fmax(model->entries - entries / 2, entries / 2);

	return ceil(entries *
		    (BUCKET_LISTED_S * model->settings.buckets + ENTRY_LISTED_S * listed));
}

static void delete_idle(struct maker *maker, const struct finding *finding, int timeout)
{
	const struct row_key *key = &finding->rows[0];
	const struct settings *settings = &maker->model->settings;
	double below_s = settings->timeouts_s[timeout] - UNUSED_S;
	bool relief = relief_wanted(maker->why);
	struct advice_item *item;
	char text[32];

	if (key->l4proto != L4_TCP || below_s <= shortened_s(settings) ||
	    !facts_not_offloaded(maker->why->snap, key))
		return;
	item = maker_item(maker, finding, relief ? MERIT_RELIEF : MERIT_CAUSE, "%s-%s-%u",
			  pattern_info(finding->pattern)->id, l4proto_info(key->l4proto)->name,
			  key->port);
	if (!item)
		return;
	maker_title(item, "delete the entries of %s that nobody uses", row_text(key, text));
	item->saves_entries = finding->entries;
	item->saves_ratio = finding->share;
	item->memory_bytes_delta = -ENTRY_BYTES * item->saves_entries;
	item->counted.begins_s = 0;
	item->counted.full_s = deleting_s(maker->model, item->saves_entries);
	if (relief)
		item->lasts_s = relief_lasts_s(maker->why, item->saves_entries, 0);
	item->warnings = WARN(IDLE_CUT) | WARN(POLICY);
	remedy_delete_idle(item, key, state_text(key, finding->state), shortened_s(settings),
			   below_s);
}

void advise_leftovers(struct maker *maker, const struct finding *finding)
{
	int timeout = timeout_of_state(finding->rows[0].l4proto, (unsigned int)finding->state);

	if (timeout < 0)
		return;
	delete_idle(maker, finding, timeout);
	advise_timeout(maker, finding, timeout, ESTABLISHED_S,
		       timeout == TIMEOUT_TCP_ESTABLISHED ? "established" : NULL);
}
