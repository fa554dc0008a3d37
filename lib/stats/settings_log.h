// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Settings of the kernel as facts with a date: which one changed, from what to what, when.
 * Given all values once a second, it keeps the last SHM_SETTING_CHANGES changes. The first values
 * are not a change, nor is an unknown value (-1): the last known one stays.
 *
 * Two programs that overwrite each other's setting are recognised by back and forth: a change
 * swings when it restores the value that the change before it replaced, SETTINGS_SWING_NS ago at
 * most. The
 * first change of a row counts 1, each that swings one more.
 *
 * Pure: time and values are given. One thread.
 */
#ifndef CONNTIDE_STATS_SETTINGS_LOG_H
#define CONNTIDE_STATS_SETTINGS_LOG_H

#include <stdint.h>

#include "lib/kernel/settings.h"
#include "lib/shm/layout.h"

#define SETTINGS_SWING_NS (UINT64_C(24) * 3600 * 1000000000u)

struct settings_log_one {
	int64_t value;	/* -1: not known yet */
	int64_t before; /* what the last change replaced */
	uint64_t changed_real_ns;
	uint32_t changes;
	uint32_t swings;
	uint32_t rank;
};

struct settings_log {
	struct settings_log_one settings[SETTINGS];
	uint64_t head;
	uint32_t ranked;
};

void settings_log_init(struct settings_log *log);

/* Once a second; writes what changed to the segment. Returns how many changed. */
uint32_t settings_log_second(struct settings_log *log, const int64_t values[SETTINGS],
			     uint64_t now_real_ns, struct shm_settings *to);

#endif
