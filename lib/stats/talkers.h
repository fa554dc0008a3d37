// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which addresses hold the entries: by source, by destination, by service (destination
 * address, protocol and port), and for IPv6 also by the /64 of source and destination.
 *
 * Addresses are those of the original tuple: who opened the connection, and the address it
 * dialled, which after DNAT is not the one it reaches. Zones are not told apart: the same
 * address in two zones counts as one host.
 *
 * Each kind has counts (topk.h) for up to TALKERS_KEYS keys: exact up to that number, with
 * the bound proved in topk.h beyond it. 5 x 2.6 MiB at most over all kinds; much less is
 * touched without IPv6 or with few keys.
 *
 * The mirror keeps no tuple, so entries that a resync finds gone cannot be subtracted.
 * Therefore each dump rebuilds the counts: entries shown by the dump or by an event are
 * added to the second count, once each (FLOW_COUNTED in the record says whether that has
 * happened; which value means yes alternates between dumps), while the first count is kept
 * up to date as before. After the sweep of a valid dump every live entry has been shown, and
 * the second count replaces the first. The second count of an invalid dump is discarded, and
 * its sweep resets the flags. Until the sweep is over, up to `unsubtracted` entries may be
 * counted too many. One exception: an entry reported during the dump only by the answer to a
 * GET, and swept nevertheless, stays counted until the next dump.
 *
 * 	entries - error  <=  truth  <=  entries + more		(struct shm_talker)
 *
 * where truth is the mirror; how far the mirror agrees with the kernel's table is stated
 * elsewhere (lib/mirror/trust.h).
 *
 * Cost: 3 look-ups per addition, 5 for IPv6. Once a second the largest keys are found by a
 * scan of at most TALKERS_SCAN_RECORDS records (about half a millisecond). When the tables
 * are larger the kinds take turns: who is listed may then be up to three seconds old, the
 * counts are current, and the bound on unlisted keys includes what was added since.
 *
 * No allocation after creation. Threads: one. Errors: -ENOMEM.
 */
#ifndef CONNTIDE_STATS_TALKERS_H
#define CONNTIDE_STATS_TALKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"
#include "lib/shm/layout.h"
#include "lib/stats/told.h"
#include "lib/stats/topk.h"

#define TALKERS_KEYS	      65536u
#define TALKERS_SCAN_RECORDS  131072u
#define TALKERS_CLEAR_RECORDS 131072u /* a second, after a dump */

/* What an entry counts under, beside its addresses. */
struct talkers_place {
	uint64_t hashes[SHM_TALKER_KINDS];
	uint32_t service; /* protocol and port, and the family */
};

/* The largest keys of one kind, as of the last scan. */
struct talkers_top {
	struct topk_key keys[SHM_TALKERS];
	uint32_t count;
	uint32_t outside; /* the largest count that is not in keys[] */
	uint64_t added;	  /* talkers.added then */
};

struct talkers {
	struct topk kinds[SHM_TALKER_KINDS];
	struct talkers_top tops[SHM_TALKER_KINDS];
	unsigned int shown;  /* which count: 0 or 1 */
	bool building;	     /* the other one is being rebuilt */
	uint32_t clear_kind; /* SHM_TALKER_KINDS: nothing left to clear */
	uint32_t clear_from;
	uint32_t unsubtracted[2];
	uint64_t added;				 /* entries, ever */
	uint32_t next_scan;			 /* kind */
	struct talkers_place places[TOLD_BATCH]; /* of the batch that is counted */
};

/* `keys`: room of each kind, a power of two. */
int talkers_create(struct talkers *talkers, uint32_t keys);
void talkers_destroy(struct talkers *talkers);

/* Those of TOLD_FOR_TALKERS are counted; see told.h. */
void talkers_told(struct talkers *talkers, const struct told_change *told, unsigned int count);

/* An entry appeared. */
void talkers_appeared(struct talkers *talkers, const struct ct_key *key);
/* An entry is gone; `key` NULL: its tuple is not known. `built`: it is in the count that is
 * being rebuilt, if any. */
void talkers_went(struct talkers *talkers, const struct ct_key *key, bool built);
/* Adds an entry to the count that is being rebuilt. */
void talkers_shown(struct talkers *talkers, const struct ct_key *key);

/* A dump begins; it failed, its count is discarded; it is complete and takes over. */
void talkers_begin(struct talkers *talkers);
void talkers_drop(struct talkers *talkers);
void talkers_complete(struct talkers *talkers);

/* Once a second: finds the largest keys and writes them to `to`. */
void talkers_second(struct talkers *talkers, struct shm_talkers *to, uint64_t now_ns);

/* How many source addresses are known. */
uint32_t talkers_sources(const struct talkers *talkers);

#endif
