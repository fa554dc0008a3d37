// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Applies the events of one receive to the mirror and its statistics.
 *
 * Each event waits for memory at places that hashes choose: its line and its record in
 * the mirror, its addresses in lib/stats. What of the mirror an event will touch is known before
 * it is applied, so that of all the batch is fetched first, one step for all events before the next
 * (see flow_table.h); then the events are applied in their order, and who counts by addresses is
 * told of them together (told.h), and fetches in the same way.
 *
 * Records of a dump are applied in the same way: a table that begins empty waits for the same
 * memory.
 *
 * One thread. O(1) an event, no allocation, no system call.
 */
#ifndef CONNTIDE_STATS_BATCH_H
#define CONNTIDE_STATS_BATCH_H

#include "lib/event/event.h"
#include "lib/mirror/resync.h"
#include "lib/mirror/tracker.h"
#include "lib/stats/observer.h"

/* Larger batches leave the cache before they are applied. */
#define BATCH_EVENTS 128u

/* `observer`: whom the mirror's hook tells, or one that feeds nobody. */
void batch_apply(struct mirror *mirror, struct observer *observer, const struct ct_event *events,
		 unsigned int count);

/* The same for records of the dump that runs; `fill_mark` as resync_record() takes it. */
void batch_records(struct resync *resync, struct mirror *mirror, struct observer *observer,
		   const struct ct_event *records, unsigned int count, uint32_t fill_mark);

#endif
