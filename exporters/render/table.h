// SPDX-License-Identifier: GPL-2.0-or-later
/* The status as a person reads it, in a terminal or through curl. Pure. */
#ifndef CONNTIDE_RENDER_TABLE_H
#define CONNTIDE_RENDER_TABLE_H

#include "exporters/render/services.h"
#include "exporters/render/text.h"
#include "lib/shm/snapshot.h"

/* Fill, trust, and the `ports` largest ports by state (0: no table). */
void table_status(const struct snapshot *snap, const struct services *services, size_t ports,
		  struct text *out);

/* "12 s", "3 min", "2 h", "5 d" into out. */
const char *format_age(uint64_t age_ns, char out[32]);

/* One line for those who only want to know that it works. */
void table_line(const struct snapshot *snap, struct text *out);

#endif
