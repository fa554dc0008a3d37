// SPDX-License-Identifier: GPL-2.0-or-later
/* What a rendering for people begins with: warnings first, then how full the table is. Pure. */
#ifndef CONNTIDE_RENDER_HEAD_H
#define CONNTIDE_RENDER_HEAD_H

#include "exporters/render/text.h"
#include "lib/shm/snapshot.h"

/* Warnings that come before any number: a rehearsal, an agent that does not run. A line for each;
 * nothing when all is well. */
void head_banner(const struct snapshot *snap, struct text *out);

/* "1240 of 4096 entries, 30.3 % full"; names the limit where it is not nf_conntrack_max. */
void head_fill(const struct snapshot *snap, struct text *out);

#endif
