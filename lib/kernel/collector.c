// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/kernel/collector.h"

#include <math.h>
#include <string.h>

/* Of the number met so far: so many at once. A tenth of it changes no interval by 0.6 %. */
#define STRIDE 0.01
/* A share of all visits as small as this is what differences of doubles leave of none. */
#define NOTHING 1e-9
/* kernel/time/timer.c: 63 jiffies exactly, then steps of 8, each for 8 times as far. */
#define WHEEL_JIFFIES 63.0
#define WHEEL_FACTOR  8.0

/* What is over at once is over within a thousandth of a second. */
#define LEAST_S 1e-3

#define TICK_HZ_MIN 24u
#define TICK_HZ_MAX 1200u

/* How the visits are spread, in jiffies. Between two edges evenly. */
struct spread {
	double tick_hz;
	double weight[COLLECTOR_CLAMP_S]; /* share of visits with so many whole seconds left */
	unsigned int count;		  /* of weights; the rest is 0 */
	double longer;			  /* share at COLLECTOR_CLAMP_S */
	double visits;
};

void collector_init(struct collector *collector)
{
	memset(collector, 0, sizeof(*collector));
}

/* `per_s` in each second from `from_s` on. */
static void step_at(struct collector *collector, double from_s, double per_s)
{
	unsigned int second = (unsigned int)from_s;
	double part = from_s - second;

	collector->steps[second] += per_s * (1 - part);
	if (second < COLLECTOR_CLAMP_S)
		collector->steps[second + 1] += per_s * part;
}

static void add_between(struct collector *collector, double visits, double from_s, double to_s)
{
	double per_s = visits / (to_s - from_s);
	double below_s = fmin(to_s, COLLECTOR_CLAMP_S);

	if (from_s >= COLLECTOR_CLAMP_S) {
		collector->longer += visits;
	} else {
		step_at(collector, from_s, per_s);
		step_at(collector, below_s, -per_s);
		collector->longer += per_s * (to_s - below_s);
	}
	collector->visits += visits;
}

void collector_add(struct collector *collector, double entries, double timeout_s)
{
	if (entries > 0 && timeout_s > 0 && isfinite(entries) && isfinite(timeout_s))
		add_between(collector, 2 * entries, 0, fmax(timeout_s, LEAST_S));
}

void collector_add_left(struct collector *collector, double entries, double left_s)
{
	double from_s = fmax(left_s - 0.5, 0);

	if (entries > 0 && left_s >= 0 && isfinite(entries) && isfinite(left_s))
		add_between(collector, 2 * entries, from_s, from_s + 1);
}

static void spread_init(struct spread *spread, const struct collector *collector,
			unsigned int tick_hz)
{
	double in_second = 0;

	spread->tick_hz = tick_hz;
	spread->visits = collector->visits;
	spread->longer = collector->longer / collector->visits;
	spread->count = 0;
	for (unsigned int i = 0; i < COLLECTOR_CLAMP_S; i++) {
		in_second += collector->steps[i];
		spread->weight[i] = in_second / collector->visits;
		if (spread->weight[i] > NOTHING)
			spread->count = i + 1;
		else
			spread->weight[i] = 0;
	}
}

/* The integral of trunc(x / met) from 0 to `x`, whatever its sign: stairs are added up. */
static double stairs(double x, double met)
{
	double far = fabs(x);
	double whole = (double)(long long)(far / met);

	return whole * (far - met * (whole + 1) / 2);
}

/* What an entry moves the mean by, on average; jiffies. */
static double expected_step(const struct spread *spread, double mean, double met)
{
	double hz = spread->tick_hz;
	double low = stairs(hz * COLLECTOR_MIN_S - mean, met);
	/* Less than a second counts as one. */
	double sum = spread->count ? spread->weight[0] * trunc((hz - mean) / met) : 0;

	for (unsigned int i = 1; i < spread->count; i++) {
		double high = stairs(hz * (i + 1) - mean, met);

		sum += spread->weight[i] * (high - low) / hz;
		low = high;
	}
	return sum + spread->longer * trunc((hz * COLLECTOR_CLAMP_S - mean) / met);
}

/* The mean that a round ends with. From where no entry is so far off that it still counts,
 * all that follow change nothing. */
static double running_mean(const struct spread *spread)
{
	double mean = COLLECTOR_MAX_S * spread->tick_hz;
	double met = COLLECTOR_BIAS_VISITS;
	double end = fmin(met + spread->visits, COLLECTOR_CLAMP_S * spread->tick_hz);

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
	return tick_hz >= TICK_HZ_MIN && tick_hz <= TICK_HZ_MAX ? tick_hz : COLLECTOR_TICK_HZ;
}

double collector_mean_s(const struct collector *collector, unsigned int tick_hz)
{
	struct spread spread;

	if (!(collector->visits > 0))
		return COLLECTOR_MAX_S;
	spread_init(&spread, collector, tick_rate(tick_hz));
	return fmin(fmax(running_mean(&spread) / spread.tick_hz, COLLECTOR_MIN_S), COLLECTOR_MAX_S);
}

/* A round begins where the timer fired: at a multiple already, and is a jiffy on. */
double collector_timer_s(double wait_s, unsigned int tick_hz)
{
	double hz = tick_rate(tick_hz);
	double wait = wait_s * hz;
	double step = 1;

	for (double from = WHEEL_JIFFIES; wait >= from; from *= WHEEL_FACTOR)
		step *= WHEEL_FACTOR;
	return (floor((wait - 1) / step) + 1) * step / hz;
}

double collector_interval_s(const struct collector *collector, unsigned int tick_hz)
{
	return collector_timer_s(collector_mean_s(collector, tick_hz), tick_hz);
}

double collector_lag_s(double interval_s, double inserts_per_s, double buckets)
{
	/* Either of the entry's two chains is walked so often. */
	double hazard_per_s = buckets > 0 ? 2 * inserts_per_s / buckets : 0;
	double x = hazard_per_s * interval_s;

	/* The mean of the smaller of a uniform and an exponential time. */
	if (!(x > 1e-4))
		return interval_s / 2;
	return (1 - (1 - exp(-x)) / x) / hazard_per_s;
}
