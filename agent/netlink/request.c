// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/request.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "agent/netlink/sockets.h"
#include "lib/base/clock.h"

void request_init(struct request_socket *request, int protocol, int cancel_fd)
{
	*request = (struct request_socket){.fd = -1, .protocol = protocol, .cancel_fd = cancel_fd};
}

void request_close(struct request_socket *request)
{
	if (request->fd >= 0)
		close(request->fd);
	request->fd = -1;
}

int request_open(struct request_socket *request)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(self);
	int fd = request_socket_open(request->protocol, 0);

	if (fd < 0)
		return fd;
	if (getsockname(fd, (struct sockaddr *)&self, &len) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	request_close(request);
	request->fd = fd;
	request->portid = self.nl_pid;
	return 0;
}

int request_send(struct request_socket *request, struct nlmsghdr *nlh)
{
	int err = request->fd < 0 ? request_open(request) : 0;
	ssize_t n;

	if (err)
		return err;
	nlh->nlmsg_seq = ++request->seq;
	do {
		n = send(request->fd, nlh, nlh->nlmsg_len, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Waits until something can be read. 0; -ETIME; -ECANCELED; -errno. */
static int wait_readable(const struct request_socket *request, uint64_t deadline_ns)
{
	struct pollfd fds[] = {{.fd = request->fd, .events = POLLIN},
			       {.fd = request->cancel_fd, .events = POLLIN}};
	uint64_t now_ns = clock_boot_ns();
	int n;

	if (now_ns >= deadline_ns)
		return -ETIME;
	n = poll(fds, 2, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents)
		return -ECANCELED;
	return n ? 0 : -ETIME;
}

/* One datagram from the kernel; 0: none at present. */
static ssize_t read_datagram(const struct request_socket *request, uint8_t *buf, size_t bytes)
{
	struct iovec vec = {buf, bytes};
	struct sockaddr_nl from = {.nl_pid = 0};
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &vec, .msg_iovlen = 1};
	ssize_t n = recvmsg(request->fd, &msg, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (from.nl_pid != 0)
		return 0;
	return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
}

/* 1: an answer to the last request; 0: to another one; -EBADMSG: neither whole nor of one. */
static int is_ours(const struct request_socket *request, const uint8_t *bytes, size_t len)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)bytes;
	int left = (int)len;
	bool ours, first_ours = false, first = true;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		ours = nlh->nlmsg_seq == request->seq && nlh->nlmsg_pid == request->portid;
		if (first)
			first_ours = ours;
		if (ours != first_ours)
			return -EBADMSG;
		first = false;
	}
	return first || left > 0 ? -EBADMSG : first_ours;
}

ssize_t request_receive(struct request_socket *request, uint8_t *buf, size_t bytes)
{
	uint64_t deadline_ns = clock_boot_ns() + REQUEST_TIMEOUT_S * NS_PER_S;

	if (request->fd < 0)
		return -ENOTCONN;
	for (;;) {
		int err = wait_readable(request, deadline_ns);
		ssize_t n = err ? err : read_datagram(request, buf, bytes);

		if (n > 0)
			err = is_ours(request, buf, (size_t)n);
		if (n < 0 || err < 0)
			return n < 0 ? n : err;
		if (n > 0 && err)
			return n;
	}
}

/* The number that NLMSG_ERROR begins with, and NLMSG_DONE consists of. */
static int told_error(const struct nlmsghdr *nlh)
{
	int error;

	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(error)))
		return -EBADMSG;
	memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	return error <= 0 ? error : -EBADMSG;
}

int request_end(const uint8_t *bytes, size_t len)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)bytes;
	int left = (int)len;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR) {
			int err = told_error(nlh);

			return err ? err : 1;
		}
	}
	return left > 0 ? -EBADMSG : 0;
}
