// SPDX-License-Identifier: GPL-2.0-or-later
/* Which stage of the forecast a state of the kernel is. */
#include "lib/forecast/forecast.h"
#include "lib/kernel/states.h"
#include "lib/kernel/timeouts.h"
#include "lib/stats/observer.h"

/* The forecast's stage of a state; unknown where the slot names no state. */
static const uint8_t tcp_stage[STATE_SLOTS_MAX] = {
	[ST_TCP_NONE] = FC_UNKNOWN,
	[ST_TCP_SYN_SENT] = FC_SYN_SENT,
	[ST_TCP_SYN_RECV] = FC_SYN_RECV,
	[ST_TCP_ESTABLISHED] = FC_ESTABLISHED,
	[ST_TCP_FIN_WAIT] = FC_FIN_WAIT,
	[ST_TCP_CLOSE_WAIT] = FC_CLOSE_WAIT,
	[ST_TCP_LAST_ACK] = FC_LAST_ACK,
	[ST_TCP_TIME_WAIT] = FC_TIME_WAIT,
	[ST_TCP_CLOSE] = FC_CLOSE,
	[ST_TCP_SYN_SENT2] = FC_SYN_SENT,
	[ST_TCP_UNKNOWN] = FC_UNKNOWN,
	[ST_TCP_OFFLOADED] = FC_UNKNOWN,
	[12] = FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
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
	[12] = FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
};
static const uint8_t generic_stage[STATE_SLOTS_MAX] = {
	[ST_GENERIC_UNREPLIED] = FC_UNREPLIED,
	[ST_GENERIC_REPLIED] = FC_REPLIED,
	[ST_GENERIC_ASSURED] = FC_ASSURED,
	[ST_GENERIC_OFFLOADED] = FC_UNKNOWN,
	[4] = FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
	FC_UNKNOWN,
};

uint8_t observer_stage(unsigned int l4proto, unsigned int state)
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

void observer_timeout(struct forecast *forecast, unsigned int id, uint32_t value_s)
{
	for (unsigned int l4proto = 0; l4proto < L4_COUNT; l4proto++)
		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++)
			if (timeout_of_state(l4proto, state) == (int)id)
				forecast_timeout(forecast, (uint8_t)l4proto,
						 (enum fc_stage)observer_stage(l4proto, state),
						 value_s);
}
