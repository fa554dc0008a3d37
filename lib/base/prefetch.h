// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * prefetch(): starts to load the cache line of an address; any address is allowed, even one that
 * cannot be read. prefetch_write(): to be written soon.
 *
 * gcc treats a function that only prefetches as one without effect and drops its calls; the empty
 * asm statement keeps them (tested by tests/bench/test_instructions.py).
 */
#ifndef CONNTIDE_BASE_PREFETCH_H
#define CONNTIDE_BASE_PREFETCH_H

static inline void prefetch(const void *at)
{
	__builtin_prefetch(at);
	__asm__ volatile("");
}

static inline void prefetch_write(const void *at)
{
	__builtin_prefetch(at, 1);
	__asm__ volatile("");
}

#endif
