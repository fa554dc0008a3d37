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

static uint64_t since(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

static uint64_t next_pause(struct pace *pace, uint32_t events, uint32_t buffer_bytes,
			   uint64_t read_ns)
{
	/* Without events the gap says nothing; a long one would only overflow. */
	uint64_t took_ns = lower(since(read_ns, pace->read_ns), UINT64_C(1000000000));
	uint64_t most_ns = lower(2u * pace->pause_ns, most(pace, buffer_bytes));
	uint64_t pause_ns = lower(took_ns * gather(buffer_bytes) / (events ? events : 1u), most_ns);

	return pause_ns > pace->least_ns ? pause_ns : pace->least_ns;
}

uint64_t pace_until(struct pace *pace, uint32_t events, uint32_t buffer_bytes, uint64_t read_ns,
		    uint64_t now_ns)
{
	uint64_t worked_ns = since(now_ns, read_ns);
	uint64_t most_ns = pace->least_ns > PACE_MOST_NS ? pace->least_ns : PACE_MOST_NS;

	pace->pause_ns = next_pause(pace, events, buffer_bytes, read_ns);
	pace->read_ns = read_ns;
	return now_ns + lower(pace->pause_ns, since(most_ns, worked_ns));
}
