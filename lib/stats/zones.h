// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entries by conntrack zone (of the original direction), all 65,536 of them.
 *
 * The mirror keeps no zone, so entries that a resync finds gone cannot be subtracted: each
 * dump rebuilds a second count, which then replaces the first, as in talkers.h. Until then
 * up to `unsubtracted` entries of all zones are counted too many.
 *
 * O(1) an entry; 512 KiB, of which only the pages of zones in use are touched. No
 * allocation after creation. One thread. Errors: -ENOMEM.
 */
#ifndef CONNTIDE_STATS_ZONES_H
#define CONNTIDE_STATS_ZONES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/shm/layout.h"

#define ZONES 65536u

struct zones {
	uint32_t *entries[2];
	uint32_t unsubtracted[2];
	uint32_t end; /* no zone from here on was ever seen */
	unsigned int shown;
	bool building; /* the other count is being rebuilt */
};

int zones_create(struct zones *zones);
void zones_destroy(struct zones *zones);

void zones_appeared(struct zones *zones, uint16_t zone);
/* `built`: it is in the count that is being rebuilt, if any. */
void zones_went(struct zones *zones, uint16_t zone, bool built);
/* As above, of an entry whose zone is not known. */
void zones_lost(struct zones *zones, bool built);
/* Adds an entry to the count that is being rebuilt. */
void zones_shown(struct zones *zones, uint16_t zone);

/* A dump begins; it failed, its count is discarded; it is complete and takes over. */
void zones_begin(struct zones *zones);
void zones_drop(struct zones *zones);
void zones_complete(struct zones *zones);

/* Once a second: the largest to `to`. */
void zones_second(const struct zones *zones, struct shm_zones *to);

#endif
