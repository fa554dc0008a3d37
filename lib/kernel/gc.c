// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/kernel/gc.h"

#include <math.h>
#include <string.h>

/* Entries taken at once, as a share of those seen so far. A tenth of this changes no interval by
 * 0.6 %. */
#define STRIDE 0.01
/* A smaller share of all visits is rounding error: no visits. */
#define NOTHING 1e-9
/* kernel/time/timer.c: 63 jiffies exactly, then steps of 8, each for 8 times as far. */
#define WHEEL_JIFFIES 63.0
#define WHEEL_FACTOR  8.0

/* Walks that meet an entry less often than this while it waits do not matter. */
#define RARE 1e-3

/* A timeout of 0 is treated as this. */
#define LEAST_S 1e-3

#define TICK_HZ_MIN 24u
#define TICK_HZ_MAX 1200u

/* Distribution of the visits by time left, in jiffies; even within each second. */
struct spread {
	double tick_hz;
	double weight[GC_CLAMP_S]; /* share of visits with i whole seconds left */
	unsigned int count;	   /* of weights; the rest is 0 */
	double longer;		   /* share at GC_CLAMP_S */
	double visits;
};

void kernel_gc_init(struct kernel_gc *gc)
{
	memset(gc, 0, sizeof(*gc));
}

/* Adds `per_s` to each second from `from_s` on. */
static void step_at(struct kernel_gc *gc, double from_s, double per_s)
{
	unsigned int second = (unsigned int)from_s;
	double part = from_s - second;

	gc->steps[second] += per_s * (1 - part);
	if (second < GC_CLAMP_S)
		gc->steps[second + 1] += per_s * part;
}

static void add_between(struct kernel_gc *gc, double visits, double from_s, double to_s)
{
	double per_s = visits / (to_s - from_s);
	double below_s = fmin(to_s, GC_CLAMP_S);

	if (from_s >= GC_CLAMP_S) {
		gc->longer += visits;
	} else {
		step_at(gc, from_s, per_s);
		step_at(gc, below_s, -per_s);
		gc->longer += per_s * (to_s - below_s);
	}
	gc->visits += visits;
}

void kernel_gc_add(struct kernel_gc *gc, double entries, double timeout_s)
{
	if (entries > 0 && timeout_s > 0 && isfinite(entries) && isfinite(timeout_s))
		add_between(gc, 2 * entries, 0, fmax(timeout_s, LEAST_S));
}

void kernel_gc_add_left(struct kernel_gc *gc, double entries, double left_s)
{
	double from_s = fmax(left_s - 0.5, 0);

	if (entries > 0 && left_s >= 0 && isfinite(entries) && isfinite(left_s))
		add_between(gc, 2 * entries, from_s, from_s + 1);
}

static void spread_init(struct spread *spread, const struct kernel_gc *gc, unsigned int tick_hz)
{
	double in_second = 0;

	spread->tick_hz = tick_hz;
	spread->visits = gc->visits;
	spread->longer = gc->longer / gc->visits;
	spread->count = 0;
	for (unsigned int i = 0; i < GC_CLAMP_S; i++) {
		in_second += gc->steps[i];
		spread->weight[i] = in_second / gc->visits;
		if (spread->weight[i] > NOTHING)
			spread->count = i + 1;
		else
			spread->weight[i] = 0;
	}
}

/* The integral of trunc(x / met) from 0 to x, for either sign of x. */
static double stairs(double x, double met)
{
	double far = fabs(x);
	double whole = (double)(long long)(far / met);

	return whole * (far - met * (whole + 1) / 2);
}

/* How far one entry moves the mean on average, in jiffies. */
static double expected_step(const struct spread *spread, double mean, double met)
{
	double hz = spread->tick_hz;
	double low = stairs(hz * GC_MIN_S - mean, met);
	/* Less than a second counts as one. */
	double sum = spread->count ? spread->weight[0] * trunc((hz - mean) / met) : 0;

	for (unsigned int i = 1; i < spread->count; i++) {
		double high = stairs(hz * (i + 1) - mean, met);

		sum += spread->weight[i] * (high - low) / hz;
		low = high;
	}
	return sum + spread->longer * trunc((hz * GC_CLAMP_S - mean) / met);
}

/* The mean at the end of a round. Once no entry is far enough from the mean to move it, the
 * rest of the round changes nothing. */
static double running_mean(const struct spread *spread)
{
	double mean = GC_MAX_S * spread->tick_hz;
	double met = GC_BIAS_VISITS;
	double end = fmin(met + spread->visits, GC_CLAMP_S * spread->tick_hz);

	while (met < end) {
		double stride = fmin(fmax(met * STRIDE, 1), end - met);
		double middle = met + (stride + 1) / 2;
		double half = expected_step(spread, mean, middle) * stride / 2;

		mean += expected_step(spread, mean + half, middle) * stride;
		met += stride;
	}
	return mean;
}

static unsigned int tick_rate(unsigned int tick_hz)
{
	return tick_hz >= TICK_HZ_MIN && tick_hz <= TICK_HZ_MAX ? tick_hz : GC_TICK_HZ;
}

double kernel_gc_mean_s(const struct kernel_gc *gc, unsigned int tick_hz)
{
	struct spread spread;

	if (!(gc->visits > 0))
		return GC_MAX_S;
	spread_init(&spread, gc, tick_rate(tick_hz));
	return fmin(fmax(running_mean(&spread) / spread.tick_hz, GC_MIN_S), GC_MAX_S);
}

/* A round starts when the timer fired, so already on a multiple, plus one jiffy. */
double kernel_gc_timer_s(double wait_s, unsigned int tick_hz)
{
	double hz = tick_rate(tick_hz);
	double wait = wait_s * hz;
	double step = 1;

	for (double from = WHEEL_JIFFIES; wait >= from; from *= WHEEL_FACTOR)
		step *= WHEEL_FACTOR;
	return (floor((wait - 1) / step) + 1) * step / hz;
}

double kernel_gc_interval_s(const struct kernel_gc *gc, unsigned int tick_hz)
{
	return kernel_gc_timer_s(kernel_gc_mean_s(gc, tick_hz), tick_hz);
}

double kernel_gc_walks_per_s(double own_per_s, const struct gc_packets *packets)
{
	return sqrt(own_per_s * (own_per_s + packets->others_per_s));
}

double kernel_gc_interval_among_s(double interval_s, const struct gc_packets *packets)
{
	double share = packets->others_per_s / (packets->own_per_s + packets->others_per_s);

	return packets->others_per_s > 0 ? interval_s * pow(GC_ROUND_MAX_S / interval_s, share / 2)
					 : interval_s;
}

double kernel_gc_met_per_s(const struct gc_lookups *lookups)
{
	return lookups->buckets > 0 ? 2 * lookups->walks_per_s / lookups->buckets : 0;
}

/* The integral of t^power e^(-t) from 0 to x, for a power of 0 to 2. */
static double gamma_below(unsigned int power, double x)
{
	double rest = power == 0 ? 1 : power == 1 ? 1 + x : 2 + 2 * x + x * x;

	return (power == 2 ? 2 : 1) - exp(-x) * rest;
}

double kernel_gc_lag_s(double interval_s, const struct gc_lookups *lookups)
{
	double met_per_s = kernel_gc_met_per_s(lookups);
	double round_s = lookups->round_s > 0 ? lookups->round_s : (double)INFINITY;
	double most_s = fmin(interval_s, round_s), x = met_per_s * most_s;
	/* Still there after t: (1 - t/interval) (1 - t/round) e^(-met t). */
	double one = 1 / interval_s + 1 / round_s, two = 1 / interval_s / round_s;

	if (!(x > RARE))
		return most_s * (1 - most_s * (one / 2 - most_s * two / 3));
	return (gamma_below(0, x) - one / met_per_s * gamma_below(1, x) +
		two / (met_per_s * met_per_s) * gamma_below(2, x)) /
	       met_per_s;
}
