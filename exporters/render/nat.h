// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * NAT pools as rows and sentences. Rows name addresses: the caller checks that those may be
 * shown. The summary names none. Pure.
 */
#ifndef CONNTIDE_RENDER_NAT_H
#define CONNTIDE_RENDER_NAT_H

#include "exporters/render/rows.h"
#include "exporters/render/text.h"
#include "lib/shm/snap_nat.h"
#include "lib/shm/snapshot.h"

/* A pool as full as this is HIGH, or CRITICAL. */
#define NAT_HIGH_RATIO	   0.85
#define NAT_CRITICAL_RATIO 0.94

#define NAT_WORDS_BYTES 512u
#define NAT_NAME_BYTES	128u

extern const struct column nat_columns[];
extern const size_t nat_column_count;
extern const struct column_part nat_parts[];

#define NAT_ANY_ZONE (-1)

/* Said where there is no pool at all. */
#define NAT_NONE "No source NAT, and no connections of this host to elsewhere."

/* At most `limit`, 0: all there are; of one zone, or NAT_ANY_ZONE. */
void render_nat(const struct snap_nat *nat, int zone, size_t limit, enum rows_format format,
		struct text *out);

/* "tcp 203.0.113.1 towards 192.0.2.1:443", "icmp 203.0.113.1 towards [2001:db8::1]". */
const char *nat_pool_name(const struct snap_nat_pool *pool, char out[NAT_NAME_BYTES]);

/*
 * The fullest translated pool, without an address, as a sentence without a full stop: "the ports of
 * a pool towards tcp/443 are 94 % held (60,641 of 64,512): 4 % of its new connections fail; a
 * larger table does nothing". "" when nothing is translated.
 */
const char *nat_words(const struct snap_live *live, char out[NAT_WORDS_BYTES]);

#endif
