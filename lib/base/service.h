// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a service manager and this process tell each other: sd_notify(3), sd_listen_fds(3) and
 * sd_pid_notify_with_fds(3), without the library. Without a service manager all do nothing.
 *
 * Before privileges are dropped: service_open(). One thread.
 */
#ifndef CONNTIDE_BASE_SERVICE_H
#define CONNTIDE_BASE_SERVICE_H

#include <stdint.h>

#define SERVICE_FDS_START 3
#define SERVICE_FDS_MAX	  64u

/* Opens NOTIFY_SOCKET if there is one. */
void service_open(void);
void service_close(void);

/* "READY=1", "STOPPING=1", "STATUS=...": lines. */
void service_notify(const char *state);

/*
 * Gives a copy of the descriptor to the service manager, which passes it to the next process of
 * this service under that name: after a restart, whatever the reason, not after a stop. FDPOLL=0:
 * an error on it, as after an overrun, is no reason to forget it.
 */
void service_store(const char *name, int fd);

/* How often WATCHDOG=1 is wanted; 0: never. */
uint64_t service_watchdog_ns(void);

/*
 * How many descriptors were passed, from SERVICE_FDS_START on; they are closed on exec. Read
 * once: later calls, and children, find none.
 */
unsigned int service_take_fds(void);

/* The same, for who wants one by its name and no other: that one, or -1. */
int service_take_fd(const char *name);

#endif
