// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What must be said with a change before anybody makes it: once, for what-if and
 * advice alike. A set of them is a bit mask. Pure.
 */
#ifndef CONNTIDE_ADVICE_WARNINGS_H
#define CONNTIDE_ADVICE_WARNINGS_H

#include <stdint.h>

enum warning {
	WARN_NAT,
	WARN_NAT_LATER,
	WARN_BOTH_DIRECTIONS,
	WARN_STATEFUL_RULES,
	WARN_NOT_RETROACTIVE,
	WARN_REBOOT,
	WARN_BOOT_ORDER,
	WARN_KUBE_PROXY,
	WARN_HASH_SMALL,
	WARN_INITIAL_NETNS,
	WARN_UNLIMITED,
	WARN_SHRINK,
	WARN_REHASH,
	WARN_IDLE_CUT,
	WARN_LATE_SEGMENTS,
	WARN_LATE_ANSWERS,
	WARN_CUTS_OFF,
	WARN_AT_MOST,
	WARN_UNSEEN_TIMEOUT,
	WARN_POLICY,
	WARN_NOTHING_THERE,
	WARN_KEEPALIVE_LEG,
	WARN_TOO_SMALL,
	WARN_GUESS,
	WARN_NO_RATES,
	WARN_STALE,
	WARN_COUNT
};

#define WARN(warning) (UINT32_C(1) << WARN_##warning)

/* A sentence. */
const char *warning_text(enum warning warning);

#endif
