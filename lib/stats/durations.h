// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long entries stay and how they end, by (l4proto, direction, port):
 *
 *	mirror  ->  observer.c  ->  struct shm_detail of the row, or of its pool
 *
 * SHM_DETAILS rows have a detail of their own, taken on first use while there are
 * free ones; everything else is counted in the pool of its protocol and direction.
 * Every ten seconds durations_look() gives back details of rows that have been empty and
 * quiet for DURATIONS_QUIET_NS when free ones get scarce, and hands details of small rows
 * to busy rows that have none: half as busy again, and not before DURATIONS_TENURE_NS. What
 * a detail has counted when it is taken away goes to the pool, so that nothing is ever
 * lost from the sum over details and pools.
 *
 * Times come from the mirror, in its ticks of 2^24 ns. Only what was seen is counted:
 * whole lives and stays of entries whose birth was seen and that speak (observer.c).
 * A state that events lost have hidden is shorter than it was, by no more than the
 * time until the resync that found it.
 *
 * O(1) an event, no allocation, no system call, no division. 2 bytes a row, sparse: a
 * page of 4 KiB for each row that has a detail, 1 MiB at most. One thread.
 * Errors: -ENOMEM at creation.
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

struct durations_holder {
	uint64_t since_ns;	    /* when its row got the detail */
	uint64_t busy_ns;	    /* when something of the row was last seen */
	uint32_t destroyed_entries; /* of the row, low bits, at the last look */
	uint32_t weight;	    /* entries, and those destroyed between two looks */
};

/* A row and how busy it is: entries, and those destroyed in ten seconds. */
struct durations_wish {
	uint32_t row;
	uint32_t weight;
};

struct durations {
	/* Borrowed, set before anything is told: SHM_DETAILS, then SHM_DETAIL_POOLS, free
	 * as segment.c leaves them. */
	struct shm_detail *details;
	const struct histogram *hist; /* borrowed */
	uint16_t *of_row;	      /* 1 + number of the detail; 0: none */
	uint64_t now_ns;	      /* of the last look */
	uint32_t free_count;
	uint16_t free[SHM_DETAILS];
	struct durations_holder holders[SHM_DETAILS];
};

/* 0 or -ENOMEM. */
int durations_create(struct durations *durations, const struct histogram *hist);
void durations_destroy(struct durations *durations);

/* An entry has left the state of `cell` after so many ns (DURATIONS_UNKNOWN: not counted). */
void durations_moved(struct durations *durations, uint32_t cell, uint64_t stay_ns);
/* It is gone: `end` of enum shm_end, the stay in its last state and the whole life. */
void durations_ended(struct durations *durations, uint32_t cell, unsigned int end, uint64_t stay_ns,
		     uint64_t life_ns);

/* Every ten seconds, with the busiest rows. */
void durations_look(struct durations *durations, const struct durations_wish *wishes,
		    uint32_t count, uint64_t now_ns);

/* Bucket of struct shm_stays. */
unsigned int durations_bucket(uint64_t stay_ns);

#endif
