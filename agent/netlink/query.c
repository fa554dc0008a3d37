// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/query.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "agent/base/worker.h"
#include "agent/netlink/addresses.h"
#include "agent/netlink/parser.h"
#include "agent/netlink/sockets.h"
#include "lib/base/check.h"

/* 400 bytes and more for each CPU's statistics, and a chunk of any dump. */
#define ANSWER_BYTES  (512u * 1024u)
#define REQUEST_BYTES 1024u
/* Where the answer to GET i begins: a netlink message never needs so much. */
#define GET_STRIDE (ANSWER_BYTES / QUERY_GETS_MAX)

struct query {
	struct worker worker;
	/* Request and answer: they change hands, see agent/base/worker.h. */
	enum query_kind kind;
	struct ct_key keys[QUERY_GETS_MAX];
	uint32_t key_count;
	struct query_answer answer;
	/* The worker's own from here on. */
	uint8_t *buffers[2];
	unsigned int turn;
	uint32_t seq;
	int dump_fd;
	int get_fd;
	int done_fd;
};

static int send_request(int fd, const void *buf, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, buf, len, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* One datagram into buf. Its length; -ETIME; -EMSGSIZE when it was cut. */
static ssize_t receive(int fd, uint8_t *buf, size_t bytes)
{
	struct iovec vec = {buf, bytes};
	struct sockaddr_nl from;
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &vec, .msg_iovlen = 1};
	ssize_t n;

	do {
		msg.msg_namelen = sizeof(from);
		n = recvmsg(fd, &msg, 0);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0)
		return errno == EAGAIN ? -ETIME : -errno;
	return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
}

/* Looks for the end of a multipart answer. 1 ended, 0 goes on, -errno. */
static int look_for_end(const uint8_t *bytes, size_t len)
{
	int left = (int)len;
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)bytes;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (nlh->nlmsg_type == NLMSG_DONE)
			return 1;
		if (nlh->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(err->error)))
				return -EBADMSG;
			return err->error ? err->error : 1;
		}
	}
	return left > 0 ? -EBADMSG : 0;
}

static int dump_start(struct query *query)
{
	uint8_t request[REQUEST_BYTES];
	int len = ct_request_dump(request, sizeof(request), ++query->seq);

	return len < 0 ? len : send_request(query->dump_fd, request, (size_t)len);
}

static int dump_next(struct query *query, uint8_t *buf, struct query_answer *answer)
{
	ssize_t n = receive(query->dump_fd, buf, NLSOCK_CHUNK_BYTES);
	int end;

	if (n < 0)
		return (int)n;
	answer->len = (size_t)n;
	end = look_for_end(buf, (size_t)n);
	answer->ended = end == 1;
	return end < 0 ? end : 0;
}

/* To the last request on get_fd: the answer to an earlier one that timed out may
 * still come, and is passed over. */
static ssize_t receive_answer(struct query *query, uint8_t *buf, size_t bytes)
{
	ssize_t n;

	do {
		n = receive(query->get_fd, buf, bytes);
	} while (n >= (ssize_t)sizeof(struct nlmsghdr) &&
		 ((const struct nlmsghdr *)buf)->nlmsg_seq != query->seq);
	return n;
}

static int get_one(struct query *query, const struct ct_key *key, uint8_t *buf)
{
	uint8_t request[REQUEST_BYTES];
	int len = ct_request_get(request, sizeof(request), ++query->seq, key);
	ssize_t n;
	int err;

	if (len < 0)
		return len;
	err = send_request(query->get_fd, request, (size_t)len);
	if (err)
		return err;
	n = receive_answer(query, buf, GET_STRIDE);
	return n < 0 ? (int)n : 0;
}

static int get_all(struct query *query, uint8_t *buf, struct query_answer *answer)
{
	answer->len = (size_t)query->key_count * GET_STRIDE;
	for (uint32_t i = 0; i < query->key_count; i++) {
		uint8_t *at = buf + (size_t)i * GET_STRIDE;
		int err;

		memset(at, 0, sizeof(struct nlmsghdr));
		err = get_one(query, &query->keys[i], at);
		if (err)
			return err;
	}
	return 0;
}

static int ask_stats(struct query *query, uint16_t type, uint16_t flags)
{
	uint8_t request[REQUEST_BYTES];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)((NFNL_SUBSYS_CTNETLINK << 8) | type);
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = ++query->seq;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	return send_request(query->get_fd, request, nlh->nlmsg_len);
}

static int stats(struct query *query, uint8_t *buf, struct query_answer *answer)
{
	size_t at = 0;
	ssize_t n;
	int end = ask_stats(query, IPCTNL_MSG_CT_GET_STATS, 0);

	if (end < 0)
		return end;
	n = receive_answer(query, buf, NLSOCK_CHUNK_BYTES);
	if (n < 0)
		return (int)n;
	end = look_for_end(buf, (size_t)n);
	if (end < 0)
		return end;
	at = (size_t)n;
	end = ask_stats(query, IPCTNL_MSG_CT_GET_STATS_CPU, NLM_F_DUMP);
	while (end == 0) {
		if (ANSWER_BYTES - at < NLSOCK_CHUNK_BYTES)
			return -EMSGSIZE;
		n = receive_answer(query, buf + at, NLSOCK_CHUNK_BYTES);
		if (n < 0)
			return (int)n;
		end = look_for_end(buf + at, (size_t)n);
		at += ((size_t)n + 3u) & ~(size_t)3u;
	}
	answer->len = at;
	return end < 0 ? end : 0;
}

static int ask_addresses(int fd)
{
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg body;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			 .nlmsg_type = RTM_GETADDR,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			 .nlmsg_seq = 1},
		.body = {.ifa_family = AF_UNSPEC},
	};

	return send_request(fd, &request, sizeof(request));
}

static int add_addresses(struct local_addrs *set, const uint8_t *bytes, size_t len)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)bytes;
	int left = (int)len;
	int err = 0;

	for (; !err && mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
		err = addresses_add_message(set, nlh, (size_t)left);
	return err;
}

static int addresses(uint8_t *buf, struct query_answer *answer)
{
	int fd = request_socket_open(NETLINK_ROUTE, 0);
	int err = fd < 0 ? fd : ask_addresses(fd);
	int end = 0;

	answer->addrs = calloc(1, sizeof(*answer->addrs));
	if (!answer->addrs && !err)
		err = -ENOMEM;
	while (!err && end == 0) {
		ssize_t n = receive(fd, buf, ANSWER_BYTES);

		end = n < 0 ? (int)n : look_for_end(buf, (size_t)n);
		if (end < 0)
			err = end;
		else
			err = add_addresses(answer->addrs, buf, (size_t)n);
	}
	if (fd >= 0)
		close(fd);
	if (err && answer->addrs) {
		local_addrs_free(answer->addrs);
		free(answer->addrs);
		answer->addrs = NULL;
	} else if (!err) {
		local_addrs_finish(answer->addrs);
	}
	return err;
}

static void serve(void *arg)
{
	struct query *query = arg;
	struct query_answer *answer = &query->answer;
	uint8_t *buf = query->buffers[query->turn ^= 1u];

	*answer = (struct query_answer){.kind = query->kind, .bytes = buf};
	switch (query->kind) {
	case QUERY_DUMP_START:
		answer->err = dump_start(query);
		break;
	case QUERY_DUMP_NEXT:
		answer->err = dump_next(query, buf, answer);
		break;
	case QUERY_GETS:
		answer->err = get_all(query, buf, answer);
		break;
	case QUERY_STATS:
		answer->err = stats(query, buf, answer);
		break;
	case QUERY_ADDRESSES:
		answer->err = addresses(buf, answer);
		break;
	case QUERY_KINDS:
		BUG_ON(true);
	}
}

static int open_sockets(struct query *query)
{
	const struct timeval timeout = {.tv_sec = QUERY_TIMEOUT_S};
	int *fds[2] = {&query->dump_fd, &query->get_fd};

	for (unsigned int i = 0; i < 2; i++) {
		*fds[i] = request_socket_open(NETLINK_NETFILTER, 0);
		if (*fds[i] < 0)
			return *fds[i];
		if (setsockopt(*fds[i], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
			return -errno;
	}
	query->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return query->done_fd < 0 ? -errno : 0;
}

static void release(struct query *query)
{
	int fds[] = {query->dump_fd, query->get_fd, query->done_fd};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(query->buffers[0]);
	free(query->buffers[1]);
	free(query);
}

int query_create(struct query **ret_query)
{
	struct query *query = calloc(1, sizeof(*query));
	struct worker_job job = {.serve = serve, .arg = query};
	int err;

	if (!query)
		return -ENOMEM;
	query->dump_fd = query->get_fd = query->done_fd = -1;
	query->buffers[0] = malloc(ANSWER_BYTES);
	query->buffers[1] = malloc(ANSWER_BYTES);
	err = query->buffers[0] && query->buffers[1] ? open_sockets(query) : -ENOMEM;
	job.done_fd = query->done_fd;
	if (!err)
		err = worker_start(&query->worker, &job);
	if (err) {
		release(query);
		return err;
	}
	*ret_query = query;
	return 0;
}

void query_destroy(struct query *query)
{
	struct query_answer left;

	if (!query)
		return;
	worker_stop(&query->worker);
	if (query_collect(query, &left) && left.addrs) {
		local_addrs_free(left.addrs);
		free(left.addrs);
	}
	release(query);
}

int query_fd(const struct query *query)
{
	return query->done_fd;
}

bool query_busy(const struct query *query)
{
	return worker_busy(&query->worker);
}

void query_post(struct query *query, enum query_kind kind, const struct ct_key *keys,
		uint32_t key_count)
{
	BUG_ON(query_busy(query) || key_count > QUERY_GETS_MAX);
	query->kind = kind;
	query->key_count = key_count;
	if (key_count)
		memcpy(query->keys, keys, key_count * sizeof(*keys));
	worker_post(&query->worker);
}

bool query_collect(struct query *query, struct query_answer *ret_answer)
{
	uint64_t count;

	/* The counter only wakes us up: whether there is an answer the flag says. */
	if (read(query->done_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return false;
	if (!worker_collect(&query->worker))
		return false;
	*ret_answer = query->answer;
	return true;
}

int query_get_answer(const struct query_answer *answer, uint32_t i, struct ct_event *event,
		     const struct nlmsghdr **ret_message)
{
	const uint8_t *at = answer->bytes + (size_t)i * GET_STRIDE;
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)at;
	int err;

	if ((size_t)(i + 1) * GET_STRIDE > answer->len)
		return -ENODATA;
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = mnl_nlmsg_get_payload(nlh);

		return error->error ? error->error : -ENODATA;
	}
	*ret_message = nlh;
	err = ct_event_parse(nlh, GET_STRIDE, event);
	if (!err)
		event->kind = CT_RECORD;
	return err;
}

void query_abandon_dump(struct query *query)
{
	/* A dump ends with its socket; nothing else tells the kernel to stop. */
	BUG_ON(query_busy(query));
	int fd = request_socket_open(NETLINK_NETFILTER, 0);
	const struct timeval timeout = {.tv_sec = QUERY_TIMEOUT_S};

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	close(query->dump_fd);
	query->dump_fd = fd;
}
