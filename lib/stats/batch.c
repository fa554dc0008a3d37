// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/batch.h"

static void fetch(const struct mirror *mirror, const struct ct_event *events, unsigned int count)
{
	const struct flow_table *table = &mirror->table;

	for (unsigned int i = 0; i < count; i++)
		flow_prefetch_line(table, events[i].hash);
	for (unsigned int i = 0; i < count; i++)
		flow_prefetch_record(table, events[i].hash);
	for (unsigned int i = 0; i < count; i++)
		flow_prefetch_overflow(table, events[i].hash);
}

void batch_apply(struct mirror *mirror, struct observer *observer, const struct ct_event *events,
		 unsigned int count)
{
	fetch(mirror, events, count);
	observer_begin_batch(observer);
	for (unsigned int i = 0; i < count; i++)
		mirror_event(mirror, &events[i]);
	observer_end_batch(observer);
}

void batch_records(struct resync *resync, struct mirror *mirror, struct observer *observer,
		   const struct ct_event *records, unsigned int count, uint32_t fill_mark)
{
	fetch(mirror, records, count);
	observer_begin_batch(observer);
	for (unsigned int i = 0; i < count; i++)
		resync_record(resync, mirror, &records[i], fill_mark);
	observer_end_batch(observer);
}
