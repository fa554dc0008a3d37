// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of segment-fixture that write timeouts, details, talkers and frames.
 *
 *	timeout NAME SECONDS		a name of timeouts.def
 *	stays L4PROTO DIRECTION PORT STATE|whole|tail N SECONDS
 *	ends L4PROTO DIRECTION PORT EXPIRED CLOSED EVICTED DELETED UNSEEN
 *	talker KIND ADDRESS ENTRIES ERROR MORE [L4PROTO PORT]
 *	tracked KIND KEYS
 *	nat tcp|udp ADDRESS REMOTE PORT CLIENT USED CLOSING SIZE LIKELY_MS	a source NAT pool
 *	zone-cell ZONE L4PROTO DIRECTION PORT STATE ENTRIES
 *	zones-unlisted ZONE ENTRIES	those of one zone that is listed
 *	frame minutes|hour COUNT MAX SOURCES	a new one, of now
 *	frame-row L4PROTO DIRECTION PORT ENTRIES NEW DESTROYED	of that frame
 *	frame-cell L4PROTO DIRECTION PORT STATE ENTRIES
 *	frame-lost DROPS CHAINTOOLONG INSERT_FAILED FOUND
 *	frames N			that frame N times more, up to now
 *	hang-talkers			a writer that died inside a write
 */
#ifndef CONNTIDE_TESTS_FIXTURE_DETAIL_H
#define CONNTIDE_TESTS_FIXTURE_DETAIL_H

#include <stdbool.h>

#include "lib/shm/layout.h"

struct fixture_detail {
	_Atomic uint32_t *timeouts;
	struct shm_detail *details;
	struct shm_talkers *talkers;
	struct shm_nat *nat;
	struct shm_zone_cells *zone_cells;
	struct shm_table_log *frames[2]; /* minutes, hour */
};

/* As an agent leaves them that has just started. */
void detail_init(struct fixture_detail *details);
/* False: no command of these. */
bool detail_command(const char *line, struct fixture_detail *details);

#endif
