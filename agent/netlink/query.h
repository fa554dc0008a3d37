// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests to the kernel, on a thread that may stall.
 *
 * Dumps and GETs take a mutex that all namespaces share, so a request may wait behind a flush of
 * a million entries, while events must still be read. Requests are therefore made by a second
 * thread, which owns the request sockets and nothing else: it sees neither mirror nor segment.
 * One request at a time is handed over; an eventfd announces its answer.
 *
 * Dumps have a socket of their own, so that nothing mixes with their chunks. The
 * answer of a request stays valid until the one after next is posted, so a
 * chunk can be applied while the next one is fetched.
 *
 * Threads: all functions are called by the owner of the mirror.
 * Errors: -errno; those of the answers as in request.h.
 */
#ifndef CONNTIDE_AGENT_NETLINK_QUERY_H
#define CONNTIDE_AGENT_NETLINK_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/event/event.h"
#include "lib/mirror/local_addr.h"

#define QUERY_GETS_MAX 32u

enum query_kind {
	QUERY_DUMP_START, /* sends the dump request; no answer but success */
	QUERY_DUMP_NEXT,  /* the next chunk; `ended` with the last */
	QUERY_GETS,	  /* one answer a key, in order, see query_get_answer() */
	QUERY_STATS,	  /* CT_GET_STATS, then CT_GET_STATS_CPU, EXP_GET_STATS_CPU messages */
	QUERY_ADDRESSES,  /* the namespace's addresses, in `addrs` */
	QUERY_KINDS
};

struct query_answer {
	enum query_kind kind;
	int err;
	bool ended;	      /* QUERY_DUMP_NEXT: that was the last chunk */
	const uint8_t *bytes; /* netlink messages back to back */
	size_t len;
	struct local_addrs *addrs; /* QUERY_ADDRESSES: now the caller's, to free */
};

struct query;
struct nlmsghdr;

/* Opens the sockets in the calling thread's namespace and starts the thread.
 * -EPERM without CAP_NET_ADMIN is found at the first request. */
int query_create(struct query **ret_query);
/* Ends a wait for an answer at once, but waits while the kernel itself is held up. */
void query_destroy(struct query *query);

/* Readable when an answer has arrived. */
int query_fd(const struct query *query);

bool query_busy(const struct query *query);

/* Hands over a request; the worker must not be busy. `keys`: QUERY_GETS only. */
void query_post(struct query *query, enum query_kind kind, const struct ct_key *keys,
		uint32_t key_count);

/* Takes the answer; false if none has arrived. */
bool query_collect(struct query *query, struct query_answer *ret_answer);

/* Answer i of QUERY_GETS: 0, *event and the message it was made of (valid like
 * the answer); -ENOENT: no such entry; -errno. */
int query_get_answer(const struct query_answer *answer, uint32_t i, struct ct_event *event,
		     const struct nlmsghdr **ret_message);

/* Ends a dump that was not read to its end: the next one has a new socket, or fails. Only
 * while the worker is idle. */
void query_abandon_dump(struct query *query);

#endif
