// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests to the kernel and the answers to them, on one netlink socket.
 *
 * An answer counts when the kernel sent it (nl_pid 0), to the last request made here (nlmsg_seq)
 * by this socket (nlmsg_pid). Answers to earlier requests, which timed out or were given up, are
 * skipped. A dump that was not read to its end continues whatever is sent meanwhile
 * (net/netlink/af_netlink.c: cb_running), so such a socket is closed, and the next request is made
 * on a new one; where that cannot be opened the request fails.
 *
 * NLMSG_DONE carries the error with which a dump ended, NLM_F_DUMP_INTR says that the table
 * changed under it: both fail the answer.
 *
 * To end while an answer is awaited, make `cancel_fd` readable.
 *
 * Errors: -errno; -ETIME without an answer in REQUEST_TIMEOUT_S, -ECANCELED, -EMSGSIZE for
 * one that was cut, -EBADMSG for one that makes no sense. One thread at a time.
 */
#ifndef CONNTIDE_AGENT_NETLINK_REQUEST_H
#define CONNTIDE_AGENT_NETLINK_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define REQUEST_TIMEOUT_S 30

struct nlmsghdr;

struct request_socket {
	int fd; /* -1: opened with the next request */
	int protocol;
	int cancel_fd;	 /* borrowed; -1: waits cannot be ended */
	uint32_t portid; /* the socket's, in every answer to it */
	uint32_t seq;	 /* of the last request */
};

/* Opens nothing yet. `protocol`: NETLINK_NETFILTER or NETLINK_ROUTE. */
void request_init(struct request_socket *request, int protocol, int cancel_fd);
int request_open(struct request_socket *request);
/* Gives up the request under way: its answer will not be read. */
void request_close(struct request_socket *request);

/* Numbers the request and sends it. 0 or -errno. */
int request_send(struct request_socket *request, struct nlmsghdr *nlh);

/* The next datagram of the answer: its length, or -errno. */
ssize_t request_receive(struct request_socket *request, uint8_t *buf, size_t bytes);

/* Was that the end of an answer of many parts? 1 yes, 0 it goes on, -errno it failed. */
int request_end(const uint8_t *bytes, size_t len);

#endif
