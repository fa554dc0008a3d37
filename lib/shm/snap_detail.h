// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the table's numbers are made of, as a private copy: how long entries stay
 * in each state and how they end (details), which addresses hold most of them
 * (talkers), and what the table looked like before (frames).
 *
 * Nothing in a segment is trusted. A row, cell, protocol or family that does not
 * exist is left out; lists hold no more than their arrays; a sum of stays that its buckets rule
 * out is clamped to what they allow. A detail that changed hands while it was copied, a list of
 * talkers that never stood still, and frames overwritten meanwhile are left out, too.
 *
 * Units: entries, s, ms, ns. About 2 MiB when everything is in use, never more:
 * the sections have fixed sizes. Ownership: snap_detail_init() makes an empty one,
 * snap_detail_free() frees what it points to. Threads: none shared.
 */
#ifndef CONNTIDE_SHM_SNAP_DETAIL_H
#define CONNTIDE_SHM_SNAP_DETAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/shm/layout.h"
#include "lib/shm/snap_ages.h"

/* Bucket i: stays below 2^(i-4) s; the last: all others. */
struct snap_stays {
	uint64_t buckets[SHM_STAY_BUCKETS];
	uint64_t count; /* sum of buckets */
	double sum_s;
};

struct snap_row_detail {
	struct row_key key; /* of a pool: port 0 */
	bool pool; /* all rows of that protocol and direction without a detail of their own */
	uint64_t ends[SHM_END_COUNT];
	uint64_t ended; /* sum of ends */
	struct snap_stays whole;
	struct snap_stays tail;
	struct snap_stays states[STATE_SLOTS_MAX];
};

struct snap_talker {
	uint8_t address[16]; /* network order; IPv4: the first four, the others 0 */
	bool ipv6;
	uint8_t l4proto; /* this and port: SHM_TALKER_SERVICE only, else 0 */
	uint16_t port;
	uint32_t entries;
	uint32_t error_entries; /* <= entries: how many fewer it may be... */
	uint32_t more_entries;	/* ...or more */
};

struct snap_talker_list {
	struct snap_talker talkers[SHM_TALKERS]; /* largest first */
	uint32_t count;
	uint32_t tracked;	 /* keys counted at present */
	uint32_t room;		 /* keys that can be counted */
	uint32_t missed_entries; /* no key outside the list holds more than this */
};

struct snap_frame_cell {
	struct row_key key;
	uint8_t state;
	uint32_t entries;
};

struct snap_frame_row {
	struct row_key key;
	uint32_t entries;
	uint32_t new_entries; /* of the interval that ended then */
	uint32_t destroyed_entries;
};

struct snap_frame {
	uint64_t real_ns;
	uint32_t count_entries;
	uint32_t max_entries;
	uint32_t mirror_entries;
	uint32_t unassured_entries;
	uint32_t rows_active;
	uint32_t sources;
	uint32_t new_entries; /* from here on: of the interval */
	uint32_t destroyed_entries;
	uint32_t drops;
	uint32_t early_drops;
	uint32_t insert_failed;
	uint32_t chaintoolong;
	uint32_t clash_resolved;
	uint32_t found;
	uint32_t invalid;
	uint32_t lost_events;
	uint32_t cell_count;
	uint32_t row_count;
	uint32_t host_count;
	struct snap_frame_cell cells[SHM_FRAME_CELLS]; /* largest first */
	struct snap_frame_row rows[SHM_FRAME_ROWS];
	struct snap_talker hosts[SHM_FRAME_HOSTS];
};

struct snap_table_log {
	double interval_s;	   /* 10 or 60 */
	struct snap_frame *frames; /* oldest first */
	size_t count;
};

struct snap_detail {
	struct snap_row_detail *details; /* those that hold anything; pools last */
	size_t detail_count;
	int hosts_error;     /* not 0: talkers, and hosts of frames, could not be read */
	char hosts_why[384]; /* the sentence for it */
	bool talkers_valid;
	uint64_t talkers_boot_ns; /* when they were taken; 0: never */
	struct snap_talker_list talkers[SHM_TALKER_KINDS];
	struct snap_table_log minutes; /* 10 s apart, 16 minutes */
	struct snap_table_log hour;    /* a minute apart, 96 minutes */
	struct snap_ages *ages;	       /* [SHM_AGE_SETS]; see snap_ages.h */
};

struct shm_reader;

void snap_detail_init(struct snap_detail *details);
void snap_detail_free(struct snap_detail *details);

/* 0; -ENOENT when nothing is mapped; -EFAULT when the file was cut; -ENOMEM. On failure *details
 * can be freed and taken again, but its content means nothing. */
int snapshot_take_detail(struct shm_reader *reader, struct snap_detail *details);

/* The talkers alone, for callers that need them often. */
int snapshot_take_talkers(struct shm_reader *reader, struct snap_detail *details);

/* Upper edge of bucket `i`, s; infinite for the last. */
double snap_stay_edge_s(unsigned int i);

#endif
