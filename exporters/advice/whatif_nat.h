// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What if: of the fullest NAT pool, with more outside addresses or another range of ports.
 *
 *	nat.addresses=2		so many in place of one; what is new is spread evenly
 *	nat.ports=1024-65535	this range in place of the one there is
 *
 * The load is that of now: the ports held, and those that failed and would be held. For
 * once its entries are spread, which takes as long as they live. Pure.
 */
#ifndef CONNTIDE_ADVICE_WHATIF_NAT_H
#define CONNTIDE_ADVICE_WHATIF_NAT_H

#include "exporters/render/json.h"
#include "exporters/render/text.h"
#include "lib/kernel/nat_ports.h"
#include "lib/shm/snapshot.h"

#define WHATIF_NAT_ADDRESSES_MAX 1024u

struct whatif_nat {
	uint32_t addresses;	     /* 0: not asked */
	struct nat_port_range ports; /* {0, 0}: not asked */
};

struct whatif_nat_result {
	bool known;  /* something is translated */
	double held; /* of one pool, as all of these */
	double size;
	double failing_share;
	double held_then;
	double size_then;
	double failing_share_then;
};

/* "nat.addresses", "nat.ports". */
bool whatif_nat_is_key(const char *key);
/* 0, or -EINVAL with a sentence of at most `bytes` in `why`. */
int whatif_nat_add(struct whatif_nat *nat, const char *key, const char *value, char *why,
		   size_t bytes);
bool whatif_nat_asked(const struct whatif_nat *nat);

struct whatif_nat_result whatif_nat_run(const struct whatif_nat *nat, const struct snap_live *live);

/* The changes as they were asked for, each with a blank before it; and what comes of them. */
void whatif_nat_changes(const struct whatif_nat *nat, struct text *out);
void whatif_nat_text(const struct whatif_nat *nat, const struct snap_live *live, struct text *out);
/* Strings of an open array; the field "nat", null where it was not asked. */
void whatif_nat_json_changes(const struct whatif_nat *nat, struct json *json);
void whatif_nat_json(const struct whatif_nat *nat, const struct snap_live *live, struct json *json);

#endif
