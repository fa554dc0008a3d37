// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/observer.h"

#include <stddef.h>

#include "lib/forecast/forecast.h"
#include "lib/stats/durations.h"
#include "lib/stats/nat_pools.h"
#include "lib/stats/talkers.h"
#include "lib/stats/zone_cells.h"
#include "lib/stats/zones.h"

/* The hook is the first member. */
static struct observer *of_hook(struct entry_hook *hook)
{
	return (struct observer *)hook;
}

_Static_assert(offsetof(struct observer, hook) == 0, "of_hook() relies on it");

/* What a cell stands for; asked once for all that are told. */
struct place {
	bool known;
	struct row_key row;
	unsigned int state;
	uint8_t stage; /* enum fc_stage */
};

/* Not by value: eight bytes read right after they were written one by one wait for the writes. */
static void find_place(struct place *place, uint32_t cell)
{
	place->known = cell_key_of(cell, &place->row, &place->state);
	if (place->known)
		place->stage = observer_stage(place->row.l4proto, place->state);
	else
		*place = (struct place){.stage = FC_NONE};
}

/* A change with all that more than one of those who are told asks of it. */
struct told {
	struct entry_change *seen;
	struct place from;
	struct place to;
	unsigned int end; /* enum shm_end, of one that went */
};

/* --- how it ended ------------------------------------------------------------- */

static bool closing(unsigned int l4proto, unsigned int state)
{
	uint8_t stage = observer_stage(l4proto, state);

	return stage >= FC_FIN_WAIT && stage <= FC_CLOSE;
}

static bool timeout_left(const struct ct_event *event)
{
	return event->has & CT_HAS_TIMEOUT && event->timeout_s > 0;
}

static bool is_crowded(const struct observer *observer, const struct entry_change *seen)
{
	return observer->crowd_entries && seen->table_entries >= observer->crowd_entries;
}

static bool may_collect(const struct observer *observer, const struct entry_change *seen)
{
	return observer->dropped_ns && seen->now_ns - observer->dropped_ns < OBSERVER_DROPPING_NS;
}

/* With time left and not deleted by a program. */
static unsigned int untimely_end(const struct observer *observer, const struct entry_change *seen,
				 bool closes)
{
	bool assured = seen->flow->cell_flags & FLOW_ASSURED;

	if (is_crowded(observer, seen) && (!assured || (closes && may_collect(observer, seen))))
		return SHM_END_EVICTED;
	return closes ? SHM_END_CLOSED : SHM_END_DELETED;
}

static unsigned int end_of(const struct observer *observer, const struct entry_change *seen,
			   const struct place *from)
{
	const struct ct_event *event = seen->event;
	unsigned int l4proto = from->row.l4proto, last = from->state;

	if (!event || event->kind != CT_DESTROY || !from->known)
		return SHM_END_UNSEEN;
	if (event->portid)
		return SHM_END_DELETED;
	/* The DESTROY may have a state that no event reported. */
	if ((l4proto == L4_TCP || l4proto == L4_SCTP) && event->has & CT_HAS_PROTO_STATE)
		last = event->proto_state;
	if (!timeout_left(event))
		return closing(l4proto, last) ? SHM_END_CLOSED : SHM_END_EXPIRED;
	if (l4proto == L4_TCP && last == ST_TCP_CLOSE && from->state != ST_TCP_CLOSE)
		return SHM_END_CLOSED;
	return untimely_end(observer, seen, closing(l4proto, last));
}

unsigned int observer_end(const struct observer *observer, const struct entry_change *seen)
{
	struct place from;

	find_place(&from, seen->from_cell);
	return end_of(observer, seen, &from);
}

void observer_limit(struct observer *observer, int64_t max_entries, uint64_t drops, uint64_t now_ns)
{
	int64_t crowd = max_entries > 0 ? max_entries - max_entries / 10 : 0;

	observer->crowd_entries = crowd < UINT32_MAX ? (uint32_t)crowd : 0;
	if (!observer->limit_since_ns)
		observer->limit_since_ns = now_ns;
	if (drops != observer->drops && now_ns - observer->limit_since_ns >= OBSERVER_COUNTERS_NS)
		observer->dropped_ns = now_ns;
	observer->drops = drops;
}

/* --- the forecast ----------------------------------------------------------- */

/* From ticks back to the clock they were cut from: wraps are years apart. */
static int64_t tick_ns(uint64_t now_ns, uint32_t tick)
{
	uint64_t now = now_ns >> FLOW_TICK_SHIFT;

	return (int64_t)((now - (uint32_t)((uint32_t)now - tick)) << FLOW_TICK_SHIFT);
}

static void set_class(struct fc_move *move, const struct row_key *key)
{
	move->l4proto = key->l4proto;
	move->direction = key->direction;
	move->port = key->port;
}

static uint8_t forecast_end(const struct told *told)
{
	if (!told->seen->event)
		return FC_END_UNKNOWN;
	if (told->end == SHM_END_EVICTED)
		return FC_END_EVICTED;
	return timeout_left(told->seen->event) ? FC_END_EARLY : FC_END_EXPIRED;
}

static bool same_row(const struct row_key *a, const struct row_key *b)
{
	return a->l4proto == b->l4proto && a->direction == b->direction && a->port == b->port;
}

/* The same entry in another row, because local addresses have changed. */
static void tell_rerouted(struct forecast *forecast, struct fc_move *move, const struct told *told)
{
	set_class(move, &told->from.row);
	move->to = FC_NONE;
	move->end = FC_END_UNKNOWN;
	forecast_move(forecast, move);
	set_class(move, &told->to.row);
	move->from = FC_NONE;
	move->to = told->to.stage;
	move->found = true;
	move->timeout_s = 0;
	forecast_move(forecast, move);
}

static void tell_forecast(struct forecast *forecast, const struct told *told)
{
	struct entry_change *seen = told->seen;
	struct fc_move move = {
		/* Whole ticks, so that a stored time still means the same second later. */
		.now_ns = (int64_t)(seen->now_ns >> FLOW_TICK_SHIFT << FLOW_TICK_SHIFT),
		.from = told->from.stage,
		.to = told->to.stage,
		.since_ns = FC_SINCE_UNKNOWN,
		.found = seen->found,
	};
	bool was = told->from.known, is = told->to.known;

	if (was && !(seen->flow->cell_flags & FLOW_SINCE_UNKNOWN))
		move.since_ns = tick_ns(seen->now_ns, seen->flow->since);
	set_class(&move, is ? &told->to.row : &told->from.row);
	if (!is)
		move.end = forecast_end(told);
	else if (seen->event && seen->event->has & CT_HAS_TIMEOUT)
		move.timeout_s = seen->event->timeout_s;
	if (was && is && !same_row(&told->from.row, &told->to.row))
		tell_rerouted(forecast, &move, told);
	else
		forecast_move(forecast, &move);
	if (move.keep_since_ns == FC_SINCE_UNKNOWN)
		seen->since_known = false;
	else
		seen->since = flow_tick((uint64_t)move.keep_since_ns);
}

/* --- how long it stayed ------------------------------------------------------- */

static uint64_t ticks_ns(uint32_t ticks)
{
	return (uint64_t)ticks << FLOW_TICK_SHIFT;
}

/* Silent entries change without events; for entries found by a dump, the first state began unseen.
 */
static bool has_known_stay(const struct flow *flow)
{
	return (flow->cell_flags & (FLOW_BORN_SEEN | FLOW_SILENT | FLOW_SINCE_UNKNOWN)) ==
	       FLOW_BORN_SEEN;
}

static void report_durations(struct durations *durations, const struct told *told)
{
	const struct entry_change *seen = told->seen;
	const struct flow *flow = seen->flow;
	uint32_t stay = flow_tick(seen->now_ns) - flow->since;
	uint64_t stay_ns = has_known_stay(flow) ? ticks_ns(stay) : DURATIONS_UNKNOWN;
	uint64_t life_ns = DURATIONS_UNKNOWN;

	if (seen->to_cell != CELL_INVALID) {
		durations_moved(durations, seen->from_cell, stay_ns);
		return;
	}
	if (told->end == SHM_END_UNSEEN)
		stay_ns = DURATIONS_UNKNOWN;
	else if (flow->cell_flags & FLOW_BORN_SEEN)
		life_ns = ticks_ns(flow_age_unpack(flow->age) + stay);
	durations_ended(durations, seen->from_cell, told->end, stay_ns, life_ns);
}

/* --- who has it --------------------------------------------------------------- */

static bool is_told(const struct observer *observer, const struct flow *flow)
{
	return ((flow->cell_flags ^ observer->hook.counted_flag) & FLOW_COUNTED) == 0;
}

static void tell_zones(const struct observer *observer, const struct entry_change *seen)
{
	if (seen->from_cell == CELL_INVALID)
		zones_appeared(observer->zones, seen->key->zone);
	else if (seen->to_cell == CELL_INVALID && seen->key)
		zones_went(observer->zones, seen->key->zone, is_told(observer, seen->flow));
	else if (seen->to_cell == CELL_INVALID)
		zones_lost(observer->zones, is_told(observer, seen->flow));
}

/* Most entries are in zone 0. */
static bool is_zoned(const struct entry_change *seen)
{
	return seen->key ? seen->key->zone != 0 : (seen->flow->facts & FACT_ZONED) != 0;
}

static void tell_zone_cells(const struct observer *observer, const struct entry_change *seen)
{
	bool built = is_told(observer, seen->flow) || seen->from_cell == CELL_INVALID;

	if (seen->key)
		zone_cells_moved(observer->zone_cells, seen->key->zone, seen->from_cell,
				 seen->to_cell, built);
	else
		zone_cells_lost(observer->zone_cells, built);
}

/* --- which port of NAT it has ---------------------------------------------------- */

/* Most changes: it stays where it is, and closes no more and no less than before. */
static bool same_place(const struct told *told)
{
	return told->from.known && told->to.known &&
	       told->from.row.direction == told->to.row.direction &&
	       nat_pools_closing_state(told->from.state) == nat_pools_closing_state(told->to.state);
}

static bool counts_in_pools(const struct ct_event *event, const struct place *in)
{
	return in->known && nat_pools_counts(event, in->row.direction == DIR_OUTBOUND);
}

/* Of TOLD_FOR_POOLS, and what belongs to it; of an entry that is not at same_place(). */
static uint32_t pool_flags(const struct told *told)
{
	const struct entry_change *seen = told->seen;
	const struct ct_event *event = seen->event;
	bool from = counts_in_pools(event, &told->from), to = counts_in_pools(event, &told->to);
	uint32_t closing =
		nat_pools_closing(event, to ? told->to.state : told->from.state) ? TOLD_CLOSING : 0;

	if (!to)
		return from ? TOLD_POOL_REMOVES | closing : 0;
	if (!from)
		return TOLD_POOL_ADDS | closing |
		       (seen->from_cell == CELL_INVALID && !seen->found ? TOLD_BORN : 0);
	return nat_pools_closing(event, told->from.state) == (closing != 0)
		       ? 0
		       : TOLD_POOL_TURNS | closing;
}

static void tell_changes(struct observer *observer)
{
	if (observer->talkers)
		talkers_told(observer->talkers, observer->told, observer->changes);
	if (observer->nat_pools)
		nat_pools_told(observer->nat_pools, observer->told, observer->changes);
	observer->changes = 0;
}

/* Without an event: it was swept, and no tuple is known; or it was replaced, or the answer to a GET
 * says that it is gone, and the original one is. What is pending may be of the same entry. */
static void tell_lost(struct observer *observer, const struct entry_change *seen, bool built)
{
	if (seen->key)
		tell_changes(observer);
	if (observer->talkers && seen->to_cell == CELL_INVALID)
		talkers_went(observer->talkers, seen->key, built);
	if (observer->nat_pools)
		nat_pools_lost(observer->nat_pools, built);
}

/* Those who count by addresses. */
static void tell_counts(struct observer *observer, const struct told *told)
{
	const struct entry_change *seen = told->seen;
	bool built = is_told(observer, seen->flow);
	uint32_t flags = 0;

	if (!seen->event) {
		tell_lost(observer, seen, built);
		return;
	}
	if (observer->nat_pools)
		flags |= pool_flags(told);
	if (seen->from_cell == CELL_INVALID)
		flags |= TOLD_APPEARED | TOLD_BUILT;
	else
		flags |= (seen->to_cell == CELL_INVALID ? TOLD_WENT : 0) | (built ? TOLD_BUILT : 0);
	if (!(flags & (TOLD_FOR_TALKERS | TOLD_FOR_POOLS)))
		return;
	observer->told[observer->changes++] = (struct told_change){seen->event, flags};
	if (!observer->batching || observer->changes == TOLD_BATCH)
		tell_changes(observer);
}

void observer_begin_batch(struct observer *observer)
{
	observer->batching = true;
}

void observer_end_batch(struct observer *observer)
{
	observer->batching = false;
	tell_changes(observer);
}

static void shown(struct entry_hook *hook, const struct flow *flow, const struct ct_event *event)
{
	struct observer *observer = of_hook(hook);

	if (observer->talkers)
		talkers_shown(observer->talkers, &event->key);
	if (observer->zones)
		zones_shown(observer->zones, event->key.zone);
	if (observer->zone_cells && event->key.zone)
		zone_cells_shown(observer->zone_cells, event->key.zone, flow_cell(flow));
	if (observer->nat_pools) {
		struct place in;

		find_place(&in, flow_cell(flow));
		if (counts_in_pools(event, &in))
			nat_pools_shown(observer->nat_pools, event,
					nat_pools_closing(event, in.state));
	}
}

static void dump_step(struct entry_hook *hook, enum entry_dump step)
{
	static void (*const talkers_steps[])(struct talkers *) = {
		[ENTRY_DUMP_BEGINS] = talkers_begin,
		[ENTRY_DUMP_FAILS] = talkers_drop,
		[ENTRY_DUMP_ENDS] = talkers_complete,
	};
	static void (*const pools_steps[])(struct nat_pools *) = {
		[ENTRY_DUMP_BEGINS] = nat_pools_begin,
		[ENTRY_DUMP_FAILS] = nat_pools_drop,
		[ENTRY_DUMP_ENDS] = nat_pools_complete,
	};
	static void (*const zones_steps[])(struct zones *) = {
		[ENTRY_DUMP_BEGINS] = zones_begin,
		[ENTRY_DUMP_FAILS] = zones_drop,
		[ENTRY_DUMP_ENDS] = zones_complete,
	};
	static void (*const zone_cells_steps[])(struct zone_cells *) = {
		[ENTRY_DUMP_BEGINS] = zone_cells_begin,
		[ENTRY_DUMP_FAILS] = zone_cells_drop,
		[ENTRY_DUMP_ENDS] = zone_cells_complete,
	};
	struct observer *observer = of_hook(hook);

	if (!observer->talkers && !observer->nat_pools && !observer->zones && !observer->zone_cells)
		return;
	/* What waits in observer->told belongs to the count of before. Nothing does today: batches
	 * (batch.h) are of events and records alone, and end before a dump goes on. */
	tell_changes(observer);
	if (observer->zone_cells)
		zone_cells_steps[step](observer->zone_cells);
	if (observer->zones)
		zones_steps[step](observer->zones);
	if (observer->talkers)
		talkers_steps[step](observer->talkers);
	if (observer->nat_pools)
		pools_steps[step](observer->nat_pools);
	if (step != ENTRY_DUMP_ENDS)
		hook->counted_flag ^= FLOW_COUNTED;
}

/* The same state in another row, because local addresses have changed. */
static bool only_rerouted(const struct told *told)
{
	return told->from.known && told->to.known && told->from.state == told->to.state;
}

static void changed(struct entry_hook *hook, struct entry_change *seen)
{
	struct observer *observer = of_hook(hook);
	struct told told;
	bool rerouted;

	told.seen = seen;
	find_place(&told.from, seen->from_cell);
	find_place(&told.to, seen->to_cell);
	told.end = told.to.known ? 0 : end_of(observer, seen, &told.from);
	rerouted = only_rerouted(&told);
	seen->since = rerouted ? seen->flow->since : flow_tick(seen->now_ns);
	seen->since_known = !rerouted || !(seen->flow->cell_flags & FLOW_SINCE_UNKNOWN);
	if (observer->durations && told.from.known && !rerouted)
		report_durations(observer->durations, &told);
	if (observer->zones)
		tell_zones(observer, seen);
	if (observer->zone_cells && is_zoned(seen))
		tell_zone_cells(observer, seen);
	if (!same_place(&told))
		tell_counts(observer, &told);
	if (observer->forecast)
		tell_forecast(observer->forecast, &told);
}

void observer_init(struct observer *observer)
{
	*observer =
		(struct observer){.hook = {.changed = changed, .shown = shown, .dump = dump_step}};
}
