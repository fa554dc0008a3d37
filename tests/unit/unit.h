// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What all unit tests use: cmocka with what it wants included before it, and
 * random numbers that repeat. Included by tests/unit and tests/replay only.
 *
 * Randomised tests run a fixed list of seeds, so that a failure is one for
 * everybody; SEED=n in the environment runs that one alone.
 */
#ifndef CONNTIDE_TESTS_UNIT_H
#define CONNTIDE_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNIT_SANITIZED 1
#else
#define UNIT_SANITIZED 0
#endif

#define UNIT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* xorshift64*, Vigna, "An experimental exploration of Marsaglia's xorshift generators". */
struct rng {
	uint64_t at;
};

static inline struct rng rng_seeded(uint64_t seed)
{
	struct rng rng = {seed * UINT64_C(0x9e3779b97f4a7c15) + 1u};

	return rng;
}

static inline uint64_t rng_next(struct rng *rng)
{
	rng->at ^= rng->at >> 12;
	rng->at ^= rng->at << 25;
	rng->at ^= rng->at >> 27;
	return rng->at * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 .. n - 1 */
static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (uint32_t)((rng_next(rng) >> 32) % n);
}

static inline int rng_percent(struct rng *rng, uint32_t percent)
{
	return rng_below(rng, 100) < percent;
}

/* Runs `body` with the seeds 1 .. runs, or with that of the environment. */
static inline void unit_seeds(const char *name, uint64_t runs, void (*body)(uint64_t seed))
{
	const char *only = getenv("SEED");
	uint64_t seed = only ? strtoull(only, NULL, 0) : 1;
	uint64_t last = only ? seed : runs;

	print_message("[ %s: seeds %llu to %llu ]\n", name, (unsigned long long)seed,
		      (unsigned long long)last);
	for (; seed <= last; seed++)
		body(seed);
}

/* Like assert_true(), but says which seed repeats the failure. */
#define assert_seeded(seed, cond)                                                                  \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail_msg("%s, to repeat: SEED=%llu", #cond, (unsigned long long)(seed));   \
	} while (0)

#endif
