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

/* One line for those who only want to know that it works. */
void table_line(const struct snapshot *snap, struct text *out);

#endif
