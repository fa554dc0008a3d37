// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What ends a program, or makes it read its files again, as something to wait for: SIGINT,
 * SIGTERM and SIGHUP are blocked and read from a descriptor, see signalfd(2).
 *
 * Hold them before others see a file or a port of the program: from then on it is to end as one
 * that runs.
 *
 * Threads: those made afterwards inherit the mask.
 */
#ifndef CONNTIDE_BASE_SIGNALS_H
#define CONNTIDE_BASE_SIGNALS_H

#include <signal.h>

/* Blocks them; *ret_signals: which. */
void signals_hold(sigset_t *ret_signals);

/* The same, with a descriptor, closed on exec, that does not block; the caller's. Or -errno. */
int signals_open(void);

/* The number of the next one that has come; 0: none waits. */
int signals_take(int fd);

#endif
