// SPDX-License-Identifier: GPL-2.0-or-later
/* The datagram protocol of sd_notify(3), without the library. */
#ifndef CONNTIDE_HTTP_TOOLKIT_SYSTEMD_H
#define CONNTIDE_HTTP_TOOLKIT_SYSTEMD_H

#include <stdint.h>

/* Opens NOTIFY_SOCKET if there is one. Before privileges are dropped. */
void notify_open(void);

/* "READY=1", "STOPPING=1", ...; does nothing without a service manager. */
void notify_send(const char *state);

/* How often WATCHDOG=1 is wanted; 0: never. */
uint64_t notify_watchdog_ns(void);

#endif
