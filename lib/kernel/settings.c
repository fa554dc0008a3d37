// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/kernel/settings.h"

#include <inttypes.h>
#include <stdio.h>

_Static_assert((int)SETTINGS_NAMED <= (int)SETTING_TIMEOUTS, "move the timeouts");

static const struct setting_info named[SETTINGS_NAMED] = {
#define SETTING(id, name, path, kind) [SETTING_##id] = {name, path, SETTING_##kind},
#include "lib/kernel/settings.def"
#undef SETTING
};

bool setting_info(unsigned int id, struct setting_info *ret_info)
{
	const struct timeout_info *timeout = NULL;

	if (id < SETTINGS_NAMED)
		*ret_info = named[id];
	else if (id >= SETTING_TIMEOUTS)
		timeout = timeout_info(id - SETTING_TIMEOUTS);
	if (timeout)
		*ret_info = (struct setting_info){timeout->sysctl, NULL, SETTING_SECONDS};
	return id < SETTINGS_NAMED || timeout;
}

const char *setting_value(unsigned int id, int64_t value, char out[SETTING_VALUE_BYTES])
{
	struct setting_info info = {"", NULL, SETTING_NUMBER};

	setting_info(id, &info);
	if (info.kind == SETTING_RANGE)
		snprintf(out, SETTING_VALUE_BYTES, "%u-%u", (unsigned int)(value & 0xffff),
			 (unsigned int)(value >> 16 & 0xffff));
	else
		snprintf(out, SETTING_VALUE_BYTES, "%" PRId64 "%s", value,
			 info.kind == SETTING_SECONDS ? " s" : "");
	return out;
}
