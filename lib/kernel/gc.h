// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When the kernel removes what has expired: gc_worker() of
 * net/netfilter/nf_conntrack_core.c as it is since Linux 6.1 and in the stable trees that
 * took the change, and the timer that wakes it (kernel/time/timer.c since 4.8). What-if
 * reckons with it how long entries wait, and the forecast when the next round comes.
 *
 * The rule. Each round scans the whole table, of all network namespaces, and sets the
 * interval to the next: a running mean, in whole jiffies, of the time left of all entries
 * that have not expired. It begins as if 100 entries of 60 s had been met. An entry is met
 * twice, once in each of its hash chains, each time with 1 to 300 s, and moves the mean by
 *
 *	(left - mean) / number met so far
 *
 * as C divides integers: towards 0. So each step loses its fraction, and once more entries
 * have been met than the distance has jiffies, the mean stands still. It begins high, and
 * therefore ends above the true mean: the more so, the shorter the timeouts and the
 * coarser the clock. At HZ 250, entries of 20 s, whose mean is 10 s, end at 12.9 s; those
 * of 5 s at 7.7 s instead of 2.5. The result is cut to 1 to 60 s.
 *
 * The timer then rounds up to a multiple of a jiffy, 8, 64, 512... by how far off it is:
 * at HZ 250 by 0.26 s up to 16 s and by 2 s above. 60 s become 61.4.
 *
 * How it is computed: not entry by entry, but the expected step over the distribution of
 * times left, over ever more entries at once. The order in which the kernel meets them is
 * chance, and the outcome scatters by about 1 % around this (5 % when hardly any entries
 * are there). Never more than some hundred steps, however large the table.
 *
 * Not in it: what a round may remove at once (GC_SCAN_EXPIRED_MAX, 64000 a second in all,
 * with pauses of a jiffy; GC_SCAN_MAX_DURATION): it stretches the round, but the interval
 * runs from its beginning. Offloaded entries, which are not counted. Early drop.
 *
 * Older kernels have other rules: 5.14 to 5.16 scanned every two minutes.
 *
 * Pure. No allocation; struct kernel_gc is about 2.5 kB. Threads: none shared.
 */
#ifndef CONNTIDE_KERNEL_GC_H
#define CONNTIDE_KERNEL_GC_H

#define GC_BIAS_VISITS 100u /* GC_SCAN_INITIAL_COUNT */
#define GC_MIN_S       1u   /* GC_SCAN_INTERVAL_MIN */
#define GC_MAX_S       60u  /* GC_SCAN_INTERVAL_MAX */
#define GC_CLAMP_S     300u /* GC_SCAN_INTERVAL_CLAMP */
/* Longest time between two rounds: 61.44 s at HZ 100, 250, 300 and 1000 alike. */
#define GC_ROUND_MAX_S 61.5
/* CONFIG_HZ where it is not known: what most distributions have. */
#define GC_TICK_HZ 250u

struct kernel_gc {
	double visits; /* two for each entry */
	/* Visits by whole seconds left, as differences from one second to the next. */
	double steps[GC_CLAMP_S + 1];
	double longer; /* GC_CLAMP_S and more */
};

void kernel_gc_init(struct kernel_gc *gc);
/* Both ignore what is not a positive number of entries, and what has expired. */
/* `entries` that wait for a deadline of `timeout_s`, at any point on the way. */
void kernel_gc_add(struct kernel_gc *gc, double entries, double timeout_s);
/* `entries` that have `left_s`, give or take half a second; less than 0: expired. */
void kernel_gc_add_left(struct kernel_gc *gc, double entries, double left_s);

/* `tick_hz`: CONFIG_HZ; what cannot be one (0): not known. */
/* What the rule says at the end of a round, GC_MIN_S to GC_MAX_S. */
double kernel_gc_mean_s(const struct kernel_gc *gc, unsigned int tick_hz);
/* When a timer set at the beginning of a round to `wait_s` fires, finite and positive. */
double kernel_gc_timer_s(double wait_s, unsigned int tick_hz);
/* From one round to the next: both. */
double kernel_gc_interval_s(const struct kernel_gc *gc, unsigned int tick_hz);

/*
 * Mean time from deadline to removal. Whoever inserts an entry walks through chains on the
 * way and frees what has expired there. `buckets` 0: nobody else frees anything.
 */
double kernel_gc_lag_s(double interval_s, double inserts_per_s, double buckets);

#endif
