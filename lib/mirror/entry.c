// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/entry.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/base/check.h"

struct row_key entry_row_key(const struct mirror *mirror, const struct ct_event *event)
{
	const struct ct_key *key = &event->key;
	const uint8_t *to = event->has & CT_HAS_REPLY ? event->reply_src : key->dst;
	struct row_key row = {
		.l4proto = (uint8_t)ct_l4proto(key->l4num),
		.direction = (uint8_t)local_direction(mirror->addrs, key->family, key->src, to),
		.port = ct_key_port(key),
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

/* The state in an event, or `otherwise` when it carries none. Numbers without a name here become
 * unknown. */
unsigned int entry_state_told(enum l4proto l4proto, const struct ct_event *event,
			      unsigned int otherwise)
{
	if (follows_protocol_state(l4proto)) {
		if (event->status & CT_STATUS_OFFLOAD)
			return ST_TCP_OFFLOADED;
		if (event->has & CT_HAS_PROTO_STATE)
			return event->proto_state < ST_TCP_UNKNOWN ? event->proto_state
								   : (unsigned int)ST_TCP_UNKNOWN;
		/* Back from the flowtable: its state is not known yet. */
		return otherwise == ST_TCP_OFFLOADED ? (unsigned int)ST_TCP_UNKNOWN : otherwise;
	}
	if (event->status & CT_STATUS_OFFLOAD)
		return ST_GENERIC_OFFLOADED;
	if (event->status & CT_STATUS_ASSURED)
		return ST_GENERIC_ASSURED;
	return event->status & CT_STATUS_SEEN_REPLY ? ST_GENERIC_REPLIED : ST_GENERIC_UNREPLIED;
}

bool entry_cell_unknown(uint32_t cell)
{
	struct row_key key;
	unsigned int state;

	/* Most are in no such state; that is known without asking for the protocol. */
	return cell_slot(cell) == ST_TCP_UNKNOWN && cell_key_of(cell, &key, &state) &&
	       follows_protocol_state((enum l4proto)key.l4proto) && state == ST_TCP_UNKNOWN;
}

void mirror_shown(struct mirror *mirror, struct flow *flow, const struct ct_event *event)
{
	struct entry_hook *hook = mirror->hook;

	if (!hook || !((flow->cell_flags ^ hook->counted_flag) & FLOW_COUNTED))
		return;
	hook->shown(hook, flow, event);
	flow->cell_flags ^= FLOW_COUNTED;
}

void mirror_counted_reset(const struct mirror *mirror, struct flow *flow)
{
	if (mirror->hook)
		flow->cell_flags = (flow->cell_flags & ~FLOW_COUNTED) | mirror->hook->counted_flag;
}

void entry_stamp(struct mirror *mirror, struct flow *flow, const struct ct_event *event)
{
	flow_set_stamp(flow, (flow->stamp & ~(FLOW_MARK_MASK | FLOW_FOUND)) | mirror->mark);
	mirror_shown(mirror, flow, event);
}

/* Every counter that depends on the flags or the cell goes through these two. */
static void count(struct mirror *mirror, const struct flow *flow)
{
	histogram_enter(mirror->hist, flow_cell(flow));
	mirror->entries++;
	mirror->silent_entries += !!(flow->cell_flags & FLOW_SILENT);
	mirror->unassured_entries += !(flow->cell_flags & FLOW_ASSURED);
	mirror->unknown_entries += entry_cell_unknown(flow_cell(flow));
}

static void uncount(struct mirror *mirror, const struct flow *flow)
{
	histogram_leave(mirror->hist, flow_cell(flow));
	mirror->entries--;
	mirror->silent_entries -= !!(flow->cell_flags & FLOW_SILENT);
	mirror->unassured_entries -= !(flow->cell_flags & FLOW_ASSURED);
	mirror->unknown_entries -= entry_cell_unknown(flow_cell(flow));
}

uint32_t entry_status_flags(const struct ct_event *event)
{
	return (event->status & CT_STATUS_SEEN_REPLY ? FLOW_SEEN_REPLY : 0) |
	       (event->status & CT_STATUS_ASSURED ? FLOW_ASSURED : 0);
}

/* --- what else is known of it ------------------------------------------------ */

/* Below this the kernel shortens an open connection's deadline by itself: unacknowledged
 * data, retransmissions (tcp_unacknowledged, tcp_max_retrans). */
static uint32_t shortened_s(const struct mirror *mirror)
{
	uint32_t unacknowledged = mirror->timeouts_s[TIMEOUT_TCP_UNACKNOWLEDGED];
	uint32_t retrans = mirror->timeouts_s[TIMEOUT_TCP_MAX_RETRANS];

	return unacknowledged > retrans ? unacknowledged : retrans;
}

static uint32_t facts_of(const struct ct_event *event)
{
	return (event->status & CT_STATUS_SRC_NAT ? FACT_SRC_NAT : 0) |
	       (event->status & CT_STATUS_DST_NAT ? FACT_DST_NAT : 0) |
	       (event->status & CT_STATUS_HELPER ? FACT_HELPER : 0) |
	       (event->key.family == AF_INET6 ? FACT_IPV6 : 0) | (event->key.zone ? FACT_ZONED : 0);
}

static uint32_t state_age_s(const struct mirror *mirror, const struct flow *flow)
{
	uint64_t ticks = flow_tick(mirror->now_ns) - flow->since;

	return (uint32_t)((ticks << FLOW_TICK_SHIFT) / UINT64_C(1000000000));
}

/* The state's timeout less what is left of it. Not known where the deadline is not the
 * state's: shortened by the kernel, set by a policy or by a program. */
static uint32_t idle_facts(const struct mirror *mirror, const struct flow *flow,
			   const struct ct_event *record)
{
	struct row_key key;
	unsigned int state;
	uint32_t timeout_s, idle_s;
	int timeout;

	if (!(record->has & CT_HAS_TIMEOUT) || !cell_key_of(flow_cell(flow), &key, &state))
		return 0;
	timeout = timeout_of_state(key.l4proto, state);
	timeout_s = timeout < 0 ? 0 : mirror->timeouts_s[timeout];
	if (!timeout_s || record->timeout_s > timeout_s ||
	    (key.l4proto == L4_TCP && timeout_s > shortened_s(mirror) &&
	     record->timeout_s <= shortened_s(mirror)))
		return 0;
	idle_s = timeout_s - record->timeout_s;
	if (flow->cell_flags & FLOW_SINCE_UNKNOWN)
		return FACT_IDLE | age_bucket(idle_s) << FACT_IDLE_SHIFT;
	/* What is left is in whole seconds, rounded down. */
	if (idle_s > state_age_s(mirror, flow) + 2)
		return 0;
	return FACT_IDLE | (idle_s + 2 < state_age_s(mirror, flow) ? FACT_REFRESHED : 0) |
	       age_bucket(idle_s) << FACT_IDLE_SHIFT;
}

void entry_told(const struct mirror *mirror, struct flow *flow, const struct ct_event *record)
{
	flow_set_facts(flow, facts_of(record) | idle_facts(mirror, flow, record));
}

/* --- the hook ------------------------------------------------------------- */

#define FLOW_OWN (FLOW_SINCE_UNKNOWN | FLOW_COUNTED)

/* Calls the hook, and keeps the time since when the entry has been in its state. */
static void report(struct mirror *mirror, struct flow *flow, struct entry_change *change)
{
	change->now_ns = mirror->now_ns;
	change->flow = flow;
	change->table_entries = mirror->entries;
	if (!mirror->hook) {
		change->since = flow_tick(mirror->now_ns);
		change->since_known = true;
		return;
	}
	mirror->hook->changed(mirror->hook, change);
}

static void take_since(struct flow *flow, const struct entry_change *change)
{
	flow->since = change->since;
	if (change->since_known)
		flow->cell_flags &= ~FLOW_SINCE_UNKNOWN;
	else
		flow->cell_flags |= FLOW_SINCE_UNKNOWN;
}

static void report_appeared(struct mirror *mirror, struct flow *flow, const struct ct_event *event)
{
	struct entry_change change = {
		.from_cell = CELL_INVALID,
		.to_cell = flow_cell(flow),
		.found = !(flow->cell_flags & FLOW_BORN_SEEN),
		.key = &event->key,
		.event = event,
	};

	report(mirror, flow, &change);
	take_since(flow, &change);
	mirror_counted_reset(mirror, flow);
}

static void report_gone(struct mirror *mirror, struct flow *flow, const struct ct_key *key,
			const struct ct_event *event)
{
	struct entry_change change = {
		.from_cell = flow_cell(flow),
		.to_cell = CELL_INVALID,
		.key = key,
		.event = event,
	};

	report(mirror, flow, &change);
}

/* Age up to now, in ticks; of an entry whose birth was seen. */
static uint32_t age_ticks(const struct mirror *mirror, const struct flow *flow)
{
	return flow_age_unpack(flow->age) + (flow_tick(mirror->now_ns) - flow->since);
}

/* 0 if `later` is not later. */
static uint32_t age_between(uint32_t since, uint32_t later)
{
	return (int32_t)(later - since) > 0 ? later - since : 0;
}

static void change_cell(struct mirror *mirror, struct flow *flow, uint32_t cell,
			const struct ct_event *event)
{
	struct entry_change change = {
		.from_cell = flow_cell(flow),
		.to_cell = cell,
		.key = &event->key,
		.event = event,
	};

	report(mirror, flow, &change);
	/* The age up to `since`, which is not now when only the row changes. */
	flow->age =
		flow_age_pack(flow_age_unpack(flow->age) + age_between(flow->since, change.since));
	take_since(flow, &change);
	flow_set_facts(flow, flow->facts & FACT_KINDS_ALL);
}

/* Moves an entry to its cell and sets its flags. */
void entry_move(struct mirror *mirror, struct flow *flow, uint32_t cell, uint32_t flags,
		const struct ct_event *event)
{
	flags &= ~FLOW_OWN;
	if (cell == flow_cell(flow) && flags == (flow->cell_flags & ~(FLOW_CELL_MASK | FLOW_OWN)))
		return;
	uncount(mirror, flow);
	if (cell != flow_cell(flow))
		change_cell(mirror, flow, cell, event);
	flow->cell_flags = cell | flags | (flow->cell_flags & FLOW_OWN);
	count(mirror, flow);
}

/* Fills a record, new or reused, with the event's entry. */
static void fill(struct mirror *mirror, struct flow *flow, const struct ct_event *event,
		 uint32_t flags)
{
	struct row_key key = entry_row_key(mirror, event);
	unsigned int state = entry_state_told((enum l4proto)key.l4proto, event, ST_TCP_UNKNOWN);

	sample_offer(&mirror->sample, event->hash, &event->key);
	flow->id = event->id;
	flow->age = 0;
	flow_set_facts(flow, facts_of(event));
	flow->cell_flags = histogram_place(mirror->hist, key, state) | FLOW_LIVE |
			   entry_status_flags(event) | flags;
	report_appeared(mirror, flow, event);
	count(mirror, flow);
}

uint32_t entry_insert(struct mirror *mirror, const struct ct_event *event, uint32_t flags)
{
	uint32_t at = flow_insert(&mirror->table, event->hash);

	if (at == FLOW_NONE) {
		mirror->counters.refused_entries++;
		return FLOW_NONE;
	}
	fill(mirror, flow_at(&mirror->table, at), event, flags);
	return at;
}

void entry_count_new(struct mirror *mirror, const struct flow *flow)
{
	mirror->counters.new_entries++;
	histogram_count_new(mirror->hist, flow_cell(flow));
}

static void remove_counts(struct mirror *mirror, struct flow *flow, const struct ct_key *key,
			  const struct ct_event *event)
{
	uint64_t lifetime_ms = UINT64_MAX;

	/* The time of an end that no event reported is not known. */
	if (event && flow->cell_flags & FLOW_BORN_SEEN)
		lifetime_ms = ((uint64_t)age_ticks(mirror, flow) << FLOW_TICK_SHIFT) / 1000000u;
	mirror->counters.destroyed_entries++;
	histogram_count_destroyed(mirror->hist, flow_cell(flow), lifetime_ms);
	report_gone(mirror, flow, key, event);
	uncount(mirror, flow);
}

void mirror_sweep_record(struct mirror *mirror, struct flow *flow)
{
	remove_counts(mirror, flow, NULL, NULL);
}

/* Replaces the entry of this key by another incarnation. */
void entry_replace(struct mirror *mirror, uint32_t at, const struct ct_event *event, uint32_t flags)
{
	struct flow *flow = flow_at(&mirror->table, at);

	remove_counts(mirror, flow, &event->key, NULL);
	fill(mirror, flow, event, flags);
	entry_count_new(mirror, flow);
}

/* --- tombstones ----------------------------------------------------------- */

/* Queue of the n-th that was buried. */
static struct tombstone_queue *queue_of(struct mirror *mirror, uint32_t n)
{
	return &mirror->tombstone_queues[n % TOMBSTONE_QUEUES];
}

static void tombstone_append(struct mirror *mirror, uint32_t at)
{
	struct tombstone_queue *queue = queue_of(mirror, mirror->buried++);
	struct flow *flow = flow_at(&mirror->table, at);

	flow->since = flow_tick(mirror->now_ns);
	flow_set_stamp(flow, FLOW_NONE);
	/* A tombstone has no cell: the field holds the running dump, 0 for none. */
	flow->cell_flags |= mirror->dump_running ? mirror->dump : 0;
	if (queue->youngest != FLOW_NONE)
		flow_set_stamp(flow_at(&mirror->table, queue->youngest), at);
	else
		queue->oldest = at;
	queue->youngest = at;
	mirror->tombstones++;
}

/* Their records come from memory one after the other in each queue: the one that will be the
 * oldest of this is fetched now, and what the index says of the one whose turn is half a round
 * later. */
static void tombstone_drop_oldest(struct mirror *mirror)
{
	struct tombstone_queue *queue = queue_of(mirror, mirror->dug_up++);
	uint32_t at = queue->oldest;

	queue->oldest = flow_at(&mirror->table, at)->stamp;
	if (queue->oldest == FLOW_NONE)
		queue->youngest = FLOW_NONE;
	mirror->tombstones--;
	flow_remove_tombstone(&mirror->table, at);
	flow_prefetch(&mirror->table, queue->oldest);
	flow_prefetch_tombstone(&mirror->table,
				queue_of(mirror, mirror->dug_up + TOMBSTONE_QUEUES / 2u)->oldest);
}

void mirror_purge_tombstones(struct mirror *mirror)
{
	uint32_t now = flow_tick(mirror->now_ns);

	if (mirror->dump_running)
		return;
	while (mirror->tombstones > 0) {
		uint32_t oldest = queue_of(mirror, mirror->dug_up)->oldest;

		if (now - flow_at(&mirror->table, oldest)->since < TOMBSTONE_TICKS)
			return;
		tombstone_drop_oldest(mirror);
	}
}

/* A DESTROY of an entry that is not in the mirror matters only to a running dump. Its NEW may
 * still arrive; then no tombstone with its id may confirm it. */
void entry_bury_unknown(struct mirror *mirror, const struct ct_event *event)
{
	uint32_t at = flow_search(&mirror->table, event->hash, event->id).tombstone;

	if (at != FLOW_NONE)
		flow_at(&mirror->table, at)->cell_flags &= ~FLOW_BORN_SEEN;
	if (!mirror->dump_running)
		return;
	at = flow_insert(&mirror->table, event->hash);
	if (at == FLOW_NONE)
		return;
	flow_at(&mirror->table, at)->id = event->id;
	flow_bury(&mirror->table, event->hash, at);
	tombstone_append(mirror, at);
}

void entry_remove(struct mirror *mirror, uint64_t hash, uint32_t at, const struct ct_key *key,
		  const struct ct_event *event)
{
	remove_counts(mirror, flow_at(&mirror->table, at), key, event);
	sample_drop(&mirror->sample, hash);
	flow_bury(&mirror->table, hash, at);
	tombstone_append(mirror, at);
}
