// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/relief.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exporters/advice/facts.h"
#include "exporters/advice/model_detail.h"
#include "exporters/advice/patterns.h"
#include "exporters/advice/remedies.h"
#include "lib/health/health.h"

#define LAST_MINUTE 6u /* frames of ten seconds */
/* What is deleted must be this part of the table, or it is noise. */
#define DELETE_RATIO_MIN 0.05
#define DELETE_CELLS	 3u

bool relief_wanted(const struct why *why)
{
	switch (why->snap->live.level_reason) {
	case SHM_LEVEL_REASON_AT_LIMIT:
	case SHM_LEVEL_REASON_DROPPING:
	case SHM_LEVEL_REASON_EVICTING:
	case SHM_LEVEL_REASON_FILL:
	case SHM_LEVEL_REASON_FULL_SOON:
	case SHM_LEVEL_REASON_CHAINS:
		return health_level(why->snap) >= SHM_LEVEL_CRITICAL;
	default:
		return false;
	}
}

double relief_lasts_s(const struct why *why, double entries, double share)
{
	const struct snap_table_log *frames = &why->details->minutes;
	size_t count = frames->count < LAST_MINUTE ? frames->count : LAST_MINUTE;
	const struct snap_live *live = &why->snap->live;
	double come = 0, go = 0, per_s, lost_per_s;

	if (!count)
		return (double)NAN;
	for (size_t i = frames->count - count; i < frames->count; i++) {
		const struct snap_frame *frame = &frames->frames[i];

		/* Who is refused comes again; an evicted one has been counted among those gone. */
		come += (double)frame->new_entries + frame->drops;
		go += (double)frame->destroyed_entries - frame->early_drops;
	}
	per_s = (come * (1 - share) - go) / ((double)count * frames->interval_s);
	/* A flood that has just begun is not yet in the minute; what is lost now would have stayed,
	 * had it had room. */
	lost_per_s = (double)(live->dropped_milli_per_s + live->evicted_milli_per_s) / 1e3;
	per_s = fmax(per_s, lost_per_s * (1 - share));
	return per_s > 0 ? entries / per_s : (double)INFINITY;
}

/* --- entries that nobody needs ------------------------------------------------------------ */

/* Closed, or never open: what comes late for them is answered by the hosts themselves. */
static const struct {
	uint8_t l4proto;
	uint8_t state;
} needless[] = {{L4_TCP, ST_TCP_TIME_WAIT},
		{L4_TCP, ST_TCP_CLOSE},
		{L4_TCP, ST_TCP_SYN_SENT},
		{L4_TCP, ST_TCP_SYN_RECV},
		{L4_UDP, ST_GENERIC_UNREPLIED}};

struct needless_cell {
	const struct snap_row *row;
	unsigned int state;
	uint32_t entries;
};

/* Somebody goes on sending without an answer, as syslog does: it would be here again at once. */
static bool comes_again(const struct why *why, const struct needless_cell *pick)
{
	const struct snap_ages *ages = snap_ages_now(why->details->ages, why->snap->taken_real_ns);
	const struct snap_ages_cell *cell = snap_ages_cell(ages, &pick->row->key, pick->state);

	return cell && told_enough(cell) && cell->refreshed > cell->told / 2;
}

static void consider(struct needless_cell picks[DELETE_CELLS], const struct needless_cell *pick)
{
	unsigned int at = DELETE_CELLS;

	while (at > 0 && (!picks[at - 1].row || picks[at - 1].entries < pick->entries))
		at--;
	if (at == DELETE_CELLS)
		return;
	memmove(&picks[at + 1], &picks[at], (DELETE_CELLS - 1 - at) * sizeof(*picks));
	picks[at] = *pick;
}

static void advise_delete(struct maker *maker, const struct needless_cell *pick)
{
	const struct row_key *key = &pick->row->key;
	const char *state = state_name(key->l4proto, pick->state);
	uint32_t families = facts_families(maker->why->snap, maker->why->details, key);
	struct advice_item *item;
	char text[32];

	item = maker_item(maker, NULL, MERIT_RELIEF, "delete-%s-%u-%s",
			  l4proto_info(key->l4proto)->name, key->port, state);
	if (!item)
		return;
	maker_title(item, "delete the entries of %s in %s", row_text(key, text), state);
	snprintf(item->reason, sizeof(item->reason), "%u entries %s", pick->entries,
		 key->l4proto == L4_TCP ? "of connections that are closed or were never open"
					: "that nobody has answered");
	item->families = families;
	item->saves_entries = pick->entries;
	item->saves_ratio = pick->entries / fmax(1, maker->model->entries);
	item->memory_bytes_delta = -ENTRY_BYTES * pick->entries;
	item->lasts_s = relief_lasts_s(maker->why, pick->entries, 0);
	item->warnings = key->l4proto == L4_TCP ? WARN(LATE_SEGMENTS) : WARN(LATE_ANSWERS);
	remedy_delete(item, key, state);
}

static void advise_deletions(struct maker *maker)
{
	const struct snapshot *snap = maker->why->snap;
	struct needless_cell picks[DELETE_CELLS] = {0};

	for (size_t i = 0; i < snap->row_count; i++) {
		const struct snap_row *row = &snap->rows[i];

		for (unsigned int k = 0; k < sizeof(needless) / sizeof(needless[0]); k++) {
			struct needless_cell pick = {row, needless[k].state,
						     row->states[needless[k].state]};

			if (row->key.l4proto == needless[k].l4proto &&
			    pick.entries >= DELETE_RATIO_MIN * maker->model->entries &&
			    !comes_again(maker->why, &pick))
				consider(picks, &pick);
		}
	}
	for (unsigned int i = 0; i < DELETE_CELLS && picks[i].row; i++)
		advise_delete(maker, &picks[i]);
}

/* --- one host ------------------------------------------------------------------------------ */

static void advise_block(struct maker *maker, const struct finding *finding)
{
	struct advice_item *item = maker_item(maker, finding, MERIT_RELIEF, "block-source");
	const struct settings *now = &maker->model->settings;

	if (!item)
		return;
	maker_title(item, "drop what the largest source sends, before it is tracked");
	item->saves_entries = finding->entries;
	item->saves_ratio = finding->share;
	item->memory_bytes_delta = -ENTRY_BYTES * finding->entries;
	item->lasts_s = relief_lasts_s(
		maker->why, fmax(0, now->max_entries - maker->model->entries) + finding->entries,
		finding->share);
	item->warnings = WARN(REBOOT) | WARN(CUTS_OFF);
	item->families = item->source->ipv6 ? FAMILY_IPV6 : FAMILY_IPV4;
	remedy_block_source(item);
	remedy_delete_source(item);
}

bool relief_blocks(const struct why *why, const struct finding *finding)
{
	bool by_source =
		finding->pattern == PATTERN_ONE_HOST || finding->pattern == PATTERN_PORT_SCAN;

	return by_source && relief_wanted(why) && finding->has_host && finding->host_is_source;
}

void relief_add(struct maker *maker)
{
	if (!relief_wanted(maker->why))
		return;
	for (uint32_t i = 0; i < maker->why->finding_count; i++)
		if (relief_blocks(maker->why, &maker->why->findings[i]))
			advise_block(maker, &maker->why->findings[i]);
	advise_deletions(maker);
}
