// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the table looked like, every ten seconds and every minute: the largest cells and rows,
 * the largest sources, and the kernel's counters of that interval, in two rings of struct
 * shm_frame and two of struct shm_frame_hosts for the sources. `why` compares them with now,
 * and an incident keeps the minutes before it.
 *
 * A frame is made by one pass over the active rows, TABLE_LOG_ROWS_PER_STEP a second. Beyond
 * 65,536 active rows the cells and rows of a frame are collected over several seconds, and
 * beyond 655,360 the frame is late. Its other numbers are of the moment in which the pass
 * ended. Every sixth pass also makes the minute's frame. A row's new and destroyed entries
 * are counted from its turn in one pass to its turn in the next.
 *
 * The pass also finds the busiest rows, for durations.h, which gives them details, and the
 * largest rows and cells, for ages.h.
 *
 * 20 bytes per row that was ever active, sparse. Threads: one. Errors: -ENOMEM at creation.
 */
#ifndef CONNTIDE_STATS_TABLE_LOG_H
#define CONNTIDE_STATS_TABLE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mirror/histogram.h"
#include "lib/shm/layout.h"
#include "lib/stats/ages.h"
#include "lib/stats/durations.h"

#define TABLE_LOG_ROWS_PER_STEP 65536u
#define TABLE_LOG_INTERVAL_NS	UINT64_C(10000000000)
#define TABLE_LOG_PER_MINUTE	6u
#define TABLE_LOG_WISHES	32u
/* By then the kernel's counters from before the start have arrived. */
#define TABLE_LOG_SETTLING_S 3u

/* Counters; a frame holds the difference to the frame before. */
struct table_log_counters {
	uint64_t new_entries;
	uint64_t destroyed_entries;
	uint64_t drops;
	uint64_t early_drops;
	uint64_t insert_failed;
	uint64_t chaintoolong;
	uint64_t clash_resolved;
	uint64_t found;
	uint64_t invalid;
	uint64_t lost_events;
};

/* What a frame needs besides the histogram. */
struct table_log_second {
	uint64_t now_boot_ns;
	uint64_t now_real_ns;
	int64_t count_entries; /* negative: not known, written as 0 */
	int64_t max_entries;
	uint32_t mirror_entries;
	uint32_t unassured_entries;
	uint32_t sources;
	struct table_log_counters counters;
	const struct shm_talker_list *hosts; /* by source */
};

/* A row's counters at the last pass, and its changes since the minute began. */
struct table_log_mark {
	uint32_t new_entries;
	uint32_t destroyed_entries;
	uint32_t minute_new_entries;
	uint32_t minute_destroyed_entries;
	uint32_t minute; /* its number */
};

struct table_log_cell {
	uint32_t cell;
	uint32_t entries;
};

struct table_log_row {
	uint32_t row;
	uint32_t entries;
	uint32_t new_entries[2]; /* since the last pass; since the minute began */
	uint32_t destroyed_entries[2];
};

struct table_log {
	const struct histogram *hist;	/* borrowed, as all that follows */
	struct shm_table_log *rings[2]; /* every ten seconds, every minute */
	struct shm_frame_hosts_log *hosts[2];
	struct durations *durations; /* NULL: none */
	struct ages *ages;	     /* NULL: none */
	struct table_log_mark *marks;
	uint64_t next_ns; /* when the next pass begins */
	bool passing;
	uint32_t word; /* of the row map, where the pass is */
	uint32_t pass; /* within the minute */
	uint32_t minute;
	uint32_t rows_active;
	uint32_t cell_count, row_count, wish_count;
	struct table_log_cell cells[SHM_FRAME_CELLS]; /* largest first, of this pass */
	struct table_log_row rows[SHM_FRAME_ROWS];
	struct durations_wish wishes[TABLE_LOG_WISHES];
	struct table_log_counters base[2];
	uint32_t settling_s; /* the first seconds are in no frame */
};

/* 0 or -ENOMEM. `rings`, `hosts` and `durations` are set before the first table_log_second(). */
int table_log_create(struct table_log *frames, const struct histogram *hist, uint64_t now_boot_ns);
void table_log_destroy(struct table_log *frames);

void table_log_second(struct table_log *frames, const struct table_log_second *second);

#endif
