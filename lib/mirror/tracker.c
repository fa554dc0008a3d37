// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/tracker.h"

#include <string.h>

#include "lib/mirror/entry.h"

int mirror_create(struct mirror *mirror, uint32_t limit_entries, struct histogram *hist,
		  const struct local_addrs *addrs, struct verify *verify)
{
	int err;

	memset(mirror, 0, sizeof(*mirror));
	mirror->hist = hist;
	mirror->addrs = addrs;
	mirror->verify = verify;
	mirror->mark = 1;
	mirror->corrections_silent = true;
	err = sample_create(&mirror->sample, verify->random);
	return err ? err : flow_table_create(&mirror->table, limit_entries);
}

void mirror_destroy(struct mirror *mirror)
{
	sample_destroy(&mirror->sample);
	flow_table_destroy(&mirror->table);
}

void mirror_set_time(struct mirror *mirror, uint64_t boot_ns)
{
	mirror->now_ns = boot_ns;
}

uint32_t mirror_mark(struct mirror *mirror)
{
	uint32_t mark = mirror->mark;

	mirror->mark = (mark + 1u) & FLOW_MARK_MASK;
	if (mirror->mark == FLOW_MARK_NONE)
		mirror->mark = 1;
	return mark;
}

/* Marks have 24 bits and wrap; each finished dump resets old ones, so two compared marks are
 * never half the range apart. */
bool mirror_mark_later(const struct flow *flow, uint32_t mark)
{
	uint32_t at = flow->stamp & FLOW_MARK_MASK;
	uint32_t ahead = (at - mark) & FLOW_MARK_MASK;

	return at != FLOW_MARK_NONE && ahead != 0 && ahead <= FLOW_MARK_MASK / 2;
}

static void on_destroy(struct mirror *mirror, const struct ct_event *event)
{
	uint32_t at = flow_find(&mirror->table, event->hash);

	if (at != FLOW_NONE && flow_at(&mirror->table, at)->id == event->id) {
		entry_remove(mirror, event->hash, at, &event->key, event);
	} else if (event->status & CT_STATUS_CLASH) {
		mirror->counters.clash_events++;
	} else if (at == FLOW_NONE) {
		entry_bury_unknown(mirror, event);
	} else {
		verify_doubt(mirror->verify, event, mirror->now_ns);
	}
}

/* Could this be a late message of an entry that is gone? An entry has one NEW: if that of the
 * buried entry was read, this is the NEW of another, as when a client reuses a port whose entry
 * is still in TIME_WAIT. */
static bool perhaps_overtaken(const struct mirror *mirror, const struct ct_event *event,
			      uint32_t tombstone)
{
	const struct flow *tomb = flow_at(&mirror->table, tombstone);

	return tombstone != FLOW_NONE &&
	       flow_tick(mirror->now_ns) - tomb->since < TOMBSTONE_TICKS &&
	       (event->kind != CT_NEW || !(tomb->cell_flags & FLOW_BORN_SEEN));
}

static void insert_from_event(struct mirror *mirror, const struct ct_event *event, uint32_t flags,
			      uint32_t tombstone)
{
	uint32_t at;

	if (perhaps_overtaken(mirror, event, tombstone))
		verify_doubt(mirror->verify, event, mirror->now_ns);
	at = entry_insert(mirror, event, flags);
	if (at == FLOW_NONE)
		return;
	entry_stamp(mirror, flow_at(&mirror->table, at), event);
	if (entry_cell_unknown(flow_cell(flow_at(&mirror->table, at))))
		verify_doubt(mirror->verify, event, mirror->now_ns);
	if (event->kind == CT_NEW)
		entry_count_new(mirror, flow_at(&mirror->table, at));
}

static void apply_update(struct mirror *mirror, uint32_t at, const struct ct_event *event)
{
	struct flow *flow = flow_at(&mirror->table, at);
	uint32_t told = entry_status_flags(event);
	uint32_t had = flow->cell_flags & (FLOW_SEEN_REPLY | FLOW_ASSURED);
	uint32_t keep = (flow->cell_flags | told) &
			(FLOW_LIVE | FLOW_SEEN_REPLY | FLOW_ASSURED | FLOW_BORN_SEEN);
	struct row_key key;
	unsigned int state;
	uint32_t cell = flow_cell(flow);

	if (had & ~told) {
		/* Or of another incarnation with the same id, whose NEW was lost. */
		mirror->counters.stale_updates++;
		verify_doubt(mirror->verify, event, mirror->now_ns);
	} else if (cell_key_of(cell, &key, &state)) {
		cell = cell - state + entry_state_told((enum l4proto)key.l4proto, event, state);
	}
	entry_move(mirror, flow, cell, keep, event);
	entry_stamp(mirror, flow, event);
	if (entry_cell_unknown(cell))
		verify_doubt(mirror->verify, event, mirror->now_ns);
}

/* A dump may show an entry before its NEW is queued. As no event has shown it yet, this NEW is
 * its own and not that of a second incarnation. An entry that was answered already is older: it
 * ended unheard, and its id is in use again. */
static bool shown_before_its_birth(const struct flow *flow, const struct ct_event *event)
{
	uint32_t had = flow->cell_flags & (FLOW_SEEN_REPLY | FLOW_ASSURED);

	return flow->id == event->id && !(had & ~entry_status_flags(event)) &&
	       !(flow->cell_flags & FLOW_BORN_SEEN) &&
	       (flow->stamp & FLOW_MARK_MASK) == FLOW_MARK_NONE;
}

static void on_new(struct mirror *mirror, const struct ct_event *event)
{
	/* Most are not there yet, so that the tombstone is asked for. */
	struct flow_found found = flow_search(&mirror->table, event->hash, event->id);
	uint32_t at = found.live;

	if (at == FLOW_NONE) {
		insert_from_event(mirror, event, FLOW_BORN_SEEN, found.tombstone);
	} else if (shown_before_its_birth(flow_at(&mirror->table, at), event)) {
		apply_update(mirror, at, event);
		flow_at(&mirror->table, at)->cell_flags |= FLOW_BORN_SEEN;
		entry_count_new(mirror, flow_at(&mirror->table, at));
	} else {
		entry_replace(mirror, at, event, FLOW_BORN_SEEN);
		entry_stamp(mirror, flow_at(&mirror->table, at), event);
	}
	verify_offer(mirror->verify, event);
}

static void on_update(struct mirror *mirror, const struct ct_event *event)
{
	uint32_t at = flow_find(&mirror->table, event->hash);

	if (at == FLOW_NONE) {
		/* Seldom: its NEW was lost, or is on its way. */
		insert_from_event(mirror, event, 0,
				  flow_search(&mirror->table, event->hash, event->id).tombstone);
	} else if (flow_at(&mirror->table, at)->id != event->id) {
		entry_replace(mirror, at, event, 0);
		entry_stamp(mirror, flow_at(&mirror->table, at), event);
	} else {
		apply_update(mirror, at, event);
	}
	verify_offer(mirror->verify, event);
}

void mirror_event(struct mirror *mirror, const struct ct_event *event)
{
	mirror->counters.events[event->kind]++;
	if (event->kind == CT_DESTROY || event->status & CT_STATUS_DYING)
		on_destroy(mirror, event);
	else if (event->kind == CT_NEW)
		on_new(mirror, event);
	else
		on_update(mirror, event);
}
