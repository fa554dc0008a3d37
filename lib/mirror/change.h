// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the mirror tells of each entry that appears, changes its cell or goes: one struct
 * through one hook, for statistics (lib/stats, lib/forecast). The mirror
 * takes nothing back but the two fields marked as out, and never looks at what becomes
 * of the rest.
 *
 * The hook is borrowed by the mirror (struct mirror, `hook`) and must outlive it. Its
 * functions are called in the mirror's thread, once per event or record: O(1), no
 * allocation, no system call. All three must be set.
 */
#ifndef CONNTIDE_MIRROR_CHANGE_H
#define CONNTIDE_MIRROR_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"
#include "lib/mirror/flow_table.h"

/* One change of one entry. */
struct entry_change {
	uint64_t now_ns;
	const struct flow *flow;      /* as it was before; for one that appeared: as it is */
	uint32_t table_entries;	      /* in the mirror */
	uint32_t from_cell;	      /* CELL_INVALID: it appeared */
	uint32_t to_cell;	      /* CELL_INVALID: it went */
	bool found;		      /* it appeared in the mirror, but was in the table before */
	const struct ct_key *key;     /* NULL: not known (swept) */
	const struct ct_event *event; /* what reported it; NULL: nothing did (swept, replaced) */
	/* Out: since when it has been in to_cell, in ticks; and whether that is known. */
	uint32_t since;
	bool since_known;
};

enum entry_dump {
	ENTRY_DUMP_BEGINS,
	ENTRY_DUMP_FAILS, /* it will sweep nothing */
	ENTRY_DUMP_ENDS	  /* entries that it did not show are swept */
};

struct entry_hook {
	void (*changed)(struct entry_hook *hook, struct entry_change *change);
	/* An event or a record of a dump showed an entry whose FLOW_COUNTED differs from
	 * counted_flag; the mirror sets it after the call. The cell is that of now. */
	void (*shown)(struct entry_hook *hook, const struct flow *flow,
		      const struct ct_event *event);
	void (*dump)(struct entry_hook *hook, enum entry_dump step);
	/* FLOW_COUNTED or 0: what the flag of an entry is once it was counted. Changed by
	 * the hook's owner, when a dump begins a new count or its count is thrown away. */
	uint32_t counted_flag;
};

#endif
