// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shm/reader.h"
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

static void copy_sample(const struct shm_sample *from, struct snap_sample *to)
{
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

struct history_copy {
	const struct shm_history *from;
	struct snap_history *to;
	uint64_t slots;
};

static int copy_history(void *arg)
{
	struct history_copy *copy = arg;
	uint64_t head = observe_u64(&copy->from->head);
	uint64_t first = head > copy->slots ? head - copy->slots : 0;
	uint64_t after;
	size_t dropped;

	copy->to->interval_ns = copy->from->interval_ns;
	copy->to->sample_count = (size_t)(head - first);
	for (uint64_t i = first; i < head; i++)
		copy_sample(&copy->from->samples[i % copy->slots],
			    &copy->to->samples[i - first]);
	/* What the writer went over meanwhile, and the slot it may be in, is torn. */
	after = reobserve_u64(&copy->from->head);
	dropped = after + 1 > first + copy->slots ? (size_t)(after + 1 - copy->slots - first) : 0;
	if (dropped > copy->to->sample_count)
		dropped = copy->to->sample_count;
	copy->to->sample_count -= dropped;
	memmove(copy->to->samples, copy->to->samples + dropped,
		copy->to->sample_count * sizeof(copy->to->samples[0]));
	return 0;
}

int snapshot_take_history(struct shm_reader *reader, bool minutes, struct snap_history *history)
{
	struct history_copy copy = {
		.to = history, .slots = minutes ? SHM_HISTORY_MINUTES : SHM_HISTORY_SECONDS};

	copy.from = shm_reader_section(reader, minutes ? SHM_SECTION_MINUTES : SHM_SECTION_SECONDS);
	if (!copy.from)
		return -ENOENT;
	if (history->sample_room < copy.slots) {
		struct snap_sample *samples =
			realloc(history->samples, copy.slots * sizeof(*samples));

		if (!samples)
			return -ENOMEM;
		history->samples = samples;
		history->sample_room = (size_t)copy.slots;
	}
	return shm_guarded(copy_history, &copy);
}
