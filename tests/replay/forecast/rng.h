// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Seeded random numbers for the trace generator. Included by the generator
 * and by unit tests only; the same seed gives the same trace on every machine.
 *
 * Generator: splitmix64 (Steele, Lea, Flood 2014). Distributions by inversion,
 * Knuth's product and the normal approximation (Poisson above 60).
 */
#ifndef CONNTIDE_TEST_RNG_H
#define CONNTIDE_TEST_RNG_H

#include <math.h>
#include <stdint.h>

struct rng {
	uint64_t s;
};

static inline uint64_t rng_u64(struct rng *r)
{
	uint64_t z = (r->s += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

/* In (0, 1): never an end, so that logarithms are safe. */
static inline double rng_u(struct rng *r)
{
	return ((double)(rng_u64(r) >> 11) + 0.5) / 9007199254740992.0;
}

static inline double rng_range(struct rng *r, double lo, double hi)
{
	return lo + (hi - lo) * rng_u(r);
}

static inline double rng_log_range(struct rng *r, double lo, double hi)
{
	return lo * pow(hi / lo, rng_u(r));
}

static inline double rng_exp(struct rng *r, double mean)
{
	return -mean * log(rng_u(r));
}

static inline double rng_normal(struct rng *r)
{
	return sqrt(-2.0 * log(rng_u(r))) * cos(6.283185307179586 * rng_u(r));
}

static inline unsigned int rng_below(struct rng *r, unsigned int n)
{
	return n ? (unsigned int)(rng_u64(r) % n) : 0;
}

static inline unsigned int rng_poisson(struct rng *r, double mean)
{
	double limit, p;
	unsigned int n;

	if (mean <= 0.0)
		return 0;
	if (mean > 60.0) {
		double x = floor(mean + sqrt(mean) * rng_normal(r) + 0.5);

		return x > 0.0 ? (unsigned int)x : 0;
	}
	limit = exp(-mean);
	for (n = 0, p = rng_u(r); p > limit; n++)
		p *= rng_u(r);
	return n;
}

#endif
