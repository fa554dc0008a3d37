// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The only place where time is read. Everything below the top layer gets "now"
 * as an argument, so that it can be run under a virtual clock.
 *
 * clock_boot_ns()  CLOCK_BOOTTIME: ages, deadlines, heartbeats. It counts through
 *                  suspend and is the same for all processes of one boot.
 * clock_sleep_until_boot_ns()  until that clock shows this; returns at once if it does already.
 * clock_real_ns()  CLOCK_REALTIME: shown to people only; it may jump.
 * clock_cpu_ns()   CPU time used by this process.
 * clock_tick_hz()  CONFIG_HZ: from the resolution of CLOCK_MONOTONIC_COARSE, which is one tick.
 *                  0: not known.
 */
#ifndef CONNTIDE_BASE_CLOCK_H
#define CONNTIDE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

static inline uint64_t clock_read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static inline uint64_t clock_boot_ns(void)
{
	return clock_read_ns(CLOCK_BOOTTIME);
}

static inline void clock_sleep_until_boot_ns(uint64_t until_ns)
{
	const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
				       .tv_nsec = (long)(until_ns % NS_PER_S)};

	clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL);
}

static inline uint64_t clock_real_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

static inline uint64_t clock_cpu_ns(void)
{
	return clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static inline uint32_t clock_tick_hz(void)
{
	struct timespec ts;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts) < 0 || ts.tv_sec || ts.tv_nsec <= 0)
		return 0;
	/* No kernel has HZ above 1200: a finer resolution is not a tick. */
	if (ts.tv_nsec < (long)NS_PER_S / 1300)
		return 0;
	return (uint32_t)(((long)NS_PER_S + ts.tv_nsec / 2) / ts.tv_nsec);
}

#endif
