// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How late the kernel removes what has expired: net/netfilter/nf_conntrack_core.c,
 * gc_worker(), since Linux 5.16.
 *
 * It scans the table once in an interval that it sets to the mean time left of all
 * entries: at least GC_MIN_S, at most GC_MAX_S, and it first pretends to have
 * GC_BIAS_ENTRIES entries of the most. An entry counts once for each of its two hash
 * chains, with no more than GC_CLAMP_S. Whoever inserts an entry walks through two
 * chains on the way and frees what has expired there.
 *
 * So a shorter timeout also shortens the lag: with nothing else in the table, 120 s
 * mean an interval of 60 s and a lag of 30 s, and 30 s mean 15 s and 7.5 s.
 *
 * Pure.
 */
#ifndef CONNTIDE_ADVICE_COLLECTOR_H
#define CONNTIDE_ADVICE_COLLECTOR_H

#define GC_BIAS_ENTRIES 100.0
#define GC_MIN_S	1.0
#define GC_MAX_S	60.0
#define GC_CLAMP_S	300.0

struct collector {
	double left_s; /* sum over chains' entries */
	double entries;
};

void collector_init(struct collector *collector);
/* `entries` that wait for a deadline of `timeout_s`, at any point on the way. */
void collector_add(struct collector *collector, double entries, double timeout_s);
double collector_interval_s(const struct collector *collector);

/* Mean time from deadline to removal; `buckets` 0: nobody else frees anything. */
double collector_lag_s(double interval_s, double inserts_per_s, double buckets);

#endif
