// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/ring.h"

#include <string.h>

#include "lib/shm/seqlock.h"

int ring_copy(void *arg)
{
	struct ring *ring = arg;
	const char *from = ring->elements;
	char *to = ring->to;
	uint64_t head = observe_u64(ring->head);
	uint64_t first = head > ring->slots ? head - ring->slots : 0;
	uint64_t after;
	size_t dropped;

	ring->count = (size_t)(head - first);
	for (uint64_t i = first; i < head; i++)
		ring->copy(from + i % ring->slots * ring->from_bytes,
			   to + (i - first) * ring->to_bytes);
	/* What the writer went over meanwhile, and the slot it may be in, is torn. */
	after = reobserve_u64(ring->head);
	dropped = after + 1 > first + ring->slots ? (size_t)(after + 1 - ring->slots - first) : 0;
	if (dropped > ring->count)
		dropped = ring->count;
	ring->count -= dropped;
	memmove(to, to + dropped * ring->to_bytes, ring->count * ring->to_bytes);
	return 0;
}
