// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * prefetch(): brings the line of an address into the cache, and goes on; any address will
 * do, also one that cannot be read. prefetch_write(): to be written soon.
 *
 * gcc takes a function that does nothing but prefetch for one that does nothing, and
 * leaves out its calls; the empty statement is an effect, so they stay. That they do is
 * tested (tests/bench/test_instructions.py).
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
