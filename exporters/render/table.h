// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The status as a person reads it, in a terminal or through curl: the network before the tool.
 * Lines have 80 characters at most, but for those with reasons. Pure.
 */
#ifndef CONNTIDE_RENDER_TABLE_H
#define CONNTIDE_RENDER_TABLE_H

#include "exporters/render/services.h"
#include "exporters/render/text.h"
#include "lib/shm/snapshot.h"

/* A largest count, and when it was. */
struct table_peak {
	uint32_t entries;
	uint64_t real_ns; /* 0: not known */
};

struct table_wanted {
	const struct services *services;
	struct table_peak hour, day;
	size_t top;   /* so many ports in a line each */
	size_t ports; /* so many as a table behind all else */
	bool verbose; /* with what concerns conntide itself */
};

/* The largest sample not older than `seconds`. */
struct table_peak table_peak_of(const struct snap_history *history, uint64_t now_real_ns,
				uint64_t seconds);

void table_status(const struct snapshot *snap, const struct table_wanted *wanted, struct text *out);

/* One line for those who only want to know that it works. */
void table_line(const struct snapshot *snap, struct text *out);

#endif
