// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What tests say and ask of a world (lib/mirror/mirror_offline.h), the mirror without a kernel.
 * Included by tests/unit and tests/replay only.
 */
#ifndef CONNTIDE_TESTS_OFFLINE_H
#define CONNTIDE_TESTS_OFFLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mirror/mirror_offline.h"

/* Sum of all cells of active rows. */
uint64_t offline_cells(const struct histogram *hist);

/*
 * Everything the mirror counts, counted again from its records: entries, silent,
 * unassured, unknown, and each record's cell. NULL, or what does not agree.
 */
const char *offline_disagrees(struct mirror_offline *offline);

/* What a test wants to tell of an entry; the rest of a message follows from it. */
struct told {
	enum ct_kind kind;
	uint32_t number; /* of the tuple: another one, another entry */
	uint32_t id;
	uint8_t l4num;
	uint32_t status;
	int state; /* of PROTOINFO; -1: none in the message */
};

struct ct_event offline_event(struct told told);

#endif
