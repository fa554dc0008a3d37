// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long entries stay in each state and how they end, by (l4proto, direction, port):
 *
 * 	mirror  ->  observer.c  ->  struct shm_detail of the row, or of its pool
 *
 * SHM_DETAILS rows have a detail of their own, assigned on first use while free ones are
 * left; all other rows share the pool of their protocol and direction. Every ten seconds
 * durations_look() reassigns: when few details are free, those of rows that have been empty
 * and quiet for DURATIONS_QUIET_NS are freed; a busy row without a detail takes that of a
 * row less than two thirds as busy, after DURATIONS_TENURE_NS at the earliest. Counts of a
 * detail that is taken away are added to the pool.
 *
 * Counts forget: every DURATIONS_FORGET_NS those of a detail or pool that has seen
 * DURATIONS_LIVES_KEPT lives or more are halved, all at once. So they tell of the last minutes
 * where much happens, and of the last lives where little does: of what was before a change
 * a sixteenth at most is left after eight minutes, or 3 * DURATIONS_LIVES_KEPT lives. Sums over
 * details and pools lose nothing but that (`forgotten_ends`).
 *
 * Times are the mirror's ticks of 2^24 ns. Only observed times are counted: lives and stays
 * of entries whose birth was seen and that report their changes (observer.c). When events
 * were lost, a state may be missed and a stay counted too short, by at most the time until
 * the resync that found it.
 *
 * O(1) per event, no allocation, no system call, no division. 2 bytes per row, sparse: one
 * page of 4 KiB for each row that has a detail, 1 MiB at most. Threads: one. Errors:
 * -ENOMEM at creation.
 */
#ifndef CONNTIDE_STATS_DURATIONS_H
#define CONNTIDE_STATS_DURATIONS_H

#include <stdint.h>

#include "lib/mirror/histogram.h"
#include "lib/shm/layout.h"

#define DURATIONS_SPARE	    32u /* free details below which quiet ones are given back */
#define DURATIONS_QUIET_NS  UINT64_C(60000000000)
#define DURATIONS_TENURE_NS UINT64_C(60000000000)
#define DURATIONS_UNKNOWN   UINT64_MAX
/* Two rounds of the collector at least: stays that it ends come once a round. */
#define DURATIONS_FORGET_NS  UINT64_C(120000000000)
#define DURATIONS_LIVES_KEPT 512u

struct durations_holder {
	uint64_t since_ns;	    /* when the row got the detail */
	uint64_t busy_ns;	    /* when an entry of the row last changed */
	uint32_t destroyed_entries; /* of the row, low bits, at the last look */
	uint32_t weight;	    /* entries, and those destroyed between two looks */
};

/* A row and how busy it is: entries, and those destroyed in ten seconds. */
struct durations_wish {
	uint32_t row;
	uint32_t weight;
};

struct durations {
	/* Borrowed, set before the first event: SHM_DETAILS, then SHM_DETAIL_POOLS, all free
	 * as lib/shm/writer.c leaves them. */
	struct shm_detail *details;
	const struct histogram *hist; /* borrowed */
	uint16_t *of_row;	      /* 1 + number of the detail; 0: none */
	uint64_t now_ns;	      /* of the last look */
	uint64_t forgot_ns;	      /* when counts were halved last, or the first look */
	uint64_t forgotten_ends;
	uint32_t free_count;
	uint16_t free[SHM_DETAILS];
	struct durations_holder holders[SHM_DETAILS];
};

/* 0 or -ENOMEM. */
int durations_create(struct durations *durations, const struct histogram *hist);
void durations_destroy(struct durations *durations);

/* An entry left the state of `cell` after `stay_ns` (DURATIONS_UNKNOWN: not counted). */
void durations_moved(struct durations *durations, uint32_t cell, uint64_t stay_ns);
/* An entry ended: enum shm_end, its stay in the last state, its whole life. */
void durations_ended(struct durations *durations, uint32_t cell, unsigned int end, uint64_t stay_ns,
		     uint64_t life_ns);

/* Every ten seconds, with the busiest rows. */
void durations_look(struct durations *durations, const struct durations_wish *wishes,
		    uint32_t count, uint64_t now_ns);

/* Bucket of struct shm_stays. */
unsigned int durations_bucket(uint64_t stay_ns);

#endif
