// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is this host ready for conntide: what was found (facts, gathered elsewhere), judged item by
 * item, with what it will cost here and what to change. Pure.
 *
 * Facts that are not known are -1, or the value that says so; of them nothing is claimed.
 * Sizes are bytes, timeouts seconds.
 */
#ifndef CONNTIDE_ADVICE_HOST_H
#define CONNTIDE_ADVICE_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "exporters/render/text.h"

#define HOST_LISTENERS_MAX 8u

enum host_place { HOST_PLACE_UNKNOWN, HOST_PLACE_INIT, HOST_PLACE_OTHER };

/* Who receives conntrack events besides conntide. */
struct host_listener {
	pid_t pid;     /* as its port id has it; not always a process */
	char name[16]; /* "" when it cannot be seen */
	int64_t drops;
};

/* What kube-proxy was told; -1: not told, its default holds. */
struct host_kube_proxy {
	bool runs;
	int64_t max_per_core; /* 0: leaves nf_conntrack_max alone */
	int64_t min;
	int64_t established_s;
	int64_t close_wait_s;
};

struct host_facts {
	char release[65]; /* uname -r */
	char version[65]; /* uname -v: where distributions tell the stable release */
	bool conntrack;	  /* nf_conntrack is there */
	bool ctnetlink;	  /* nf_conntrack_netlink was seen; false: perhaps built in */
	bool net_admin;	  /* this process has CAP_NET_ADMIN */
	bool may_have;	  /* its bounding set has it */
	bool agent_up;	  /* an agent publishes here: what it needs is there */
	int64_t events;	  /* nf_conntrack_events */
	int64_t count;
	int64_t max; /* 0: no limit */
	int64_t buckets;
	int64_t established_s;
	int64_t close_wait_s;
	enum host_place place;
	struct host_listener listeners[HOST_LISTENERS_MAX];
	uint32_t listener_count; /* all of them */
	struct host_kube_proxy kube_proxy;
	uint32_t cores;
	int64_t available_bytes;
};

void host_facts_init(struct host_facts *facts);

/* The values are exit statuses; NOTE is not ready to alarm anybody: 0. */
enum host_word { HOST_OK, HOST_NOTE, HOST_WARNING, HOST_CRITICAL };

enum host_item_id {
	HOST_ITEM_KERNEL,
	HOST_ITEM_MODULE,
	HOST_ITEM_RIGHTS,
	HOST_ITEM_EVENTS,
	HOST_ITEM_HASH,
	HOST_ITEM_NETNS,
	HOST_ITEM_LISTENERS,
	HOST_ITEM_KUBE_PROXY,
	HOST_ITEM_MEMORY,
	HOST_ITEM_COUNT
};

struct host_item {
	enum host_word word;
	char text[208];	 /* "" : nothing to say */
	char change[96]; /* a command, or ""; sysctls are run as root */
};

struct host_report {
	struct host_item items[HOST_ITEM_COUNT];
	enum host_word word; /* the worst */
};

void host_judge(const struct host_facts *facts, struct host_report *report);

/* 0, 1 or 2, as of a monitoring plugin. */
int host_exit_status(const struct host_report *report);

/* One screen of 80 columns, and the same for programs. */
void host_text(const struct host_report *report, struct text *out);
void host_json(const struct host_facts *facts, const struct host_report *report, struct text *out);

/*
 * The release that the kernel is: of "6.1.0-37-amd64" and "#1 SMP Debian 6.1.140-1" 6.1.140.
 * In one number, 1000000 * 6 + 1000 * 1 + 140; 0 when it cannot be read. *ret_exact: the last
 * part is the upstream's.
 */
uint32_t host_kernel_release(const char *release, const char *version, bool *ret_exact);

#endif
