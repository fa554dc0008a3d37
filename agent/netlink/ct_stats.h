// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel itself reports about its table: count and limits from /proc/sys, counters from
 * ctnetlink (or /proc/net/stat/nf_conntrack).
 *
 * The counters are 32 bits wide per CPU and wrap; each CPU's is extended to 64
 * bits on its own before they are added, so that a wrap of one CPU is not seen.
 * They start from what the kernel has counted since boot.
 *
 * /proc/sys/net is resolved by the namespace of the opening task; the files are
 * kept open and read with pread. Threads: one. Errors: -errno.
 */
#ifndef CONNTIDE_AGENT_NETLINK_CT_STATS_H
#define CONNTIDE_AGENT_NETLINK_CT_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ct_stat {
	CT_STAT_FOUND,
	CT_STAT_INVALID,
	CT_STAT_INSERT_FAILED,
	CT_STAT_DROP,
	CT_STAT_EARLY_DROP,
	CT_STAT_ERROR,
	CT_STAT_SEARCH_RESTART,
	CT_STAT_CLASH_RESOLVE,
	CT_STAT_CHAINTOOLONG,
	CT_STAT_INSERT,
	CT_STAT_EXPECT_CREATE, /* of expectations; from IPCTNL_MSG_EXP_GET_STATS_CPU */
	CT_STAT_EXPECT_DELETE,
	CT_STATS
};

struct ct_counters {
	uint64_t values[CT_STATS];
	uint32_t *last; /* [cpu][stat] */
	uint32_t cpu_room;
	bool expectations_told; /* the kernel says how many were made and removed */
};

void ct_counters_init(struct ct_counters *counters);
void ct_counters_free(struct ct_counters *counters);

/* Expectations of this namespace now; -1: not known. The kernel counts none, but makes and
 * removes each under one of the two counters. */
int64_t ct_expectations(const struct ct_counters *counters);

/* One message of a CT_GET_STATS_CPU or EXP_GET_STATS_CPU dump. 0; -ENOMSG for others; -EBADMSG;
 * -ENOMEM. */
int ct_counters_message(struct ct_counters *counters, const void *nlmsg, size_t len);
/* The text of /proc/net/stat/nf_conntrack; columns are found by their names. */
int ct_counters_text(struct ct_counters *counters, const char *text);

/* Values of /proc files, -1 where a file is missing or unreadable. */
struct ct_limits {
	int64_t count_entries;
	int64_t max_entries;
	int64_t buckets;
	int64_t events_mode;
};

#define CT_LIMITS_UNKNOWN ((struct ct_limits){-1, -1, -1, -1})

struct ct_proc {
	int count_fd;
	int max_fd;
	int buckets_fd;
	int events_fd;
	int stat_fd;
};

/* The present value of a file below /proc/sys, 0 to max; -errno, -EINVAL when it is not a number.
 */
int ct_sysctl_read(int fd, uint64_t max, uint64_t *ret_value);

void ct_proc_open(struct ct_proc *proc);

/* This is not the host's network namespace but one of a container or the like: others may not
 * set the buckets (since Linux 5.13), and do not have the old name of the limit. False where that
 * cannot be told. */
bool ct_proc_other_namespace(void);

void ct_proc_close(struct ct_proc *proc);
/* Values that /proc does not give are taken from `told`. */
void ct_proc_read(const struct ct_proc *proc, const struct ct_limits *told,
		  struct ct_limits *ret_limits);
/* Text of the statistics file; 0 or -errno. */
int ct_proc_read_stats(const struct ct_proc *proc, char *out, size_t bytes);

/*
 * The answer to CT_GET_STATS: count and max by netlink, where /proc is hidden.
 * 0; -ENOMSG for other messages; -EBADMSG.
 */
int ct_limits_message(struct ct_limits *limits, const void *nlmsg, size_t len);

/*
 * Entries at which chains become so long that insertions fail, a second ceiling
 * (net/netfilter/nf_conntrack_core.c: MAX_CHAINLEN). Each entry sits in two
 * chains, so the mean length is 2 N / buckets; kernels since 6.2 and 6.1.20
 * refuse at a random 50 to 79, the first refusals come at a mean near 50.
 */
static inline int64_t ct_chain_limit(int64_t buckets)
{
	return buckets > 0 ? 25 * buckets : -1;
}

#endif
