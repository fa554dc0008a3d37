// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tracker.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/base/check.h"

/* A second, in ticks of 2^24 ns. */
#define TOMBSTONE_TICKS 60u

static const uint8_t l4proto_by_number[256] = {
	[IPPROTO_TCP] = L4_TCP + 1,	[IPPROTO_UDP] = L4_UDP + 1,
	[IPPROTO_SCTP] = L4_SCTP + 1,	[IPPROTO_ICMP] = L4_ICMP + 1,
	[IPPROTO_ICMPV6] = L4_ICMPV6 + 1, [IPPROTO_GRE] = L4_GRE + 1,
};

static enum l4proto l4proto_of(uint8_t l4num)
{
	return l4proto_by_number[l4num] ? l4proto_by_number[l4num] - 1u : L4_OTHER;
}

static bool has_port(uint8_t l4num)
{
	return l4num == IPPROTO_TCP || l4num == IPPROTO_UDP || l4num == IPPROTO_SCTP ||
	       l4num == IPPROTO_UDPLITE || l4num == IPPROTO_DCCP;
}

static struct row_key row_key_of_event(const struct mirror *mirror, const struct ct_event *event)
{
	const struct ct_key *key = &event->key;
	const uint8_t *to = event->has & CT_HAS_REPLY ? event->reply_src : key->dst;
	struct row_key row = {
		.l4proto = (uint8_t)l4proto_of(key->l4num),
		.direction = (uint8_t)local_direction(mirror->addrs, key->family, key->src, to),
		.port = has_port(key->l4num) ? key->dport : 0,
	};

	return row;
}

/* TCP and SCTP number UNKNOWN and OFFLOADED alike, asserted here. */
_Static_assert((int)ST_TCP_UNKNOWN == (int)ST_SCTP_UNKNOWN &&
		       (int)ST_TCP_OFFLOADED == (int)ST_SCTP_OFFLOADED,
	       "one code serves both");

static bool follows_protocol_state(enum l4proto l4proto)
{
	return l4proto == L4_TCP || l4proto == L4_SCTP;
}

/*
 * The state that an event tells, or `otherwise` when it tells none. Kernel
 * numbers we have no name for are shown as unknown.
 */
static unsigned int state_told(enum l4proto l4proto, const struct ct_event *event,
			       unsigned int otherwise)
{
	if (follows_protocol_state(l4proto)) {
		if (event->status & CT_STATUS_OFFLOAD)
			return ST_TCP_OFFLOADED;
		if (event->has & CT_HAS_PROTO_STATE)
			return event->proto_state < ST_TCP_UNKNOWN ? event->proto_state
								   : (unsigned int)ST_TCP_UNKNOWN;
		/* Back from the flowtable: where it is now nobody has told. */
		return otherwise == ST_TCP_OFFLOADED ? (unsigned int)ST_TCP_UNKNOWN : otherwise;
	}
	if (event->status & CT_STATUS_OFFLOAD)
		return ST_GENERIC_OFFLOADED;
	if (event->status & CT_STATUS_ASSURED)
		return ST_GENERIC_ASSURED;
	return event->status & CT_STATUS_SEEN_REPLY ? ST_GENERIC_REPLIED : ST_GENERIC_UNREPLIED;
}

static bool cell_is_unknown(uint32_t cell)
{
	struct row_key key;
	unsigned int state;

	return cell_key_of(cell, &key, &state) &&
	       follows_protocol_state((enum l4proto)key.l4proto) && state == ST_TCP_UNKNOWN;
}

int mirror_create(struct mirror *mirror, uint32_t limit_entries, struct histogram *hist,
		  const struct local_addrs *addrs, struct verify *verify)
{
	memset(mirror, 0, sizeof(*mirror));
	mirror->hist = hist;
	mirror->addrs = addrs;
	mirror->verify = verify;
	mirror->mark = 1;
	mirror->corrections_mute = true;
	return flow_table_create(&mirror->table, limit_entries);
}

void mirror_destroy(struct mirror *mirror)
{
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

/* Marks are 24 bits and wrap; each finished dump resets old ones to none, so
 * two that are compared are never half the range apart. */
bool mirror_mark_later(const struct flow *flow, uint32_t mark)
{
	uint32_t at = flow->stamp & FLOW_MARK_MASK;
	uint32_t ahead = (at - mark) & FLOW_MARK_MASK;

	return at != FLOW_MARK_NONE && ahead != 0 && ahead <= FLOW_MARK_MASK / 2;
}

static void stamp(const struct mirror *mirror, struct flow *flow)
{
	flow->stamp = (flow->stamp & ~FLOW_MARK_MASK) | mirror->mark;
}

/* Every counter that depends on the flags or the cell goes through these two. */
static void count(struct mirror *mirror, const struct flow *flow)
{
	histogram_enter(mirror->hist, flow_cell(flow));
	mirror->entries++;
	mirror->mute_entries += !!(flow->cell_flags & FLOW_MUTE);
	mirror->unassured_entries += !(flow->cell_flags & FLOW_ASSURED);
	mirror->unknown_entries += cell_is_unknown(flow_cell(flow));
}

static void uncount(struct mirror *mirror, const struct flow *flow)
{
	histogram_leave(mirror->hist, flow_cell(flow));
	mirror->entries--;
	mirror->mute_entries -= !!(flow->cell_flags & FLOW_MUTE);
	mirror->unassured_entries -= !(flow->cell_flags & FLOW_ASSURED);
	mirror->unknown_entries -= cell_is_unknown(flow_cell(flow));
}

static uint32_t status_flags(const struct ct_event *event)
{
	return (event->status & CT_STATUS_SEEN_REPLY ? FLOW_SEEN_REPLY : 0) |
	       (event->status & CT_STATUS_ASSURED ? FLOW_ASSURED : 0);
}

/* Puts an entry where it belongs now. Flags not named in `keep` are `flags`. */
static void move_to(struct mirror *mirror, struct flow *flow, uint32_t cell, uint32_t flags)
{
	uint32_t ticks = flow_tick(mirror->now_ns);

	if (cell == flow_cell(flow) && flags == (flow->cell_flags & ~FLOW_CELL_MASK))
		return;
	uncount(mirror, flow);
	if (cell != flow_cell(flow)) {
		flow->age = flow_age_pack(flow_age_unpack(flow->age) + (ticks - flow->since));
		flow->since = ticks;
	}
	flow->cell_flags = cell | flags;
	count(mirror, flow);
}

static uint32_t insert(struct mirror *mirror, const struct ct_event *event, uint32_t flags)
{
	struct row_key key = row_key_of_event(mirror, event);
	unsigned int state =
		state_told((enum l4proto)key.l4proto, event, ST_TCP_UNKNOWN);
	uint32_t at = flow_insert(&mirror->table, event->hash);
	struct flow *flow;

	if (at == FLOW_NONE) {
		mirror->counters.refused_entries++;
		return FLOW_NONE;
	}
	flow = flow_at(&mirror->table, at);
	flow->id = event->id;
	flow->since = flow_tick(mirror->now_ns);
	flow->cell_flags = histogram_place(mirror->hist, key, state) | FLOW_LIVE |
			   status_flags(event) | flags;
	count(mirror, flow);
	return at;
}

static void count_new(struct mirror *mirror, const struct flow *flow)
{
	mirror->counters.new_entries++;
	histogram_count_new(mirror->hist, flow_cell(flow));
}

static void count_destroyed(struct mirror *mirror, const struct flow *flow)
{
	uint64_t lifetime_ms = UINT64_MAX;

	if (flow->cell_flags & FLOW_BORN_SEEN) {
		uint64_t ticks = flow_age_unpack(flow->age);

		ticks += flow_tick(mirror->now_ns) - flow->since;
		lifetime_ms = (ticks << FLOW_TICK_SHIFT) / 1000000u;
	}
	mirror->counters.destroyed_entries++;
	histogram_count_destroyed(mirror->hist, flow_cell(flow), lifetime_ms);
}

void mirror_uncount_destroyed(struct mirror *mirror, const struct flow *flow)
{
	count_destroyed(mirror, flow);
	uncount(mirror, flow);
}

/* --- tombstones ----------------------------------------------------------- */

static void tombstone_append(struct mirror *mirror, uint32_t at)
{
	struct flow *flow = flow_at(&mirror->table, at);

	flow->since = flow_tick(mirror->now_ns);
	flow->stamp = FLOW_NONE;
	/* A tombstone has no cell: there stands the dump that ran, 0 for none. */
	flow->cell_flags |= mirror->dump_running ? mirror->epoch : 0;
	if (mirror->tomb_youngest != FLOW_NONE)
		flow_at(&mirror->table, mirror->tomb_youngest)->stamp = at;
	else
		mirror->tomb_oldest = at;
	mirror->tomb_youngest = at;
	mirror->tombstones++;
}

static void tombstone_drop_oldest(struct mirror *mirror)
{
	uint32_t at = mirror->tomb_oldest;

	mirror->tomb_oldest = flow_at(&mirror->table, at)->stamp;
	if (mirror->tomb_oldest == FLOW_NONE)
		mirror->tomb_youngest = FLOW_NONE;
	mirror->tombstones--;
	flow_remove_tombstone(&mirror->table, at);
}

void mirror_purge_tombstones(struct mirror *mirror)
{
	uint32_t now = flow_tick(mirror->now_ns);

	if (mirror->dump_running)
		return;
	while (mirror->tomb_oldest != FLOW_NONE) {
		const struct flow *flow = flow_at(&mirror->table, mirror->tomb_oldest);

		if (now - flow->since < TOMBSTONE_TICKS)
			return;
		tombstone_drop_oldest(mirror);
	}
}

/* A DESTROY of something that is not here: only a running dump needs to know. */
static void bury_unknown(struct mirror *mirror, const struct ct_event *event)
{
	uint32_t at;

	if (!mirror->dump_running)
		return;
	at = flow_insert(&mirror->table, event->hash);
	if (at == FLOW_NONE)
		return;
	flow_at(&mirror->table, at)->id = event->id;
	flow_bury(&mirror->table, event->hash, at);
	tombstone_append(mirror, at);
}

static void remove_entry(struct mirror *mirror, uint64_t hash, uint32_t at)
{
	struct flow *flow = flow_at(&mirror->table, at);

	mirror_uncount_destroyed(mirror, flow);
	flow_bury(&mirror->table, hash, at);
	tombstone_append(mirror, at);
}

/* --- events ----------------------------------------------------------------- */

static void on_destroy(struct mirror *mirror, const struct ct_event *event)
{
	uint32_t at = flow_find(&mirror->table, event->hash);

	if (at != FLOW_NONE && flow_at(&mirror->table, at)->id == event->id) {
		remove_entry(mirror, event->hash, at);
	} else if (event->status & CT_STATUS_CLASH) {
		mirror->counters.clash_events++;
	} else if (at == FLOW_NONE) {
		bury_unknown(mirror, event);
	} else {
		verify_doubt(mirror->verify, event, mirror->now_ns);
	}
}

/* Replaces what is resident under the key by another incarnation. */
static void replace(struct mirror *mirror, uint32_t at, const struct ct_event *event,
		    uint32_t flags)
{
	struct flow *flow = flow_at(&mirror->table, at);
	struct row_key key = row_key_of_event(mirror, event);
	unsigned int state = state_told((enum l4proto)key.l4proto, event, ST_TCP_UNKNOWN);

	mirror_uncount_destroyed(mirror, flow);
	flow->id = event->id;
	flow->age = 0;
	flow->since = flow_tick(mirror->now_ns);
	flow->cell_flags = histogram_place(mirror->hist, key, state) | FLOW_LIVE |
			   status_flags(event) | flags;
	count(mirror, flow);
	count_new(mirror, flow);
}

static void insert_from_event(struct mirror *mirror, const struct ct_event *event, uint32_t flags)
{
	uint32_t grave = flow_find_tombstone(&mirror->table, event->hash, event->id);
	uint32_t at;

	if (grave != FLOW_NONE && flow_tick(mirror->now_ns) -
						  flow_at(&mirror->table, grave)->since <
					  TOMBSTONE_TICKS)
		verify_doubt(mirror->verify, event, mirror->now_ns);
	at = insert(mirror, event, flags);
	if (at == FLOW_NONE)
		return;
	stamp(mirror, flow_at(&mirror->table, at));
	if (cell_is_unknown(flow_cell(flow_at(&mirror->table, at))))
		verify_doubt(mirror->verify, event, mirror->now_ns);
	if (event->kind == CT_NEW)
		count_new(mirror, flow_at(&mirror->table, at));
}

static void apply_update(struct mirror *mirror, uint32_t at, const struct ct_event *event)
{
	struct flow *flow = flow_at(&mirror->table, at);
	uint32_t told = status_flags(event);
	uint32_t had = flow->cell_flags & (FLOW_SEEN_REPLY | FLOW_ASSURED);
	uint32_t keep = (flow->cell_flags | told) & (FLOW_LIVE | FLOW_SEEN_REPLY | FLOW_ASSURED |
						     FLOW_BORN_SEEN);
	struct row_key key;
	unsigned int state;
	uint32_t cell = flow_cell(flow);

	if (had & ~told) {
		/* Or it is of another life under the same id, whose NEW was lost. */
		mirror->counters.stale_updates++;
		verify_doubt(mirror->verify, event, mirror->now_ns);
	} else if (cell_key_of(cell, &key, &state)) {
		cell = row_first_cell(row_of(key)) +
		       state_told((enum l4proto)key.l4proto, event, state);
	}
	move_to(mirror, flow, cell, keep);
	stamp(mirror, flow);
	if (cell_is_unknown(cell))
		verify_doubt(mirror->verify, event, mirror->now_ns);
}

/* A dump may show an entry before its NEW is in the queue; no event has told of
 * it yet, so this NEW is its birth and not a second incarnation. One that was
 * answered already is older: it died mute, and its id is in use again. */
static bool shown_before_its_birth(const struct flow *flow, const struct ct_event *event)
{
	uint32_t had = flow->cell_flags & (FLOW_SEEN_REPLY | FLOW_ASSURED);

	return flow->id == event->id && !(had & ~status_flags(event)) && !(flow->cell_flags & FLOW_BORN_SEEN) &&
	       (flow->stamp & FLOW_MARK_MASK) == FLOW_MARK_NONE;
}

static void on_new(struct mirror *mirror, const struct ct_event *event)
{
	uint32_t at = flow_find(&mirror->table, event->hash);

	if (at == FLOW_NONE) {
		insert_from_event(mirror, event, FLOW_BORN_SEEN);
	} else if (shown_before_its_birth(flow_at(&mirror->table, at), event)) {
		apply_update(mirror, at, event);
		flow_at(&mirror->table, at)->cell_flags |= FLOW_BORN_SEEN;
		count_new(mirror, flow_at(&mirror->table, at));
	} else {
		replace(mirror, at, event, FLOW_BORN_SEEN);
		stamp(mirror, flow_at(&mirror->table, at));
	}
	verify_offer(mirror->verify, event);
}

static void on_update(struct mirror *mirror, const struct ct_event *event)
{
	uint32_t at = flow_find(&mirror->table, event->hash);

	if (at == FLOW_NONE) {
		insert_from_event(mirror, event, 0);
	} else if (flow_at(&mirror->table, at)->id != event->id) {
		replace(mirror, at, event, 0);
		stamp(mirror, flow_at(&mirror->table, at));
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

/* --- answers of the kernel: records of dumps and GETs ------------------------- */

static uint32_t correction_flags(const struct mirror *mirror)
{
	return mirror->corrections_mute ? FLOW_MUTE : 0;
}

bool mirror_buried_in_dump(const struct mirror *mirror, const struct ct_event *record)
{
	uint32_t grave = flow_find_tombstone(&mirror->table, record->hash, record->id);

	return grave != FLOW_NONE && flow_cell(flow_at(&mirror->table, grave)) == mirror->epoch;
}

uint32_t mirror_insert_record(struct mirror *mirror, const struct ct_event *event)
{
	return insert(mirror, event, correction_flags(mirror));
}

void mirror_fill_unknown(struct mirror *mirror, uint32_t at, const struct ct_event *event)
{
	struct flow *flow = flow_at(&mirror->table, at);
	struct row_key key = row_key_of_event(mirror, event);
	unsigned int state = cell_state(flow_cell(flow));

	if (cell_is_unknown(flow_cell(flow)))
		state = state_told((enum l4proto)key.l4proto, event, state);
	/* The direction follows the addresses of today. */
	move_to(mirror, flow, histogram_place(mirror->hist, key, state),
		flow->cell_flags & ~FLOW_CELL_MASK);
}

/*
 * The record is newer than every event applied to the entry, so what differs
 * changed without telling, or its event is on its way and will clear the mark.
 */
void mirror_apply_record(struct mirror *mirror, uint32_t at, const struct ct_event *event)
{
	struct flow *flow = flow_at(&mirror->table, at);
	struct row_key key = row_key_of_event(mirror, event);
	unsigned int had = cell_state(flow_cell(flow));
	unsigned int state = state_told((enum l4proto)key.l4proto, event, had);
	/* Bits that went away mean another life under the same id: its record counts. */
	uint32_t flags = flow->cell_flags & ~(FLOW_CELL_MASK | FLOW_SEEN_REPLY | FLOW_ASSURED);

	if (state != had && !cell_is_unknown(flow_cell(flow))) {
		mirror->counters.repairs_state++;
		flags |= correction_flags(mirror);
	}
	move_to(mirror, flow, histogram_place(mirror->hist, key, state),
		flags | status_flags(event));
}

void mirror_replace_record(struct mirror *mirror, uint32_t at, const struct ct_event *event)
{
	mirror->counters.repairs_replaced++;
	replace(mirror, at, event, correction_flags(mirror));
}

static void settle_answer(struct mirror *mirror, const struct verify_item *item, uint32_t at,
			  const struct ct_event *found)
{
	if (item->attempt == 0) {
		verify_again(mirror->verify, item, mirror->now_ns);
		return;
	}
	if (item->audit) {
		mirror->counters.audits_mismatch++;
		mirror->last_silent_ns = mirror->now_ns;
	}
	if (!found) {
		mirror->counters.repairs_ghost++;
		remove_entry(mirror, item->hash, at);
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

	/* The kernel looks in both directions; another entry's reply is not ours. */
	if (found && found->hash != item->hash)
		found = NULL;
	/* Gone meanwhile, or told something newer than the answer: nothing to learn. */
	if (at == FLOW_NONE || mirror_mark_later(flow, asked_mark))
		return;
	if (!found || found->status & CT_STATUS_DYING || found->id != flow->id) {
		settle_answer(mirror, item, at, found && !(found->status & CT_STATUS_DYING)
							? found
							: NULL);
		return;
	}
	if (!cell_key_of(flow_cell(flow), &key, &state))
		return;
	if (cell_is_unknown(flow_cell(flow)))
		mirror_fill_unknown(mirror, at, found);
	else if (state_told((enum l4proto)key.l4proto, found, state) != state)
		settle_answer(mirror, item, at, found);
	else if (item->audit)
		mirror->counters.audits_match++;
}
