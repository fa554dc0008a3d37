// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Merges a dump of the kernel's table into the mirror while events go on, and
 * sweeps what the dump did not show. Start-up is the same with an empty mirror.
 *
 * The caller does the I/O and keeps this order (one request in flight):
 *
 *	drain events to the end
 *	resync_begin()			the mark at which chunk 1 is filled
 *	send the dump request
 *	for each chunk:
 *		resync_next()		before each receive: that fills the chunk after
 *		receive
 *		drain events to the end
 *		resync_record() for each record of the chunk
 *	drain events to the end
 *	resync_dump_done(valid)		valid: no loss, no error, same buckets
 *	resync_sweep() until it says it is over
 *
 * Why it ends right: events are FIFO and, in a valid epoch, complete. A change
 * after a record was filled has its event applied after the record or stamped
 * later than the fill, and then the event wins; a change before is in the record.
 * DESTROY is sent before an entry is unlinked, so a dead entry either left a
 * tombstone or its DESTROY is still to come. Entries that cannot speak are
 * corrected by each dump. What a valid dump did not show, and no event touched
 * since it began, is gone.
 *
 * A dump that is not valid adds but never removes. Nor does a valid one if that
 * would remove a fifth of the mirror and lead further away from the kernel's own
 * count: then the dump is disbelieved.
 *
 * Pure, like the mirror; bounded work a call.
 */
#ifndef CONNTIDE_MIRROR_RESYNC_H
#define CONNTIDE_MIRROR_RESYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"
#include "lib/mirror/tracker.h"

enum resync_phase { RESYNC_IDLE, RESYNC_DUMPING, RESYNC_COUNTING, RESYNC_SWEEPING };

enum resync_result { RESYNC_PENDING, RESYNC_VALID, RESYNC_INVALID };

struct resync {
	enum resync_phase phase;
	uint32_t begin_mark;	 /* events stamped later came during this dump */
	uint32_t next_fill_mark; /* of the chunk the next receive returns */
	bool valid;
	bool first; /* no dump was completed yet: additions are not counted as repairs */
	bool heard; /* by the caller: none of what the first dump shows was born unheard */
	uint64_t records;
	uint64_t refused_before; /* mirror's refusals when the dump began */
	uint64_t found_before;	 /* mirror's found_total then */
	struct flow_cursor cursor;
	uint32_t unseen; /* counted before anything is swept */
	int64_t kernel_entries;
};

void resync_init(struct resync *resync);

/* `explained`: events are known to have been lost since the last valid resync while subscribed.
 * Entries that this dump corrects may not be silent; the next dump that finds them unchanged
 * decides (FLOW_FOUND). */
void resync_begin(struct resync *resync, struct mirror *mirror, bool explained);

/* Returns the fill mark of the chunk that is received next, to be passed with each of its
 * records. The receive after it may begin before they are applied. */
uint32_t resync_next(struct resync *resync, struct mirror *mirror);
void resync_record(struct resync *resync, struct mirror *mirror, const struct ct_event *record,
		   uint32_t fill_mark);

/* `kernel_entries`: the kernel's count now, -1 when it cannot be read. */
void resync_dump_done(struct resync *resync, struct mirror *mirror, bool valid,
		      int64_t kernel_entries);

/* One bounded step after resync_dump_done(); RESYNC_PENDING: call again. */
enum resync_result resync_sweep(struct resync *resync, struct mirror *mirror);

#endif
