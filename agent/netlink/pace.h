// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long to wait before events are read again, so that they come many at a time: each wake-up
 * costs the reader two context switches and a system call, and costs the task that causes the
 * events as well. The pause follows the rate:
 *
 *	long enough for about PACE_EVENTS to come: more would leave the processor's cache before
 *	they are read;
 *	between the least and PACE_STRETCH times the least;
 *	over at PACE_MOST_NS after the last read began, or at the least pause if that is longer,
 *	whatever was done since: a change is to be seen within 8 ms, and waking takes part of them;
 *	so short that at twice this rate they take no more than a PACE_SHARE-th of the
 *	receive buffer, at PACE_EVENT_BYTES each, but no shorter than the minimum;
 *	stretched less where the buffer is small, once for each PACE_BUFFER_BYTES of it, because a
 *	flood may begin within one pause;
 *	down at once, up by doubling, so that a gap in the events does not make it long.
 *
 * Times are ns. Pure; one thread; no errors.
 */
#ifndef CONNTIDE_AGENT_NETLINK_PACE_H
#define CONNTIDE_AGENT_NETLINK_PACE_H

#include <stdint.h>

#define PACE_EVENTS	  512u
#define PACE_STRETCH	  8u
#define PACE_SHARE	  16u
#define PACE_MOST_NS	  UINT64_C(6500000)
#define PACE_BUFFER_BYTES (8u << 20)
#define PACE_EVENT_BYTES  2048u /* what the kernel accounts for one, rounded up */

struct pace {
	uint64_t least_ns;
	uint64_t pause_ns; /* the last one */
	uint64_t read_ns;  /* when the read before it began */
};

/* `least_ns` 0: no pauses at all. */
void pace_init(struct pace *pace, uint64_t least_ns);

/* When to read next, `now_ns` or later, on the clock of both times: `events` were read since the
 * last call, and the last read began at `read_ns`. */
uint64_t pace_until(struct pace *pace, uint32_t events, uint32_t buffer_bytes, uint64_t read_ns,
		    uint64_t now_ns);

#endif
