// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/witness.h"

#include "agent/forecast.h"

/* The forecast's stage of a state; what a state slot does not name is unknown. */
static const uint8_t tcp_stage[STATE_SLOTS_MAX] = {
	[ST_TCP_NONE] = FC_UNKNOWN,	    [ST_TCP_SYN_SENT] = FC_SYN_SENT,
	[ST_TCP_SYN_RECV] = FC_SYN_RECV,    [ST_TCP_ESTABLISHED] = FC_ESTABLISHED,
	[ST_TCP_FIN_WAIT] = FC_FIN_WAIT,    [ST_TCP_CLOSE_WAIT] = FC_CLOSE_WAIT,
	[ST_TCP_LAST_ACK] = FC_LAST_ACK,    [ST_TCP_TIME_WAIT] = FC_TIME_WAIT,
	[ST_TCP_CLOSE] = FC_CLOSE,	    [ST_TCP_SYN_SENT2] = FC_SYN_SENT,
	[ST_TCP_UNKNOWN] = FC_UNKNOWN,	    [ST_TCP_OFFLOADED] = FC_UNKNOWN,
	[12] = FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN,
};
static const uint8_t sctp_stage[STATE_SLOTS_MAX] = {
	[ST_SCTP_NONE] = FC_UNKNOWN,
	[ST_SCTP_CLOSED] = FC_CLOSE,
	[ST_SCTP_COOKIE_WAIT] = FC_SYN_SENT,
	[ST_SCTP_COOKIE_ECHOED] = FC_SYN_RECV,
	[ST_SCTP_ESTABLISHED] = FC_ESTABLISHED,
	[ST_SCTP_SHUTDOWN_SENT] = FC_FIN_WAIT,
	[ST_SCTP_SHUTDOWN_RECD] = FC_CLOSE_WAIT,
	[ST_SCTP_SHUTDOWN_ACK_SENT] = FC_LAST_ACK,
	[ST_SCTP_HEARTBEAT_SENT] = FC_UNKNOWN,
	[ST_SCTP_HEARTBEAT_ACKED] = FC_ESTABLISHED,
	[ST_SCTP_UNKNOWN] = FC_UNKNOWN,
	[ST_SCTP_OFFLOADED] = FC_UNKNOWN,
	[12] = FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN,
};
static const uint8_t generic_stage[STATE_SLOTS_MAX] = {
	[ST_GENERIC_UNREPLIED] = FC_UNREPLIED,
	[ST_GENERIC_REPLIED] = FC_REPLIED,
	[ST_GENERIC_ASSURED] = FC_ASSURED,
	[ST_GENERIC_OFFLOADED] = FC_UNKNOWN,
	[4] = FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN,
	FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN, FC_UNKNOWN,
};

uint8_t witness_stage(unsigned int l4proto, unsigned int state)
{
	switch (l4proto) {
	case L4_TCP:
		return tcp_stage[state % STATE_SLOTS_MAX];
	case L4_SCTP:
		return sctp_stage[state % STATE_SLOTS_MAX];
	default:
		return generic_stage[state % STATE_SLOTS_MAX];
	}
}

static bool closing(uint32_t cell)
{
	struct row_key key;
	unsigned int state;
	uint8_t stage;

	if (!cell_key_of(cell, &key, &state))
		return false;
	stage = witness_stage(key.l4proto, state);
	return stage >= FC_FIN_WAIT && stage <= FC_CLOSE;
}

static bool timeout_left(const struct ct_event *event)
{
	return event->has & CT_HAS_TIMEOUT && event->timeout_s > 0;
}

unsigned int witness_end(const struct witness *witness, const struct sighting *seen)
{
	bool assured = seen->flow->cell_flags & FLOW_ASSURED;

	if (!seen->event)
		return SHM_END_UNSEEN;
	if (!timeout_left(seen->event))
		return closing(seen->from_cell) ? SHM_END_CLOSED : SHM_END_EXPIRED;
	if (seen->event->portid)
		return SHM_END_DELETED;
	if (witness->crowded && (!assured || closing(seen->from_cell)))
		return SHM_END_EVICTED;
	return SHM_END_CLOSED;
}

/* --- the forecast ----------------------------------------------------------- */

/* Ticks back to the clock they were cut from: wraps are years apart. */
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

static uint8_t forecast_end(const struct sighting *seen)
{
	if (!seen->event)
		return FC_END_UNKNOWN;
	return timeout_left(seen->event) ? FC_END_EARLY : FC_END_EXPIRED;
}

/* The same entry under another row, because what is local has changed. */
static void tell_rerouted(struct forecast *forecast, struct fc_move *move,
			  const struct row_key *from, const struct row_key *to)
{
	uint8_t stage = move->to;

	set_class(move, from);
	move->to = FC_NONE;
	move->end = FC_END_UNKNOWN;
	forecast_move(forecast, move);
	set_class(move, to);
	move->from = FC_NONE;
	move->to = stage;
	move->found = true;
	move->timeout_s = 0;
	forecast_move(forecast, move);
}

static void tell_forecast(struct forecast *forecast, struct sighting *seen)
{
	struct fc_move move = {.from = FC_NONE, .to = FC_NONE, .since_ns = FC_SINCE_UNKNOWN};
	struct row_key from = {0}, to = {0};
	unsigned int state;
	bool was = cell_key_of(seen->from_cell, &from, &state);

	/* Whole ticks, so that what is kept of a time names the same second later. */
	move.now_ns = (int64_t)(seen->now_ns >> FLOW_TICK_SHIFT << FLOW_TICK_SHIFT);
	if (was)
		move.from = witness_stage(from.l4proto, state);
	if (was && !(seen->flow->cell_flags & FLOW_SINCE_UNKNOWN))
		move.since_ns = tick_ns(seen->now_ns, seen->flow->since);
	if (cell_key_of(seen->to_cell, &to, &state)) {
		move.to = witness_stage(to.l4proto, state);
		set_class(&move, &to);
		if (seen->event && seen->event->has & CT_HAS_TIMEOUT)
			move.timeout_s = seen->event->timeout_s;
	} else {
		set_class(&move, &from);
		move.end = forecast_end(seen);
	}
	move.found = seen->found;
	if (was && move.to != FC_NONE && row_of(from) != row_of(to))
		tell_rerouted(forecast, &move, &from, &to);
	else
		forecast_move(forecast, &move);
	if (move.keep_since_ns == FC_SINCE_UNKNOWN)
		seen->since_known = false;
	else
		seen->since = flow_tick((uint64_t)move.keep_since_ns);
}

void witness_tell(struct witness *witness, struct sighting *seen)
{
	seen->since = flow_tick(seen->now_ns);
	seen->since_known = true;
	if (witness->forecast)
		tell_forecast(witness->forecast, seen);
}
