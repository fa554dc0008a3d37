// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Netlink sockets: the event socket with batched receive, and sockets for requests. Knows
 * buffers, groups and losses; does not look into messages.
 *
 * The event socket runs with NETLINK_NO_ENOBUFS, so that one loss does not shut
 * the queue until it is empty; losses are read from the socket's drop counter
 * after every drain. ENOBUFS then never occurs: an overrun does not raise it, and when an
 * allocation fails in the packet path such a socket is not told, but the kernel keeps the event
 * and sends it later (netlink_overrun and do_one_set_err in
 * net/netlink/af_netlink.c, ctnetlink_conntrack_event). Any receive error counts as a loss all
 * the same. NETLINK_BROADCAST_ERROR is never set: with it a slow reader would keep
 * dead entries in the kernel's table.
 *
 * Errors: -errno. Threads: a socket belongs to one thread.
 */
#ifndef CONNTIDE_AGENT_NETLINK_SOCKETS_H
#define CONNTIDE_AGENT_NETLINK_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NLSOCK_BATCH	   128u
#define NLSOCK_EVENT_BYTES 1024u
#define NLSOCK_CHUNK_BYTES 65536u

/* Groups of conntrack events. */
enum {
	NLSOCK_NEW = 1u << 0,
	NLSOCK_UPDATE = 1u << 1,
	NLSOCK_DESTROY = 1u << 2,
	NLSOCK_ALL = NLSOCK_NEW | NLSOCK_UPDATE | NLSOCK_DESTROY
};

struct event_socket {
	int fd;
	uint32_t groups;	 /* NLSOCK_*, as subscribed now */
	uint32_t buffer_bytes;	 /* as the kernel granted */
	uint32_t drops;		 /* the kernel's counter, as last read */
	uint64_t lost;		 /* since the start, wraps undone */
	uint64_t truncated;	 /* messages larger than NLSOCK_EVENT_BYTES, cut off... */
	uint64_t truncated_told; /* ...and how many of them were reported as lost */
	uint64_t foreign;	 /* not from the kernel: ignored */
	uint32_t queue_bytes;	 /* in the queue when last checked */
	struct event_batch *batch;
};

/* `buffer_bytes`: wanted size of the receive buffer, as the kernel accounts it. */
int event_socket_open(struct event_socket *sock, uint32_t buffer_bytes);
/*
 * The event socket of the agent before, kept open meanwhile, so that the kernel never was
 * without a listener. What waits in its queue is read as ever; what was lost from it, the dump
 * that follows makes good, so losses count from now. 0; -EINVAL when it is no such socket or
 * listens in another network namespace; -errno. `fd` is the socket's own after 0, else the
 * caller's.
 */
int event_socket_adopt(struct event_socket *sock, int fd, uint32_t buffer_bytes);
void event_socket_close(struct event_socket *sock);

/* Subscribes to exactly these groups. 0, -EPERM without CAP_NET_ADMIN, -errno. */
int event_socket_subscribe(struct event_socket *sock, uint32_t groups);

/* Grows (or sets) the buffer as far as allowed; the size granted is in
 * sock->buffer_bytes. */
int event_socket_resize(struct event_socket *sock, uint32_t buffer_bytes);

/*
 * One recvmmsg(): up to NLSOCK_BATCH messages, without waiting. Number of
 * messages; 0 when the queue is empty; -errno: some may have been missed.
 */
int event_socket_receive(struct event_socket *sock);

/* Message i of the last batch: its bytes, or NULL if it is to be skipped: from
 * another process than the kernel, or cut, which counts as lost. */
const void *event_socket_message(struct event_socket *sock, unsigned int i, size_t *ret_len);

/* Reads fill and drop counter. Returns the events lost since the last call,
 * those that were cut included. */
uint64_t event_socket_check_loss(struct event_socket *sock);

/* A socket for requests; `protocol` NETLINK_NETFILTER or NETLINK_ROUTE, `groups`
 * as in sockaddr_nl. The fd, or -errno. */
int request_socket_open(int protocol, uint32_t groups);

/*
 * A listener of DESTROY events that receives none: its filter drops everything. While it is open,
 * the kernel gives new entries the event extension (with nf_conntrack_events = 2, only while
 * somebody listens). The fd, or -errno.
 */
int sentinel_socket_open(void);

#endif
