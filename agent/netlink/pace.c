// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/pace.h"

void pace_init(struct pace *pace, uint64_t least_ns)
{
	*pace = (struct pace){.least_ns = least_ns, .pause_ns = least_ns};
}

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Events that may gather in a buffer of this size. */
static uint64_t gather(uint32_t buffer_bytes)
{
	return lower(PACE_EVENTS, buffer_bytes / PACE_SHARE / 2u / PACE_EVENT_BYTES);
}

/* The longest pause. */
static uint64_t most(const struct pace *pace, uint32_t buffer_bytes)
{
	uint64_t times = lower(buffer_bytes / PACE_BUFFER_BYTES, PACE_STRETCH);

	return lower(pace->least_ns * (times ? times : 1u), PACE_MOST_NS);
}

uint64_t pace_after(struct pace *pace, uint32_t events, uint32_t buffer_bytes, uint64_t now_ns)
{
	uint64_t took_ns = now_ns > pace->asked_ns ? now_ns - pace->asked_ns : 0;
	uint64_t most_ns = lower(2u * pace->pause_ns, most(pace, buffer_bytes));
	uint64_t pause_ns;

	pace->asked_ns = now_ns;
	/* Without events the gap says nothing; a long one would only overflow. */
	took_ns = lower(took_ns, UINT64_C(1000000000));
	pause_ns = lower(took_ns * gather(buffer_bytes) / (events ? events : 1u), most_ns);
	pace->pause_ns = pause_ns > pace->least_ns ? pause_ns : pace->least_ns;
	return pace->pause_ns;
}
