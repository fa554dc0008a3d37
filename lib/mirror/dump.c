// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel's answers do to the mirror: records of dumps, answers to GETs. */
#include "lib/mirror/entry.h"
#include "lib/mirror/tracker.h"

/* An entry that an answer corrects changed without an event. After a loss the event may have been
 * among the lost ones: then the entry counts as silent only until an event or another dump
 * confirms it. */
static void note_unheard(struct mirror *mirror, struct flow *flow)
{
	flow_set_stamp(flow, flow->stamp & ~FLOW_FOUND);
	if (mirror->corrections_silent)
		return;
	flow_set_stamp(flow, flow->stamp | FLOW_FOUND);
	mirror->found_total++;
}

/* The running dump shows it as the previous one left it, with no event in between. */
static bool confirmed(const struct mirror *mirror, const struct flow *flow)
{
	return flow->stamp & FLOW_FOUND && mirror->dump_running &&
	       flow->stamp >> FLOW_EPOCH_SHIFT != mirror->epoch;
}

bool mirror_buried_in_dump(const struct mirror *mirror, const struct ct_event *record)
{
	uint32_t tomb;

	/* At a start there are none. */
	if (!mirror->tombstones)
		return false;
	tomb = flow_search(&mirror->table, record->hash, record->id).tombstone;
	return tomb != FLOW_NONE && flow_cell(flow_at(&mirror->table, tomb)) == mirror->dump;
}

uint32_t mirror_insert_record(struct mirror *mirror, const struct ct_event *event)
{
	uint32_t at = entry_insert(mirror, event, FLOW_SILENT);

	if (at != FLOW_NONE) {
		note_unheard(mirror, flow_at(&mirror->table, at));
		entry_told(mirror, flow_at(&mirror->table, at), event);
	}
	return at;
}

void mirror_fill_unknown(struct mirror *mirror, uint32_t at, const struct ct_event *event)
{
	struct flow *flow = flow_at(&mirror->table, at);
	struct row_key key = entry_row_key(mirror, event);
	unsigned int state = cell_state(flow_cell(flow));

	if (entry_cell_unknown(flow_cell(flow)))
		state = entry_state_told((enum l4proto)key.l4proto, event, state);
	/* The direction follows the current addresses. */
	entry_move(mirror, flow, histogram_place(mirror->hist, key, state),
		   flow->cell_flags & ~FLOW_CELL_MASK, event);
}

/* The record is newer than every event applied to the entry, so a difference is a change without
 * an event, or its event is still queued and will clear the mark. */
void mirror_apply_record(struct mirror *mirror, uint32_t at, const struct ct_event *event)
{
	struct flow *flow = flow_at(&mirror->table, at);
	struct row_key key = entry_row_key(mirror, event);
	unsigned int had = cell_state(flow_cell(flow));
	unsigned int state = entry_state_told((enum l4proto)key.l4proto, event, had);
	/* Status bits that disappeared mean another incarnation with the same id: the record is
	 * right. */
	uint32_t flags = flow->cell_flags & ~(FLOW_CELL_MASK | FLOW_SEEN_REPLY | FLOW_ASSURED);

	if (state != had && !entry_cell_unknown(flow_cell(flow))) {
		mirror->counters.repairs_state++;
		/* A loss does not explain one that is known to be silent. */
		if (!(flags & FLOW_SILENT) || flow->stamp & FLOW_FOUND)
			note_unheard(mirror, flow);
		flags |= FLOW_SILENT;
	} else if (confirmed(mirror, flow)) {
		flags &= ~FLOW_SILENT;
		flow_set_stamp(flow, flow->stamp & ~FLOW_FOUND);
	}
	entry_move(mirror, flow, histogram_place(mirror->hist, key, state),
		   flags | entry_status_flags(event), event);
	entry_told(mirror, flow, event);
}

void mirror_replace_record(struct mirror *mirror, uint32_t at, const struct ct_event *event)
{
	mirror->counters.repairs_replaced++;
	entry_replace(mirror, at, event, FLOW_SILENT);
	note_unheard(mirror, flow_at(&mirror->table, at));
	entry_told(mirror, flow_at(&mirror->table, at), event);
}

/* A randomly chosen entry was wrong, so others probably are too. If it was known to be silent,
 * that says nothing about the others. */
static void note_mismatch(struct mirror *mirror, const struct flow *flow, bool gone)
{
	mirror->counters.audits_mismatch++;
	if (!mirror->corrections_silent || flow->cell_flags & FLOW_SILENT)
		return;
	if (gone)
		mirror->last_ghost_ns = mirror->now_ns;
	mirror->last_silent_ns = mirror->now_ns;
}

static void settle_answer(struct mirror *mirror, const struct verify_item *item, uint32_t at,
			  const struct ct_event *found)
{
	if (item->attempt == 0) {
		verify_again(mirror->verify, item, mirror->now_ns);
		return;
	}
	if (item->audit)
		note_mismatch(mirror, flow_at(&mirror->table, at), !found);
	if (!found) {
		mirror->counters.repairs_ghost++;
		entry_remove(mirror, item->hash, at, &item->key, NULL);
	} else if (flow_at(&mirror->table, at)->id != found->id) {
		mirror_replace_record(mirror, at, found);
	} else {
		mirror_apply_record(mirror, at, found);
	}
}

void mirror_answer(struct mirror *mirror, const struct verify_item *item,
		   const struct ct_event *found, uint32_t asked_mark)
{
	uint32_t at = flow_find(&mirror->table, item->hash);
	const struct flow *flow = flow_at(&mirror->table, at);
	struct row_key key;
	unsigned int state;

	/* The kernel matches both directions; the reply tuple of another entry is not this one. */
	if (found && found->hash != item->hash)
		found = NULL;
	/* Gone meanwhile, or an event is newer than the answer: nothing to learn. */
	if (at == FLOW_NONE || mirror_mark_later(flow, asked_mark))
		return;
	if (!found || found->status & CT_STATUS_DYING || found->id != flow->id) {
		settle_answer(mirror, item, at,
			      found && !(found->status & CT_STATUS_DYING) ? found : NULL);
		return;
	}
	if (!cell_key_of(flow_cell(flow), &key, &state))
		return;
	if (entry_cell_unknown(flow_cell(flow)))
		mirror_fill_unknown(mirror, at, found);
	else if (entry_state_told((enum l4proto)key.l4proto, found, state) != state)
		settle_answer(mirror, item, at, found);
	else if (item->audit) {
		mirror->counters.audits_match++;
		entry_told(mirror, flow_at(&mirror->table, at), found);
	}
}

uint64_t mirror_repairs(const struct mirror *mirror)
{
	const struct mirror_counters *counters = &mirror->counters;

	return counters->repairs_state + counters->repairs_missing + counters->repairs_ghost +
	       counters->repairs_replaced;
}

/* Ends after one round over the slots: a sample smaller than `most` is asked for whole. */
void mirror_audit(struct mirror *mirror, uint32_t most)
{
	struct sample *sample = &mirror->sample;

	sample_second(sample, mirror->entries);
	for (uint32_t walked = 0; most > 0 && walked < SAMPLE_SLOTS; walked++) {
		uint64_t hash;
		const struct ct_key *key =
			sample_next(sample, mirror->entries, mirror->now_ns, &hash);

		if (!key)
			continue;
		if (flow_find(&mirror->table, hash) == FLOW_NONE) {
			sample_drop_last(sample);
			continue;
		}
		verify_audit(mirror->verify, key, hash, mirror->now_ns);
		most--;
	}
}
