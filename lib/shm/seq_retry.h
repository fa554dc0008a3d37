// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long a reader of the segment tries. A writer holds a lock for about a
 * microsecond. A reader that meets it several times in a row sleeps, because the writer may have
 * lost its CPU while writing; after 50 ms the writer must have died.
 *
 *	for (int attempt = 0; attempt < SEQ_ATTEMPTS; attempt++, seq_nap_if_due(attempt))
 */
#ifndef CONNTIDE_SHM_SEQ_RETRY_H
#define CONNTIDE_SHM_SEQ_RETRY_H

#include <time.h>

#define SEQ_ATTEMPTS	   5000
#define SEQ_ATTEMPTS_A_NAP 100
#define SEQ_NAP_NS	   1000000

static inline void seq_nap_if_due(int attempt)
{
	const struct timespec nap = {.tv_nsec = SEQ_NAP_NS};

	if (attempt % SEQ_ATTEMPTS_A_NAP == SEQ_ATTEMPTS_A_NAP - 1)
		nanosleep(&nap, NULL);
}

#endif
