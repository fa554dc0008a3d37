// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shm/reader.h"
#include "lib/shm/ring.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/snapshot.h"

void snap_history_init(struct snap_history *history)
{
	memset(history, 0, sizeof(*history));
}

void snap_history_free(struct snap_history *history)
{
	free(history->samples);
	snap_history_init(history);
}

static void copy_sample(const void *element, void *copy)
{
	const struct shm_sample *from = element;
	struct snap_sample *to = copy;

	to->real_ns = peek_u64(&from->real_ns);
	to->count_entries = peek_u32(&from->count_entries);
	to->mirror_entries = peek_u32(&from->mirror_entries);
	to->max_entries = peek_u32(&from->max_entries);
	to->new_entries = peek_u32(&from->new_entries);
	to->destroyed_entries = peek_u32(&from->destroyed_entries);
	to->drops = peek_u32(&from->drops);
	to->early_drops = peek_u32(&from->early_drops);
	to->lost_events = peek_u32(&from->lost_events);
	for (unsigned int i = 0; i < SHM_TOP_PORTS; i++) {
		uint32_t row = peek_u32(&from->top[i].row);

		to->top[i].entries = 0;
		if (row_key_of(row, &to->top[i].key))
			to->top[i].entries = peek_u32(&from->top[i].entries);
	}
}

int snapshot_take_history(struct shm_reader *reader, bool minutes, struct snap_history *history)
{
	const struct shm_history *from =
		shm_reader_section(reader, minutes ? SHM_SECTION_MINUTES : SHM_SECTION_SECONDS);
	struct ring ring = {.slots = minutes ? SHM_HISTORY_MINUTES : SHM_HISTORY_SECONDS,
			    .from_bytes = sizeof(struct shm_sample),
			    .to_bytes = sizeof(struct snap_sample),
			    .copy = copy_sample};
	int err;

	if (!from)
		return -ENOENT;
	if (history->sample_room < ring.slots) {
		struct snap_sample *samples =
			realloc(history->samples, ring.slots * sizeof(*samples));

		if (!samples)
			return -ENOMEM;
		history->samples = samples;
		history->sample_room = (size_t)ring.slots;
	}
	ring.head = &from->head;
	ring.elements = from->samples;
	ring.to = history->samples;
	err = shm_guarded(ring_copy, &ring);
	/* A copy cut short left the older samples half overwritten. */
	history->sample_count = err ? 0 : ring.count;
	history->interval_ns = (minutes ? 60u : 1u) * UINT64_C(1000000000);
	return err;
}
