// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When the kernel removes expired entries: gc_worker() of net/netfilter/nf_conntrack_core.c
 * since Linux 6.1 (and in the stable trees that took the change), and the timer that wakes
 * it (kernel/time/timer.c since 4.8). What-if uses it for how long expired entries stay in
 * the table, the forecast for when the next round starts.
 *
 * The rule. Each round scans the whole table, of all network namespaces, and computes the
 * interval to the next round: a running mean, in whole jiffies, of the time left of all
 * entries that have not expired. The mean starts as if 100 entries of 60 s had been seen.
 * Each entry is seen twice, once in each of its two hash chains, its time left clamped to
 * 1 to 300 s, and moves the mean by
 *
 * 	(left - mean) / number seen so far
 *
 * in C's integer division, which rounds towards 0. Each step therefore loses its fraction,
 * and once more entries have been seen than the distance has jiffies, the mean stops
 * moving. Since it starts high it ends above the true mean; the error grows with shorter
 * timeouts and a coarser clock. At HZ 250, entries with a timeout of 20 s (true mean 10 s)
 * give 12.9 s; entries with 5 s give 7.7 s instead of 2.5. The result is clamped to 1 to 60 s.
 *
 * The timer wheel then rounds up to a multiple of 1, 8, 64, 512... jiffies, depending on
 * the distance: at HZ 250 by up to 0.26 s below 16 s and by up to 2 s above. 60 s become 61.4.
 *
 * How it is computed: not entry by entry. The expected step over the distribution of times
 * left is added up over ever larger groups of entries. The kernel meets entries in random
 * order, and its result scatters by about 1 % around this one (5 % in a nearly empty table).
 * At most a few hundred steps, however large the table.
 *
 * Not modelled: the most that one round removes (GC_SCAN_EXPIRED_MAX, GC_SCAN_MAX_DURATION),
 * which stretches the round but not the interval, measured from its start; offloaded
 * entries, which the kernel does not count; early drop. Older kernels have other rules:
 * 5.14 to 5.16 scan every two minutes.
 *
 * Pure. No allocation; struct kernel_gc is about 2.5 kB. Threads: one per struct.
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
/* Both ignore a count that is not positive, and expired entries. */
/* Adds `entries` with a timeout of `timeout_s`, their ages spread evenly over it. */
void kernel_gc_add(struct kernel_gc *gc, double entries, double timeout_s);
/* Adds `entries` with `left_s` to go, accurate to half a second; below 0: expired. */
void kernel_gc_add_left(struct kernel_gc *gc, double entries, double left_s);

/* `tick_hz` is CONFIG_HZ; 0 or an impossible value: not known, GC_TICK_HZ is used. */
/* The mean at the end of a round, GC_MIN_S to GC_MAX_S. */
double kernel_gc_mean_s(const struct kernel_gc *gc, unsigned int tick_hz);
/* When a timer set to `wait_s` at the start of a round fires; `wait_s` finite and positive. */
double kernel_gc_timer_s(double wait_s, unsigned int tick_hz);
/* From the start of one round to the next: both together. */
double kernel_gc_interval_s(const struct kernel_gc *gc, unsigned int tick_hz);

/*
 * Who else removes expired entries: lookups and questions.
 *
 * A lookup walks one chain from its youngest entry up to the one it looks for, and removes those
 * that have expired on the way. The first packet of a connection finds none and walks to the end;
 * where NAT is in use a second walk, of the chain of the answers, sees whether the tuple is free.
 * Later packets stop at their own entry: they remove only what is younger, of those two chains
 * alone, and not once more when they come again. They are left out. Measured on Linux 6.18, 8192
 * buckets, 500 expired entries: a connection at full speed removed none of them, 2000 older
 * connections that all sent removed half at once and the rest never.
 *
 * A program that asks for an entry (ctnetlink GET) removes it if it has expired: so does the agent,
 * which asks for one entry after the other (lib/mirror/sample.h).
 */
struct gc_lookups {
	double walks_per_s; /* of a chain to its end, by all network namespaces */
	double buckets;	    /* 0: no lookup removes anything */
	double round_s;	    /* each entry is asked for once in so long; 0: never */
};

/*
 * What other network namespaces do is not to be seen, but how many packets they receive
 * (agent/netlink/softnet.h). All of those may be the first of a connection, or none: the walks
 * are those of this namespace at least, and those and all packets at most. The collector looks at
 * their entries too, and comes every minute where those wait long. Taken is the geometric mean of
 * both ends, which is off by the same factor at most either way; of the intervals, with the
 * share of packets that is others' as its weight.
 */
struct gc_packets {
	double own_per_s;
	double others_per_s; /* for certain; 0: nobody else, or not known */
};

double kernel_gc_walks_per_s(double own_per_s, const struct gc_packets *packets);
double kernel_gc_interval_among_s(double interval_s, const struct gc_packets *packets);

/* Chance a second that a walk meets the entry, which is in two chains. */
double kernel_gc_met_per_s(const struct gc_lookups *lookups);

/*
 * Mean time from deadline to removal: by the collector, which comes every `interval_s`, by the
 * round of questions, each at any moment of its interval, or by a walk, whichever is first.
 */
double kernel_gc_lag_s(double interval_s, const struct gc_lookups *lookups);

#endif
