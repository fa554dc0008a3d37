// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/sockets.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct event_batch {
	struct mmsghdr heads[NLSOCK_BATCH];
	struct iovec vecs[NLSOCK_BATCH];
	struct sockaddr_nl from[NLSOCK_BATCH];
	_Alignas(8) uint8_t bytes[NLSOCK_BATCH][NLSOCK_EVENT_BYTES];
};

static const struct {
	uint32_t bit;
	int group;
} groups_table[] = {
	{NLSOCK_NEW, NFNLGRP_CONNTRACK_NEW},
	{NLSOCK_UPDATE, NFNLGRP_CONNTRACK_UPDATE},
	{NLSOCK_DESTROY, NFNLGRP_CONNTRACK_DESTROY},
};

int request_socket_open(int protocol, uint32_t groups)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = groups};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	int err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int sentinel_socket_open(void)
{
	struct sock_filter drop_all = {.code = BPF_RET | BPF_K, .k = 0};
	const struct sock_fprog program = {.len = 1, .filter = &drop_all};
	const int group = NFNLGRP_CONNTRACK_DESTROY;
	int fd = request_socket_open(NETLINK_NETFILTER, 0);
	int err;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 &&
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int event_socket_resize(struct event_socket *sock, uint32_t buffer_bytes)
{
	/* The kernel doubles the value, for its own overhead. */
	int wanted = (int)(buffer_bytes / 2);
	int granted;
	socklen_t len = sizeof(granted);

	/* Without CAP_NET_ADMIN in the initial user namespace: up to rmem_max. */
	if (setsockopt(sock->fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof(wanted)) < 0 &&
	    setsockopt(sock->fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted)) < 0)
		return -errno;
	if (getsockopt(sock->fd, SOL_SOCKET, SO_RCVBUF, &granted, &len) < 0)
		return -errno;
	sock->buffer_bytes = (uint32_t)granted;
	return 0;
}

static struct event_batch *batch_create(void)
{
	struct event_batch *batch = calloc(1, sizeof(*batch));

	for (unsigned int i = 0; batch && i < NLSOCK_BATCH; i++) {
		batch->vecs[i].iov_base = batch->bytes[i];
		batch->vecs[i].iov_len = NLSOCK_EVENT_BYTES;
		batch->heads[i].msg_hdr.msg_iov = &batch->vecs[i];
		batch->heads[i].msg_hdr.msg_iovlen = 1;
		batch->heads[i].msg_hdr.msg_name = &batch->from[i];
		batch->heads[i].msg_hdr.msg_namelen = sizeof(batch->from[i]);
	}
	return batch;
}

static int set_options(struct event_socket *sock, uint32_t buffer_bytes)
{
	const int on = 1;
	int err = event_socket_resize(sock, buffer_bytes);

	if (!err && setsockopt(sock->fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on)) < 0)
		err = -errno;
	return err;
}

int event_socket_open(struct event_socket *sock, uint32_t buffer_bytes)
{
	int err;

	memset(sock, 0, sizeof(*sock));
	sock->batch = batch_create();
	sock->fd = sock->batch ? request_socket_open(NETLINK_NETFILTER, 0) : -ENOMEM;
	if (sock->fd < 0) {
		err = sock->fd;
		event_socket_close(sock);
		return err;
	}
	err = set_options(sock, buffer_bytes);
	if (err)
		event_socket_close(sock);
	return err;
}

/* Of the namespace in which the socket was made; 0 where the kernel does not tell. */
static uint64_t netns_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0 ? 0 : cookie;
}

static int option_of(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

static bool listens_here(int fd)
{
	int here = request_socket_open(NETLINK_NETFILTER, 0);
	bool same;

	if (here < 0)
		return false;
	same = option_of(fd, SO_DOMAIN) == AF_NETLINK &&
	       option_of(fd, SO_PROTOCOL) == NETLINK_NETFILTER && netns_cookie(fd) &&
	       netns_cookie(fd) == netns_cookie(here);
	close(here);
	return same;
}

static int read_groups(struct event_socket *sock)
{
	uint32_t members[8] = {0}; /* a bit for each group, from the first on */
	socklen_t len = sizeof(members);

	if (getsockopt(sock->fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, members, &len) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(groups_table) / sizeof(groups_table[0]); i++)
		if (members[0] & UINT32_C(1) << (groups_table[i].group - 1))
			sock->groups |= groups_table[i].bit;
	return 0;
}

int event_socket_adopt(struct event_socket *sock, int fd, uint32_t buffer_bytes)
{
	int err;

	memset(sock, 0, sizeof(*sock));
	sock->fd = fd;
	err = listens_here(fd) ? read_groups(sock) : -EINVAL;
	sock->batch = err ? NULL : batch_create();
	if (!err && !sock->batch)
		err = -ENOMEM;
	if (!err)
		err = set_options(sock, buffer_bytes);
	if (!err) {
		event_socket_check_loss(sock);
		sock->lost = 0;
		return 0;
	}
	sock->fd = -1;
	event_socket_close(sock);
	return err;
}

void event_socket_close(struct event_socket *sock)
{
	if (sock->fd >= 0)
		close(sock->fd);
	free(sock->batch);
	sock->fd = -1;
	sock->batch = NULL;
}

int event_socket_subscribe(struct event_socket *sock, uint32_t groups)
{
	for (size_t i = 0; i < sizeof(groups_table) / sizeof(groups_table[0]); i++) {
		uint32_t bit = groups_table[i].bit;
		int option = groups & bit ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;

		if (((groups ^ sock->groups) & bit) == 0)
			continue;
		if (setsockopt(sock->fd, SOL_NETLINK, option, &groups_table[i].group,
			       sizeof(groups_table[i].group)) < 0)
			return -errno;
		sock->groups ^= bit;
	}
	return 0;
}

int event_socket_receive(struct event_socket *sock)
{
	int n;

	do {
		n = recvmmsg(sock->fd, sock->batch->heads, NLSOCK_BATCH, MSG_DONTWAIT, NULL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? 0 : -errno;
}

const void *event_socket_message(struct event_socket *sock, unsigned int i, size_t *ret_len)
{
	struct event_batch *batch = sock->batch;
	struct mmsghdr *head = &batch->heads[i];

	*ret_len = head->msg_len;
	/* Other processes may send here too; only the kernel is believed. */
	if (batch->from[i].nl_pid != 0) {
		sock->foreign++;
		return NULL;
	}
	if (head->msg_hdr.msg_flags & MSG_TRUNC) {
		sock->truncated++;
		return NULL;
	}
	return batch->bytes[i];
}

uint64_t event_socket_check_loss(struct event_socket *sock)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);
	uint64_t lost;

	memset(info, 0, sizeof(info));
	lost = sock->truncated - sock->truncated_told;
	sock->truncated_told = sock->truncated;
	if (getsockopt(sock->fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		info[SK_MEMINFO_DROPS] = sock->drops;
	if (info[SK_MEMINFO_RMEM_ALLOC] > sock->queue_bytes)
		sock->queue_bytes = info[SK_MEMINFO_RMEM_ALLOC];
	lost += (uint32_t)(info[SK_MEMINFO_DROPS] - sock->drops);
	sock->drops = info[SK_MEMINFO_DROPS];
	sock->lost += lost;
	return lost;
}
