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
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "agent/base/worker.h"
#include "agent/netlink/addresses.h"
#include "agent/netlink/parser.h"
#include "agent/netlink/request.h"
#include "agent/netlink/sockets.h"
#include "lib/base/check.h"

/* 400 bytes and more for each CPU's statistics, and a chunk of any dump. */
#define ANSWER_BYTES  (512u * 1024u)
#define REQUEST_BYTES 1024u
/* Where the answer to GET i begins: a netlink message is never that long. */
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
	struct request_socket dump;
	bool dumping; /* ...and not read to the end */
	struct request_socket get;
	/* Eventfds: an answer has arrived; the wait for one is cancelled. */
	int done_fd;
	int cancel_fd;
};

static int dump_start(struct query *query)
{
	uint8_t request[REQUEST_BYTES];
	int len = ct_request_dump(request, sizeof(request), 0);
	int err;

	/* The rest of an earlier dump must not be taken for part of this one. */
	if (query->dumping)
		request_close(&query->dump);
	query->dumping = false;
	err = len < 0 ? len : request_send(&query->dump, (struct nlmsghdr *)request);
	query->dumping = !err;
	return err;
}

static int dump_next(struct query *query, uint8_t *buf, struct query_answer *answer)
{
	ssize_t n = request_receive(&query->dump, buf, NLSOCK_CHUNK_BYTES);
	int end = n < 0 ? (int)n : request_end(buf, (size_t)n);

	if (end < 0)
		return end;
	answer->len = (size_t)n;
	answer->ended = end == 1;
	query->dumping = !answer->ended;
	return 0;
}

static int get_one(struct query *query, const struct ct_key *key, uint8_t *buf)
{
	uint8_t request[REQUEST_BYTES];
	int len = ct_request_get(request, sizeof(request), 0, key);
	int err = len < 0 ? len : request_send(&query->get, (struct nlmsghdr *)request);
	ssize_t n = err ? err : request_receive(&query->get, buf, GET_STRIDE);

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

static int ask_stats(struct query *query, uint16_t subsys, uint16_t type, uint16_t flags)
{
	uint8_t request[REQUEST_BYTES];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)((subsys << 8) | type);
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	return request_send(&query->get, nlh);
}

/* A dump of counters, from *at on; at the next multiple of four after it. */
static int cpu_stats(struct query *query, uint8_t *buf, size_t *at, uint16_t subsys, uint16_t type)
{
	int end = ask_stats(query, subsys, type, NLM_F_DUMP);

	while (end == 0) {
		ssize_t n = -EMSGSIZE;

		if (ANSWER_BYTES - *at >= NLSOCK_CHUNK_BYTES)
			n = request_receive(&query->get, buf + *at, NLSOCK_CHUNK_BYTES);
		end = n < 0 ? (int)n : request_end(buf + *at, (size_t)n);
		*at += n < 0 ? 0 : ((size_t)n + 3u) & ~(size_t)3u;
	}
	/* A dump that is not read to its end would refuse the next one (EBUSY). */
	if (end < 0)
		request_close(&query->get);
	return end < 0 ? end : 0;
}

static int stats(struct query *query, uint8_t *buf, struct query_answer *answer)
{
	ssize_t n;
	int err = ask_stats(query, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS, 0);

	if (err < 0)
		return err;
	n = request_receive(&query->get, buf, NLSOCK_CHUNK_BYTES);
	if (n < 0)
		return (int)n;
	err = request_end(buf, (size_t)n);
	if (err < 0)
		return err;
	answer->len = (size_t)n;
	err = cpu_stats(query, buf, &answer->len, NFNL_SUBSYS_CTNETLINK,
			IPCTNL_MSG_CT_GET_STATS_CPU);
	/* Without expectations the rest is as good. */
	if (!err)
		cpu_stats(query, buf, &answer->len, NFNL_SUBSYS_CTNETLINK_EXP,
			  IPCTNL_MSG_EXP_GET_STATS_CPU);
	return err;
}

static int ask_addresses(struct request_socket *socket)
{
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg body;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			 .nlmsg_type = RTM_GETADDR,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.body = {.ifa_family = AF_UNSPEC},
	};

	return request_send(socket, &request.head);
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

static int addresses(struct query *query, uint8_t *buf, struct query_answer *answer)
{
	struct request_socket socket;
	int end = 0;
	int err;

	request_init(&socket, NETLINK_ROUTE, query->cancel_fd);
	err = ask_addresses(&socket);

	answer->addrs = calloc(1, sizeof(*answer->addrs));
	if (!answer->addrs && !err)
		err = -ENOMEM;
	while (!err && end == 0) {
		ssize_t n = request_receive(&socket, buf, ANSWER_BYTES);

		end = n < 0 ? (int)n : request_end(buf, (size_t)n);
		if (end < 0)
			err = end;
		else
			err = add_addresses(answer->addrs, buf, (size_t)n);
	}
	request_close(&socket);
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
		answer->err = addresses(query, buf, answer);
		break;
	case QUERY_KINDS:
		BUG_ON(true);
	}
}

static int open_sockets(struct query *query)
{
	int err;

	query->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	query->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (query->done_fd < 0 || query->cancel_fd < 0)
		return -errno;
	request_init(&query->dump, NETLINK_NETFILTER, query->cancel_fd);
	request_init(&query->get, NETLINK_NETFILTER, query->cancel_fd);
	err = request_open(&query->dump);
	return err ? err : request_open(&query->get);
}

static void release(struct query *query)
{
	request_close(&query->dump);
	request_close(&query->get);
	if (query->done_fd >= 0)
		close(query->done_fd);
	if (query->cancel_fd >= 0)
		close(query->cancel_fd);
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
	query->dump.fd = query->get.fd = query->done_fd = query->cancel_fd = -1;
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
	const uint64_t one = 1;
	struct query_answer left;

	if (!query)
		return;
	/* The answer may take REQUEST_TIMEOUT_S. */
	if (write(query->cancel_fd, &one, sizeof(one)) < 0)
		BUG_ON(errno != EAGAIN);
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

	/* The counter only wakes us up; the flag says whether an answer has arrived. */
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
		int end = request_end(at, nlh->nlmsg_len);

		return end < 0 ? end : -ENODATA;
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
	request_close(&query->dump);
	query->dumping = false;
}
