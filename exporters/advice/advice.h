// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What would help here: remedies for the patterns that were found and for a table that
 * is short, each with what it saves on this host, what it costs, the exact commands and
 * what must be known before. Nothing is ever applied.
 *
 * What a remedy saves is computed by the what-if of the same change (`whatif` holds its
 * words), so that both say the same; where there is no such what-if (`whatif` is empty:
 * one host, a scan) it is what the pattern holds now. Order: in a table that is nearly full
 * what helps at once (relief.h); then what is lost now; then
 * saves_ratio weighted by merit: removing the cause before shortening timeouts or not
 * tracking, and those before a larger table, which saves nothing.
 *
 * A healthy table gets one item, "nothing-to-do", with the figures.
 *
 * Pure. Ownership: struct advice holds no memory; why and model must live as long.
 */
#ifndef CONNTIDE_ADVICE_ADVICE_H
#define CONNTIDE_ADVICE_ADVICE_H

#include "exporters/advice/advice_item.h"
#include "exporters/render/rows.h"

/* 0 or -ENOMEM. */
int advice_make(const struct why *why, struct advice *advice);

/* SOURCE in the commands becomes the address, where one source is the cause. For those who may
 * see addresses; others are told where to look. */
void advice_name_hosts(struct advice *advice);

const char *tool_name(enum tool tool);

extern const struct column advice_columns[];
extern const size_t advice_column_count;

/* Is there anything to say of what it saves; and that, in clauses with `between` them. */
bool advice_has_savings(const struct advice_item *item);
void advice_savings_text(const struct advice_item *item, const char *between, struct text *out);

void advice_text(const struct advice *advice, struct text *out);
void advice_json(const struct advice *advice, struct text *out);

#endif
