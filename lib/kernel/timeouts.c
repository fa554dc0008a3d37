// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/kernel/timeouts.h"

#include <stddef.h>
#include <string.h>

#include "lib/kernel/states.h"

static const struct timeout_info infos[TIMEOUT_COUNT] = {
#define TIMEOUT(id, l4proto, name, sysctl, default_s) {name, sysctl, default_s, L4_##l4proto},
#include "lib/kernel/timeouts.def"
#undef TIMEOUT
};

/* One more than the timeout; 0: none. */
static const uint8_t by_state[L4_COUNT][STATE_SLOTS_MAX] = {
#define TIMEOUT_STATE(l4proto, cls, state, id)                                                     \
	[L4_##l4proto][ST_##cls##_##state] = TIMEOUT_##id + 1,
#include "lib/kernel/timeouts.def"
#undef TIMEOUT_STATE
};

const struct timeout_info *timeout_info(unsigned int id)
{
	return id < TIMEOUT_COUNT ? &infos[id] : NULL;
}

int timeout_by_name(const char *name)
{
	for (int i = 0; i < TIMEOUT_COUNT; i++)
		if (!strcmp(infos[i].name, name))
			return i;
	return -1;
}

int timeout_of_state(unsigned int l4proto, unsigned int state)
{
	return l4proto < L4_COUNT && state < STATE_SLOTS_MAX ? by_state[l4proto][state] - 1 : -1;
}
