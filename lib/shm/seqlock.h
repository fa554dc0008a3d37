// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All memory ordering of the segment. Nothing outside this file (and the few
 * named in tests/lint/layers.py) uses an order other than relaxed.
 *
 * One writer, any number of readers in other processes; readers write nothing.
 * After Boehm, "Can seqlocks get along with programming language memory
 * models?" (2012): the data words are themselves relaxed atomics, so a torn read
 * is detected and never undefined. The counter is odd while a write is going on.
 *
 *	writer				reader
 *	seq_write_begin(&seq)		if (!seq_read_begin(&seq, &at)) try again
 *	relaxed stores			relaxed loads
 *	seq_write_end(&seq)		if (!seq_read_valid(&seq, at)) try again
 *
 * A reader must bound its retries: a writer killed inside a write leaves the
 * counter odd for ever.
 */
#ifndef CONNTIDE_SHM_SEQLOCK_H
#define CONNTIDE_SHM_SEQLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static inline void seq_write_begin(_Atomic uint64_t *seq)
{
	uint64_t at = atomic_load_explicit(seq, memory_order_relaxed);

	atomic_store_explicit(seq, at | 1u, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static inline void seq_write_end(_Atomic uint64_t *seq)
{
	uint64_t at = atomic_load_explicit(seq, memory_order_relaxed);

	atomic_store_explicit(seq, (at | 1u) + 1u, memory_order_release);
}

static inline bool seq_read_begin(const _Atomic uint64_t *seq, uint64_t *ret_at)
{
	*ret_at = atomic_load_explicit(seq, memory_order_acquire);
	return (*ret_at & 1u) == 0;
}

static inline bool seq_read_valid(const _Atomic uint64_t *seq, uint64_t at)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(seq, memory_order_relaxed) == at;
}

/*
 * The same with 32 bits, for slots and details that change hands: the generation is odd
 * meanwhile. Counts under one generation are relaxed and move on while they are read.
 */
static inline void hand_over_begin(_Atomic uint32_t *generation)
{
	uint32_t at = atomic_load_explicit(generation, memory_order_relaxed);

	atomic_store_explicit(generation, at | 1u, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static inline void hand_over_end(_Atomic uint32_t *generation)
{
	uint32_t at = atomic_load_explicit(generation, memory_order_relaxed);

	atomic_store_explicit(generation, (at | 1u) + 1u, memory_order_release);
}

static inline bool hand_read_begin(const _Atomic uint32_t *generation, uint32_t *ret_at)
{
	*ret_at = atomic_load_explicit(generation, memory_order_acquire);
	return (*ret_at & 1u) == 0;
}

static inline bool hand_read_valid(const _Atomic uint32_t *generation, uint32_t at)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(generation, memory_order_relaxed) == at;
}

/* A word that publishes what was stored before it: ring heads, the ready word. */
static inline void publish_u64(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

/* The fence keeps later stores from being seen before the word. */
static inline void publish_i64(_Atomic int64_t *word, int64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
	atomic_thread_fence(memory_order_release);
}

/* A word, read after everything read so far. */
static inline int64_t reobserve_i64(const _Atomic int64_t *word)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline uint64_t observe_u64(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

/* Reads it again, after relaxed loads of what it guards: they stay before it. */
static inline uint64_t reobserve_u64(const _Atomic uint64_t *word)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline uint64_t peek_u64(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline int64_t peek_i64(const _Atomic int64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline uint32_t peek_u32(const _Atomic uint32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline int32_t peek_i32(const _Atomic int32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* Single writer: a plain load and store, no locked instruction. */
static inline void poke_u64(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline void poke_u32(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline void poke_i32(_Atomic int32_t *word, int32_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline void poke_i64(_Atomic int64_t *word, int64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline void bump_u64(_Atomic uint64_t *word, uint64_t by)
{
	poke_u64(word, peek_u64(word) + by);
}

#endif
