// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Settings of the kernel that decide what the table may hold, by name and file: those of
 * settings.def, from 0, and the timeouts, from SETTING_TIMEOUTS. Values are what /proc
 * says; of a range first | last << 16. -1: not known. Pure and total: what is out of
 * range gives NULL.
 */
#ifndef CONNTIDE_KERNEL_SETTINGS_H
#define CONNTIDE_KERNEL_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/kernel/timeouts.h"

enum setting_id {
#define SETTING(id, name, path, kind) SETTING_##id,
#include "lib/kernel/settings.def"
#undef SETTING
	SETTINGS_NAMED,
	SETTING_TIMEOUTS = 16 /* the numbers below are kept for settings to come */
};

#define SETTINGS (SETTING_TIMEOUTS + TIMEOUT_COUNT)

enum setting_kind { SETTING_NUMBER, SETTING_SWITCH, SETTING_RANGE, SETTING_SECONDS };

struct setting_info {
	const char *name; /* the last part of the path */
	const char *path; /* below /proc/sys/net; NULL for timeouts */
	enum setting_kind kind;
};

#define SETTING_VALUE_BYTES 32u

/* False: no setting has that number. */
bool setting_info(unsigned int id, struct setting_info *ret_info);
/* "262144", "32768-60999", "120 s". Returns out. */
const char *setting_value(unsigned int id, int64_t value, char out[SETTING_VALUE_BYTES]);

#endif
