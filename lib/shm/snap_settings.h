// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes of the kernel's settings as a reader sees them: a checked copy of struct
 * shm_settings. Part of struct snapshot. Pure.
 */
#ifndef CONNTIDE_SHM_SNAP_SETTINGS_H
#define CONNTIDE_SHM_SNAP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/kernel/settings.h"
#include "lib/shm/layout.h"

/* Changes in a row between the same two values at which two writers are suspected: there,
 * back, and there again. */
#define SETTING_SWINGS 3u

struct snap_setting_change {
	uint64_t real_ns;
	int64_t before;
	int64_t after;
	uint32_t setting; /* setting_info() knows it */
	uint32_t swings;
};

struct snap_setting {
	uint64_t changed_real_ns;
	uint32_t changes; /* since the agent started */
	uint32_t rank;	  /* settings in the order in which they first changed, from 1 */
};

struct snap_settings {
	uint32_t count;
	struct snap_setting_change changes[SHM_SETTING_CHANGES]; /* newest first */
	struct snap_setting settings[SETTINGS];
};

/* From a mapped section, under shm_guarded(). *settings is zero, or a whole copy. */
void snap_settings_copy(const struct shm_settings *from, struct snap_settings *settings);

#endif
