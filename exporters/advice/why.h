// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Why the table is as full as it is: what holds it now, what grew, and which of the
 * known patterns that is, each with the figures it rests on.
 *
 * Patterns are in one table (patterns.c), one function each; docs/patterns.md tells
 * what each looks like, its thresholds and what to do. A pattern needs a minimum
 * number of entries and a minimum share, so that a small or a mixed table has none. Its
 * confidence:
 *	SURE	  the figures leave no other reading that is known
 *	LIKELY	  they fit, and something that would settle it is not known
 *	NOT_SURE  they fit this and other things; `unsure` says what
 * `urgent` is about the table, not about the pattern: nearly full, or losing packets.
 *
 * Addresses of hosts are in the result, and are shown only by those who may: see
 * why_text() and why_json().
 *
 * Pure; the clock is the snapshot's. Ownership: struct why holds no memory; snapshot
 * and details must live as long.
 */
#ifndef CONNTIDE_ADVICE_WHY_H
#define CONNTIDE_ADVICE_WHY_H

#include <stdbool.h>
#include <stddef.h>

#include "exporters/advice/findings.h"
#include "exporters/render/rows.h"
#include "exporters/render/services.h"
#include "exporters/render/text.h"

void why_look(const struct snapshot *snap, const struct snap_detail *details,
	      const struct model *model, struct why *why);

extern const struct column why_columns[];
extern const size_t why_column_count;

/* Renderings. `hosts`: addresses may be shown; else it is said how to get them. */
void why_text(const struct why *why, const struct services *services, bool hosts, struct text *out);
void why_json(const struct why *why, const struct services *services, bool hosts, struct text *out);

#endif
