// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is known of a row's entries that decides which remedies do harm there: counted by
 * the agent (snap_ages.h). What is not known is taken for harmful. Pure.
 */
#ifndef CONNTIDE_ADVICE_FACTS_H
#define CONNTIDE_ADVICE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/shm/snap_detail.h"
#include "lib/shm/snapshot.h"

/* FAMILY_* of the table's entries, or of a row's where it is known; all where nothing is. */
uint32_t facts_families(const struct snapshot *snap, const struct snap_detail *details,
			const struct row_key *key);

/*
 * May the row's packets pass by conntrack? Not where any of its entries is translated (the
 * packets would go untranslated, and every client is cut off), has a helper (which opens
 * the port of the data), is in a zone (the rule does not tell zones apart), or is
 * offloaded to a flowtable.
 */
bool facts_notrack_harmless(const struct snapshot *snap, const struct snap_detail *details,
			    const struct row_key *key);

/* None of the row's entries is translated. */
bool facts_not_translated(const struct snapshot *snap, const struct snap_detail *details,
			  const struct row_key *key);

/* None of the row's entries is offloaded to a flowtable. */
bool facts_not_offloaded(const struct snapshot *snap, const struct row_key *key);

/* Most of the row's entries have a connection-tracking helper. */
bool facts_helped(const struct snapshot *snap, const struct snap_detail *details,
		  const struct row_key *key);

#endif
