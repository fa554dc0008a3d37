// SPDX-License-Identifier: GPL-2.0-or-later
/* What a what-if changes; whatif.h says what the words mean. Plain data. */
#ifndef CONNTIDE_ADVICE_CHANGE_H
#define CONNTIDE_ADVICE_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "exporters/advice/whatif_nat.h"
#include "lib/kernel/states.h"

#define WHATIF_CHANGES_MAX 32u

/* nginx reuses an upstream connection so often by default (keepalive_requests). */
#define KEEPALIVE_REQUESTS 1000.0
/* Connections kept idle at least: one a worker of a small proxy. */
#define KEEPALIVE_POOL_MIN 8.0

enum change_kind {
	CHANGE_NOTRACK,
	CHANGE_TIMEOUT,
	CHANGE_MAX,
	CHANGE_BUCKETS,
	CHANGE_RATE,
	CHANGE_KEEPALIVE
};

struct change {
	enum change_kind kind;
	int timeout;   /* enum timeout_id, for CHANGE_TIMEOUT */
	int l4proto;   /* these: notrack, rate, keepalive */
	int direction; /* -1: any */
	int port;
	double value;
};

struct whatif {
	struct change changes[WHATIF_CHANGES_MAX];
	size_t count;
	struct whatif_nat nat;
};

/* Does a change of a port name this row? */
bool change_names(const struct change *change, const struct row_key *key);

#endif
