// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What to type first in a table that is full, or nearly: what helps at once, each with how
 * long it lasts at the rate at which entries come now. What lasts longest comes first.
 *
 *	size		a larger limit: until that is full, too (advice.c makes it)
 *	block-source	no new entries of one host, where one is the cause, and none of
 *			those that it has
 *	delete-...	entries that nobody needs any more, with conntrack -D: closed and half
 *			open ones of the largest cells, and UDP that nobody has answered;
 *			until as many have come again
 *
 * Pure.
 */
#ifndef CONNTIDE_ADVICE_RELIEF_H
#define CONNTIDE_ADVICE_RELIEF_H

#include "exporters/advice/maker.h"

/* Is it urgent: the table full or nearly, or foreseen to be within minutes? */
bool relief_wanted(const struct why *why);

/* Does relief block the source of that finding? */
bool relief_blocks(const struct why *why, const struct finding *finding);

/* Seconds until `entries` more have come, at the rate of the last minute or, where that is more, of
 * the present losses, without `share` of what comes; infinite: never. NaN: not known. */
double relief_lasts_s(const struct why *why, double entries, double share);

/* Adds items. */
void relief_add(struct maker *maker);

#endif
